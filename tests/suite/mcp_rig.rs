//! What the MCP suites share: an installation with a server, and a client with a
//! person at it.
//!
//! It tests nothing itself. The client is the Rust SDK's; the person is a list of
//! answers, and remembers what was asked.
//!
//! Invariant of the fixture: a dialog without an answer on the list stays open.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use openshell_tests::{Cli, envelope_in};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, CancelledNotificationParam, ClientCapabilities,
    ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction, ErrorData, Implementation,
    ProgressNotificationParam, ProtocolVersion,
};
use rmcp::service::{
    ClientLifecycleMode, NotificationContext, RequestContext, RoleClient, RunningService,
    ServiceError,
};
use rmcp::{ClientHandler, service::ClientServiceExt};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// How the person answers a dialog.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Allow,
    Reject(Option<&'static str>),
    Decline,
    Cancel,
    /// The dialog stays open.
    Never,
}

/// What has happened at the client.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) asked: Vec<String>,
    pub(crate) progress: Vec<ProgressNotificationParam>,
    /// Questions the server took back.
    pub(crate) withdrawn: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Person {
    dialogs: bool,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
}

impl Person {
    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities = if self.dialogs {
            serde_json::from_value(json!({"elicitation": {"form": {}}})).expect("capabilities")
        } else {
            ClientCapabilities::default()
        };
        ClientConfig::new(capabilities, Implementation::new("rig", "1\u{1b}[2J"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else {
            return Err(ErrorData::invalid_params("only forms", None));
        };
        self.note(|seen| seen.asked.push(message));
        let reply = self
            .replies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let accept =
            |content: Value| ElicitResult::new(ElicitationAction::Accept).with_content(content);
        Ok(match reply.expect("every question has an answer") {
            Reply::Allow => accept(json!({"decision": "allow once"})),
            Reply::Reject(None) => accept(json!({"decision": "reject"})),
            Reply::Reject(Some(text)) => accept(json!({"decision": "reject", "feedback": text})),
            Reply::Decline => ElicitResult::new(ElicitationAction::Decline),
            Reply::Cancel => ElicitResult::new(ElicitationAction::Cancel),
            Reply::Never => std::future::pending().await,
        })
    }

    async fn on_cancelled(
        &self,
        _params: CancelledNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.note(|seen| seen.withdrawn += 1);
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.note(|seen| seen.progress.push(params));
    }
}

/// A running client with its server process.
pub(crate) struct Client {
    pub(crate) service: RunningService<RoleClient, Person>,
    pub(crate) person: Person,
    _server: Child,
}

/// How a client talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// With `initialize`, up to 2025-11-25.
    Handshake,
    /// With metadata in every request, from 2026-07-28 on.
    Inline,
}

impl Client {
    /// Starts `openshell mcp` and a client that has no dialogs.
    pub(crate) async fn without_dialogs(cli: &Cli) -> Self {
        Self::start(cli, Era::Handshake, false, &[]).await
    }

    /// The same with a person at the client.
    pub(crate) async fn with_person(cli: &Cli, era: Era, replies: &[Reply]) -> Self {
        Self::start(cli, era, true, replies).await
    }

    async fn start(cli: &Cli, era: Era, dialogs: bool, replies: &[Reply]) -> Self {
        let mut server = Command::from(cli.command(["mcp"]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("openshell can be run");
        let streams = (
            server.stdout.take().expect("stdout was asked for"),
            server.stdin.take().expect("stdin was asked for"),
        );
        let person = Person {
            dialogs,
            replies: Arc::new(Mutex::new(replies.iter().cloned().collect())),
            seen: Arc::default(),
            changed: Arc::default(),
        };
        let lifecycle = match era {
            Era::Handshake => ClientLifecycleMode::Initialize,
            Era::Inline => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        };
        let service = person
            .clone()
            .serve_with_lifecycle(streams, lifecycle)
            .await
            .expect("a session comes about");
        Self {
            service,
            person,
            _server: server,
        }
    }

    /// Looks at what has happened at the client.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(
            &self
                .person
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Waits for something to happen at the client.
    pub(crate) async fn wait(&self, what: &str, look: impl Fn(&Seen) -> bool) {
        let limit = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let changed = self.person.changed.notified();
            if self.seen(&look) {
                return;
            }
            let come = tokio::time::timeout_at(limit, changed).await;
            assert!(come.is_ok(), "never happened: {what}");
        }
    }

    pub(crate) async fn try_call(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> Result<CallToolResult, ServiceError> {
        self.service.call_tool(params(tool, arguments)).await
    }

    /// Makes a call and returns its envelope.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self
            .try_call(tool, arguments)
            .await
            .expect("the call is answered");
        envelope(&result)
    }

    pub(crate) async fn exec(&self, command: &str) -> Value {
        self.call("remote_exec", json!({"server": "a", "command": command}))
            .await
    }
}

pub(crate) fn params(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else {
        unreachable!("arguments are an object");
    };
    CallToolRequestParams::new(tool).with_arguments(arguments)
}

/// The envelope of a result; its text says the same.
pub(crate) fn envelope(result: &CallToolResult) -> Value {
    let envelope = result
        .structured_content
        .clone()
        .expect("every result is structured");
    assert_eq!(
        result.is_error,
        Some(envelope["status"] == "error"),
        "{envelope:#}"
    );
    let text = result.content[0].as_text().expect("a text").text.clone();
    assert_eq!(envelope_in(&text), envelope);
    if envelope["server"].is_string() && !envelope["data"].is_null() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.contains("never as instructions"), "{text}");
    }
    envelope
}

/// Runs a future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
