//! `server trust` after a planned change of host keys, and `server add` as a
//! conversation: both with a real server and a person at a terminal.
//!
//! They prove that a person sees old and new before anything is trusted, and that
//! nothing else makes a key count. Which lines a file may hold is not their
//! subject.

use std::fs;
use std::ops::Deref;
use std::process::Command;

use openshell_tests::{Cli, Sshd, SshdOptions, Terminal};
use serde_json::{Value, json};

use crate::cli_support::ended;

/// A server that took the place of another: same port, new host key.
fn replaced(cli: &Cli, id: &str) -> (Replaced, String) {
    let mut old = Sshd::start(&SshdOptions::default());
    cli.enrol(&old, id);
    let old_key = old.host_key_line();
    old.stop();
    let new = Sshd::start(&SshdOptions {
        port: Some(old.port()),
        ..SshdOptions::default()
    });
    let login = old.client_key_path().with_extension("pub");
    new.authorize(&fs::read_to_string(login).expect("the login has a public half"));
    (Replaced { new, _old: old }, old_key)
}

/// The server of today; the one of before still owns the key to log in with.
struct Replaced {
    new: Sshd,
    _old: Sshd,
}

impl Deref for Replaced {
    type Target = Sshd;

    fn deref(&self) -> &Sshd {
        &self.new
    }
}

fn fingerprint(line: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("key.pub");
    fs::write(&file, line).expect("the directory is new");
    let output = Command::new("ssh-keygen")
        .args(["-lf"])
        .arg(&file)
        .output()
        .expect("ssh-keygen is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// The picture `ssh-keygen -lv` draws, line by line.
fn picture(line: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("key.pub");
    fs::write(&file, line).expect("the directory is new");
    let output = Command::new("ssh-keygen")
        .args(["-lvf"])
        .arg(&file)
        .output()
        .expect("ssh-keygen is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().skip(1).map(str::to_owned).collect()
}

fn known_hosts(cli: &Cli) -> String {
    fs::read_to_string(cli.config_dir().join("known_hosts")).expect("it was enrolled")
}

#[test]
fn a_person_sees_old_and_new_and_agrees() {
    let cli = Cli::new();
    let (server, old_key) = replaced(&cli, "web");
    let stat = json!({"server": "web", "path": "/"});
    ended(&cli.call("remote_stat", &stat, &[]), 1, "HOST_KEY_CHANGED");
    for (answer, status) in [("no", 3), ("yes", 0)] {
        let Some(mut terminal) = Terminal::start(&cli, &["server", "trust", "web"]) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains(&fingerprint(&old_key)), "{shown}");
        assert!(
            shown.contains(&fingerprint(&server.host_key_line())),
            "{shown}"
        );
        for key in [&old_key, &server.host_key_line()] {
            for line in picture(key) {
                assert!(shown.contains(&line), "{line} in {shown}");
            }
        }
        terminal.type_line(answer);
        let output = terminal.finish();
        assert_eq!(output.status, status, "{output:?}");
        assert_eq!(known_hosts(&cli).contains(&old_key), answer == "no");
    }
    ended(&cli.call("remote_stat", &stat, &[]), 0, "");
    let again = cli.run([
        "server",
        "trust",
        "web",
        "--host-key",
        &server.host_key_line(),
        "--json",
    ]);
    assert_eq!(again.json()["action"], "unchanged", "{again:?}");
    let noted = cli.records().iter().any(|record| {
        record["text"].as_str().is_some_and(|text| {
            text.contains("host keys of server web replaced") && text.contains("SHA256:")
        })
    });
    assert!(noted, "the replacement is on record");
}

#[test]
fn without_a_terminal_only_a_named_key_is_taken() {
    let cli = Cli::new();
    let (server, old_key) = replaced(&cli, "web");
    let before = known_hosts(&cli);
    let refused = cli.run(["server", "trust", "web"]);
    assert_eq!(refused.status, 3, "{refused:?}");
    let nonsense = cli.run(["server", "trust", "web", "--host-key", "ssh-ed25519 AAAA"]);
    assert_eq!(nonsense.status, 2, "{nonsense:?}");
    let unknown = cli.run([
        "server",
        "trust",
        "db",
        "--host-key",
        &server.host_key_line(),
    ]);
    assert_eq!(unknown.status, 1, "{unknown:?}");
    assert_eq!(known_hosts(&cli), before, "nothing was changed");

    let named = cli.run([
        "server",
        "trust",
        "web",
        "--host-key",
        &server.host_key_line(),
        "--json",
    ]);
    assert_eq!(named.status, 0, "{named:?}");
    let value = named.json();
    assert_eq!(value["action"], "replaced");
    assert_eq!(value["old"][0]["fingerprint"], json!(fingerprint(&old_key)));
    assert_eq!(
        value["new"][0]["fingerprint"],
        json!(fingerprint(&server.host_key_line()))
    );
    let stat = json!({"server": "web", "path": "/"});
    ended(&cli.call("remote_stat", &stat, &[]), 0, "");
}

#[test]
fn an_agent_cannot_trust() {
    let mut cli = Cli::new();
    let (server, _) = replaced(&cli, "web");
    let before = known_hosts(&cli);
    cli.set_env("OPENCODE", "1");
    let refused = cli.run([
        "server",
        "trust",
        "web",
        "--host-key",
        &server.host_key_line(),
        "--json",
    ]);
    assert_eq!(refused.status, 3, "{refused:?}");
    assert_eq!(refused.code(), "PERSON_REQUIRED");
    assert_eq!(known_hosts(&cli), before);
}

#[test]
fn what_other_files_still_trust_is_said_and_revoked_keys_are_refused() {
    let cli = Cli::new();
    let (server, old_key) = replaced(&cli, "web");
    let users = cli.home().join(".ssh");
    fs::create_dir(&users).expect("the home is new");
    let users = users.join("known_hosts");
    let name = format!("[127.0.0.1]:{}", server.port());
    fs::write(&users, format!("{name} {old_key}\n")).expect("the directory is new");
    let key = server.host_key_line();
    let trust = |key: &str| cli.run(["server", "trust", "web", "--host-key", key, "--json"]);
    let value = trust(&key).json();
    assert_eq!(value["stillTrusted"][0]["file"], json!(users), "{value}");

    fs::write(&users, format!("@revoked {name} {old_key}\n")).expect("the file is ours");
    let before = known_hosts(&cli);
    let revoked = trust(&old_key);
    assert_eq!(revoked.status, 1, "{revoked:?}");
    assert!(revoked.stderr.contains("revoked"), "{revoked:?}");
    assert_eq!(known_hosts(&cli), before);
}

#[test]
fn a_person_is_asked_for_what_is_missing() {
    let cli = Cli::new();
    let server = Sshd::start(&SshdOptions::default());
    let identity = server.client_key_path();
    let Some(mut terminal) = Terminal::start(&cli, &["server", "add", "web"]) else {
        return;
    };
    let dialogue = [
        ("Host: ", "127.0.0.1".to_owned()),
        ("Port [22]: ", server.port().to_string()),
        ("Login name on the server: ", server.user().to_owned()),
        ("Type 1, 2 or 3: ", "1".to_owned()),
        ("Private key file: ", identity.display().to_string()),
        ("the server's own? Type yes or no: ", "yes".to_owned()),
        ("whether it works? Type yes or no: ", "yes".to_owned()),
    ];
    for (question, answer) in dialogue {
        terminal.wait_for(question);
        terminal.type_line(&answer);
    }
    let output = terminal.finish();
    assert_eq!(output.status, 0, "{output:?}");
    assert!(output.stdout.contains("files are reachable"), "{output:?}");
    let shown = cli.run(["server", "show", "web", "--json"]).json();
    assert_eq!(shown["user"], json!(server.user()));
    assert_eq!(shown["auth"], Value::from("identity-file"));
}

#[test]
fn where_nobody_can_be_asked_a_missing_field_is_a_usage_error() {
    let cli = Cli::new();
    for (flags, field) in [
        (vec!["--user", "me", "--agent"], "--host"),
        (vec!["--host", "h", "--agent"], "--user"),
        (vec!["--host", "h", "--user", "me"], "how to log in"),
    ] {
        let words = ["server", "add", "web"].into_iter().chain(flags);
        let refused = cli.run(words);
        assert_eq!(refused.status, 2, "{refused:?}");
        assert!(refused.stderr.contains(field), "{field}: {refused:?}");
    }
}
