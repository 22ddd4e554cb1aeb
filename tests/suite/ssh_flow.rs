//! What a transfer costs on the link: how much crosses. Counted by a proxy in
//! between, never timed.
//!
//! Invariant: nothing here depends on how long anything takes. Whether the content
//! arrives whole is `ssh_sftp`'s business, how often it waits for the other side that of
//! `ssh_requests`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use openshell_host::ssh::{Connection, Expect, Sftp, WriteKind, WritePlan, temporary_name};
use openshell_tests::Sshd;
use sha2::{Digest, Sha256};

use crate::ssh_support::{connect, start, target};

/// What crossed a link.
#[derive(Default)]
struct Counts {
    /// Bytes from the server.
    down: u64,
    /// Bytes from the client.
    up: u64,
}

/// A link to a server.
#[derive(Clone, Default)]
struct Link {
    counts: Arc<Mutex<Counts>>,
    /// Bytes it carries from the client in a second; 0 for no limit.
    rate: Arc<AtomicU64>,
}

impl Link {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from here on.
    fn reset(&self) {
        *self.counts() = Counts::default();
    }

    /// Starts it to a port of 127.0.0.1; returns its own.
    fn start(&self, to: u16) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let link = self.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", to)).expect("the fixture listens");
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("TCP can do that");
                }
                let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
                link.carry(copy(&client), copy(&server), true);
                link.carry(server, client, false);
            }
        });
        port
    }

    /// Carries one direction.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, up: bool) {
        let link = self.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                {
                    let mut counts = link.counts();
                    let count = if up { &mut counts.up } else { &mut counts.down };
                    *count += length as u64;
                }
                if let rate @ 1.. = link.rate.load(Ordering::Relaxed)
                    && up
                {
                    let time = length as f64 / rate as f64;
                    thread::sleep(Duration::from_secs_f64(time));
                }
                let piece = buffer.get(..length).unwrap_or_default();
                if to.write_all(piece).is_err() {
                    return;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

/// A connection over a link, with its SFTP session open.
async fn over(link: &Link, server: &Sshd) -> (Arc<Connection>, Arc<Sftp>) {
    patiently_over(link, server, Duration::from_secs(20)).await
}

/// The same, to a server that may say nothing for so long.
async fn patiently_over(
    link: &Link,
    server: &Sshd,
    silence: Duration,
) -> (Arc<Connection>, Arc<Sftp>) {
    let port = link.start(server.port());
    let known = fs::read_to_string(server.known_hosts_path()).expect("the fixture's file");
    let file = server.dir().join("known-over-the-link");
    let known = known.replace(&server.port().to_string(), &port.to_string());
    fs::write(&file, known).expect("the fixture's folder");
    let mut target = target(server);
    target.port = port;
    target.known_hosts = vec![file];
    target.silence = silence;
    let connection = connect(&target).await;
    let sftp = connection.sftp().await.expect("SFTP is there");
    (connection, sftp)
}

fn content(bytes: usize, salt: u8) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8 ^ salt).collect()
}

fn plan(path: &Path, content: &[u8], old: Option<&[u8]>) -> WritePlan {
    WritePlan {
        path: path.to_str().expect("an ASCII path").to_owned(),
        content: content.to_vec(),
        mode: 0o640,
        owner: None,
        found: None,
        expect: old.map_or(Expect::Absent, |old| {
            let hash = Sha256::digest(old);
            Expect::Sha256(hash.iter().map(|byte| format!("{byte:02x}")).collect())
        }),
        kind: WriteKind::Atomic,
        temporary: temporary_name().expect("randomness"),
    }
}

#[tokio::test]
async fn a_large_file_crosses_the_link_once() {
    const SIZE: usize = 3 << 20;
    let server = start();
    let link = Link::default();
    let (_connection, sftp) = over(&link, &server).await;
    let file = server.dir().join("large");
    let now = SystemTime::now;
    let modified = || {
        let attributes = fs::metadata(&file).expect("it was written");
        attributes.modified().expect("Linux knows times")
    };
    let began = now() - Duration::from_secs(2);
    let first = content(SIZE, 0);
    link.reset();
    let made = sftp.write_atomic(&plan(&file, &first, None)).await;
    let made = made.expect("a new file can be written");
    assert_eq!((made.drift, made.created), (None, true));
    assert_eq!(fs::read(&file).expect("it was written"), first);
    assert!(
        modified() >= began && modified() <= now(),
        "no mark is left"
    );
    let down = link.counts().down;
    assert!(down < SIZE as u64 / 4, "{down} bytes came back");

    // Replaced: what was there is read once, to compare it, and not again.
    let old = now() - Duration::from_secs(3600);
    let handle = fs::File::options().write(true).open(&file);
    let handle = handle.expect("it is ours");
    handle.set_modified(old).expect("it is ours");
    let second = content(SIZE, 0x55);
    link.reset();
    let replaced = sftp.write_atomic(&plan(&file, &second, Some(&first))).await;
    let replaced = replaced.expect("it is as it was compared");
    assert_eq!((replaced.drift, replaced.created), (None, false));
    assert_eq!(fs::read(&file).expect("it was written"), second);
    assert!(
        modified() >= began && modified() <= now(),
        "no mark is left"
    );
    let down = link.counts().down;
    assert!(down < SIZE as u64 * 5 / 4, "{down} bytes came back");

    // Its time is not of the past: it proves nothing, so it is read once more.
    let handle = fs::File::options().write(true).open(&file);
    let handle = handle.expect("it is ours");
    let ahead = now() + Duration::from_secs(3600);
    handle.set_modified(ahead).expect("it is ours");
    let third = content(SIZE, 0xaa);
    link.reset();
    let again = sftp.write_atomic(&plan(&file, &third, Some(&second))).await;
    assert_eq!(again.expect("it is as it was compared").drift, None);
    let Counts { down, up, .. } = *link.counts();
    assert!(down > SIZE as u64 * 3 / 2, "{down} bytes came back");
    assert!(up < SIZE as u64 * 5 / 4, "{up} bytes went out");
}

/// On a slow link requests wait behind each other for longer than a server may answer
/// nothing; each answer shows that it is there.
#[tokio::test]
async fn a_slow_link_is_not_taken_for_a_silent_server() {
    let server = start();
    let link = Link::default();
    let (_connection, sftp) = patiently_over(&link, &server, Duration::from_secs(3)).await;
    // All that is under way at once takes twelve seconds; nine is the limit.
    link.rate.store(350_000, Ordering::Relaxed);
    let content = content(18 * (255 << 10), 0);
    let file = server.dir().join("slow");
    let written = sftp.write_atomic(&plan(&file, &content, None)).await;
    written.expect("every part of it is answered");
    assert_eq!(fs::read(&file).expect("it was written"), content);
}
