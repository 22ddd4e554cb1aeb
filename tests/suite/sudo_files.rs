//! Files that only root can write: staged, compared, put in place, taken back.
//!
//! They prove that such a file is replaced whole or left alone and that nothing
//! staged stays. What root's own commands do is in `sudo_commands`.

use std::fs;
use std::os::unix::fs::symlink;

use openshell_tests::{Output, Terminal};
use serde_json::json;

use crate::cli_support::{ended, text};
use crate::sudo_support::{Rig, facts};

const ALL: &str = "(ALL) NOPASSWD: ALL";
/// A group of every Debian system, by number.
const ADM: u32 = 4;

fn content(path: &str) -> String {
    fs::read_to_string(path).expect("the file is there")
}

fn undo(rig: &Rig, path: &str, flags: &[&str]) -> Output {
    let words = ["undo", "a", path, "--json"].into_iter();
    rig.cli.run(words.chain(flags.iter().copied()))
}

#[test]
fn a_file_of_roots_is_replaced_and_brought_back() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let path = rig.put("conf", b"one\ntwo\n", 0o640, ADM);
    let direct = json!({"server": "a", "path": path, "content": "x"});
    let denied = rig.cli.call("remote_write_file", &direct, &["--yes"]);
    ended(&denied, 1, "PERMISSION_DENIED");

    let arguments = json!({"server": "a", "path": path, "content": "one\n2\n", "sudo": true});
    let words = ["call", "remote_write_file", &arguments.to_string()];
    let Some(mut terminal) = Terminal::start(&rig.cli, &words) else {
        return;
    };
    terminal.wait_for("Type yes or no:");
    let shown = terminal.shown();
    for part in ["as root", "-two", "+2", "mode stays 0640", path.as_str()] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    terminal.type_line("yes");
    let written = terminal.finish();
    ended(&written, 0, "");
    assert_eq!(content(&path), "one\n2\n");
    assert_eq!(facts(&path), (0o640, 0, ADM));
    // The model does not get to read what others than root cannot.
    let envelope = written.json();
    assert!(envelope["data"]["diff"].is_null(), "{envelope}");
    assert_eq!(envelope["audit"]["snapshotStatus"], "written");
    let attempts = rig.recorded("attempt");
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0]["as"], "root");
    rig.assert_clean();

    let history = rig.cli.run(["history", "a", &path, "--json"]).json();
    assert_eq!(history[0]["as"], "root", "{history}");
    assert_eq!(history[0]["sealed"], true, "{history}");
    ended(&undo(&rig, &path, &["--no"]), 3, "APPROVAL_REJECTED");
    ended(&undo(&rig, &path, &["--yes"]), 0, "");
    assert_eq!(content(&path), "one\ntwo\n");
    assert_eq!(facts(&path), (0o640, 0, ADM));
    assert_eq!(rig.recorded("attempt").len(), 2);
    rig.assert_clean();
}

#[test]
fn a_new_file_is_roots_and_goes_with_undo() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let path = text(&rig.vault.join("a b';$(id)"));
    ended(&rig.write(&path, "new\n", &["--yes"]), 0, "");
    assert_eq!(content(&path), "new\n");
    assert_eq!(facts(&path), (0o644, 0, 0));
    // Changed and taken back step by step.
    ended(&rig.write(&path, "newer\n", &["--yes"]), 0, "");
    let history = rig.cli.run(["history", "a", &path, "--json"]).json();
    let oldest = history.as_array().and_then(|all| all.last()).expect("kept");
    let oldest = oldest["revision"].as_str().expect("text").to_owned();
    ended(&undo(&rig, &path, &["--yes"]), 0, "");
    assert_eq!(content(&path), "new\n");
    ended(&undo(&rig, &path, &["--yes", "--to", &oldest]), 0, "");
    assert!(!rig.vault.join("a b';$(id)").exists());
    rig.assert_clean();
}

#[test]
fn a_patch_reads_and_writes_as_root() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let path = rig.put("conf", b"one\ntwo\nthree\n", 0o600, 0);
    let patch = |patch: &str| {
        let arguments = json!({"server": "a", "path": path, "patch": patch, "sudo": true});
        rig.cli.call("remote_patch_file", &arguments, &["--yes"])
    };
    ended(&patch("@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"), 0, "");
    assert_eq!(content(&path), "one\n2\nthree\n");
    assert_eq!(facts(&path), (0o600, 0, 0));
    ended(
        &patch("@@ -1 +1 @@\n-nothing of it\n+x\n"),
        1,
        "PATCH_FAILED",
    );
    assert_eq!(content(&path), "one\n2\nthree\n");
    // Reading was asked about as well, and by that name.
    let approvals = rig.recorded("approval");
    let kinds: Vec<_> = approvals.iter().map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, [Some("read"), Some("write"), Some("read")]);
    rig.assert_clean();
}

#[test]
fn without_the_right_nothing_is_half_done() {
    let Some(rig) = Rig::start("ask", None) else {
        return;
    };
    let path = rig.put("conf", b"old\n", 0o600, 0);
    let refused = rig.write(&path, "new\n", &["--yes"]);
    ended(&refused, 1, "PERMISSION_DENIED");
    assert!(
        refused.stdout.contains("a password is required"),
        "{refused:?}"
    );
    assert_eq!(content(&path), "old\n");
    assert!(rig.recorded("attempt").is_empty());
    rig.assert_clean();
}

/// sudo(8) lets the look through and not the change: the question was put, the
/// snapshot is kept, and nothing else happened.
#[test]
fn a_refusal_in_the_middle_leaves_the_file() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    // The directory is read-only even to root where the file system is.
    let path = "/proc/sys/kernel/hostname";
    let before = content(path);
    let refused = rig.write(path, "somewhere-else\n", &["--yes"]);
    assert_ne!(refused.status, 0, "{refused:?}");
    assert_eq!(content(path), before);
    rig.assert_clean();
}

#[test]
fn links_are_resolved_and_shown_before_anybody_agrees() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let real = rig.put("conf", b"old\n", 0o644, 0);
    let outside = rig.cli.files().join("alias");
    symlink(&rig.vault, &outside).expect("the directory is the test's own");
    symlink(&real, rig.vault.join("link")).expect("the directory is the test's own");
    for name in [
        outside.join("conf"),
        rig.vault.join("link"),
        outside.join("link"),
    ] {
        let asked = text(&name);
        let arguments = json!({"server": "a", "path": asked, "content": "new\n", "sudo": true});
        let words = ["call", "remote_write_file", &arguments.to_string()];
        let Some(mut terminal) = Terminal::start(&rig.cli, &words) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains(&format!("{real}: ")), "{shown}");
        terminal.type_line("yes");
        ended(&terminal.finish(), 0, "");
        assert_eq!(content(&real), "new\n");
        assert!(rig.vault.join("link").is_symlink());
        ended(&undo(&rig, &asked, &["--yes"]), 0, "");
        assert_eq!(content(&real), "old\n");
    }
    rig.assert_clean();
}

#[test]
fn what_is_no_file_is_refused() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let vault = text(&rig.vault);
    for (path, code) in [
        (vault.clone(), "NOT_A_FILE"),
        (format!("{vault}/no/file"), "FILE_NOT_FOUND"),
        (format!("{vault}/"), "INVALID_ARGUMENT"),
        (format!("{vault}/a\nb"), "INVALID_ARGUMENT"),
        ("/dev/null".to_owned(), "NOT_A_FILE"),
    ] {
        ended(&rig.write(&path, "x", &["--yes"]), 1, code);
    }
    rig.assert_clean();
}
