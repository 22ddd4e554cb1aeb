//! The helper, installed for a bench of its own and spoken to over its bridge.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use openshell_tests::{Cli, Sshd};
use serde_json::{Value, json};

use crate::measure::milliseconds;

/// Label of the servers that stand at addresses of their own.
pub(crate) const FLEET: &str = "fleet";

/// An installation of the release build with a key.
pub(crate) fn install(helper: &Path) -> Cli {
    // One for the whole run.
    let helper: &'static Path = Box::leak(helper.to_path_buf().into_boxed_path());
    let mut cli = Cli::of(helper);
    // Hundreds of logins share two processors with everything they log in to.
    cli.set_env("OPENSHELL_CONNECT_TIMEOUT_MS", "120000");
    let made = cli.run(["key", "init", "--file", &cli.key_file().to_string_lossy()]);
    assert_eq!(made.status, 0, "key init: {made:?}");
    cli
}

/// Registers a server at another loopback address than the fixture's own.
pub(crate) fn enrol_at(cli: &Cli, server: &Sshd, id: &str, host: &str, port: u16) {
    let identity = server.client_key_path();
    let added = cli.run([
        "server",
        "add",
        id,
        "--host",
        host,
        "--port",
        &port.to_string(),
        "--user",
        server.user(),
        "--identity",
        &identity.to_string_lossy(),
        "--host-key",
        &server.host_key_line(),
        "--label",
        FLEET,
    ]);
    assert_eq!(added.status, 0, "server add: {added:?}");
}

/// A running bridge whose every question is answered with yes.
pub(crate) struct Bridge {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Bridge {
    pub(crate) fn start(cli: &Cli) -> Self {
        let mut child = cli
            .command(["bridge"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the helper runs");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut bridge = Self {
            child,
            input,
            output,
            next: 0,
        };
        let hello =
            json!({"client": {"name": "bench", "version": "1"}, "protocol": {"min": 1, "max": 1}});
        let id = bridge.send("initialize", &hello);
        let answer = bridge.read();
        assert_eq!(answer["id"], id, "{answer}");
        bridge
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One call, which must succeed; how long it took, in ms.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> f64 {
        let begun = Instant::now();
        self.send("tools/call", &json!({"name": tool, "arguments": arguments}));
        let answer = loop {
            let frame = self.read();
            if !self.answer_question(&frame) {
                break frame;
            }
        };
        let taken = milliseconds(begun.elapsed());
        assert_eq!(answer["result"]["envelope"]["status"], "ok", "{answer}");
        taken
    }

    /// Calls at once, all of which must succeed; how long each waited, in ms.
    /// `under_way` is called once, when so many answers are still missing.
    pub(crate) fn calls(
        &mut self,
        calls: &[(String, Value)],
        missing: usize,
        mut under_way: impl FnMut(),
    ) -> Vec<f64> {
        let mut begun = HashMap::new();
        let mut waits = Vec::new();
        for (tool, arguments) in calls {
            let id = self.send("tools/call", &json!({"name": tool, "arguments": arguments}));
            begun.insert(id, Instant::now());
        }
        let mut seen = false;
        while !begun.is_empty() {
            if !seen && begun.len() <= missing {
                seen = true;
                under_way();
            }
            let frame = self.read();
            if self.answer_question(&frame) {
                continue;
            }
            if let Some(since) = frame["id"].as_u64().and_then(|id| begun.remove(&id)) {
                assert_eq!(frame["result"]["envelope"]["status"], "ok", "{frame}");
                waits.push(milliseconds(since.elapsed()));
            }
        }
        waits
    }

    fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let frame = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        writeln!(self.input, "{frame}").expect("the helper reads");
        self.next
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the helper answers");
        serde_json::from_str(&line).expect("an answer is JSON")
    }

    fn answer_question(&mut self, frame: &Value) -> bool {
        if frame["method"] != "approvals/ask" {
            return false;
        }
        let answer = json!({"answer": "granted", "by": "person"});
        let frame = json!({"jsonrpc": "2.0", "id": frame["id"], "result": answer});
        writeln!(self.input, "{frame}").expect("the helper reads");
        true
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The end of its input is how a helper is ended; killing covers a hang.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process in KiB: what it holds now, and the most it ever held.
pub(crate) fn memory(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok())
            .unwrap_or(f64::NAN)
    };
    (field("VmRSS:"), field("VmHWM:"))
}
