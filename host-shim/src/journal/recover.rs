//! Settling what a dead process left unfinished.
//!
//! An action with no attempt on record did nothing. One with an attempt and no
//! outcome may have done everything, so its outcome is unknown; nothing here
//! ever concludes success.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::event::{Context, EventKind, Operation, Recovered, Recovery};
use super::owner::Dead;
use super::segments::{self, Lines};

/// An action somebody died over.
#[derive(Debug)]
struct Unfinished {
    seq: u64,
    context: Context,
    owner: String,
    attempted: bool,
    operation: Option<Operation>,
}

/// The records that settle every unfinished action of the dead, in the order
/// the actions began.
pub(super) fn settle(dir: &Path, dead: &[Dead]) -> io::Result<Vec<Entry>> {
    let Some(floor) = dead.iter().map(|owner| owner.floor).min() else {
        return Ok(Vec::new());
    };
    let mut open: HashMap<String, Unfinished> = HashMap::new();
    for path in since(dir, floor)? {
        for line in Lines::open(&path, 0, None)? {
            // Torn bytes are no record.
            if let Some(entry) = line?.entry() {
                note(&mut open, dead, &entry);
            }
        }
    }
    let ordered: BTreeMap<u64, Unfinished> = open
        .into_values()
        .map(|action| (action.seq, action))
        .collect();
    Ok(ordered.into_values().map(conclude).collect())
}

fn note(open: &mut HashMap<String, Unfinished>, dead: &[Dead], entry: &Entry) {
    let Some(context) = entry.context() else {
        return;
    };
    match entry.event {
        EventKind::Intent if dead.iter().any(|owner| owner.id == entry.owner) => {
            open.insert(
                context.action.clone(),
                Unfinished {
                    seq: entry.seq,
                    owner: entry.owner.clone(),
                    attempted: false,
                    operation: None,
                    context,
                },
            );
        }
        EventKind::Attempt => {
            if let Some(action) = open.get_mut(&context.action) {
                action.attempted = true;
                action.operation.clone_from(&entry.operation);
            }
        }
        EventKind::Outcome | EventKind::Recovered => {
            open.remove(&context.action);
        }
        EventKind::Intent | EventKind::Approval | EventKind::Checkpoint | EventKind::Note => {}
    }
}

fn conclude(action: Unfinished) -> Entry {
    let result = if action.attempted {
        Recovery::Unknown
    } else {
        Recovery::NotAttempted
    };
    Entry {
        recovered: Some(Recovered {
            result,
            owner: action.owner,
        }),
        operation: action.operation,
        ..Entry::blank(EventKind::Recovered)
    }
    .about(action.context)
}

/// The segments that can hold records from `floor` on.
fn since(dir: &Path, floor: u64) -> io::Result<Vec<PathBuf>> {
    let segments = segments::list(dir)?;
    let bound = segments::finished(dir, floor);
    let current = segments::current(dir);
    // A finished segment is of no use when the one after it starts at or
    // before the floor.
    let skip = segments
        .windows(2)
        .take_while(|pair| pair[1] != current && pair[1] <= bound)
        .count();
    Ok(segments.into_iter().skip(skip).collect())
}
