//! How many requests of a transfer are under way together, seen by a server that
//! gives no answer before there are enough of them.
//!
//! The SSH server is in-process and hands SFTP to OpenSSH's own server program; in
//! between, requests are counted and answers held back. Invariant: nothing depends on
//! how long anything takes. A client that waits for each of its answers waits for
//! ever, and fails by a limit that only a hang reaches.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openshell_host::ssh::{
    Auth, Connection, Expect, Target, WriteKind, WritePlan, fetch_host_key, known_hosts,
    temporary_name,
};
use openshell_tests::ssh_keygen;
use russh::server::{self, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::ssh_support::connect;

/// Where systems keep OpenSSH's SFTP server.
const PROGRAMS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];

/// Only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Types of SFTP packets (draft-ietf-secsh-filexfer-02, section 3).
const INIT: u8 = 1;
const READ: u8 = 5;
const WRITE: u8 = 6;

/// What is known of the requests, and what is held back.
#[derive(Default)]
struct Requests {
    /// Requests of this type wait for their answers until there are so many of them.
    hold: Option<(u8, usize)>,
    /// The type of each request that was not answered, by its id.
    open: HashMap<u32, u8>,
    /// Requests so far, by type.
    seen: HashMap<u8, usize>,
    held: Vec<Vec<u8>>,
}

impl Requests {
    fn request(&mut self, packet: &[u8]) {
        let (kind, id) = head(packet);
        if kind != INIT {
            self.open.insert(id, kind);
        }
        *self.seen.entry(kind).or_default() += 1;
        if let Some((held, enough)) = self.hold {
            let waiting = self.open.values().filter(|open| **open == held).count();
            if waiting >= enough {
                self.hold = None;
            }
        }
    }

    /// Takes an answer in and returns those that may go now.
    fn answer(&mut self, packet: Option<Vec<u8>>) -> Vec<Vec<u8>> {
        self.held.extend(packet);
        let held = std::mem::take(&mut self.held);
        let mut free = Vec::new();
        for packet in held {
            let (_, id) = head(&packet);
            match (self.hold, self.open.get(&id)) {
                (Some((kind, _)), Some(open)) if *open == kind => self.held.push(packet),
                _ => {
                    self.open.remove(&id);
                    free.push(packet);
                }
            }
        }
        free
    }
}

/// Type and id of a packet with its length before it; the first of each side has a
/// version in place of the id.
fn head(packet: &[u8]) -> (u8, u32) {
    let id = packet.get(5..9).and_then(|id| id.try_into().ok());
    (packet[4], id.map_or(0, u32::from_be_bytes))
}

/// The next packet with its length; none where the stream ends.
async fn packet(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut packet = from.read_u32().await.ok()?.to_be_bytes().to_vec();
    let length = u32::from_be_bytes(packet[..4].try_into().ok()?);
    packet.resize(4 + usize::try_from(length).ok()?, 0);
    from.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Requests>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds answers of this type back until so many requests wait for them, and
    /// counts from here on.
    fn hold(&self, kind: u8, enough: usize) {
        let mut requests = self.lock();
        requests.seen.clear();
        requests.hold = Some((kind, enough));
    }

    /// Whether there were enough, and how many requests of this type and of others
    /// there were.
    fn seen(&self, kind: u8) -> (bool, usize, usize) {
        let requests = self.lock();
        let all: usize = requests.seen.values().sum();
        let of_kind = requests.seen.get(&kind).copied().unwrap_or_default();
        (requests.hold.is_none(), of_kind, all - of_kind)
    }
}

/// One connection.
struct Peer {
    program: &'static str,
    shared: Shared,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Peer {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<server::Auth, russh::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        if let Some(channel) = self.channels.remove(&id) {
            tokio::spawn(carry(channel, self.program, self.shared.clone()));
        }
        Ok(())
    }
}

/// Carries packets between a channel and an SFTP server.
async fn carry(channel: Channel<Msg>, program: &'static str, shared: Shared) {
    let mut child = tokio::process::Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it is there");
    let mut input = child.stdin.take().expect("stdin was asked for");
    let mut output = child.stdout.take().expect("stdout was asked for");
    let (mut from, mut to) = tokio::io::split(channel.into_stream());
    let (answers, mut free) = mpsc::unbounded_channel::<Vec<u8>>();
    let let_go = |packet: Option<Vec<u8>>| {
        for packet in shared.lock().answer(packet) {
            // Nobody waits for it any more where this fails.
            let _ = answers.send(packet);
        }
    };
    let up = async {
        while let Some(packet) = packet(&mut from).await {
            shared.lock().request(&packet);
            let_go(None);
            if input.write_all(&packet).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        while let Some(packet) = packet(&mut output).await {
            let_go(Some(packet));
        }
    };
    let out = async {
        while let Some(packet) = free.recv().await {
            if to.write_all(&packet).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        () = out => {}
    }
}

/// A server and its directory; none where there is no SFTP server to hand.
async fn start(shared: &Shared) -> Option<(TempDir, Target)> {
    let Some(program) = PROGRAMS.iter().find(|program| Path::new(program).exists()) else {
        eprintln!("skipped: OpenSSH's sftp-server is not installed");
        return None;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("host_key");
    ssh_keygen(&key, "ed25519", "");
    let config = Arc::new(server::Config {
        keys: vec![russh::keys::load_secret_key(&key, None).expect("just made")],
        ..server::Config::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback has a port");
    let port = listener.local_addr().expect("it is bound").port();
    let shared = shared.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let peer = Peer {
                program,
                shared: shared.clone(),
                channels: HashMap::new(),
            };
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = server::run_stream(config, stream, peer).await {
                    let _ = session.await;
                }
            });
        }
    });
    let known = dir.path().join("known_hosts");
    for key in fetch_host_key("127.0.0.1", port, None, PATIENCE)
        .await
        .expect("it answers")
    {
        known_hosts::append(&known, "127.0.0.1", port, &key).expect("own directory");
    }
    let target = Target {
        id: "holding".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        user: "anybody".to_owned(),
        auth: Auth::Password(SecretString::from("anything".to_owned())),
        known_hosts: vec![known],
        jump: None,
        shell: "/bin/sh".to_owned(),
        connect_timeout: PATIENCE,
        silence: PATIENCE,
    };
    Some((dir, target))
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it waits for an answer before it asks for more")
}

#[tokio::test]
async fn a_transfer_does_not_wait_for_each_of_its_requests() {
    /// Requests that carry content, each of the longest kind; short enough together
    /// for the server's window of 2 MiB.
    const PIECES: usize = 7;
    let shared = Shared::default();
    let Some((dir, target)) = start(&shared).await else {
        return;
    };
    let connection: Arc<Connection> = connect(&target).await;
    let sftp = connection.sftp().await.expect("SFTP is there");
    let content: Vec<u8> = (0..PIECES * (255 << 10))
        .map(|at| (at % 251) as u8)
        .collect();
    let file = dir.path().canonicalize().expect("it is there").join("long");
    let path = file.to_str().expect("an ASCII path");

    shared.hold(WRITE, PIECES);
    let plan = WritePlan {
        path: path.to_owned(),
        content: content.clone(),
        mode: 0o640,
        owner: None,
        found: None,
        expect: Expect::Absent,
        kind: WriteKind::Atomic,
        temporary: temporary_name().expect("randomness"),
    };
    let written = in_time(sftp.write_atomic(&plan)).await;
    written.expect("a new file can be written");
    let (together, pieces, others) = shared.seen(WRITE);
    assert!(together && pieces >= PIECES, "{pieces}");
    // It takes nine others, and each is waited for at most once.
    assert!(others <= 12, "{others} other requests of writing");

    // Half of them to begin with, since a short file is not worth more.
    shared.hold(READ, 4);
    let (read, _) = in_time(sftp.read_whole(path, 1 << 30))
        .await
        .expect("it is there");
    assert_eq!(read, content);
    let (together, pieces, others) = shared.seen(READ);
    // At least one more finds the end, and there are four others.
    assert!(together && pieces > PIECES, "{pieces}");
    assert!(others <= 7, "{others} other requests of reading");
}
