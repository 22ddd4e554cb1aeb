//! One login of a connection and the sessions it carries.
//!
//! Most servers allow many sessions on one login, so a connection has one lane.
//! Where the server allows a single session, or ends the login with it, further
//! lanes are logged in for those that have to stand beside it.
//!
//! Invariant: a session that was opened is closed even if whoever asked for it
//! has given up meanwhile; a server that does not answer the wish for one within
//! the time for silence is lost, whatever else it answers. It deliberately decides
//! nothing about order: a turn is brought along.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use russh::client::Handle;
use russh::{ChannelOpenFailure, Disconnect};

use super::channel::{SessionChannel, Tunnel};
use super::client::Client;
use super::dial::Dialled;
use super::error::SshError;
use super::host_key::HostKey;
use super::pace::OwnTime;
use super::queue::Turn;
use crate::fault::{self, Point};

/// How long after the end of a session a refusal may be due to it: sshd looks at
/// a close and the next open at once where they come together, and has the place
/// free only after that.
const CLEARING: Duration = Duration::from_millis(500);

/// An authenticated session of the transport.
pub(super) struct Lane {
    session: Handle<Client>,
    host_key: HostKey,
    software: String,
    /// How long the server may take to answer the wish for a session.
    silence: Duration,
    counts: Arc<Mutex<Counts>>,
}

/// What stands on a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Sessions the server was asked for and has not answered about.
    opening: usize,
    /// Sessions it has admitted and that are not closed on both sides.
    open: usize,
    /// Whether it ever admitted one.
    admitted: bool,
    /// Whether it was lost with a session on it, or with the wish for one.
    cut: bool,
    /// Whether it is known to be gone, though the library has not said so yet.
    gone: bool,
    /// When the last session on it ended.
    left_at: Option<Instant>,
}

/// What became of the wish for a session.
pub(super) enum Opening {
    /// It is there.
    Open(SessionChannel),
    /// There are too many; this is how many there may be, as far as this tells.
    TooMany {
        /// The server's reason.
        reason: String,
        /// Sessions that stand on the lane, where that is the server's limit.
        allowed: Option<usize>,
        /// Whether one has ended just now, which the server may not have cleared
        /// away yet.
        clearing: bool,
        /// The turn that was brought along, to be kept until there is a new
        /// place in the queue.
        turn: Option<Arc<Turn>>,
    },
    /// The server gives none, for another reason.
    Never(String),
}

impl Lane {
    /// Takes a session over whose server may say nothing for `silence`.
    pub(super) fn new(dialled: Dialled, silence: Duration) -> Arc<Self> {
        let Dialled {
            session,
            host_key,
            software,
        } = dialled;
        Arc::new(Self {
            session,
            host_key,
            software,
            silence,
            counts: Arc::default(),
        })
    }

    /// The key the server proved to hold.
    pub(super) fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// How the server names itself.
    pub(super) fn software(&self) -> &str {
        &self.software
    }

    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed() || self.counts().gone
    }

    /// Whether the server ended the login after the sessions on it had ended
    /// properly, as TinySSH does. Nothing was lost by that.
    pub(super) fn is_spent(&self) -> bool {
        let counts = *self.counts();
        self.is_closed() && counts.admitted && !counts.cut && counts.open == 0
    }

    /// A seat, however many are taken.
    pub(super) fn seat(self: &Arc<Self>) -> Seat {
        self.counts().opening += 1;
        Seat {
            counts: Arc::clone(&self.counts),
            open: false,
        }
    }

    /// The only seat, if nobody has it.
    pub(super) fn only_seat(self: &Arc<Self>) -> Option<Seat> {
        let mut counts = self.counts();
        if counts.opening + counts.open > 0 {
            return None;
        }
        counts.opening = 1;
        Some(Seat {
            counts: Arc::clone(&self.counts),
            open: false,
        })
    }

    /// Asks the server for a session. Whoever does not wait for the answer has
    /// its turn only back when that session is closed again.
    pub(super) async fn open(
        self: &Arc<Self>,
        seat: Seat,
        turn: Option<Arc<Turn>>,
    ) -> Result<Opening, SshError> {
        let lane = Arc::clone(self);
        let opening = tokio::spawn(async move { lane.open_to_the_end(seat, turn).await });
        match opening.await {
            Ok(opening) => opening,
            Err(error) => Err(SshError::Local(error.to_string())),
        }
    }

    async fn open_to_the_end(
        &self,
        mut seat: Seat,
        turn: Option<Arc<Turn>>,
    ) -> Result<Opening, SshError> {
        fault::reach(Point::ChannelBefore);
        // Keepalives do not find this out: they are answered elsewhere in the server.
        let mut time = OwnTime::new(self.silence);
        let Some(answer) = time.within(self.session.channel_open_session()).await else {
            let mut counts = self.counts();
            (counts.gone, counts.cut) = (true, true);
            return Err(SshError::ConnectionLost { started: false });
        };
        let reason = match answer {
            Ok(channel) => {
                seat.admit();
                fault::reach(Point::ChannelOpened);
                return Ok(Opening::Open(SessionChannel::new(channel, seat, turn)));
            }
            Err(russh::Error::ChannelOpenFailure(reason)) => reason,
            Err(error) => {
                let error = SshError::from(error);
                if matches!(error, SshError::ConnectionLost { .. }) {
                    self.counts().gone = true;
                }
                return Err(error);
            }
        };
        let counts = *self.counts();
        let text = refusal_text(&reason);
        if !teaches(&reason, counts.admitted) {
            return Ok(Opening::Never(text));
        }
        Ok(Opening::TooMany {
            reason: text,
            // With others under way nobody can tell which of them will stand.
            allowed: (counts.opening == 1).then_some(counts.open),
            clearing: counts.left_at.is_some_and(|at| at.elapsed() < CLEARING),
            turn,
        })
    }

    /// A TCP connection made by the server (RFC 4254 section 7.2), which keeps
    /// `kept` for as long as it lasts.
    pub(super) async fn tunnel<K>(
        &self,
        host: &str,
        port: u16,
        kept: K,
    ) -> Result<Result<Tunnel<K>, String>, SshError> {
        let opened = self
            .session
            .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)
            .await;
        match opened {
            Ok(channel) => Ok(Ok(Tunnel::new(channel, kept))),
            Err(russh::Error::ChannelOpenFailure(reason)) => Ok(Err(refusal_text(&reason))),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the server answers within `limit`.
    pub(super) async fn answers(&self, limit: Duration) -> bool {
        let ping = tokio::time::timeout(limit, self.session.send_ping()).await;
        // A session that ends drops the answer's sender, which also completes the ping.
        matches!(ping, Ok(Ok(()))) && !self.is_closed()
    }

    pub(super) async fn close(&self) {
        // A lost connection needs no goodbye.
        let _ = self
            .session
            .disconnect(Disconnect::ByApplication, "", "")
            .await;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        locked(&self.counts)
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of one session on a lane.
#[derive(Debug)]
pub(super) struct Seat {
    counts: Arc<Mutex<Counts>>,
    open: bool,
}

impl Seat {
    fn admit(&mut self) {
        let mut counts = locked(&self.counts);
        counts.opening -= 1;
        counts.open += 1;
        counts.admitted = true;
        self.open = true;
    }

    /// The lane was lost with this session on it.
    pub(super) fn cut_off(&self) {
        locked(&self.counts).cut = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        if self.open {
            counts.open -= 1;
            counts.left_at = Some(Instant::now());
        } else {
            counts.opening -= 1;
        }
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
