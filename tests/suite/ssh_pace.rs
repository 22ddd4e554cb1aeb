//! Many logins: who is turned away comes again, and what is not needed is not opened.
//!
//! They prove that no login is lost to there being many, and count the sessions the
//! server opened. How long it takes is for the benchmarks.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use openshell_host::ssh::{Pool, PoolConfig, SshError};

use crate::ssh_support::{argv, connect, eventually, run, script, start, target, text};

/// A port of 127.0.0.1 that closes the first connections unheard, as sshd does
/// beyond `MaxStartups`, and passes the others on. Says how many came.
fn doorkeeper(turns_away: usize, to: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if count.fetch_add(1, Ordering::SeqCst) < turns_away {
                continue;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
                    continue;
                };
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    (port, came)
}

#[tokio::test]
async fn a_server_that_closes_unheard_is_called_on_again() {
    let server = start();
    let (port, came) = doorkeeper(2, server.port());
    let mut target = target(&server);
    // The key is known for the server's own port.
    let known = std::fs::read_to_string(server.known_hosts_path()).expect("the fixture's file");
    let known = known.replace(&server.port().to_string(), &port.to_string());
    let file = server.dir().join("known-behind-the-door");
    std::fs::write(&file, known).expect("the fixture's folder");
    target.known_hosts = vec![file];
    target.port = port;
    let connection = connect(&target).await;
    assert_eq!(came.load(Ordering::SeqCst), 3);
    assert_eq!(text(&run(&connection, argv(&["echo", "in"])).await), "in\n");
    assert_eq!(server.connections_seen(), 1, "it heard of one only");
}

#[tokio::test]
async fn one_that_always_does_is_an_error_after_a_few() {
    let server = start();
    let (port, came) = doorkeeper(usize::MAX, server.port());
    let mut target = target(&server);
    target.port = port;
    let refused = Pool::new(PoolConfig::default()).connection(&target).await;
    assert!(
        matches!(refused, Err(SshError::ConnectFailed { .. })),
        "{refused:?}"
    );
    let came = came.load(Ordering::SeqCst);
    assert!((2..10).contains(&came), "{came}");
}

#[tokio::test]
async fn nothing_is_opened_ahead_for_a_connection_used_once() {
    let server = start();
    let connection = connect(&target(&server)).await;
    let sessions = || server.log().matches("Starting session").count();
    // Long enough for what is opened beside a running command.
    connection.expect(true);
    run(&connection, script("sleep 0.5")).await;
    assert_eq!(sessions(), 1, "{}", server.log());
    connection.expect(true);
    run(&connection, script("sleep 0.5")).await;
    eventually("one is opened ahead", || sessions() >= 3).await;
}
