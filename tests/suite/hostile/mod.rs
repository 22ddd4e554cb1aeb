//! Servers that lie in every field, against the whole product: what the command
//! says is clear, holds no escape, and costs a bounded amount of memory.
//!
//! `handshake` is plain TCP, `session` is SSH by the library's server half, `files`
//! answers SFTP byte by byte, `waiting` answers nothing at all, and `handles` counts.
//!
//! Invariant of the fixture: a call that writes an escape to the terminal or takes
//! more memory than its limit fails the test, whatever its result. Nothing is tried
//! against a real server.

mod files;
mod handles;
mod handshake;
mod session;
mod sftp;
mod ssh;
mod waiting;

use openshell_host::approvals::escape_text;
use openshell_tests::{Cli, Output, finish_watched, ssh_keygen};
use serde_json::Value;

/// What a terminal must never be sent: a title, a cleared screen, the one-byte
/// form of an escape, and text that runs backwards.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}live";

/// Most memory a call may take, in KiB. A debug build needs a fifth of it; a
/// server that decides how much would pass it within a second.
const MEMORY_KIB: u64 = 400 << 10;

/// An installation that knows a server on a port, by a password.
struct Victim {
    cli: Cli,
}

impl Victim {
    /// With the host key that the server will prove, or with any other.
    fn of(port: u16, host_key: Option<&str>) -> Self {
        let cli = Cli::new();
        let key = match host_key {
            Some(key) => key.to_owned(),
            None => {
                let path = cli.dir().join("some-key");
                ssh_keygen(&path, "ed25519", "");
                std::fs::read_to_string(path.with_extension("pub")).expect("just made")
            }
        };
        let words = [
            "server",
            "add",
            "liar",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--user",
            "anybody",
            "--password-stdin",
            "--host-key",
            key.trim(),
        ];
        let added = cli.run_stdin(words, "a password\n");
        assert_eq!(added.status, 0, "{added:?}");
        Self { cli }
    }

    /// One call of a tool, of which nothing may reach a terminal raw, and which
    /// may not take more memory than its limit.
    #[track_caller]
    fn call(&self, tool: &str, mut arguments: Value) -> Output {
        arguments["server"] = "liar".into();
        let words = ["call", tool, &arguments.to_string(), "--yes"];
        let (output, memory) = finish_watched(self.cli.start(words));
        for text in [&output.stdout, &output.stderr] {
            assert_eq!(escape_text(text), *text, "{tool} {arguments}");
        }
        assert!(
            memory < MEMORY_KIB,
            "{tool} {arguments} took {memory} KiB: {output:?}"
        );
        output
    }
}

/// Asserts a code and that the message says something.
#[track_caller]
fn says(what: &str, output: &Output, code: &str, text: &str) {
    let envelope = output.json();
    assert_eq!(envelope["code"], code, "{what}: {output:?}");
    let message = envelope["message"].as_str().unwrap_or_default();
    assert!(message.contains(text), "{what}: {message}");
    assert!(message.len() < 2000, "{what}: {} bytes", message.len());
}
