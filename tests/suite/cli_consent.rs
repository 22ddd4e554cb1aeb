//! Who may say yes: flags, terminals, agents; and calls that are made twice.
//!
//! Invariant under test: nothing that consents does so for an agent. What a
//! question looks like in a client's dialog is not tried here.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use openshell_tests::{Cli, Output, Terminal};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, files_below};

/// The journal's events since a sequence number: kind, and what it is about.
fn events_since(cli: &Cli, seq: u64) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    cli.records()
        .iter()
        .filter(|record| record["seq"].as_u64() > Some(seq))
        .map(|record| {
            let what = match record["event"].as_str() {
                Some("approval") => text(&record["approval"]["answer"]),
                Some("outcome") => match &record["outcome"]["code"] {
                    Value::Null => text(&record["outcome"]["status"]),
                    code => text(code),
                },
                Some("attempt") => text(&record["operation"]["kind"]),
                _ => text(&record["tool"]),
            };
            (text(&record["event"]), what)
        })
        .collect()
}

fn last_seq(cli: &Cli) -> u64 {
    cli.records()
        .last()
        .and_then(|record| record["seq"].as_u64())
        .unwrap_or_default()
}

#[track_caller]
fn recorded(cli: &Cli, seq: u64, expected: &[(&str, &str)]) {
    let events = events_since(cli, seq);
    let events: Vec<(&str, &str)> = events
        .iter()
        .map(|(kind, what)| (kind.as_str(), what.as_str()))
        .collect();
    assert_eq!(events, expected);
}

#[test]
fn nothing_changes_without_somebody_who_agrees() {
    let rig = Rig::start();
    let touch = format!("touch {}", rig.path("touched"));

    let refused = rig.exec(&touch, &[]);
    ended(&refused, 3, "APPROVAL_REQUIRED");
    assert!(!rig.exists("touched"));
    assert_eq!(
        rig.server.connections_seen(),
        0,
        "whom to ask is known before connecting"
    );
    recorded(
        &rig.cli,
        0,
        &[
            ("intent", "remote_exec"),
            ("approval", "unavailable"),
            ("outcome", "APPROVAL_REQUIRED"),
        ],
    );

    let seq = last_seq(&rig.cli);
    let refused = rig.exec(&touch, &["--no"]);
    ended(&refused, 3, "APPROVAL_REJECTED");
    assert!(!rig.exists("touched"));
    recorded(
        &rig.cli,
        seq,
        &[
            ("intent", "remote_exec"),
            ("approval", "rejected"),
            ("outcome", "APPROVAL_REJECTED"),
        ],
    );

    let seq = last_seq(&rig.cli);
    let ran = rig.exec(&touch, &["--yes"]);
    ended(&ran, 0, "");
    assert!(rig.exists("touched"));
    recorded(
        &rig.cli,
        seq,
        &[
            ("intent", "remote_exec"),
            ("approval", "granted"),
            ("attempt", "exec"),
            ("outcome", "ok"),
        ],
    );
    // A flag is on record as a flag, never as a person.
    let records = rig.cli.records();
    let by: Vec<&Value> = records
        .iter()
        .filter(|record| record["event"] == "approval")
        .map(|record| &record["approval"]["by"])
        .collect();
    assert_eq!(by, ["unknown", "flag", "flag"]);

    let both = rig.exec(&touch, &["--yes", "--no"]);
    assert_eq!(both.status, 2, "{both:?}");
}

#[test]
fn writes_wait_for_consent_like_commands() {
    let rig = Rig::start();
    let path = rig.put("file", "old\n", 0o644);
    for (flag, code) in [
        (None, "APPROVAL_REQUIRED"),
        (Some("--no"), "APPROVAL_REJECTED"),
    ] {
        let flags: Vec<&str> = flag.into_iter().collect();
        let written = rig.on(
            "remote_write_file",
            &path,
            json!({"content": "new\n"}),
            &flags,
        );
        ended(&written, 3, code);
        let patch = json!({"patch": "@@ -1 +1 @@\n-old\n+new\n"});
        let patched = rig.on("remote_patch_file", &path, patch, &flags);
        ended(&patched, 3, code);
        assert_eq!(rig.content("file"), b"old\n");
    }
    let history = rig.cli.run(["history", "a", &path, "--json"]);
    assert_eq!(
        history.json(),
        json!([]),
        "what was never agreed to is no change"
    );
}

/// Every file of the configuration with its content.
fn configuration(cli: &Cli) -> BTreeMap<PathBuf, Vec<u8>> {
    files_below(&cli.config_dir())
        .into_iter()
        .map(|path| {
            let content = fs::read(&path).expect("the installation's own file");
            (path, content)
        })
        .collect()
}

#[test]
fn an_agent_cannot_consent_for_its_person() {
    let mut rig = Rig::start();
    let path = rig.put("file", "old\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "new\n"}));
    assert_eq!(rig.cli.run(["pause"]).status, 0);
    let before = configuration(&rig.cli);
    let seq = last_seq(&rig.cli);
    let connections = rig.server.connections_seen();

    let touch = json!({"server": "a", "command": format!("touch {}", rig.path("touched"))});
    let touch = touch.to_string();
    let port = rig.server.port().to_string();
    let identity = rig.server.client_key_path().display().to_string();
    let key = rig.server.host_key_line();
    let new_key = rig.cli.dir().join("second.key");
    let verbs: Vec<Vec<String>> = [
        vec!["call", "remote_exec", &touch, "--yes"],
        vec!["undo", "a", &path],
        vec!["undo", "a", &path, "--yes"],
        vec![
            "server",
            "add",
            "b",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--user",
            "root",
            "--identity",
            &identity,
            "--host-key",
            &key,
        ],
        vec!["server", "remove", "a"],
        vec!["server-registry", "remove", "a"],
        vec!["server", "enable", "a"],
        vec!["key", "init", "--file", new_key.to_str().expect("UTF-8")],
        vec!["resume"],
    ]
    .iter()
    .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
    .collect();
    let marks = ["OPENCODE", "AGENT"];
    for mark in marks {
        rig.cli.set_env(mark, "1");
        for words in &verbs {
            let refused = rig.cli.run(words);
            assert_eq!(refused.status, 3, "{mark} {words:?}: {refused:?}");
            assert!(
                refused.stderr.contains("PERSON_REQUIRED"),
                "{mark} {words:?}: {refused:?}"
            );
            assert!(
                refused.stderr.contains(mark),
                "{mark} {words:?}: {refused:?}"
            );
        }
        rig.cli.unset_env(mark);
    }
    assert_eq!(configuration(&rig.cli), before);
    assert!(!new_key.exists());
    assert!(!rig.exists("touched"));
    assert_eq!(rig.content("file"), b"new\n");
    assert_eq!(rig.server.connections_seen(), connections);
    // Each attempt is on record.
    let notes = events_since(&rig.cli, seq);
    assert_eq!(notes.len(), verbs.len() * marks.len(), "{notes:?}");
    assert!(notes.iter().all(|(kind, _)| kind == "note"), "{notes:?}");
}

#[test]
fn an_agent_may_look_and_pause() {
    let mut rig = Rig::start();
    let path = rig.put("file", "text\n", 0o644);
    rig.cli.set_env("OPENCODE", "1");
    let read = rig.exec(&format!("cat {path}"), &[]);
    ended(&read, 0, "");
    assert_eq!(read.json()["data"]["stdout"], "text\n", "{read:?}");
    ended(&rig.on("remote_read_file", &path, json!({}), &[]), 0, "");
    ended(
        &rig.exec(&format!("rm {path}"), &[]),
        3,
        "APPROVAL_REQUIRED",
    );
    // Saying no takes nothing from anybody.
    ended(
        &rig.exec(&format!("rm {path}"), &["--no"]),
        3,
        "APPROVAL_REJECTED",
    );
    assert!(rig.exists("file"));
    assert_eq!(rig.cli.run(["pause"]).status, 0);
    ended(&rig.exec(&format!("cat {path}"), &[]), 1, "SERVER_DISABLED");
}

#[test]
fn a_pause_stops_every_remote_tool() {
    let rig = Rig::start();
    let path = rig.put("file", "text\n", 0o644);
    assert_eq!(rig.cli.run(["pause"]).status, 0);
    assert_eq!(rig.cli.run(["pause"]).status, 0, "pausing twice is pausing");
    let calls = [
        ("remote_exec", json!({"server": "a", "command": "uptime"})),
        ("remote_read_file", json!({"server": "a", "path": path})),
        (
            "remote_write_file",
            json!({"server": "a", "path": path, "content": "x"}),
        ),
        (
            "remote_patch_file",
            json!({"server": "a", "path": path, "patch": "@@ -1 +1 @@\n-text\n+x\n"}),
        ),
        ("remote_list_dir", json!({"server": "a", "path": "/"})),
        ("remote_stat", json!({"server": "a", "path": path})),
        (
            "remote_find",
            json!({"server": "a", "path": rig.path(""), "glob": "*"}),
        ),
    ];
    for (tool, arguments) in &calls {
        let paused = rig.cli.call(tool, arguments, &["--yes"]);
        ended(&paused, 1, "SERVER_DISABLED");
        assert!(paused.stdout.contains("paused"), "{paused:?}");
    }
    let undo = rig.cli.run(["undo", "a", &path, "--yes", "--json"]);
    ended(&undo, 1, "SERVER_DISABLED");
    assert_eq!(rig.server.connections_seen(), 0);
    assert_eq!(rig.content("file"), b"text\n");
    assert_eq!(rig.cli.run(["resume"]).status, 0);
    ended(&rig.exec("uptime", &[]), 0, "");
}

#[test]
fn one_key_runs_once() {
    let rig = Rig::start();
    let marker = rig.path("marker");
    let append = json!({"server": "a", "command": format!("echo ran >> {marker}")});
    let first = rig
        .cli
        .call("remote_exec", &append, &["--yes", "--key", "k1"]);
    ended(&first, 0, "");
    assert!(first.json()["replayed"].is_null(), "{first:?}");
    for _ in 0..2 {
        let again = rig
            .cli
            .call("remote_exec", &append, &["--yes", "--key", "k1"]);
        ended(&again, 0, "");
        let again = again.json();
        assert_eq!(again["replayed"], true, "{again}");
        assert_eq!(again["execution"]["exitCode"], 0, "{again}");
        assert_eq!(
            again["audit"]["action"],
            first.json()["audit"]["action"],
            "{again}"
        );
    }
    assert_eq!(rig.content("marker"), b"ran\n");
    // The order of the arguments is no difference; their values are.
    let shuffled = format!("{{\"command\":{},\"server\":\"a\"}}", append["command"]);
    let again = rig.cli.run_stdin(
        ["call", "remote_exec", "-", "--yes", "--key", "k1"],
        &shuffled,
    );
    assert_eq!(again.json()["replayed"], true, "{again:?}");
    for other in [
        json!({"server": "a", "command": format!("echo other >> {marker}")}),
        json!({"server": "a", "command": append["command"], "timeout": 5000}),
    ] {
        let refused = rig
            .cli
            .call("remote_exec", &other, &["--yes", "--key", "k1"]);
        ended(&refused, 1, "CONFLICT");
    }
    let write = json!({"server": "a", "path": marker, "content": "x"});
    let refused = rig
        .cli
        .call("remote_write_file", &write, &["--yes", "--key", "k1"]);
    ended(&refused, 1, "CONFLICT");
    assert_eq!(rig.content("marker"), b"ran\n");
    let another = rig
        .cli
        .call("remote_exec", &append, &["--yes", "--key", "k2"]);
    ended(&another, 0, "");
    assert_eq!(rig.content("marker"), b"ran\nran\n");
}

#[test]
fn a_key_keeps_how_a_call_ended() {
    let rig = Rig::start();
    let exec = |command: &str, key: &str| -> Output {
        let arguments = json!({"server": "a", "command": command});
        rig.cli
            .call("remote_exec", &arguments, &["--yes", "--key", key])
    };
    let marker = rig.path("marker");
    let fail = format!("echo ran >> {marker}; exit 3");
    assert_eq!(exec(&fail, "fail").json()["data"]["exitCode"], 3);
    let again = exec(&fail, "fail").json();
    assert_eq!(again["replayed"], true, "{again}");
    assert_eq!(again["execution"]["exitCode"], 3, "{again}");
    let slow = format!("echo ran >> {marker}; sleep 1000");
    let arguments = json!({"server": "a", "command": slow, "timeout": 300});
    let first = rig
        .cli
        .call("remote_exec", &arguments, &["--yes", "--key", "slow"]);
    ended(&first, 1, "EXEC_TIMEOUT");
    // Whether it came to print in its short time is not what this is about.
    let left = rig.content("marker");
    let again = rig
        .cli
        .call("remote_exec", &arguments, &["--yes", "--key", "slow"]);
    ended(&again, 1, "EXEC_TIMEOUT");
    assert_eq!(again.json()["replayed"], true, "{again:?}");
    assert_eq!(rig.content("marker"), left);
    // What was refused did not run, so its key is free for the one who agrees.
    let touch = json!({"server": "a", "command": format!("touch {}", rig.path("touched"))});
    let refused = rig.cli.call("remote_exec", &touch, &["--key", "ask"]);
    ended(&refused, 3, "APPROVAL_REQUIRED");
    // It is not free for another call.
    let other = json!({"server": "a", "command": format!("touch {}", rig.path("other"))});
    let refused = rig
        .cli
        .call("remote_exec", &other, &["--yes", "--key", "ask"]);
    ended(&refused, 1, "CONFLICT");
    assert!(!rig.exists("other"));
    let agreed = rig
        .cli
        .call("remote_exec", &touch, &["--yes", "--key", "ask"]);
    assert!(
        agreed.status == 0 || agreed.json()["replayed"] == true,
        "a key is either free again or answered from the record: {agreed:?}"
    );
    assert_eq!(rig.exists("touched"), agreed.status == 0, "{agreed:?}");
}

#[test]
fn a_person_at_a_terminal_decides() {
    let rig = Rig::start();
    let touch = json!({"server": "a", "command": format!("touch {}", rig.path("touched"))});
    let touch = touch.to_string();
    for (answer, status, runs) in [
        ("no", 3, false),
        ("y", 3, false),
        ("", 3, false),
        ("yes", 0, true),
    ] {
        let Some(mut terminal) =
            Terminal::start(&rig.cli, &["--json", "call", "remote_exec", &touch])
        else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains(&rig.path("touched")), "{shown}");
        assert!(
            shown.contains(&format!("127.0.0.1:{}", rig.server.port())),
            "{shown}"
        );
        terminal.type_line(answer);
        let output = terminal.finish();
        let code = if runs { "" } else { "APPROVAL_REJECTED" };
        ended(&output, status, code);
        assert_eq!(rig.exists("touched"), runs, "{answer:?}: {output:?}");
    }
    let records = rig.cli.records();
    let last = records.iter().rfind(|record| record["event"] == "approval");
    assert_eq!(last.expect("it was asked")["approval"]["by"], "person");
}

#[test]
fn what_was_typed_ahead_answers_nothing() {
    let rig = Rig::start();
    let touch = json!({"server": "a", "command": format!("touch {}", rig.path("touched"))});
    let touch = touch.to_string();
    let Some(mut terminal) = Terminal::closed(&rig.cli, &["call", "remote_exec", &touch]) else {
        return;
    };
    terminal.type_line("yes");
    // The terminal's echo shows that it has the line.
    terminal.wait_for("yes");
    terminal.open();
    terminal.wait_for("Type yes or no:");
    terminal.type_line("no");
    let output = terminal.finish();
    ended(&output, 3, "APPROVAL_REJECTED");
    assert!(!rig.exists("touched"));
}

#[test]
fn a_terminal_of_an_agent_is_nobody() {
    let mut rig = Rig::start();
    rig.cli.set_env("OPENCODE", "1");
    let touch = json!({"server": "a", "command": format!("touch {}", rig.path("touched"))});
    let Some(terminal) = Terminal::start(&rig.cli, &["call", "remote_exec", &touch.to_string()])
    else {
        return;
    };
    let output = terminal.finish();
    ended(&output, 3, "APPROVAL_REQUIRED");
    assert!(!rig.exists("touched"));
}
