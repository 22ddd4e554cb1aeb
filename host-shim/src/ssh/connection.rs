//! One authenticated connection and what can be opened over it.
//!
//! Invariant: opening a channel may be tried again, what runs in it never is.
//! It deliberately does not dial again when it is lost: that is for the pool,
//! before the next use.

use std::sync::{Arc, Weak};
use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelOpenFailure, Disconnect};
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use super::channel::{Activity, SessionChannel, Slots, Tunnel};
use super::client::Client;
use super::dial::{Dialled, dial};
use super::error::SshError;
use super::exec::{self, End, ExecOutcome, ExecRequest, Program, Spare};
use super::host_key::HostKey;
use super::sftp::{Sftp, SftpError};
use super::target::Target;
use crate::fault::{self, Point};

/// How often a refused last session is tried again, and how long after.
const LAST_SLOT_TRIES: u32 = 10;
const LAST_SLOT_PAUSE: Duration = Duration::from_millis(100);

/// An authenticated connection. It is closed when the last user drops it.
pub struct Connection {
    /// Ourselves, for work that goes on after a call.
    shared: Weak<Connection>,
    session: Handle<Client>,
    host_key: HostKey,
    target: Target,
    via: Option<Arc<Connection>>,
    slots: Slots,
    activity: Activity,
    spare: Spare,
    sftp: Mutex<Option<Arc<Sftp>>>,
    /// A second connection for SFTP, where the server allows one session each.
    sibling: Mutex<Option<Arc<Connection>>>,
    home: OnceCell<String>,
    account: OnceCell<Account>,
}

/// Who we are on the server, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Every group, the effective one included.
    pub groups: Vec<u32>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("target", &self.target)
            .field("host_key", &self.host_key)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Dials a target, through `via` where it has a jump host.
    pub(super) async fn dial(
        target: &Target,
        via: Option<Arc<Connection>>,
    ) -> Result<Arc<Self>, SshError> {
        let Dialled { session, host_key } = dial(target, via.as_ref()).await?;
        Ok(Arc::new_cyclic(|shared| Self {
            shared: Weak::clone(shared),
            session,
            host_key,
            target: target.clone(),
            via,
            slots: Slots::new(),
            activity: Activity::new(),
            spare: Spare::default(),
            sftp: Mutex::new(None),
            sibling: Mutex::new(None),
            home: OnceCell::new(),
            account: OnceCell::new(),
        }))
    }

    /// The key this server proved to hold.
    #[must_use]
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Whether the connection is known to be lost.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Runs a command. It is sent at most once, whatever happens.
    ///
    /// # Errors
    /// Only where the command is known not to have run, except for
    /// [`SshError::ConnectionLost`] with `started`. Everything that happened to
    /// a command that ran, the loss of the connection included, is an outcome.
    pub async fn exec(
        &self,
        request: ExecRequest,
        cancel: CancellationToken,
    ) -> Result<ExecOutcome, SshError> {
        self.activity.touch();
        let outcome = exec::run(self, request, cancel).await;
        self.activity.touch();
        outcome
    }

    /// The SFTP session of this connection, opened on first use and again if it died.
    ///
    /// # Errors
    /// When the server has no SFTP subsystem or refuses the channel.
    pub async fn sftp(&self) -> Result<Arc<Sftp>, SshError> {
        self.activity.touch();
        // The lock makes concurrent callers share one opening.
        let mut current = self.sftp.lock().await;
        if let Some(sftp) = current.as_ref().filter(|sftp| sftp.is_alive()) {
            return Ok(Arc::clone(sftp));
        }
        *current = None;
        if self.slots.limit() > 1 {
            let opened = self.open_sftp().await;
            match opened {
                Ok(sftp) => {
                    *current = Some(Arc::clone(&sftp));
                    return Ok(sftp);
                }
                // Learned just now that one session is all there is.
                Err(SshError::ChannelRefused { .. }) if self.slots.limit() <= 1 => {}
                Err(error) => return Err(error),
            }
        }
        drop(current);
        self.sftp_of_sibling().await
    }

    async fn open_sftp(&self) -> Result<Arc<Sftp>, SshError> {
        let channel = self.open_session(false).await?;
        let sftp = tokio::time::timeout(
            self.target.connect_timeout,
            Sftp::open(channel, self.activity.clone()),
        )
        .await
        .map_err(|_| SftpError::Unavailable {
            reason: "the server did not answer".to_owned(),
        })??;
        Ok(Arc::new(sftp))
    }

    async fn sftp_of_sibling(&self) -> Result<Arc<Sftp>, SshError> {
        let mut sibling = self.sibling.lock().await;
        let usable = sibling.as_ref().filter(|other| !other.is_closed());
        let other = match usable {
            Some(other) => Arc::clone(other),
            None => {
                let other = Box::pin(Self::dial(&self.target, self.via.clone())).await?;
                sibling.insert(other).clone()
            }
        };
        let mut current = other.sftp.lock().await;
        if let Some(sftp) = current.as_ref().filter(|sftp| sftp.is_alive()) {
            return Ok(Arc::clone(sftp));
        }
        let sftp = other.open_sftp().await?;
        *current = Some(Arc::clone(&sftp));
        Ok(sftp)
    }

    /// Absolute login directory on the server, by `SSH_FXP_REALPATH` of `.`.
    ///
    /// # Errors
    /// When SFTP is unavailable.
    pub async fn home(&self) -> Result<String, SshError> {
        self.home
            .get_or_try_init(|| async { self.sftp().await?.realpath(".").await })
            .await
            .cloned()
    }

    /// Who we are on the server, by `id(1)`; asked once.
    ///
    /// # Errors
    /// When `id` cannot be run or prints something else than numbers.
    pub async fn account(&self) -> Result<Account, SshError> {
        self.account
            .get_or_try_init(|| async {
                let uid = self.id_numbers("-u").await?;
                let gid = self.id_numbers("-g").await?;
                let groups = self.id_numbers("-G").await?;
                match (uid.first(), gid.first()) {
                    (Some(&uid), Some(&gid)) => Ok(Account { uid, gid, groups }),
                    _ => Err(SshError::Protocol("id(1) printed nothing".to_owned())),
                }
            })
            .await
            .cloned()
    }

    async fn id_numbers(&self, option: &str) -> Result<Vec<u32>, SshError> {
        let request = ExecRequest {
            program: Program::Argv(vec!["id".to_owned(), option.to_owned()]),
            cwd: None,
            timeout: self.target.connect_timeout,
            head_limit: 64 << 10,
            tail_limit: 0,
        };
        let outcome = self.exec(request, CancellationToken::new()).await?;
        if outcome.end != End::Exit(0) {
            return Err(SshError::Protocol(format!(
                "id(1) ended with {:?}",
                outcome.end
            )));
        }
        String::from_utf8_lossy(&outcome.stdout.head)
            .split_ascii_whitespace()
            .map(|word| {
                word.parse()
                    .map_err(|_| SshError::Protocol(format!("id(1) printed {word:?}")))
            })
            .collect()
    }

    /// Ends the connection for everyone who uses it.
    pub async fn close(&self) {
        self.slots.close();
        self.spare.clear();
        if let Some(sibling) = self.sibling.lock().await.take() {
            Box::pin(sibling.close()).await;
        }
        // A lost connection needs no goodbye.
        let _ = self
            .session
            .disconnect(Disconnect::ByApplication, "", "")
            .await;
    }

    /// How long nothing was asked of this connection.
    pub(super) fn idle(&self) -> Duration {
        self.activity.idle()
    }

    /// Whether the server answers within `limit`.
    pub(super) async fn answers(&self, limit: Duration) -> bool {
        let ping = tokio::time::timeout(limit, self.session.send_ping()).await;
        // A session that ends drops the answer's sender, which also completes the ping.
        let alive = matches!(ping, Ok(Ok(()))) && !self.is_closed();
        if alive {
            self.activity.touch();
        }
        alive
    }

    pub(super) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// Sessions the server allows, and how many of them are free.
    pub(super) fn slots(&self) -> (usize, usize) {
        (self.slots.limit(), self.slots.free())
    }

    pub(super) fn shared(&self) -> Option<Arc<Self>> {
        self.shared.upgrade()
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// A TCP connection made by the server (RFC 4254 section 7.2).
    pub(super) async fn tunnel(
        self: &Arc<Self>,
        host: &str,
        port: u16,
    ) -> Result<Tunnel<Arc<Self>>, SshError> {
        self.activity.touch();
        let channel = self
            .session
            .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)
            .await
            .map_err(|error| match error {
                russh::Error::ChannelOpenFailure(reason) => SshError::ConnectFailed {
                    host: host.to_owned(),
                    port,
                    reason: format!("jump host {}: {}", self.target.id, refusal_text(&reason)),
                },
                other => other.into(),
            })?;
        Ok(Tunnel::new(channel, Arc::clone(self)))
    }

    /// Opens a session channel for one command.
    pub(super) async fn open_channel(&self) -> Result<SessionChannel, SshError> {
        self.open_session(true).await
    }

    /// Opens a session channel, waiting for a slot. A refusal lowers the limit,
    /// and the opening, in which nothing has run yet, is tried again.
    async fn open_session(&self, evict_sftp: bool) -> Result<SessionChannel, SshError> {
        let mut patience = LAST_SLOT_TRIES;
        loop {
            if self.slots.free() == 0 {
                self.spare.clear();
            }
            let slot = self.slots.acquire().await?;
            fault::reach(Point::ChannelBefore);
            let reason = match self.session.channel_open_session().await {
                Ok(channel) => {
                    fault::reach(Point::ChannelOpened);
                    return Ok(SessionChannel::new(channel, slot));
                }
                Err(russh::Error::ChannelOpenFailure(reason)) => reason,
                Err(error) => return Err(error.into()),
            };
            let left = if teaches(&reason) {
                self.slots.retire(slot)
            } else {
                0
            };
            if left == 0 {
                // The server may still be clearing away the session before.
                patience -= 1;
                if patience == 0 || !teaches(&reason) {
                    return Err(SshError::ChannelRefused {
                        reason: refusal_text(&reason),
                    });
                }
                tokio::time::sleep(LAST_SLOT_PAUSE).await;
            } else if left == 1 {
                if !evict_sftp {
                    return Err(SshError::ChannelRefused {
                        reason: refusal_text(&reason),
                    });
                }
                // The one session may be held by SFTP for as long as we live:
                // it moves to a connection of its own.
                self.sftp.lock().await.take();
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.slots.close();
    }
}

/// Whether a refusal is how servers say "too many": OpenSSH answers the session
/// beyond `MaxSessions` with `SSH_OPEN_CONNECT_FAILED`.
fn teaches(reason: &ChannelOpenFailure) -> bool {
    matches!(
        reason,
        ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage
    )
}

fn refusal_text(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited".to_owned(),
        ChannelOpenFailure::ConnectFailed => "connect failed".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "unknown channel type".to_owned(),
        ChannelOpenFailure::ResourceShortage => "resource shortage".to_owned(),
        ChannelOpenFailure::Other { code, reason } => format!("{reason} ({code})"),
    }
}
