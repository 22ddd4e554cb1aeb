//! Lines to be written in one go: numbered, timed, chained, sealed.
//!
//! Invariant: entries leave it in the order they were added, without a gap, and one
//! that is too long takes no number. It opens no file and knows no lock.

use std::path::PathBuf;

use jiff::Timestamp;

use super::entry::Entry;
use super::error::JournalError;
use super::head::Position;
use super::keys::{KeyStage, KeyState};
use super::line::{self, MAX_LINE};
use super::segments;

/// Lines to be written together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Whole lines.
    pub(super) text: String,
    /// Sequence number of the last one.
    pub(super) seq: u64,
    /// Its hash, in hex.
    pub(super) last: String,
    /// Offset at which the text will begin in its segment.
    begins: u64,
    /// Keys claimed in it: key, action, payload.
    pub(super) claims: Vec<(String, String, Option<String>)>,
    ts: String,
}

impl Batch {
    /// Continues the chain after a place. Between that and the text there may be
    /// bytes that are no record.
    pub(super) fn after(at: &Position, torn: u64) -> Self {
        Self {
            begins: at.end + torn,
            claims: Vec::new(),
            text: String::new(),
            seq: at.seq,
            last: at.last.clone(),
            ts: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
                .to_string(),
        }
    }

    /// The claim of a key that is not in the file yet.
    pub(super) fn claimed(&self, key: &str) -> Option<KeyState> {
        let (_, action, payload) = self.claims.iter().find(|(claimed, ..)| claimed == key)?;
        Some(KeyState {
            action: action.clone(),
            payload: payload.clone(),
            seq: self.seq,
            stage: KeyStage::Open,
            operation: None,
        })
    }

    /// Where the next entry will begin.
    pub(super) fn offset(&self) -> u64 {
        self.begins + self.text.len() as u64
    }

    /// Gives an entry its place, and takes it in unless it is too long.
    pub(super) fn add(&mut self, mut entry: Entry, owner: &str) -> Result<Entry, JournalError> {
        entry.seq = self.seq + 1;
        entry.ts.clone_from(&self.ts);
        entry.prev.clone_from(&self.last);
        owner.clone_into(&mut entry.owner);
        entry.pid = std::process::id();
        let object = serde_json::to_string(&entry).map_err(|error| JournalError::Unavailable {
            path: PathBuf::from(segments::CURRENT),
            reason: format!("a record cannot be written as JSON: {error}"),
        })?;
        let (line, hash) = line::seal(&object);
        if line.len() > MAX_LINE {
            return Err(JournalError::TooLarge {
                bytes: line.len() as u64,
                limit: MAX_LINE as u64,
            });
        }
        self.text.push_str(&line);
        self.seq = entry.seq;
        self.last = hash;
        Ok(entry)
    }
}
