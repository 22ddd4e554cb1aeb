//! What the demonstration shows, step by step.
//!
//! Invariant: each step calls the same supervisor an agent's call goes through and
//! checks what came back: a demonstration that shows something else than what
//! happened ends with an error. The words are the demo's only; no other verb prints
//! them.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use openshell_host::approvals::{Answer, Answerer, Asker, Question};
use openshell_host::journal::Journal;
use openshell_host::registry::{
    AuthMaterial, KeyEnv, MasterKey, NewServer, Registry, create_key_file,
};
use openshell_host::ssh::{HostKey, known_hosts};
use openshell_host::supervisor::{Envelope, RestoreRequest, ToolCall};
use serde_json::{Value, json};

use super::server::DemoServer;
use crate::asker::render;
use crate::commands::server_id;
use crate::context::Context;
use crate::error::{CliError, envelope_exit_code};
use crate::ui::{BOLD, CYAN, DIM, GREEN, RED, Ui, YELLOW};

const SERVER: &str = "web-1";
const ORIGINAL: &str = "worker_processes 1;\nworker_connections 512;\nkeepalive_timeout 65;\n";
const LOG: &str = "10:01 GET /health 200\n10:02 GET /cart 502\n10:03 GET /cart 502\n";

/// Tells the story.
pub(super) fn tell(
    context: &Context,
    server: &DemoServer,
    folder: &Path,
    files: &Path,
    slow: bool,
    ui: Ui,
) -> Result<ExitCode, CliError> {
    let teller = Teller {
        context,
        ui,
        pause: if slow {
            Duration::from_millis(1_500)
        } else {
            Duration::ZERO
        },
    };
    let app = files.join("app");
    std::fs::create_dir(&app)?;
    std::fs::write(app.join("nginx.conf"), ORIGINAL)?;
    std::fs::write(app.join("access.log"), LOG)?;
    let config = app.join("nginx.conf").display().to_string();
    let app = app.display().to_string();

    teller.heading("A server is enrolled: host key checked, credential sealed");
    enrol(context, server, folder)?;
    teller.say(&format!(
        "{SERVER} is 127.0.0.1:{}, with its host key on file and its login sealed by AES-256-GCM.",
        server.port
    ));
    let listed = teller.call("list_servers", json!({}), None)?;
    teller.data(&listed, "servers")?;

    teller.heading("Looking around runs at once");
    let command = format!("grep -n 502 {app}/access.log");
    let looked = teller.call(
        "remote_exec",
        json!({"server": SERVER, "command": command}),
        None,
    )?;
    teller.output(&looked)?;

    teller.heading("What only looks harmless asks, or is rejected");
    let piped = format!("cat {app}/access.log; rm -rf {app}");
    let refused = teller.call(
        "remote_exec",
        json!({"server": SERVER, "command": piped}),
        Some(Reply::No),
    )?;
    teller.expect(&refused, "APPROVAL_REJECTED")?;
    let rejected = teller.call(
        "remote_exec",
        json!({"server": SERVER, "command": "rm -rf /"}),
        Some(Reply::No),
    )?;
    teller.expect(&rejected, "POLICY_REJECTED")?;
    check(
        Path::new(&app).join("access.log").exists(),
        "a refused command ran",
    )?;

    teller.heading("A change shows its diff first");
    let patch = "@@ -1,3 +1,3 @@\n worker_processes 1;\n-worker_connections 512;\n\
                 +worker_connections 2048;\n keepalive_timeout 65;\n";
    let patched = teller.call(
        "remote_patch_file",
        json!({"server": SERVER, "path": config, "patch": patch}),
        Some(Reply::Yes),
    )?;
    check(
        std::fs::read_to_string(&config)?.contains("2048"),
        "the patch did not arrive",
    )?;
    teller.say(&format!(
        "{GREEN}written{GREEN:#}, atomically; action {} is in the journal.",
        patched.audit.action.as_deref().unwrap_or_default()
    ));

    teller.heading("The journal has it all, and cannot be changed unnoticed");
    verify(context, &teller)?;

    teller.heading("The change is undone");
    undo(context, &teller, &config)?;
    check(
        std::fs::read_to_string(&config)? == ORIGINAL,
        "the file is not as it was",
    )?;
    teller.say(&format!(
        "{GREEN}{config} is byte for byte what it was.{GREEN:#}"
    ));
    teller.heading("That was all of it; nothing is left on this machine");
    teller.say("Next: `openshell key init`, `openshell server add --help`, and the README.");
    Ok(ExitCode::SUCCESS)
}

fn check(holds: bool, otherwise: &str) -> Result<(), CliError> {
    if holds {
        Ok(())
    } else {
        Err(CliError::internal(otherwise))
    }
}

/// Registers the demo's server in a registry of its own.
fn enrol(context: &Context, server: &DemoServer, folder: &Path) -> Result<(), CliError> {
    let key_file = folder.join("master.key");
    create_key_file(&key_file)?;
    let env = KeyEnv {
        key_file: Some(key_file),
        ..KeyEnv::default()
    };
    let key = MasterKey::resolve(context.paths(), &env)?;
    let auth = AuthMaterial::IdentityFile {
        path: server.client_key_path.clone(),
        passphrase: None,
    };
    let mut new = NewServer::new(server_id(SERVER)?, "127.0.0.1", "demo", auth);
    new.port = server.port;
    new.labels = vec!["staging".to_owned()];
    Registry::init(context.paths(), &key)?.add(new, &key, false)?;
    let host_key = HostKey::parse(&server.host_key_line).map_err(CliError::internal)?;
    known_hosts::append(
        &context.paths().known_hosts(),
        "127.0.0.1",
        server.port,
        &host_key,
    )?;
    context.use_key(key)
}

fn verify(context: &Context, teller: &Teller<'_>) -> Result<(), CliError> {
    let dir = context.paths().audit_dir();
    let verified = Journal::verify(&dir)?;
    check(verified.broken.is_none(), "the journal does not verify")?;
    teller.say(&format!(
        "openshell audit verify: {GREEN}ok{GREEN:#}, {} records, each hashed over the one before.",
        verified.records
    ));
    // A copy is tampered with, so that the story can go on.
    let copy = dir.with_file_name("tampered");
    std::fs::create_dir(&copy)?;
    for entry in std::fs::read_dir(&dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
        }
    }
    let file = copy.join("actions.jsonl");
    let text = std::fs::read_to_string(&file)?.replacen("rm -rf", "rm -ri", 1);
    std::fs::write(&file, text)?;
    let verified = Journal::verify(&copy)?;
    let broken = verified
        .broken
        .ok_or_else(|| CliError::internal("a changed journal verified"))?;
    teller.say(&format!(
        "One letter changed in a copy: {RED}broken{RED:#} at line {}: {}.",
        broken.line, broken.what
    ));
    Ok(())
}

fn undo(context: &Context, teller: &Teller<'_>, path: &str) -> Result<(), CliError> {
    teller.prompt(&format!("openshell undo {SERVER} {path}"));
    let request = RestoreRequest {
        server: SERVER.to_owned(),
        path: path.to_owned(),
        to: None,
        left: None,
        despite_drift: false,
        workspace: None,
    };
    let player = Arc::new(Player::new(Some(Reply::Yes)));
    let envelope = context.runtime().block_on(context.supervisor()?.restore(
        request,
        "cli",
        player.clone(),
    ));
    teller.question(&player);
    if envelope_exit_code(&envelope) != 0 {
        return Err(CliError::internal(
            envelope.message.unwrap_or_else(|| "undo failed".to_owned()),
        ));
    }
    Ok(())
}

/// What the played person says.
#[derive(Debug, Clone, Copy)]
enum Reply {
    Yes,
    No,
}

/// Plays the person who is asked, and keeps the question to be shown.
struct Player {
    reply: Option<Reply>,
    asked: Mutex<Option<Question>>,
}

impl Player {
    fn new(reply: Option<Reply>) -> Self {
        Self {
            reply,
            asked: Mutex::new(None),
        }
    }
}

#[async_trait]
impl Asker for Player {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Answer {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(question.clone());
        match self.reply {
            Some(Reply::Yes) => Answer::Granted(Answerer::Person),
            Some(Reply::No) => Answer::Rejected(Answerer::Person, None),
            // A step that must not ask fails here instead of being waved through.
            None => Answer::Unanswered("this step was not to ask.".to_owned()),
        }
    }
}

/// Shows the steps.
struct Teller<'a> {
    context: &'a Context,
    ui: Ui,
    pause: Duration,
}

impl Teller<'_> {
    fn heading(&self, text: &str) {
        std::thread::sleep(self.pause);
        self.ui
            .line(&format!("\n{BOLD}{CYAN}== {text}{CYAN:#}{BOLD:#}"));
    }

    fn say(&self, text: &str) {
        self.ui.line(&format!("   {text}"));
    }

    fn prompt(&self, text: &str) {
        self.ui.line(&format!("   {DIM}>{DIM:#} {text}"));
    }

    fn call(
        &self,
        tool: &str,
        arguments: Value,
        reply: Option<Reply>,
    ) -> Result<Envelope, CliError> {
        let shown = match (&arguments["command"], &arguments["path"]) {
            (Value::String(command), _) => format!("{tool} {SERVER}$ {command}"),
            (_, Value::String(path)) => format!("{tool} {SERVER}:{path}"),
            _ => tool.to_owned(),
        };
        self.prompt(&shown);
        let player = Arc::new(Player::new(reply));
        let request = ToolCall {
            tool: tool.to_owned(),
            arguments: arguments.to_string(),
            door: "cli",
            session: Some("demo".to_owned()),
            ..ToolCall::default()
        };
        let supervisor = self.context.supervisor()?;
        let envelope = self
            .context
            .runtime()
            .block_on(supervisor.call(request, player.clone()));
        self.question(&player);
        if reply.is_none() && envelope_exit_code(&envelope) != 0 {
            return Err(CliError::internal(format!(
                "{tool} failed: {}",
                envelope.message.unwrap_or_default()
            )));
        }
        Ok(envelope)
    }

    fn question(&self, player: &Player) {
        let asked = player
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(question) = asked {
            for line in render(&question).lines() {
                self.ui.line(&format!("   {DIM}│{DIM:#} {line}"));
            }
            let answer = match player.reply {
                Some(Reply::Yes) => format!("{GREEN}yes{GREEN:#}"),
                _ => format!("{RED}no{RED:#}"),
            };
            self.ui.line(&format!(
                "   {DIM}│{DIM:#} The person (played here) says {answer}."
            ));
        }
    }

    fn expect(&self, envelope: &Envelope, code: &str) -> Result<(), CliError> {
        check(
            envelope.code.as_deref() == Some(code),
            &format!("expected {code}, got {:?}", envelope.code),
        )?;
        self.say(&format!(
            "{YELLOW}{code}{YELLOW:#}: {}",
            envelope.message.as_deref().unwrap_or_default()
        ));
        Ok(())
    }

    fn output(&self, envelope: &Envelope) -> Result<(), CliError> {
        let text = envelope
            .data
            .as_ref()
            .and_then(|data| data["stdout"].as_str())
            .ok_or_else(|| CliError::internal("the command printed nothing"))?;
        for line in text.lines() {
            self.say(&openshell_host::approvals::escape_line(line));
        }
        Ok(())
    }

    fn data(&self, envelope: &Envelope, name: &str) -> Result<(), CliError> {
        let data = envelope
            .data
            .as_ref()
            .ok_or_else(|| CliError::internal("the tool returned nothing"))?;
        for item in data[name].as_array().into_iter().flatten() {
            self.say(&item.to_string());
        }
        Ok(())
    }
}
