//! The master key on the command line: rotation, recovery, kill -9 in mid-work,
//! and a real keychain that is locked and unlocked.
//!
//! Invariant under test: at any moment of a kill the register opens with the old or
//! the new key. The order of the steps inside is tested beside the code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use openshell_tests::secrets::{self, Kind};
use openshell_tests::{Cli, Output, Sshd, SshdOptions, Terminal, binary};
use serde_json::json;

use crate::cli_support::{Rig, ended, unique};

/// Runs per verb in the loop of kills, spread over the time one run takes.
const KILLS: u32 = 20;

fn status(cli: &Cli) -> Output {
    cli.run(["key", "status", "--json"])
}

/// That the register is whole and opens, and which servers it has.
fn servers(cli: &Cli) -> Vec<String> {
    let status = status(cli);
    assert_eq!(status.status, 0, "{status:?}");
    assert_eq!(status.json()["invalid"], json!([]), "{status:?}");
    let listed = cli.run(["server", "list", "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    let listed = listed.json();
    let servers = listed.as_array().expect("an array").iter();
    servers
        .map(|server| server["id"].as_str().expect("text").to_owned())
        .collect()
}

/// Adds a server that needs not be there.
fn add(cli: &Cli, id: &str, secret: &str) -> Output {
    let words = [
        "server",
        "add",
        id,
        "--host",
        "192.0.2.1",
        "--user",
        "me",
        "--password-stdin",
        "--host-key",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    ];
    cli.run_stdin(words, &format!("{secret}\n"))
}

fn private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).expect("the directory is there");
    let phrase = text.trim().as_bytes();
    if phrase.len() >= 12 {
        secrets::note_file(Kind::Passphrase, phrase, &path);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    path
}

fn words<'a>(fixed: &[&'a str], path: &'a Path) -> Vec<&'a str> {
    let path = path.to_str().expect("a plain path");
    fixed.iter().copied().chain([path]).collect()
}

/// Kills a verb after a part of the time it takes; the input is on its stdin.
fn killed(cli: &Cli, words: &[&str], stdin: &str, after: Duration) {
    let input = private(cli.dir().join("input"), stdin);
    let mut child = cli
        .command(words)
        .stdin(fs::File::open(&input).expect("just written"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    thread::sleep(after);
    // It may be over already: then this is one more ordinary run.
    let _ = child.kill();
    child.wait().expect("it was started here");
}

#[test]
fn killed_at_any_moment_the_register_is_old_or_new() {
    let cli = Cli::new();
    assert_eq!(add(&cli, "base", "hunter2").status, 0);
    let add_words = [
        "server",
        "add",
        "more",
        "--host",
        "192.0.2.2",
        "--user",
        "me",
        "--password-stdin",
        "--host-key",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    ];
    let remove_words = ["server", "remove", "more"];
    let rotate_words = ["key", "rotate"];
    // How long each takes on this machine, now.
    let took = |words: &[&str], stdin: &str| {
        let started = Instant::now();
        assert_eq!(cli.run_stdin(words, stdin).status, 0, "{words:?}");
        started.elapsed()
    };
    let times = [
        took(&add_words, "secret\n"),
        took(&remove_words, ""),
        took(&rotate_words, ""),
    ];
    let mut ends = [0u32; 3];
    let mut last_key = String::new();
    for run in 0..KILLS {
        let part = |time: Duration| time * (run + 1) / KILLS;
        let before = servers(&cli);
        killed(&cli, &add_words, "secret\n", part(times[0]));
        let now = servers(&cli);
        assert!(now.contains(&"base".to_owned()), "{now:?}");
        if now == before {
            ends[0] += 1;
            let added = cli.run_stdin(add_words, "secret\n");
            assert_eq!(added.status, 0, "{added:?}");
        }
        assert_eq!(servers(&cli), ["base", "more"]);
        killed(&cli, &remove_words, "", part(times[1]));
        if servers(&cli).len() == 2 {
            ends[1] += 1;
            let removed = cli.run(remove_words);
            assert_eq!(removed.status, 0, "{removed:?}");
        }
        killed(&cli, &rotate_words, "", part(times[2]));
        assert_eq!(servers(&cli), ["base"]);
        let key = status(&cli).json()["keyId"].to_string();
        ends[2] += u32::from(key == last_key);
        last_key = key;
    }
    eprintln!("killed before the change: add, remove, rotate {ends:?} of {KILLS}");
    // A last rotation completes whatever was cut off.
    let rotated = cli.run(["key", "rotate", "--json"]);
    assert_eq!(rotated.status, 0, "{rotated:?}");
    assert_eq!(servers(&cli), ["base"]);
}

#[test]
fn a_rotation_moves_the_key_and_the_old_one_opens_nothing() {
    let mut cli = Cli::new();
    let secret = unique("pw");
    assert_eq!(add(&cli, "a", &secret).status, 0);
    let first = status(&cli).json();
    assert_eq!(first["source"], "file");
    let kept = cli.dir().join("first.key");
    fs::copy(cli.key_file(), &kept).expect("the key is there");

    let rotated = cli.run(["key", "rotate", "--json"]).json();
    assert_eq!(rotated["former"], first["keyId"], "{rotated}");
    assert_eq!(rotated["servers"], 1, "{rotated}");
    assert_eq!(servers(&cli), ["a"]);
    assert_eq!(status(&cli).json()["retired"], json!([first["keyId"]]));
    let file = cli.key_file().display().to_string();
    cli.set_env("OPENSHELL_MASTER_KEY_FILE", &kept.display().to_string());
    ended(&status(&cli), 1, "REGISTRY_LOCKED");
    cli.set_env("OPENSHELL_MASTER_KEY_FILE", &file);

    let phrase = private(cli.dir().join("phrase"), &format!("{}\n", unique("long")));
    let moved = cli.run(words(
        &["key", "rotate", "--passphrase", "--passphrase-file"],
        &phrase,
    ));
    assert_eq!(moved.status, 0, "{moved:?}");
    assert!(
        moved.stderr.contains("Unset OPENSHELL_MASTER_KEY_FILE"),
        "{moved:?}"
    );
    cli.unset_env("OPENSHELL_MASTER_KEY_FILE");
    ended(&status(&cli), 1, "REGISTRY_LOCKED");
    cli.set_env("OPENSHELL_PASSPHRASE_FILE", &phrase.display().to_string());
    assert_eq!(servers(&cli), ["a"]);
    let second = cli.run(["key", "init", "--passphrase"]);
    assert_eq!(second.status, 1, "{second:?}");
    assert!(second.stderr.contains("key rotate"), "{second:?}");

    // Nothing of a credential, nor a key, is in any file of the configuration.
    for entry in fs::read_dir(cli.config_dir()).expect("it is there") {
        let path = entry.expect("readable").path();
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains(&secret), "{}", path.display());
    }
}

#[test]
fn a_register_of_a_passphrase_from_the_start() {
    let mut cli = Cli::without_key();
    cli.unset_env("OPENSHELL_MASTER_KEY_FILE");
    let Some(mut terminal) = Terminal::start(&cli, &["key", "init", "--passphrase"]) else {
        return;
    };
    let phrase = unique("correct-horse");
    for prompt in ["New registry passphrase:", "Once more:"] {
        terminal.wait_for(prompt);
        terminal.type_line(&phrase);
    }
    let made = terminal.finish();
    assert_eq!(made.status, 0, "{made:?}");
    assert!(!made.stderr.contains(&phrase), "it is not echoed: {made:?}");
    ended(&status(&cli), 1, "REGISTRY_LOCKED");
    let file = private(cli.dir().join("phrase"), &phrase);
    cli.set_env("OPENSHELL_PASSPHRASE_FILE", &file.display().to_string());
    assert_eq!(status(&cli).json()["source"], "passphrase");
    assert_eq!(add(&cli, "a", "hunter2").status, 0);
    assert_eq!(servers(&cli), ["a"]);
}

#[test]
fn a_lost_key_comes_back() {
    let mut cli = Cli::new();
    assert_eq!(add(&cli, "a", "hunter2").status, 0);
    let phrase = private(cli.dir().join("phrase"), &unique("kept-in-a-safe"));
    let document = cli.dir().join("recovery.json");
    let exported = cli.run([
        "key",
        "export-recovery",
        "--out",
        &document.display().to_string(),
        "--passphrase-file",
        &phrase.display().to_string(),
    ]);
    assert_eq!(exported.status, 0, "{exported:?}");
    let mode = fs::metadata(&document)
        .expect("written")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = fs::read_to_string(cli.key_file()).expect("the key is there");
    let text = fs::read_to_string(&document).expect("written");
    assert!(!text.contains(key.trim()));

    fs::remove_file(cli.key_file()).expect("the key is there");
    ended(&status(&cli), 1, "REGISTRY_LOCKED");
    let new = cli.dir().join("again.key");
    let import = |phrase: &Path| {
        cli.run([
            "key",
            "import",
            &document.display().to_string(),
            "--file",
            &new.display().to_string(),
            "--passphrase-file",
            &phrase.display().to_string(),
        ])
    };
    let wrong = private(cli.dir().join("wrong"), &unique("something-else"));
    assert_eq!(import(&wrong).status, 1);
    assert!(!new.exists());
    let imported = import(&phrase);
    assert_eq!(imported.status, 0, "{imported:?}");
    cli.set_env("OPENSHELL_MASTER_KEY_FILE", &new.display().to_string());
    assert_eq!(servers(&cli), ["a"]);
}

#[test]
fn an_agent_has_no_say_over_keys() {
    let mut cli = Cli::new();
    assert_eq!(add(&cli, "a", "hunter2").status, 0);
    cli.set_env("AGENT", "1");
    let before = fs::read(cli.key_file()).expect("the key is there");
    for verb in [
        vec!["key", "rotate", "--json"],
        vec!["key", "export-recovery", "--json"],
        vec!["key", "import", "-", "--keychain", "--json"],
        vec!["key", "init", "--passphrase", "--json"],
    ] {
        let refused = cli.run(&verb);
        assert_eq!(refused.status, 3, "{verb:?}: {refused:?}");
        assert_eq!(refused.code(), "PERSON_REQUIRED", "{verb:?}");
    }
    assert_eq!(fs::read(cli.key_file()).expect("the key is there"), before);
}

/// What was kept sealed before a rotation is undone after it.
#[test]
fn sealed_content_outlives_a_rotation() {
    let rig = Rig::start();
    let path = rig.put(".env", "TOKEN=one\n", 0o600);
    let written = rig.on(
        "remote_write_file",
        &path,
        json!({"content": "TOKEN=two\n"}),
        &["--yes"],
    );
    assert_eq!(written.status, 0, "{written:?}");
    let rotated = rig.cli.run(["key", "rotate", "--json"]);
    assert_eq!(rotated.status, 0, "{rotated:?}");
    let undone = rig.cli.run(["undo", "a", &path, "--yes"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    assert_eq!(rig.content(".env"), b"TOKEN=one\n");
}

/// A keychain of its own, in a session of its own: locked it says so, after the
/// next login it works, and a rotation stays in it.
#[test]
fn a_locked_keychain_is_said_and_an_unlocked_one_works() {
    for program in ["dbus-run-session", "gnome-keyring-daemon", "dbus-send"] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: {program} is not installed");
            return;
        }
    }
    let mut cli = Cli::without_key();
    cli.unset_env("OPENSHELL_MASTER_KEY_FILE");
    let server = Sshd::start(&SshdOptions::default());
    let script = format!(
        r#"
# Asking for it makes the bus start another daemon, which is locked; whether it has an
# owner does not.
owned() {{
    dbus-send --session --dest=org.freedesktop.DBus --print-reply / \
        org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q "boolean $1"
}}
eventually() {{
    tries=0
    until "$@"; do tries=$((tries + 1)); test $tries -lt 1200 || exit 9; sleep 0.05; done
}}
opened() {{
    dbus-send --session --dest=org.freedesktop.secrets --print-reply /org/freedesktop/secrets \
        org.freedesktop.Secret.Service.ReadAlias string:default 2>/dev/null | grep -q collection/login
}}
unlock() {{
    printf %s "$PASSWORD" | gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1 &
    daemon=$!
    eventually owned true
    eventually opened
}}
lock() {{
    dbus-send --session --dest=org.freedesktop.secrets --print-reply /org/freedesktop/secrets \
        org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login >/dev/null
}}
use() {{ "$BINARY" call remote_stat '{{"server":"web","path":"/"}}'; echo "$1 $?"; }}
unlock
"$BINARY" server add web --host 127.0.0.1 --port {port} --user {user} \
    --identity {identity} --host-key '{key}' >/dev/null || exit 8
use added
lock
use locked
kill $daemon; wait $daemon
eventually owned false
unlock
use unlocked
"$BINARY" key rotate --json; echo "rotate $?"
use rotated
kill $daemon; wait $daemon
"#,
        port = server.port(),
        user = server.user(),
        identity = server.client_key_path().display(),
        key = server.host_key_line(),
    );
    let environment = cli.command([""; 0]);
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", &script])
        .env_clear()
        .envs(
            environment
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("XDG_RUNTIME_DIR", cli.home())
        .env("PASSWORD", unique("pw"))
        .env("BINARY", binary())
        .stdin(Stdio::null())
        .output()
        .expect("dbus-run-session starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in ["added 0", "locked 1", "unlocked 0", "rotate 0", "rotated 0"] {
        assert!(
            text.lines().any(|found| found == line),
            "{line}: {text}\n{error}"
        );
    }
    let locked = text
        .lines()
        .find(|line| line.contains("REGISTRY_LOCKED"))
        .unwrap_or_else(|| panic!("the lock is named: {text}"));
    assert!(
        locked.contains("Unlock it"),
        "the advice is there: {locked}"
    );
}
