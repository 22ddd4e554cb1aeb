//! Every registered way to log in to a real sshd, through the whole product.
//!
//! They prove each way by a command that runs and each refusal by its code. Servers
//! other than OpenSSH are not tried here.

use std::fs;

use openshell_tests::{Account, Cli, SshAgent, Sshd, SshdOptions, Terminal, ssh_keygen};
use serde_json::json;

use crate::cli_support::{add, add_as, ended, is_root, text, unique, uptime};
use crate::identity_support::{add_identity, certify, key, public, refused, works};

#[test]
fn keys_of_every_kind_and_form() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let table: [(&str, &[&str], &str); 8] = [
        ("ed25519", &["ed25519"], "ED25519"),
        ("ecdsa-256", &["ecdsa", "-b", "256"], "ECDSA"),
        ("ecdsa-384", &["ecdsa", "-b", "384"], "ECDSA"),
        ("ecdsa-521", &["ecdsa", "-b", "521"], "ECDSA"),
        ("rsa", &["rsa", "-b", "2048"], "RSA"),
        ("rsa-pem", &["rsa", "-b", "2048", "-m", "PEM"], "RSA"),
        ("rsa-pkcs8", &["rsa", "-b", "2048", "-m", "PKCS8"], "RSA"),
        (
            "ecdsa-pkcs8",
            &["ecdsa", "-b", "256", "-m", "PKCS8"],
            "ECDSA",
        ),
    ];
    for (id, kind, logged) in table {
        let identity = key(server.dir(), id, kind);
        server.authorize(&public(&identity));
        add_identity(&cli, &server, id, &identity, &[]);
        let before = server.log().matches(logged).count();
        works(&cli, id);
        let log = server.log();
        assert!(log.matches(logged).count() > before, "{id}: {log}");
    }
    assert!(
        !server.log().contains("Failed "),
        "only the registered key is offered: {}",
        server.log()
    );
}

#[test]
fn rsa_keys_never_sign_with_sha_1() {
    let server = Sshd::start(&SshdOptions {
        extra_config: vec!["PubkeyAcceptedAlgorithms ssh-rsa".to_owned()],
        ..SshdOptions::default()
    });
    let cli = Cli::new();
    let identity = key(server.dir(), "rsa", &["rsa", "-b", "2048"]);
    server.authorize(&public(&identity));
    add_identity(&cli, &server, "a", &identity, &[]);
    refused(&uptime(&cli, "a"), "AUTH_FAILED", &["publickey"]);
}

#[test]
fn passwords_by_either_method() {
    if !is_root("an account with a password") {
        return;
    }
    for keyboard_interactive in [false, true] {
        let server = Sshd::start(&SshdOptions {
            password_auth: !keyboard_interactive,
            keyboard_interactive,
            extra_config: vec!["PubkeyAuthentication no".to_owned()],
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
        for (id, typed) in [("right", password.clone()), ("wrong", unique("pw-"))] {
            let typed = format!("{typed}\n");
            let added = add_as(&cli, &server, id, account.name(), &flags, &typed);
            assert_eq!(added.status, 0, "{added:?}");
        }
        works(&cli, "right");
        let method = if keyboard_interactive {
            "keyboard-interactive"
        } else {
            "password"
        };
        assert!(
            server.log().contains(&format!("Accepted {method}")),
            "{}",
            server.log()
        );
        refused(
            &uptime(&cli, "wrong"),
            "AUTH_FAILED",
            &["was refused by", method],
        );
    }
}

#[test]
fn encrypted_keys_with_the_passphrase_sealed_or_typed() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let phrase = unique("phrase-");
        let identity = server.dir().join(format!("encrypted-{kind}"));
        ssh_keygen(&identity, kind, &phrase);
        server.authorize(&public(&identity));
        let (identity, host_key) = (text(&identity), server.host_key_line());
        let flags = [
            "--identity",
            &identity,
            "--passphrase-stdin",
            "--host-key",
            &host_key,
        ];
        let added = add(&cli, &server, kind, &flags, &format!("{phrase}\n"));
        assert_eq!(added.status, 0, "{added:?}");
        works(&cli, kind);
        let wrong = format!("{kind}-wrong");
        let added = add(&cli, &server, &wrong, &flags, &format!("{}\n", unique("x")));
        assert_eq!(added.status, 0, "{added:?}");
        refused(
            &uptime(&cli, &wrong),
            "AUTH_FAILED",
            &["encrypted", "the passphrase is wrong"],
        );
        let bare = format!("{kind}-bare");
        add_identity(&cli, &server, &bare, identity.as_ref(), &[]);
        refused(
            &uptime(&cli, &bare),
            "AUTH_FAILED",
            &["encrypted", "no passphrase is registered"],
        );
    }
    // A person is asked for it where the key needs one, and it is not echoed.
    let phrase = unique("typed-");
    let identity = server.dir().join("typed");
    ssh_keygen(&identity, "ed25519", &phrase);
    server.authorize(&public(&identity));
    let (port, host_key) = (server.port().to_string(), server.host_key_line());
    let words = [
        "server",
        "add",
        "typed",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        server.user(),
        "--host-key",
        &host_key,
    ];
    let Some(mut terminal) = Terminal::start(&cli, &words) else {
        return;
    };
    terminal.wait_for("Type 1, 2 or 3:");
    terminal.type_line("1");
    terminal.wait_for("Private key file");
    terminal.type_line(&text(&identity));
    terminal.wait_for("Passphrase of the key:");
    terminal.type_line(&phrase);
    terminal.wait_for("Type yes or no:");
    terminal.type_line("yes");
    let added = terminal.finish();
    assert_eq!(added.status, 0, "{added:?}");
    assert!(!added.stderr.contains(&phrase), "it is echoed: {added:?}");
    works(&cli, "typed");
}

/// Wrong keys a server has been offered.
fn wrong_keys(server: &Sshd) -> usize {
    server.log().matches("Failed publickey").count()
}

#[test]
fn a_full_agent_never_shows_a_server_five_wrong_keys() {
    let server = Sshd::start(&SshdOptions::default());
    let mut cli = Cli::new();
    let agent = SshAgent::start(cli.dir());
    cli.set_env("SSH_AUTH_SOCK", &text(agent.socket()));
    for number in 0..6 {
        agent.add(&key(cli.dir(), &format!("wrong-{number}"), &["ed25519"]));
    }
    let right = server.client_key_path();
    agent.add(&right);
    let host_key = server.host_key_line();
    let flags = ["--agent", "--host-key", host_key.as_str()];
    assert_eq!(add(&cli, &server, "any", &flags, "").status, 0);
    refused(
        &uptime(&cli, "any"),
        "AUTH_FAILED",
        &["4 of the 7 keys", "--identity KEY.pub"],
    );
    let seen = wrong_keys(&server);
    assert!((1..5).contains(&seen), "{seen}: {}", server.log());

    // The public half of a key means that key of the agent and no other.
    let public_half = right.with_extension("pub");
    add_identity(&cli, &server, "one", &public_half, &[]);
    works(&cli, "one");
    assert_eq!(wrong_keys(&server), seen, "{}", server.log());
    let absent = key(cli.dir(), "absent", &["ed25519"]);
    add_identity(&cli, &server, "absent", &absent.with_extension("pub"), &[]);
    refused(
        &uptime(&cli, "absent"),
        "AUTH_FAILED",
        &["does not hold the key SHA256:"],
    );
    assert_eq!(wrong_keys(&server), seen, "{}", server.log());
    cli.unset_env("SSH_AUTH_SOCK");
    refused(
        &uptime(&cli, "one"),
        "AUTH_FAILED",
        &["SSH_AUTH_SOCK is not set"],
    );
}

#[test]
fn an_identity_agent_of_the_configuration_is_used() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let agent = SshAgent::start(cli.dir());
    agent.add(&server.client_key_path());
    let ssh = cli.home().join(".ssh");
    fs::create_dir(&ssh).expect("the home is ours");
    let config = format!(
        "Host web\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityAgent {}\n",
        server.port(),
        server.user(),
        text(agent.socket())
    );
    fs::write(ssh.join("config"), config).expect("the home is ours");
    let known = fs::read(server.known_hosts_path()).expect("just written");
    fs::write(ssh.join("known_hosts"), known).expect("the home is ours");
    let imported = cli.run(["server", "import", "web", "--yes"]);
    assert_eq!(imported.status, 0, "{imported:?}");
    works(&cli, "web");
    drop(agent);
    refused(&uptime(&cli, "web"), "AUTH_FAILED", &["ssh-agent"]);
}

/// A key of which the server takes certificates of an authority, and the key
/// alone only once it is authorized.
#[test]
fn certificates_let_in_or_say_why_not() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let user = server.user().to_owned();
    let authority = key(server.dir(), "authority", &["ed25519"]);
    server.authorize(&format!("cert-authority {}", public(&authority)));
    let stranger = key(server.dir(), "stranger", &["ed25519"]);
    let kinds: [(&str, &[&str]); 3] = [
        ("ed25519", &["ed25519"]),
        ("ecdsa", &["ecdsa", "-b", "384"]),
        ("rsa", &["rsa", "-b", "2048"]),
    ];
    for (kind, words) in kinds {
        let id = format!("good-{kind}");
        let identity = key(server.dir(), &id, words);
        certify(&authority, &identity, &["-n", &user, "-V", "-1h:+1h"]);
        add_identity(&cli, &server, &id, &identity, &[]);
        works(&cli, &id);
    }
    let table: [(&str, &[&str], &[&str]); 4] = [
        (
            "expired",
            &["-n", &user, "-V", "20200101:20200102"],
            &["has expired at 2020-01-0", "its key alone is not accepted"],
        ),
        (
            "early",
            &["-n", &user, "-V", "+52w:+53w"],
            &["it is not valid before "],
        ),
        (
            "other-name",
            &["-n", "somebody,else"],
            &["it names", "somebody, else", "not"],
        ),
        ("host", &["-h", "-n", &user], &["a host's certificate"]),
    ];
    for (id, words, says) in table {
        let identity = key(server.dir(), id, &["ed25519"]);
        certify(&authority, &identity, words);
        add_identity(&cli, &server, id, &identity, &[]);
        refused(&uptime(&cli, id), "AUTH_FAILED", says);
        refused(&uptime(&cli, id), "AUTH_FAILED", &["new certificate"]);
        // The key alone is tried all the same.
        server.authorize(&public(&identity));
        works(&cli, id);
    }
    // Signed by an authority the server does not know: nothing to be said but no.
    let identity = key(server.dir(), "unknown", &["ed25519"]);
    certify(&stranger, &identity, &["-n", &user]);
    add_identity(&cli, &server, "unknown", &identity, &[]);
    refused(&uptime(&cli, "unknown"), "AUTH_FAILED", &["by publickey"]);
    // Files that are no certificate for the key.
    let beside = |id: &str| server.dir().join(format!("{id}-cert.pub"));
    let identity = key(server.dir(), "foreign", &["ed25519"]);
    fs::copy(beside("expired"), beside("foreign")).expect("own directory");
    add_identity(&cli, &server, "foreign", &identity, &[]);
    refused(&uptime(&cli, "foreign"), "AUTH_FAILED", &["another key"]);
    let identity = key(server.dir(), "rubbish", &["ed25519"]);
    fs::write(beside("rubbish"), "rubbish\n").expect("own directory");
    add_identity(&cli, &server, "rubbish", &identity, &[]);
    refused(&uptime(&cli, "rubbish"), "AUTH_FAILED", &["cannot be read"]);
}

#[test]
fn certificates_of_an_agent() {
    let server = Sshd::start(&SshdOptions::default());
    let mut cli = Cli::new();
    let user = server.user().to_owned();
    let authority = key(server.dir(), "authority", &["ed25519"]);
    server.authorize(&format!("cert-authority {}", public(&authority)));
    let host_key = server.host_key_line();
    for (id, validity) in [("good", "-1h:+1h"), ("expired", "20200101:20200102")] {
        let agent_dir = cli.dir().join(id);
        fs::create_dir(&agent_dir).expect("own directory");
        let agent = SshAgent::start(&agent_dir);
        let identity = key(&agent_dir, "key", &["ed25519"]);
        certify(&authority, &identity, &["-n", &user, "-V", validity]);
        agent.add(&identity);
        cli.set_env("SSH_AUTH_SOCK", &text(agent.socket()));
        let flags = ["--agent", "--host-key", host_key.as_str()];
        assert_eq!(add(&cli, &server, id, &flags, "").status, 0);
        if id == "good" {
            works(&cli, id);
        } else {
            refused(&uptime(&cli, id), "AUTH_FAILED", &["has expired at 2020"]);
        }
    }
}

#[test]
fn every_hop_has_its_own_identity_and_host_key() {
    let hop = || Sshd::start(&SshdOptions::default());
    let (first, second, last) = (hop(), hop(), hop());
    let cli = Cli::new();
    cli.enrol(&first, "first");
    cli.enrol_as(&second, "second", second.user(), &["--jump", "first"]);
    cli.enrol_as(&last, "one-hop", last.user(), &["--jump", "first"]);
    cli.enrol_as(&last, "two-hops", last.user(), &["--jump", "second"]);
    works(&cli, "one-hop");
    assert_eq!(second.connections_seen(), 0);
    works(&cli, "two-hops");
    assert!(second.connections_seen() > 0);
    // Each server let in its own key and saw no other.
    for server in [&first, &second, &last] {
        assert!(!server.log().contains("Failed "), "{}", server.log());
    }

    // Another key on the way: nothing behind it is reached.
    let known_hosts = cli.config_dir().join("known_hosts");
    let good = fs::read_to_string(&known_hosts).expect("it is there");
    for (server, changed) in [(&first, "first"), (&second, "second")] {
        let other = public(&key(cli.dir(), changed, &["ed25519"]));
        let other: Vec<&str> = other.split(' ').take(2).collect();
        let forged = good.replace(&server.host_key_line(), &other.join(" "));
        assert_ne!(forged, good);
        fs::write(&known_hosts, forged).expect("own file");
        let before = last.connections_seen();
        refused(
            &uptime(&cli, "two-hops"),
            "HOST_KEY_CHANGED",
            &[&format!("ump host {changed}")],
        );
        assert_eq!(last.connections_seen(), before, "{changed}");
    }
    fs::write(&known_hosts, &good).expect("own file");
    works(&cli, "two-hops");

    // A hop that lets nobody in, and one that is gone.
    add_identity(
        &cli,
        &first,
        "first",
        &key(cli.dir(), "stranger", &["ed25519"]),
        &[],
    );
    refused(&uptime(&cli, "one-hop"), "AUTH_FAILED", &["ump host first"]);
    drop(first);
    let gone = cli.call(
        "remote_stat",
        &json!({"server": "one-hop", "path": "/"}),
        &[],
    );
    ended(&gone, 1, "CONNECT_FAILED");
}
