//! The sessions of one connection: in what order they are opened, and on which
//! login they stand.
//!
//! Invariant: a refused session is a lesson, not an error: it is asked for again
//! with what was learned, before everybody who came later. Nothing runs in a
//! session before it is handed out, so asking again repeats nothing. Where the
//! server turns out to allow one session a login, each of ours gets a login to
//! itself, one command at a time. It deliberately never dials for a login that
//! was lost with a session on it: the pool does, before the next use.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use super::channel::SessionChannel;
use super::connection::Connection;
use super::error::SshError;
use super::lane::{Lane, Opening, Seat};
use super::queue::{Queue, Ticket, Turn};

/// How often a session is asked for again where the server may still be clearing
/// away the one before, and how long after at first and at most.
const CLEARING_TRIES: u32 = 10;
/// Tries of those after which a refusal counts as the server's limit all the same.
const TRIES_UNTIL_BELIEVED: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Logins beside the first one, at most: one for SFTP, one for a command, and
/// some for looking after commands that did not end.
const MORE_LANES: usize = 4;

/// What a session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// SFTP, which stays open and queues for nothing where it has its own login.
    Files,
    /// A command, which queues.
    Command,
    /// Work that brings a command to its end, which must not wait behind others.
    Ending,
}

/// The sessions of a connection.
pub(super) struct Sessions {
    queue: Queue,
    main: Arc<Lane>,
    /// Logins of one session each.
    more: Mutex<Vec<Arc<Lane>>>,
    /// The turn of the SFTP session on the first login, which is given up when
    /// that is found to allow no other.
    files: std::sync::Mutex<Weak<Turn>>,
}

impl Sessions {
    pub(super) fn new(main: Arc<Lane>) -> Self {
        Self {
            queue: Queue::new(),
            main,
            more: Mutex::default(),
            files: std::sync::Mutex::default(),
        }
    }

    /// A session for SFTP.
    pub(super) async fn for_files(
        &self,
        connection: &Connection,
    ) -> Result<SessionChannel, SshError> {
        self.open(connection, Purpose::Files).await
    }

    /// A session for a command, in order of arrival.
    pub(super) async fn for_command(
        &self,
        connection: &Connection,
    ) -> Result<SessionChannel, SshError> {
        self.open(connection, Purpose::Command).await
    }

    /// A session for ending a command or for finding out what became of it.
    pub(super) async fn for_ending(
        &self,
        connection: &Connection,
    ) -> Result<SessionChannel, SshError> {
        self.open(connection, Purpose::Ending).await
    }

    /// How many sessions the server is believed to allow.
    pub(super) fn limit(&self) -> usize {
        self.queue.limit()
    }

    /// How many sessions could be opened right now.
    pub(super) fn free(&self) -> usize {
        self.queue.free()
    }

    /// How many commands wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Sends everyone who waits away, and ends the further logins.
    pub(super) async fn close(&self) {
        self.queue.close();
        for lane in std::mem::take(&mut *self.more.lock().await) {
            lane.close().await;
        }
    }

    async fn open(
        &self,
        connection: &Connection,
        purpose: Purpose,
    ) -> Result<SessionChannel, SshError> {
        let ticket = self.queue.ticket();
        let mut patience = CLEARING_TRIES;
        let mut pause = FIRST_PAUSE;
        // The turn somebody was sent away with.
        let mut back = None;
        loop {
            let (lane, seat, turn) = self.place(connection, purpose, ticket, back.take()).await?;
            let is_main = Arc::ptr_eq(&lane, &self.main);
            if is_main && purpose == Purpose::Files {
                *self.files() = turn.as_ref().map_or_else(Weak::new, Arc::downgrade);
            }
            let opening = match lane.open(seat, turn).await {
                // It ended with its last session, unnoticed so far.
                Err(SshError::ConnectionLost { .. }) if lane.is_spent() && patience > 0 => {
                    patience -= 1;
                    continue;
                }
                opening => opening?,
            };
            match opening {
                Opening::Open(channel) => {
                    if is_main {
                        self.queue.admitted();
                    }
                    // Learned while this one was under way.
                    if is_main && self.queue.limit() == 1 {
                        self.give_up_the_turn_of_files();
                    }
                    return Ok(channel);
                }
                Opening::Never(reason) => return Err(SshError::ChannelRefused { reason }),
                Opening::TooMany {
                    reason,
                    allowed,
                    clearing,
                    turn,
                } => {
                    back = turn;
                    let before = self.queue.limit();
                    let tried = CLEARING_TRIES - patience;
                    let teaches = !clearing || tried >= TRIES_UNTIL_BELIEVED;
                    if is_main && before > 1 && teaches {
                        self.queue.narrow(allowed.unwrap_or(before - 1));
                        if self.queue.limit() == 1 {
                            self.give_up_the_turn_of_files();
                        }
                        continue;
                    }
                    if patience == 0 {
                        return Err(SshError::ChannelRefused { reason });
                    }
                    patience -= 1;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Where a session is to be opened, and the turn for it where it needs one.
    async fn place(
        &self,
        connection: &Connection,
        purpose: Purpose,
        ticket: Ticket,
        back: Option<Arc<Turn>>,
    ) -> Result<(Arc<Lane>, Seat, Option<Arc<Turn>>), SshError> {
        let alone = self.is_one_each();
        let turn = match purpose {
            Purpose::Files if alone => None,
            Purpose::Ending if alone => None,
            Purpose::Ending => match self.queue.turn_now() {
                Some(turn) => Some(turn),
                None => {
                    let (lane, seat) = self.lane_of_its_own(connection).await?;
                    return Ok((lane, seat, None));
                }
            },
            Purpose::Files | Purpose::Command => {
                if self.queue.free() == 0 {
                    connection.spare().make_way();
                }
                Some(self.queue.turn(ticket, back).await?)
            }
        };
        // It may have been learned while we waited.
        if !alone && !self.is_one_each() {
            let seat = self.main.seat();
            return Ok((Arc::clone(&self.main), seat, turn.map(Arc::new)));
        }
        // A command keeps its turn: one at a time is what the server allows.
        let turn = turn.filter(|_| purpose == Purpose::Command);
        let (lane, seat) = self.lane_of_its_own(connection).await?;
        Ok((lane, seat, turn.map(Arc::new)))
    }

    /// Whether each session needs a login of its own.
    fn is_one_each(&self) -> bool {
        if self.main.is_spent() {
            self.queue.narrow(1);
        }
        self.queue.limit() == 1
    }

    /// A login on which nothing stands: a free one, or another.
    async fn lane_of_its_own(
        &self,
        connection: &Connection,
    ) -> Result<(Arc<Lane>, Seat), SshError> {
        if self.main.is_closed() {
            if !self.main.is_spent() {
                return Err(SshError::ConnectionLost { started: false });
            }
        } else if let Some(seat) = self.main.only_seat() {
            return Ok((Arc::clone(&self.main), seat));
        }
        let mut more = self.more.lock().await;
        more.retain(|lane| !lane.is_closed());
        for lane in more.iter() {
            if let Some(seat) = lane.only_seat() {
                return Ok((Arc::clone(lane), seat));
            }
        }
        if more.len() >= MORE_LANES {
            return Err(SshError::ChannelRefused {
                reason: format!("{} connections of one session each are in use", more.len()),
            });
        }
        let silence = connection.target().silence;
        let lane = Lane::new(connection.dial_again().await?, silence);
        more.push(Arc::clone(&lane));
        let seat = lane.seat();
        Ok((lane, seat))
    }

    /// SFTP holds the only session of the first login from now on; commands take
    /// their turns on others.
    fn give_up_the_turn_of_files(&self) {
        if let Some(turn) = self.files().upgrade() {
            turn.release();
        }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Weak<Turn>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.queue.close();
    }
}
