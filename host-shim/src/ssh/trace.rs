//! Connecting step by step, for a person who wants to know where it fails.
//!
//! Invariant: the steps are the ones a call takes, by the same code: nothing is
//! tried here that a call would not try, and no host key is accepted that a call
//! would refuse. It deliberately makes connections of its own and keeps them out of
//! the pool, so that every step really happens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};

use super::auth::{Login, authenticate};
use super::client::{Client, Trust, config};
use super::connection::Connection;
use super::dial::{
    Dialled, connect_failed, handshake, limited, load_known_hosts, take, with_place,
};
use super::error::SshError;
use super::host_key::HostKey;
use super::known_hosts::KnownHosts;
use super::pace::Pace;
use super::target::Target;

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The name becomes addresses.
    Resolve,
    /// A TCP connection, or one made by the host before.
    Tcp,
    /// The key exchange, and whether the host key is known.
    HostKey,
    /// The registered way to log in.
    Login,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 4] = [Self::Resolve, Self::Tcp, Self::HostKey, Self::Login];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Tcp => "tcp",
            Self::HostKey => "host-key",
            Self::Login => "login",
        }
    }
}

/// What a step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Addresses, in the order they are tried.
    Addresses(Vec<SocketAddr>),
    /// The name is looked up by the host before; its logical id.
    ResolvedBy(String),
    /// The address that answered.
    Connected(SocketAddr),
    /// The connection is made by the host before; its logical id.
    Through(String),
    /// The host key and what vouches for it.
    HostKey {
        /// The key.
        key: HostKey,
        /// Where it says so.
        vouched: Vouched,
        /// How the server names itself.
        software: String,
    },
    /// By what the server let us in.
    LoggedIn(Login),
}

/// What vouches for a host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// A line with the key itself: file, and line from 1.
    Line(PathBuf, usize),
    /// A certificate of an authority that stands on one of these lines.
    Authority(Vec<(PathBuf, usize)>),
}

/// One step and how it went.
#[derive(Clone, Debug)]
pub struct Step {
    /// Logical id of the server on the way, or of the target.
    pub hop: String,
    /// What it was about.
    pub stage: Stage,
    /// What it found; none for a step that was not tried.
    pub result: Option<Result<Found, SshError>>,
    /// How long it took.
    pub took: Duration,
}

/// Connects to a target through its jump hosts, the first one first, and returns
/// every step: those after a failure as not tried. The connection is there when all
/// went well.
pub async fn connect_by_steps(target: &Target) -> (Vec<Step>, Option<Arc<Connection>>) {
    let mut hops = vec![target];
    while let Some(jump) = hops.last().and_then(|hop| hop.jump.as_deref()) {
        hops.push(jump);
    }
    hops.reverse();
    let mut steps = Vec::new();
    let mut via = None;
    let mut failed = false;
    for hop in hops {
        if !failed {
            match Walker::new(hop, &mut steps).connect(via.take()).await {
                Some(connection) => via = Some(connection),
                None => failed = true,
            }
        }
        for stage in Stage::ALL {
            if !steps
                .iter()
                .any(|step| step.hop == hop.id && step.stage == stage)
            {
                steps.push(Step {
                    hop: hop.id.clone(),
                    stage,
                    result: None,
                    took: Duration::ZERO,
                });
            }
        }
    }
    (steps, if failed { None } else { via })
}

struct Walker<'a> {
    target: &'a Target,
    steps: &'a mut Vec<Step>,
}

/// A connection that is not encrypted yet.
enum Stream {
    Direct(TcpStream),
    Tunnelled(super::channel::Tunnel<Arc<Connection>>),
}

impl<'a> Walker<'a> {
    fn new(target: &'a Target, steps: &'a mut Vec<Step>) -> Self {
        Self { target, steps }
    }

    /// Notes a step; gives its value on where it went well.
    async fn step<T>(
        &mut self,
        stage: Stage,
        work: impl Future<Output = Result<(T, Found), SshError>>,
    ) -> Option<T> {
        let Target { host, port, .. } = self.target;
        let started = Instant::now();
        let done = limited(host, *port, self.target.connect_timeout, work).await;
        let took = started.elapsed();
        let (value, result) = match done {
            Ok((value, found)) => (Some(value), Ok(found)),
            Err(error) => (None, Err(error)),
        };
        self.steps.push(Step {
            hop: self.target.id.clone(),
            stage,
            result: Some(result),
            took,
        });
        value
    }

    async fn connect(mut self, via: Option<Arc<Connection>>) -> Option<Arc<Connection>> {
        let target = self.target;
        let stream = match &via {
            None => {
                let addresses = self.step(Stage::Resolve, addresses(target)).await?;
                let stream = self.step(Stage::Tcp, tcp(target, addresses)).await?;
                Stream::Direct(stream)
            }
            Some(via) => {
                let before = via.target().id.clone();
                let resolved = Found::ResolvedBy(before.clone());
                self.step(Stage::Resolve, async { Ok(((), resolved)) })
                    .await?;
                let tunnel = async {
                    let tunnel = via.tunnel(&target.host, target.port).await?;
                    Ok((tunnel, Found::Through(before)))
                };
                Stream::Tunnelled(self.step(Stage::Tcp, tunnel).await?)
            }
        };
        let mut dialled = self.step(Stage::HostKey, exchange(target, stream)).await?;
        let login = async {
            let login = authenticate(&mut dialled.session, target).await?;
            Ok(((), Found::LoggedIn(login)))
        };
        self.step(Stage::Login, login).await?;
        Some(Connection::over(dialled, target, via, &Pace::default()))
    }
}

async fn addresses(target: &Target) -> Result<(Vec<SocketAddr>, Found), SshError> {
    let found = lookup_host((target.host.as_str(), target.port)).await;
    let addresses: Vec<SocketAddr> = found
        .map_err(|error| connect_failed(&target.host, target.port, error.to_string()))?
        .collect();
    if addresses.is_empty() {
        let reason = "the name has no address".to_owned();
        return Err(connect_failed(&target.host, target.port, reason));
    }
    Ok((addresses.clone(), Found::Addresses(addresses)))
}

/// Tries the addresses in order, as the library does for a call.
async fn tcp(target: &Target, addresses: Vec<SocketAddr>) -> Result<(TcpStream, Found), SshError> {
    let mut refusals = Vec::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // It only costs speed where it cannot be set.
                let _ = stream.set_nodelay(true);
                return Ok((stream, Found::Connected(address)));
            }
            Err(error) => refusals.push(format!("{address}: {error}")),
        }
    }
    Err(connect_failed(
        &target.host,
        target.port,
        refusals.join("; "),
    ))
}

async fn exchange(target: &Target, stream: Stream) -> Result<(Dialled, Found), SshError> {
    let (host, port) = (target.host.as_str(), target.port);
    let known = Arc::new(load_known_hosts(target).await?);
    let trust = Trust::Known(Arc::clone(&known));
    let config = config(host, port, &trust, target.silence);
    let (handler, findings) = Client::new(host, port, trust);
    let session = match stream {
        Stream::Direct(stream) => handshake(config, stream, handler, &findings).await,
        Stream::Tunnelled(tunnel) => handshake(config, tunnel, handler, &findings).await,
    }
    .map_err(|error| with_place(error, host, port))?;
    let found = take(&findings);
    let host_key = found.host_key.ok_or_else(|| {
        SshError::Protocol("the key exchange ended without a host key".to_owned())
    })?;
    let shown = Found::HostKey {
        vouched: vouched(&known, host, port, &host_key),
        key: host_key.clone(),
        software: found.software.clone(),
    };
    let dialled = Dialled {
        session,
        host_key,
        software: found.software,
    };
    Ok((dialled, shown))
}

fn vouched(known: &KnownHosts, host: &str, port: u16, key: &HostKey) -> Vouched {
    match known.vouching(host, port, key) {
        Some((file, line)) => Vouched::Line(file.to_owned(), line),
        None => Vouched::Authority(
            known
                .authorities(host, port)
                .into_iter()
                .map(|(file, line)| (file.to_owned(), line))
                .collect(),
        ),
    }
}
