//! The journal as the rest of the helper sees it: a handle and a writer thread.
//!
//! Callers hand over redacted entries and wait. The thread takes everything
//! that is waiting, writes it at once and, where one of the callers needs it,
//! makes it durable with a single fsync (group commit). A caller that gives up
//! waiting does not take its record back.
//!
//! What it deliberately does not do: decide which events belong to a call.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use ulid::Generator;

use super::chain::{Chain, Placed};
use super::entry::Entry;
use super::error::JournalError;
use super::event::{Event, EventKind};
use super::keys::KeyState;
use super::leftovers::{self, Leftover};
use super::owner::{self, Owner};
use super::reader::{self, Filter, Record, Records};
use super::recover;
use super::redact::Redactor;
use super::verify::{self, Verification};
use crate::fault::{self, Point};

/// How long a buffered record may stay off the disk.
const LINGER: Duration = Duration::from_millis(50);

/// Most records written at once.
const BATCH: usize = 512;

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is in the file; it is on disk within 50 ms.
    Buffered,
    /// Once it is on disk.
    Synced,
}

/// Where a record stands in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Sequence number.
    pub seq: u64,
    /// Hash of the record, in hex.
    pub hash: String,
}

/// Sizes that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size from which a segment is finished, in bytes.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: fault::segment_bytes(64 * 1024 * 1024),
        }
    }
}

enum Command {
    Append {
        entry: Box<Entry>,
        durability: Durability,
        reply: oneshot::Sender<Result<Receipt, JournalError>>,
    },
    Find {
        key: String,
        reply: oneshot::Sender<Result<Option<KeyState>, JournalError>>,
    },
}

/// A process's handle to the journal; clones share one writer. Dropping the
/// last one waits until everything is on disk.
#[derive(Debug, Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    redactor: Redactor,
    mark: Arc<AtomicU64>,
    recovered: usize,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal in a directory, creating it with mode 0700, and
    /// settles the actions of processes that died.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be written, `Corrupt` or `Truncated` where
    /// its end is not what was written, `Busy` where another process holds it.
    pub fn open(dir: &Path, redactor: Redactor) -> Result<Self, JournalError> {
        Self::open_with(dir, redactor, Options::default())
    }

    /// As [`Journal::open`], with other sizes.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_with(
        dir: &Path,
        redactor: Redactor,
        options: Options,
    ) -> Result<Self, JournalError> {
        let id = new_id();
        let mut chain = Chain::open(dir, id.clone(), options.segment_bytes)?;
        let (owner, recovered) = chain.exclusively(|chain| join(chain, &id))?;
        Self::start(chain, owner, redactor, recovered)
    }

    fn start(
        chain: Chain,
        owner: Owner,
        redactor: Redactor,
        recovered: usize,
    ) -> Result<Self, JournalError> {
        let dir = chain.dir().to_path_buf();
        let mark = Arc::new(AtomicU64::new(chain.seq()));
        let (commands, queue) = mpsc::channel();
        let writer = Writer {
            chain,
            owner,
            mark: Arc::clone(&mark),
            unsynced: false,
            due: None,
        };
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|error| JournalError::io(&dir, &error))?;
        Ok(Self {
            shared: Arc::new(Shared {
                dir,
                redactor,
                mark,
                recovered,
                commands: Some(commands),
                thread: Some(thread),
            }),
        })
    }

    /// Records an event, redacted. The record is written even if the caller
    /// stops waiting.
    ///
    /// # Errors
    /// In every case nothing that needs the record may happen. `Duplicate`
    /// where the idempotency key of an intent is taken.
    pub async fn append(
        &self,
        event: Event,
        durability: Durability,
    ) -> Result<Receipt, JournalError> {
        let mut entry = Entry::from(event);
        self.shared.redactor.entry(&mut entry);
        let (reply, answer) = oneshot::channel();
        self.send(Command::Append {
            entry: Box::new(entry),
            durability,
            reply,
        })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// What is on record under an idempotency key, by any process.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn find_key(&self, key: &str) -> Result<Option<KeyState>, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Find {
            key: self.shared.redactor.scrub(key).into_owned(),
            reply,
        })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Sequence number of the last record this process has seen.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.shared.mark.load(Ordering::Acquire)
    }

    /// How many actions of dead processes were settled when it was opened.
    #[must_use]
    pub fn recovered(&self) -> usize {
        self.shared.recovered
    }

    /// Notes a temporary file that a write of this process may have left, durably.
    /// Blocks on files.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be written.
    pub fn note_leftover(&self, leftover: &Leftover) -> Result<(), JournalError> {
        leftovers::note(self.dir(), leftover).map_err(|error| JournalError::io(self.dir(), &error))
    }

    /// The temporary files that may be on a server, by its logical id.
    ///
    /// # Errors
    /// `Unavailable` where the notes cannot be read.
    pub fn leftovers(&self, server: &str) -> Result<Vec<Leftover>, JournalError> {
        leftovers::of_server(self.dir(), server)
            .map_err(|error| JournalError::io(self.dir(), &error))
    }

    /// Forgets the temporary file of an action.
    ///
    /// # Errors
    /// `Unavailable` where the note cannot be removed.
    pub fn forget_leftover(&self, action: &str) -> Result<(), JournalError> {
        leftovers::forget(self.dir(), action).map_err(|error| JournalError::io(self.dir(), &error))
    }

    /// Reads the records in a directory that match, in the order they were
    /// written. Needs no open journal.
    ///
    /// # Errors
    /// `Unavailable` where the directory cannot be read; faults of single lines
    /// come as items.
    pub fn read(dir: &Path, filter: Filter) -> Result<Records, JournalError> {
        reader::read(dir, filter)
    }

    /// Every record of one action, in order.
    ///
    /// # Errors
    /// As [`Journal::read`], and the first line that is no record.
    pub fn show(dir: &Path, action: &str) -> Result<Vec<Record>, JournalError> {
        let filter = Filter {
            action: Some(action.to_owned()),
            ..Filter::default()
        };
        reader::read(dir, filter)?.collect()
    }

    /// Checks every byte of the journal in a directory and changes nothing.
    ///
    /// # Errors
    /// Only where the files cannot be read; faults are part of the answer.
    pub fn verify(dir: &Path) -> Result<Verification, JournalError> {
        verify::verify(dir)
    }

    /// Where the journal is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// What redacts its records.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.shared.redactor
    }

    fn send(&self, command: Command) -> Result<(), JournalError> {
        self.shared
            .commands
            .as_ref()
            .ok_or_else(|| self.gone())?
            .send(command)
            .map_err(|_| self.gone())
    }

    fn gone(&self) -> JournalError {
        JournalError::Stopped {
            reason: format!("the writer of {} ended", self.shared.dir.display()),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has already failed every caller.
            let _ = thread.join();
        }
    }
}

/// Joins the processes that write, and settles what dead ones left.
fn join(chain: &mut Chain, id: &str) -> Result<(Owner, usize), JournalError> {
    let dir = chain.dir().to_path_buf();
    let unusable = |error: std::io::Error| JournalError::io(&dir, &error);
    let owner = Owner::enlist(&dir, id, chain.seq() + 1).map_err(unusable)?;
    let dead = owner::dead(&dir).map_err(unusable)?;
    let entries = recover::settle(&dir, &dead).map_err(unusable)?;
    let recovered = entries.len();
    if recovered > 0 || chain.needs_repair() {
        for leftover in entries.iter().filter_map(Leftover::of) {
            leftovers::note(&dir, &leftover).map_err(unusable)?;
        }
        fault::reach(Point::RecoveryBefore);
        for result in chain.append_locked(entries, true)? {
            result?;
        }
        fault::reach(Point::RecoveryAppended);
    }
    for owner in dead {
        owner.bury().map_err(unusable)?;
    }
    Ok((owner, recovered))
}

fn new_id() -> String {
    Generator::new()
        .generate()
        .unwrap_or_else(|overflow| overflow.commit_overflow_random())
        .to_string()
}

/// The thread's side.
struct Writer {
    chain: Chain,
    owner: Owner,
    mark: Arc<AtomicU64>,
    unsynced: bool,
    due: Option<Instant>,
}

/// What the owner file has to know of a record.
struct Trace {
    event: EventKind,
    action: Option<String>,
    reply: oneshot::Sender<Result<Receipt, JournalError>>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Command>) {
        loop {
            let first = match self.due {
                None => match queue.recv() {
                    Ok(command) => command,
                    Err(_) => break,
                },
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        self.settle();
                        continue;
                    }
                    match queue.recv_timeout(left) {
                        Ok(command) => command,
                        Err(RecvTimeoutError::Timeout) => {
                            self.settle();
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            let mut commands = vec![first];
            while commands.len() < BATCH
                && let Ok(command) = queue.try_recv()
            {
                commands.push(command);
            }
            self.serve(commands);
        }
        self.settle();
    }

    fn serve(&mut self, commands: Vec<Command>) {
        let mut entries = Vec::new();
        let mut traces = Vec::new();
        let mut questions = Vec::new();
        let mut sync = false;
        for command in commands {
            match command {
                Command::Append {
                    entry,
                    durability,
                    reply,
                } => {
                    sync |= durability == Durability::Synced;
                    traces.push(Trace {
                        event: entry.event,
                        action: entry.action.clone(),
                        reply,
                    });
                    entries.push(*entry);
                }
                Command::Find { key, reply } => questions.push((key, reply)),
            }
        }
        if !entries.is_empty() {
            self.write(entries, traces, sync);
        }
        for (key, reply) in questions {
            // A caller that went away needs no answer.
            let _ = reply.send(self.chain.find_key(&key));
        }
        self.mark.store(self.chain.seq(), Ordering::Release);
    }

    fn write(&mut self, entries: Vec<Entry>, traces: Vec<Trace>, sync: bool) {
        match self.chain.append(entries, sync) {
            Ok(results) => {
                self.mark.store(self.chain.seq(), Ordering::Release);
                // An fsync covers what was buffered before it, too.
                self.unsynced = !sync;
                self.due.get_or_insert_with(|| Instant::now() + LINGER);
                for (trace, result) in traces.into_iter().zip(results) {
                    if let Ok(placed) = &result {
                        self.owner
                            .note(trace.event, trace.action.as_deref(), placed.seq);
                    }
                    let _ = trace.reply.send(result.map(Receipt::from));
                }
            }
            Err(error) => {
                for trace in traces {
                    // Part of it may be in the file all the same: the name of
                    // its owner stays, so that the next process looks.
                    if trace.event == EventKind::Intent {
                        self.owner
                            .note(trace.event, trace.action.as_deref(), self.chain.seq());
                    }
                    let _ = trace.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Makes durable what lingers. A failure that lasts is what the next
    /// caller is told.
    fn settle(&mut self) {
        self.due = None;
        if self.unsynced {
            match self.chain.sync() {
                Err(JournalError::Busy { .. }) => {
                    self.due = Some(Instant::now() + LINGER);
                    return;
                }
                Ok(()) | Err(_) => self.unsynced = false,
            }
        }
        let _ = self.chain.sync_head();
        self.mark.store(self.chain.seq(), Ordering::Release);
    }
}

impl From<Placed> for Receipt {
    fn from(placed: Placed) -> Self {
        Self {
            seq: placed.seq,
            hash: placed.hash,
        }
    }
}
