//! The helper, installed for a bench of its own and spoken to over its bridge.
//!
//! Invariant: the installation is the bench's own, and a failed call ends the run.
//! Nothing is timed beyond a call and its answer.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use openshell_tests::{Cli, Sshd, stamps};
use serde_json::{Value, json};

use crate::measure::milliseconds;

/// Label of the servers that stand at addresses of their own.
pub(crate) const FLEET: &str = "fleet";

/// An installation of the release build with a key.
pub(crate) fn install(helper: &Path) -> Cli {
    // One for the whole run.
    let helper: &'static Path = Box::leak(helper.to_path_buf().into_boxed_path());
    let cli = Cli::of(helper);
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
    stamps: Value,
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
            stamps: Value::Null,
        };
        let hello =
            json!({"client": {"name": "bench", "version": "1"}, "protocol": {"min": 1, "max": 1}});
        let id = bridge.send("initialize", &hello);
        let answer = bridge.read();
        assert_eq!(answer["id"], id, "{answer}");
        bridge.stamps = stamps(&answer["result"]);
        bridge
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One call, which must succeed; how long it took, in ms.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> f64 {
        let (taken, answer) = self.ask(tool, arguments);
        assert_eq!(answer["result"]["envelope"]["status"], "ok", "{answer}");
        taken
    }

    /// One call, whatever becomes of it: how long it took, in ms, and the answer.
    pub(crate) fn ask(&mut self, tool: &str, arguments: &Value) -> (f64, Value) {
        let begun = Instant::now();
        self.begin(tool, arguments);
        let answer = loop {
            let frame = self.read();
            if !self.answer_question(&frame) {
                break frame;
            }
        };
        (milliseconds(begun.elapsed()), answer)
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
        let mut failures = Failures::default();
        for (tool, arguments) in calls {
            let id = self.begin(tool, arguments);
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
                failures.note(&frame);
                waits.push(milliseconds(since.elapsed()));
            }
        }
        failures.must_be_none(calls.len());
        waits
    }

    fn begin(&mut self, tool: &str, arguments: &Value) -> u64 {
        let mut params = self.stamps.clone();
        params["name"] = json!(tool);
        params["arguments"] = arguments.clone();
        self.send("tools/call", &params)
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
        serde_json::from_str(&line).unwrap_or_else(|_| gone(&line, &mut self.child))
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

/// Answers that are no success, by their code: how many, and the first of each.
#[derive(Default)]
struct Failures(BTreeMap<String, (usize, String)>);

impl Failures {
    fn note(&mut self, frame: &Value) {
        let envelope = &frame["result"]["envelope"];
        if envelope["status"] == "ok" {
            return;
        }
        // What the bridge itself refuses is an error of JSON-RPC.
        let (code, message) = match &frame["error"] {
            Value::Null => (&envelope["code"], &envelope["message"]),
            error => (&error["code"], &error["message"]),
        };
        let first = || (0, message.as_str().unwrap_or_default().to_owned());
        self.0.entry(code.to_string()).or_insert_with(first).0 += 1;
    }

    fn must_be_none(&self, all: usize) {
        let told: Vec<String> = self
            .0
            .iter()
            .map(|(code, (count, first))| format!("{count} of {all} failed with {code}: {first}"))
            .collect();
        assert!(told.is_empty(), "{}", told.join("; "));
    }
}

#[expect(
    clippy::panic,
    reason = "a measurement that cannot go on stops and says why"
)]
fn gone(line: &str, child: &mut Child) -> ! {
    panic!(
        "the helper said {line:?}, which is no answer; it ended: {:?}",
        child.try_wait()
    )
}

/// Memory of a process in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What it holds now, the pages of its program that are in use included.
    pub(crate) resident: f64,
    /// Of that, what is no page of a file.
    pub(crate) own: f64,
    /// The most it ever held.
    pub(crate) most: f64,
}

/// What a process holds once it has come to rest: what a call leaves to be done
/// beside it, such as the next spare shell, is done then.
pub(crate) fn memory_at_rest(pid: u32) -> Memory {
    const LOOKS: usize = 40;
    const STILL: usize = 4;
    let mut now = memory(pid);
    let mut still = 0;
    for _ in 0..LOOKS {
        std::thread::sleep(Duration::from_millis(250));
        let next = memory(pid);
        let moved = (next.resident - now.resident).abs() > now.resident / 200.0;
        still = if moved { 0 } else { still + 1 };
        now = next;
        if still >= STILL {
            break;
        }
    }
    now
}

/// What a process holds at this moment.
pub(crate) fn memory(pid: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok())
            .unwrap_or(f64::NAN)
    };
    Memory {
        resident: field("VmRSS:"),
        own: field("RssAnon:"),
        most: field("VmHWM:"),
    }
}
