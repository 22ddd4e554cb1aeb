//! A helper that keeps running while the operator changes things beside it: it
//! goes by what is on disk at each call.
//!
//! They prove that no setting of the past outlives its change. Restarting the
//! helper is not tried: nobody should need it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use openshell_tests::{Cli, Sshd, SshdOptions, stamps};
use serde_json::{Value, json};

use crate::cli_support::{Rig, add};

/// A client of the bridge that asks one thing at a time and answers no question.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: u64,
    /// What calls must say.
    stamps: Value,
    /// The questions that were put.
    asked: Vec<Value>,
}

impl Client {
    fn start(cli: &Cli, workspace: Option<&Path>) -> Self {
        let mut child = cli
            .command(["bridge"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the helper can be run");
        let output = child.stdout.take().expect("stdout was asked for");
        let mut client = Self {
            input: child.stdin.take(),
            output: BufReader::new(output),
            child,
            next: 0,
            stamps: Value::Null,
            asked: Vec::new(),
        };
        let hello = json!({"protocol": {"min": 1, "max": 1}, "workspace": workspace});
        let greeted = client.ask("initialize", &hello);
        assert_eq!(greeted["server"]["name"], "openshell", "{greeted}");
        client.stamps = stamps(&greeted);
        client
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("the helper speaks");
            assert_ne!(read, 0, "the helper ended");
            let frame: Value = serde_json::from_str(&line).expect("a frame is JSON");
            if frame["method"] == "approvals/ask" {
                self.asked.push(frame["params"].clone());
                let answer = json!({"answer": "rejected", "by": "person"});
                self.write(&json!({"jsonrpc": "2.0", "id": frame["id"], "result": answer}));
            } else if frame["id"] == id {
                return frame["result"].clone();
            }
        }
    }

    fn write(&mut self, frame: &Value) {
        let input = self.input.as_mut().expect("it is open until the end");
        writeln!(input, "{frame}").expect("the helper reads");
    }

    /// The envelope of a call.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let mut params = self.stamps.clone();
        params["name"] = json!(tool);
        params["arguments"] = arguments;
        params["session"] = json!("s");
        self.ask("tools/call", &params)["envelope"].clone()
    }

    fn uptime(&mut self, id: &str) -> Value {
        self.call("remote_exec", json!({"server": id, "command": "uptime"}))
    }

    fn ids(&mut self) -> Vec<String> {
        let envelope = self.call("list_servers", json!({}));
        let servers = envelope["data"]["servers"].as_array().expect("an array");
        servers
            .iter()
            .map(|server| server["id"].as_str().expect("text").to_owned())
            .collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

#[track_caller]
fn is(envelope: &Value, code: &str) {
    assert_eq!(
        envelope["code"].as_str().unwrap_or_default(),
        code,
        "{envelope}"
    );
}

fn must(cli: &Cli, words: &[&str]) {
    let done = cli.run(words);
    assert_eq!(done.status, 0, "{words:?}: {done:?}");
}

#[test]
fn servers_come_and_go_under_a_running_helper() {
    let rig = Rig::start();
    let mut client = Client::start(&rig.cli, None);
    is(&client.uptime("a"), "");
    assert_eq!(client.ids(), ["a"]);

    let second = Sshd::start(&SshdOptions::default());
    rig.cli.enrol(&second, "b");
    assert_eq!(client.ids(), ["a", "b"]);
    is(&client.uptime("b"), "");

    must(&rig.cli, &["server", "disable", "b"]);
    is(&client.uptime("b"), "SERVER_DISABLED");
    assert_eq!(client.ids(), ["a"]);
    must(&rig.cli, &["server", "enable", "b"]);
    is(&client.uptime("b"), "");

    must(&rig.cli, &["server", "remove", "b"]);
    is(&client.uptime("b"), "SERVER_NOT_FOUND");
    // The same id, another machine: the open connection is not used for it.
    let third = Sshd::start(&SshdOptions::default());
    rig.cli.enrol(&third, "b");
    let before = second.connections_seen();
    is(&client.uptime("b"), "");
    assert!(third.connections_seen() > 0);
    assert_eq!(second.connections_seen(), before);
}

#[test]
fn another_key_takes_over_under_a_running_helper() {
    let rig = Rig::start();
    let mut client = Client::start(&rig.cli, None);
    is(&client.uptime("a"), "");
    let registry = rig.cli.config_dir().join("registry.json");
    let old = fs::read(&registry).expect("ours");
    for _ in 0..2 {
        must(&rig.cli, &["key", "rotate"]);
        is(&client.uptime("a"), "");
        let second = Sshd::start(&SshdOptions::default());
        let identity = second.client_key_path().display().to_string();
        let key = second.host_key_line();
        let flags = ["--identity", &identity, "--host-key", &key, "--replace"];
        let added = add(&rig.cli, &second, "new", &flags, "");
        assert_eq!(added.status, 0, "{added:?}");
        is(&client.uptime("new"), "");
    }
    // A register of before is sealed with a key that is none any more.
    fs::write(&registry, old).expect("ours");
    is(&client.uptime("a"), "REGISTRY_LOCKED");
}

#[test]
fn garbage_in_place_of_the_register_stops_a_running_helper() {
    let rig = Rig::start();
    // A second change leaves a backup, which tells a lost register from none.
    rig.cli.enrol(&rig.server, "b");
    let mut client = Client::start(&rig.cli, None);
    is(&client.uptime("a"), "");
    let registry = rig.cli.config_dir().join("registry.json");
    let good = fs::read(&registry).expect("ours");
    let mut other: Value = serde_json::from_slice(&good).expect("JSON");
    other["servers"][0]["host"] = json!("127.0.0.2");
    for garbage in [
        b"".to_vec(),
        b"\0\xff\xfegarbage".to_vec(),
        good[..good.len() / 2].to_vec(),
        br#"{"format": 99}"#.to_vec(),
        other.to_string().into_bytes(),
    ] {
        fs::write(&registry, &garbage).expect("ours");
        let connections = rig.server.connections_seen();
        is(&client.uptime("a"), "REGISTRY_RECORD_INVALID");
        assert_eq!(rig.server.connections_seen(), connections);
    }
    fs::remove_file(&registry).expect("ours");
    is(&client.uptime("a"), "REGISTRY_RECORD_INVALID");
    fs::write(&registry, good).expect("ours");
    is(&client.uptime("a"), "");
}

#[test]
fn trust_given_and_taken_beside_a_running_helper_counts() {
    let cli = Cli::new();
    let server = Sshd::start(&SshdOptions::default());
    let ssh = cli.home().join(".ssh");
    fs::create_dir_all(&ssh).expect("the home is ours");
    fs::copy(server.known_hosts_path(), ssh.join("known_hosts")).expect("the home is ours");
    let dir = cli.files().join("project");
    fs::create_dir_all(dir.join(".openshell")).expect("ours");
    let list = |label: &str| {
        let text = json!({"format": 1, "servers": [{
            "id": "dev", "host": "127.0.0.1", "port": server.port(), "user": server.user(),
            "identity": server.client_key_path(), "labels": [label],
        }]});
        fs::write(dir.join(".openshell/servers.json"), text.to_string()).expect("ours");
    };
    let trust = || {
        let shown = cli.run_in(&dir, ["trust", "--show", "--json"]).json();
        let hash = shown["sha256"].as_str().expect("text").to_owned();
        let trusted = cli.run_in(&dir, ["trust", "--sha256", &hash]);
        assert_eq!(trusted.status, 0, "{trusted:?}");
    };
    list("one");
    let mut client = Client::start(&cli, Some(&dir));
    is(&client.uptime("dev"), "SERVER_NOT_FOUND");
    trust();
    is(&client.uptime("dev"), "");
    // The question says whose server it is.
    let touch = json!({"server": "dev", "command": "touch /nowhere/x"});
    is(&client.call("remote_exec", touch), "APPROVAL_REJECTED");
    assert_eq!(
        client.asked.last().map(|it| it["scope"].clone()),
        Some(json!("workspace"))
    );
    list("two");
    is(&client.uptime("dev"), "SERVER_NOT_FOUND");
    trust();
    is(&client.uptime("dev"), "");
    must(&cli, &["trust", "--revoke", &dir.display().to_string()]);
    is(&client.uptime("dev"), "SERVER_NOT_FOUND");
}

/// What a helper holds in memory is in no crash dump.
/// A client at a terminal shares its process group with the helper, so its Ctrl+C
/// reaches both; the end of the input is what ends a helper in good order.
#[test]
fn an_interrupt_from_the_terminal_does_not_end_a_helper() {
    let rig = Rig::start();
    let mut client = Client::start(&rig.cli, None);
    assert_eq!(client.uptime("a")["status"], "ok");
    let pid = rustix::process::Pid::from_child(&client.child);
    for _ in 0..2 {
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
        assert_eq!(client.uptime("a")["status"], "ok");
    }
}

#[test]
fn a_running_helper_leaves_no_core() {
    let rig = Rig::start();
    let mut client = Client::start(&rig.cli, None);
    is(&client.uptime("a"), "");
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", client.child.id())) else {
        eprintln!("skipped: no /proc here");
        return;
    };
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core
        .expect("the limit is listed")
        .split_whitespace()
        .collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
}

/// Files that others could read are closed, and it is said.
#[test]
fn open_permissions_are_closed_and_said() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::start();
    let dir = rig.cli.config_dir();
    let registry = dir.join("registry.json");
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    set(&dir, 0o755);
    set(&registry, 0o644);
    let listed = rig.cli.run(["server", "list"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    assert!(listed.stderr.contains("registry.json"), "{listed:?}");
    let mode = |path: &Path| fs::metadata(path).expect("ours").permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&registry)), (0o700, 0o600));
    let again = rig.cli.run(["server", "list"]);
    assert_eq!(again.stderr, "", "{again:?}");
}

#[test]
fn a_question_about_root_says_so_to_the_client() {
    let rig = Rig::start();
    rig.cli
        .enrol_as(&rig.server, "root", rig.server.user(), &["--sudo", "ask"]);
    let mut client = Client::start(&rig.cli, None);
    let command = json!({"server": "root", "command": "sudo -n -u daemon id"});
    is(&client.call("remote_exec", command), "APPROVAL_REJECTED");
    assert_eq!(
        client.asked.last().map(|it| it["as"].clone()),
        Some(json!(["daemon"]))
    );
    let plain = json!({"server": "root", "command": "touch /nowhere/x"});
    is(&client.call("remote_exec", plain), "APPROVAL_REJECTED");
    assert_eq!(
        client.asked.last().map(|it| it["as"].clone()),
        Some(Value::Null)
    );
}
