//! One authenticated connection and what can be opened over it.
//!
//! Invariant: opening a channel may be tried again, what runs in it never is.
//! It deliberately does not dial again when it is lost: that is for the pool,
//! before the next use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelOpenFailure, Disconnect};
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::channel::{Activity, SessionChannel, Slots, Tunnel};
use super::client::Client;
use super::dial::{Dialled, dial};
use super::error::SshError;
use super::exec::{self, ExecOutcome, ExecRequest, Spare, Watch};
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
    software: String,
    target: Target,
    via: Option<Arc<Connection>>,
    slots: Slots,
    /// Whether the server has ever let a session be opened.
    admitted: AtomicBool,
    activity: Activity,
    spare: Spare,
    sftp: Mutex<Option<Arc<Sftp>>>,
    /// An SFTP session that had to make way, and lives while somebody uses it.
    leaving: std::sync::Mutex<Weak<Sftp>>,
    /// A second connection for SFTP, where the server allows one session each.
    sibling: Mutex<Option<Arc<Connection>>>,
    home: OnceCell<String>,
    pub(super) account: OnceCell<Account>,
}

/// What a session is opened for, which decides who makes way where the server
/// allows one session only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// SFTP, which goes to a second connection.
    Files,
    /// A command, for which SFTP makes way.
    Command,
    /// A command on the second connection, while SFTP cannot leave the first.
    CommandBesideFiles,
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
        let dialled = dial(target, via.as_ref()).await?;
        Ok(Self::over(dialled, target, via))
    }

    /// Takes an authenticated session over.
    pub(super) fn over(
        dialled: Dialled,
        target: &Target,
        via: Option<Arc<Connection>>,
    ) -> Arc<Self> {
        let Dialled {
            session,
            host_key,
            software,
        } = dialled;
        Arc::new_cyclic(|shared| Self {
            shared: Weak::clone(shared),
            session,
            host_key,
            software,
            target: target.clone(),
            via,
            slots: Slots::new(),
            admitted: AtomicBool::new(false),
            activity: Activity::new(),
            spare: Spare::default(),
            sftp: Mutex::new(None),
            leaving: std::sync::Mutex::new(Weak::new()),
            sibling: Mutex::new(None),
            home: OnceCell::new(),
            account: OnceCell::new(),
        })
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
        self.exec_watched(request, Watch::default(), cancel).await
    }

    /// As [`Connection::exec`], with somebody looking at the output meanwhile.
    ///
    /// # Errors
    /// As [`Connection::exec`].
    pub async fn exec_watched(
        &self,
        request: ExecRequest,
        watch: Watch,
        cancel: CancellationToken,
    ) -> Result<ExecOutcome, SshError> {
        self.activity.touch();
        let outcome = exec::run(self, request, watch, cancel).await;
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
        let channel = self.open_session(Purpose::Files).await?;
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
        let other = self.sibling().await?;
        match other.sftp_here().await {
            // It may have ended with its last session, unnoticed so far.
            Err(SshError::ConnectionLost { started: false }) => {
                self.sibling().await?.sftp_here().await
            }
            opened => opened,
        }
    }

    /// The SFTP session of a second connection.
    async fn sftp_here(&self) -> Result<Arc<Sftp>, SshError> {
        let mut current = self.sftp.lock().await;
        if let Some(sftp) = current.as_ref().filter(|sftp| sftp.is_alive()) {
            return Ok(Arc::clone(sftp));
        }
        let sftp = self.open_sftp().await?;
        *current = Some(Arc::clone(&sftp));
        Ok(sftp)
    }

    /// The second connection, dialled on first use and again if it died.
    async fn sibling(&self) -> Result<Arc<Self>, SshError> {
        let mut sibling = self.sibling.lock().await;
        if let Some(other) = sibling.as_ref().filter(|other| !other.is_closed()) {
            return Ok(Arc::clone(other));
        }
        let other = Box::pin(Self::dial(&self.target, self.via.clone())).await?;
        Ok(sibling.insert(other).clone())
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

    /// Whether the server is known to ignore what is sent to a channel whose
    /// request it refuses; ProFTPD, for one, ends the whole connection.
    pub(super) fn ignores_early_data(&self) -> bool {
        ["SSH-2.0-OpenSSH_", "SSH-2.0-dropbear_", "SSH-2.0-tinyssh"]
            .iter()
            .any(|known| self.software.starts_with(known))
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
        self.open_session(Purpose::Command).await
    }

    /// Opens a session channel, waiting for a slot. A refusal lowers the limit,
    /// and the opening, in which nothing has run yet, is tried again.
    async fn open_session(&self, purpose: Purpose) -> Result<SessionChannel, SshError> {
        let mut patience = LAST_SLOT_TRIES;
        loop {
            // Whoever uses the SFTP session that holds the one slot may be
            // waiting for this very command.
            if purpose == Purpose::Command && self.slots.limit() == 1 && self.is_leaving() {
                return self.session_of_sibling().await;
            }
            if self.slots.free() == 0 {
                self.spare.clear();
            }
            let slot = self.slots.acquire().await?;
            fault::reach(Point::ChannelBefore);
            let reason = match self.session.channel_open_session().await {
                Ok(channel) => {
                    self.admitted.store(true, Ordering::Relaxed);
                    fault::reach(Point::ChannelOpened);
                    return Ok(SessionChannel::new(channel, slot));
                }
                Err(russh::Error::ChannelOpenFailure(reason)) => reason,
                Err(error) => return Err(error.into()),
            };
            let teaches = teaches(&reason, self.admitted.load(Ordering::Relaxed));
            let left = if teaches { self.slots.retire(slot) } else { 0 };
            if left == 0 {
                // The server may still be clearing away the session before.
                patience -= 1;
                if patience == 0 || !teaches {
                    return Err(SshError::ChannelRefused {
                        reason: refusal_text(&reason),
                    });
                }
                tokio::time::sleep(LAST_SLOT_PAUSE).await;
            } else if left == 1 {
                match purpose {
                    Purpose::Files => {
                        return Err(SshError::ChannelRefused {
                            reason: refusal_text(&reason),
                        });
                    }
                    // The one session may be held by SFTP for as long as we
                    // live: it moves to a connection of its own.
                    Purpose::Command => {
                        if let Some(sftp) = self.sftp.lock().await.take() {
                            *self.leaving() = Arc::downgrade(&sftp);
                        }
                    }
                    Purpose::CommandBesideFiles => {}
                }
            }
        }
    }

    async fn session_of_sibling(&self) -> Result<SessionChannel, SshError> {
        let mut tries = 2;
        loop {
            tries -= 1;
            let other = self.sibling().await?;
            match Box::pin(other.open_session(Purpose::CommandBesideFiles)).await {
                // As above: nothing was sent to be run.
                Err(SshError::ConnectionLost { started: false }) if tries > 0 => {}
                opened => return opened,
            }
        }
    }

    fn leaving(&self) -> std::sync::MutexGuard<'_, Weak<Sftp>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_leaving(&self) -> bool {
        self.leaving().strong_count() > 0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.slots.close();
    }
}

/// Whether a refusal is how servers say "too many": OpenSSH answers the session
/// beyond `MaxSessions` with `SSH_OPEN_CONNECT_FAILED`; TinySSH prohibits a
/// second one, though it `admitted` the first.
fn teaches(reason: &ChannelOpenFailure, admitted: bool) -> bool {
    match reason {
        ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage => true,
        ChannelOpenFailure::AdministrativelyProhibited => admitted,
        _ => false,
    }
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
