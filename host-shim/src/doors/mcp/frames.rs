//! Lines in, lines out: the transport under `rmcp`.
//!
//! It exists because `rmcp`'s own says nothing to what is no JSON and nothing to a
//! line that is too long, and because the calls have to know of the input's end
//! before the service loop does. A task of its own reads, so that being interrupted
//! in the middle of a line loses nothing. Invariant: a line that is no message gets
//! an answer, and the line after it is read as what it is. What a message asks for
//! is not looked at.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::service::RoleServer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::doors::bridge::{FRAME_MAX, Frame, read_frame};

/// Frames that are read ahead of the service loop.
const READ_AHEAD: usize = 4;

/// JSON-RPC 2.0, section 5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// The two streams of one client.
pub(super) struct Frames {
    incoming: tokio::sync::Mutex<mpsc::Receiver<Frame>>,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    ended: CancellationToken,
    /// Requests that have no response yet.
    open: Mutex<HashSet<RequestId>>,
}

impl Frames {
    /// Starts reading and writing. The handle ends once everything is written and
    /// the frames are dropped.
    pub(super) fn start(
        input: impl AsyncRead + Unpin + Send + 'static,
        output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let ended = CancellationToken::new();
        let (sender, incoming) = mpsc::channel(READ_AHEAD);
        tokio::spawn(read(input, sender, ended.clone()));
        let (outgoing, lines) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write(output, lines));
        let frames = Self {
            incoming: tokio::sync::Mutex::new(incoming),
            outgoing,
            ended,
            open: Mutex::new(HashSet::new()),
        };
        (Arc::new(frames), writer)
    }

    /// Fires when the input has ended.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<RequestId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: &ServerJsonRpcMessage) -> std::io::Result<()> {
        let answered = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = answered {
            self.open().remove(id);
        }
        self.write(&serde_json::to_value(message)?);
        Ok(())
    }

    fn write(&self, message: &Value) {
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        // A closed output means the client is gone; the end of the input, which
        // follows, is what is acted on.
        let _ = self.outgoing.send(line);
    }

    fn refuse(&self, id: Value, code: i32, message: &str) {
        self.write(&json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": {"code": code, "message": message},
        }));
    }

    async fn receive(&self) -> Option<ClientJsonRpcMessage> {
        loop {
            let frame = self.incoming.lock().await.recv().await?;
            let line = match frame {
                Frame::Line(line) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Frame::Line(line) => line,
                Frame::TooLong => {
                    let message = format!("a frame may have at most {FRAME_MAX} bytes");
                    self.refuse(Value::Null, INVALID_REQUEST, &message);
                    continue;
                }
            };
            if let Some(message) = self.parse(&line) {
                return Some(message);
            }
        }
    }

    /// A message, or none where what came is no message and was answered so.
    fn parse(&self, line: &[u8]) -> Option<ClientJsonRpcMessage> {
        let value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => {
                self.refuse(Value::Null, PARSE_ERROR, &error.to_string());
                return None;
            }
        };
        let id = value.get("id").cloned();
        let is_request = value.get("method").is_some();
        let message: ClientJsonRpcMessage = match serde_json::from_value(value) {
            Ok(message) => message,
            // A notification or a response that is not understood is ignored
            // (section 4.1); a request, or what is neither, is not.
            Err(_) if is_request != id.is_some() => return None,
            Err(_) => {
                let message = "this is not a JSON-RPC 2.0 message as MCP knows them";
                self.refuse(id.unwrap_or_default(), INVALID_REQUEST, message);
                return None;
            }
        };
        if let JsonRpcMessage::Request(request) = &message
            && !self.open().insert(request.id.clone())
        {
            let message = "a request with this id has no response yet";
            self.refuse(id.unwrap_or_default(), INVALID_REQUEST, message);
            return None;
        }
        if let JsonRpcMessage::Notification(notification) = &message
            && let rmcp::model::ClientNotification::CancelledNotification(cancelled) =
                &notification.notification
            && let Some(id) = &cancelled.params.request_id
        {
            // It gets no response.
            self.open().remove(id);
        }
        Some(message)
    }
}

async fn read(
    input: impl AsyncRead + Unpin,
    sender: mpsc::Sender<Frame>,
    ended: CancellationToken,
) {
    let mut input = BufReader::new(input);
    // A failed read ends the input like its end does.
    while let Ok(Some(frame)) = read_frame(&mut input).await {
        if sender.send(frame).await.is_err() {
            break;
        }
    }
    ended.cancel();
}

async fn write(mut output: impl AsyncWrite + Unpin, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

/// One attempt at a session over the frames.
pub(super) struct Transport {
    frames: Option<Arc<Frames>>,
}

impl Transport {
    pub(super) fn of(frames: &Arc<Frames>) -> Self {
        Self {
            frames: Some(Arc::clone(frames)),
        }
    }
}

impl rmcp::transport::Transport<RoleServer> for Transport {
    type Error = std::io::Error;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let sent = match &self.frames {
            Some(frames) => frames.send(&item),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        };
        std::future::ready(sent)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.frames.as_ref()?.receive().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.frames = None;
        Ok(())
    }
}
