//! Outcomes that nobody knows: found out about by the next call, settled by a
//! person, told to a repetition of the call. And turns: one writer at a time.
//!
//! Invariant under test: nothing unknown becomes a success by guess, and nothing is
//! run twice to find out. Kills at every single point are the fault harness's.

use std::fs;
use std::process::{Child, Command};

use openshell_tests::finish;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli_support::{Rig, add, ended, eventually, running, text, unique};

/// Sends a signal to a child of ours.
fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process id");
    rustix::process::kill_process(pid, signal).expect("it is a child");
}

fn journal(rig: &Rig) -> String {
    fs::read_to_string(rig.cli.audit_dir().join("actions.jsonl")).unwrap_or_default()
}

fn unknown(rig: &Rig) -> Vec<Value> {
    let listed = rig.cli.run(["audit", "unknown", "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    listed.json().as_array().expect("an array").clone()
}

fn count(text: &str, event: &str) -> usize {
    text.matches(&format!("\"event\":\"{event}\"")).count()
}

/// A helper that is stopped in the middle of a write, with its action, its path
/// and what it writes. It holds the turn for the file.
fn stopped_in_a_write(rig: &Rig, key: &str) -> (Child, String, String, Vec<u8>) {
    for round in 0..30 {
        let path = rig.put(&format!("file{round}"), "before\n", 0o640);
        let content = format!("{}\n", unique("after ")).repeat(120_000);
        let arguments = json!({"server": "a", "path": path, "content": content});
        let file = rig.cli.dir().join("arguments.json");
        fs::write(&file, arguments.to_string()).expect("the test's own directory");
        let attempts = count(&journal(rig), "attempt");
        let mut command = rig.cli.command([
            "call",
            "remote_write_file",
            "-",
            "--yes",
            "--key",
            &format!("{key}{round}"),
        ]);
        let child = command
            .stdin(fs::File::open(&file).expect("just written"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary runs");
        eventually("the attempt is on record", || {
            count(&journal(rig), "attempt") > attempts
        });
        signal(&child, rustix::process::Signal::STOP);
        eventually("it stands still", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()));
            stat.is_ok_and(|stat| stat.contains(") T "))
        });
        let text = journal(rig);
        let action = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .rfind(|record| record["event"] == "attempt")
            .and_then(|record| record["action"].as_str().map(str::to_owned))
            .expect("an attempt has an action");
        let has_ended = text
            .lines()
            .any(|line| line.contains("\"event\":\"outcome\"") && line.contains(&action));
        // The record can be seen a moment before the journal is given back; nobody
        // could write anything then.
        let lock = fs::File::open(rig.cli.audit_dir().join("lock")).expect("it was made");
        if !has_ended && lock.try_lock().is_ok() {
            return (child, action, path, content.into_bytes());
        }
        // It was quicker than we, or slower: once more.
        signal(&child, rustix::process::Signal::CONT);
        ended(&finish(child), 0, "");
    }
    panic!("every write was over before it could be stopped");
}

/// What is true of a file that was `before` and was to become `after`.
fn truth(path: &str, after: &[u8]) -> &'static str {
    let now = fs::read(path).expect("the file is there");
    match &now[..] {
        b"before\n" => "not-written",
        now if now == after => "written",
        other => panic!("torn: {} bytes", other.len()),
    }
}

#[test]
fn a_write_that_was_killed_is_settled_by_the_next_reader() {
    let rig = Rig::start();
    let (mut child, action, path, after) = stopped_in_a_write(&rig, "k");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let open = unknown(&rig);
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0]["action"], json!(action), "{open:?}");
    assert_eq!(open[0]["path"], json!(path), "{open:?}");
    // Reading another file says nothing about it.
    let other = rig.put("other", "x", 0o600);
    let read = rig.on("remote_read_file", &other, json!({}), &[]);
    assert_eq!(read.json()["audit"]["settled"], Value::Null, "{read:?}");
    // By whatever name it is read.
    std::os::unix::fs::symlink(&path, rig.files.join("link")).expect("the test's own directory");
    let linked = rig.path("link");
    let read = rig.on("remote_read_file", &linked, json!({"length": 5}), &[]);
    ended(&read, 0, "");
    let settled = &read.json()["audit"]["settled"];
    let expected = truth(&path, &after);
    assert_eq!(settled[0]["action"], json!(action), "{read:?}");
    assert_eq!(settled[0]["finding"], expected, "{read:?}");
    let message = read.json()["message"].to_string();
    assert!(message.contains(&action), "{message}");
    assert_eq!(unknown(&rig), Vec::<Value>::new());
    let records = rig.cli.records();
    let record = records.iter().find(|record| record["event"] == "settled");
    let record = record.unwrap_or_else(|| panic!("it is on record: {records:?}"));
    assert_eq!(record["action"], json!(action));
    assert_eq!(record["settled"]["finding"], expected);
    assert_eq!(record["settled"]["by"], "reconciliation");
    let now = fs::read(&path).expect("the file is there");
    let hash: String = Sha256::digest(&now)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(record["settled"]["sha256"], json!(hash));
    // It is told once.
    let again = rig.on("remote_read_file", &path, json!({"length": 5}), &[]);
    assert_eq!(again.json()["audit"]["settled"], Value::Null, "{again:?}");
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

/// A server whose login has a secret that the directory of its files is named like.
fn named_like_a_secret() -> Rig {
    let rig = Rig::start();
    let secret = rig.files.file_name().expect("it has a name");
    let secret = secret.to_str().expect("temporary paths are UTF-8");
    let identity = rig.cli.dir().join("identity");
    // Not by the fixture, which notes what must be found nowhere.
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", secret, "-f"])
        .arg(&identity)
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    rig.server
        .authorize(&fs::read_to_string(identity.with_extension("pub")).expect("just made"));
    assert_eq!(rig.cli.run(["server", "remove", "a"]).status, 0);
    let (identity, key) = (text(&identity), rig.server.host_key_line());
    let flags = [
        "--identity",
        &identity,
        "--passphrase-stdin",
        "--host-key",
        &key,
    ];
    assert_eq!(add(&rig.cli, &rig.server, "a", &flags, secret).status, 0);
    rig
}

/// The journal does not tell a path that a registered secret is part of; what became
/// of the write is found out all the same, and its temporary file removed.
#[test]
fn a_write_below_a_directory_named_like_a_secret_is_settled_too() {
    let rig = named_like_a_secret();
    let (mut child, action, path, after) = stopped_in_a_write(&rig, "k");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let open = unknown(&rig);
    let told = open[0]["path"].as_str().unwrap_or_default();
    assert!(told.contains("[redacted:"), "{open:?}");
    let read = rig.on("remote_read_file", &path, json!({"length": 5}), &[]);
    ended(&read, 0, "");
    let settled = &read.json()["audit"]["settled"][0];
    assert_eq!(settled["action"], json!(action), "{read:?}");
    assert_eq!(settled["finding"], truth(&path, &after), "{read:?}");
    let names = fs::read_dir(&rig.files).expect("the test's own directory");
    let strays: Vec<_> = names
        .map(|name| name.expect("it can be read").file_name())
        .filter(|name| name.to_string_lossy().starts_with(".openshell-"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

/// A repetition looks at the file that the call names: the record has no name for it.
#[test]
fn a_repetition_below_a_directory_named_like_a_secret_tells_the_truth() {
    let rig = named_like_a_secret();
    let (mut child, action, path, after) = stopped_in_a_write(&rig, "k");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let told = unknown(&rig)[0]["path"].to_string();
    assert!(told.contains("[redacted:"), "{told}");
    let envelope = repeated(&rig, &path).json();
    let settled = &envelope["audit"]["settled"][0];
    assert_eq!(settled["action"], json!(action), "{envelope}");
    assert_eq!(settled["finding"], truth(&path, &after), "{envelope}");
}

/// Makes the call that `stopped_in_a_write` made once more.
fn repeated(rig: &Rig, path: &str) -> openshell_tests::Output {
    let round = path.rsplit("file").next().unwrap_or_default();
    let key = format!("k{round}");
    let arguments = rig.cli.dir().join("arguments.json");
    let mut again = rig
        .cli
        .command(["call", "remote_write_file", "-", "--yes", "--key", &key]);
    let again = again
        .stdin(fs::File::open(arguments).expect("it was made for the first call"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    finish(again.expect("the binary runs"))
}

/// The same call again is not made again, and is not told less than any other call
/// about the file would be.
#[test]
fn a_repetition_of_a_killed_write_looks_at_the_file_first() {
    let rig = Rig::start();
    let (mut child, action, path, after) = stopped_in_a_write(&rig, "k");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let attempts = count(&journal(&rig), "attempt");
    let again = repeated(&rig, &path);
    let expected = truth(&path, &after);
    match expected {
        "written" => ended(&again, 0, ""),
        _ => ended(&again, 1, "CONNECTION_LOST"),
    }
    let envelope = again.json();
    assert_eq!(envelope["replayed"], true, "{envelope}");
    assert_eq!(envelope["audit"]["action"], json!(action), "{envelope}");
    let settled = &envelope["audit"]["settled"][0];
    assert_eq!(settled["action"], json!(action), "{envelope}");
    assert_eq!(settled["finding"], expected, "{envelope}");
    assert_eq!(unknown(&rig), Vec::<Value>::new());
    assert_eq!(count(&journal(&rig), "attempt"), attempts, "it only looked");
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

#[test]
fn a_dead_writer_keeps_its_turn_until_it_is_settled() {
    let rig = Rig::start();
    let (mut child, action, path, after) = stopped_in_a_write(&rig, "k");
    // The next writer has its journal open by the time the first one dies, so
    // nothing but the turn leads it to find out.
    let arguments = json!({"server": "a", "path": path, "content": "next\n"});
    let next = rig
        .cli
        .start(["call", "remote_write_file", &arguments.to_string(), "--yes"]);
    eventually("the next writer waits", || {
        fs::read_dir(rig.cli.audit_dir().join("leases")).is_ok_and(|tickets| tickets.count() == 3)
    });
    assert_eq!(count(&journal(&rig), "recovered"), 0);
    let expected = truth(&path, &after);
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let next = finish(next);
    ended(&next, 0, "");
    let envelope = next.json();
    assert_eq!(envelope["audit"]["settled"][0]["action"], json!(action));
    let found = envelope["audit"]["settled"][0]["finding"].clone();
    // What was under way may have arrived after we looked.
    assert!(
        found == expected || found == "written",
        "{found} where {expected} was true"
    );
    assert_eq!(fs::read(&path).expect("it is there"), b"next\n");
    assert_eq!(unknown(&rig), Vec::<Value>::new());
    let left = fs::read_dir(rig.cli.audit_dir().join("leases"))
        .expect("it was made")
        .count();
    assert_eq!(left, 1, "only the queue is left");
}

#[test]
fn writers_of_one_file_take_turns() {
    let rig = Rig::start();
    rig.cli.enrol(&rig.server, "alias");
    let path = rig.put("file", "start\n", 0o644);
    let children: Vec<Child> = (0..6)
        .map(|at| {
            let server = if at % 2 == 0 { "a" } else { "alias" };
            let content = format!("writer {at}\n");
            let arguments = json!({"server": server, "path": path, "content": content});
            rig.cli
                .start(["call", "remote_write_file", &arguments.to_string(), "--yes"])
        })
        .collect();
    for child in children {
        let output = finish(child);
        ended(&output, 0, "");
        assert_eq!(output.json()["message"], Value::Null, "{output:?}");
    }
    // Each replaced exactly what the one before it had written.
    let records = rig.cli.records();
    let mut last: Option<String> = None;
    let attempts = records.iter().filter(|record| record["event"] == "attempt");
    let mut seen = 0;
    for attempt in attempts {
        let hash = |name: &str| attempt["operation"][name].as_str().map(str::to_owned);
        if let Some(last) = &last {
            assert_eq!(hash("base_sha256").as_ref(), Some(last), "{attempt}");
        }
        last = hash("new_sha256");
        seen += 1;
    }
    assert_eq!(seen, 6, "{records:?}");
}

#[test]
fn a_lost_command_is_found_running_and_then_gone_and_settled_by_a_person() {
    let mut rig = Rig::start();
    let digits: String = unique("").chars().filter(char::is_ascii_digit).collect();
    let number = format!("1{digits:.8}");
    let marker = rig.path("marker");
    let command = format!("setsid sleep {number} & echo ran >> {marker}; wait");
    let arguments = json!({"server": "a", "command": command}).to_string();
    let words = ["call", "remote_exec", &arguments, "--yes", "--key", "k"];
    let child = rig.cli.start(words);
    eventually("the command runs", || {
        rig.exists("marker") && !running(&["sleep", &number]).is_empty()
    });
    rig.server.drop_connections();
    let lost = finish(child);
    ended(&lost, 4, "OUTCOME_UNKNOWN");
    let action = lost.json()["audit"]["action"].clone();
    assert_eq!(unknown(&rig)[0]["action"], action);

    // What it left is found by its mark, though it left group and session.
    let next = rig.exec("uptime", &[]);
    ended(&next, 0, "");
    let settled = next.json()["audit"]["settled"][0].clone();
    assert_eq!(settled["finding"], "still-running", "{next:?}");
    let note = settled["note"].as_str().expect("a sentence").to_owned();
    assert!(note.contains(&format!("`sleep {number}`")), "{note}");
    assert_eq!(unknown(&rig)[0]["found"], "still-running");
    // The shell that waited for it may have been on its way out, and named, too.
    let pid = note
        .split_once(&format!(" `sleep {number}`"))
        .and_then(|(before, _)| before.rsplit(|c: char| !c.is_ascii_digit()).next())
        .expect("it is named");
    let killed = Command::new("kill").args(["-KILL", pid]).status();
    assert!(killed.is_ok_and(|status| status.success()), "{note}");
    eventually("it is gone", || {
        let gone = rig.exec("uptime", &[]);
        gone.json()["audit"]["settled"][0]["finding"] == "gone"
    });
    assert_eq!(unknown(&rig), Vec::<Value>::new());
    // Gone is not done: the same call is still not run again, and not answered
    // with a success.
    let again = rig.cli.run(words);
    ended(&again, 4, "OUTCOME_UNKNOWN");
    assert_eq!(again.json()["replayed"], true, "{again:?}");
    assert_eq!(rig.content("marker"), b"ran\n");

    // Another one, settled by hand.
    let words = ["call", "remote_exec", &arguments, "--yes", "--key", "k2"];
    let child = rig.cli.start(words);
    eventually("the command runs", || {
        rig.content("marker") == b"ran\nran\n"
    });
    rig.server.drop_connections();
    let lost = finish(child);
    ended(&lost, 4, "OUTCOME_UNKNOWN");
    let action = lost.json()["audit"]["action"]
        .as_str()
        .expect("text")
        .to_owned();
    let settle = |rig: &Rig, finding: &str| {
        rig.cli.run([
            "audit", "settle", &action, "--as", finding, "--note", "I looked", "--json",
        ])
    };
    assert_eq!(settle(&rig, "written").status, 2, "that is for files");
    rig.cli.set_env("OPENCODE", "1");
    let refused = settle(&rig, "done");
    assert_eq!(refused.status, 3, "{refused:?}");
    rig.cli.unset_env("OPENCODE");
    rig.cli.set_env("USER", "operator");
    let done = settle(&rig, "done");
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(settle(&rig, "done").status, 1, "it is settled");
    let records = rig.cli.records();
    let record = records
        .iter()
        .rfind(|record| record["event"] == "settled")
        .expect("it is on record");
    assert_eq!(record["settled"]["by"], "person");
    assert_eq!(record["settled"]["note"], "I looked");
    let who = record["settled"]["who"].as_str().expect("text");
    assert!(who.starts_with("operator (uid "), "{who}");
    let again = rig.cli.run(words);
    ended(&again, 0, "");
    assert_eq!(again.json()["replayed"], true, "{again:?}");
    assert_eq!(rig.content("marker"), b"ran\nran\n");
    let _ = Command::new("pkill")
        .args(["-KILL", "-x", "-f", &format!("sleep {number}")])
        .status();
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

#[test]
fn a_key_that_stands_for_another_call_is_refused_on_record() {
    let rig = Rig::start();
    let first = rig.path("first");
    let write = |path: &str, content: &str| {
        let arguments = json!({"server": "a", "path": path, "content": content});
        rig.cli
            .call("remote_write_file", &arguments, &["--yes", "--key", "k"])
    };
    let done = write(&first, "x\n");
    ended(&done, 0, "");
    let action = done.json()["audit"]["action"]
        .as_str()
        .expect("text")
        .to_owned();
    let replayed = write(&first, "x\n");
    ended(&replayed, 0, "");
    assert_eq!(replayed.json()["replayed"], true);
    assert_eq!(replayed.json()["audit"]["action"], json!(action));
    let before = rig.cli.records().len();
    let secret = unique("content ");
    let refused = write(&rig.path("second"), &secret);
    ended(&refused, 1, "CONFLICT");
    assert!(!rig.exists("second"));
    let records = rig.cli.records();
    let added = &records[before..];
    let events: Vec<&Value> = added.iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["intent", "outcome"], "{added:?}");
    let outcome = &added[1]["outcome"];
    assert_eq!(outcome["code"], "CONFLICT", "{outcome}");
    assert!(outcome["note"].to_string().contains(&action), "{outcome}");
    assert_eq!(added[0]["server"], "a");
    assert_eq!(added[0]["key"], Value::Null, "it claims nothing");
    assert!(!journal(&rig).contains(&secret));
}
