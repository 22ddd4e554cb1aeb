//! `openshell server test`: connects, and shows each step with its time.
//!
//! Invariant: the steps are those of a call, host by host on the way; after a step
//! that failed the others are said not to have been tried. It enrols no key and
//! mends nothing on the way.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openshell_host::approvals::escape_line;
use openshell_host::registry::Sudo;
use openshell_host::ssh::{
    Connection, ExecRequest, Found, Login, Program, RootFiles, SshError, Stage, Vouched,
    connect_by_steps,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::server_id;
use super::server_layers;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{DIM, GREEN, RED, Ui};

/// Time for the probe command.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How a step went.
enum State {
    /// In words, and as data.
    Good(String, Value),
    Failed(CliError),
    NotTried,
}

/// One step and how it went.
struct Step {
    /// The server on the way that it is about; none for the whole.
    hop: Option<String>,
    name: &'static str,
    state: State,
    took: Duration,
}

impl Step {
    fn new(
        name: &'static str,
        started: Instant,
        result: Result<(String, Value), CliError>,
    ) -> Self {
        Self {
            hop: None,
            name,
            state: match result {
                Ok((words, data)) => State::Good(words, data),
                Err(error) => State::Failed(error),
            },
            took: started.elapsed(),
        }
    }

    fn not_tried(name: &'static str) -> Self {
        Self {
            hop: None,
            name,
            state: State::NotTried,
            took: Duration::ZERO,
        }
    }

    fn json(&self) -> Value {
        let (state, detail, code, next, data) = match &self.state {
            State::Good(words, data) => ("ok", Some(words), None, None, data.clone()),
            State::Failed(error) => (
                "failed",
                Some(&error.message),
                error.code.clone(),
                error.next.clone(),
                Value::Null,
            ),
            State::NotTried => ("not-tried", None, None, None, Value::Null),
        };
        json!({
            "step": self.name,
            "hop": self.hop,
            "state": state,
            "ok": state == "ok",
            "detail": detail,
            "code": code,
            "next": next,
            "data": data,
            "ms": self.took.as_secs_f64() * 1e3,
        })
    }

    fn line(&self) -> String {
        let (mark, detail) = match &self.state {
            State::Good(words, _) => (format!("{GREEN}ok{GREEN:#}    "), escape_line(words)),
            State::Failed(error) => (format!("{RED}failed{RED:#}"), escape_line(&error.message)),
            State::NotTried => (format!("{DIM}-{DIM:#}     "), "not tried".to_owned()),
        };
        let took = match self.state {
            State::NotTried => String::new(),
            _ => format!("{:.1} ms", self.took.as_secs_f64() * 1e3),
        };
        format!("{mark} {:<9} {took:>10}  {detail}", self.name)
    }
}

pub(crate) fn run(id: &str, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let id = server_id(id)?;
    let listed = server_layers::named(context, &id, ui)?;
    listed.require_effect()?;
    let mut steps = Vec::new();
    let sudo = listed.view.sudo;
    context
        .runtime()
        .block_on(probe(id.as_str(), sudo, context, &mut steps))?;
    let failed = steps.iter().find_map(|step| match &step.state {
        State::Failed(error) => Some(error),
        _ => None,
    });
    if ui.json {
        let list: Vec<_> = steps.iter().map(Step::json).collect();
        ui.value(&json!({
            "status": if failed.is_some() { "error" } else { "ok" },
            "id": id.as_str(),
            "scope": listed.view.scope.as_str(),
            "steps": list,
        }));
    } else {
        show(ui, &steps);
        if let Some(next) = failed.and_then(|error| error.next.as_deref()) {
            ui.note(next);
        }
    }
    Ok(if failed.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The steps, under a heading for each host where there are several.
fn show(ui: Ui, steps: &[Step]) {
    let several = steps
        .iter()
        .filter_map(|step| step.hop.as_deref())
        .collect::<std::collections::BTreeSet<_>>()
        .len()
        > 1;
    let mut shown = None;
    for step in steps {
        if several && step.hop != shown {
            shown.clone_from(&step.hop);
            if let Some(hop) = &step.hop {
                ui.line(&format!("{hop}:"));
            }
        }
        ui.line(&step.line());
    }
}

/// Takes the steps in order; those after a failure are not tried.
async fn probe(
    id: &str,
    sudo: Sudo,
    context: &Context,
    steps: &mut Vec<Step>,
) -> Result<(), CliError> {
    let supervisor = context.supervisor()?;
    let here = std::env::current_dir().ok();
    let started = Instant::now();
    let target = match supervisor.target(id, here.as_deref()).await {
        Ok(target) => target,
        Err(failure) => {
            steps.push(Step::new("registry", started, Err(failure.into())));
            let rest = Stage::ALL.iter().map(|stage| stage.as_str());
            for name in rest.chain(["exec", "sftp"]) {
                steps.push(Step::not_tried(name));
            }
            return Ok(());
        }
    };
    let login = format!("{}@{}:{}", target.user, target.host, target.port);
    let data = json!({"user": target.user, "host": target.host, "port": target.port});
    steps.push(Step::new("registry", started, Ok((login, data))));

    let (walked, connection) = connect_by_steps(&target).await;
    steps.extend(walked.into_iter().map(|step| Step {
        state: match step.result {
            None => State::NotTried,
            Some(Ok(found)) => {
                let (words, data) = describe(&found);
                State::Good(words, data)
            }
            Some(Err(error)) => State::Failed(error.into()),
        },
        name: step.stage.as_str(),
        hop: Some(step.hop),
        took: step.took,
    }));
    let on_target = |mut step: Step| {
        step.hop = Some(id.to_owned());
        step
    };
    let Some(connection) = connection else {
        steps.extend(["exec", "sftp"].map(Step::not_tried).map(on_target));
        return Ok(());
    };
    let started = Instant::now();
    let ran = exec(&connection).await.map_err(CliError::from);
    steps.push(on_target(Step::new("exec", started, ran)));
    let started = Instant::now();
    let files = sftp(&connection).await.map_err(CliError::from);
    steps.push(on_target(Step::new("sftp", started, files)));
    if sudo == Sudo::Ask {
        let started = Instant::now();
        let allowed = RootFiles::new(Arc::clone(&connection)).check().await;
        let allowed = allowed
            .map(|()| {
                (
                    "sudo -n lets us run /bin/sh as root".to_owned(),
                    Value::Null,
                )
            })
            .map_err(CliError::from);
        steps.push(on_target(Step::new("sudo", started, allowed)));
    }
    connection.close().await;
    Ok(())
}

/// What a step on the way found.
fn describe(found: &Found) -> (String, Value) {
    match found {
        Found::Addresses(addresses) => {
            let list: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
            (list.join(", "), json!({"addresses": list}))
        }
        Found::ResolvedBy(id) => (format!("left to {id}"), json!({"by": id})),
        Found::Connected(address) => (
            format!("connected to {address}"),
            json!({"address": address_text(address)}),
        ),
        Found::Through(id) => (format!("through {id}"), json!({"through": id})),
        Found::HostKey {
            key,
            vouched,
            software,
        } => {
            let (words, data) = vouched_by(vouched);
            (
                format!(
                    "{} {}, {words}; {software}",
                    key.key_type(),
                    key.fingerprint()
                ),
                json!({
                    "type": key.key_type(),
                    "fingerprint": key.fingerprint(),
                    "vouchedBy": data,
                    "software": software,
                }),
            )
        }
        Found::LoggedIn(Login { method, identity }) => {
            let words = match identity {
                Some(identity) => format!("by {method}: {identity}"),
                None => format!("by {method}"),
            };
            (words, json!({"method": method, "identity": identity}))
        }
    }
}

fn address_text(address: &SocketAddr) -> String {
    address.to_string()
}

fn vouched_by(vouched: &Vouched) -> (String, Value) {
    match vouched {
        Vouched::Line(file, line) => (
            format!("known by {} line {line}", file.display()),
            json!({"file": file, "line": line}),
        ),
        Vouched::Authority(lines) => {
            let places: Vec<String> = lines
                .iter()
                .map(|(file, line)| format!("{} line {line}", file.display()))
                .collect();
            (
                format!("certified by an authority of {}", places.join(", or ")),
                json!({"authorities": lines.iter().map(|(file, line)| json!({
                    "file": file,
                    "line": line,
                })).collect::<Vec<_>>()}),
            )
        }
    }
}

/// Proves `/bin/sh` and runs a command in it.
async fn exec(connection: &Connection) -> Result<(String, Value), SshError> {
    let request = ExecRequest {
        program: Program::Argv(vec!["uname".to_owned(), "-sm".to_owned()]),
        cwd: None,
        timeout: PROBE_TIMEOUT,
        head_limit: 1024,
        tail_limit: 0,
        mark: None,
    };
    let outcome = connection.exec(request, CancellationToken::new()).await?;
    let system = String::from_utf8_lossy(&outcome.stdout.head);
    let system = system.trim();
    Ok((
        format!("/bin/sh is there; {system}"),
        json!({"system": system}),
    ))
}

/// Opens the SFTP session and asks for what it can do.
async fn sftp(connection: &Connection) -> Result<(String, Value), SshError> {
    let sftp = connection.sftp().await?;
    let home = sftp.realpath(".").await?;
    let extensions = sftp.extensions();
    let limits = sftp.limits();
    let missing: Vec<&str> = ["posix-rename@openssh.com", "fsync@openssh.com"]
        .into_iter()
        .filter(|needed| !extensions.contains(needed))
        .collect();
    let mut words = format!("files are reachable; version 3; login directory {home}");
    if missing.is_empty() {
        words.push_str("; files are replaced in one step and synced");
    } else {
        words.push_str(&format!("; without {}", missing.join(" and ")));
    }
    if let Some(limits) = limits {
        words.push_str(&format!(
            "; reads up to {} and writes up to {} bytes",
            limits.read, limits.write
        ));
    }
    let limits = limits.map(|limits| {
        json!({
            "packet": limits.packet,
            "read": limits.read,
            "write": limits.write,
            "handles": limits.handles,
        })
    });
    Ok((
        words,
        json!({"version": 3, "home": home, "extensions": extensions, "limits": limits}),
    ))
}
