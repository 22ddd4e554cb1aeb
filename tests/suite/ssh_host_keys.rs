//! Host keys against a real sshd: what is accepted, and what never is.
//!
//! They prove that no key counts but one that is on file for that very host.
//! Enrolment has suites of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use openshell_host::ssh::known_hosts::{KnownHosts, Verdict, append};
use openshell_host::ssh::{HostKey, Pool, PoolConfig, SshError, Target, fetch_host_key};
use openshell_tests::{Sshd, SshdOptions, ssh_keygen};

use crate::ssh_support::{argv, connect, run, start, target, text};

async fn refusal(target: &Target) -> SshError {
    match Pool::new(PoolConfig::default()).connection(target).await {
        Ok(connection) => panic!("let in: {connection:?}"),
        Err(error) => error,
    }
}

fn host_key(server: &Sshd) -> HostKey {
    HostKey::parse(&server.host_key_line()).expect("ssh-keygen wrote it")
}

fn file(server: &Sshd, text: &str) -> Target {
    let path = server.dir().join("other_known_hosts");
    fs::write(&path, text).expect("own directory");
    let mut target = target(server);
    target.known_hosts = vec![path];
    target
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_named() {
    let server = start();
    let error = refusal(&file(&server, "")).await;
    assert!(
        matches!(&error, SshError::HostKeyUnknown { offered, .. } if *offered == host_key(&server)),
        "{error:?}"
    );
    let mut nowhere = target(&server);
    nowhere.known_hosts = vec![server.dir().join("no-such-file")];
    let error = refusal(&nowhere).await;
    assert!(
        matches!(error, SshError::HostKeyUnknown { .. }),
        "{error:?}"
    );
    assert!(
        !server.log().contains("Accepted"),
        "nothing was sent to log in"
    );
    // Enrolling the key that was shown is enough.
    let target = file(&server, "# mine\n");
    append(
        &target.known_hosts[0],
        "127.0.0.1",
        server.port(),
        &host_key(&server),
    )
    .expect("the file can be written");
    let connection = connect(&target).await;
    assert_eq!(*connection.host_key(), host_key(&server));
}

#[tokio::test]
async fn another_key_is_refused_whatever_its_type() {
    let server = Sshd::start(&SshdOptions {
        host_key_types: vec!["ed25519".to_owned(), "ecdsa".to_owned(), "rsa".to_owned()],
        ..SshdOptions::default()
    });
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let path = server.dir().join(format!("wrong_{kind}"));
        ssh_keygen(&path, kind, "");
        let wrong = fs::read_to_string(path.with_extension("pub")).expect("just made");
        let error = refusal(&file(
            &server,
            &format!("[127.0.0.1]:{} {wrong}", server.port()),
        ))
        .await;
        let SshError::HostKeyChanged {
            offered, line, old, ..
        } = &error
        else {
            panic!("{kind}: {error:?}");
        };
        assert_eq!(*line, 1);
        assert_eq!(
            offered.key_type(),
            old.key_type(),
            "the known type is asked for first"
        );
    }
    assert!(
        !server.log().contains("Accepted"),
        "nothing was sent to log in"
    );
    // A server that lost the type we know is not a new server.
    let only = start();
    let path = only.dir().join("known_rsa");
    ssh_keygen(&path, "rsa", "");
    let known = fs::read_to_string(path.with_extension("pub")).expect("just made");
    let error = refusal(&file(
        &only,
        &format!("[127.0.0.1]:{} {known}", only.port()),
    ))
    .await;
    assert!(
        matches!(error, SshError::HostKeyChanged { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn every_known_type_is_negotiated() {
    let server = Sshd::start(&SshdOptions {
        host_key_types: vec!["ed25519".to_owned(), "ecdsa".to_owned(), "rsa".to_owned()],
        ..SshdOptions::default()
    });
    for line in server.host_key_lines() {
        let target = file(&server, &format!("[127.0.0.1]:{} {line}\n", server.port()));
        let connection = connect(&target).await;
        assert_eq!(connection.host_key().to_string(), line);
    }
    let mut fetched: Vec<String> =
        fetch_host_key("127.0.0.1", server.port(), None, Duration::from_secs(30))
            .await
            .expect("it answers")
            .iter()
            .map(ToString::to_string)
            .collect();
    let mut expected = server.host_key_lines();
    fetched.sort();
    expected.sort();
    assert_eq!(fetched, expected);
}

#[tokio::test]
async fn revoked_keys_and_broken_revocations_are_refused() {
    let server = start();
    let key = server.host_key_line();
    let place = format!("[127.0.0.1]:{}", server.port());
    let error = refusal(&file(
        &server,
        &format!("{place} {key}\n@revoked * {key}\n"),
    ))
    .await;
    assert!(
        matches!(error, SshError::HostKeyRevoked { line: 2, .. }),
        "{error:?}"
    );
    let error = refusal(&file(&server, &format!("{place} {key}\n@revoked * x\n"))).await;
    assert!(
        matches!(error, SshError::KnownHostsUnreadable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_read() {
    let server = start();
    let target = file(
        &server,
        &format!("[127.0.0.1]:{} {}\n", server.port(), server.host_key_line()),
    );
    let path = &target.known_hosts[0];
    let status = Command::new("ssh-keygen")
        .arg("-H")
        .arg("-f")
        .arg(path)
        .output();
    assert!(status.expect("ssh-keygen runs").status.success());
    let hashed = fs::read_to_string(path).expect("own file");
    assert!(hashed.starts_with("|1|"), "{hashed}");
    connect(&target).await;
    let known = KnownHosts::load(std::slice::from_ref(path)).expect("it is readable");
    assert_eq!(
        known.check("127.0.0.2", server.port(), &host_key(&server)),
        Verdict::Unknown
    );
}

fn sign_host_key(ca: &Path, public: &Path, extra: &[&str]) {
    let output = Command::new("ssh-keygen")
        .arg("-q")
        .arg("-s")
        .arg(ca)
        .args(["-I", "test", "-h"])
        .args(extra)
        .arg(public)
        .output()
        .expect("ssh-keygen runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn host_certificates_count_by_their_authority() {
    let table: [(&str, &[&str], bool); 5] = [
        ("valid", &["-n", "127.0.0.1", "-V", "-1d:+1d"], true),
        ("wildcard", &["-n", "127.0.0.*"], true),
        ("other name", &["-n", "example.org"], false),
        ("expired", &["-n", "127.0.0.1", "-V", "-2d:-1d"], false),
        (
            "not yet valid",
            &["-n", "127.0.0.1", "-V", "+1d:+2d"],
            false,
        ),
    ];
    for ca_kind in ["ed25519", "rsa"] {
        let keys = tempfile::tempdir().expect("a directory");
        let ca = keys.path().join("ca");
        ssh_keygen(&ca, ca_kind, "");
        let authority = fs::read_to_string(ca.with_extension("pub")).expect("just made");
        for (name, extra, accepted) in table {
            let key = keys.path().join("host");
            let _ = fs::remove_file(&key);
            ssh_keygen(&key, "ed25519", "");
            sign_host_key(&ca, &key.with_extension("pub"), extra);
            let server = Sshd::start(&SshdOptions {
                extra_config: vec![
                    format!("HostKey {}", key.display()),
                    format!(
                        "HostCertificate {}",
                        keys.path().join("host-cert.pub").display()
                    ),
                ],
                host_key_types: vec![],
                ..SshdOptions::default()
            });
            let mut target = target_without_host_keys(&server);
            let path = server.dir().join("ca_known_hosts");
            fs::write(
                &path,
                format!("@cert-authority 127.0.0.*,[127.0.0.1]:* {authority}"),
            )
            .expect("own directory");
            target.known_hosts = vec![path.clone()];
            let result = Pool::new(PoolConfig::default()).connection(&target).await;
            assert_eq!(result.is_ok(), accepted, "{ca_kind} {name}: {result:?}");
            if let Err(error) = result {
                assert!(
                    matches!(error, SshError::HostCertificateInvalid { .. }),
                    "{name}: {error:?}"
                );
            }
            // Without the authority the certificate is just an unknown key.
            fs::write(&path, "").expect("own directory");
            let error = refusal(&target).await;
            assert!(
                matches!(error, SshError::HostKeyUnknown { .. }),
                "{name}: {error:?}"
            );
        }
    }
}

fn target_without_host_keys(server: &Sshd) -> Target {
    let path = server.dir().join("empty");
    fs::write(&path, "").expect("own directory");
    let mut target = target(server);
    target.known_hosts = vec![path];
    target
}

#[tokio::test]
async fn a_jump_host_is_checked_for_itself() {
    let inner = start();
    let outer = start();
    let mut target_inner = target(&inner);
    target_inner.jump = Some(Box::new(target(&outer)));
    let connection = connect(&target_inner).await;
    assert_eq!(*connection.host_key(), host_key(&inner));
    assert_eq!(
        text(&run(&connection, argv(&["echo", "through"])).await),
        "through\n"
    );
    assert_eq!(outer.connections_seen(), 1);
    // The inner key says nothing about the outer host, nor the other way round.
    let mut wrong_outer = target(&inner);
    wrong_outer.jump = Some(Box::new(file(&outer, "")));
    let error = refusal(&wrong_outer).await;
    assert!(
        matches!(&error, SshError::Jump { source, .. } if matches!(**source, SshError::HostKeyUnknown { .. })),
        "{error:?}"
    );
    let mut wrong_inner = file(&inner, "");
    wrong_inner.jump = Some(Box::new(target(&outer)));
    let error = refusal(&wrong_inner).await;
    assert!(
        matches!(error, SshError::HostKeyUnknown { .. }),
        "{error:?}"
    );
    let keys = fetch_host_key(
        "127.0.0.1",
        inner.port(),
        Some(&target(&outer)),
        Duration::from_secs(30),
    )
    .await
    .expect("it answers");
    assert_eq!(keys, [host_key(&inner)]);
}
