//! From a target to an authenticated session.
//!
//! Invariant: one limit covers name lookup, TCP, key exchange and login, and
//! every hop checks its own host key. It deliberately keeps nothing: reuse is
//! the pool's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::auth::authenticate;
use super::channel::Tunnel;
use super::client::{Client, Findings, Trust, config};
use super::connection::Connection;
use super::error::SshError;
use super::host_key::HostKey;
use super::known_hosts::KnownHosts;
use super::pace::{OwnTime, Pace};
use super::patience::Patience;
use super::pool::{Pool, PoolConfig};
use super::target::Target;
use crate::fault::{self, Point};

/// A session and the key its server proved to hold.
pub(super) struct Dialled {
    pub(super) session: Handle<Client>,
    pub(super) host_key: HostKey,
    /// How the server names itself.
    pub(super) software: String,
}

/// How often a server that turned us away unheard is called on again, and how long
/// after, at first.
const AGAIN: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(150);

/// A way for bytes to the server.
enum Stream {
    Direct(TcpStream),
    Tunnelled(Tunnel<Arc<Connection>>),
}

/// Connects and logs in, through `via` where the target has a jump host. What costs
/// computing waits for its turn.
///
/// A server with too many logins under way closes the connection unheard
/// (`MaxStartups` in sshd_config(5)). Nothing was asked of it then, so it is called
/// on again after a while.
pub(super) async fn dial(
    target: &Target,
    via: Option<&Arc<Connection>>,
    pace: &Pace,
) -> Result<Dialled, SshError> {
    let (host, port) = (target.host.as_str(), target.port);
    let too_long = || SshError::ConnectTimeout {
        host: host.to_owned(),
        port,
        after: target.connect_timeout,
    };
    let mut time = OwnTime::new(target.connect_timeout);
    fault::reach(Point::DialBefore);
    let known = time.within(load_known_hosts(target));
    let known = Arc::new(known.await.ok_or_else(too_long)??);
    let (mut tries, mut pause) = (0, FIRST_PAUSE);
    loop {
        let stream = time.within(reach(target, via));
        let stream = stream.await.ok_or_else(too_long)??;
        let turn = pace.turn().await;
        let login = async {
            let trust = Trust::Known(Arc::clone(&known));
            let mut dialled = exchange(target, trust, stream).await?;
            authenticate(&mut dialled.session, target)
                .await
                .map_err(Broken::Told)?;
            fault::reach(Point::DialDone);
            Ok(dialled)
        };
        let dialled = time.in_turn(Some(turn), login).await;
        match dialled.ok_or_else(too_long)? {
            Ok(dialled) => return Ok(dialled),
            Err(Broken::Unheard(_)) if tries < AGAIN => {
                tries += 1;
                let waited = time.within(tokio::time::sleep(pause + jitter(pause)));
                waited.await.ok_or_else(too_long)?;
                pause *= 2;
            }
            Err(Broken::Unheard(error) | Broken::Told(error)) => return Err(error),
        }
    }
}

/// Why there is no session.
enum Broken {
    /// The server closed the connection before it proved anything.
    Unheard(SshError),
    /// Anything else.
    Told(SshError),
}

async fn reach(target: &Target, via: Option<&Arc<Connection>>) -> Result<Stream, SshError> {
    let (host, port) = (target.host.as_str(), target.port);
    Ok(match via {
        None => Stream::Direct(tcp(host, port).await?),
        Some(via) => Stream::Tunnelled(via.tunnel(host, port).await?),
    })
}

/// Up to as much again, so that those turned away together do not come together.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness they come together, which is no more than slow.
    let _ = getrandom::fill(&mut byte);
    pause * u32::from(byte[0]) / 256
}

/// Asks a server for its host keys, one connection per key type, for a person
/// to compare before the server is enrolled. Nothing is sent but our side of
/// the key exchange, and nothing is trusted, except that `jump` must be known.
///
/// # Errors
/// When no key at all could be fetched.
pub async fn fetch_host_key(
    host: &str,
    port: u16,
    jump: Option<&Target>,
    timeout: Duration,
) -> Result<Vec<HostKey>, SshError> {
    let pool = Pool::new(PoolConfig::default());
    let via = match jump {
        Some(jump) => Some(pool.connection(jump).await?),
        None => None,
    };
    let keys = limited(host, port, timeout, observe(host, port, via.as_ref())).await;
    pool.close().await;
    keys
}

async fn observe(
    host: &str,
    port: u16,
    via: Option<&Arc<Connection>>,
) -> Result<Vec<HostKey>, SshError> {
    let mut keys: Vec<HostKey> = Vec::new();
    let mut failure = None;
    for algorithms in super::client::key_families() {
        let (handler, findings) = Client::new(host, port, Trust::ObserveOnly);
        let mut config = config(host, port, &Trust::ObserveOnly, Patience::default().silence);
        config.preferred.key = algorithms.into();
        let result = match via {
            None => match tcp(host, port).await {
                Ok(stream) => handshake(config, stream, handler, &findings).await,
                Err(error) => Err(error),
            },
            Some(via) => match via.tunnel(host, port).await {
                Ok(stream) => handshake(config, stream, handler, &findings).await,
                Err(error) => Err(error),
            },
        };
        let found = take(&findings).host_key;
        match (found, result) {
            (Some(key), _) => {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            (None, Err(error)) => {
                // A server without this type of key says so by ending the exchange.
                failure.get_or_insert(error);
            }
            (None, Ok(_)) => {}
        }
    }
    match failure {
        Some(error) if keys.is_empty() => Err(with_place(error, host, port)),
        _ => Ok(keys),
    }
}

async fn exchange(target: &Target, trust: Trust, stream: Stream) -> Result<Dialled, Broken> {
    let (host, port) = (target.host.as_str(), target.port);
    let config = config(host, port, &trust, target.silence);
    let (handler, findings) = Client::new(host, port, trust);
    let session = match stream {
        Stream::Direct(stream) => handshake(config, stream, handler, &findings).await,
        Stream::Tunnelled(tunnel) => handshake(config, tunnel, handler, &findings).await,
    };
    let found = take(&findings);
    let session = session.map_err(|error| match (&error, &found.host_key) {
        (SshError::ConnectionLost { .. }, None) => Broken::Unheard(with_place(error, host, port)),
        _ => Broken::Told(with_place(error, host, port)),
    })?;
    let host_key = found.host_key.ok_or_else(|| {
        Broken::Told(SshError::Protocol(
            "the key exchange ended without a host key".to_owned(),
        ))
    })?;
    Ok(Dialled {
        session,
        host_key,
        software: found.software,
    })
}

/// The key exchange over a stream, with the host key judged.
pub(super) async fn handshake<S>(
    config: client::Config,
    stream: S,
    handler: Client,
    findings: &Mutex<Findings>,
) -> Result<Handle<Client>, SshError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let result = client::connect_stream(Arc::new(config), stream, handler).await;
    let mut findings = findings.lock().unwrap_or_else(PoisonError::into_inner);
    match findings.refusal.take() {
        Some(refusal) => Err(refusal),
        None => result,
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, SshError> {
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| connect_failed(host, port, error.to_string()))?;
    // Nagle's algorithm and delayed acknowledgements cost 40 ms per request.
    stream
        .set_nodelay(true)
        .map_err(|error| connect_failed(host, port, error.to_string()))?;
    Ok(stream)
}

/// Bounds an attempt in time.
pub(super) async fn limited<T>(
    host: &str,
    port: u16,
    limit: Duration,
    attempt: impl Future<Output = Result<T, SshError>>,
) -> Result<T, SshError> {
    let result = OwnTime::new(limit).within(attempt).await;
    result.unwrap_or_else(|| {
        Err(SshError::ConnectTimeout {
            host: host.to_owned(),
            port,
            after: limit,
        })
    })
}

/// Reads the files that say which keys are known.
pub(super) async fn load_known_hosts(target: &Target) -> Result<KnownHosts, SshError> {
    let files = target.known_hosts.clone();
    tokio::task::spawn_blocking(move || KnownHosts::load(&files))
        .await
        .map_err(|error| SshError::Local(error.to_string()))?
}

pub(super) fn take(findings: &Mutex<Findings>) -> Findings {
    std::mem::take(&mut findings.lock().unwrap_or_else(PoisonError::into_inner))
}

/// An error of the protocol before the session exists is a failure to connect.
pub(super) fn with_place(error: SshError, host: &str, port: u16) -> SshError {
    match error {
        SshError::Protocol(reason) => connect_failed(host, port, reason),
        SshError::ConnectionLost { .. } => connect_failed(
            host,
            port,
            "the server closed the connection during the key exchange".to_owned(),
        ),
        other => other,
    }
}

pub(super) fn connect_failed(host: &str, port: u16, reason: String) -> SshError {
    SshError::ConnectFailed {
        host: host.to_owned(),
        port,
        reason,
    }
}
