//! The real OpenCode, in server mode, in a scratch home.
//!
//! Invariant: nothing of the account that runs the tests is read or written,
//! nothing is fetched, the server listens on 127.0.0.1 only, and dropping the
//! value ends it. The person is played through OpenCode's HTTP interface: what
//! a test sees of a question is what a client would show.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot go on must stop the test and say why"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::model::ScriptedModel;

/// The release the adapter is made for and tested with.
pub const OPENCODE_VERSION: &str = "1.18.33";

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Longer than any person in a script takes, so that an answer counts as one.
const THINKING: Duration = Duration::from_millis(60);

/// What a test lays out before OpenCode starts.
#[derive(Debug, Clone)]
pub struct OpenCodeOptions {
    /// `opencode.json` of the project; null for none.
    pub project_config: Value,
    /// Merged over the fixture's own global `opencode.json`.
    pub global_config: Value,
    /// The `plugin` entry; by default the adapter of this checkout, by path.
    pub plugin: Value,
    /// Whether the entry stands in the project's configuration instead.
    pub plugin_in_project: bool,
    /// Further environment.
    pub env: Vec<(String, String)>,
}

impl Default for OpenCodeOptions {
    fn default() -> Self {
        Self {
            project_config: Value::Null,
            global_config: json!({}),
            plugin: json!(adapter_dir()),
            plugin_in_project: false,
            env: Vec::new(),
        }
    }
}

/// A question as OpenCode puts it before its clients.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Id to reply to.
    pub id: String,
    /// The permission key, which is all a terminal shows for keys of ours.
    pub key: String,
    /// What rules are matched against; all that the web client shows.
    pub patterns: Vec<String>,
    /// What "always" would remember.
    pub always: Vec<String>,
    /// Anything besides, such as the diff of an edit.
    pub metadata: Value,
}

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Allow this one.
    Once,
    /// Allow, and remember what the question offers to remember.
    Always,
    /// Do not.
    Reject,
}

/// A running OpenCode. Dropping it ends it.
#[derive(Debug)]
pub struct OpenCode {
    child: Child,
    port: u16,
    scratch: TempDir,
    workspace: PathBuf,
    events: Arc<Events>,
}

#[derive(Debug, Default)]
struct Events {
    seen: Mutex<Vec<Value>>,
    grown: Condvar,
}

impl OpenCode {
    /// The release under test.
    #[must_use]
    pub fn version() -> String {
        let output = Command::new(program())
            .arg("--version")
            .env("HOME", std::env::temp_dir())
            .output()
            .expect("OpenCode can be run");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts OpenCode with a scripted model and returns once it answers.
    ///
    /// # Panics
    /// When OpenCode is not installed or does not start.
    #[must_use]
    pub fn start(options: &OpenCodeOptions, model: &ScriptedModel) -> Self {
        let scratch = tempfile::Builder::new()
            .prefix("openshell-opencode-")
            .tempdir()
            .expect("a temporary directory");
        let workspace = lay_out(scratch.path(), options, model);
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free loopback port")
            .port();
        let home = scratch.path().join("home");
        let log = fs::File::create(scratch.path().join("opencode.log")).expect("a new file");
        let mut command = Command::new(program());
        command
            .args(["serve", "--hostname", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .current_dir(&workspace)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
            // OpenCode installs its plugin API beside every external plugin;
            // where no registry answers, that must fail at once.
            .env("npm_config_fetch_retries", "0")
            .env("npm_config_registry", "http://127.0.0.1:9")
            .envs(options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn().expect("OpenCode can be run");
        let mut running = Self {
            child,
            port,
            scratch,
            workspace,
            events: Arc::default(),
        };
        running.wait_until_up();
        running.listen();
        running
    }

    /// The project directory.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The scratch home, outside the project.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.scratch.path().join("home")
    }

    /// The end of what OpenCode wrote to its log and terminal, for a failure message.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text =
            fs::read_to_string(self.scratch.path().join("opencode.log")).unwrap_or_default();
        let logs = self.home().join(".local/share/opencode/log");
        for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
            text += &fs::read_to_string(entry.path()).unwrap_or_default();
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Opens a session.
    #[must_use]
    pub fn new_session(&self) -> String {
        let session = self.post("/session", &json!({}));
        session["id"]
            .as_str()
            .expect("a session has an id")
            .to_owned()
    }

    /// Sends a person's message to an agent (such as `build` or `plan`) and
    /// returns at once.
    pub fn prompt_as(&self, session: &str, agent: &str, text: &str) {
        self.post(
            &format!("/session/{session}/prompt_async"),
            &json!({"agent": agent, "parts": [{"type": "text", "text": text}]}),
        );
    }

    /// Sends a person's message to the default agent and returns at once.
    pub fn prompt(&self, session: &str, text: &str) {
        self.prompt_as(session, "build", text);
    }

    /// Interrupts what a session does.
    pub fn interrupt(&self, session: &str) {
        self.post(&format!("/session/{session}/abort"), &json!({}));
    }

    /// Waits for the next unanswered question.
    ///
    /// # Panics
    /// When none comes in time; the message carries OpenCode's log.
    #[must_use]
    pub fn wait_permission(&self, timeout: Duration) -> Asked {
        self.wait_for(timeout, "a permission question", |_| {
            self.pending().into_iter().next()
        })
    }

    /// Waits until this many questions are open at once.
    ///
    /// # Panics
    /// When they are not in time; the message carries OpenCode's log.
    #[must_use]
    pub fn wait_permissions(&self, count: usize, timeout: Duration) -> Vec<Asked> {
        self.wait_for(timeout, "several permission questions", |_| {
            Some(self.pending()).filter(|pending| pending.len() >= count)
        })
    }

    /// Waits until something a test looks at has come true.
    ///
    /// # Panics
    /// When it has not in time; the message carries OpenCode's log.
    pub fn wait_until(&self, timeout: Duration, what: &str, look: impl Fn() -> bool) {
        self.wait_for(timeout, what, |_| look().then_some(()));
    }

    /// Questions nobody has answered yet.
    #[must_use]
    pub fn pending(&self) -> Vec<Asked> {
        let list = self.get("/permission");
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        list.as_array()
            .into_iter()
            .flatten()
            .map(|entry| Asked {
                id: entry["id"].as_str().unwrap_or_default().to_owned(),
                key: entry["permission"].as_str().unwrap_or_default().to_owned(),
                patterns: texts(&entry["patterns"]),
                always: texts(&entry["always"]),
                metadata: entry["metadata"].clone(),
            })
            .collect()
    }

    /// Answers a question, with words for the model where the answer is no.
    pub fn reply(&self, asked: &Asked, reply: Reply, message: Option<&str>) {
        thread::sleep(THINKING);
        let word = match reply {
            Reply::Once => "once",
            Reply::Always => "always",
            Reply::Reject => "reject",
        };
        let mut body = json!({"reply": word});
        if let Some(message) = message {
            body["message"] = json!(message);
        }
        self.post(&format!("/permission/{}/reply", asked.id), &body);
    }

    /// Every question put so far, answered or not, oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<Value> {
        let seen = self
            .events
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let asked = seen
            .iter()
            .filter(|event| event["type"] == "permission.asked");
        asked.map(|event| event["properties"].clone()).collect()
    }

    /// Waits until a session's turn is over.
    ///
    /// # Panics
    /// When it is not over in time; the message carries OpenCode's log.
    pub fn wait_idle(&self, session: &str, timeout: Duration) {
        self.wait_for(timeout, "the end of the turn", |seen| {
            let of_session = |event: &&Value| {
                event["properties"]["sessionID"] == session
                    && matches!(
                        event["type"].as_str(),
                        Some("session.idle" | "session.status")
                    )
            };
            let idle = |event: &Value| {
                event["type"] == "session.idle" || event["properties"]["status"]["type"] == "idle"
            };
            let last = seen.iter().rfind(of_session)?;
            idle(last).then_some(())
        });
        // The next prompt must not be taken for finished already.
        let mut seen = self
            .events
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.retain(|event| {
            !matches!(
                event["type"].as_str(),
                Some("session.idle" | "session.status")
            )
        });
    }

    /// The messages of a session, as OpenCode keeps them.
    #[must_use]
    pub fn messages(&self, session: &str) -> Value {
        self.get(&format!("/session/{session}/message"))
    }

    /// The states of a session's tool calls, oldest first: `{tool, state: {status, …}}`.
    #[must_use]
    pub fn tool_parts(&self, session: &str) -> Vec<Value> {
        let messages = self.messages(session);
        let parts = messages
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|message| message["parts"].as_array().cloned().unwrap_or_default());
        parts.filter(|part| part["type"] == "tool").collect()
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("OpenCode ended ({status}) while starting:\n{}", self.log());
            }
            // The port is open before requests are served; one that comes too
            // early is never answered.
            if self.log().contains("server listening on") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "OpenCode did not start:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    // The bus reports only what happens while somebody listens.
    fn listen(&self) {
        let url = self.url("/event");
        let events = Arc::clone(&self.events);
        let (connected, wait) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let Ok(mut response) = ureq::get(&url).call() else {
                return;
            };
            for line in BufReader::new(response.body_mut().as_reader()).lines() {
                let Ok(line) = line else { return };
                let Some(data) = line.strip_prefix("data:") else {
                    continue;
                };
                let Ok(event) = serde_json::from_str::<Value>(data) else {
                    continue;
                };
                // Only the first one finds somebody waiting.
                let _first = connected.send(());
                events
                    .seen
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(event);
                events.grown.notify_all();
            }
        });
        if wait.recv_timeout(START_LIMIT).is_err() {
            panic!("OpenCode sends no events:\n{}", self.log());
        }
    }

    fn wait_for<T>(
        &self,
        timeout: Duration,
        what: &str,
        look: impl Fn(&[Value]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self
                .events
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = look(&seen) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{what} did not come within {timeout:?}; last events: {:#?}\n{}",
                &seen[seen.len().saturating_sub(8)..],
                self.log()
            );
            // An event may come between two looks at something that is no event.
            let _woken = self
                .events
                .grown
                .wait_timeout(seen, Duration::from_millis(50))
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn get(&self, path: &str) -> Value {
        let mut response = ureq::get(self.url(path))
            .call()
            .unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()));
        response.body_mut().read_json().unwrap_or(Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let mut response = ureq::post(self.url(path))
            .send_json(body)
            .unwrap_or_else(|error| panic!("POST {path}: {error}\n{}", self.log()));
        // Some routes answer with nothing.
        response.body_mut().read_json().unwrap_or(Value::Null)
    }
}

impl Drop for OpenCode {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The adapter of this checkout.
#[must_use]
pub fn adapter_dir() -> PathBuf {
    repository().join("plugin/opencode")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .to_owned()
}

/// Where `npm install opencode-ai` in `.cache/opencode` puts the program;
/// `OPENSHELL_TEST_OPENCODE` names another one.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("OPENSHELL_TEST_OPENCODE") {
        return path.into();
    }
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    };
    let program = repository().join(format!(
        ".cache/opencode/node_modules/opencode-{os}-{arch}/bin/opencode"
    ));
    assert!(
        program.exists(),
        "{} is missing: run `npm install --prefix .cache/opencode opencode-ai@{OPENCODE_VERSION}`",
        program.display()
    );
    program
}

fn lay_out(scratch: &Path, options: &OpenCodeOptions, model: &ScriptedModel) -> PathBuf {
    let workspace = scratch.join("project");
    let global = scratch.join("home/.config/opencode");
    fs::create_dir_all(&workspace).expect("a new directory");
    fs::create_dir_all(&global).expect("a new directory");
    // Without a repository OpenCode takes the whole disk for the worktree.
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(&workspace)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status()
        .expect("git can be run");
    assert!(made.success(), "git init: {made}");
    let mut config = json!({
        "$schema": "https://opencode.ai/config.json",
        "model": "scripted/model",
        "small_model": "scripted/model",
        "provider": {"scripted": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "options": {"baseURL": model.base_url(), "apiKey": "none"},
            "models": {"model": {"name": "Scripted", "tool_call": true, "limit": {"context": 200_000, "output": 8000}}},
        }},
    });
    let mut project = options.project_config.clone();
    if options.plugin_in_project {
        if project.is_null() {
            project = json!({});
        }
        project["plugin"] = json!([options.plugin]);
    } else {
        config["plugin"] = json!([options.plugin]);
    }
    for (key, value) in options.global_config.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    write_json(&global.join("opencode.json"), &config);
    if !project.is_null() {
        write_json(&workspace.join("opencode.json"), &project);
    }
    workspace
}

fn write_json(path: &Path, value: &Value) {
    fs::write(path, format!("{value:#}\n")).expect("a scratch file can be written");
}
