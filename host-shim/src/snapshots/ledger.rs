//! What the journal says of changes of files, for comparing it with what is kept.
//!
//! It believes the journal: whether that is whole is `audit verify`'s business.
//!
//! Invariant: an action that may have changed a file is never missing because its
//! outcome is. Commits are not read here.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;

use super::error::SnapshotError;
use crate::journal::{Conclusion, EventKind, Filter, Journal};

/// What the journal says of one action.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) server: String,
    /// What was tried; none where nothing was.
    pub(super) attempt: Option<Tried>,
    /// How it came about; none where it did not.
    pub(super) done: Option<Done>,
}

/// A change that came about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// When its outcome was recorded.
    pub(super) time: Timestamp,
    /// Whether the record says that its state could not be kept.
    pub(super) not_kept: bool,
}

/// A change that was begun.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) time: Timestamp,
    pub(super) path: Option<String>,
    pub(super) base_sha256: Option<String>,
    pub(super) new_sha256: Option<String>,
    pub(super) snapshot: Option<String>,
}

/// The actions on record that can have changed a file.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) actions: HashMap<String, Said>,
    /// When the first record was written.
    pub(super) begins: Option<Timestamp>,
}

impl Ledger {
    /// Reads the journal in a directory; none there is an empty one.
    pub(super) fn read(dir: &Path) -> Result<Self, SnapshotError> {
        let unreadable = |error: &dyn std::fmt::Display| SnapshotError::Journal {
            reason: error.to_string(),
        };
        let mut ledger = Self::default();
        let records = Journal::read(dir, Filter::default()).map_err(|error| unreadable(&error))?;
        for record in records {
            let entry = record.map_err(|error| unreadable(&error))?.entry;
            let time: Timestamp = entry.ts.parse().map_err(|error| unreadable(&error))?;
            ledger.begins.get_or_insert(time);
            let Some(action) = entry.action else {
                continue;
            };
            match entry.event {
                EventKind::Attempt => {
                    let Some(operation) = entry.operation.filter(|it| it.kind == "write") else {
                        continue;
                    };
                    let said = ledger.actions.entry(action).or_default();
                    said.server = entry.server.unwrap_or_default();
                    said.attempt = Some(Tried {
                        time,
                        path: operation.path,
                        base_sha256: operation.base_sha256,
                        new_sha256: operation.new_sha256,
                        snapshot: operation.snapshot,
                    });
                }
                // A question about a write has its state kept once it is granted.
                EventKind::Approval
                    if entry
                        .operation
                        .as_ref()
                        .is_some_and(|it| it.kind == "write") =>
                {
                    let said = ledger.actions.entry(action).or_default();
                    said.server = entry.server.unwrap_or_default();
                }
                EventKind::Outcome => {
                    if let Some(said) = ledger.actions.get_mut(&action) {
                        let happened = entry.outcome.filter(Conclusion::happened);
                        said.done = happened.map(|outcome| Done {
                            time,
                            not_kept: outcome.status == "partial_failure",
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(ledger)
    }
}
