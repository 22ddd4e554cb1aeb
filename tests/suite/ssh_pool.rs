//! Sharing connections and their sessions, losing and dialling them again.
//!
//! They prove that a login is shared only by those with the same credential, and
//! that waiting is in order. How long dialling takes is not asserted.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use openshell_host::ssh::{Auth, Connection, End, Ended, ExecRequest, Pool, PoolConfig, SshError};
use openshell_tests::{Port, Sshd, SshdOptions};
use tokio_util::sync::CancellationToken;

use crate::ssh_support::{argv, connect, eventually, request, run, script, start, target, text};

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

/// Calls that come at once are served in the order of their coming, on a server
/// that allows so many sessions a login.
async fn sixteen_at_once(max_sessions: Option<u32>) -> (Sshd, Arc<Connection>) {
    let server = Sshd::start(&SshdOptions {
        max_sessions,
        ..SshdOptions::default()
    });
    let connection = connect(&target(&server)).await;
    // Files and commands share what there is.
    let sftp = connection.sftp().await.expect("SFTP is there");
    let order = server.dir().join("order");
    let calls = (0..16).map(|number| {
        let text = format!("echo {number} >> {}", order.display());
        let connection = &connection;
        async move { run(connection, script(&text)).await.end }
    });
    let ends = futures::future::join_all(calls).await;
    assert_eq!(ends, vec![End::Exit(0); 16], "{max_sessions:?}");
    let order = std::fs::read_to_string(order).expect("they ran");
    let order: Vec<usize> = order.lines().filter_map(|line| line.parse().ok()).collect();
    let expected: Vec<usize> = (0..16).collect();
    if max_sessions.is_some_and(|limit| limit <= 2) {
        // One command at a time: exactly in order.
        assert_eq!(order, expected, "{max_sessions:?}");
    } else {
        let mut order = order;
        order.sort_unstable();
        assert_eq!(order, expected, "{max_sessions:?}");
    }
    assert!(sftp.realpath("/").await.is_ok(), "{max_sessions:?}");
    (server, connection)
}

#[tokio::test]
async fn sixteen_calls_at_once_where_ten_sessions_are_allowed() {
    let (server, _connection) = sixteen_at_once(Some(10)).await;
    assert_eq!(server.connections_seen(), 1);
}

#[tokio::test]
async fn sixteen_calls_at_once_where_two_sessions_are_allowed() {
    let (server, _connection) = sixteen_at_once(Some(2)).await;
    assert_eq!(server.connections_seen(), 1);
}

#[tokio::test]
async fn sixteen_calls_at_once_where_one_session_is_allowed() {
    let (server, connection) = sixteen_at_once(Some(1)).await;
    assert_eq!(
        server.connections_seen(),
        2,
        "one for SFTP, one for commands"
    );
    // Ending a command does not wait behind those that came later.
    let short = ExecRequest {
        timeout: Duration::from_millis(300),
        ..request(argv(&["sleep", "1000"]))
    };
    let (ended, other) = tokio::join!(
        connection.exec(short, CancellationToken::new()),
        run(&connection, argv(&["echo", "next"])),
    );
    let ended = ended.expect("it started").end;
    assert_eq!(ended, End::TimedOut(Ended::GroupGone));
    assert_eq!(text(&other), "next\n");
}

#[tokio::test]
async fn who_gives_up_while_a_session_is_opened_takes_none_away() {
    let server = Sshd::start(&SshdOptions {
        max_sessions: Some(3),
        ..SshdOptions::default()
    });
    let connection = connect(&target(&server)).await;
    for _ in 0..12 {
        let exec = connection.exec(request(argv(&["true"])), CancellationToken::new());
        // As far as the first wait: the session is asked for.
        let mut exec = Box::pin(exec);
        assert!(futures::poll!(&mut exec).is_pending());
        tokio::task::yield_now().await;
    }
    let calls = (0..6).map(|_| run(&connection, argv(&["echo", "x"])));
    for outcome in futures::future::join_all(calls).await {
        assert_eq!(text(&outcome), "x\n");
    }
    assert_eq!(server.connections_seen(), 1);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_left_alone_for_a_while() {
    let nobody = Port::reserve();
    let server = start();
    let mut gone = target(&server);
    gone.port = nobody.number();
    let pool = Pool::new(PoolConfig::default());
    // On a busy machine the pause may be over before the next call is made, which then
    // fails once more and makes it longer.
    let mut dials = 0;
    let failures = loop {
        match pool.connection(&gone).await {
            Err(SshError::ConnectFailed { .. }) => dials += 1,
            Err(SshError::LeftAlone { failures, .. }) => break failures,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failures, dials);
    assert!(dials >= 3, "{dials}");
    // Others are not concerned, and after the pause it is tried again.
    pool.connection(&target(&server))
        .await
        .expect("it connects");
    let revived = Sshd::start(&SshdOptions {
        port: Some(gone.port),
        ..SshdOptions::default()
    });
    std::fs::write(&gone.known_hosts[0], {
        std::fs::read_to_string(revived.known_hosts_path()).expect("just written")
    })
    .expect("the fixture's own file");
    revived.authorize(&public_key(&server));
    let mut last = pool.connection(&gone).await;
    while matches!(last, Err(SshError::LeftAlone { .. })) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        last = pool.connection(&gone).await;
    }
    last.expect("it is tried again");
}

/// The public half of the key that may log in to a server.
fn public_key(server: &Sshd) -> String {
    let path = server.client_key_path().with_extension("pub");
    std::fs::read_to_string(path).expect("the fixture made it")
}
