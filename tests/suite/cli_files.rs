//! Writing and patching files through the command line.
//!
//! They prove that a file is replaced whole, with mode and owner, or left as it
//! was. Files of root are the subject of `sudo_files`.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshell_tests::{Account, Cli, Sshd, SshdOptions, Terminal};
use serde_json::json;

use crate::cli_support::{Rig, ended, is_root, mode, put, text};

#[test]
fn a_write_keeps_mode_and_owner() {
    let rig = Rig::start();
    for bits in [0o640, 0o600, 0o755, 0o444] {
        let path = rig.put("kept", "old\n", bits);
        let data = rig.data(
            "remote_write_file",
            &path,
            json!({"content": format!("{bits}\n")}),
        );
        assert_eq!(data["mode"], format!("{bits:04o}"), "{data}");
        assert_eq!(data["atomic"], true, "{data}");
        assert_eq!(data["created"], false, "{data}");
        assert_eq!(rig.mode("kept"), bits);
        assert_eq!(rig.content("kept"), format!("{bits}\n").as_bytes());
    }
    let path = rig.put("owned", "old\n", 0o664);
    if is_root("giving a file away") {
        std::os::unix::fs::chown(rig.files.join("owned"), Some(12_345), Some(23_456))
            .expect("root may give files away");
        rig.data("remote_write_file", &path, json!({"content": "new\n"}));
        let patch = "@@ -1 +1 @@\n-new\n+newer\n";
        rig.data("remote_patch_file", &path, json!({"patch": patch}));
        let now = fs::metadata(rig.files.join("owned")).expect("the file is there");
        assert_eq!(
            (now.uid(), now.gid(), now.mode() & 0o7777),
            (12_345, 23_456, 0o664)
        );
        assert_eq!(rig.content("owned"), b"newer\n");
    }
    // Nothing but the files themselves is left in the directory.
    let mut names: Vec<_> = fs::read_dir(&rig.files)
        .expect("the directory is there")
        .map(|entry| text(entry.expect("readable").file_name().as_ref()))
        .collect();
    names.sort();
    assert_eq!(names, ["kept", "owned"]);
}

#[test]
fn a_mode_is_given_or_the_usual_one() {
    let rig = Rig::start();
    let new = rig.data(
        "remote_write_file",
        &rig.path("plain"),
        json!({"content": "x"}),
    );
    assert_eq!(
        (new["created"].clone(), new["mode"].clone()),
        (json!(true), json!("0644"))
    );
    assert_eq!(rig.mode("plain"), 0o644);
    for (name, asked, bits) in [("tight", "0600", 0o600), ("run", "755", 0o755)] {
        rig.data(
            "remote_write_file",
            &rig.path(name),
            json!({"content": "x", "mode": asked}),
        );
        assert_eq!(rig.mode(name), bits, "{name}");
    }
    // A mode alone is a change, and the same content and mode is none.
    let arguments = json!({"content": "x", "mode": "0640"});
    let data = rig.data("remote_write_file", &rig.path("plain"), arguments.clone());
    assert!(data["unchanged"].is_null(), "{data}");
    assert_eq!(rig.mode("plain"), 0o640);
    let inode = || fs::metadata(rig.files.join("plain")).expect("there").ino();
    let before = inode();
    // There is nothing to agree to, so nobody is asked and nobody can refuse.
    let same = rig.on(
        "remote_write_file",
        &rig.path("plain"),
        arguments,
        &["--no"],
    );
    ended(&same, 0, "");
    assert_eq!(same.json()["data"]["unchanged"], true, "{same:?}");
    assert_eq!(inode(), before);
    let data = rig.data(
        "remote_write_file",
        &rig.path("empty"),
        json!({"content": ""}),
    );
    assert_eq!(data["bytes"], 0, "{data}");
    assert_eq!(rig.content("empty"), b"");
}

#[test]
fn bytes_arrive_as_they_were_sent() {
    let rig = Rig::start();
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let arguments = json!({"content": STANDARD.encode(&bytes), "encoding": "base64"});
    rig.data("remote_write_file", &rig.path("binary"), arguments);
    assert_eq!(rig.content("binary"), bytes);
    let odd = "100%s \\n \\\\ $HOME `id` 'q' \"d\" \r\n\ttab é\u{1F600} no newline";
    rig.data(
        "remote_write_file",
        &rig.path("text"),
        json!({"content": odd}),
    );
    assert_eq!(rig.content("text"), odd.as_bytes());
    for name in [
        "a b",
        "quote'\"s",
        "dollar$HOME",
        "semi;touch x",
        "new\nline",
        "col:on",
        "-rf",
        "ünï",
    ] {
        let data = rig.data(
            "remote_write_file",
            &rig.path(name),
            json!({"content": name}),
        );
        assert_eq!(data["path"], json!(rig.path(name)), "{data}");
        assert_eq!(rig.content(name), name.as_bytes());
    }
    assert!(!rig.exists("x"));
}

#[test]
fn links_are_followed_to_the_file_itself() {
    let rig = Rig::start();
    fs::create_dir(rig.files.join("real")).expect("new");
    put(&rig.files.join("real/file"), b"old\n", 0o640);
    symlink("real/file", rig.files.join("link")).expect("new");
    symlink("real", rig.files.join("dir")).expect("new");
    symlink("real/later", rig.files.join("dangling")).expect("new");
    let real = rig.path("real/file");
    for (name, content) in [("link", "one\n"), ("dir/file", "two\n")] {
        let data = rig.data(
            "remote_write_file",
            &rig.path(name),
            json!({"content": content}),
        );
        assert_eq!(data["resolvedPath"], json!(real), "{data}");
        assert_eq!(rig.content("real/file"), content.as_bytes());
        assert_eq!(rig.mode("real/file"), 0o640);
    }
    let patch = "@@ -1 +1 @@\n-two\n+three\n";
    let data = rig.data(
        "remote_patch_file",
        &rig.path("link"),
        json!({"patch": patch}),
    );
    assert_eq!(data["resolvedPath"], json!(real), "{data}");
    assert_eq!(rig.content("real/file"), b"three\n");
    rig.data(
        "remote_write_file",
        &rig.path("dangling"),
        json!({"content": "made\n"}),
    );
    assert_eq!(rig.content("real/later"), b"made\n");
    for link in ["link", "dir", "dangling"] {
        assert!(rig.files.join(link).is_symlink(), "{link} is still a link");
    }
    symlink("round", rig.files.join("round")).expect("new");
    let round = rig.on(
        "remote_write_file",
        &rig.path("round"),
        json!({"content": "x"}),
        &["--yes"],
    );
    assert_eq!(round.status, 1, "{round:?}");
    assert!(rig.files.join("round").is_symlink());
}

#[test]
fn what_is_no_file_is_refused() {
    let rig = Rig::start();
    fs::create_dir(rig.files.join("dir")).expect("new");
    let pipe = rig.files.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "mkfifo(1) is in POSIX"
    );
    let below = rig.path("dir/absent/file");
    rig.put("plain", "x", 0o644);
    for (path, code) in [
        (rig.path("dir"), "NOT_A_FILE"),
        (text(&pipe), "NOT_A_FILE"),
        ("/dev/null".to_owned(), "NOT_A_FILE"),
        (below, "FILE_NOT_FOUND"),
        (rig.path("plain/below"), "NOT_A_DIRECTORY"),
        ("/".to_owned(), "NOT_A_FILE"),
    ] {
        let write = rig.on(
            "remote_write_file",
            &path,
            json!({"content": "x"}),
            &["--yes"],
        );
        assert_ne!(write.status, 0, "{path}: {write:?}");
        let envelope = write.json();
        assert!(
            envelope["code"] == code || envelope["code"] == "POLICY_REJECTED",
            "{path}: {envelope}"
        );
        assert_eq!(
            envelope["execution"]["attempted"], false,
            "{path}: {envelope}"
        );
    }
    for (path, code) in [
        (rig.path("dir"), "NOT_A_FILE"),
        (text(&pipe), "NOT_A_FILE"),
        (rig.path("absent"), "FILE_NOT_FOUND"),
    ] {
        let patch = json!({"patch": "@@ -1 +1 @@\n-a\n+b\n"});
        ended(
            &rig.on("remote_patch_file", &path, patch, &["--yes"]),
            1,
            code,
        );
    }
}

#[test]
fn what_cannot_be_undone_is_not_replaced() {
    let rig = Rig::start();
    let path = rig.path("huge");
    let size = 32 * 1024 * 1024 + 1;
    let file = fs::File::create(rig.files.join("huge")).expect("new");
    file.set_len(size).expect("sparse files need no space");
    let before = fs::metadata(&path).expect("there");
    let write = rig.on(
        "remote_write_file",
        &path,
        json!({"content": "x"}),
        &["--yes"],
    );
    ended(&write, 1, "TOO_LARGE");
    let patch = json!({"patch": "@@ -1 +1 @@\n-a\n+b\n"});
    ended(
        &rig.on("remote_patch_file", &path, patch, &["--yes"]),
        1,
        "TOO_LARGE",
    );
    let after = fs::metadata(&path).expect("there");
    assert_eq!(
        (after.ino(), after.len(), after.mtime()),
        (before.ino(), size, before.mtime())
    );
    assert_eq!(
        rig.cli.run(["history", "a", &path, "--json"]).json(),
        json!([])
    );
}

#[test]
fn patches_fit_exactly_or_not_at_all() {
    let rig = Rig::start();
    let ten: String = (1..=10).map(|number| format!("line {number}\n")).collect();
    let table: [(&str, &str, &str, Result<&str, &str>); 8] = [
        (
            "several hunks",
            &ten,
            "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-line 1\n+first\n line 2\n@@ -9,2 +9,3 @@\n line 9\n line 10\n+eleven\n",
            Ok(
                "first\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\neleven\n",
            ),
        ),
        (
            "CRLF",
            "one\r\ntwo\r\nthree\r\n",
            "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
            Ok("one\r\n2\r\nthree\r\n"),
        ),
        (
            "no newline at the end",
            "one\ntwo",
            "@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+2\n\\ No newline at end of file\n",
            Ok("one\n2"),
        ),
        (
            "percent signs and backslashes",
            "100%s \\n $x\n",
            "@@ -1 +1 @@\n-100%s \\n $x\n+200%d \\\\t `y`\n",
            Ok("200%d \\\\t `y`\n"),
        ),
        (
            "the second hunk does not fit",
            &ten,
            "@@ -1,2 +1,2 @@\n-line 1\n+first\n line 2\n@@ -9,2 +9,2 @@\n line 9\n-line X\n+ten\n",
            Err("unk 2"),
        ),
        ("no hunk", "x\n", "just words\n", Err("no hunk")),
        ("no line numbers", "x\n", "@@\n-x\n+y\n", Err("unk 1")),
        (
            "two files",
            "x\n",
            "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n+y\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-x\n+y\n",
            Err("more than one file"),
        ),
    ];
    for (what, before, patch, expected) in table {
        let path = rig.put("file", before, 0o640);
        let output = rig.on(
            "remote_patch_file",
            &path,
            json!({"patch": patch}),
            &["--yes"],
        );
        match expected {
            Ok(after) => {
                ended(&output, 0, "");
                let now = String::from_utf8(rig.content("file")).expect("text");
                assert_eq!(now, after, "{what}: {output:?}");
            }
            Err(named) => {
                ended(&output, 1, "PATCH_FAILED");
                let message = output.json()["message"].to_string();
                assert!(message.contains(named), "{what}: {message}");
                assert_eq!(rig.content("file"), before.as_bytes(), "{what}");
            }
        }
        assert_eq!(rig.mode("file"), 0o640, "{what}");
    }
    let new = "--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+one\n+two\n";
    let data = rig.data(
        "remote_patch_file",
        &rig.path("created"),
        json!({"patch": new}),
    );
    assert_eq!(data["created"], true, "{data}");
    assert_eq!(rig.content("created"), b"one\ntwo\n");
    let again = rig.on(
        "remote_patch_file",
        &rig.path("created"),
        json!({"patch": new}),
        &["--yes"],
    );
    assert_eq!(
        again.status, 1,
        "a patch that creates is for what is not there: {again:?}"
    );
    assert_eq!(rig.content("created"), b"one\ntwo\n");
}

/// A file that changes while the question stands is left as it is then.
#[test]
fn a_change_behind_the_question_is_a_conflict() {
    let rig = Rig::start();
    let path = rig.put("file", "one\n", 0o644);
    let absent = rig.path("absent");
    let patch = json!({"server": "a", "path": path, "patch": "@@ -1 +1 @@\n-one\n+two\n"});
    let write = json!({"server": "a", "path": path, "content": "two\n"});
    let create = json!({"server": "a", "path": absent, "content": "two\n"});
    for (tool, arguments, name) in [
        ("remote_patch_file", patch, "file"),
        ("remote_write_file", write, "file"),
        ("remote_write_file", create, "absent"),
    ] {
        if name == "file" {
            rig.put(name, "one\n", 0o644);
        }
        let words = ["--json", "call", tool, &arguments.to_string()];
        let Some(mut terminal) = Terminal::start(&rig.cli, &words) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        assert!(terminal.shown().contains("+two"), "{}", terminal.shown());
        rig.put(name, "theirs\n", 0o644);
        terminal.type_line("yes");
        let output = terminal.finish();
        ended(&output, 1, "CONFLICT");
        assert_eq!(rig.content(name), b"theirs\n", "{tool}: {output:?}");
    }
}

#[test]
fn a_write_that_cannot_be_atomic_says_so() {
    if !is_root("a file in a directory of somebody else") {
        return;
    }
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let home = server.dir().join("account");
    fs::create_dir(&home).expect("the fixture's directory");
    let Some(account) = Account::create("/bin/sh", &home) else {
        return;
    };
    // The account owns the file and may not touch its directory, which is root's.
    let dir = server.dir().join("fixed");
    fs::create_dir(&dir).expect("the fixture's directory");
    let file = dir.join("config");
    put(&file, b"old\n", 0o640);
    account.own(&file);
    cli.enrol_as(&server, "u", account.name(), &[]);
    let arguments = json!({"server": "u", "path": text(&file), "content": "new\n"});

    let words = [
        "--json",
        "call",
        "remote_write_file",
        &arguments.to_string(),
    ];
    if let Some(mut terminal) = Terminal::start(&cli, &words) {
        terminal.wait_for("Type yes or no:");
        assert!(
            terminal.shown().contains("NOT ATOMIC"),
            "{}",
            terminal.shown()
        );
        terminal.type_line("no");
        ended(&terminal.finish(), 3, "APPROVAL_REJECTED");
        assert_eq!(fs::read(&file).expect("there"), b"old\n");
    }
    let before = fs::metadata(&file).expect("there");
    let envelope = cli.must("remote_write_file", &arguments, &["--yes"]);
    assert_eq!(envelope["data"]["atomic"], false, "{envelope}");
    assert!(
        envelope["message"].to_string().contains("in place"),
        "{envelope}"
    );
    let after = fs::metadata(&file).expect("there");
    assert_eq!((after.ino(), after.uid()), (before.ino(), before.uid()));
    assert_eq!(mode(&file), 0o640);
    assert_eq!(fs::read(&file).expect("there"), b"new\n");

    // In a directory of its own the account writes atomically.
    put(&home.join("own"), b"old\n", 0o600);
    account.own(&home);
    let arguments = json!({"server": "u", "path": text(&home.join("own")), "content": "new\n"});
    let envelope = cli.must("remote_write_file", &arguments, &["--yes"]);
    assert_eq!(envelope["data"]["atomic"], true, "{envelope}");
    // A new file where it may not create one is refused.
    let arguments = json!({"server": "u", "path": text(&dir.join("new")), "content": "x"});
    let refused = cli.call("remote_write_file", &arguments, &["--yes"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stdout.contains("permission denied"), "{refused:?}");
    assert!(!dir.join("new").exists());
}
