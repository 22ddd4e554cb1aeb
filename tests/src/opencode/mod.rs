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

mod events;
mod layout;
mod screen;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::model::ScriptedModel;
use crate::port::Port;
use crate::secrets::{self, Run, Watch};

use events::Events;
pub use layout::{OPENCODE_VERSION, OpenCodeOptions, adapter_dir, program};
use layout::{lay_out, prepared};
pub use screen::Screen;

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(240);

/// How long a whole `opencode run` may take; only a hang takes longer.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Longer than any person in a script takes, so that an answer counts as one.
const THINKING: Duration = Duration::from_millis(60);

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
    _watch: Option<Watch>,
    child: Child,
    port: Port,
    scratch: TempDir,
    workspace: PathBuf,
    events: Arc<Events>,
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
        let scratch = secrets::directory("openshell-opencode-");
        let workspace = lay_out(scratch.path(), options, model);
        let port = Port::reserve();
        let log = fs::File::create(scratch.path().join("opencode.log")).expect("a new file");
        let mut command = prepared(scratch.path(), &workspace, options);
        command
            .args(["serve", "--hostname", "127.0.0.1", "--port"])
            .arg(port.number().to_string())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn().expect("OpenCode can be run");
        let mut running = Self {
            _watch: Run::current().map(|run| run.watch(child.id())),
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

    /// Plays one turn as `opencode run` does, without anybody to ask, and returns
    /// what it printed. Words go between `run` and the message.
    ///
    /// # Panics
    /// When OpenCode is not installed or does not end.
    #[must_use]
    pub fn run(options: &OpenCodeOptions, model: &ScriptedModel, words: &[&str]) -> String {
        let scratch = secrets::directory("openshell-opencode-");
        let workspace = lay_out(scratch.path(), options, model);
        let path = scratch.path().join("opencode.log");
        let log = fs::File::create(&path).expect("a new file");
        let mut child = prepared(scratch.path(), &workspace, options)
            .arg("run")
            .args(words)
            .arg("Do it.")
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("OpenCode can be run");
        let _watch = Run::current().map(|run| run.watch(child.id()));
        let said = || fs::read_to_string(&path).unwrap_or_default();
        let deadline = Instant::now() + RUN_LIMIT;
        loop {
            match child.try_wait().expect("the child is ours") {
                Some(_) => return said(),
                None if Instant::now() > deadline => {
                    drop(child.kill());
                    drop(child.wait());
                    panic!("OpenCode did not end within {RUN_LIMIT:?}:\n{}", said());
                }
                None => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Process id of the server, which is the parent of the helper.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
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
        let text = self.whole_log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn whole_log(&self) -> String {
        let mut text =
            fs::read_to_string(self.scratch.path().join("opencode.log")).unwrap_or_default();
        let logs = self.home().join(".local/share/opencode/log");
        for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
            text += &fs::read_to_string(entry.path()).unwrap_or_default();
        }
        text
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
        // The end of the turn before must not be taken for the end of this one.
        self.events
            .lock()
            .retain(|event| idle(event, session).is_none());
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
        self.events_of("permission.asked")
    }

    /// The properties of every event of a type so far, oldest first.
    #[must_use]
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        let seen = self.events.lock();
        let chosen = seen.iter().filter(|event| event["type"] == kind);
        chosen.map(|event| event["properties"].clone()).collect()
    }

    /// Waits for an event of a type whose properties a test looks for.
    ///
    /// # Panics
    /// When it does not come in time; the message carries OpenCode's log.
    #[must_use]
    pub fn wait_event(
        &self,
        timeout: Duration,
        kind: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait_for(timeout, kind, |seen| {
            let mut of_kind = seen.iter().filter(|event| event["type"] == kind);
            let event = of_kind.find(|event| is_it(&event["properties"]))?;
            Some(event["properties"].clone())
        })
    }

    /// Waits until a session's turn is over.
    ///
    /// # Panics
    /// When it is not over in time; the message carries OpenCode's log.
    pub fn wait_idle(&self, session: &str, timeout: Duration) {
        self.wait_for(timeout, "the end of the turn", |seen| {
            let states: Vec<bool> = seen
                .iter()
                .filter_map(|event| idle(event, session))
                .collect();
            // An event of the turn before may still have been on its way.
            let begun = states.contains(&false);
            (begun && states.last() == Some(&true)).then_some(())
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
            if self.whole_log().contains("server listening on") {
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
    fn listen(&mut self) {
        match Events::listen(self.url("/event"), START_LIMIT) {
            Some(events) => self.events = events,
            None => panic!("OpenCode sends no events:\n{}", self.log()),
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
            let seen = self.events.lock();
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
            self.events.wait(seen, Duration::from_millis(50));
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }

    fn get(&self, path: &str) -> Value {
        self.json(&format!("GET {path}"), ureq::get(self.url(path)).call())
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(self.url(path)).header("content-type", "application/json");
        self.json(&format!("POST {path}"), request.send(body.to_string()))
    }

    // Some routes answer with nothing, which is null.
    fn json(
        &self,
        what: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Value {
        let mut response = answer.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.log()));
        let text = response.body_mut().read_to_string().unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// Whether an event says that a session works or that it is idle; none for
/// another event or session.
fn idle(event: &Value, session: &str) -> Option<bool> {
    if event["properties"]["sessionID"] != session {
        return None;
    }
    match event["type"].as_str()? {
        "session.idle" => Some(true),
        "session.status" => Some(event["properties"]["status"]["type"] == "idle"),
        _ => None,
    }
}

impl Drop for OpenCode {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
