//! Following a whole chain on all cores: every segment by itself, then the
//! joints between them.
//!
//! Invariant: it answers only where nothing at all is wrong. What is wrong, and
//! where, is for the walk from the first record to say, so there is one place
//! that names faults.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::follow::{Follower, Stop};
use super::head::Position;
use super::segments::{self, Lines};

/// What a chain without a fault amounts to.
#[derive(Debug)]
pub(super) struct Whole {
    /// Just after its last record.
    pub(super) end: Position,
    /// How many records it has.
    pub(super) records: u64,
    /// Stretches of torn bytes that a record accounts for.
    pub(super) torn: u64,
    /// Which slots of the head name a record of it.
    pub(super) matched: [bool; 2],
}

/// One segment by itself.
struct Part {
    /// Place it says it continues.
    begins: Position,
    whole: Whole,
}

/// Follows every segment of a chain. None where anything is wrong.
pub(super) fn follow(
    dir: &Path,
    stop: Option<Stop>,
    slots: &[Option<Position>; 2],
) -> Option<Whole> {
    let paths = segments::list(dir).ok()?;
    let parts: Mutex<Vec<Option<Option<Part>>>> = Mutex::new(paths.iter().map(|_| None).collect());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((at, path)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            paths.get(at).map(|path| (at, path))
        } {
            let part = follow_one(path, stop, slots);
            let failed = part.is_none();
            parts.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(part);
            if failed {
                // One fault is enough to have the other walk done.
                next.store(paths.len(), Ordering::Relaxed);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 1..threads.min(paths.len()) {
            scope.spawn(work);
        }
        work();
    });
    let parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut sum = Whole {
        end: Position::start(),
        records: 0,
        torn: 0,
        matched: [false, false],
    };
    let start = sum.end.clone();
    note_slots(&mut sum.matched, slots, &start);
    let current = segments::current(dir);
    for (path, part) in paths.iter().zip(parts) {
        let part = part??;
        let expected = segments::finished(dir, sum.end.seq + 1);
        if (*path != expected && *path != current)
            || part.begins.seq != sum.end.seq
            || part.begins.last != sum.end.last
        {
            return None;
        }
        sum.end = part.whole.end;
        sum.records += part.whole.records;
        sum.torn += part.whole.torn;
        for (sum, matched) in sum.matched.iter_mut().zip(part.whole.matched) {
            *sum |= matched;
        }
    }
    Some(sum)
}

fn note_slots(matched: &mut [bool; 2], slots: &[Option<Position>; 2], at: &Position) {
    for (slot, matched) in slots.iter().zip(matched) {
        *matched |= slot
            .as_ref()
            .is_some_and(|slot| slot.seq == at.seq && slot.last == at.last);
    }
}

fn follow_one(path: &Path, stop: Option<Stop>, slots: &[Option<Position>; 2]) -> Option<Part> {
    let mut lines = Lines::open(path, 0, None).ok()?;
    if let Some(stop) = stop.filter(|stop| stop.identity == lines.identity()) {
        lines.limit(stop.length);
    }
    let mut lines = lines.peekable();
    // A segment that begins with torn bytes, or has no record, is rare enough to
    // be left to the other walk.
    let first = lines.peek()?.as_ref().ok()?.entry()?;
    let begins = Position {
        seq: first.seq.checked_sub(1)?,
        segment: first.seq,
        end: 0,
        last: first.prev,
    };
    let mut follower = Follower::after(begins.clone());
    let mut matched = [false, false];
    for line in lines {
        if follower.feed(&line.ok()?).ok()?.is_some() {
            note_slots(&mut matched, slots, &follower.at);
        }
    }
    if follower.loose_end().is_some() {
        return None;
    }
    Some(Part {
        begins,
        whole: Whole {
            end: follower.at,
            records: follower.records,
            torn: follower.torn,
            matched,
        },
    })
}
