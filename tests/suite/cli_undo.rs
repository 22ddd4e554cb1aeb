//! History, diff and undo: every change of a file can be taken back.
//!
//! They prove that content, mode and owner come back and that somebody else's
//! change is not lost. Trees and sessions are undone in `snapshots_undo`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshell_tests::{Output, Terminal};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, is_root};

/// What an undo must bring back: content, mode, owner and group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    content: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
}

fn state(path: &Path) -> Option<State> {
    let meta = fs::metadata(path).ok()?;
    Some(State {
        content: fs::read(path).expect("the file is there"),
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
    })
}

fn undo(rig: &Rig, path: &str, flags: &[&str]) -> Output {
    rig.cli
        .run(["undo", "a", path, "--json"].iter().chain(flags))
}

/// Revisions of a file, newest first.
fn history(rig: &Rig, path: &str) -> Vec<Value> {
    let listed = rig.cli.run(["history", "a", path, "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    match listed.json() {
        Value::Array(revisions) => revisions,
        other => panic!("not an array: {other}"),
    }
}

fn kinds(revisions: &[Value]) -> Vec<&str> {
    revisions
        .iter()
        .filter_map(|revision| revision["kind"].as_str())
        .collect()
}

#[test]
fn a_change_is_shown_and_taken_back_byte_for_byte() {
    let rig = Rig::start();
    let original: Vec<u8> = [b"line\r\n\xff\0tail".to_vec(), (0..=255).collect()].concat();
    let path = rig.put("file", &original, 0o640);
    if is_root("giving a file away") {
        std::os::unix::fs::chown(rig.files.join("file"), Some(12_345), Some(23_456))
            .expect("root may give files away");
    }
    let before = state(&rig.files.join("file"));
    let change = json!({"content": "short\n", "mode": "0600"});
    rig.data("remote_write_file", &path, change);
    let after = state(&rig.files.join("file"));
    assert_ne!(after, before);

    let revisions = history(&rig, &path);
    assert_eq!(kinds(&revisions), ["after", "before"], "{revisions:?}");
    assert_eq!(revisions[0]["mode"], "0600");
    assert_eq!(revisions[1]["mode"], "0640");
    assert_eq!(revisions[1]["size"], original.len());
    assert_eq!(revisions[0]["tool"], "remote_write_file");
    assert_eq!(revisions[0]["action"], revisions[1]["action"]);

    let taken = undo(&rig, &path, &["--yes"]);
    ended(&taken, 0, "");
    assert_eq!(
        taken.json()["audit"]["snapshotStatus"],
        "written",
        "{taken:?}"
    );
    assert_eq!(state(&rig.files.join("file")), before);
    let revisions = history(&rig, &path);
    assert_eq!(
        kinds(&revisions),
        ["undo", "after", "before"],
        "{revisions:?}"
    );
    assert_eq!(revisions[0]["sha256"], revisions[2]["sha256"]);
    // The undo is a change like any other, and can be taken back too.
    ended(&undo(&rig, &path, &["--yes"]), 0, "");
    assert_eq!(state(&rig.files.join("file")), after);
}

#[test]
fn diff_shows_what_a_change_did() {
    let rig = Rig::start();
    let path = rig.put("file", "one\ntwo\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "one\n2\n"}));
    rig.data(
        "remote_write_file",
        &path,
        json!({"content": "one\n2\nthree\n", "mode": "0600"}),
    );
    let diff = |flags: &[&str]| {
        let shown = rig
            .cli
            .run(["diff", "a", &path, "--json"].iter().chain(flags));
        assert_eq!(shown.status, 0, "{shown:?}");
        shown.json()
    };
    let text = |value: &Value| value["diff"].as_str().unwrap_or_default().to_owned();
    let last = diff(&[]);
    assert!(text(&last).contains("\n+three\n"), "{last}");
    assert!(!text(&last).contains("-two"), "{last}");
    assert!(last["summary"].to_string().contains("0600"), "{last}");
    let revisions = history(&rig, &path);
    let oldest = revisions.last().expect("there are some")["revision"]
        .as_str()
        .expect("text");
    let all = diff(&["--from", oldest]);
    assert!(text(&all).contains("-two\n+2\n+three\n"), "{all}");
    // What an undo to the oldest would do.
    let back = diff(&["--to", oldest]);
    assert!(text(&back).contains("-2\n-three\n+two\n"), "{back}");
    let none = rig.cli.run(["diff", "a", &rig.path("other"), "--json"]);
    assert_eq!(none.status, 1, "{none:?}");
}

#[test]
fn undoing_a_creation_removes_the_file() {
    let rig = Rig::start();
    let path = rig.path("made");
    rig.data(
        "remote_write_file",
        &path,
        json!({"content": "x\n", "mode": "0600"}),
    );
    ended(&undo(&rig, &path, &["--no"]), 3, "APPROVAL_REJECTED");
    ended(&undo(&rig, &path, &[]), 3, "APPROVAL_REQUIRED");
    assert_eq!(rig.content("made"), b"x\n");
    let taken = undo(&rig, &path, &["--yes"]);
    ended(&taken, 0, "");
    assert_eq!(taken.json()["data"]["removed"], true, "{taken:?}");
    assert!(!rig.exists("made"));
    let revisions = history(&rig, &path);
    assert_eq!(revisions[0]["absent"], true, "{revisions:?}");
    ended(&undo(&rig, &path, &["--yes"]), 0, "");
    assert_eq!(rig.content("made"), b"x\n");
    assert_eq!(rig.mode("made"), 0o600);
}

#[test]
fn any_revision_can_be_gone_back_to() {
    let rig = Rig::start();
    let path = rig.put("file", "zero\n", 0o644);
    for content in ["one\n", "two\n", "three\n"] {
        rig.data("remote_write_file", &path, json!({"content": content}));
    }
    let revisions = history(&rig, &path);
    for (index, content) in [(2, "one\n"), (0, "three\n"), (3, "zero\n"), (1, "two\n")] {
        let revision = revisions[index]["revision"].as_str().expect("text");
        ended(&undo(&rig, &path, &["--to", revision, "--yes"]), 0, "");
        assert_eq!(rig.content("file"), content.as_bytes(), "{revisions:?}");
    }
    // To where it is already: nothing to do, and nobody to ask.
    let revision = revisions[1]["revision"].as_str().expect("text");
    let same = undo(&rig, &path, &["--to", revision]);
    ended(&same, 0, "");
    assert_eq!(same.json()["data"]["unchanged"], true, "{same:?}");
    for odd in ["zzzzzz", "HEAD", "0000000000", "../x", ""] {
        let unknown = undo(&rig, &path, &["--to", odd, "--yes"]);
        ended(&unknown, 1, "INVALID_ARGUMENT");
    }
    // A revision of another file is a moment of the server: what the file was
    // then, and nothing where it was not known yet.
    let other = rig.put("other", "x", 0o644);
    rig.data("remote_write_file", &other, json!({"content": "y"}));
    let early = revisions[0]["revision"].as_str().expect("text");
    let refused = undo(&rig, &other, &["--to", early, "--yes"]);
    ended(&refused, 1, "INVALID_ARGUMENT");
    assert_eq!(rig.content("other"), b"y");
    // A revision of another server is none of this one.
    rig.cli.enrol(&rig.server, "b");
    let change = json!({"server": "b", "path": other, "content": "z"});
    rig.cli.must("remote_write_file", &change, &["--yes"]);
    let foreign = rig.cli.run(["history", "b", &other, "--json"]).json();
    let foreign = foreign[0]["revision"].as_str().expect("text");
    let refused = undo(&rig, &path, &["--to", foreign, "--yes"]);
    ended(&refused, 1, "INVALID_ARGUMENT");
    assert_eq!(rig.content("file"), b"two\n");
    let unknown = undo(&rig, &rig.path("never"), &["--yes"]);
    ended(&unknown, 1, "FILE_NOT_FOUND");
}

#[test]
fn drift_is_not_undone_by_accident() {
    let rig = Rig::start();
    let path = rig.put("file", "zero\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "one\n"}));
    let place = rig.files.join("file");
    // Somebody else changes content, mode, or takes the file away.
    let drifts: [(&str, &dyn Fn()); 3] = [
        ("content", &|| {
            fs::write(&place, "theirs\n").expect("own file")
        }),
        ("mode", &|| {
            let bits = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&place, bits).expect("own file");
        }),
        ("absence", &|| fs::remove_file(&place).expect("own file")),
    ];
    for (what, drift) in drifts {
        drift();
        let found = state(&place);
        let refused = undo(&rig, &path, &["--yes"]);
        ended(&refused, 1, "CONFLICT");
        assert!(
            refused.json()["next"]
                .to_string()
                .contains("--despite-drift"),
            "{refused:?}"
        );
        assert_eq!(state(&place), found, "{what}");
        let insisted = undo(&rig, &path, &["--despite-drift", "--yes"]);
        ended(&insisted, 0, "");
        assert!(rig.exists("file"), "{what}");
        // What they had done is kept: it can be gone back to.
        let revisions = history(&rig, &path);
        let kept = revisions
            .iter()
            .find(|revision| revision["kind"] == "drift");
        let kept = kept.unwrap_or_else(|| panic!("{what}: {revisions:?}"));
        let kept = kept["revision"].as_str().expect("text").to_owned();
        ended(&undo(&rig, &path, &["--to", &kept, "--yes"]), 0, "");
        assert_eq!(state(&place), found, "{what}");
        fs::write(&place, "zero\n").expect("own file");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o644)).expect("own file");
        rig.data(
            "remote_write_file",
            &path,
            json!({"content": format!("after {what}\n")}),
        );
    }
}

#[test]
fn a_change_behind_the_undo_question_is_a_conflict() {
    let rig = Rig::start();
    let path = rig.path("file");
    rig.data("remote_write_file", &path, json!({"content": "one\n"}));
    // One undo would remove the file, the other would replace it.
    for round in 0..2 {
        let Some(mut terminal) = Terminal::start(&rig.cli, &["--json", "undo", "a", &path]) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let mine = rig.content("file");
        rig.put("file", "theirs\n", 0o644);
        terminal.type_line("yes");
        ended(&terminal.finish(), 1, "CONFLICT");
        assert_eq!(rig.content("file"), b"theirs\n", "round {round}");
        rig.put("file", mine, 0o644);
        rig.data("remote_write_file", &path, json!({"content": "two\n"}));
    }
}

/// That a failed write of ours has kept what somebody else did does not make it ours.
#[test]
fn what_others_did_stays_although_it_was_kept() {
    let rig = Rig::start();
    let path = rig.put("file", "zero\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "one\n"}));
    rig.put("file", "theirs\n", 0o644);
    let Some(mut terminal) = write_asked(&rig, &path, "two\n") else {
        return;
    };
    rig.put("file", "theirs still\n", 0o644);
    terminal.type_line("yes");
    ended(&terminal.finish(), 1, "CONFLICT");
    rig.put("file", "theirs\n", 0o644);
    assert_eq!(kinds(&history(&rig, &path))[0], "drift");
    let refused = undo(&rig, &path, &["--yes"]);
    ended(&refused, 1, "CONFLICT");
    assert!(
        refused.json()["message"]
            .to_string()
            .contains("changed by somebody else"),
        "{refused:?}"
    );
    assert_eq!(rig.content("file"), b"theirs\n");
    ended(&undo(&rig, &path, &["--despite-drift", "--yes"]), 0, "");
    assert_eq!(rig.content("file"), b"zero\n");
}

/// Whoever closes a file while a person reads the question keeps it closed.
#[test]
fn a_mode_changed_behind_the_question_is_a_conflict() {
    let rig = Rig::start();
    let path = rig.put("file", "zero\n", 0o644);
    let Some(mut terminal) = write_asked(&rig, &path, "one\n") else {
        return;
    };
    rig.put("file", "zero\n", 0o600);
    terminal.type_line("yes");
    ended(&terminal.finish(), 1, "CONFLICT");
    assert_eq!(rig.content("file"), b"zero\n");
    assert_eq!(rig.mode("file"), 0o600);
}

/// A write that waits for its answer.
fn write_asked(rig: &Rig, path: &str, content: &str) -> Option<Terminal> {
    let arguments = json!({"server": "a", "path": path, "content": content}).to_string();
    let words = ["--json", "call", "remote_write_file", &arguments];
    let terminal = Terminal::start(&rig.cli, &words)?;
    terminal.wait_for("Type yes or no:");
    Some(terminal)
}

#[test]
fn secret_content_is_sealed_and_comes_back() {
    let rig = Rig::start();
    let secret = crate::cli_support::unique("value-");
    let path = rig.put("id_rsa", format!("{secret} old\n"), 0o600);
    let written = rig.data(
        "remote_write_file",
        &path,
        json!({"content": format!("{secret} new\n")}),
    );
    assert!(written["diff"].is_null(), "{written}");
    for revision in history(&rig, &path) {
        assert_eq!(revision["sealed"], true, "{revision}");
        assert!(
            revision["sha256"].is_null() && revision["size"].is_null(),
            "{revision}"
        );
    }
    for file in crate::cli_support::files_below(&rig.cli.data_dir().join("snapshots")) {
        let bytes = fs::read(&file).expect("readable");
        assert!(
            !bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes()),
            "{} holds the secret",
            file.display()
        );
    }
    ended(&undo(&rig, &path, &["--yes"]), 0, "");
    assert_eq!(rig.content("id_rsa"), format!("{secret} old\n").as_bytes());
}

/// Numbers for the random edits; always the same ones (xorshift64, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count)
            .map(|_| self.below(256).to_le_bytes()[0])
            .collect()
    }
}

#[test]
fn random_edits_are_undone_step_by_step() {
    for seed in [0x9e37_79b9_7f4a_7c15, 0x0123_4567_89ab_cdef] {
        let mut numbers = Numbers(seed);
        let rig = Rig::start();
        let place = rig.files.join("file");
        let path = rig.path("file");
        // One run begins with a file, the other with none.
        if seed % 2 == 0 {
            rig.put("file", "begin\n", 0o604);
        }
        let mut states = vec![state(&place)];
        let mut revisions = Vec::new();
        while states.len() <= 8 {
            let now = state(&place);
            let size = numbers.below(5_000);
            let bits = [0o600, 0o640, 0o644, 0o755][numbers.below(4) as usize];
            match numbers.below(4) {
                0 => {
                    let content = STANDARD.encode(numbers.bytes(size));
                    let edit = json!({"content": content, "encoding": "base64"});
                    rig.data("remote_write_file", &path, edit);
                }
                1 => {
                    let lines: Vec<String> = (0..numbers.below(40))
                        .map(|line| format!("{line} {size}\n"))
                        .collect();
                    let edit = json!({"content": lines.concat(), "mode": format!("{bits:04o}")});
                    rig.data("remote_write_file", &path, edit);
                }
                2 => {
                    let edit = json!({"content": "", "mode": format!("{bits:04o}")});
                    rig.data("remote_write_file", &path, edit);
                }
                _ => {
                    rig.data("remote_write_file", &path, json!({"content": "a\nb\nc\n"}));
                    let patch = format!("@@ -2,2 +2,2 @@\n b\n-c\n+{size}\n");
                    revisions.push(newest(&rig, &path));
                    states.push(state(&place));
                    rig.data("remote_patch_file", &path, json!({"patch": patch}));
                }
            }
            // An edit that changes nothing leaves nothing to undo.
            if state(&place) != now {
                revisions.push(newest(&rig, &path));
                states.push(state(&place));
            }
        }
        let oldest = history(&rig, &path).pop().expect("there is a history");
        revisions.insert(0, oldest["revision"].as_str().expect("text").to_owned());
        assert_eq!(revisions.len(), states.len());
        for (revision, expected) in revisions.iter().zip(&states).rev().skip(1) {
            ended(&undo(&rig, &path, &["--to", revision, "--yes"]), 0, "");
            assert_eq!(
                state(&place),
                *expected,
                "seed {seed:x}, revision {revision}"
            );
        }
        let verified = rig.cli.run(["audit", "verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
}

fn newest(rig: &Rig, path: &str) -> String {
    history(rig, path)[0]["revision"]
        .as_str()
        .expect("text")
        .to_owned()
}
