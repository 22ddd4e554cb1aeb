//! Undo of trees, actions and sessions: everything comes back, byte for byte,
//! mode and owner included.
//!
//! They prove it by comparing whole trees before and after. Single files are undone
//! in `cli_undo`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshell_tests::{Account, Cli, Output, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, is_root, unique};
use crate::snapshots_support::{Bridge, Entry, Tree, tree};

/// Always the same numbers (xorshift64, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| self.below(256).to_le_bytes()[0])
            .collect()
    }

    fn text(&mut self) -> String {
        let lines = self.below(30);
        (0..lines)
            .map(|line| format!("line {line} {}\n", self.below(5)))
            .collect()
    }
}

/// A change through openshell, and the file it was made in.
struct Step {
    action: String,
    place: PathBuf,
    before: Option<Entry>,
    after: Option<Entry>,
}

fn undo(rig: &Rig, words: &[&str]) -> Output {
    rig.cli.run(["undo", "--json"].iter().chain(words))
}

/// Directories, files with odd contents, modes and owners, links to both.
fn plant(rig: &Rig, root: bool) -> Vec<(&'static str, &'static str)> {
    for dir in ["d1", "d2", "d2/sub"] {
        fs::create_dir(rig.files.join(dir)).expect("new");
    }
    rig.put("d1/a", "one\ntwo\nthree\n", 0o640);
    rig.put("d1/b", (0..=255).collect::<Vec<u8>>(), 0o755);
    rig.put("d2/sub/c", "a\r\nno newline at the end", 0o600);
    if root {
        let give = |name: &str, uid, gid| chown(rig.files.join(name), Some(uid), Some(gid));
        give("d1/a", 1234, 4321).expect("root may give files away");
        give("d2/sub/c", 0, 4321).expect("root may give files away");
    }
    symlink("d1/a", rig.files.join("alias")).expect("new");
    symlink("d2", rig.files.join("link")).expect("new");
    // As asked for, and where it leads.
    vec![
        ("d1/a", "d1/a"),
        ("d1/b", "d1/b"),
        ("d2/sub/c", "d2/sub/c"),
        ("alias", "d1/a"),
        ("link/sub/c", "d2/sub/c"),
        ("link/new", "d2/new"),
        ("d1/new", "d1/new"),
    ]
}

fn edit(rig: &Rig, numbers: &mut Numbers, asked: &str) -> Value {
    let path = rig.path(asked);
    let mode = format!("{:04o}", [0o600, 0o644, 0o751, 0o4755][numbers.below(4)]);
    let (tool, mut arguments) = match numbers.below(5) {
        0 => {
            let size = numbers.below(3000);
            let content = STANDARD.encode(numbers.bytes(size));
            let edit = json!({"content": content, "encoding": "base64"});
            ("remote_write_file", edit)
        }
        1 => (
            "remote_write_file",
            json!({"content": numbers.text(), "mode": mode}),
        ),
        2 => ("remote_write_file", json!({"content": "", "mode": mode})),
        3 => ("remote_write_file", json!({"content": numbers.text()})),
        _ => {
            // A patch of whatever text there is; otherwise the text.
            let now = fs::read(&path)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            match now
                .as_deref()
                .and_then(|now| now.split_inclusive('\n').next())
            {
                Some(first) if first.ends_with('\n') && !first.ends_with("\r\n") => {
                    let first = first.trim_end_matches('\n');
                    let patch = format!("@@ -1 +1,2 @@\n-{first}\n+{first}!\n+more\n");
                    ("remote_patch_file", json!({"patch": patch}))
                }
                _ => ("remote_write_file", json!({"content": "fresh\n"})),
            }
        }
    };
    arguments["server"] = json!("a");
    arguments["path"] = json!(path);
    rig.cli.must(tool, &arguments, &["--yes"])
}

/// Somebody else does something to a file.
fn drift(numbers: &mut Numbers, place: &Path, root: bool) {
    match numbers.below(4) {
        0 => fs::write(place, numbers.text() + "theirs\n").expect("own file"),
        1 if place.exists() => {
            fs::set_permissions(place, fs::Permissions::from_mode(0o666)).expect("own file");
        }
        2 if place.exists() => fs::remove_file(place).expect("own file"),
        _ if root && place.exists() => chown(place, Some(77), Some(88)).expect("root may"),
        _ => fs::write(place, "new content of theirs").expect("own directory"),
    }
}

fn run(seed: u64, drifts: bool) {
    let root = is_root("giving files away");
    let rig = Rig::start();
    let names = plant(&rig, root);
    let mut numbers = Numbers(seed);
    let begin = tree(&rig.files);
    let mut steps: Vec<Step> = Vec::new();
    while steps.len() < 10 {
        let (asked, real) = names[numbers.below(names.len())];
        let place = rig.files.join(real);
        if drifts && numbers.below(3) == 0 {
            drift(&mut numbers, &place, root);
        }
        let before = tree(&rig.files);
        let envelope = edit(&rig, &mut numbers, asked);
        let after = tree(&rig.files);
        if after == before {
            continue;
        }
        assert_eq!(envelope["audit"]["snapshotStatus"], "written", "{envelope}");
        steps.push(Step {
            action: envelope["audit"]["action"]
                .as_str()
                .expect("text")
                .to_owned(),
            before: before.get(&place).cloned(),
            after: after.get(&place).cloned(),
            place,
        });
    }
    for (number, step) in steps.iter().enumerate().rev() {
        let now = tree(&rig.files);
        let told = format!("seed {seed:x}, step {number}: {}", step.place.display());
        let by_action = ["--action", step.action.as_str(), "--yes"];
        let mut done = undo(&rig, &by_action);
        let found = now.get(&step.place);
        if found != step.after.as_ref() && found != step.before.as_ref() {
            let result = &done.json()["files"][0]["result"];
            assert_eq!(result["code"], "CONFLICT", "{told}: {done:?}");
            assert!(result["data"]["drift"]["summary"].is_string(), "{done:?}");
            assert_eq!(tree(&rig.files), now, "{told}: a refusal changed something");
            done = undo(&rig, &["--action", &step.action, "--yes", "--force"]);
        }
        ended(&done, 0, "");
        let mut expected: Tree = now;
        match &step.before {
            Some(entry) => expected.insert(step.place.clone(), entry.clone()),
            None => expected.remove(&step.place),
        };
        assert_eq!(tree(&rig.files), expected, "{told}: {done:?}");
    }
    if !drifts {
        assert_eq!(tree(&rig.files), begin, "seed {seed:x}");
    }
    for verb in [["audit", "verify"], ["snapshots", "verify"]] {
        let verified = rig.cli.run(verb);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
}

#[test]
fn a_tree_comes_back_action_by_action() {
    run(0x51f1_5e2a_77b3_0d41, false);
}

#[test]
fn a_tree_comes_back_although_others_change_it_in_between() {
    run(0x0bad_cafe_1234_5678, true);
}

#[test]
fn a_session_is_undone_as_a_whole() {
    let rig = Rig::start();
    let (one, two) = (rig.put("one", "1\n", 0o640), rig.path("two"));
    let three = rig.put("three", "3\n", 0o644);
    let begin = tree(&rig.files);
    let mut bridge = Bridge::start(&rig);
    for (session, path, content) in [
        ("ses_mine", &one, "1a\n"),
        ("ses_mine", &two, "new\n"),
        ("ses_other", &three, "3a\n"),
        ("ses_mine", &one, "1b\n"),
    ] {
        let envelope = bridge.write(session, path, content);
        assert_eq!(envelope["status"], "ok", "{envelope}");
    }
    let listed = rig
        .cli
        .run(["history", "--session", "ses_mine", "--json"])
        .json();
    let listed = listed.as_array().expect("an array");
    assert!(listed.len() >= 5, "{listed:?}");
    for revision in listed {
        assert_eq!(
            (
                &revision["door"],
                &revision["session"],
                &revision["approvedBy"]
            ),
            (&json!("bridge"), &json!("ses_mine"), &json!("person")),
            "{revision}"
        );
    }
    let shown = rig.cli.run(["history", "a", &one]);
    assert!(
        shown
            .stdout
            .contains("remote_write_file (bridge ses_mine), person"),
        "{shown:?}"
    );
    let rehearsed = undo(&rig, &["--session", "ses_mine", "--no"]);
    assert_eq!(rehearsed.status, 3, "{rehearsed:?}");
    let done = undo(&rig, &["--session", "ses_mine", "--yes"]);
    ended(&done, 0, "");
    let files = done.json()["files"].clone();
    assert_eq!(files[0]["path"], json!(one), "{files}");
    assert_eq!(
        (&files[0]["changes"], &files[1]["changes"]),
        (&json!(2), &json!(1))
    );
    let mut expected = begin;
    let place = rig.files.join("three");
    expected.insert(place.clone(), tree(&rig.files)[&place].clone());
    assert_eq!(tree(&rig.files), expected);
    assert_eq!(rig.content("three"), b"3a\n");
    // Again: everything is back already, and nobody is asked.
    let again = undo(&rig, &["--session", "ses_mine"]);
    ended(&again, 0, "");
    assert_eq!(
        again.json()["files"][0]["result"]["data"]["unchanged"],
        true
    );
    // Somebody else's line between two changes of a session would go with them.
    for (content, theirs) in [("2a\n", "2a\ntheirs\n"), ("2b\n", "")] {
        let envelope = bridge.write("ses_torn", &three, content);
        assert_eq!(envelope["status"], "ok", "{envelope}");
        if !theirs.is_empty() {
            rig.put("three", theirs, 0o644);
        }
    }
    let refused = undo(&rig, &["--session", "ses_torn", "--yes"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let result = refused.json()["files"][0]["result"].clone();
    assert_eq!(result["code"], "CONFLICT", "{result}");
    let diff = result["data"]["drift"]["diff"].to_string();
    assert!(diff.contains("+theirs"), "{result}");
    assert_eq!(rig.content("three"), b"2b\n");
    let insisted = undo(&rig, &["--session", "ses_torn", "--despite-drift", "--yes"]);
    ended(&insisted, 0, "");
    assert_eq!(rig.content("three"), b"3a\n");
    for (flag, id) in [
        ("--session", "ses_none"),
        ("--action", "01J00000000000000000000000"),
    ] {
        let none = undo(&rig, &[flag, id, "--yes"]);
        assert_eq!(none.status, 1, "{none:?}");
        assert!(none.stdout.contains("nothing is kept") || none.stderr.contains("othing is kept"));
    }
}

#[test]
fn what_stands_in_the_way_is_shown() {
    let rig = Rig::start();
    let path = rig.put("file", "one\ntwo\n", 0o644);
    let first = rig.cli.must(
        "remote_write_file",
        &json!({"server": "a", "path": path, "content": "one\n2\n"}),
        &["--yes"],
    );
    let first = first["audit"]["action"].as_str().expect("text").to_owned();
    fs::write(rig.files.join("file"), "one\n2\ntheirs\n").expect("own file");
    let refused = undo(&rig, &["a", &path, "--yes"]);
    ended(&refused, 1, "CONFLICT");
    let refused = refused.json();
    let drift = &refused["data"]["drift"];
    assert!(
        drift["diff"]
            .as_str()
            .expect("a diff")
            .contains("\n+theirs\n"),
        "{drift}"
    );
    let message = refused["message"].as_str().expect("text");
    assert!(message.contains("changed by somebody else"), "{message}");
    let told = rig.cli.run(["undo", "a", &path, "--yes"]);
    assert!(told.stdout.contains("theirs"), "{told:?}");
    // A later change of our own stands in the way of undoing an earlier one.
    rig.data("remote_write_file", &path, json!({"content": "later\n"}));
    let refused = undo(&rig, &["--action", &first, "--yes"]);
    let result = refused.json()["files"][0]["result"].clone();
    assert_eq!(result["code"], "CONFLICT", "{result}");
    let message = result["message"].as_str().expect("text");
    assert!(
        message.contains("changed again through openshell"),
        "{message}"
    );
    ended(
        &undo(&rig, &["--action", &first, "--yes", "--over-drift"]),
        0,
        "",
    );
    assert_eq!(rig.content("file"), b"one\ntwo\n");
    // A name that leads elsewhere by now is another file.
    rig.data("remote_write_file", &path, json!({"content": "again\n"}));
    let last = rig.cli.run(["history", "a", &path, "--json"]).json()[0]["action"].clone();
    rig.put("other", "again\n", 0o644);
    fs::remove_file(rig.files.join("file")).expect("own file");
    symlink("other", rig.files.join("file")).expect("free");
    let refused = undo(
        &rig,
        &["--action", last.as_str().expect("text"), "--yes", "--force"],
    );
    let result = refused.json()["files"][0]["result"].clone();
    assert_eq!(result["code"], "CONFLICT", "{result}");
    assert_eq!(rig.content("other"), b"again\n");
}

#[test]
fn an_owner_comes_back_where_the_login_can_give_it() {
    if !is_root("giving files away") {
        return;
    }
    let rig = Rig::start();
    let path = rig.put("file", "mine\n", 0o640);
    let place = rig.files.join("file");
    chown(&place, Some(1234), Some(4321)).expect("root may");
    rig.data("remote_write_file", &path, json!({"content": "ours\n"}));
    chown(&place, Some(77), Some(88)).expect("root may");
    ended(&undo(&rig, &["a", &path, "--yes"]), 1, "CONFLICT");
    ended(&undo(&rig, &["a", &path, "--yes", "--force"]), 0, "");
    let meta = fs::metadata(&place).expect("there");
    assert_eq!(
        (meta.uid(), meta.gid(), meta.mode() & 0o7777),
        (1234, 4321, 0o640)
    );
    assert_eq!(rig.content("file"), b"mine\n");
}

#[test]
fn an_owner_that_cannot_come_back_is_said() {
    let server = Sshd::start(&SshdOptions::default());
    let home = server.dir().join("account");
    fs::create_dir(&home).expect("the fixture's directory");
    let Some(account) = Account::create("/bin/sh", &home) else {
        return;
    };
    let cli = Cli::new();
    cli.enrol_as(&server, "a", account.name(), &[]);
    let place = home.join("file");
    fs::write(&place, "root's\n").expect("own file");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o666)).expect("own file");
    let path = place.to_str().expect("UTF-8").to_owned();
    let change = json!({"server": "a", "path": path, "content": "agent's\n"});
    cli.must("remote_write_file", &change, &["--yes"]);
    assert_eq!(fs::metadata(&place).expect("there").uid(), 0);
    fs::remove_file(&place).expect("own file");
    let done = cli.run(["undo", "a", &path, "--force", "--yes", "--json"]);
    ended(&done, 0, "");
    let message = done.json()["message"].as_str().expect("text").to_owned();
    assert!(message.contains("cannot give a file away"), "{message}");
    let meta = fs::metadata(&place).expect("it is back");
    assert_eq!(fs::read(&place).expect("it is back"), b"root's\n");
    assert_eq!(meta.mode() & 0o7777, 0o666);
    assert_ne!(meta.uid(), 0);
}

#[test]
fn what_is_kept_is_compared_with_what_is_there() {
    let rig = Rig::start();
    let path = rig.put("file", "one\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "two\n"}));
    let live = |more: &[&str]| {
        let words = ["diff", "a", &path, "--live", "--json"];
        rig.cli.run(words.iter().chain(more))
    };
    let same = live(&[]);
    ended(&same, 0, "");
    assert_eq!(same.json()["same"], true, "{same:?}");
    fs::write(rig.files.join("file"), "two\nthree\n").expect("own file");
    let shown = live(&[]).json();
    assert!(
        shown["diff"].as_str().expect("a diff").contains("+three"),
        "{shown}"
    );
    assert_eq!(shown["to"], "live");
    let oldest = rig.cli.run(["history", "a", &path, "--json"]).json()[1]["revision"].clone();
    let shown = live(&["--from", oldest.as_str().expect("text")]).json();
    let diff = shown["diff"].as_str().expect("a diff");
    assert!(diff.contains("-one") && diff.contains("+three"), "{diff}");
    fs::remove_file(rig.files.join("file")).expect("own file");
    let gone = live(&[]).json();
    assert!(
        gone["summary"].as_str().expect("text").contains("removes"),
        "{gone}"
    );
    // It is a read like any other, and on record.
    let records = rig.cli.records();
    assert!(records.iter().any(|record| record["tool"] == "diff"
        && record["event"] == "attempt"
        && record["operation"]["kind"] == "read"));
}

#[test]
fn what_is_sealed_is_opened_for_a_person_only() {
    let mut rig = Rig::start();
    let secret = unique("value-");
    let path = rig.put("id_rsa", format!("{secret}\n"), 0o600);
    rig.data("remote_write_file", &path, json!({"content": "x\n"}));
    let shown = rig.cli.run(["diff", "a", &path]);
    assert!(shown.stdout.contains(&secret), "{shown:?}");
    // Somebody else's change of it is told without being shown.
    fs::write(rig.files.join("id_rsa"), format!("{secret} 2\n")).expect("own file");
    let refused = undo(&rig, &["a", &path, "--yes"]);
    ended(&refused, 1, "CONFLICT");
    assert!(!refused.stdout.contains(&secret), "{refused:?}");
    rig.cli.set_env("OPENCODE", "1");
    for words in [vec!["diff", "a", &path], vec!["diff", "a", &path, "--live"]] {
        let refused = rig.cli.run(&words);
        assert_eq!(refused.status, 3, "{refused:?}");
        assert!(!refused.stdout.contains(&secret) && !refused.stderr.contains(&secret));
    }
}

#[test]
fn the_operator_says_how_large_a_file_may_be() {
    let rig = Rig::start();
    let set = |largest: &str| {
        let file = format!("format = 1\n[snapshots]\nlargest = \"{largest}\"\n");
        fs::write(rig.cli.config_dir().join("policy.toml"), file).expect("own file");
    };
    let path = rig.put("file", "x".repeat(2048), 0o644);
    let seen = rig.server.connections_seen();
    set("1 KiB");
    let too_much = json!({"content": "y".repeat(1025)});
    let refused = rig.on("remote_write_file", &path, too_much, &["--yes"]);
    ended(&refused, 1, "TOO_LARGE");
    assert_eq!(
        rig.server.connections_seen(),
        seen,
        "it needs no connection"
    );
    let refused = rig.on(
        "remote_write_file",
        &path,
        json!({"content": "y"}),
        &["--yes"],
    );
    ended(&refused, 1, "TOO_LARGE");
    assert_eq!(rig.content("file"), "x".repeat(2048).as_bytes());
    assert!(
        rig.cli
            .records()
            .iter()
            .all(|record| record["event"] != "attempt")
    );
    set("2 KiB");
    rig.data("remote_write_file", &path, json!({"content": "y"}));
    // Above what is allowed unless somebody says so.
    let large: Vec<u8> = (0..33 << 20_u32).map(|n: u32| n.to_le_bytes()[1]).collect();
    let path = rig.put("large", &large, 0o600);
    set("40 MiB");
    rig.data("remote_write_file", &path, json!({"content": "small"}));
    ended(&undo(&rig, &["a", &path, "--yes"]), 0, "");
    assert!(
        rig.content("large") == large,
        "33 MiB come back as they were"
    );
    set("1 TB");
    let refused = rig.on(
        "remote_write_file",
        &path,
        json!({"content": "y"}),
        &["--yes"],
    );
    ended(&refused, 3, "POLICY_UNREADABLE");
}
