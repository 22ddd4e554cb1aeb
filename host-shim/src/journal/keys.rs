//! Idempotency keys: which calls are on record, and what came of them.
//!
//! A key is looked up by the place of its intent; what came of the call is read
//! from the record itself, so the tables can be dropped and built anew at any
//! time. A finished segment never changes, so its table is kept in a file
//! beside it, and a repetition is recognised however long ago the call was.
//!
//! Invariant: a key leads to one intent that counts, whichever process wrote it. It
//! does not decide whether a repetition is answered or refused.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use memchr::memmem;
use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::event::{Conclusion, EventKind, Operation, Recovery, Settled};
use super::segments::{self, Lines};
use crate::fault::{self, Point};

/// How far a recorded call came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStage {
    /// It was announced; no effect has been attempted yet.
    Open,
    /// Its effect was started and no outcome is on record yet.
    Attempted,
    /// It ended.
    Settled(Conclusion),
    /// Its process died before it changed anything, or it was refused because a
    /// person has to agree first; it may be done again.
    NotAttempted,
    /// Its process died during the effect.
    Unknown,
    /// Its outcome was unknown until this was found out.
    Found(Settled),
}

/// What is on record under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Identifier of the action, a ULID.
    pub action: String,
    /// Digest of tool name and arguments, in hex, as the intent gave it.
    pub payload: Option<String>,
    /// Sequence number of the latest record of the action.
    pub seq: u64,
    /// How far it came.
    pub stage: KeyStage,
    /// The latest operation on record, with its hashes and snapshot.
    pub operation: Option<Operation>,
}

impl KeyState {
    /// Whether the key keeps an action with this payload from beginning: one that
    /// was not attempted may be made again, but it may not become another.
    pub(super) fn keeps_out(&self, payload: Option<&str>) -> bool {
        self.stage != KeyStage::NotAttempted || self.payload.as_deref() != payload
    }

    fn begin(intent: Entry) -> Option<Self> {
        Some(Self {
            action: intent.action?,
            payload: intent.payload,
            seq: intent.seq,
            stage: KeyStage::Open,
            operation: None,
        })
    }

    /// Takes a later record of the action into account.
    fn follow(&mut self, entry: Entry) {
        self.seq = entry.seq;
        let looks = entry
            .operation
            .as_ref()
            .is_some_and(|operation| operation.read_only);
        if entry.operation.is_some() {
            self.operation = entry.operation;
        }
        match (entry.event, entry.outcome, entry.recovered, entry.settled) {
            // A call that has only looked can still stop at a question.
            (EventKind::Attempt, ..) if looks => {}
            (EventKind::Attempt, ..) => self.stage = KeyStage::Attempted,
            // A call that waits for a person has done nothing, and is to be made
            // again, under the same key, once they have agreed.
            (EventKind::Outcome, Some(outcome), ..)
                if self.stage == KeyStage::Open
                    && outcome.code.as_deref() == Some("APPROVAL_REQUIRED") =>
            {
                self.stage = KeyStage::NotAttempted;
            }
            (EventKind::Outcome, Some(outcome), ..) => self.stage = KeyStage::Settled(outcome),
            (EventKind::Recovered, _, Some(recovered), _) => {
                self.stage = match recovered.result {
                    Recovery::NotAttempted | Recovery::Interrupted => KeyStage::NotAttempted,
                    Recovery::Unknown => KeyStage::Unknown,
                };
            }
            (EventKind::Settled, _, _, Some(settled)) => self.stage = KeyStage::Found(settled),
            _ => {}
        }
    }

    /// Whether no later record can change the answer.
    fn is_final(&self) -> bool {
        match &self.stage {
            KeyStage::Settled(outcome) => outcome.status != "unknown",
            KeyStage::NotAttempted => true,
            KeyStage::Found(settled) => settled.finding.is_final(),
            KeyStage::Open | KeyStage::Attempted | KeyStage::Unknown => false,
        }
    }
}

/// Where a record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Segment, by the number of its first record.
    pub(super) segment: u64,
    /// Offset of its first byte.
    pub(super) offset: u64,
}

/// Reads what came of the call whose intent begins at a place; none where that
/// is no intent under this key. `end` is the end of the segment being written;
/// `unknown` says of an action that nothing was found out about it yet.
pub(super) fn resolve(
    dir: &Path,
    key: &str,
    place: Place,
    end: u64,
    unknown: impl Fn(&str) -> bool,
) -> io::Result<Option<KeyState>> {
    let current = segments::current(dir);
    let mut state: Option<KeyState> = None;
    let mut from = place.offset;
    for path in segments::from(dir, place.segment)? {
        let until = (path == current).then_some(end);
        for line in Lines::open(&path, std::mem::take(&mut from), until)? {
            let line = line?;
            let Some(known) = &mut state else {
                state = line
                    .entry()
                    .filter(|entry| {
                        entry.event == EventKind::Intent && entry.key.as_deref() == Some(key)
                    })
                    .and_then(KeyState::begin);
                if state.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if memmem::find(&line.bytes, known.action.as_bytes()).is_none() {
                continue;
            }
            if let Some(entry) = line
                .entry()
                .filter(|entry| entry.action.as_deref() == Some(&known.action))
            {
                known.follow(entry);
                let unknown_still = || {
                    matches!(known.stage, KeyStage::Settled(_) | KeyStage::Unknown)
                        && unknown(&known.action)
                };
                if known.is_final() || unknown_still() {
                    return Ok(state);
                }
            }
        }
    }
    Ok(state)
}

/// Keys of one finished segment: sorted pairs of 8 bytes of the key's SHA-256
/// and the offset of its intent, both as big-endian numbers.
#[derive(Debug)]
pub(super) struct Table {
    /// Number of the segment's first record.
    pub(super) first: u64,
    /// The whole file, or what would stand in it before the digest.
    bytes: Vec<u8>,
    /// How many pairs there are in it, after the magic.
    count: usize,
}

/// What a table file begins with.
const MAGIC: &[u8; 16] = b"openshell keys 1";
const PAIR: usize = 16;
const DIGEST: usize = 32;

impl Table {
    /// Puts a table together from keys and offsets.
    pub(super) fn new<'a>(first: u64, keys: impl Iterator<Item = (&'a str, u64)>) -> Self {
        let mut pairs: Vec<[u8; PAIR]> = keys
            .map(|(key, offset)| {
                let mut pair = [0; PAIR];
                pair[..8].copy_from_slice(&short(key));
                pair[8..].copy_from_slice(&offset.to_be_bytes());
                pair
            })
            .collect();
        pairs.sort_unstable();
        Self {
            first,
            count: pairs.len(),
            bytes: [&MAGIC[..], &pairs.concat()].concat(),
        }
    }

    /// The table of a finished segment from its file; none where the file is
    /// missing or not what was written.
    pub(super) fn load(dir: &Path, first: u64) -> Option<Self> {
        let bytes = fs::read(table_path(dir, first)).ok()?;
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        let pairs = body.strip_prefix(MAGIC)?.len();
        let intact = pairs.is_multiple_of(PAIR) && Sha256::digest(body).as_slice() == digest;
        intact.then_some(Self {
            first,
            count: pairs / PAIR,
            bytes,
        })
    }

    /// Keeps the table beside its segment. The caller holds the chain, so what an
    /// interrupted process left of it is replaced by whoever makes it next.
    pub(super) fn store(&self, dir: &Path) -> io::Result<()> {
        let body = &self.bytes[..MAGIC.len() + self.count * PAIR];
        let whole = [body, &Sha256::digest(body)].concat();
        fault::check(Point::KeysBefore)?;
        crate::replace::replace(&table_path(dir, self.first), &whole)?;
        fault::reach(Point::KeysStored);
        Ok(())
    }

    /// Offsets at which intents under a key can begin, the latest first.
    pub(super) fn offsets(&self, key: &str) -> Vec<u64> {
        let wanted = short(key);
        let pair = |at: usize| &self.bytes[MAGIC.len() + at * PAIR..][..PAIR];
        let count = self.count;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if pair(middle)[..8] < wanted[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut offsets: Vec<u64> = (low..count)
            .map(pair)
            .take_while(|pair| pair[..8] == wanted)
            .map(|pair| {
                pair[8..]
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte))
            })
            .collect();
        offsets.reverse();
        offsets
    }
}

fn table_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("keys-{first:020}.index"))
}

/// The first 8 bytes of a key's SHA-256.
fn short(key: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&Sha256::digest(key.as_bytes())[..8]);
    bytes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::{Table, table_path};

    #[test]
    fn a_table_finds_its_keys_and_is_not_believed_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<String> = (0..300).map(|at| format!("k{at}")).collect();
        let places = keys.iter().map(String::as_str).zip(1_000_u64..);
        let table = Table::new(7, places.chain([("k5", 9_000)]));
        table.store(dir.path()).unwrap();
        let table = Table::load(dir.path(), 7).unwrap();
        for (key, offset) in keys.iter().zip(1_000_u64..) {
            let found = table.offsets(key);
            assert_eq!(found.last(), Some(&offset), "{key}");
            assert_eq!(found.len(), if key == "k5" { 2 } else { 1 }, "{key}");
        }
        assert_eq!(table.offsets("k5")[0], 9_000);
        assert_eq!(table.offsets("other"), Vec::<u64>::new());
        let path = table_path(dir.path(), 7);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 20, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(Table::load(dir.path(), 7).is_none(), "{at}");
        }
        assert!(Table::load(dir.path(), 8).is_none());
    }
}
