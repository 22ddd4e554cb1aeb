//! Reading, listing and finding files through the command line.
//!
//! They prove that bytes come as they are, that what was left out is said, and that
//! secret files are not read unasked. The list of secrets itself is the policy's.

use std::fs;
use std::os::unix::fs::symlink;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, unique};

#[test]
fn a_text_is_read_in_pieces_without_loss() {
    let rig = Rig::start();
    let original: String = (0..600).map(|number| format!("{number} é€😀 ")).collect();
    let path = rig.put("text", &original, 0o644);
    // Lengths that end inside a character at every possible place.
    for length in [997, 2003, 4096] {
        let mut offset = 0;
        let mut read = String::new();
        loop {
            let data = rig.data(
                "remote_read_file",
                &path,
                json!({"offset": offset, "length": length}),
            );
            assert_eq!(data["offset"], offset, "{length}: nothing is skipped");
            let piece = data["content"].as_str().expect("text");
            assert!(piece.len() <= length, "{length}: {}", piece.len());
            assert_eq!(data["totalSize"], original.len());
            read.push_str(piece);
            if data["more"] == false {
                assert!(data["nextOffset"].is_null());
                break;
            }
            assert_eq!(data["nextOffset"], read.len(), "{length}");
            offset = read.len();
        }
        assert_eq!(read, original, "{length}");
    }
    // An offset inside a character moves on to the next one and says where it is.
    let start = original.find('é').expect("it is in there");
    let data = rig.data(
        "remote_read_file",
        &path,
        json!({"offset": start + 1, "length": 100}),
    );
    assert_eq!(data["offset"], start + 2, "{data}");
    let beyond = json!({"offset": original.len() + 10});
    let data = rig.data("remote_read_file", &path, beyond);
    assert_eq!(
        (data["content"].clone(), data["more"].clone()),
        (json!(""), json!(false))
    );
    // The whole file comes with its hash, which a piece cannot have.
    let whole = rig.data("remote_read_file", &path, json!({}));
    assert_eq!(whole["sha256"].as_str().map(str::len), Some(64), "{whole}");
    let piece = rig.data("remote_read_file", &path, json!({"length": 10}));
    assert!(piece["sha256"].is_null(), "{piece}");
}

#[test]
fn bytes_that_are_no_text_come_as_base64_only() {
    let rig = Rig::start();
    for (name, bytes) in [
        ("nul", b"a\0b".to_vec()),
        ("latin1", b"caf\xe9\n".to_vec()),
        ("random", (0..=255).cycle().take(5000).collect::<Vec<u8>>()),
        ("cut", "é".as_bytes()[..1].to_vec()),
    ] {
        let path = rig.put(name, &bytes, 0o600);
        let text = rig.on("remote_read_file", &path, json!({}), &[]);
        ended(&text, 1, "BINARY_CONTENT");
        assert!(text.json()["data"]["content"].is_null(), "{text:?}");
        assert!(
            text.json()["next"].to_string().contains("base64"),
            "{text:?}"
        );
        let data = rig.data("remote_read_file", &path, json!({"encoding": "base64"}));
        let content = STANDARD
            .decode(data["content"].as_str().expect("text"))
            .expect("base64");
        assert_eq!(content, bytes, "{name}");
    }
    let empty = rig.put("empty", b"", 0o644);
    let data = rig.data("remote_read_file", &empty, json!({}));
    assert_eq!(
        (data["content"].clone(), data["totalSize"].clone()),
        (json!(""), json!(0))
    );
}

#[test]
fn only_regular_files_are_read() {
    let rig = Rig::start();
    fs::create_dir(rig.files.join("dir")).expect("new");
    symlink("absent", rig.files.join("dangling")).expect("new");
    symlink("round", rig.files.join("round")).expect("new");
    rig.put("file", "x", 0o644);
    for (path, code) in [
        (rig.path("dir"), "NOT_A_FILE"),
        (rig.path("absent"), "FILE_NOT_FOUND"),
        (rig.path("dangling"), "FILE_NOT_FOUND"),
        ("/dev/zero".to_owned(), "NOT_A_FILE"),
    ] {
        ended(
            &rig.on("remote_read_file", &path, json!({}), &["--yes"]),
            1,
            code,
        );
    }
    for path in [rig.path("round"), rig.path("file/below")] {
        let refused = rig.on("remote_read_file", &path, json!({}), &["--yes"]);
        assert_eq!(refused.status, 1, "{path}: {refused:?}");
        assert!(refused.json()["data"]["content"].is_null(), "{refused:?}");
    }
    let stat = rig.data("remote_stat", &rig.path("dangling"), json!({}));
    assert_eq!(stat["type"], "symlink", "{stat}");
    assert_eq!(stat["target"], "absent", "{stat}");
    assert!(stat["resolvedPath"].is_null(), "{stat}");
}

#[test]
fn a_secret_file_is_asked_about_by_any_name() {
    let rig = Rig::start();
    let secret = unique("value-");
    rig.put("id_ed25519", &secret, 0o600);
    symlink("id_ed25519", rig.files.join("notes.txt")).expect("new");
    for name in ["id_ed25519", "notes.txt"] {
        let path = rig.path(name);
        let refused = rig.on("remote_read_file", &path, json!({}), &[]);
        ended(&refused, 3, "APPROVAL_REQUIRED");
        let command = rig.exec(&format!("cat {}", rig.path("id_ed25519")), &[]);
        ended(&command, 3, "APPROVAL_REQUIRED");
        assert!(!format!("{refused:?}{command:?}").contains(&secret));
        ended(
            &rig.on("remote_read_file", &path, json!({}), &["--no"]),
            3,
            "APPROVAL_REJECTED",
        );
        let granted = rig.data("remote_read_file", &path, json!({}));
        assert_eq!(granted["content"], json!(secret));
        // Its metadata is no secret.
        ended(&rig.on("remote_stat", &path, json!({}), &[]), 0, "");
    }
}

fn names(data: &Value) -> Vec<&str> {
    let entries = data["entries"].as_array().expect("an array");
    entries
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect()
}

#[test]
fn a_tree_is_listed_once_through() {
    let rig = Rig::start();
    fs::create_dir_all(rig.files.join("a/b/c")).expect("new");
    symlink("..", rig.files.join("a/b/up")).expect("new");
    symlink(&rig.files, rig.files.join("a/top")).expect("new");
    rig.put("a/b/c/deep", "x", 0o600);
    rig.put("a/file", "12345", 0o4755);
    rig.put("plain", "", 0o644);
    let flat = rig.data("remote_list_dir", &rig.path(""), json!({}));
    assert_eq!(names(&flat), ["a", "plain"], "{flat}");
    let tree = rig.data("remote_list_dir", &rig.path(""), json!({"recursive": true}));
    let mut found = names(&tree);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "a",
            "a/b",
            "a/b/c",
            "a/b/c/deep",
            "a/b/up",
            "a/file",
            "a/top",
            "plain"
        ],
        "{tree}"
    );
    assert_eq!(tree["truncated"], false, "{tree}");
    let entry = |name: &str| {
        let entries = tree["entries"].as_array().expect("an array");
        entries
            .iter()
            .find(|entry| entry["name"] == name)
            .expect("listed")
            .clone()
    };
    assert_eq!(entry("a/b/up")["type"], "symlink");
    assert_eq!(entry("a/b/up")["target"], "..");
    assert_eq!(entry("a/file")["mode"], "4755");
    assert_eq!(entry("a/file")["size"], 5);
    assert_eq!(entry("a/b/c")["type"], "directory");
    ended(
        &rig.on("remote_list_dir", &rig.path("plain"), json!({}), &["--yes"]),
        1,
        "NOT_A_DIRECTORY",
    );
    ended(
        &rig.on(
            "remote_list_dir",
            &rig.path("absent"),
            json!({}),
            &["--yes"],
        ),
        1,
        "FILE_NOT_FOUND",
    );
}

#[test]
fn limits_say_what_was_left_out() {
    let rig = Rig::start();
    for number in 0..30 {
        rig.put(&format!("f{number:02}"), "word\nword\n", 0o644);
    }
    let dir = rig.path("");
    for (limit, cut) in [(1, true), (29, true), (30, false), (31, false)] {
        let count = std::cmp::min(limit, 30);
        let list = rig.data("remote_list_dir", &dir, json!({"limit": limit}));
        assert_eq!(
            (&list["count"], &list["truncated"]),
            (&json!(count), &json!(cut)),
            "{list}"
        );
        let found = rig.data("remote_find", &dir, json!({"glob": "f*", "limit": limit}));
        assert_eq!(
            (&found["count"], &found["truncated"]),
            (&json!(count), &json!(cut)),
            "{found}"
        );
    }
    let hits = rig.data("remote_find", &dir, json!({"pattern": "word", "limit": 7}));
    assert_eq!(
        (&hits["count"], &hits["truncated"]),
        (&json!(7), &json!(true)),
        "{hits}"
    );
    let hits = rig.data(
        "remote_find",
        &dir,
        json!({"pattern": "word", "limit": 100}),
    );
    assert_eq!(
        (&hits["count"], &hits["truncated"]),
        (&json!(60), &json!(false)),
        "{hits}"
    );
}

/// One file that holds more hits than the limit is a cut like any other.
#[test]
fn a_limit_within_one_file_says_so() {
    let rig = Rig::start();
    let path = rig.put("file", "word\nword\n", 0o644);
    for (limit, cut) in [(1, true), (2, false)] {
        let found = rig.data(
            "remote_find",
            &path,
            json!({"pattern": "word", "limit": limit}),
        );
        assert_eq!(
            (&found["count"], &found["truncated"]),
            (&json!(limit), &json!(cut)),
            "{found}"
        );
    }
}

/// Path below the directory, line and text of every result.
fn hits(rig: &Rig, data: &Value) -> Vec<(String, u64, String)> {
    let prefix = rig.path("");
    let mut hits: Vec<_> = data["results"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|hit| {
            let path = hit["path"].as_str().expect("text");
            let path = path.strip_prefix(&prefix).expect("below the directory");
            (
                path.to_owned(),
                hit["line"].as_u64().unwrap_or_default(),
                hit["text"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    hits.sort();
    hits
}

#[test]
fn files_are_found_by_name_content_and_both() {
    let rig = Rig::start();
    fs::create_dir_all(rig.files.join("sub/deep")).expect("new");
    rig.put("one.conf", "alpha\nbeta = 1\n", 0o644);
    rig.put("two.txt", "beta = 2\n", 0o644);
    rig.put("sub/three.conf", "gamma\n", 0o644);
    rig.put("sub/deep/four.conf", "x\ny\nbeta = 44\n", 0o644);
    symlink("one.conf", rig.files.join("link.conf")).expect("new");
    let dir = rig.path("");
    let find = |arguments: Value| hits(&rig, &rig.data("remote_find", &dir, arguments));
    let only = |names: &[&str]| -> Vec<(String, u64, String)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), 0, String::new()))
            .collect()
    };
    assert_eq!(
        find(json!({"glob": "*.conf"})),
        only(&[
            "link.conf",
            "one.conf",
            "sub/deep/four.conf",
            "sub/three.conf"
        ])
    );
    assert_eq!(
        find(json!({"glob": "sub/*.conf"})),
        only(&["sub/three.conf"])
    );
    assert_eq!(
        find(json!({"glob": "sub/**/*.conf"})),
        only(&["sub/deep/four.conf", "sub/three.conf"])
    );
    assert_eq!(find(json!({"glob": "*.none"})), []);
    let line = |path: &str, line: u64, text: &str| (path.to_owned(), line, text.to_owned());
    assert_eq!(
        find(json!({"pattern": "^beta = [0-9]+$"})),
        [
            line("one.conf", 2, "beta = 1"),
            line("sub/deep/four.conf", 3, "beta = 44"),
            line("two.txt", 1, "beta = 2"),
        ]
    );
    assert_eq!(
        find(json!({"pattern": "beta", "glob": "*.conf"})),
        [
            line("one.conf", 2, "beta = 1"),
            line("sub/deep/four.conf", 3, "beta = 44")
        ]
    );
    assert_eq!(find(json!({"pattern": "nowhere"})), []);
    let bad = rig.on(
        "remote_find",
        &dir,
        json!({"pattern": "(unclosed"}),
        &["--yes"],
    );
    ended(&bad, 1, "INVALID_ARGUMENT");
    assert!(bad.stdout.contains("`pattern`"), "{bad:?}");
    // A pattern is a pattern and never an option or a command.
    assert_eq!(find(json!({"pattern": "-f/etc/hosts"})), []);
    assert_eq!(find(json!({"pattern": "$(touch hit)"})), []);
    assert!(!rig.exists("hit"));
}

#[test]
fn odd_names_are_found_as_they_are() {
    let rig = Rig::start();
    let odd = [
        "a b",
        "quote'",
        "double\"",
        "colon:1:x",
        "dollar$HOME",
        "star*",
        "-e",
        "back\\slash",
        "é",
    ];
    for name in odd {
        rig.put(name, format!("needle in {name}\n"), 0o644);
    }
    // Its name would forge a hit in another file.
    let forger = format!("x\n{}", rig.path("a b:9:forged"));
    fs::create_dir_all(rig.files.join(&forger).parent().expect("a parent")).expect("new");
    fs::write(rig.files.join(&forger), "needle\n").expect("new");
    rig.put("tab\there", "needle\n", 0o644);
    let dir = rig.path("");
    let arguments = json!({"server": "a", "path": dir, "pattern": "needle"});
    let envelope = rig.cli.must("remote_find", &arguments, &[]);
    let data = &envelope["data"];
    // What is not searched is said.
    let message = envelope["message"].to_string();
    assert!(
        message.contains("2 files with a control character"),
        "{message}"
    );
    let mut expected: Vec<(String, u64, String)> = odd
        .iter()
        .map(|name| ((*name).to_owned(), 1, format!("needle in {name}")))
        .collect();
    expected.sort();
    assert_eq!(hits(&rig, data), expected);
    let mut named: Vec<String> = hits(&rig, &rig.data("remote_find", &dir, json!({"glob": "*"})))
        .into_iter()
        .map(|(path, ..)| path)
        .collect();
    named.retain(|path| odd.contains(&path.as_str()));
    assert_eq!(named.len(), odd.len(), "{named:?}");
}

#[test]
fn a_search_leaves_secret_files_out() {
    let rig = Rig::start();
    let needle = unique("needle");
    rig.put("plain.txt", format!("{needle} plain\n"), 0o644);
    for name in ["id_rsa", "server.key", ".env", "shadow"] {
        rig.put(name, format!("{needle} {name}\n"), 0o600);
    }
    fs::create_dir(rig.files.join(".ssh")).expect("new");
    rig.put(".ssh/other", format!("{needle} ssh\n"), 0o600);
    let found = rig.on(
        "remote_find",
        &rig.path(""),
        json!({"pattern": needle}),
        &[],
    );
    ended(&found, 0, "");
    let envelope = found.json();
    assert_eq!(
        hits(&rig, &envelope["data"]),
        [("plain.txt".to_owned(), 1, format!("{needle} plain"))]
    );
    assert!(
        envelope["message"]
            .to_string()
            .contains("5 files were left out"),
        "{envelope}"
    );
    // Named by the caller, it is asked about.
    let named = rig.on(
        "remote_find",
        &rig.path("id_rsa"),
        json!({"pattern": needle}),
        &[],
    );
    ended(&named, 3, "APPROVAL_REQUIRED");
    // Names are free.
    let names = rig.data("remote_find", &rig.path(""), json!({"glob": "id_*"}));
    assert_eq!(names["count"], 1, "{names}");
}
