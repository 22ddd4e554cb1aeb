//! Logging in to a real sshd by each registered way.
//!
//! They prove that a way works or says why it does not, and that no other is tried.
//! The register and the command line are not involved.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use openshell_host::ssh::{Auth, Pool, PoolConfig, SshError, Target};
use openshell_tests::{SshAgent, Sshd, SshdOptions, ssh_keygen};
use secrecy::SecretString;

use crate::ssh_support::{Account, argv, connect, run, start, target, text, unique};

async fn refusal(target: &Target) -> SshError {
    match Pool::new(PoolConfig::default()).connection(target).await {
        Ok(connection) => panic!("let in: {connection:?}"),
        Err(error) => error,
    }
}

fn with_key(server: &Sshd, path: PathBuf, passphrase: Option<&str>) -> Target {
    let mut target = target(server);
    target.auth = Auth::IdentityFile {
        path,
        passphrase: passphrase.map(|phrase| SecretString::from(phrase.to_owned())),
    };
    target
}

/// A key that may log in.
fn new_key(server: &Sshd, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let path = server.dir().join(name);
    ssh_keygen(&path, kind, passphrase);
    server.authorize(&fs::read_to_string(path.with_extension("pub")).expect("just made"));
    path
}

#[tokio::test]
async fn key_files_of_every_kind() {
    let server = start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let path = new_key(&server, kind, kind, "");
        let connection = connect(&with_key(&server, path, None)).await;
        assert_eq!(
            text(&run(&connection, argv(&["echo", kind])).await),
            format!("{kind}\n")
        );
        let phrase = unique();
        let path = new_key(&server, &format!("{kind}-encrypted"), kind, &phrase);
        connect(&with_key(&server, path.clone(), Some(&phrase))).await;
        let error = refusal(&with_key(&server, path.clone(), None)).await;
        assert!(
            matches!(
                error,
                SshError::KeyEncrypted {
                    passphrase_given: false,
                    ..
                }
            ),
            "{kind}: {error:?}"
        );
        let error = refusal(&with_key(&server, path, Some("wrong"))).await;
        assert!(
            matches!(
                error,
                SshError::KeyEncrypted {
                    passphrase_given: true,
                    ..
                }
            ),
            "{kind}: {error:?}"
        );
    }
}

/// A server takes one of the two hashes of RFC 8332, and never SHA-1.
#[tokio::test]
async fn an_rsa_key_signs_with_the_hash_that_the_server_takes() {
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let server = Sshd::start(&SshdOptions {
            extra_config: vec![format!("PubkeyAcceptedAlgorithms {algorithm}")],
            ..SshdOptions::default()
        });
        let path = new_key(&server, "rsa-key", "rsa", "");
        connect(&with_key(&server, path.clone(), None)).await;
        // Through an agent the hash is a flag of the request.
        let agent = SshAgent::start(server.dir());
        agent.add(&path);
        let mut target = target(&server);
        target.auth = Auth::Agent {
            socket: Some(agent.socket().to_owned()),
        };
        connect(&target).await;
    }
    let server = Sshd::start(&SshdOptions {
        extra_config: vec!["PubkeyAcceptedAlgorithms ssh-rsa".to_owned()],
        ..SshdOptions::default()
    });
    let path = new_key(&server, "rsa-key", "rsa", "");
    let error = refusal(&with_key(&server, path, None)).await;
    assert!(matches!(error, SshError::AuthFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn keys_that_cannot_be_used_say_why() {
    let server = start();
    let missing = server.dir().join("no-such-key");
    let error = refusal(&with_key(&server, missing.clone(), None)).await;
    assert!(
        matches!(&error, SshError::KeyUnreadable { path, .. } if *path == missing),
        "{error:?}"
    );
    let rubbish = server.dir().join("rubbish");
    fs::write(&rubbish, "not a key").expect("own directory");
    fs::set_permissions(&rubbish, fs::Permissions::from_mode(0o600)).expect("own file");
    let error = refusal(&with_key(&server, rubbish, None)).await;
    assert!(matches!(error, SshError::KeyUnreadable { .. }), "{error:?}");
    let open = new_key(&server, "open", "ed25519", "");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("own file");
    let error = refusal(&with_key(&server, open, None)).await;
    assert!(
        matches!(&error, SshError::KeyUnreadable { reason, .. } if reason.contains("0644")),
        "{error:?}"
    );
    let stranger = server.dir().join("stranger");
    ssh_keygen(&stranger, "ed25519", "");
    let error = refusal(&with_key(&server, stranger, None)).await;
    assert!(
        matches!(&error, SshError::AuthFailed { methods, .. } if methods == &["publickey"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn user_certificates_beside_the_key_are_used() {
    let server = start();
    for kind in ["ed25519", "rsa"] {
        let ca = server.dir().join(format!("user_ca_{kind}"));
        ssh_keygen(&ca, kind, "");
        let public = fs::read_to_string(ca.with_extension("pub")).expect("just made");
        server.authorize(&format!("cert-authority {public}"));
        let key = server.dir().join(format!("certified_{kind}"));
        ssh_keygen(&key, kind, "");
        let output = Command::new("ssh-keygen")
            .arg("-q")
            .arg("-s")
            .arg(&ca)
            .args(["-I", "me", "-n", server.user()])
            .arg(key.with_extension("pub"))
            .output()
            .expect("ssh-keygen runs");
        assert!(output.status.success());
        // The key alone may not log in.
        connect(&with_key(&server, key, None)).await;
    }
}

#[tokio::test]
async fn an_agent_signs_with_whichever_key_is_right() {
    let server = start();
    let mut target = target(&server);
    let socket = server.dir().join("agent");
    target.auth = Auth::Agent {
        socket: Some(socket),
    };
    let error = refusal(&target).await;
    assert!(
        matches!(error, SshError::AgentAbsent { .. }),
        "no socket: {error:?}"
    );
    let agent = SshAgent::start(server.dir());
    let error = refusal(&target).await;
    assert!(
        matches!(error, SshError::AgentAbsent { .. }),
        "no key: {error:?}"
    );
    for name in ["stranger-1", "stranger-2"] {
        let path = server.dir().join(name);
        ssh_keygen(&path, "ed25519", "");
        agent.add(&path);
    }
    let error = refusal(&target).await;
    assert!(
        matches!(error, SshError::AuthFailed { .. }),
        "wrong keys: {error:?}"
    );
    agent.add(&new_key(&server, "right", "rsa", ""));
    connect(&target).await;
}

/// With each hash of each key the server would have cut it off before the last one
/// (`MaxAuthTries` is 6 by default).
#[tokio::test]
async fn the_last_of_an_agents_rsa_keys_is_still_tried() {
    let server = start();
    let agent = SshAgent::start(server.dir());
    for name in ["stranger-1", "stranger-2", "stranger-3"] {
        let path = server.dir().join(name);
        ssh_keygen(&path, "rsa", "");
        agent.add(&path);
    }
    agent.add(&new_key(&server, "right", "rsa", ""));
    let mut target = target(&server);
    target.auth = Auth::Agent {
        socket: Some(agent.socket().to_owned()),
    };
    connect(&target).await;
}

#[tokio::test]
async fn passwords_by_either_method() {
    for keyboard_interactive in [false, true] {
        let server = Sshd::start(&SshdOptions {
            password_auth: !keyboard_interactive,
            keyboard_interactive,
            ..SshdOptions::default()
        });
        let home = server.dir().join("pw-home");
        let label = if keyboard_interactive { "kbd" } else { "pw" };
        let Some(account) = Account::create(label, "/bin/sh", &home) else {
            return;
        };
        let password = account.password();
        let mut target = target(&server);
        target.user.clone_from(&account.name);
        target.auth = Auth::Password(SecretString::from(password.clone()));
        let connection = connect(&target).await;
        assert_eq!(
            text(&run(&connection, argv(&["id", "-un"])).await).trim(),
            account.name
        );
        connection.close().await;
        target.auth = Auth::Password(SecretString::from("wrong".to_owned()));
        let error = refusal(&target).await;
        assert!(
            matches!(error, SshError::AuthFailed { .. }),
            "{label}: {error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("wrong"));
    }
}

#[tokio::test]
async fn only_the_registered_way_is_tried() {
    let server = Sshd::start(&SshdOptions {
        password_auth: true,
        ..SshdOptions::default()
    });
    let mut target = target(&server);
    target.auth = Auth::Password(SecretString::from("not the password".to_owned()));
    refusal(&target).await;
    assert!(!server.log().contains("publickey for"), "{}", server.log());
}
