//! Writing the chain: one process at a time adds whole lines at the end.
//!
//! Every operation takes the file lock, follows what other processes added
//! since (and thereby checks it), and only then writes. The head moves only
//! after an fsync, so it never vouches for what the disk may not have.
//!
//! After a failed fsync nothing more is written: the kernel may have dropped
//! the pages and would report success the next time.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::Batch;
use super::entry::Entry;
use super::error::JournalError;
use super::event::{EventKind, Segment};
use super::follow::{Follower, Repair, walk};
use super::head::{HEAD, HeadFile, Position};
use super::keys::{KeyIndex, KeyState};
use super::lock::FileLock;
use super::opening::{
    Current, open_current, open_head, prepare, previous_segment, refusal, trusted_position,
};
use super::segments;
use crate::fault::{self, Point};

/// Name of the file all writers lock.
pub(super) const LOCK: &str = "lock";

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) seq: u64,
    pub(super) hash: String,
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
    segment_bytes: u64,
    owner: String,
    keys: Option<KeyIndex>,
    stopped: Option<String>,
    #[cfg(test)]
    pub(super) fail_next_sync: bool,
}

impl Chain {
    /// Opens the chain in a directory, creating both. Reads from the last
    /// place known to be on disk, not the whole file.
    pub(super) fn open(
        dir: &Path,
        owner: String,
        segment_bytes: u64,
    ) -> Result<Self, JournalError> {
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
            segment_bytes,
            owner,
            keys: None,
            stopped: None,
            #[cfg(test)]
            fail_next_sync: false,
        };
        chain.catch_up()?;
        chain.sync_locked()?;
        Ok(chain)
    }

    /// Sequence number of the last record.
    pub(super) fn seq(&self) -> u64 {
        self.at.seq
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
        self.rotate_if_full()?;
        let mut batch = Batch::after(&self.at);
        // Torn bytes stay where they are; the new text goes after them.
        let mut kept = 0;
        match self.repair.clone() {
            Repair::None => {}
            Repair::Newline => batch.text.push('\n'),
            Repair::Torn { newline, torn } => {
                kept = torn.bytes - u64::from(newline);
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
            let follows = self.at.clone();
            let checkpoint = Entry {
                segment: Some(Segment {
                    follows: previous_segment(&self.dir, follows.segment),
                }),
                ..Entry::blank(EventKind::Checkpoint)
            };
            batch.add(checkpoint, &self.owner)?;
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
        if sync {
            self.sync_locked()?;
        }
        Ok(results)
    }

    fn place(&mut self, entry: Entry, batch: &mut Batch) -> Result<Placed, JournalError> {
        if let (EventKind::Intent, Some(key)) = (entry.event, &entry.key)
            && let Some(state) = self.index()?.taken(key)
        {
            return Err(JournalError::Duplicate(Box::new(state.clone())));
        }
        let entry = batch.add(entry, &self.owner)?;
        let placed = Placed {
            seq: entry.seq,
            hash: batch.last.clone(),
        };
        if let Some(keys) = &mut self.keys {
            keys.note(&entry);
        }
        Ok(placed)
    }

    /// What is on record under an idempotency key, by any process.
    pub(super) fn find_key(&mut self, key: &str) -> Result<Option<KeyState>, JournalError> {
        self.exclusively(|chain| {
            chain.catch_up()?;
            Ok(chain.index()?.get(key).cloned())
        })
    }

    fn index(&mut self) -> Result<&KeyIndex, JournalError> {
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => KeyIndex::build(&self.dir, self.at.end)
                .map_err(|error| JournalError::io(&self.dir, &error))?,
        };
        Ok(self.keys.insert(keys))
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
            self.keys = None;
            JournalError::io(&segments::current(&self.dir), &error)
        })
    }

    fn write_text(&mut self, text: &str) -> io::Result<()> {
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
        let keys = &mut self.keys;
        walk(&self.dir, &mut follower, None, &mut |entry| {
            if let Some(keys) = keys {
                keys.note(&entry);
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
            self.keys = None;
        }
        self.repair = follower.repair();
        self.at = follower.at;
        if identity != Some(self.current.identity) {
            self.current = open_current(&self.dir)?;
        }
        Ok(())
    }

    fn rotate_if_full(&mut self) -> Result<(), JournalError> {
        if self.at.end < self.segment_bytes || self.repair != Repair::None || self.at.seq == 0 {
            return Ok(());
        }
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
        self.keys = None;
        self.current = open_current(&self.dir)?;
        fault::reach(Point::RotateOpened);
        Ok(())
    }
}
