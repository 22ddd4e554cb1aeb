//! One authenticated connection and what can be opened over it.
//!
//! Invariant: opening a channel may be tried again, what runs in it never is.
//! It deliberately does not dial again when it is lost: that is for the pool,
//! before the next use. Where the server allows one session a login, or ends
//! the login with it, sessions get logins of their own (`sessions`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::channel::{Activity, Tunnel};
use super::dial::{Dialled, connect_failed, dial};
use super::error::SshError;
use super::exec::{self, ExecOutcome, ExecRequest, Spare, Watch};
use super::host_key::HostKey;
use super::lane::Lane;
use super::pace::{OwnTime, Pace};
use super::sessions::Sessions;
use super::sftp::{Sftp, SftpError};
use super::target::Target;

/// An authenticated connection. It is closed when the last user drops it.
pub struct Connection {
    /// Ourselves, for work that goes on after a call.
    shared: Weak<Connection>,
    main: Arc<Lane>,
    target: Target,
    via: Option<Arc<Connection>>,
    pace: Pace,
    sessions: Sessions,
    activity: Activity,
    spare: Spare,
    used: AtomicBool,
    sftp: Mutex<Option<Arc<Sftp>>>,
    home: OnceCell<String>,
    pub(super) account: OnceCell<Account>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("target", &self.target)
            .field("host_key", self.host_key())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Dials a target, through `via` where it has a jump host.
    pub(super) async fn dial(
        target: &Target,
        via: Option<Arc<Connection>>,
        pace: &Pace,
    ) -> Result<Arc<Self>, SshError> {
        let dialled = dial(target, via.as_ref(), pace).await?;
        Ok(Self::over(dialled, target, via, pace))
    }

    /// Takes an authenticated session over.
    pub(super) fn over(
        dialled: Dialled,
        target: &Target,
        via: Option<Arc<Connection>>,
        pace: &Pace,
    ) -> Arc<Self> {
        let main = Lane::new(dialled, target.silence);
        Arc::new_cyclic(|shared| Self {
            shared: Weak::clone(shared),
            sessions: Sessions::new(Arc::clone(&main)),
            main,
            target: target.clone(),
            via,
            pace: pace.clone(),
            activity: Activity::new(),
            spare: Spare::default(),
            used: AtomicBool::new(false),
            sftp: Mutex::new(None),
            home: OnceCell::new(),
            account: OnceCell::new(),
        })
    }

    /// The key this server proved to hold.
    #[must_use]
    pub fn host_key(&self) -> &HostKey {
        self.main.host_key()
    }

    /// Whether the connection is known to be lost.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.main.is_closed()
    }

    /// Says whether this use of the connection is likely to be its only one, as in a
    /// call on many servers: then nothing is opened ahead for the next. A connection
    /// that was used before is one that is used again.
    pub fn expect(&self, only: bool) {
        let used_before = self.used.swap(true, Ordering::Relaxed);
        self.spare.expect_more(!only || used_before);
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
        let channel = self.sessions.for_files(self).await?;
        let mut time = OwnTime::new(self.target.connect_timeout);
        let opening = Sftp::open(channel, self.activity.clone(), self.target.silence);
        let opened = time.within(opening);
        let sftp = opened.await.ok_or_else(|| SftpError::Unavailable {
            reason: "the server did not answer".to_owned(),
        })??;
        Ok(Arc::clone(current.insert(Arc::new(sftp))))
    }

    /// Another login to the same server, for sessions that cannot stand on the
    /// first one.
    pub(super) async fn dial_again(&self) -> Result<Dialled, SshError> {
        let dialled = Box::pin(dial(&self.target, self.via.as_ref(), &self.pace)).await?;
        if dialled.host_key != *self.host_key() {
            // What is permitted is permitted for the host that was seen then.
            return Err(connect_failed(
                &self.target.host,
                self.target.port,
                "a second connection met another host key than the first".to_owned(),
            ));
        }
        Ok(dialled)
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
        self.spare.clear();
        self.sessions.close().await;
        self.main.close().await;
    }

    /// How long nothing was asked of this connection.
    pub(super) fn idle(&self) -> Duration {
        self.activity.idle()
    }

    /// Whether the server answers within `limit`.
    pub(super) async fn answers(&self, limit: Duration) -> bool {
        let alive = self.main.answers(limit).await;
        if alive {
            self.activity.touch();
        }
        alive
    }

    pub(super) fn spare(&self) -> &Spare {
        &self.spare
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn shared(&self) -> Option<Arc<Self>> {
        self.shared.upgrade()
    }

    /// Whether the server is known to ignore what is sent to a channel whose
    /// request it refuses; ProFTPD, for one, ends the whole connection.
    pub(super) fn ignores_early_data(&self) -> bool {
        ["SSH-2.0-OpenSSH_", "SSH-2.0-dropbear_", "SSH-2.0-tinyssh"]
            .iter()
            .any(|known| self.main.software().starts_with(known))
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
        let opened = self.main.tunnel(host, port, Arc::clone(self)).await?;
        opened.map_err(|reason| {
            let reason = format!("jump host {}: {reason}", self.target.id);
            connect_failed(host, port, reason)
        })
    }
}
