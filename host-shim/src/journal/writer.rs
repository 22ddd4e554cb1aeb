//! The thread that writes: takes everything that is waiting, writes it at once
//! and, where one of the callers needs it, makes it durable with a single fsync
//! (group commit). An outcome that could not be written is tried again, since what
//! is known of an effect must not become unknown over a full disk.
//!
//! What it deliberately does not do: redact, or number and hash records.
//!
//! Invariant: a caller who asked for a durable record is answered after the fsync
//! that covers it; after a failed fsync every caller is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::chain::{Chain, Placed};
use super::entry::Entry;
use super::error::JournalError;
use super::event::{EventKind, Unsettled};
use super::handle::{Durability, Receipt};
use super::keys::KeyState;
use super::lease;
use super::leftovers::{self, Leftover};
use super::owner::{self, Floor, Owner};
use super::recover;
use crate::fault::{self, Point};

/// How long a buffered record may stay off the disk.
const LINGER: Duration = Duration::from_millis(50);

/// How long outcomes that could not be written wait before they are tried again
/// on their own; whatever is written in between takes them along.
const RETRY: Duration = Duration::from_secs(1);

/// Most records written at once.
const BATCH: usize = 512;

/// What the thread is asked to do.
pub(super) enum Command {
    Append {
        entry: Box<Entry>,
        durability: Durability,
        reply: oneshot::Sender<Result<Receipt, JournalError>>,
    },
    Find {
        key: String,
        reply: oneshot::Sender<Result<Option<KeyState>, JournalError>>,
    },
    Unknown {
        reply: oneshot::Sender<Result<Vec<Unsettled>, JournalError>>,
    },
    Recover {
        reply: oneshot::Sender<Result<usize, JournalError>>,
    },
}

/// A thread that has begun.
pub(super) struct Started {
    pub(super) commands: Sender<Command>,
    pub(super) thread: JoinHandle<()>,
    /// Number of the last record seen.
    pub(super) mark: Arc<AtomicU64>,
    /// How many actions of dead processes were settled.
    pub(super) recovered: usize,
}

/// Settles what dead processes left, and starts the thread.
pub(super) fn start(mut chain: Chain, id: &str) -> Result<Started, JournalError> {
    let (owner, recovered) = chain.exclusively(|chain| join(chain, id))?;
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
    Ok(Started {
        commands,
        thread,
        mark,
        recovered,
    })
}

/// Joins the processes that write, and settles what dead ones left.
fn join(chain: &mut Chain, id: &str) -> Result<(Owner, usize), JournalError> {
    let dir = chain.dir().to_path_buf();
    let unusable = |error: std::io::Error| JournalError::io(&dir, &error);
    let owner = Owner::enlist(&dir, id, Floor::after(chain.at())).map_err(unusable)?;
    let recovered = settle_dead(chain)?;
    Ok((owner, recovered))
}

/// Settles what dead processes left, with the chain held.
fn settle_dead(chain: &mut Chain) -> Result<usize, JournalError> {
    let dir = chain.dir().to_path_buf();
    let unusable = |error: std::io::Error| JournalError::io(&dir, &error);
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
    let any = !dead.is_empty();
    for owner in dead {
        owner.bury().map_err(unusable)?;
    }
    if any {
        // A ticket that stays keeps nobody waiting: whoever asks for the same thing
        // finds out that its holder is dead.
        let _ = lease::sweep(&dir);
    }
    Ok(recovered)
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
        let mut recover = Vec::new();
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
                Command::Recover { reply } => recover.push(reply),
                question => questions.push(question),
            }
        }
        if !entries.is_empty() {
            self.write(entries, traces, sync);
        }
        if !recover.is_empty() {
            let recovered = self.chain.exclusively(settle_dead);
            for reply in recover {
                let _ = reply.send(recovered.clone());
            }
        }
        for question in questions {
            // A caller that went away needs no answer.
            match question {
                Command::Find { key, reply } => drop(reply.send(self.chain.find_key(&key))),
                Command::Unknown { reply } => drop(reply.send(self.chain.unknown())),
                Command::Append { .. } | Command::Recover { .. } => {}
            }
        }
        self.mark.store(self.chain.seq(), Ordering::Release);
    }

    fn write(&mut self, entries: Vec<Entry>, traces: Vec<Trace>, sync: bool) {
        match self.append(entries, &traces, sync) {
            Ok(results) => {
                self.mark.store(self.chain.seq(), Ordering::Release);
                // An fsync covers what was buffered before it, too.
                self.unsynced = !sync;
                self.due.get_or_insert_with(|| Instant::now() + LINGER);
                for (trace, result) in traces.into_iter().zip(results) {
                    if let Ok(placed) = &result {
                        self.owner.note(
                            trace.event,
                            trace.action.as_deref(),
                            placed.seq,
                            Some(placed.place),
                        );
                    }
                    let _ = trace.reply.send(result.map(Receipt::from));
                }
                if sync {
                    self.owner.synced();
                }
            }
            Err(error) => {
                for trace in traces {
                    // Part of it may be in the file all the same: the name of
                    // its owner stays, so that the next process looks.
                    if trace.event == EventKind::Intent {
                        self.owner.note(
                            trace.event,
                            trace.action.as_deref(),
                            self.chain.seq(),
                            None,
                        );
                    }
                    let _ = trace.reply.send(Err(error.clone()));
                }
                if self.chain.owes() && !matches!(error, JournalError::Stopped { .. }) {
                    self.due.get_or_insert_with(|| Instant::now() + RETRY);
                }
            }
        }
    }

    /// Appends; what cannot be written and is known already is kept for the next
    /// time.
    fn append(
        &mut self,
        entries: Vec<Entry>,
        traces: &[Trace],
        sync: bool,
    ) -> Result<Vec<Result<Placed, JournalError>>, JournalError> {
        let outcomes: Vec<Entry> = entries
            .iter()
            .filter(|entry| entry.event == EventKind::Outcome)
            .cloned()
            .collect();
        let appended = self.try_append(entries, traces, sync);
        if appended.is_err() {
            self.chain.owe(outcomes);
        }
        self.note_paid();
        appended
    }

    /// Tells the owner file of outcomes that were written later than they were
    /// handed over.
    fn note_paid(&mut self) {
        for paid in self.chain.paid() {
            let action = Some(paid.action.as_str());
            self.owner
                .note(EventKind::Outcome, action, paid.seq, Some(paid.place));
        }
    }

    /// Writes the outcomes that could not be written before. Whether the chain can
    /// be used for anything else now.
    fn pay(&mut self) -> bool {
        let paid = self.chain.append(Vec::new(), true);
        self.note_paid();
        match paid {
            Ok(_) => {
                self.unsynced = false;
                self.owner.synced();
                true
            }
            // Nothing is written after a failed fsync.
            Err(JournalError::Stopped { .. }) => true,
            Err(error) => {
                self.due = Some(Instant::now() + RETRY);
                !matches!(error, JournalError::Busy { .. })
            }
        }
    }

    fn try_append(
        &mut self,
        entries: Vec<Entry>,
        traces: &[Trace],
        sync: bool,
    ) -> Result<Vec<Result<Placed, JournalError>>, JournalError> {
        if traces.iter().any(|trace| trace.event == EventKind::Intent) {
            self.owner
                .busy()
                .map_err(|error| JournalError::io(self.chain.dir(), &error))?;
        }
        self.chain.append(entries, sync)
    }

    /// Makes durable what lingers. A failure that lasts is what the next
    /// caller is told.
    fn settle(&mut self) {
        self.due = None;
        if self.chain.owes() && !self.pay() {
            return;
        }
        if self.unsynced {
            match self.chain.sync() {
                Err(JournalError::Busy { .. }) => {
                    self.due = Some(Instant::now() + LINGER);
                    return;
                }
                Ok(()) => {
                    self.unsynced = false;
                    self.owner.synced();
                }
                Err(_) => self.unsynced = false,
            }
        }
        let _ = self.chain.sync_head();
        self.mark.store(self.chain.seq(), Ordering::Release);
    }
}
