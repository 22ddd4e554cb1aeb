//! Questions that wait: a call is refused, a person answers at a terminal of their
//! own, the same call goes ahead once.
//!
//! Invariant under test: a grant is for one question, whole and unchanged, and is
//! used once. Dialogs of a client are not involved.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use openshell_tests::{Bridge, Cli, RawMcp, Terminal};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended};
use crate::mcp_rig::{Client, run};

/// The questions that are kept.
pub(crate) fn kept(cli: &Cli) -> Vec<Value> {
    let listed = cli.run(["approvals", "list", "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    listed.json().as_array().expect("a list").clone()
}

/// Allows everything that waits.
pub(crate) fn allow_all(cli: &Cli) {
    for ask in kept(cli) {
        if ask["state"] == "waiting" {
            let id = ask["id"].as_str().expect("an id");
            let allowed = cli.run(["approvals", "allow", id, "--yes"]);
            assert_eq!(allowed.status, 0, "{allowed:?}");
        }
    }
}

/// The journal's records of one kind.
pub(crate) fn recorded(cli: &Cli, kind: &str) -> Vec<Value> {
    let records = cli.records().into_iter();
    records.filter(|record| record["event"] == kind).collect()
}

#[test]
fn a_grant_out_of_band_lets_the_same_call_pass_once() {
    let rig = Rig::start();
    let file = rig.put("lines", "", 0o644);
    let append = format!("echo x >> {file}");
    run(async {
        let client = Client::without_dialogs(&rig.cli).await;
        let refused = client.exec(&append).await;
        assert_eq!(refused["code"], "APPROVAL_REQUIRED", "{refused:#}");
        assert_eq!(refused["execution"]["attempted"], false);
        let next = refused["next"].as_str().expect("what to do");
        assert!(next.contains("`openshell approvals`"), "{next}");

        let asks = kept(&rig.cli);
        assert_eq!(asks.len(), 1);
        let id = asks[0]["id"].as_str().expect("an id");
        // Nothing a model reads approves by being copied.
        let told = refused.to_string();
        assert!(
            !told.contains(&id[..6]) && !told.contains("allow"),
            "{told}"
        );
        let question = asks[0]["question"].as_str().expect("words");
        assert!(question.contains(&format!("$ {append}\n")), "{question}");
        assert_eq!(asks[0]["client"], "rig 1⟦U+001B⟧[2J");

        // Asked again, it is the same question, and still nobody agreed.
        assert_eq!(client.exec(&append).await["code"], "APPROVAL_REQUIRED");
        assert_eq!(kept(&rig.cli).len(), 1);
        assert_eq!(rig.content("lines"), b"");

        let allowed = rig.cli.run(["approvals", "allow", &id[..10], "--yes"]);
        assert_eq!(allowed.status, 0, "{allowed:?}");
        // Answered once is answered.
        let twice = rig.cli.run(["approvals", "reject", id, "--json"]);
        ended(&twice, 1, "APPROVAL_ANSWERED");
        // Another command, directory or time-out is another question.
        for other in [
            json!({"server": "a", "command": format!("{append} ")}),
            json!({"server": "a", "command": append, "cwd": "/"}),
            json!({"server": "a", "command": append, "timeout": 1234}),
        ] {
            let refused = client.call("remote_exec", other).await;
            assert_eq!(refused["code"], "APPROVAL_REQUIRED", "{refused:#}");
        }
        assert_eq!(client.exec(&append).await["status"], "ok");
        assert_eq!(client.exec(&append).await["code"], "APPROVAL_REQUIRED");
    });
    assert_eq!(rig.content("lines"), b"x\n");
    let granted: Vec<Value> = recorded(&rig.cli, "approval")
        .into_iter()
        .filter(|record| record["approval"]["answer"] == "granted")
        .collect();
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0]["approval"]["by"], "person-out-of-band");
    let notes = recorded(&rig.cli, "note");
    let digest = granted[0]["approval"]["digest"].as_str().expect("a digest");
    assert!(
        notes.iter().any(|note| note.to_string().contains(digest)),
        "who agreed to what is on record: {notes:#?}"
    );
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

/// A change that asks twice: to read a file that may be secret, and to write it.
pub(crate) fn two_questions(file: &str) -> Value {
    let patch = "@@ -1 +1 @@\n-TOKEN=old\n+TOKEN=new\n";
    json!({"server": "a", "path": file, "patch": patch})
}

#[test]
fn a_call_with_two_questions_takes_a_grant_for_each() {
    let rig = Rig::start();
    let file = rig.put(".env", "TOKEN=old\n", 0o600);
    let patch = two_questions(&file);
    let asked = || -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kept = kept(&rig.cli);
        let mut asked: Vec<_> = kept
            .iter()
            .map(|ask| (text(&ask["state"]), text(&ask["question"])))
            .collect();
        asked.sort();
        asked
    };
    run(async {
        let client = Client::without_dialogs(&rig.cli).await;
        let call = || client.call("remote_patch_file", patch.clone());
        assert_eq!(call().await["code"], "APPROVAL_REQUIRED");
        assert_eq!(asked().len(), 1);
        allow_all(&rig.cli);
        // It stops at the second question, and leaves the grant of the first. Another
        // process finds the same.
        assert_eq!(call().await["code"], "APPROVAL_REQUIRED");
        let by_another = rig.cli.call("remote_patch_file", &patch, &["--defer"]);
        ended(&by_another, 3, "APPROVAL_REQUIRED");
        let both = asked();
        let states: Vec<&str> = both.iter().map(|(state, _)| state.as_str()).collect();
        assert_eq!(states, ["allowed", "waiting"], "{both:?}");
        assert!(both[1].1.contains("wants to write a file"), "{both:?}");
        allow_all(&rig.cli);
        let done = call().await;
        assert_eq!(done["status"], "ok", "{done:#}");
        // Both are used up now.
        assert_eq!(asked(), []);
        std::fs::write(&file, "TOKEN=old\n").expect("the test's own");
        assert_eq!(call().await["code"], "APPROVAL_REQUIRED");
    });
    assert_eq!(rig.content(".env"), b"TOKEN=old\n");
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

#[test]
fn a_file_that_changed_is_another_question() {
    let rig = Rig::start();
    let file = rig.put("file", "old\n", 0o644);
    let write = json!({"server": "a", "path": file, "content": "new\n"});
    run(async {
        let client = Client::without_dialogs(&rig.cli).await;
        let call = || client.call("remote_write_file", write.clone());
        assert_eq!(call().await["code"], "APPROVAL_REQUIRED");
        allow_all(&rig.cli);
        fs::write(&file, "somebody else's\n").expect("the test's own");
        assert_eq!(call().await["code"], "APPROVAL_REQUIRED");
        assert_eq!(rig.content("file"), b"somebody else's\n");
        let asks = kept(&rig.cli);
        assert_eq!(asks.len(), 2);
        assert!(
            asks.iter()
                .any(|ask| ask["diff"].to_string().contains("somebody")),
            "{asks:#?}"
        );
        // Back as it was, the grant is for this again.
        fs::write(&file, "old\n").expect("the test's own");
        assert_eq!(call().await["status"], "ok");
    });
    assert_eq!(rig.content("file"), b"new\n");
}

#[test]
fn a_rejection_reaches_the_model_with_its_words() {
    let rig = Rig::start();
    let touch = format!("touch {}", rig.path("touched"));
    run(async {
        let client = Client::without_dialogs(&rig.cli).await;
        assert_eq!(client.exec(&touch).await["code"], "APPROVAL_REQUIRED");
        let asks = kept(&rig.cli);
        let id = asks[0]["id"].as_str().expect("an id");
        let words = ["approvals", "reject", id, "--feedback", "Use staging."];
        assert_eq!(rig.cli.run(words).status, 0);
        let refused = client.exec(&touch).await;
        assert_eq!(refused["code"], "APPROVAL_REJECTED");
        let said = refused["message"].as_str().unwrap_or_default();
        assert!(said.contains("Use staging."), "{said}");
        // A session of its own is told the same.
        let other = Client::without_dialogs(&rig.cli).await;
        assert_eq!(other.exec(&touch).await["code"], "APPROVAL_REJECTED");
    });
    assert!(!rig.exists("touched"));
}

#[test]
fn an_agent_neither_reads_nor_answers_what_waits() {
    let mut rig = Rig::start();
    let touch = format!("touch {}", rig.path("touched"));
    ended(&rig.exec(&touch, &["--defer"]), 3, "APPROVAL_REQUIRED");
    let id = kept(&rig.cli)[0]["id"].as_str().expect("an id").to_owned();
    for mark in ["OPENCODE", "AGENT", "CLAUDECODE"] {
        rig.cli.set_env(mark, "1");
        for words in [
            vec!["approvals"],
            vec!["approvals", "list"],
            vec!["approvals", "show", &id],
            vec!["approvals", "allow", &id, "--yes"],
            vec!["approvals", "reject", &id],
        ] {
            let mut words = words;
            words.push("--json");
            let refused = rig.cli.run(&words);
            ended(&refused, 3, "PERSON_REQUIRED");
            assert!(!refused.stdout.contains("touch "), "{refused:?}");
        }
        rig.cli.unset_env(mark);
    }
    ended(&rig.exec(&touch, &["--defer"]), 3, "APPROVAL_REQUIRED");
    allow_all(&rig.cli);
    ended(&rig.exec(&touch, &["--defer"]), 0, "");
    assert!(rig.exists("touched"));
    // Without the flag, a call that can ask nobody leaves nothing behind.
    ended(&rig.exec(&touch, &[]), 3, "APPROVAL_REQUIRED");
    assert_eq!(kept(&rig.cli), Vec::<Value>::new());
}

#[test]
fn a_person_goes_through_what_waits_at_a_terminal() {
    let rig = Rig::start();
    let command = |name: &str| format!("touch {}", rig.path(name));
    let write = rig.on(
        "remote_write_file",
        &rig.path("file"),
        json!({"content": "x\n"}),
        &["--defer"],
    );
    ended(&write, 3, "APPROVAL_REQUIRED");
    for name in ["no", "later"] {
        ended(
            &rig.exec(&command(name), &["--defer"]),
            3,
            "APPROVAL_REQUIRED",
        );
    }
    let Some(mut terminal) = Terminal::start(&rig.cli, &["approvals"]) else {
        return;
    };
    let prompt = "Let it happen, once? Type yes, no or later: ";
    terminal.wait_for(prompt);
    let shown = terminal.shown();
    assert!(shown.contains("creates the file: 2 bytes"), "{shown}");
    assert!(shown.contains("+x"), "{shown}");
    for (typed, prompt) in [
        ("perhaps", prompt),
        ("yes", prompt),
        ("no", "What should be done instead?"),
        ("Nothing at all.", prompt),
    ] {
        terminal.type_line(typed);
        terminal.wait_for(prompt);
    }
    terminal.type_line("later");
    let output = terminal.finish();
    assert_eq!(output.status, 0, "{output:?}");
    let places = ["/file", "none of the three", "/no", "/later"].map(|text| {
        let place = output.stderr.find(text);
        place.unwrap_or_else(|| panic!("{text:?} was not shown: {output:?}"))
    });
    assert!(places.is_sorted(), "{output:?}");

    let states: Vec<Value> = kept(&rig.cli)
        .iter()
        .map(|ask| ask["state"].clone())
        .collect();
    assert_eq!(states, ["allowed", "rejected", "waiting"]);
    let refused = rig.exec(&command("no"), &["--defer"]);
    ended(&refused, 3, "APPROVAL_REJECTED");
    assert!(refused.stdout.contains("Nothing at all."), "{refused:?}");
    let written = rig.on(
        "remote_write_file",
        &rig.path("file"),
        json!({"content": "x\n"}),
        &["--defer"],
    );
    ended(&written, 0, "");
    assert_eq!(rig.content("file"), b"x\n");
}

#[test]
fn where_presence_is_demanded_a_grant_takes_the_passphrase() {
    let rig = Rig::start();
    let policy = "format = 1\n[[access]]\nservers = [\"a\"]\nconfirm = \"presence\"\n";
    fs::write(rig.cli.config_dir().join("policy.toml"), policy).expect("ours");
    let touch = format!("touch {}", rig.path("touched"));
    ended(&rig.exec(&touch, &["--defer"]), 3, "APPROVAL_REQUIRED");
    let asks = kept(&rig.cli);
    assert_eq!(asks[0]["presence"], true);
    // Without a terminal nobody can show that they are there, and this
    // installation's key is a file: there is no passphrase to show it with.
    let id = asks[0]["id"].as_str().expect("an id");
    let refused = rig.cli.run(["approvals", "allow", id, "--yes", "--json"]);
    assert_eq!(refused.status, 3, "{refused:?}");
    if let Some(terminal) = Terminal::start(&rig.cli, &["approvals", "allow", id, "--yes"]) {
        terminal.wait_for("`openshell key rotate --passphrase`");
        assert_eq!(terminal.finish().status, 3);
    }
    let report = rig.cli.run(["doctor", "--json"]).json();
    let checks = report["checks"].as_array().expect("a list");
    let policy = checks.iter().find(|check| check["check"] == "policy");
    assert_eq!(policy.map(|check| &check["state"]), Some(&json!("wrong")));
    assert_eq!(kept(&rig.cli)[0]["state"], "waiting");
    ended(&rig.exec(&touch, &["--defer"]), 3, "APPROVAL_REQUIRED");
    assert!(!rig.exists("touched"));
}

#[test]
fn the_passphrase_at_a_terminal_lets_the_same_call_pass_once() {
    let mut rig = Rig::start();
    let passphrase = format!("long enough {}", std::process::id());
    let file = rig.cli.dir().join("passphrase");
    fs::write(&file, &passphrase).expect("ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let file = file.display().to_string();
    let rotated = rig
        .cli
        .run(["key", "rotate", "--passphrase", "--passphrase-file", &file]);
    assert_eq!(rotated.status, 0, "{rotated:?}");
    rig.cli.unset_env("OPENSHELL_MASTER_KEY_FILE");
    rig.cli.set_env("OPENSHELL_PASSPHRASE_FILE", &file);
    let policy = "format = 1\n[[access]]\nservers = [\"a\"]\nconfirm = \"presence\"\n";
    fs::write(rig.cli.config_dir().join("policy.toml"), policy).expect("ours");

    // A client that says yes to everything.
    let mut bridge = Bridge::start(&mut rig.cli.command(["bridge"]));
    let log = rig.path("log");
    let append = json!({"server": "a", "command": format!("echo ran >> {log}")});
    let mut call = |expected: &str| {
        let envelope = bridge.call("remote_exec", &append, None);
        let envelope = envelope.expect("the helper answers");
        let code = envelope["code"].as_str().unwrap_or("ok");
        assert_eq!(code, expected, "{envelope}");
        bridge.questions().last().cloned().unwrap_or_default()
    };
    assert_eq!(call("APPROVAL_REQUIRED")["presence"], true);
    let asks = kept(&rig.cli);
    assert_eq!(asks[0]["door"], "bridge", "{asks:#?}");
    assert_eq!(asks[0]["client"], "tests 1", "{asks:#?}");
    let id = asks[0]["id"].as_str().expect("an id");
    for (typed, status) in [("a guess", 3), (passphrase.as_str(), 0)] {
        let words = ["approvals", "allow", id, "--yes"];
        let Some(mut terminal) = Terminal::start(&rig.cli, &words) else {
            return;
        };
        terminal.wait_for("to show that you are there");
        terminal.type_line(typed);
        let output = terminal.finish();
        assert_eq!(output.status, status, "{output:?}");
    }
    call("ok");
    assert_eq!(rig.content("log"), b"ran\n");
    call("APPROVAL_REQUIRED");
    assert_eq!(rig.content("log"), b"ran\n");
}

#[test]
fn a_grant_made_before_presence_was_demanded_is_none() {
    let rig = Rig::start();
    let touch = format!("touch {}", rig.path("touched"));
    ended(&rig.exec(&touch, &["--defer"]), 3, "APPROVAL_REQUIRED");
    allow_all(&rig.cli);
    for (rule, code) in [
        ("confirm = \"presence\"", "APPROVAL_REQUIRED"),
        ("mode = \"read-only\"", "POLICY_REJECTED"),
        ("mode = \"off\"", "POLICY_REJECTED"),
    ] {
        let policy = format!("format = 1\n[[access]]\nservers = [\"a\"]\n{rule}\n");
        fs::write(rig.cli.config_dir().join("policy.toml"), policy).expect("ours");
        ended(&rig.exec(&touch, &["--defer"]), 3, code);
    }
    assert!(!rig.exists("touched"));
}

#[test]
fn what_is_kept_is_private_and_only_the_key_makes_an_answer() {
    let rig = Rig::start();
    let secret = format!("top-secret-{}", std::process::id());
    let file = rig.put("file", &secret, 0o600);
    let (mut mcp, _) = RawMcp::session(&rig.cli, "2025-06-18", &json!({}));
    let write = json!({"server": "a", "path": file, "content": "other\n"});
    mcp.begin(&json!(1), "remote_write_file", &write);
    let refused = mcp.response(&json!(1))["result"].clone();
    assert_eq!(refused["structuredContent"]["code"], "APPROVAL_REQUIRED");

    let dir = rig.cli.data_dir().join("pending");
    let files: Vec<_> = fs::read_dir(&dir)
        .expect("it was made")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "ask"))
        .collect();
    assert_eq!(files.len(), 1);
    let bytes = fs::read(&files[0]).expect("ours");
    assert!(!String::from_utf8_lossy(&bytes).contains(&secret));
    let mode = fs::metadata(&files[0]).expect("ours").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // A file that somebody wrote by hand grants nothing.
    let name = files[0].file_stem().expect("a name").to_str().expect("hex");
    let forged = json!({"id": name, "state": {"granted": {"at_ms": 0, "presence": true}}});
    fs::write(&files[0], forged.to_string()).expect("ours");
    mcp.begin(&json!(2), "remote_write_file", &write);
    let refused = mcp.response(&json!(2))["result"].clone();
    assert_eq!(refused["structuredContent"]["code"], "APPROVAL_REQUIRED");
    assert_eq!(rig.content("file"), secret.as_bytes());
}
