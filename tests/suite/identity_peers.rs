//! SSH servers other than OpenSSH, through the whole product: what each supports
//! works, and what it lacks is said.
//!
//! A server that is not installed is skipped aloud, and proves nothing. Invariant
//! under test: what a server lacks never becomes a silent loss.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use openshell_tests::{Cli, Output, Peer, SshAgent, Sshd, SshdOptions, Terminal};
use serde_json::{Value, json};

use crate::cli_support::{ended, eventually, text, unique, uptime};
use crate::identity_support::{key, public, refused};

/// Registers the account of a server.
#[track_caller]
fn enrol(cli: &Cli, peer: &Peer, id: &str, flags: &[&str], stdin: &str) {
    let port = peer.port().to_string();
    let fixed = [
        "server",
        "add",
        id,
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        peer.account().name(),
        "--host-key",
        peer.host_key_line(),
        "--replace",
    ];
    let added = cli.run_stdin(fixed.iter().chain(flags), stdin);
    assert_eq!(added.status, 0, "{id}: {added:?}");
}

#[track_caller]
fn enrol_key(cli: &Cli, peer: &Peer, id: &str, kind: &str) {
    let identity = text(&peer.authorized_key(kind));
    enrol(cli, peer, id, &["--identity", &identity], "");
}

fn exec(cli: &Cli, id: &str, command: &str, flags: &[&str]) -> Output {
    let arguments = json!({"server": id, "command": command});
    cli.call("remote_exec", &arguments, flags)
}

/// Everything about commands: results, both streams, approval, time-outs that
/// end the whole process group.
#[track_caller]
fn commands_work(cli: &Cli, id: &str, user: &str) {
    let who = cli.must(
        "remote_exec",
        &json!({"server": id, "command": "id -un"}),
        &[],
    );
    assert_eq!(who["data"]["stdout"], format!("{user}\n"), "{who}");
    let both = exec(cli, id, "echo out; echo err >&2; exit 3", &["--yes"]);
    let both = both.json();
    assert_eq!(
        (
            &both["data"]["stdout"],
            &both["data"]["stderr"],
            &both["execution"]["exitCode"]
        ),
        (&json!("out\n"), &json!("err\n"), &json!(3)),
        "{both}"
    );
    let asleep = json!({
        "server": id, "command": "sleep 86400 & sleep 86400", "timeout": 1500,
    });
    let ended_early = cli.call("remote_exec", &asleep, &["--yes"]);
    let envelope = ended_early.json();
    assert_eq!(envelope["code"], "EXEC_TIMEOUT", "{ended_early:?}");
    eventually("nothing of the account is asleep", || {
        let found = std::process::Command::new("pgrep")
            .args(["-u", user, "sleep"])
            .output()
            .expect("pgrep is installed (procps)");
        found.stdout.is_empty()
    });
}

/// Everything about files, in the account's home; whether replacing is atomic.
#[track_caller]
fn files_work(cli: &Cli, peer: &Peer, id: &str, atomic: bool) {
    let home = peer.account().home().to_owned();
    let path = home.join("web.conf");
    let at = |rest: Value| {
        let mut arguments = json!({"server": id, "path": text(&path)});
        if let Value::Object(rest) = rest {
            for (name, value) in rest {
                arguments[name] = value;
            }
        }
        arguments
    };
    let made = cli.must(
        "remote_write_file",
        &at(json!({"content": "one\n", "mode": "0640"})),
        &["--yes"],
    );
    assert_eq!(made["data"]["atomic"], true, "a new file is: {made}");
    let facts = || {
        let metadata = fs::metadata(&path).expect("it was written");
        let content = fs::read_to_string(&path).expect("it was written");
        (content, metadata.mode() & 0o7777)
    };
    assert_eq!(facts(), ("one\n".to_owned(), 0o640));
    let replaced = cli.must(
        "remote_write_file",
        &at(json!({"content": "two, and longer\n"})),
        &["--yes"],
    );
    assert_eq!(replaced["data"]["atomic"], atomic, "{replaced}");
    assert_eq!(facts(), ("two, and longer\n".to_owned(), 0o640));
    let patch = "@@ -1 +1 @@\n-two, and longer\n+3\n";
    cli.must(
        "remote_patch_file",
        &at(json!({"patch": patch})),
        &["--yes"],
    );
    assert_eq!(facts(), ("3\n".to_owned(), 0o640));
    let read = cli.must("remote_read_file", &at(json!({})), &[]);
    assert_eq!(read["data"]["content"], "3\n", "{read}");
    let undone = cli.run(["undo", id, &text(&path), "--yes"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    assert_eq!(facts().0, "two, and longer\n");
    let stat = cli.must("remote_stat", &at(json!({})), &[]);
    assert_eq!(
        (&stat["data"]["size"], &stat["data"]["mode"]),
        (&json!(16), &json!("0640")),
        "{stat}"
    );
    let listed = cli.must(
        "remote_list_dir",
        &json!({"server": id, "path": text(&home)}),
        &[],
    );
    assert!(listed.to_string().contains("web.conf"), "{listed}");
    let left: Vec<PathBuf> = fs::read_dir(&home)
        .expect("the home is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| text(path).ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Where a link leads is judged, whatever the server makes of names.
#[track_caller]
fn links_are_seen_through(cli: &Cli, peer: &Peer, id: &str) {
    let home = peer.account().home();
    let secret = home.join("secret");
    if !secret.exists() {
        fs::create_dir(&secret).expect("the home is the fixture's");
        fs::write(secret.join("id_ed25519"), "not for you\n").expect("just made");
        symlink("secret/id_ed25519", home.join("notes.txt")).expect("the home is the fixture's");
        symlink("secret", home.join("docs")).expect("the home is the fixture's");
        peer.account().own(home);
    }
    for name in ["secret/id_ed25519", "notes.txt", "docs/id_ed25519"] {
        let arguments = json!({"server": id, "path": text(&home.join(name))});
        let asked = cli.call("remote_read_file", &arguments, &[]);
        ended(&asked, 3, "APPROVAL_REQUIRED");
    }
}

/// A write that a person is asked about says that it is not atomic.
#[track_caller]
fn says_not_atomic(cli: &Cli, path: &str, id: &str) {
    let arguments = json!({"server": id, "path": path, "content": "another\n"}).to_string();
    let Some(mut terminal) = Terminal::start(cli, &["call", "remote_write_file", &arguments])
    else {
        return;
    };
    terminal.wait_for("Type yes or no:");
    assert!(
        terminal.shown().contains("NOT ATOMIC"),
        "{}",
        terminal.shown()
    );
    terminal.type_line("no");
    ended(&terminal.finish(), 3, "APPROVAL_REJECTED");
}

/// Another host key is refused, whoever serves it.
#[track_caller]
fn a_changed_key_is_refused(cli: &Cli, peer: &Peer, id: &str) {
    let known_hosts = cli.config_dir().join("known_hosts");
    let good = fs::read_to_string(&known_hosts).expect("it is there");
    let other = public(&key(cli.dir(), &format!("other-{id}"), &["ed25519"]));
    let other: Vec<&str> = other.split(' ').take(2).collect();
    let forged = good.replace(peer.host_key_line(), &other.join(" "));
    assert_ne!(forged, good);
    fs::write(&known_hosts, forged).expect("own file");
    let stat = json!({"server": id, "path": "/"});
    ended(&cli.call("remote_stat", &stat, &[]), 1, "HOST_KEY_CHANGED");
    fs::write(&known_hosts, good).expect("own file");
    ended(&cli.call("remote_stat", &stat, &[]), 0, "");
}

#[test]
fn dropbear() {
    let Some(peer) = Peer::dropbear() else {
        return;
    };
    let user = peer.account().name().to_owned();
    let mut cli = Cli::new();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        enrol_key(&cli, &peer, kind, kind);
        ended(&uptime(&cli, kind), 0, "");
    }
    let log = peer.log();
    assert!(
        log.contains("with ssh-rsa key") || log.contains("rsa"),
        "{log}"
    );
    refused(&uptime(&cli, "ed25519"), "AUTH_FAILED", &["by publickey"]);

    let password = unique("pw-");
    peer.account().set_password(&password);
    for (id, typed) in [("password", password), ("wrong", unique("pw-"))] {
        enrol(
            &cli,
            &peer,
            id,
            &["--password-stdin"],
            &format!("{typed}\n"),
        );
    }
    refused(&uptime(&cli, "wrong"), "AUTH_FAILED", &["by password"]);
    commands_work(&cli, "password", &user);
    files_work(&cli, &peer, "password", true);
    links_are_seen_through(&cli, &peer, "password");
    a_changed_key_is_refused(&cli, &peer, "password");

    let agent = SshAgent::start(cli.dir());
    agent.add(&peer.authorized_key("ed25519"));
    cli.set_env("SSH_AUTH_SOCK", &text(agent.socket()));
    enrol(&cli, &peer, "agent", &["--agent"], "");
    ended(&uptime(&cli, "agent"), 0, "");

    // It forwards as well: a server behind it.
    let inner = Sshd::start(&SshdOptions::default());
    cli.enrol_as(&inner, "behind", inner.user(), &["--jump", "password"]);
    ended(&uptime(&cli, "behind"), 0, "");
}

#[test]
fn tinyssh() {
    let Some(peer) = Peer::tinyssh() else {
        return;
    };
    let user = peer.account().name().to_owned();
    let cli = Cli::new();
    enrol_key(&cli, &peer, "rsa", "rsa");
    let no = uptime(&cli, "rsa");
    refused(&no, "AUTH_FAILED", &["refused"]);
    enrol_key(&cli, &peer, "tiny", "ed25519");
    commands_work(&cli, "tiny", &user);
    files_work(&cli, &peer, "tiny", true);
    links_are_seen_through(&cli, &peer, "tiny");
    a_changed_key_is_refused(&cli, &peer, "tiny");
    // It does not forward, and says so.
    let inner = Sshd::start(&SshdOptions::default());
    cli.enrol_as(&inner, "behind", inner.user(), &["--jump", "tiny"]);
    let behind = uptime(&cli, "behind");
    assert_eq!(behind.status, 1, "{behind:?}");
    assert_eq!(inner.connections_seen(), 0);
}

#[test]
fn proftpd_serves_files_and_no_commands() {
    let Some(peer) = Peer::proftpd(&[]) else {
        return;
    };
    let cli = Cli::new();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        enrol_key(&cli, &peer, kind, kind);
        let stat = json!({"server": kind, "path": "/"});
        ended(&cli.call("remote_stat", &stat, &[]), 0, "");
    }
    let password = unique("pw-");
    peer.account().set_password(&password);
    enrol(
        &cli,
        &peer,
        "files",
        &["--password-stdin"],
        &format!("{password}\n"),
    );
    refused(
        &uptime(&cli, "files"),
        "REMOTE_FAILURE",
        &["it runs no commands", "files can still be read"],
    );
    files_work(&cli, &peer, "files", true);
    links_are_seen_through(&cli, &peer, "files");
    a_changed_key_is_refused(&cli, &peer, "files");
}

#[test]
fn proftpd_without_a_rename_over_files() {
    let Some(peer) = Peer::proftpd(&["SFTPExtensions -posixRename -fsync"]) else {
        return;
    };
    let cli = Cli::new();
    enrol_key(&cli, &peer, "plain", "ed25519");
    files_work(&cli, &peer, "plain", false);
    let path = peer.account().home().join("web.conf");
    let inode = fs::metadata(&path).expect("just written").ino();
    says_not_atomic(&cli, &text(&path), "plain");
    assert_eq!(fs::metadata(&path).expect("still there").ino(), inode);
    // What its account may not write stays as it is.
    let foreign = peer.account().home().join("foreign");
    fs::write(&foreign, "old\n").expect("the home is the fixture's");
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o644)).expect("just made");
    let arguments = json!({"server": "plain", "path": text(&foreign), "content": "new\n"});
    let denied = cli.call("remote_write_file", &arguments, &["--yes"]);
    ended(&denied, 1, "PERMISSION_DENIED");
    assert_eq!(fs::read_to_string(&foreign).expect("still there"), "old\n");
}
