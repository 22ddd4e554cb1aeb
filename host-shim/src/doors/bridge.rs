//! The bridge: JSON-RPC 2.0, one JSON object a line, in both directions.
//!
//! The client calls tools; the helper asks the client's person. Invariants:
//! malformed input is answered and never fatal; a frame is bounded; when the
//! input ends, every running effect is ended and recorded before the process
//! exits. What may happen is not decided here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::approvals::{Answer, Answerer, Asker, Matter, Place, Question};
use crate::engine::contract::Definition;
use crate::engine::{Engine, EngineError};
use crate::fault::{self, Point};
use crate::supervisor::{Supervisor, ToolCall};

/// Version of the protocol this helper speaks.
const PROTOCOL: u32 = 1;
/// Longest frame accepted, in bytes: the largest write in base64, with room.
pub(super) const FRAME_MAX: usize = 48 * 1024 * 1024;
/// How long running calls get to end and be recorded after the input ended.
const FAREWELL: Duration = Duration::from_millis(1_800);

/// JSON-RPC 2.0, section 5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
/// The client is to start anew with `initialize`: what it knows of this helper
/// is no longer so.
const STALE_CLIENT: i32 = -32010;

/// Why the bridge could not be served.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The input or output failed.
    #[error("the connection to the client failed: {0}")]
    Io(#[from] std::io::Error),
    /// The component could not be asked for its tools.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Serves one client until its input ends.
///
/// # Errors
/// [`BridgeError`] when input or output fail; a mistake of the client is answered.
pub async fn serve_bridge(
    supervisor: Supervisor,
    input: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> Result<(), BridgeError> {
    let definitions = supervisor.engine().definitions().await?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write_frames(output, receiver));
    let bridge = Arc::new(Bridge {
        capabilities: capability_snapshot(&definitions),
        supervisor,
        definitions,
        sender,
        next_id: AtomicU64::new(1),
        asked: Mutex::new(HashMap::new()),
        running: Mutex::new(HashMap::new()),
        workspace: Mutex::new(None),
    });
    let mut calls = JoinSet::new();
    let mut input = BufReader::new(input);
    let read = loop {
        match read_frame(&mut input).await {
            Ok(Some(frame)) => Arc::clone(&bridge).receive(frame, &mut calls),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        while calls.try_join_next().is_some() {}
    };
    // Nobody is left to hear or to answer: end what runs, and let it be recorded.
    bridge.give_up();
    let _ = tokio::time::timeout(FAREWELL, async {
        while calls.join_next().await.is_some() {}
    })
    .await;
    bridge.supervisor.resources().close().await;
    drop(bridge);
    calls.abort_all();
    let _ = tokio::time::timeout(Duration::from_millis(100), writer).await;
    Ok(read?)
}

/// One line of input.
pub(super) enum Frame {
    Line(Vec<u8>),
    TooLong,
}

pub(super) async fn read_frame(
    input: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<Frame>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            // A last line without an end is not a frame: it may be half of one.
            return Ok(None);
        }
        let (part, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&available[..end], true),
            None => (available, false),
        };
        if line.len() + part.len() > FRAME_MAX {
            too_long = true;
            line = Vec::new();
        } else if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(ended);
        input.consume(used);
        if ended {
            return Ok(Some(if too_long {
                Frame::TooLong
            } else {
                Frame::Line(line)
            }));
        }
    }
}

async fn write_frames(
    mut output: impl AsyncWrite + Unpin,
    mut frames: mpsc::UnboundedReceiver<Value>,
) -> std::io::Result<()> {
    while let Some(frame) = frames.recv().await {
        let mut line = frame.to_string().into_bytes();
        line.push(b'\n');
        output.write_all(&line).await?;
        output.flush().await?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Value,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    capability_snapshot_id: Option<String>,
    #[serde(default)]
    behavior_fingerprint: Option<String>,
    #[serde(default)]
    journal_mark: Option<u64>,
}

struct Bridge {
    supervisor: Supervisor,
    definitions: Vec<Definition>,
    capabilities: String,
    sender: mpsc::UnboundedSender<Value>,
    next_id: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>,
    running: Mutex<HashMap<String, CancellationToken>>,
    workspace: Mutex<Option<PathBuf>>,
}

impl Bridge {
    fn send(&self, frame: Value) {
        // A closed output means the client is gone; the end of the input, which
        // follows, is what is acted on.
        let _ = self.sender.send(frame);
    }

    fn respond(&self, id: &Value, result: Value) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn refuse(&self, id: &Value, code: i32, message: &str) {
        let mut error = json!({"code": code, "message": message});
        if code == STALE_CLIENT {
            // What the client would learn by starting anew, so that it need not.
            error["data"] = json!({
                "capabilitySnapshotId": self.capabilities,
                "behaviorFingerprint": self.fingerprint(),
            });
        }
        self.send(json!({"jsonrpc": "2.0", "id": id, "error": error}));
    }

    fn receive(self: Arc<Self>, frame: Frame, calls: &mut JoinSet<()>) {
        let line = match frame {
            Frame::Line(line) if line.iter().all(u8::is_ascii_whitespace) => return,
            Frame::Line(line) => line,
            Frame::TooLong => {
                let message = format!("a frame may have at most {FRAME_MAX} bytes");
                return self.refuse(&Value::Null, INVALID_REQUEST, &message);
            }
        };
        let message: Message = match serde_json::from_slice::<Value>(&line) {
            Err(error) => return self.refuse(&Value::Null, PARSE_ERROR, &error.to_string()),
            Ok(value) => match serde_json::from_value(value) {
                Ok(message) => message,
                Err(error) => {
                    return self.refuse(&Value::Null, INVALID_REQUEST, &error.to_string());
                }
            },
        };
        let id = message.id.clone().unwrap_or(Value::Null);
        match message.method.as_deref() {
            Some("initialize") => {
                calls.spawn(async move { self.initialize(&id, message.params).await });
            }
            Some("tools/call") => self.start_call(id, message.params, calls),
            Some("$/cancel") => self.cancel(message.params.as_ref()),
            Some("ping") => self.respond(&id, json!({})),
            Some(method) if message.id.is_some() => {
                let message = format!("there is no method {method:?}");
                self.refuse(&id, METHOD_NOT_FOUND, &message);
            }
            // A notification that is not understood is ignored (section 4.1).
            Some(_) => {}
            None => self.answered(&id, message.result, message.error),
        }
    }

    async fn initialize(&self, id: &Value, params: Option<Value>) {
        let params = params.unwrap_or_default();
        let range = |name: &str| params["protocol"][name].as_u64();
        let (least, most) = (range("min").unwrap_or(1), range("max").unwrap_or(1));
        if !(least..=most).contains(&u64::from(PROTOCOL)) {
            let message = format!(
                "this helper speaks protocol {PROTOCOL}, the client {least} to {most}; install \
                 matching versions"
            );
            return self.refuse(id, INVALID_PARAMS, &message);
        }
        *self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner) =
            params["workspace"].as_str().map(PathBuf::from);
        let tools: Vec<Value> = self.definitions.iter().map(definition).collect();
        let mark = self.mark().await;
        self.respond(
            id,
            json!({
                "server": {
                    "name": "openshell",
                    "kind": "openshell-helper",
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "protocol": PROTOCOL,
                "tools": tools,
                "capabilitySnapshotId": self.capabilities,
                "behaviorFingerprint": self.fingerprint(),
                "journalMark": mark,
            }),
        );
    }

    /// The journal's high-water mark; 0 where there is no journal, which the
    /// calls themselves then say.
    async fn mark(&self) -> u64 {
        let supervisor = self.supervisor.clone();
        tokio::task::spawn_blocking(move || {
            supervisor
                .resources()
                .journal()
                .map_or(0, |journal| journal.mark())
        })
        .await
        .unwrap_or(0)
    }

    /// Which policy gives the verdicts: the component and the operator's rules.
    fn fingerprint(&self) -> String {
        let rules = std::fs::read(self.supervisor.resources().paths().policy_file());
        let digest = Sha256::new()
            .chain_update(Engine::component_digest())
            .chain_update(rules.unwrap_or_default())
            .finalize();
        hex(&digest)
    }

    fn start_call(self: Arc<Self>, id: Value, params: Option<Value>, calls: &mut JoinSet<()>) {
        let params: CallParams = match serde_json::from_value(params.unwrap_or_default()) {
            Ok(params) => params,
            Err(error) => return self.refuse(&id, INVALID_PARAMS, &error.to_string()),
        };
        let cancel = CancellationToken::new();
        let name = id.to_string();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.contains_key(&name) {
                drop(running);
                return self.refuse(&id, INVALID_REQUEST, "a call with this id is running");
            }
            running.insert(name.clone(), cancel.clone());
        }
        calls.spawn(async move {
            self.call(&id, params, cancel).await;
            self.running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&name);
        });
    }

    async fn call(self: &Arc<Self>, id: &Value, params: CallParams, cancel: CancellationToken) {
        if let Some(message) = self.stale(&params).await {
            return self.refuse(id, STALE_CLIENT, &message);
        }
        let workspace = self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let request = ToolCall {
            tool: params.name,
            arguments: params.arguments.to_string(),
            door: "bridge",
            session: params.session,
            key: params.key,
            workspace,
            cancel,
        };
        let asker = Arc::new(BridgeAsker {
            bridge: Arc::clone(self),
            call: id.clone(),
        });
        let envelope = self.supervisor.call(request, asker).await;
        let title = match envelope.place() {
            Some(server) => format!("{} {server}", envelope.tool),
            None => envelope.tool.clone(),
        };
        let text = envelope.for_model();
        fault::reach(Point::ReplyBefore);
        let mark = self.mark().await;
        self.respond(
            id,
            json!({
                "envelope": envelope,
                "text": text,
                "title": title,
                "journalMark": mark,
            }),
        );
    }

    /// Why a call that can change something must not be made on what the client
    /// knows; none when it knows the present.
    async fn stale(&self, params: &CallParams) -> Option<String> {
        let reads = self
            .definitions
            .iter()
            .any(|tool| tool.name == params.name && tool.read_only);
        if reads {
            return None;
        }
        let other = |known: &Option<String>, present: &str| {
            known.as_deref().is_some_and(|known| known != present)
        };
        if other(&params.capability_snapshot_id, &self.capabilities) {
            return Some(
                "this helper offers other tools than the one the client started with; start \
                 again with `initialize`"
                    .to_owned(),
            );
        }
        if other(&params.behavior_fingerprint, &self.fingerprint()) {
            return Some(
                "the policy has changed since the client asked for it; start again with \
                 `initialize`"
                    .to_owned(),
            );
        }
        let seen = params.journal_mark?;
        (self.mark().await < seen).then(|| {
            format!(
                "the journal ends before record {seen}, which this client has seen: records are \
                 missing; a person must look at it with `openshell audit verify`"
            )
        })
    }

    fn cancel(&self, params: Option<&Value>) {
        let Some(id) = params.map(|params| params["id"].to_string()) else {
            return;
        };
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = running.get(&id) {
            cancel.cancel();
        }
    }

    fn answered(&self, id: &Value, result: Option<Value>, error: Option<Value>) {
        let waiting = id.as_u64().and_then(|id| {
            self.asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id)
        });
        if let Some(waiting) = waiting {
            let _ = waiting.send(match error {
                Some(error) => Err(error),
                None => Ok(result.unwrap_or_default()),
            });
        }
    }

    fn give_up(&self) {
        for cancel in self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            cancel.cancel();
        }
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Asks the client something and waits for its answer.
    async fn ask(&self, method: &str, params: Value) -> Option<Result<Value, Value>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, sender);
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        receiver.await.ok()
    }
}

/// Carries questions to the client that made the call.
struct BridgeAsker {
    bridge: Arc<Bridge>,
    call: Value,
}

#[async_trait]
impl Asker for BridgeAsker {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Answer {
        let params = question_params(&self.call, question);
        match self.bridge.ask("approvals/ask", params).await {
            None => Answer::Unanswered("the client went away.".to_owned()),
            Some(Err(error)) => Answer::Unanswered(format!(
                "the client could not ask: {}.",
                error["message"].as_str().unwrap_or("no reason given")
            )),
            Some(Ok(answer)) => read_answer(&answer),
        }
    }
}

fn read_answer(answer: &Value) -> Answer {
    let by = match answer["by"].as_str() {
        Some("person") => Answerer::Person,
        Some("rule" | "always") => Answerer::Rule(
            answer["rule"]
                .as_str()
                .or(answer["by"].as_str())
                .unwrap_or_default()
                .to_owned(),
        ),
        Some("auto") => Answerer::Automatic,
        _ => Answerer::Unknown,
    };
    match answer["answer"].as_str() {
        Some("granted") => Answer::Granted(by),
        Some("rejected" | "denied") => {
            Answer::Rejected(by, answer["feedback"].as_str().map(str::to_owned))
        }
        _ => Answer::Unanswered("the client gave no answer that can be understood.".to_owned()),
    }
}

fn question_params(call: &Value, question: &Question) -> Value {
    let mut params = json!({
        "call": call,
        "tool": question.tool,
        "server": question.server,
        "host": question.host,
        "port": question.port,
        "user": question.user,
        "labels": question.labels,
        "scope": question.scope,
        "reason": question.reason,
        "rule": question.rule,
        "simple": false,
        "digest": question.digest,
        "expiresInMs": question.expires_ms,
    });
    let more = match &question.matter {
        Matter::Command {
            shown,
            raw,
            segments,
            cwd,
            timeout_ms,
            simple,
            shell,
        } => json!({
            "kind": "exec",
            "command": shown,
            "rawCommand": raw,
            "segments": segments,
            "cwd": cwd,
            "timeoutMs": timeout_ms,
            "simple": simple,
            "shell": shell,
        }),
        Matter::Read { path, what } => json!({"kind": "read", "path": path, "what": what}),
        Matter::Write {
            path,
            change,
            not_atomic,
        } => json!({
            "kind": "write",
            "path": path,
            "diff": change.diff,
            "summary": change.summary,
            "created": change.created,
            "notAtomic": not_atomic,
        }),
        Matter::Remove { path, change } => json!({
            "kind": "write",
            "path": path,
            "diff": change.diff,
            "summary": change.summary,
            "removed": true,
        }),
    };
    if !question.fleet.is_empty() {
        let servers: Vec<Value> = question.fleet.iter().map(place).collect();
        params["servers"] = json!(servers);
    }
    if !question.besides.is_empty() {
        params["besides"] = json!(question.besides);
    }
    if !question.run_as.is_empty() {
        params["as"] = json!(question.run_as);
    }
    if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
        params.extend(more);
    }
    params
}

/// One server of a question about several.
fn place(place: &Place) -> Value {
    json!({
        "server": place.server,
        "host": place.host,
        "port": place.port,
        "user": place.user,
        "labels": place.labels,
        "scope": place.scope,
    })
}

/// A tool as clients see it.
fn definition(tool: &Definition) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": serde_json::from_str::<Value>(&tool.parameters).unwrap_or_default(),
        "readOnly": tool.read_only,
    })
}

/// Changes when what a client was told of the tools is no longer so.
fn capability_snapshot(definitions: &[Definition]) -> String {
    let mut digest = Sha256::new();
    digest.update(PROTOCOL.to_be_bytes());
    for tool in definitions {
        for part in [&tool.name, &tool.description, &tool.parameters] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
