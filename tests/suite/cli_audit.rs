//! The journal as a person sees it: whole, complete, and without our secrets.
//!
//! They prove that no change of a record goes unseen, that without a journal
//! nothing is connected to, and that no secret is in it. How records are chained is
//! tested beside the code.

use std::fs;
use std::path::{Path, PathBuf};

use openshell_tests::{Account, Cli, Output, Sshd, SshdOptions, ssh_keygen};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, files_below, unique};

fn verify(cli: &Cli) -> Output {
    cli.run(["audit", "verify", "--json"])
}

/// An installation with a short journal, and where that is.
fn with_journal() -> (Rig, PathBuf) {
    let rig = Rig::start();
    ended(&rig.exec("uptime", &[]), 0, "");
    ended(&rig.exec("touch /never", &[]), 3, "APPROVAL_REQUIRED");
    rig.data(
        "remote_write_file",
        &rig.path("file"),
        json!({"content": "x\n"}),
    );
    let journal = rig.cli.audit_dir().join("actions.jsonl");
    let verified = verify(&rig.cli);
    assert_eq!(verified.status, 0, "{verified:?}");
    let verified = verified.json();
    assert_eq!(verified["status"], "ok", "{verified}");
    let lines = fs::read_to_string(&journal)
        .expect("it was written")
        .lines()
        .count();
    assert_eq!(verified["records"], lines, "{verified}");
    assert_eq!(verified["lastSeq"], lines, "{verified}");
    (rig, journal)
}

#[track_caller]
fn broken(cli: &Cli, what: &str) -> Value {
    let verified = verify(cli);
    assert_eq!(verified.status, 1, "{what}: {verified:?}");
    let json = verified.json();
    assert_eq!(json["status"], "error", "{what}: {json}");
    assert!(
        json["broken"]["line"].as_u64().is_some_and(|line| line > 0),
        "{what}: {json}"
    );
    assert!(json["broken"]["what"].is_string(), "{what}: {json}");
    json["broken"].clone()
}

#[test]
fn no_byte_can_be_changed_unseen() {
    let (rig, journal) = with_journal();
    let whole = fs::read(&journal).expect("it was written");
    let count = whole.len();
    let newlines: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at)
        .collect();
    let mut places: Vec<usize> = (0..48).map(|step| step * (count - 1) / 47).collect();
    // First, last, and both sides of line ends.
    places.extend([0, 1, count - 2, count - 1]);
    for at in [newlines[0], newlines[newlines.len() / 2]] {
        places.extend([at - 1, at, at + 1]);
    }
    places.sort_unstable();
    places.dedup();
    for at in places {
        let mut changed = whole.clone();
        changed[at] ^= 0x01;
        fs::write(&journal, &changed).expect("the installation's own file");
        let found = broken(&rig.cli, &format!("byte {at}"));
        let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let named = found["line"].as_u64().expect("checked");
        assert!(
            named == line || named == line + 1,
            "byte {at} of line {line}: {found}"
        );
        assert!(
            found["file"].to_string().contains("actions.jsonl"),
            "{found}"
        );
    }
    fs::write(&journal, &whole).expect("the installation's own file");
    assert_eq!(
        verify(&rig.cli).status,
        0,
        "verifying repairs and breaks nothing"
    );
}

#[test]
fn missing_moved_and_added_records_are_seen() {
    let (rig, journal) = with_journal();
    let whole = fs::read_to_string(&journal).expect("it was written");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let without = |index: usize| {
        let mut left = lines.clone();
        left.remove(index);
        left.concat()
    };
    let swapped = {
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        swapped.concat()
    };
    let doubled = format!("{whole}{}", lines[lines.len() - 1]);
    let half = &whole[..whole.len() - lines[lines.len() - 1].len() / 2];
    for (what, text) in [
        ("first line gone", without(0)),
        ("line in the middle gone", without(3)),
        ("last line gone", without(lines.len() - 1)),
        ("half of it gone", lines[..lines.len() / 2].concat()),
        ("last line cut", half.to_owned()),
        ("last newline gone", whole.trim_end().to_owned()),
        ("all gone", String::new()),
        ("two lines swapped", swapped),
        ("last line twice", doubled),
        ("rubbish at the front", format!("\n{whole}")),
    ] {
        fs::write(&journal, &text).expect("the installation's own file");
        broken(&rig.cli, what);
    }
    fs::remove_file(&journal).expect("the installation's own file");
    broken(&rig.cli, "the file is gone");
    fs::write(&journal, &whole).expect("the installation's own file");
    let head = rig.cli.audit_dir().join("head");
    let kept = fs::read(&head).expect("it was written");
    fs::remove_file(&head).expect("the installation's own file");
    broken(&rig.cli, "the head is gone");
    fs::write(&head, kept).expect("the installation's own file");
    assert_eq!(verify(&rig.cli).status, 0);
}

/// What an interrupted writer leaves behind the last record is no damage.
#[test]
fn a_torn_end_is_told_and_accounted_for() {
    let (rig, journal) = with_journal();
    let whole = fs::read_to_string(&journal).expect("it was written");
    let count = whole.lines().count();
    for torn in ["{\"v\":1,\"seq\":", "{}\n"] {
        fs::write(&journal, format!("{whole}{torn}")).expect("the installation's own file");
        let verified = verify(&rig.cli);
        assert_eq!(verified.status, 0, "{verified:?}");
        let verified = verified.json();
        assert_eq!(verified["tornEnd"], true, "{verified}");
        assert_eq!(verified["records"], count, "{verified}");
        let said = rig.cli.run(["audit", "verify"]);
        assert!(said.stderr.contains("The end is torn"), "{said:?}");
        let listed = rig.cli.run(["audit", "list", "--json"]);
        assert_eq!(listed.status, 0, "{listed:?}");
        assert_eq!(listed.json().as_array().map(Vec::len), Some(count));
        let doctor = rig.cli.run(["doctor"]);
        assert!(
            doctor.stdout.contains("the next call accounts for it"),
            "{doctor:?}"
        );
    }
    ended(&rig.exec("uptime", &[]), 0, "");
    let verified = verify(&rig.cli).json();
    assert_eq!(verified["tornEnd"], false, "{verified}");
    assert_eq!(verified["torn"], 1, "{verified}");
}

/// A file in which every record matches its hash is still no part of the record.
#[test]
fn an_added_segment_is_seen_and_not_shown() {
    let (rig, journal) = with_journal();
    let (other, foreign) = with_journal();
    let action = other.cli.run(["audit", "list", "--json"]).json()[0]["action"].clone();
    let added = rig
        .cli
        .audit_dir()
        .join("actions-00000000000000000002.jsonl");
    fs::copy(foreign, &added).expect("the installation's own directory");
    let found = broken(&rig.cli, "a segment was added");
    assert!(
        found["file"].to_string().contains("00000000000000000002"),
        "{found}"
    );
    let lines = fs::read_to_string(&journal)
        .expect("it was written")
        .lines()
        .count();
    let listed = rig.cli.run(["audit", "list", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(lines));
    let shown = rig
        .cli
        .run(["audit", "show", action.as_str().expect("an id")]);
    assert_eq!(shown.status, 1, "{shown:?}");
    fs::remove_file(added).expect("the installation's own file");
    assert_eq!(verify(&rig.cli).status, 0);
}

/// Without a record nothing is done: what was there is not added to.
#[test]
fn a_broken_journal_stops_every_remote_tool() {
    let (rig, journal) = with_journal();
    let connections = rig.server.connections_seen();
    let mut bytes = fs::read(&journal).expect("it was written");
    let last = bytes.len() - 10;
    bytes[last] ^= 0x01;
    fs::write(&journal, &bytes).expect("the installation's own file");
    ended(&rig.exec("uptime", &[]), 1, "JOURNAL_UNAVAILABLE");
    assert_eq!(rig.server.connections_seen(), connections);
    assert_eq!(fs::read(&journal).expect("still there"), bytes);
}

/// Nothing that was done is not the same as nothing that was asked for.
#[test]
fn an_empty_journal_is_said_to_be_empty() {
    let cli = Cli::new();
    for words in [&["audit", "list"][..], &["audit", "list", "--server", "a"]] {
        let listed = cli.run(words);
        assert_eq!(listed.status, 0, "{listed:?}");
        assert!(listed.stderr.contains("journal is empty"), "{listed:?}");
    }
    assert_eq!(cli.records(), Vec::<Value>::new());
    let (rig, _) = with_journal();
    let listed = rig.cli.run(["audit", "list", "--server", "other"]);
    assert!(listed.stderr.contains("no such record"), "{listed:?}");
}

#[test]
fn lists_are_filtered_and_actions_shown() {
    let rig = Rig::start();
    rig.cli.enrol(&rig.server, "b");
    let path = rig.put("file", "x\n", 0o644);
    ended(&rig.exec("uptime", &[]), 0, "");
    ended(&rig.on("remote_stat", &path, json!({}), &[]), 0, "");
    let on_b = json!({"server": "b", "path": path});
    let on_b = rig.cli.call("remote_stat", &on_b, &[]);
    ended(&on_b, 0, "");
    let list = |flags: &[&str]| -> Vec<Value> {
        let listed = rig.cli.run(["audit", "list", "--json"].iter().chain(flags));
        assert_eq!(listed.status, 0, "{listed:?}");
        listed.json().as_array().expect("an array").clone()
    };
    let all = list(&[]);
    assert_eq!(all.len(), 9, "{all:?}");
    let seqs: Vec<u64> = all
        .iter()
        .filter_map(|record| record["seq"].as_u64())
        .collect();
    assert_eq!(seqs, (1..=9).collect::<Vec<u64>>());
    let counted = |flags: &[&str], field: &str, value: &str, count: usize| {
        let found = list(flags);
        assert_eq!(found.len(), count, "{flags:?}: {found:?}");
        assert!(
            found.iter().all(|record| record[field] == value),
            "{flags:?}: {found:?}"
        );
    };
    counted(&["--server", "a"], "server", "a", 6);
    counted(&["--server", "b"], "server", "b", 3);
    counted(&["--tool", "remote_exec"], "tool", "remote_exec", 3);
    counted(
        &["--tool", "remote_stat", "--server", "a"],
        "tool",
        "remote_stat",
        3,
    );
    assert_eq!(list(&["--server", "c"]).len(), 0);
    assert_eq!(list(&["--limit", "2"]), all[7..]);

    let action = on_b.json()["audit"]["action"]
        .as_str()
        .expect("text")
        .to_owned();
    let shown = rig.cli.run(["audit", "show", &action, "--json"]);
    assert_eq!(shown.json(), json!(all[6..9]), "{shown:?}");
    let events: Vec<&Value> = all[6..9].iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["intent", "attempt", "outcome"]);
    assert_eq!(all[6]["arguments"], json!({"server": "b", "path": path}));
    let one = rig.cli.run(["audit", "show", "4", "--json"]);
    assert_eq!(one.json(), json!([all[3]]), "{one:?}");
    for unknown in ["99", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense"] {
        assert_eq!(
            rig.cli.run(["audit", "show", unknown]).status,
            1,
            "{unknown}"
        );
    }
    let table = rig.cli.run(["audit", "list"]);
    assert!(table.stdout.contains("uptime"), "{table:?}");
}

/// One call of each tool that reaches a server.
fn remote_calls(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("remote_exec", json!({"server": "a", "command": "uptime"})),
        (
            "remote_exec",
            json!({"server": "a", "command": format!("rm {path}")}),
        ),
        ("remote_read_file", json!({"server": "a", "path": path})),
        (
            "remote_write_file",
            json!({"server": "a", "path": path, "content": "y\n"}),
        ),
        (
            "remote_patch_file",
            json!({"server": "a", "path": path, "patch": "@@ -1 +1 @@\n-x\n+y\n"}),
        ),
        ("remote_list_dir", json!({"server": "a", "path": "/"})),
        ("remote_stat", json!({"server": "a", "path": path})),
        (
            "remote_find",
            json!({"server": "a", "path": path, "pattern": "x"}),
        ),
    ]
}

/// Puts something where the journal should be.
type Obstruct<'a> = &'a dyn Fn(&Path);

#[test]
fn without_a_journal_no_server_hears_of_us() {
    let rig = Rig::start();
    let path = rig.put("file", "x\n", 0o644);
    let audit = rig.cli.audit_dir();
    let directory = |place: &Path| fs::create_dir_all(place).expect("own directory");
    let file = |place: &Path| {
        fs::create_dir_all(place.parent().expect("below data")).expect("own directory");
        fs::write(place, "").expect("own directory");
    };
    let obstacles: [(&str, PathBuf, Obstruct<'_>); 2] = [
        (
            "a directory in place of the journal",
            audit.join("actions.jsonl"),
            &directory,
        ),
        ("a file in place of its directory", audit.clone(), &file),
    ];
    for (what, place, obstruct) in obstacles {
        let _ = fs::remove_dir_all(&audit);
        obstruct(&place);
        for (tool, arguments) in remote_calls(&path) {
            let refused = rig.cli.call(tool, &arguments, &["--yes"]);
            assert_eq!(refused.status, 1, "{what}, {tool}: {refused:?}");
            assert_eq!(
                refused.code(),
                "JOURNAL_UNAVAILABLE",
                "{what}, {tool}: {refused:?}"
            );
            let envelope = refused.json();
            assert_eq!(
                envelope["audit"]["logWritten"], false,
                "{what}, {tool}: {envelope}"
            );
            assert_eq!(
                envelope["execution"]["attempted"], false,
                "{what}, {tool}: {envelope}"
            );
        }
        let undo = rig.cli.run(["undo", "a", &path, "--yes", "--json"]);
        ended(&undo, 1, "JOURNAL_UNAVAILABLE");
        assert_eq!(rig.server.connections_seen(), 0, "{what}");
        assert_eq!(rig.content("file"), b"x\n", "{what}");
        if place.is_dir() {
            fs::remove_dir(&place).expect("it is empty");
        } else {
            fs::remove_file(&place).expect("own file");
        }
    }
    let _ = fs::remove_dir_all(&audit);
    ended(&rig.exec("uptime", &[]), 0, "");
}

/// What was said and written in a run with every kind of secret.
#[test]
fn no_secret_of_ours_leaves_its_place() {
    let server = Sshd::start(&SshdOptions {
        password_auth: true,
        ..SshdOptions::default()
    });
    let cli = Cli::new();
    let password = unique("pw-");
    let passphrase = unique("phrase-");
    let identity = server.dir().join("sealed");
    ssh_keygen(&identity, "ed25519", &passphrase);
    let public = fs::read_to_string(identity.with_extension("pub")).expect("just made");
    server.authorize(&public);
    let mut outputs: Vec<Output> = Vec::new();
    let port = server.port().to_string();
    let key = server.host_key_line();
    let place = identity.display().to_string();
    let add = |id: &str, user: &str, how: &[&str], secret: &str| {
        let fixed = [
            "server",
            "add",
            id,
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--user",
            user,
            "--host-key",
            &key,
        ];
        cli.run_stdin(fixed.iter().chain(how), &format!("{secret}\n"))
    };
    let how = ["--identity", &place, "--passphrase-stdin"];
    outputs.push(add("sealed", server.user(), &how, &passphrase));
    let home = server.dir().join("account");
    fs::create_dir(&home).expect("the fixture's directory");
    let account = Account::create("/bin/sh", &home);
    // A wrong password is a secret too; without an account it is the only one.
    let user = account.as_ref().map_or("nobody", Account::name);
    if let Some(account) = &account {
        account.set_password(&password);
        outputs.push(add(
            "password",
            account.name(),
            &["--password-stdin"],
            &password,
        ));
    }
    let wrong = unique("wrong-");
    outputs.push(add("wrong", user, &["--password-stdin"], &wrong));
    for output in &outputs {
        assert_eq!(output.status, 0, "{output:?}");
    }
    for id in ["sealed", "password", "wrong"] {
        if id == "password" && account.is_none() {
            continue;
        }
        let call = |tool: &str, mut arguments: Value| {
            arguments["server"] = json!(id);
            cli.call(tool, &arguments, &["--yes"])
        };
        let ran = call("remote_exec", json!({"command": "uptime"}));
        assert_eq!(ran.status == 0, id != "wrong", "{ran:?}");
        outputs.push(ran);
        // A server that echoes a secret does not get it into a result.
        let secret = match id {
            "sealed" => &passphrase,
            "password" => &password,
            _ => &wrong,
        };
        outputs.push(call(
            "remote_exec",
            json!({"command": format!("echo {secret}")}),
        ));
        outputs.push(call("remote_stat", json!({"path": format!("/{secret}")})));
        for verb in [
            vec!["server", "test", id],
            vec!["server", "show", id, "--json"],
        ] {
            outputs.push(cli.run(verb));
        }
    }
    for verb in [
        vec!["server", "list", "--json"],
        vec!["audit", "list", "--json", "--limit", "1000"],
        vec!["audit", "list"],
        vec!["key", "status", "--json"],
        vec!["call", "list_servers"],
    ] {
        outputs.push(cli.run(verb));
    }
    let private = fs::read_to_string(&identity).expect("just made");
    let body: Vec<&str> = private.lines().filter(|line| line.len() > 40).collect();
    let client = fs::read_to_string(server.client_key_path()).expect("the fixture's key");
    let client: Vec<&str> = client.lines().filter(|line| line.len() > 40).collect();
    let master = fs::read_to_string(cli.key_file()).expect("just made");
    let mut secrets: Vec<(&str, &str)> = vec![
        ("passphrase", &passphrase),
        ("wrong password", &wrong),
        ("master key", master.trim()),
    ];
    if account.is_some() {
        secrets.push(("password", &password));
    }
    secrets.extend(
        body.iter()
            .chain(&client)
            .map(|line| ("private key", *line)),
    );
    let mut places: Vec<(String, Vec<u8>)> = files_below(&cli.data_dir())
        .into_iter()
        .chain(files_below(&cli.config_dir()))
        .map(|path| {
            (
                path.display().to_string(),
                fs::read(&path).expect("own file"),
            )
        })
        .collect();
    assert!(
        places
            .iter()
            .any(|(name, _)| name.ends_with("actions.jsonl")),
        "{places:?}"
    );
    for output in &outputs {
        places.push(("stdout".to_owned(), output.stdout.clone().into_bytes()));
        places.push(("stderr".to_owned(), output.stderr.clone().into_bytes()));
    }
    for (what, secret) in secrets {
        assert!(secret.len() > 20, "{what} is too short to look for");
        for (name, bytes) in &places {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(
                !found,
                "{what} in {name}: {}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
