//! Writing the chain: one process at a time adds whole lines at the end.
//!
//! Invariant: every operation takes the file lock, follows what other processes
//! added since (and thereby checks it), and only then writes. The head moves only
//! after an fsync, so it never vouches for what the disk may not have.
//!
//! After a failed fsync nothing more is written: the kernel may have dropped
//! the pages and would report success the next time.
//!
//! What an event means, and who waits for it, is not known here.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::batch::Batch;
use super::entry::Entry;
use super::error::JournalError;
use super::event::{EventKind, Unsettled};
use super::follow::{Follower, Repair, walk};
use super::handle::Options;
use super::head::{HEAD, HeadFile, Position};
use super::index::Index;
use super::keys::{KeyState, Place};
use super::lock::FileLock;
use super::opening::{
    Current, open_current, open_head, prepare, previous_segment, refusal, trusted_position,
};
use super::owed::{Owed, Paid};
use super::segments;
use crate::fault::{self, Point};

/// Name of the file all writers lock.
pub(super) const LOCK: &str = "lock";

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) seq: u64,
    pub(super) hash: String,
    pub(super) place: Place,
}

/// One process's end of the chain.
#[derive(Debug)]
pub(super) struct Chain {
    dir: PathBuf,
    lock: Arc<FileLock>,
    head: HeadFile,
    current: Current,
    at: Position,
    repair: Repair,
    options: Options,
    /// Segment being written and when its first record was.
    begun: Option<(u64, Timestamp)>,
    owner: String,
    index: Option<Index>,
    owed: Owed,
    stopped: Option<String>,
    #[cfg(test)]
    pub(super) fail_next_sync: bool,
    /// So many bytes of the next text reach the file before writing fails.
    #[cfg(test)]
    pub(super) fail_next_write: Option<usize>,
}

impl Chain {
    /// Opens the chain in a directory, creating both. Reads from the last
    /// place known to be on disk, not the whole file.
    pub(super) fn open(dir: &Path, owner: String, options: Options) -> Result<Self, JournalError> {
        prepare(dir)?;
        let lock_path = dir.join(LOCK);
        let lock = Arc::new(
            FileLock::create(&lock_path).map_err(|error| JournalError::io(&lock_path, &error))?,
        );
        let held = Arc::clone(&lock);
        let _guard = held
            .exclusive()
            .map_err(|error| JournalError::lock(&lock_path, &error))?;
        let head = open_head(dir)?;
        let current = open_current(dir)?;
        let at = trusted_position(dir, &head)?;
        let mut chain = Self {
            dir: dir.to_path_buf(),
            lock,
            head,
            current,
            at,
            repair: Repair::None,
            options,
            begun: None,
            owner,
            index: None,
            owed: Owed::default(),
            stopped: None,
            #[cfg(test)]
            fail_next_sync: false,
            #[cfg(test)]
            fail_next_write: None,
        };
        chain.catch_up()?;
        chain.sync_locked()?;
        Ok(chain)
    }

    /// Sequence number of the last record.
    pub(super) fn seq(&self) -> u64 {
        self.at.seq
    }

    /// Just after the last record.
    pub(super) fn at(&self) -> &Position {
        &self.at
    }

    /// The directory of the journal.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs something while this process holds the chain.
    pub(super) fn exclusively<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        if let Some(reason) = &self.stopped {
            return Err(JournalError::Stopped {
                reason: reason.clone(),
            });
        }
        let lock = Arc::clone(&self.lock);
        let _guard = lock
            .exclusive()
            .map_err(|error| JournalError::lock(&self.dir.join(LOCK), &error))?;
        work(self)
    }

    /// Appends entries in order. The outer error concerns all of them; an inner
    /// one only that entry, which is then not written.
    pub(super) fn append(
        &mut self,
        entries: Vec<Entry>,
        sync: bool,
    ) -> Result<Vec<Result<Placed, JournalError>>, JournalError> {
        self.exclusively(|chain| chain.append_locked(entries, sync))
    }

    /// As [`Chain::append`], for a caller that holds the chain.
    pub(super) fn append_locked(
        &mut self,
        entries: Vec<Entry>,
        sync: bool,
    ) -> Result<Vec<Result<Placed, JournalError>>, JournalError> {
        self.catch_up()?;
        self.rotate_if_due()?;
        // A key is looked up in what is on record so far: an index that were made
        // halfway through the batch would never learn of the first half.
        let keyed = |entry: &Entry| entry.event == EventKind::Intent && entry.key.is_some();
        if entries.iter().any(keyed) {
            self.index()?;
        }
        // Torn bytes stay where they are; the new text goes after them.
        let kept = match &self.repair {
            Repair::Torn { newline, torn } => torn.bytes - u64::from(*newline),
            Repair::None | Repair::Newline => 0,
        };
        let mut batch = Batch::after(&self.at, kept);
        match self.repair.clone() {
            Repair::None => {}
            Repair::Newline => batch.text.push('\n'),
            Repair::Torn { newline, torn } => {
                if newline {
                    batch.text.push('\n');
                }
                let note = Entry {
                    text: Some(format!(
                        "the {} bytes before this record are no record; a writer was interrupted",
                        torn.bytes
                    )),
                    torn: Some(torn),
                    ..Entry::blank(EventKind::Note)
                };
                batch.add(note, &self.owner)?;
            }
        }
        if self.at.end == 0 && self.at.seq > 0 {
            let follows = previous_segment(&self.dir, self.at.segment);
            let checkpoint = Entry {
                segment: Some(self.index()?.ledger().carried(follows)),
                ..Entry::blank(EventKind::Checkpoint)
            };
            batch.add(checkpoint, &self.owner)?;
        }
        let mut late = Vec::new();
        for entry in self.owed.entries() {
            // What is too long now will be so the next time.
            let placed = self.place(entry, &mut batch).ok();
            late.push(placed.map(|placed| (placed.seq, placed.place)));
        }
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            results.push(self.place(entry, &mut batch));
        }
        self.write(&batch.text)?;
        self.at.end += kept + batch.text.len() as u64;
        self.at.seq = batch.seq;
        self.at.last = batch.last;
        self.repair = Repair::None;
        self.owed.written(late);
        if sync {
            self.sync_locked()?;
        }
        Ok(results)
    }

    /// Keeps the outcomes among entries whose append failed; they come before
    /// whatever is appended next.
    pub(super) fn owe(&mut self, entries: Vec<Entry>) {
        self.owed.keep(entries);
    }

    /// Whether outcomes are waiting to be written.
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The owed outcomes that were put on record since the last time.
    pub(super) fn paid(&mut self) -> Vec<Paid> {
        self.owed.paid()
    }

    fn place(&mut self, entry: Entry, batch: &mut Batch) -> Result<Placed, JournalError> {
        if let (EventKind::Intent, Some(key)) = (entry.event, &entry.key)
            && let Some(state) = self
                .look_up(key, batch)?
                .filter(|state| state.keeps_out(entry.payload.as_deref()))
        {
            return Err(JournalError::Duplicate(Box::new(state)));
        }
        let offset = batch.offset();
        let entry = batch.add(entry, &self.owner)?;
        if let Some(index) = &mut self.index {
            index.note(&entry, offset);
        }
        if let (EventKind::Intent, Some(key), Some(action)) = (entry.event, entry.key, entry.action)
        {
            batch.claims.push((key, action, entry.payload));
        }
        Ok(Placed {
            seq: entry.seq,
            hash: batch.last.clone(),
            place: Place {
                segment: self.at.segment,
                offset,
            },
        })
    }

    /// What is on record under a key, or about to be.
    fn look_up(&mut self, key: &str, batch: &Batch) -> Result<Option<KeyState>, JournalError> {
        if let Some(claimed) = batch.claimed(key) {
            return Ok(Some(claimed));
        }
        let (dir, end) = (self.dir.clone(), self.at.end);
        self.index()?
            .find(&dir, key, end)
            .map_err(|error| JournalError::io(&dir, &error))
    }

    /// What is on record under an idempotency key, by any process.
    pub(super) fn find_key(&mut self, key: &str) -> Result<Option<KeyState>, JournalError> {
        self.exclusively(|chain| {
            chain.catch_up()?;
            chain.look_up(key, &Batch::after(&chain.at, 0))
        })
    }

    /// Changes whose outcome is unknown, by any process.
    pub(super) fn unknown(&mut self) -> Result<Vec<Unsettled>, JournalError> {
        self.exclusively(|chain| {
            chain.catch_up()?;
            Ok(chain.index()?.unknown())
        })
    }

    fn index(&mut self) -> Result<&mut Index, JournalError> {
        let index = match self.index.take() {
            Some(index) => index,
            None => Index::build(&self.dir, &self.at)
                .map_err(|error| JournalError::io(&self.dir, &error))?,
        };
        Ok(self.index.insert(index))
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        self.exclusively(|chain| {
            chain.catch_up()?;
            chain.sync_locked()
        })
    }

    /// Makes the head durable, which nothing that is acknowledged waits for.
    pub(super) fn sync_head(&mut self) -> Result<(), JournalError> {
        let path = self.dir.join(HEAD);
        match self.head.sync() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.stop(&path, &error)),
        }
    }

    fn sync_locked(&mut self) -> Result<(), JournalError> {
        if let Err(error) = self.sync_file() {
            let path = segments::current(&self.dir);
            return Err(self.stop(&path, &error));
        }
        // Torn bytes are covered only once the record about them is on disk.
        self.head
            .advance(&self.at)
            .map_err(|error| JournalError::io(&self.dir.join(HEAD), &error))
    }

    fn sync_file(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if std::mem::take(&mut self.fail_next_sync) {
            return Err(io::Error::other("an injected fault"));
        }
        fault::check(Point::SyncBefore)?;
        self.current.file.sync_data()?;
        fault::reach(Point::SyncAfter);
        Ok(())
    }

    fn stop(&mut self, path: &Path, error: &io::Error) -> JournalError {
        let reason = format!("{} could not be synced to disk: {error}", path.display());
        self.stopped = Some(reason.clone());
        JournalError::Stopped { reason }
    }

    fn write(&mut self, text: &str) -> Result<(), JournalError> {
        self.write_text(text).map_err(|error| {
            // Part of the text may be in the file: the next operation reads it
            // back and sorts it out, as it would after a crash.
            self.index = None;
            JournalError::io(&segments::current(&self.dir), &error)
        })
    }

    fn write_text(&mut self, text: &str) -> io::Result<()> {
        #[cfg(test)]
        if let Some(bytes) = self.fail_next_write.take() {
            let bytes = bytes.min(text.len());
            self.current.file.write_all(&text.as_bytes()[..bytes])?;
            return Err(io::Error::other("an injected fault"));
        }
        fault::check(Point::AppendBefore)?;
        let (first, rest) = fault::parts(text.as_bytes());
        self.current.file.write_all(first)?;
        fault::check(Point::AppendHalf)?;
        self.current.file.write_all(rest)?;
        fault::reach(Point::AppendWritten);
        Ok(())
    }

    /// Whether the end of the file has to be repaired before the next record.
    pub(super) fn needs_repair(&self) -> bool {
        self.repair != Repair::None
    }

    /// Follows and checks what was added since the last operation.
    fn catch_up(&mut self) -> Result<(), JournalError> {
        let path = segments::current(&self.dir);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => Some(meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(JournalError::io(&path, &error)),
        };
        let length = meta.as_ref().map(fs::Metadata::len);
        let identity = meta.map(|meta| (meta.dev(), meta.ino()));
        if identity == Some(self.current.identity) && length == Some(self.at.end) {
            // A newline that is missing is still missing.
            return Ok(());
        }
        let mut follower = Follower::after(self.at.clone());
        let begun = self.at.segment;
        let (index, owed) = (&mut self.index, &mut self.owed);
        walk(&self.dir, &mut follower, None, &mut |entry, place| {
            owed.found(&entry, place);
            if let Some(index) = index.as_mut().filter(|_| place.segment == begun) {
                index.note(&entry, place.offset);
            }
        })
        .map_err(|stray| refusal(&self.dir, self.at.seq, stray))?;
        if let Some((line, what)) = follower.loose_end() {
            let known = self
                .head
                .furthest()
                .map_err(|error| JournalError::io(&self.dir.join(HEAD), &error))?
                .map_or(0, |head| head.seq);
            // What was acknowledged cannot be a torn write.
            if follower.at.seq < known {
                let line = line
                    + if follower.at.segment == self.at.segment {
                        segments::lines_before(&path, self.at.end)
                    } else {
                        0
                    };
                return Err(JournalError::Corrupt {
                    file: path,
                    line,
                    what,
                });
            }
        }
        if follower.at.segment != self.at.segment {
            self.index = None;
        }
        self.repair = follower.repair();
        self.at = follower.at;
        if identity != Some(self.current.identity) {
            self.current = open_current(&self.dir)?;
        }
        Ok(())
    }

    /// Finishes the segment being written when it is long or old enough.
    fn rotate_if_due(&mut self) -> Result<(), JournalError> {
        if self.at.end == 0 || self.at.seq == 0 || self.repair != Repair::None {
            return Ok(());
        }
        if self.at.end < self.options.segment_bytes && !self.is_old()? {
            return Ok(());
        }
        self.index()?;
        self.sync_locked()?;
        self.sync_head()?;
        let from = segments::current(&self.dir);
        let to = segments::finished(&self.dir, self.at.segment);
        fault::check(Point::RotateBefore)
            .and_then(|()| fs::rename(&from, &to))
            .map_err(|error| JournalError::io(&to, &error))?;
        fault::reach(Point::RotateRenamed);
        self.at.segment = self.at.seq + 1;
        self.at.end = 0;
        let (dir, next) = (self.dir.clone(), self.at.segment);
        self.index()?.turn_over(&dir, next);
        self.current = open_current(&self.dir)?;
        fault::reach(Point::RotateOpened);
        Ok(())
    }

    /// Whether the first record of the segment being written is old.
    fn is_old(&mut self) -> Result<bool, JournalError> {
        let begun = match self.begun {
            Some((segment, begun)) if segment == self.at.segment => begun,
            _ => {
                let path = segments::current(&self.dir);
                // A segment whose first line cannot be read is no older than now.
                let begun = segments::begun(&path)
                    .map_err(|error| JournalError::io(&path, &error))?
                    .unwrap_or_else(Timestamp::now);
                self.begun = Some((self.at.segment, begun));
                begun
            }
        };
        let age = Timestamp::now().duration_since(begun);
        Ok(Duration::try_from(age).is_ok_and(|age| age >= self.options.segment_age))
    }
}
