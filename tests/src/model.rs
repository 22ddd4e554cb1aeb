//! A language model that plays a script.
//!
//! It speaks as much of the OpenAI chat completions API (streamed
//! `chat.completion.chunk` objects) as OpenCode needs, and keeps every request, so
//! that a test sees exactly what a model would see. Invariant: it never decides
//! anything: when the script is over it says a closing word.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use crate::secrets::Run;

/// One answer of the model.
#[derive(Debug, Clone)]
pub enum Step {
    /// Says this and ends its turn.
    Text(String),
    /// Calls these tools (name, arguments) and waits for their results.
    Tools(Vec<(String, Value)>),
}

impl Step {
    /// Says `text` and ends the turn.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// Calls one tool.
    pub fn tool(name: &str, arguments: Value) -> Self {
        Self::Tools(vec![(name.to_owned(), arguments)])
    }
}

/// A running model. It ends with the process; an idle listener harms nobody.
#[derive(Debug)]
pub struct ScriptedModel {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: Mutex<VecDeque<Step>>,
    requests: Mutex<Vec<Value>>,
    calls: AtomicU64,
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        if let Some(run) = Run::current() {
            let requests = Value::from(self.requests()).to_string();
            run.transcript("what a model was sent", &[requests.as_bytes()]);
        }
    }
}

impl ScriptedModel {
    /// Starts a model on a free loopback port.
    #[must_use]
    pub fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let state = Arc::new(State::default());
        state
            .steps
            .lock()
            .expect("nobody holds it yet")
            .extend(steps);
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                // A client that hangs up early concerns only its own connection.
                thread::spawn(move || drop(state.serve(&stream)));
            }
        });
        Self { port, state }
    }

    /// Base URL for an `@ai-sdk/openai-compatible` provider.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Appends to the script, for the next prompt.
    pub fn then(&self, step: Step) {
        lock(&self.state.steps).push_back(step);
    }

    /// Every request that offered tools, oldest first, as the JSON it was.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        lock(&self.state.requests).clone()
    }

    /// What the model was told its tool calls resulted in, oldest first.
    #[must_use]
    pub fn tool_results(&self) -> Vec<String> {
        let requests = self.requests();
        let Some(messages) = requests.last().and_then(|last| last["messages"].as_array()) else {
            return Vec::new();
        };
        messages
            .iter()
            .filter(|message| message["role"] == "tool")
            .map(|message| plain(&message["content"]))
            .collect()
    }

    /// The definition under which a tool was offered in the last request.
    #[must_use]
    pub fn offered(&self, tool: &str) -> Option<Value> {
        let requests = self.requests();
        let tools = requests.last()?["tools"].as_array()?;
        let found = tools
            .iter()
            .find(|offer| offer["function"]["name"] == tool)?;
        Some(found["function"].clone())
    }
}

impl State {
    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let body = read_request(&mut reader)?;
        let request: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        // OpenCode also has the model invent session titles, without any tool.
        let step = if request["tools"]
            .as_array()
            .is_some_and(|tools| !tools.is_empty())
        {
            lock(&self.requests).push(request);
            lock(&self.steps)
                .pop_front()
                .unwrap_or_else(|| Step::text("That is all."))
        } else {
            Step::text("A scripted session")
        };
        let mut out = stream;
        out.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
        )?;
        for chunk in self.chunks(&step) {
            write!(out, "data: {chunk}\n\n")?;
        }
        out.write_all(b"data: [DONE]\n\n")?;
        out.flush()
    }

    fn chunks(&self, step: &Step) -> Vec<Value> {
        let (delta, reason) = match step {
            Step::Text(text) => (json!({"role": "assistant", "content": text}), "stop"),
            Step::Tools(calls) => {
                let calls: Vec<Value> = calls
                    .iter()
                    .enumerate()
                    .map(|(index, (name, arguments))| {
                        let id = self.calls.fetch_add(1, Ordering::Relaxed);
                        json!({
                            "index": index, "id": format!("call_{id}"), "type": "function",
                            "function": {"name": name, "arguments": arguments.to_string()},
                        })
                    })
                    .collect();
                (
                    json!({"role": "assistant", "content": null, "tool_calls": calls}),
                    "tool_calls",
                )
            }
        };
        let chunk = |choices: Value| {
            json!({
                "id": "chatcmpl-scripted", "object": "chat.completion.chunk",
                "created": 0, "model": "scripted", "choices": choices,
            })
        };
        let mut last = chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}]));
        last["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
        vec![
            chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}])),
            last,
        ]
    }
}

/// Reads one HTTP/1.1 request and returns its body (RFC 9112, section 6: a
/// length, or chunks).
fn read_request(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    let mut chunked = false;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= line.starts_with("transfer-encoding:") && line.ends_with("chunked");
    }
    if !chunked {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        return Ok(body);
    }
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let mut part = vec![0; size + 2];
        reader.read_exact(&mut part)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&part[..size]);
    }
}

/// Message content comes as a string or as a list of typed parts.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        other => other.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is inside stays a plain list even if a test thread panicked with it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
