//! What has to be known of the past to write the next record: which keys are
//! taken, and which changes are unsettled.
//!
//! Built from the segment being written and the tables of the finished ones, so
//! its cost does not grow with the journal; kept up to date record by record,
//! and dropped rather than corrected when in doubt. The segment is looked
//! through for the few lines that matter before any of them is parsed.
//!
//! Invariant: the tables of finished segments can be lost or damaged without an
//! answer changing. It deliberately keeps no payloads, only places.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use memchr::{memchr, memmem};
use serde::Deserialize;

use super::entry::Entry;
use super::event::{EventKind, Unsettled};
use super::head::Position;
use super::keys::{KeyState, Place, Table, resolve};
use super::ledger::Ledger;
use super::segments;

/// Keys and unsettled changes of a chain.
#[derive(Debug)]
pub(super) struct Index {
    /// Segment the keys are of, by the number of its first record.
    segment: u64,
    /// Where the latest intent under a key begins in that segment.
    keys: HashMap<String, u64>,
    /// Of the finished segments, the latest first.
    tables: Vec<Table>,
    ledger: Ledger,
}

impl Index {
    /// Reads the segment being written up to a place in it, and the tables of
    /// the finished ones.
    pub(super) fn build(dir: &Path, at: &Position) -> io::Result<Self> {
        let mut index = Self {
            segment: at.segment,
            keys: HashMap::new(),
            tables: Vec::new(),
            ledger: Ledger::default(),
        };
        let finished = segments::chained(dir, 1, Some(at.segment))?;
        for &first in finished.iter().rev() {
            let table = match Table::load(dir, first) {
                Some(table) => table,
                None => make_table(dir, first)?,
            };
            index.tables.push(table);
        }
        let mut bytes = Vec::new();
        match File::open(segments::current(dir)) {
            Ok(file) => {
                file.take(at.end).read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if !carries_over(&bytes) {
            index.ledger = ledger_of(dir, &finished)?;
        }
        look_through(&bytes, &mut index.keys, Some(&mut index.ledger));
        Ok(index)
    }

    /// Takes the next record into account.
    pub(super) fn note(&mut self, entry: &Entry, offset: u64) {
        if let (EventKind::Intent, Some(key)) = (entry.event, &entry.key) {
            self.keys.insert(key.clone(), offset);
        }
        self.ledger.note(entry);
    }

    /// What is on record under a key; `end` is the end of the segment being
    /// written.
    pub(super) fn find(&self, dir: &Path, key: &str, end: u64) -> io::Result<Option<KeyState>> {
        let here = self.keys.get(key).map(|offset| Place {
            segment: self.segment,
            offset: *offset,
        });
        let before = self.tables.iter().flat_map(|table| {
            let segment = table.first;
            let places = table.offsets(key).into_iter();
            places.map(move |offset| Place { segment, offset })
        });
        for place in here.into_iter().chain(before) {
            let unknown = |action: &str| self.ledger.is_unknown(action);
            if let Some(state) = resolve(dir, key, place, end, unknown)? {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Changes whose outcome is unknown, oldest first.
    pub(super) fn unknown(&self) -> Vec<Unsettled> {
        self.ledger.unknown()
    }

    /// The unsettled changes, to be carried into the next segment.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Goes over to a new segment. That the table of the finished one cannot be
    /// kept costs time, not correctness.
    pub(super) fn turn_over(&mut self, dir: &Path, next: u64) {
        let keys = self.keys.drain().collect::<Vec<_>>();
        let pairs = keys.iter().map(|(key, offset)| (key.as_str(), *offset));
        let table = Table::new(self.segment, pairs);
        let _ = table.store(dir);
        self.tables.insert(0, table);
        self.segment = next;
    }
}

/// The ledger at the end of the finished segments. A segment that was begun by a
/// process that was interrupted can lack the record that carries the accounts
/// over, so they are taken from the last one that has it, or the first of all.
fn ledger_of(dir: &Path, finished: &[u64]) -> io::Result<Ledger> {
    let mut from = finished.len();
    while from > 0 {
        from -= 1;
        if carries_over(&std::fs::read(segments::finished(dir, finished[from]))?) {
            break;
        }
    }
    let mut ledger = Ledger::default();
    for &first in &finished[from..] {
        let bytes = std::fs::read(segments::finished(dir, first))?;
        look_through(&bytes, &mut HashMap::new(), Some(&mut ledger));
    }
    Ok(ledger)
}

/// Whether a segment begins with the unsettled changes of those before it. Only
/// a note about torn bytes can precede that record.
fn carries_over(bytes: &[u8]) -> bool {
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
    lines
        .find(|entry| entry.torn.is_none())
        .is_some_and(|entry| entry.event == EventKind::Checkpoint)
}

/// Makes the table of a finished segment that has none.
fn make_table(dir: &Path, first: u64) -> io::Result<Table> {
    let bytes = std::fs::read(segments::finished(dir, first))?;
    let mut keys = HashMap::new();
    look_through(&bytes, &mut keys, None);
    let table = Table::new(
        first,
        keys.iter().map(|(key, offset)| (key.as_str(), *offset)),
    );
    // Only the next process would be quicker.
    let _ = table.store(dir);
    Ok(table)
}

/// The text that begins after a mark and ends before the next quotation mark.
fn text_after<'a>(mark: &memmem::Finder<'_>, line: &'a [u8]) -> Option<&'a str> {
    let rest = &line[mark.find(line)? + mark.needle().len()..];
    std::str::from_utf8(&rest[..memchr(b'"', rest)?]).ok()
}

/// The part of an intent a key is found by.
#[derive(Deserialize)]
struct Keyed {
    key: Option<String>,
}

/// Finds the intents with a key and, for a ledger, the records about changes.
///
/// Lines are ours and have one spelling, and a quotation mark inside a text is
/// escaped, so the marks looked for here cannot stand in a text.
fn look_through(bytes: &[u8], keys: &mut HashMap<String, u64>, mut ledger: Option<&mut Ledger>) {
    let finder = |mark: &'static str| memmem::Finder::new(mark);
    let event = finder("\"event\":\"");
    let keyed = finder(",\"key\":\"");
    let harmless = finder("\"read_only\":true");
    let action = finder(",\"action\":\"");
    let mut from = 0;
    while from < bytes.len() {
        let end = memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |length| from + length);
        let line = &bytes[from..end];
        let kind = event
            .find(&line[..line.len().min(128)])
            .map(|at| &line[at + event.needle().len()..]);
        let is = |word: &str| kind.is_some_and(|kind| kind.starts_with(word.as_bytes()));
        if is("intent\"") {
            if keyed.find(line).is_some()
                && let Ok(Keyed { key: Some(key) }) = serde_json::from_slice(line)
            {
                keys.insert(key, from as u64);
            }
        } else if let Some(ledger) = &mut ledger {
            let matters = if is("attempt\"") {
                harmless.find(line).is_none()
            } else if is("outcome\"") || is("recovered\"") {
                text_after(&action, line).is_some_and(|action| ledger.is_under_way(action))
            } else {
                is("settled\"") || is("checkpoint\"")
            };
            if matters && let Ok(entry) = serde_json::from_slice::<Entry>(line) {
                ledger.note(&entry);
            }
        }
        from = end + 1;
    }
}
