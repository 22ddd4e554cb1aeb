//! The bridge: JSON-RPC 2.0, one JSON object a line, in both directions.
//!
//! The client calls tools; the helper asks the client's person. Invariants:
//! malformed input is answered and never fatal; a frame is bounded; when the
//! input ends, every running effect is ended and recorded before the process
//! exits. What may happen is not decided here.
//! `docs/bridge-protocol.md` describes it for whoever writes a client.

mod ask;
mod calls;
mod frames;
mod hello;
mod notes;
mod protocol;
mod stale;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use ulid::Ulid;

use crate::approvals::{Origin, escape_line};
use crate::engine::EngineError;
use crate::engine::contract::Definition;
use crate::supervisor::Supervisor;
use calls::Running;
use frames::write_frames;
pub(super) use frames::{FRAME_MAX, Frame, read_frame};
use protocol::{INVALID_REQUEST, METHOD_NOT_FOUND, Message, capability_snapshot};

/// How long running calls get to end and be recorded after the input ended.
const FAREWELL: Duration = Duration::from_millis(1_800);
/// How long the last frames may take to be written after that.
const LAST_FRAMES: Duration = Duration::from_millis(100);
// A person who closes a client is promised its end within two seconds.
const _: () = assert!(FAREWELL.as_millis() + LAST_FRAMES.as_millis() < 2_000);

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

/// What the bridge is told by whoever opens it.
#[derive(Debug, Clone, Default)]
pub struct BridgeOptions {
    /// How long an effect may last before its client hears of it, and how often it
    /// hears from then on; 10 s where nothing is said.
    pub progress_every: Option<Duration>,
    /// How long running calls may take to end and be recorded after the input ended;
    /// 1.8 s where nothing is said.
    pub farewell: Option<Duration>,
}

/// Serves one client until its input ends.
///
/// # Errors
/// [`BridgeError`] when input or output fail; a mistake of the client is answered.
pub async fn serve_bridge(
    supervisor: Supervisor,
    options: BridgeOptions,
    input: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> Result<(), BridgeError> {
    let definitions = supervisor.engine().definitions().await?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write_frames(output, receiver));
    let bridge = Arc::new(Bridge {
        capabilities: capability_snapshot(&definitions),
        instance: Ulid::generate().to_string(),
        supervisor,
        options,
        definitions,
        sender,
        next_id: AtomicU64::new(1),
        asked: Mutex::new(HashMap::new()),
        running: Mutex::new(HashMap::new()),
        client: Mutex::new(None),
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
    let _ = tokio::time::timeout(bridge.options.farewell.unwrap_or(FAREWELL), async {
        while calls.join_next().await.is_some() {}
    })
    .await;
    bridge.supervisor.resources().close().await;
    drop(bridge);
    calls.abort_all();
    let _ = tokio::time::timeout(LAST_FRAMES, writer).await;
    Ok(read?)
}

/// Whom the helper talks to.
#[derive(Clone)]
struct Client {
    /// Name and version as it gave them, escaped.
    name: Option<String>,
    /// Folder it works in.
    workspace: Option<PathBuf>,
}

struct Bridge {
    supervisor: Supervisor,
    options: BridgeOptions,
    definitions: Vec<Definition>,
    capabilities: String,
    /// Tells this process from the one that takes its place.
    instance: String,
    sender: mpsc::UnboundedSender<Value>,
    next_id: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>,
    running: Mutex<HashMap<String, Running>>,
    /// None until it introduced itself.
    client: Mutex<Option<Client>>,
}

impl Bridge {
    fn client(&self) -> Option<Client> {
        self.client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where a question of this client comes from, as a person reads it.
    fn origin(&self) -> Origin {
        let client = self.client();
        let (client, workspace) = client.map_or((None, None), |client| {
            let folder = client.workspace.as_deref();
            let folder = folder.map(|folder| escape_line(&folder.display().to_string()));
            (client.name, folder)
        });
        Origin {
            door: "bridge".to_owned(),
            client,
            workspace,
        }
    }

    fn send(&self, frame: Value) {
        // A closed output means the client is gone; the end of the input, which
        // follows, is what is acted on.
        let _ = self.sender.send(frame);
    }

    fn respond(&self, id: &Value, result: Value) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn refuse(&self, id: &Value, code: i32, message: &str) {
        let error = json!({"code": code, "message": message});
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
        let message = match Message::read(&line) {
            Ok(message) => message,
            Err((id, code, what)) => return self.refuse(&id, code, &what),
        };
        let Some(method) = message.method.as_deref() else {
            return match message.id {
                Some(id) => self.answered(&id, message.result, message.error),
                None => self.refuse(
                    &Value::Null,
                    INVALID_REQUEST,
                    "a message has a method or an id",
                ),
            };
        };
        match (method, message.id) {
            ("$/cancel", None) => self.cancel(message.params.as_ref()),
            ("$/renew", None) => self.renew(message.params.as_ref()),
            // A notification that is not understood is ignored (section 4.1).
            (_, None) => {}
            ("initialize", Some(id)) => {
                if self.meet(&id, message.params) {
                    calls.spawn(async move { self.introduce(&id).await });
                }
            }
            ("tools/call", Some(id)) => self.start_call(id, message.params, calls),
            ("ping", Some(id)) => self.respond(&id, json!({})),
            (method @ ("$/cancel" | "$/renew"), Some(id)) => {
                let message = format!("{method:?} is a notification: leave the id out");
                self.refuse(&id, INVALID_REQUEST, &message);
            }
            (method, Some(id)) => {
                let message = format!("there is no method {method:?}");
                self.refuse(&id, METHOD_NOT_FOUND, &message);
            }
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
        for running in self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            running.cancel.cancel();
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
        let mut open = OpenQuestion {
            bridge: self,
            id: Some(id),
        };
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = receiver.await.ok();
        open.id = None;
        answer
    }
}

/// A question nobody has answered. Whoever stops waiting for the answer takes the
/// question back, so that nobody answers it in vain.
struct OpenQuestion<'a> {
    bridge: &'a Bridge,
    id: Option<u64>,
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut asked = self
            .bridge
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if asked.remove(&id).is_some() {
            drop(asked);
            let params = json!({"id": id});
            self.bridge
                .send(json!({"jsonrpc": "2.0", "method": "$/cancel", "params": params}));
        }
    }
}
