//! Idempotency keys: which calls are on record, and what came of them.
//!
//! Kept for the segment being written and the one before it, so a repetition
//! is recognised for at least a whole segment of records; a client repeats a
//! call within minutes. The index is a view of the chain and is dropped and
//! rebuilt rather than corrected.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::entry::Entry;
use super::event::{Conclusion, EventKind, Operation, Recovery};
use super::segments::{self, Lines};

/// How far a recorded call came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStage {
    /// It was announced; no effect has been attempted yet.
    Open,
    /// Its effect was started and no outcome is on record yet.
    Attempted,
    /// It ended.
    Settled(Conclusion),
    /// Its process died before any effect, or it was refused because a person has
    /// to agree first; it may be done again.
    NotAttempted,
    /// Its process died during the effect.
    Unknown,
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

/// The calls of the last two segments by their keys.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    states: HashMap<String, KeyState>,
    unsettled: HashMap<String, String>,
}

impl KeyIndex {
    /// Reads the last two segments up to a place in the last one.
    pub(super) fn build(dir: &Path, end: u64) -> io::Result<Self> {
        let mut index = Self::default();
        let paths = segments::list(dir)?;
        let recent = paths.len().saturating_sub(2);
        for path in &paths[recent..] {
            let until = (*path == segments::current(dir)).then_some(end);
            for line in Lines::open(path, 0, until)? {
                // Torn bytes are no record and have no key.
                if let Some(entry) = line?.entry() {
                    index.note(&entry);
                }
            }
        }
        Ok(index)
    }

    /// Takes the next record into account.
    pub(super) fn note(&mut self, entry: &Entry) {
        let Some(action) = &entry.action else { return };
        if entry.event == EventKind::Intent {
            let Some(key) = &entry.key else { return };
            self.unsettled.insert(action.clone(), key.clone());
            self.states.insert(
                key.clone(),
                KeyState {
                    action: action.clone(),
                    payload: entry.payload.clone(),
                    seq: entry.seq,
                    stage: KeyStage::Open,
                    operation: None,
                },
            );
            return;
        }
        let Some(key) = self.unsettled.get(action) else {
            return;
        };
        let Some(state) = self.states.get_mut(key) else {
            return;
        };
        if state.action != *action {
            return;
        }
        state.seq = entry.seq;
        if entry.operation.is_some() {
            state.operation.clone_from(&entry.operation);
        }
        let settled = match (entry.event, &entry.outcome, &entry.recovered) {
            (EventKind::Attempt, _, _) => {
                state.stage = KeyStage::Attempted;
                false
            }
            (EventKind::Outcome, Some(outcome), _) => {
                // A call that waits for a person has done nothing, and is to be made
                // again, under the same key, once they have agreed.
                let waits = state.stage == KeyStage::Open
                    && outcome.code.as_deref() == Some("APPROVAL_REQUIRED");
                state.stage = if waits {
                    KeyStage::NotAttempted
                } else {
                    KeyStage::Settled(outcome.clone())
                };
                true
            }
            (EventKind::Recovered, _, Some(recovered)) => {
                state.stage = match recovered.result {
                    Recovery::NotAttempted => KeyStage::NotAttempted,
                    Recovery::Unknown => KeyStage::Unknown,
                };
                true
            }
            _ => false,
        };
        if settled {
            self.unsettled.remove(action);
        }
    }

    /// What is on record under a key.
    pub(super) fn get(&self, key: &str) -> Option<&KeyState> {
        self.states.get(key)
    }

    /// The state that keeps a key from being used for another action.
    pub(super) fn taken(&self, key: &str) -> Option<&KeyState> {
        self.get(key)
            .filter(|state| state.stage != KeyStage::NotAttempted)
    }
}
