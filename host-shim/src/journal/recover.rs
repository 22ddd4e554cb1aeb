//! Settling what a dead process left unfinished.
//!
//! Invariant: an action with no attempt on record did nothing. One with an attempt
//! and no outcome may have done everything, so its outcome is unknown, unless it
//! was nothing that can change a server; nothing here ever concludes success.
//! Servers are not asked.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

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
    may_change: bool,
    operation: Option<Operation>,
}

/// The records that settle every unfinished action of the dead, in the order
/// the actions began.
pub(super) fn settle(dir: &Path, dead: &[Dead]) -> io::Result<Vec<Entry>> {
    let floors = dead.iter().filter_map(|owner| owner.floor);
    let Some(floor) = floors.min_by_key(|floor| floor.seq) else {
        return Ok(Vec::new());
    };
    let (paths, mut from) = match floor.place {
        Some(place) => (segments::from(dir, place.segment)?, place.offset),
        None => (segments::since(dir, floor.seq)?, 0),
    };
    let mut open: HashMap<String, Unfinished> = HashMap::new();
    for path in paths {
        for line in Lines::open(&path, std::mem::take(&mut from), None)? {
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
                    may_change: false,
                    operation: None,
                    context,
                },
            );
        }
        EventKind::Attempt => {
            if let Some(action) = open.get_mut(&context.action) {
                action.attempted = true;
                action.may_change |= entry.may_change();
                action.operation.clone_from(&entry.operation);
            }
        }
        EventKind::Outcome | EventKind::Recovered => {
            open.remove(&context.action);
        }
        EventKind::Intent
        | EventKind::Approval
        | EventKind::Checkpoint
        | EventKind::Settled
        | EventKind::Note => {}
    }
}

fn conclude(action: Unfinished) -> Entry {
    let result = match (action.attempted, action.may_change) {
        (false, _) => Recovery::NotAttempted,
        (true, false) => Recovery::Interrupted,
        (true, true) => Recovery::Unknown,
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
