//! MCP clients that are not ours: raw lines, and the official TypeScript SDKs.
//!
//! The raw client sends exactly what a test wants to send. The SDKs are what other
//! agents are made of; they are installed by `cargo xtask test`, and a test says
//! aloud that it was skipped where they are not. Invariant: what a client sent and
//! got is passed on as it was. Nothing of the answers is judged here.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot work must stop the test and say why"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Cli, binary};

/// Longest wait for something that must come; only a failed test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// `openshell mcp` with a client that writes lines.
#[derive(Debug)]
pub struct RawMcp {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// Frames that came before the one somebody waited for.
    early: Vec<Value>,
}

impl RawMcp {
    /// Starts the server.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn start(cli: &Cli) -> Self {
        let mut child = cli
            .command(["mcp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary().display()));
        let output = BufReader::new(child.stdout.take().expect("stdout was asked for"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            early: Vec::new(),
        }
    }

    /// Starts the server and opens a session of a protocol revision, with these
    /// capabilities.
    ///
    /// # Panics
    /// When the session does not come about.
    #[must_use]
    pub fn session(cli: &Cli, version: &str, capabilities: &Value) -> (Self, Value) {
        let mut mcp = Self::start(cli);
        mcp.send(
            &json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
                "protocolVersion": version,
                "capabilities": capabilities,
                "clientInfo": {"name": "raw", "version": "1"},
            }}),
        );
        let hello = mcp.response(&json!("hello"));
        mcp.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        (mcp, hello["result"].clone())
    }

    /// Sends one message.
    pub fn send(&mut self, message: &Value) {
        self.send_bytes(format!("{message}\n").as_bytes());
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the server does not read any more.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input
            .write_all(bytes)
            .and_then(|()| input.flush())
            .expect("the server reads");
    }

    /// Asks for a tool call and returns at once.
    pub fn begin(&mut self, id: &Value, tool: &str, arguments: &Value) {
        self.send(
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
                "name": tool,
                "arguments": arguments,
            }}),
        );
    }

    /// The next message.
    ///
    /// # Panics
    /// When none comes.
    pub fn next_frame(&mut self) -> Value {
        let line = self
            .lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("no message came: {error}; so far {:?}", self.early));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The response to a request.
    ///
    /// # Panics
    /// When none comes.
    pub fn response(&mut self, id: &Value) -> Value {
        let is_it = |frame: &Value| frame["id"] == *id && frame.get("method").is_none();
        if let Some(index) = self.early.iter().position(is_it) {
            return self.early.remove(index);
        }
        loop {
            let frame = self.next_frame();
            if is_it(&frame) {
                return frame;
            }
            self.early.push(frame);
        }
    }

    /// Process id of the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the input and returns how the server ended, and after what time.
    ///
    /// # Panics
    /// When it does not end.
    pub fn hang_up(&mut self) -> (ExitStatus, Duration) {
        drop(self.input.take());
        let started = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return (status, started.elapsed()),
                Ok(None) if started.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(5));
                }
                other => panic!("the server did not end: {other:?}"),
            }
        }
    }
}

impl Drop for RawMcp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
}

/// Where `cargo xtask test` installs the SDKs.
fn sdk_modules() -> PathBuf {
    repository().join(".cache/mcp/node_modules")
}

/// Runs a session of an official TypeScript SDK against `openshell mcp` of an
/// installation, as `tests/mcp/client.mjs` describes, and returns what it saw.
/// `None`, said aloud, where Node.js or the SDK is missing.
///
/// # Panics
/// When the session ends in an error.
#[must_use]
pub fn sdk_session(cli: &Cli, sdk: &str, plan: &Value) -> Option<Value> {
    let package = if sdk == "v1" { "sdk" } else { "client" };
    let node = Command::new("node").arg("--version").output();
    if node.is_err()
        || !sdk_modules()
            .join("@modelcontextprotocol")
            .join(package)
            .exists()
    {
        eprintln!("skipped: @modelcontextprotocol/{package} and Node.js are needed");
        return None;
    }
    let server = cli.command(["mcp"]);
    let environment: serde_json::Map<String, Value> = server
        .get_envs()
        .filter_map(|(name, value)| {
            let value = value?.to_str()?.to_owned();
            Some((name.to_str()?.to_owned(), Value::from(value)))
        })
        .collect();
    let mut plan = plan.clone();
    plan["sdk"] = json!(sdk);
    plan["modules"] = json!(sdk_modules());
    plan["command"] = json!([binary(), "mcp"]);
    plan["env"] = Value::Object(environment);
    plan["cwd"] = json!(cli.home());
    let output = Command::new("node")
        .arg(repository().join("tests/mcp/client.mjs"))
        .arg(plan.to_string())
        .output()
        .expect("node was found above");
    let text = String::from_utf8_lossy(&output.stdout);
    Some(serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    }))
}
