//! A session with every kind of secret, looked through in every form: files,
//! journal, snapshots, everything printed, and what processes show.
//!
//! `cargo xtask test` does the same to everything all suites leave; this is the
//! part of it that runs by itself, and that proves the search can find.
//!
//! Invariant of the fixture: every secret in it is made for the run and noted. What
//! other suites leave is not looked through here.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openshell_tests::secrets::{self, Kind, Run, scan};
use openshell_tests::{Account, Cli, Output, SshAgent, Sshd, SshdOptions, finish, ssh_keygen};
use serde_json::json;

use crate::cli_support::{put, text, unique};
use crate::identity_support::{certify, key, public};

/// An installation under observation.
struct Observed {
    run: Run,
    cli: Cli,
}

impl Observed {
    /// Runs a verb to its end, watched, and writes down what it said.
    fn run(&self, words: &[&str], stdin: &str) -> Output {
        let input = self.cli.dir().join("typed");
        put(&input, stdin.as_bytes(), 0o600);
        let child = self
            .cli
            .command(words)
            .stdin(fs::File::open(&input).expect("just written"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let watch = self.run.watch(child.id());
        let output = finish(child);
        drop(watch);
        fs::remove_file(&input).expect("just written");
        let said = [output.stdout.as_bytes(), output.stderr.as_bytes()];
        self.run.transcript(&words.join(" "), &said);
        output
    }

    fn call(&self, tool: &str, id: &str, mut arguments: serde_json::Value) -> Output {
        arguments["server"] = json!(id);
        self.run(&["call", tool, "-", "--yes"], &arguments.to_string())
    }

    fn add(&self, server: &Sshd, id: &str, user: &str, how: &[&str], stdin: &str) {
        let (port, host_key) = (server.port().to_string(), server.host_key_line());
        let mut words = vec!["server", "add", id, "--host", "127.0.0.1", "--port", &port];
        words.extend(["--user", user, "--host-key", &host_key]);
        words.extend(how);
        let added = self.run(&words, stdin);
        assert_eq!(added.status, 0, "{id}: {added:?}");
    }

    /// Copies the installation's files to where they are looked through.
    fn keep(&self) {
        let place = self.run.directory("installation-");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(self.cli.dir())
            .arg(place.path())
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "cp -a");
        let copy = place
            .path()
            .join(self.cli.dir().file_name().unwrap_or_default());
        // What is there to hold the key.
        self.run.allow(&copy.join("master.key"));
    }
}

fn note_master_key(run: &Run, path: &Path) {
    let key = fs::read_to_string(path).expect("the key is there");
    let key = STANDARD.decode(key.trim()).expect("it is base64");
    run.note(Kind::MasterKey, &key);
}

#[test]
fn a_session_with_every_secret_shows_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = Run::at(dir.path());
    let server = Sshd::start(&SshdOptions {
        password_auth: true,
        ..SshdOptions::default()
    });
    let mut seen = Observed {
        run,
        cli: Cli::new(),
    };
    let user = server.user().to_owned();
    note_master_key(&seen.run, &seen.cli.key_file());

    // Every way to log in, and one that fails.
    let (phrase, wrong) = (unique("phrase-"), unique("wrong-"));
    seen.run.note(Kind::Passphrase, phrase.as_bytes());
    seen.run.note(Kind::Password, wrong.as_bytes());
    let sealed = server.dir().join("sealed");
    ssh_keygen(&sealed, "ed25519", &phrase);
    server.authorize(&public(&sealed));
    let certified = key(server.dir(), "certified", &["ecdsa", "-b", "256"]);
    let authority = key(server.dir(), "authority", &["ed25519"]);
    server.authorize(&format!("cert-authority {}", public(&authority)));
    certify(&authority, &certified, &["-n", &user]);
    let rsa = key(server.dir(), "rsa", &["rsa", "-b", "2048"]);
    server.authorize(&public(&rsa));
    for path in [&server.client_key_path(), &certified, &rsa] {
        seen.run.note_private_key(path);
    }
    let agent = SshAgent::start(seen.cli.dir());
    agent.add(&server.client_key_path());
    seen.cli.set_env("SSH_AUTH_SOCK", &text(agent.socket()));
    let identity = |path: &Path| text(path);
    let flags = ["--identity", &identity(&sealed), "--passphrase-stdin"];
    seen.add(&server, "sealed", &user, &flags, &format!("{phrase}\n"));
    seen.add(&server, "agent", &user, &["--agent"], "");
    for (id, path) in [("certified", &certified), ("rsa", &rsa)] {
        seen.add(&server, id, &user, &["--identity", &identity(path)], "");
    }
    let flags = ["--password-stdin"];
    seen.add(&server, "wrong", &user, &flags, &format!("{wrong}\n"));
    let mut ids = vec!["sealed", "agent", "certified", "rsa", "wrong"];
    let home = server.dir().join("account");
    fs::create_dir(&home).expect("the fixture's directory");
    let account = Account::create("/bin/sh", &home);
    if let Some(account) = &account {
        let password = unique("pw-");
        seen.run.note(Kind::Password, password.as_bytes());
        account.set_password(&password);
        let typed = format!("{password}\n");
        seen.add(&server, "password", account.name(), &flags, &typed);
        ids.push("password");
    }

    // What an agent does, with a credential of its own in a command.
    let token = format!("ghp_{}", unique("")).replace('-', "");
    seen.run.note(Kind::Token, token.as_bytes());
    // The installation's own journal stays with what all suites leave.
    secrets::note(Kind::Token, token.as_bytes());
    let files = seen.cli.files();
    for id in ids {
        let ran = seen.call("remote_exec", id, json!({"command": "uptime"}));
        assert_eq!(ran.status == 0, id != "wrong", "{id}: {ran:?}");
        let command = format!("curl -H 'Authorization: Bearer {token}' http://127.0.0.1:1/");
        seen.call("remote_exec", id, json!({"command": command}));
        seen.run(&["server", "test", id], "");
        if !["sealed", "wrong"].contains(&id) {
            continue;
        }
        let path = text(&files.join(id));
        for content in ["one\n", "two\n"] {
            let arguments = json!({"path": path, "content": content});
            seen.call("remote_write_file", id, arguments);
        }
        seen.call("remote_read_file", id, json!({"path": path}));
        seen.call("remote_read_file", id, json!({"path": "/absent"}));
        seen.run(&["server", "show", id], "");
        seen.run(&["server", "show", id, "--json"], "");
        seen.run(&["history", id, &path], "");
        seen.run(&["undo", id, &path, "--yes"], "");
    }

    // What a person does, and what goes wrong.
    let recovery = seen.cli.dir().join("recovery.json");
    let safe = unique("kept-in-a-safe-");
    seen.run.note(Kind::Passphrase, safe.as_bytes());
    let phrase_file = dir.path().join("phrase");
    put(&phrase_file, safe.as_bytes(), 0o600);
    seen.run.allow(&phrase_file);
    let (recovery, phrase_file) = (text(&recovery), text(&phrase_file));
    let export = [
        "key",
        "export-recovery",
        "--out",
        &recovery,
        "--passphrase-file",
        &phrase_file,
    ];
    assert_eq!(seen.run(&export, "").status, 0);
    assert_eq!(seen.run(&["key", "rotate"], "").status, 0);
    note_master_key(&seen.run, &seen.cli.key_file());
    for verb in [
        &["key", "status", "--json"][..],
        &["server", "list", "--json"],
        &["server", "list"],
        &["audit", "list", "--json", "--limit", "1000"],
        &["audit", "list"],
        &["audit", "verify"],
        &["doctor"],
        &["doctor", "--json", "--servers"],
        &["policy", "check"],
        &["call", "list_servers"],
        &["no-such-verb"],
    ] {
        seen.run(verb, "");
    }
    let key_file = seen.cli.key_file();
    fs::rename(&key_file, key_file.with_extension("away")).expect("own file");
    let locked = seen.call("remote_exec", "sealed", json!({"command": "uptime"}));
    assert_eq!(locked.code(), "REGISTRY_LOCKED", "{locked:?}");
    fs::rename(key_file.with_extension("away"), &key_file).expect("own file");
    let registry = seen.cli.config_dir().join("registry.json");
    let whole = fs::read_to_string(&registry).expect("it is there");
    fs::write(&registry, whole.replace("127.0.0.1", "127.0.0.2")).expect("own file");
    let tampered = seen.call("remote_exec", "sealed", json!({"command": "uptime"}));
    assert_eq!(tampered.code(), "REGISTRY_RECORD_INVALID", "{tampered:?}");
    fs::write(&registry, &whole[..whole.len() / 2]).expect("own file");
    seen.run(&["server", "list"], "");
    fs::write(&registry, whole).expect("own file");

    seen.keep();
    let report = scan(&seen.run).expect("everything is readable");
    eprintln!("{report}");
    assert_eq!(report.hits, [], "{report}");
    let mut missing = report.missing();
    if account.is_none() {
        // The wrong one is a password all the same.
        missing.clear();
    }
    assert_eq!(missing, [""; 0], "{report}");

    // One leak anywhere, in another form, and the same search finds it.
    let journal = dir.path().join("kept/planted/audit");
    fs::create_dir_all(&journal).expect("own directory");
    put(
        &journal.join("actions.jsonl"),
        format!("x{}", STANDARD.encode(format!("{wrong} {token}"))).as_bytes(),
        0o600,
    );
    let found = scan(&seen.run).expect("everything is readable").hits;
    let kinds: Vec<Kind> = found.iter().map(|hit| hit.kind).collect();
    assert!(
        kinds.contains(&Kind::Password) && kinds.contains(&Kind::Token),
        "{found:?}"
    );
}
