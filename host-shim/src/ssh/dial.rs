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
use super::client::{Client, Findings, Trust, config};
use super::connection::Connection;
use super::error::SshError;
use super::host_key::HostKey;
use super::known_hosts::KnownHosts;
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

/// Connects and logs in, through `via` where the target has a jump host.
pub(super) async fn dial(
    target: &Target,
    via: Option<&Arc<Connection>>,
) -> Result<Dialled, SshError> {
    let attempt = async {
        fault::reach(Point::DialBefore);
        let trust = Trust::Known(Arc::new(load_known_hosts(target).await?));
        let mut dialled = exchange(target, trust, via).await?;
        authenticate(&mut dialled.session, target).await?;
        fault::reach(Point::DialDone);
        Ok(dialled)
    };
    limited(&target.host, target.port, target.connect_timeout, attempt).await
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

async fn exchange(
    target: &Target,
    trust: Trust,
    via: Option<&Arc<Connection>>,
) -> Result<Dialled, SshError> {
    let (host, port) = (target.host.as_str(), target.port);
    let config = config(host, port, &trust, target.silence);
    let (handler, findings) = Client::new(host, port, trust);
    let session = match via {
        None => handshake(config, tcp(host, port).await?, handler, &findings).await,
        Some(via) => handshake(config, via.tunnel(host, port).await?, handler, &findings).await,
    }
    .map_err(|error| with_place(error, host, port))?;
    let found = take(&findings);
    let host_key = found.host_key.ok_or_else(|| {
        SshError::Protocol("the key exchange ended without a host key".to_owned())
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
    match tokio::time::timeout(limit, attempt).await {
        Ok(result) => result,
        Err(_) => Err(SshError::ConnectTimeout {
            host: host.to_owned(),
            port,
            after: limit,
        }),
    }
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
