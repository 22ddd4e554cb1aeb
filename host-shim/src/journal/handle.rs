//! The journal as the rest of the helper sees it: a handle to a writer thread,
//! and what can be done without one.
//!
//! Callers hand over redacted entries and wait. A caller that gives up waiting
//! does not take its record back.
//!
//! What it deliberately does not do: decide which events belong to a call.
//!
//! Invariant: whatever goes through the handle is redacted before the writer gets
//! it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use ulid::Generator;

use super::chain::{Chain, Placed};
use super::entry::Entry;
use super::error::JournalError;
use super::event::{Event, Unsettled};
use super::export::{self, ExportCheck, Extent};
use super::keys::KeyState;
use super::ledger::Ledger;
use super::leftovers::{self, Leftover};
use super::reader::{self, Filter, Record, Records};
use super::redact::Redactor;
use super::tail::Tail;
use super::verify::{self, Verification};
use super::writer::{self, Command};

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
    /// Sequence number; the first record of a journal is 1.
    pub seq: u64,
    /// Hash of the record, in hex.
    pub hash: String,
}

/// Limits that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size from which a segment is finished, in bytes. What a process reads
    /// when it starts grows with it.
    pub segment_bytes: u64,
    /// Age from which a segment is finished, counted from its first record.
    pub segment_age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: crate::fault::segment_bytes(8 * 1024 * 1024),
            segment_age: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
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
    owner: String,
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
        let chain = Chain::open(dir, id.clone(), options)?;
        let started = writer::start(chain, &id)?;
        Ok(Self {
            shared: Arc::new(Shared {
                dir: dir.to_path_buf(),
                owner: id,
                redactor,
                mark: started.mark,
                recovered: started.recovered,
                commands: Some(started.commands),
                thread: Some(started.thread),
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
    /// [`JournalError`] where the record cannot be read or the writer has stopped;
    /// whether the key is taken is not known then.
    pub async fn find_key(&self, key: &str) -> Result<Option<KeyState>, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Find {
            key: self.shared.redactor.scrub(key).into_owned(),
            reply,
        })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Changes whose outcome is unknown and that nothing final was found out
    /// about, by any process, oldest first.
    ///
    /// # Errors
    /// [`JournalError`] where the writer has stopped; that the list would be empty
    /// must not be concluded.
    pub async fn unknown(&self) -> Result<Vec<Unsettled>, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Unknown { reply })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Settles the actions of processes that died since the journal was opened,
    /// durably; returns how many.
    ///
    /// # Errors
    /// [`JournalError`] where the record cannot be read or written; whoever opens
    /// the journal next settles what is left.
    pub async fn recover(&self) -> Result<usize, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Recover { reply })?;
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

    /// The temporary files that may be on a server, by its logical id and the
    /// fingerprint of its key.
    ///
    /// # Errors
    /// `Unavailable` where the notes cannot be read.
    pub fn leftovers(&self, server: &str, host_key: &str) -> Result<Vec<Leftover>, JournalError> {
        leftovers::of_server(self.dir(), server, host_key)
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

    /// The change of an action whose outcome is unknown, from every record of it,
    /// however long ago; none where it is known what became of it, or no such
    /// action changed anything.
    ///
    /// # Errors
    /// As [`Journal::show`].
    pub fn unsettled(dir: &Path, action: &str) -> Result<Option<Unsettled>, JournalError> {
        let mut ledger = Ledger::default();
        for record in Self::show(dir, action)? {
            ledger.note(&record.entry);
        }
        Ok(ledger.unknown().pop())
    }

    /// Checks every byte of the journal in a directory and changes nothing.
    ///
    /// # Errors
    /// Only where the files cannot be read; faults are part of the answer.
    pub fn verify(dir: &Path) -> Result<Verification, JournalError> {
        verify::verify(dir)
    }

    /// Follows the journal in a directory from after a record on; 0 is before the
    /// first. Needs no open journal.
    ///
    /// # Errors
    /// `Unavailable` where the directory cannot be read.
    pub fn tail(dir: &Path, after: u64, filter: Filter) -> Result<Tail, JournalError> {
        Tail::after(dir, after, filter)
    }

    /// Writes the records that match, with what is needed to check them later.
    ///
    /// # Errors
    /// The first line that is no record, and whatever keeps `out` from being
    /// written.
    pub fn export(dir: &Path, filter: Filter, out: &mut dyn Write) -> Result<Extent, JournalError> {
        export::export(dir, filter, out)
    }

    /// Checks an export.
    ///
    /// # Errors
    /// Only where the file cannot be read; faults are part of the answer.
    pub fn check_export(path: &Path) -> Result<ExportCheck, JournalError> {
        export::check(path)
    }

    /// Where the journal is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// This process's name among the owners of actions.
    pub(super) fn owner(&self) -> &str {
        &self.shared.owner
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

fn new_id() -> String {
    Generator::new()
        .generate()
        .unwrap_or_else(|overflow| overflow.commit_overflow_random())
        .to_string()
}

impl From<Placed> for Receipt {
    fn from(placed: Placed) -> Self {
        Self {
            seq: placed.seq,
            hash: placed.hash,
        }
    }
}
