//! Sharing, losing and dialling connections again.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use openshell_host::ssh::{Auth, Pool, PoolConfig, SshError};
use openshell_tests::{Sshd, SshdOptions};

use crate::ssh_support::{argv, eventually, run, start, target, text};

#[tokio::test]
async fn callers_share_one_dial() {
    let server = start();
    let pool = Pool::new(PoolConfig::default());
    let target = target(&server);
    let connections =
        futures::future::join_all((0..16).map(|_| async { pool.connection(&target).await })).await;
    let first = connections[0].as_ref().expect("it connects");
    for connection in &connections {
        assert!(Arc::ptr_eq(
            first,
            connection.as_ref().expect("it connects")
        ));
    }
    assert_eq!(server.connections_seen(), 1);
    // The same server under another name is the same connection.
    let mut renamed = target.clone();
    renamed.id = "another-name".to_owned();
    let again = pool.connection(&renamed).await.expect("it connects");
    assert!(Arc::ptr_eq(first, &again));
    // Another credential is not.
    let mut other = target.clone();
    other.auth = Auth::Agent {
        socket: Some("/no/such/agent".into()),
    };
    assert!(pool.connection(&other).await.is_err());
    assert_eq!(server.connections_seen(), 2);
}

#[tokio::test]
async fn a_caller_who_gives_up_takes_nothing_from_the_others() {
    let server = start();
    let pool = Pool::new(PoolConfig::default());
    let target = target(&server);
    let impatient = tokio::time::timeout(Duration::from_millis(1), pool.connection(&target)).await;
    drop(impatient);
    pool.connection(&target).await.expect("it connects");
    assert_eq!(server.connections_seen(), 1);
}

#[tokio::test]
async fn a_lost_connection_is_dialled_again_before_the_next_use() {
    let server = start();
    let pool = Pool::new(PoolConfig::default());
    let target = target(&server);
    let first = pool.connection(&target).await.expect("it connects");
    let sftp = first.sftp().await.expect("SFTP is there");
    server.drop_connections();
    eventually("the loss is noticed", || first.is_closed()).await;
    let error = sftp.realpath("/").await;
    assert!(error.is_err(), "{error:?}");
    let second = pool.connection(&target).await.expect("it connects again");
    assert_eq!(
        text(&run(&second, argv(&["echo", "again"])).await),
        "again\n"
    );
    assert_eq!(server.connections_seen(), 2);
}

#[tokio::test]
async fn a_dead_server_is_an_error_and_does_not_block_others() {
    let mut server = start();
    let pool = Pool::new(PoolConfig::default());
    let gone = target(&server);
    pool.connection(&gone).await.expect("it connects");
    server.stop();
    // Somebody who accepts and never speaks.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let mut mute = gone.clone();
    mute.port = silent.local_addr().expect("it is bound").port();
    mute.connect_timeout = Duration::from_secs(2);
    let alive = start();
    let good = target(&alive);
    let (mute, good) = tokio::join!(pool.connection(&mute), pool.connection(&good));
    assert!(good.is_ok());
    assert!(
        matches!(mute, Err(SshError::ConnectTimeout { .. })),
        "{mute:?}"
    );
    let mut error = pool.connection(&gone).await;
    if error.is_ok() {
        // The loss may not have been noticed yet; the connection says so itself.
        let lost = error.expect("just checked");
        eventually("the loss is noticed", || lost.is_closed()).await;
        error = pool.connection(&gone).await;
    }
    assert!(
        matches!(error, Err(SshError::ConnectFailed { .. })),
        "{error:?}"
    );
    // The same address comes back to life.
    let revived = Sshd::start(&SshdOptions {
        port: Some(gone.port),
        ..SshdOptions::default()
    });
    let mut back = target(&revived);
    back.port = gone.port;
    pool.connection(&back).await.expect("it connects again");
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = start();
    let pool = Pool::new(PoolConfig {
        idle: Duration::from_millis(200),
        ..PoolConfig::default()
    });
    let target = target(&server);
    let held = pool.connection(&target).await.expect("it connects");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!held.is_closed(), "somebody holds it");
    drop(held);
    eventually("it is closed", || {
        server.log().contains("Received disconnect")
    })
    .await;
    pool.connection(&target).await.expect("it connects again");
    assert_eq!(server.connections_seen(), 2);
    pool.close().await;
    assert!(pool.connection(&target).await.is_err());
}
