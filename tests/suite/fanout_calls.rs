//! Calls on several servers: who is chosen, what is gathered, what one server that
//! fails does to the others.
//!
//! They prove that a call on several servers is, on each, the call it would be
//! alone. Consent is the subject of `fanout_questions`.

use std::collections::BTreeSet;

use openshell_tests::finish;
use serde_json::{Value, json};

use crate::cli_support::{ended, eventually, text};
use crate::fanout_support::{Fleet, groups};

#[test]
fn equal_outcomes_are_gathered_and_every_server_has_its_own_record() {
    let Some(fleet) = Fleet::start() else { return };
    let file = fleet.files.join("motd");
    std::fs::write(&file, "hello\n").expect("the directory is ours");
    let path = text(&file);

    let all = json!(["web-2", "db", "web-1"]);
    let ran = fleet.exec(all.clone(), &format!("cat {path}"), &[]);
    ended(&ran, 0, "");
    let envelope = ran.json();
    assert_eq!(
        groups(&envelope, |group| group["data"].clone()),
        [(
            json!(["db", "web-1", "web-2"]),
            json!({"exitCode": 0, "stdout": "hello\n", "stderr": ""})
        )]
    );
    assert_eq!(envelope["status"], "ok");
    assert_eq!(envelope["audit"]["logWritten"], true);

    // One action for each, and something they share.
    let fanout = envelope["audit"]["fanout"].as_str().expect("an id");
    let outcomes = fleet.recorded("outcome", |record| record["fanout"].clone());
    let expected: Vec<(String, Value)> = ["db", "web-1", "web-2"]
        .map(|id| (id.to_owned(), json!(fanout)))
        .to_vec();
    assert_eq!(outcomes, expected);
    let actions: BTreeSet<String> = fleet
        .recorded("intent", |record| record["action"].clone())
        .into_iter()
        .map(|(_, action)| action.to_string())
        .collect();
    assert_eq!(actions.len(), 3);
    fleet
        .cli
        .must("remote_stat", &json!({"server": "db", "path": path}), &[]);
    let listed = fleet
        .cli
        .run(["audit", "list", "--json", "--fanout", fanout])
        .json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 9, "intent, attempt, outcome of three");
    assert_eq!(fleet.cli.run(["audit", "verify"]).status, 0);

    // The tools that look take the same.
    for (tool, rest, look) in [
        ("remote_read_file", json!({"path": path}), "content"),
        ("remote_stat", json!({"path": path}), "size"),
        (
            "remote_list_dir",
            json!({"path": text(&fleet.files)}),
            "count",
        ),
        (
            "remote_find",
            json!({"path": text(&fleet.files), "pattern": "hell"}),
            "count",
        ),
    ] {
        let mut arguments = rest;
        arguments["server"] = json!("label:web");
        let envelope = fleet.cli.must(tool, &arguments, &[]);
        let found = groups(&envelope, |group| group["data"].clone());
        assert_eq!(found.len(), 1, "{tool}: {envelope:#}");
        assert_eq!(found[0].0, json!(["web-1", "web-2"]), "{tool}");
        assert!(!found[0].1[look].is_null(), "{tool}: {envelope:#}");
    }
}

#[test]
fn what_cannot_be_understood_whole_is_refused_before_anything_runs() {
    let Some(fleet) = Fleet::start() else { return };
    let disabled = fleet.cli.run(["server", "disable", "db"]);
    assert_eq!(disabled.status, 0, "{disabled:?}");
    let table = [
        (json!([]), "INVALID_ARGUMENT", "empty"),
        (
            json!(["web-1", "web-1"]),
            "INVALID_ARGUMENT",
            "\"web-1\" twice",
        ),
        (json!(["web-1", 7]), "INVALID_ARGUMENT", "7"),
        (json!(["web-1", "label:web"]), "INVALID_ARGUMENT", "alone"),
        (json!("label:"), "INVALID_ARGUMENT", "label"),
        (json!(["web-1", "web-9"]), "SERVER_NOT_FOUND", "web-9"),
        (
            json!(["x", "web-1", "y"]),
            "SERVER_NOT_FOUND",
            "\"x\", \"y\"",
        ),
        (json!(["web-1", "-o"]), "SERVER_NOT_FOUND", "-o"),
        (json!("label:nothing"), "SERVER_NOT_FOUND", "nothing"),
        (json!("label:prod"), "SERVER_DISABLED", "prod"),
        (json!("web-1,web-2"), "SERVER_NOT_FOUND", "web-1,web-2"),
    ];
    for (servers, code, says) in table {
        let refused = fleet.exec(servers, "uptime", &["--yes"]);
        ended(&refused, 1, code);
        let message = refused.json()["message"].to_string().replace('\\', "");
        assert!(message.contains(says), "{says}: {message}");
    }
    // Files are written on one server at a time.
    for server in [
        json!(["web-1", "web-2"]),
        json!("label:web"),
        json!(["web-1"]),
    ] {
        let arguments = json!({"server": server, "path": "/x", "content": "x"});
        let refused = fleet.cli.call("remote_write_file", &arguments, &["--yes"]);
        ended(&refused, 1, "INVALID_ARGUMENT");
    }
    assert_eq!(fleet.server.connections_seen(), 0);
    assert_eq!(fleet.cli.records(), Vec::<Value>::new());
}

#[test]
fn a_server_that_fails_takes_nothing_from_the_others() {
    let Some(mut fleet) = Fleet::start() else {
        return;
    };
    // The mute one takes the whole limit for connecting, which is that of all.
    fleet.add_dead();
    fleet.add_mute();
    fleet.rules("[[access]]\nservers = [\"db\"]\nmode = \"off\"\n");
    let all = json!(["web-1", "web-2", "db", "dead", "mute"]);
    let ran = fleet.exec(all, &fleet.mark(), &["--yes"]);
    ended(&ran, 1, "SERVERS_FAILED");
    let envelope = ran.json();
    assert_eq!(envelope["status"], "partial_failure");
    let mut codes = groups(&envelope, |group| group["code"].clone());
    codes.sort_by_key(|(servers, _)| servers.to_string());
    assert_eq!(
        codes,
        [
            (json!(["db"]), json!("POLICY_REJECTED")),
            (json!(["dead"]), json!("CONNECT_FAILED")),
            (json!(["mute"]), json!("CONNECT_TIMEOUT")),
            (json!(["web-1", "web-2"]), Value::Null),
        ]
    );
    let message = envelope["message"].as_str().expect("a message");
    assert!(
        message.contains("3 of 5 servers: db, dead, mute"),
        "{message}"
    );
    let ran_at = [("127.0.0.1".to_owned(), 1), ("127.0.0.2".to_owned(), 1)];
    assert_eq!(fleet.marks(), ran_at);

    // A command that hangs on one server ends there, and is whole elsewhere.
    let hangs = "echo here; case $SSH_CONNECTION in *127.0.0.2*) sleep 600;; esac";
    let arguments = json!({"server": "label:web", "command": hangs, "timeout": 20_000});
    let ran = fleet.cli.call("remote_exec", &arguments, &["--yes"]);
    ended(&ran, 1, "EXEC_TIMEOUT");
    let found = groups(&ran.json(), |group| {
        json!([
            group["code"],
            group["data"]["stdout"],
            group["data"]["process"]
        ])
    });
    assert_eq!(
        found,
        [
            (json!(["web-1"]), json!([null, "here\n", null])),
            (
                json!(["web-2"]),
                json!(["EXEC_TIMEOUT", "here\n", "group-gone"])
            ),
        ]
    );
}

#[test]
fn a_repetition_is_answered_from_the_record_of_each_server() {
    let Some(fleet) = Fleet::start() else { return };
    let mark = fleet.mark();
    let web = json!("label:web");
    let once = [("127.0.0.1".to_owned(), 1), ("127.0.0.2".to_owned(), 1)];
    let flags = ["--yes", "--key", "k-1"];
    let first = fleet.exec(web.clone(), &mark, &flags);
    ended(&first, 0, "");
    assert_eq!(fleet.marks(), once);

    let again = fleet.exec(web.clone(), &mark, &flags);
    ended(&again, 0, "");
    let envelope = again.json();
    assert_eq!(envelope["replayed"], true, "{envelope:#}");
    assert_eq!(fleet.marks(), once, "nothing ran twice");

    let keys: BTreeSet<String> = fleet
        .recorded("intent", |record| record["key"].clone())
        .into_iter()
        .map(|(_, key)| key.to_string())
        .collect();
    assert_eq!(keys.len(), 2, "a key for each server: {keys:?}");

    // The key of another call is no key for this one, on any server of it.
    for (servers, command) in [
        (json!(["web-1", "db"]), mark.as_str()),
        (web, "echo else > /dev/null"),
    ] {
        let refused = fleet.exec(servers, command, &flags);
        ended(&refused, 1, "CONFLICT");
    }
    ended(
        &fleet.exec(json!("db"), &mark, &["--yes", "--key", "k-2"]),
        0,
        "",
    );
    let refused = fleet.exec(json!(["web-1"]), &mark, &["--yes", "--key", "k-2"]);
    ended(&refused, 1, "CONFLICT");
    let mut expected = once.to_vec();
    expected.push(("127.0.0.3".to_owned(), 1));
    assert_eq!(fleet.marks(), expected);
}

#[test]
fn giving_up_reaches_every_server() {
    let Some(fleet) = Fleet::start() else { return };
    let waits = format!("{}; sleep 300", fleet.mark());
    let arguments = json!({"server": ["db", "web-1", "web-2"], "command": waits});
    let running = fleet
        .cli
        .start(["call", "remote_exec", &arguments.to_string(), "--yes"]);
    eventually("the command runs everywhere", || fleet.marks().len() == 3);
    let pid = i32::try_from(running.id()).expect("process ids are small");
    let pid = rustix::process::Pid::from_raw(pid).expect("it has an id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
    let given_up = finish(running);
    ended(&given_up, 1, "CANCELLED");
    let found = groups(&given_up.json(), |group| group["data"]["process"].clone());
    assert_eq!(
        found,
        [(json!(["db", "web-1", "web-2"]), json!("group-gone"))]
    );
    let codes = fleet.recorded("outcome", |record| record["outcome"]["code"].clone());
    let expected: Vec<(String, Value)> = ["db", "web-1", "web-2"]
        .map(|id| (id.to_owned(), json!("CANCELLED")))
        .to_vec();
    assert_eq!(codes, expected);
}
