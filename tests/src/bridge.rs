//! A client of `openshell bridge` that grants whatever it is asked.
//!
//! Invariant: every frame the helper sends is read, so that it never waits for
//! its client; what is asked is granted at once, as a person would; every call says
//! what the helper said of itself when it began. It
//! deliberately knows no tool: a call is a name and arguments, its result the
//! envelope.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How long an answer may take; only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running bridge. Dropping it ends it.
#[derive(Debug)]
pub struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    frames: Receiver<Value>,
    next: u64,
    questions: Vec<Value>,
    texts: Vec<String>,
    /// What calls must say; empty where the helper ended before it said so.
    stamps: Value,
}

/// What a call that can change something must say, as the answer to `initialize`
/// (its `result`) says it.
#[must_use]
pub fn stamps(hello: &Value) -> Value {
    let names = ["capabilitySnapshotId", "behaviorFingerprint", "journalMark"];
    let said = names.map(|name| (name.to_owned(), hello[name].clone()));
    Value::Object(said.into_iter().collect())
}

/// The envelope in a result as a model reads it: a line of its own, with what else a
/// client or the helper says before and behind it. Null where there is none.
#[must_use]
pub fn envelope_in(text: &str) -> Value {
    let mut lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .find_map(|line| serde_json::from_str(line).ok())
        .unwrap_or_default()
}

/// One tool call.
#[derive(Debug, Clone)]
pub struct BridgeCall {
    /// Name of the tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
    /// Idempotency key.
    pub key: Option<String>,
    /// The agent's session it belongs to.
    pub session: String,
    /// Whether the client says that it only plans.
    pub planning: bool,
}

impl BridgeCall {
    /// A call of the session `tests`.
    #[must_use]
    pub fn new(tool: &str, arguments: Value, key: Option<&str>) -> Self {
        Self {
            tool: tool.to_owned(),
            arguments,
            key: key.map(str::to_owned),
            session: "tests".to_owned(),
            planning: false,
        }
    }
}

impl Bridge {
    /// Starts a bridge from a prepared command line.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the helper can be run");
        let input = child.stdin.take();
        let output = child.stdout.take().expect("stdout was asked for");
        let (sender, frames) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let frame = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                let Some(frame) = frame else { return };
                if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        let mut bridge = Self {
            child,
            input,
            frames,
            next: 0,
            questions: Vec::new(),
            texts: Vec::new(),
            stamps: json!({}),
        };
        let hello =
            json!({"client": {"name": "tests", "version": "1"}, "protocol": {"min": 1, "max": 1}});
        bridge.send("initialize", &hello);
        // A helper that ended says nothing, which its first call finds out.
        if let Some(answer) = bridge.receive() {
            bridge.stamps = stamps(&answer["result"]);
        }
        bridge
    }

    /// Process id of the helper.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes one call and waits for its envelope; none when the helper ended.
    pub fn call(&mut self, tool: &str, arguments: &Value, key: Option<&str>) -> Option<Value> {
        let call = BridgeCall::new(tool, arguments.clone(), key);
        self.calls(vec![call], 1).pop().flatten()
    }

    /// Makes calls, so many at a time, and waits for all envelopes, in order.
    ///
    /// # Panics
    /// When an answer takes longer than any can.
    pub fn calls(&mut self, calls: Vec<BridgeCall>, at_once: usize) -> Vec<Option<Value>> {
        let mut results = vec![None; calls.len()];
        let mut waiting = HashMap::new();
        let mut calls = calls.into_iter().enumerate();
        loop {
            while waiting.len() < at_once
                && let Some((index, call)) = calls.next()
            {
                let mut params = self.stamps.clone();
                params["name"] = json!(call.tool);
                params["arguments"] = call.arguments;
                params["key"] = json!(call.key);
                params["session"] = json!(call.session);
                if call.planning {
                    params["planning"] = json!(true);
                }
                waiting.insert(self.send("tools/call", &params), index);
            }
            if waiting.is_empty() {
                return results;
            }
            let Some(frame) = self.receive() else {
                return results;
            };
            if frame["method"] == "approvals/ask" {
                self.questions.push(frame["params"].clone());
                let answer = json!({"answer": "granted", "by": "person"});
                self.write(&json!({"jsonrpc": "2.0", "id": frame["id"], "result": answer}));
            } else if let Some(index) = frame["id"].as_u64().and_then(|id| waiting.remove(&id)) {
                let envelope = match frame.get("error") {
                    Some(error) => json!({"status": "error", "code": "RPC", "message": error}),
                    None => frame["result"]["envelope"].clone(),
                };
                let text = frame["result"]["text"].as_str();
                self.texts.extend(text.map(str::to_owned));
                results[index] = Some(envelope);
            }
        }
    }

    /// Everything it was asked so far.
    #[must_use]
    pub fn questions(&self) -> &[Value] {
        &self.questions
    }

    /// The results so far as a model reads them, in the order they came.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Ends the input and waits for the helper to end.
    pub fn finish(mut self) {
        self.input = None;
        let _ = self.child.wait();
    }

    /// The next frame; none when the helper ended.
    fn receive(&mut self) -> Option<Value> {
        match self.frames.recv_timeout(PATIENCE) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                unanswered()
            }
        }
    }

    fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    fn write(&mut self, frame: &Value) {
        if let Some(input) = &mut self.input {
            // A helper that ended is noticed by the end of its output.
            let _ = writeln!(input, "{frame}");
        }
    }
}

#[expect(
    clippy::panic,
    reason = "a helper that hangs must stop the test and say so"
)]
fn unanswered() -> ! {
    panic!("the bridge gave no answer within {PATIENCE:?}")
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The end of its input is how a helper is ended; killing covers a hang.
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
