//! Logging in by each registered way, and the register that holds the logins.
//!
//! They prove that exactly the registered way is taken and that a register that was
//! touched reaches no server. Kinds of keys are tried in `identity_matrix`.

use std::fs;

use openshell_tests::{Account, Cli, SshAgent, Sshd, SshdOptions, ssh_keygen};
use serde_json::json;

use crate::cli_support::{Rig, add, add_as, ended, ids, is_root, put, text, unique, uptime};

#[test]
fn a_password_logs_in_and_is_never_an_argument() {
    if !is_root("an account with a password") {
        return;
    }
    let server = Sshd::start(&SshdOptions {
        password_auth: true,
        ..SshdOptions::default()
    });
    let home = server.dir().join("account");
    fs::create_dir(&home).expect("the fixture's directory");
    let Some(account) = Account::create("/bin/sh", &home) else {
        return;
    };
    let password = unique("pw-");
    account.set_password(&password);
    let cli = Cli::new();
    let key = server.host_key_line();
    let flags = ["--password-stdin", "--host-key", key.as_str()];
    let added = add_as(
        &cli,
        &server,
        "good",
        account.name(),
        &flags,
        &format!("{password}\n"),
    );
    assert_eq!(added.status, 0, "{added:?}");
    let added = add_as(&cli, &server, "bad", account.name(), &flags, "wrong\n");
    assert_eq!(added.status, 0, "{added:?}");
    let ran = cli.call(
        "remote_exec",
        &json!({"server": "good", "command": "id -un"}),
        &[],
    );
    ended(&ran, 0, "");
    assert_eq!(
        ran.json()["data"]["stdout"],
        format!("{}\n", account.name()),
        "{ran:?}"
    );
    ended(&uptime(&cli, "bad"), 1, "AUTH_FAILED");
    let empty = add_as(&cli, &server, "none", account.name(), &flags, "");
    assert_eq!(empty.status, 2, "{empty:?}");
    // Without a way to vouch for the host key, stdin cannot be a person's too.
    let both = add_as(
        &cli,
        &server,
        "none",
        account.name(),
        &["--password-stdin"],
        "x\nyes\n",
    );
    assert_eq!(both.status, 3, "{both:?}");
    let two = ["--password-stdin", "--agent", "--host-key", key.as_str()];
    assert_eq!(
        add_as(&cli, &server, "none", account.name(), &two, "x\n").status,
        2
    );
    assert_eq!(ids(&cli), ["bad", "good"]);
    let listed = cli.run(["server", "list", "--json"]);
    assert_eq!(listed.json()[0]["auth"], "password", "{listed:?}");
}

#[test]
fn an_encrypted_identity_needs_its_passphrase() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let passphrase = unique("phrase-");
    let identity = server.dir().join("sealed");
    ssh_keygen(&identity, "ed25519", &passphrase);
    let public = fs::read_to_string(identity.with_extension("pub")).expect("just made");
    server.authorize(&public);
    let identity = text(&identity);
    let key = server.host_key_line();
    let with = [
        "--identity",
        &identity,
        "--passphrase-stdin",
        "--host-key",
        &key,
    ];
    let without = ["--identity", identity.as_str(), "--host-key", key.as_str()];
    for (id, flags, stdin, works) in [
        ("right", &with[..], format!("{passphrase}\n"), true),
        ("wrong", &with[..], "wrong\n".to_owned(), false),
        ("none", &without[..], String::new(), false),
    ] {
        let added = add(&cli, &server, id, flags, &stdin);
        assert_eq!(added.status, 0, "{id}: {added:?}");
        let ran = uptime(&cli, id);
        let (status, code) = if works { (0, "") } else { (1, "AUTH_FAILED") };
        ended(&ran, status, code);
    }
    let absent = ["--identity", "/absent/key", "--host-key", key.as_str()];
    assert_eq!(add(&cli, &server, "absent", &absent, "").status, 1);
    let none = add(&cli, &server, "none2", &["--host-key", &key], "");
    assert_eq!(none.status, 2, "a way to log in is missing: {none:?}");
}

#[test]
fn an_agent_is_the_one_that_was_registered() {
    let server = Sshd::start(&SshdOptions::default());
    let mut cli = Cli::new();
    let key = server.host_key_line();
    let agent = SshAgent::start(cli.dir());
    cli.set_env("SSH_AUTH_SOCK", &text(agent.socket()));
    let flags = ["--agent", "--host-key", key.as_str()];
    let added = add(&cli, &server, "a", &flags, "");
    assert_eq!(added.status, 0, "{added:?}");
    ended(&uptime(&cli, "a"), 1, "AUTH_FAILED");
    agent.add(&server.client_key_path());
    ended(&uptime(&cli, "a"), 0, "");
    // Another agent in the environment later on is not asked.
    cli.set_env("SSH_AUTH_SOCK", &text(&cli.dir().join("elsewhere")));
    ended(&uptime(&cli, "a"), 0, "");
    drop(agent);
    ended(&uptime(&cli, "a"), 1, "AUTH_FAILED");
}

#[test]
fn without_the_right_master_key_nothing_is_unlocked() {
    let rig = Rig::start();
    let key = fs::read(rig.cli.key_file()).expect("just made");
    fs::remove_file(rig.cli.key_file()).expect("own file");
    ended(&uptime(&rig.cli, "a"), 1, "REGISTRY_LOCKED");
    let other = Cli::new();
    fs::copy(other.key_file(), rig.cli.key_file()).expect("own file");
    ended(&uptime(&rig.cli, "a"), 1, "REGISTRY_LOCKED");
    assert_eq!(rig.server.connections_seen(), 0);
    put(&rig.cli.key_file(), &key, 0o644);
    let open = uptime(&rig.cli, "a");
    assert_eq!(
        open.status, 1,
        "a key file others can read is none: {open:?}"
    );
    put(&rig.cli.key_file(), &key, 0o600);
    ended(&uptime(&rig.cli, "a"), 0, "");
    // A second key in the same place would lose the first.
    let again = rig
        .cli
        .run(["key", "init", "--file", &text(&rig.cli.key_file())]);
    assert_eq!(again.status, 1, "{again:?}");
    assert_eq!(fs::read(rig.cli.key_file()).expect("own file"), key);
}

#[test]
fn a_tampered_registry_reaches_no_server() {
    let rig = Rig::start();
    let trap = Sshd::start(&SshdOptions::default());
    let registry = rig.cli.config_dir().join("registry.json");
    let whole = fs::read_to_string(&registry).expect("just made");
    let (old, new) = (rig.server.port().to_string(), trap.port().to_string());
    let moved = whole.replace(&old, &new);
    assert_ne!(moved, whole);
    fs::write(&registry, moved).expect("own file");
    let hosts = rig.cli.config_dir().join("known_hosts");
    let line = format!("[127.0.0.1]:{} {}\n", trap.port(), trap.host_key_line());
    fs::write(hosts, line).expect("own file");
    ended(&uptime(&rig.cli, "a"), 1, "REGISTRY_RECORD_INVALID");
    assert_eq!(trap.connections_seen(), 0);
    assert_eq!(rig.server.connections_seen(), 0);
}
