//! Verification: is every byte of the record what was written?
//!
//! Follows the whole chain, on all cores where nothing is wrong, otherwise from
//! its first record through all segments, and compares its end with the head
//! file. It names the first line that is wrong and changes nothing.
//!
//! Invariant: two runs over the same files find the same first fault. It does not
//! settle, repair or wait for anybody's actions.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::chain::LOCK;
use super::error::JournalError;
use super::follow::{Follower, Stop, Stray, walk};
use super::head::{HEAD, HeadFile, Position};
use super::lock::FileLock;
use super::parallel;
use super::segments;

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file it is in.
    pub file: PathBuf,
    /// Line number, counted from 1; for a cut-off end the line that is missing.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Records that are as they were written, up to the first fault.
    pub records: u64,
    /// Stretches of torn bytes that a later record accounts for.
    pub torn: u64,
    /// Whether the end is torn: a process died while it wrote there, nothing that
    /// was acknowledged is missing, and the next record accounts for it.
    pub torn_end: bool,
    /// Files the record is kept in.
    pub segments: u64,
    /// Sequence number of the last good record.
    pub last_seq: u64,
    /// Its hash, in hex; to be kept elsewhere by whoever wants to be sure.
    pub last_hash: String,
    /// The first fault; none where everything is as it was written.
    pub broken: Option<Broken>,
}

/// What the files were at one moment, with nobody writing.
struct Snapshot {
    stop: Option<Stop>,
    /// The finished segments, by the numbers of their first records.
    finished: Vec<u64>,
    slots: [Option<Position>; 2],
    beyond: u64,
    head_missing: bool,
}

/// Verifies the journal in a directory. A journal that does not exist yet is
/// whole and empty.
///
/// # Errors
/// Only where the files cannot be read; faults are part of the answer.
pub(super) fn verify(dir: &Path) -> Result<Verification, JournalError> {
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            return Err(JournalError::Unavailable {
                path: dir.to_path_buf(),
                reason: "it is not a directory".to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(report(0, &Follower::after(Position::start()), None));
        }
        Err(error) => return Err(JournalError::io(dir, &error)),
    }
    let snapshot = snapshot(dir)?;
    let count = segments::list(dir).map_err(|error| JournalError::io(dir, &error))?;
    let count = count.len() as u64;
    if let Some(whole) = parallel::follow(dir, snapshot.stop, &snapshot.slots) {
        let broken = faulty_head(dir, &snapshot, &whole.end, whole.matched);
        return Ok(Verification {
            records: whole.records,
            torn: whole.torn,
            torn_end: false,
            segments: count,
            last_seq: whole.end.seq,
            last_hash: whole.end.last,
            broken,
        });
    }
    let mut follower = Follower::after(Position::start());
    let mut matched = [false, false];
    let mut check = |seq: u64, prev_hash: &str| {
        for (slot, matched) in snapshot.slots.iter().zip(matched.iter_mut()) {
            if let Some(slot) = slot {
                *matched |= slot.seq == seq && slot.last == prev_hash;
            }
        }
    };
    check(0, &Position::start().last);
    let mut visited = HashSet::new();
    let walked = walk(dir, &mut follower, snapshot.stop, &mut |entry, place| {
        // The hash of a record is what the next one names.
        check(entry.seq - 1, &entry.prev);
        visited.insert(place.segment);
    });
    let end = follower.at.clone();
    check(end.seq, &end.last);
    let broken = match walked {
        Err(Stray::Io { file, error }) => return Err(JournalError::io(&file, &error)),
        Err(Stray::Line { file, line, what }) => Some(Broken { file, line, what }),
        Err(Stray::Short { file }) => Some(Broken {
            line: 1,
            what: "the segment is missing".to_owned(),
            file,
        }),
        Ok(()) => None,
    };
    let loose = follower.loose_end();
    let torn_end = broken.is_none() && loose.is_some() && snapshot.is_beyond(&end);
    let broken = broken
        .or_else(|| {
            let (line, what) = loose.filter(|_| !torn_end)?;
            let file = segments::locate(dir, end.segment);
            Some(Broken { file, line, what })
        })
        .or_else(|| {
            // What no record leads to could be taken for a part of the record.
            let stray = snapshot.finished.iter().find(|it| !visited.contains(*it))?;
            Some(Broken {
                file: segments::finished(dir, *stray),
                line: 1,
                what: "it is no part of the chain: no record leads to it".to_owned(),
            })
        })
        .or_else(|| faulty_head(dir, &snapshot, &end, matched));
    Ok(Verification {
        torn_end: torn_end && broken.is_none(),
        ..report(count, &follower, broken)
    })
}

impl Snapshot {
    /// Whether a place is not before the one the head vouches for.
    fn is_beyond(&self, at: &Position) -> bool {
        let slots = self.slots.iter().flatten();
        slots.max_by_key(|slot| slot.seq).is_some_and(|head| {
            at.seq >= head.seq && (at.segment != head.segment || at.end >= head.end)
        })
    }
}

fn report(segments: u64, follower: &Follower, broken: Option<Broken>) -> Verification {
    Verification {
        records: follower.records,
        torn: follower.torn,
        torn_end: false,
        segments,
        last_seq: follower.at.seq,
        last_hash: follower.at.last.clone(),
        broken,
    }
}

/// Notes how far the files reach while no writer is at work, so that what is
/// appended during the verification is neither torn nor missing.
fn snapshot(dir: &Path) -> Result<Snapshot, JournalError> {
    let lock_path = dir.join(LOCK);
    let lock = match FileLock::existing(&lock_path) {
        Ok(lock) => Some(lock),
        // A copy on a medium without the lock file has no writers either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(JournalError::io(&lock_path, &error)),
    };
    let _guard = match &lock {
        Some(lock) => Some(
            lock.shared()
                .map_err(|error| JournalError::lock(&lock_path, &error))?,
        ),
        None => None,
    };
    let stop = fs::metadata(segments::current(dir)).ok().map(|meta| Stop {
        identity: (meta.dev(), meta.ino()),
        length: meta.len(),
    });
    let finished = segments::firsts(dir).map_err(|error| JournalError::io(dir, &error))?;
    let path = dir.join(HEAD);
    match HeadFile::open_read_only(&path).and_then(|head| head.slots()) {
        Ok((slots, beyond)) => Ok(Snapshot {
            stop,
            finished,
            slots,
            beyond,
            head_missing: false,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Snapshot {
            stop,
            finished,
            slots: [None, None],
            beyond: 0,
            head_missing: true,
        }),
        Err(error) => Err(JournalError::io(&path, &error)),
    }
}

/// What the head file shows to be wrong, with a chain that is whole as far as
/// it goes.
fn faulty_head(
    dir: &Path,
    snapshot: &Snapshot,
    end: &Position,
    matched: [bool; 2],
) -> Option<Broken> {
    let head = |line: u64, what: &str| {
        Some(Broken {
            file: dir.join(HEAD),
            line,
            what: what.to_owned(),
        })
    };
    if snapshot.head_missing {
        return if end.seq == 0 {
            None
        } else {
            head(1, "the head file is gone")
        };
    }
    let furthest = snapshot.slots.iter().flatten().max_by_key(|slot| slot.seq);
    if let Some(furthest) = furthest.filter(|slot| slot.seq > end.seq) {
        let file = segments::locate(dir, end.segment);
        return Some(Broken {
            line: segments::lines_before(&file, end.end) + 1,
            file,
            what: format!(
                "the end is missing: {} records were written, {} are left",
                furthest.seq, end.seq
            ),
        });
    }
    for (line, (slot, matched)) in (1..).zip(snapshot.slots.iter().zip(matched)) {
        if slot.is_none() {
            return head(line, "the slot does not match its hash");
        }
        if !matched {
            return head(line, "the slot names a record that is not in the journal");
        }
    }
    (snapshot.beyond > 0)
        .then(|| head(3, "there is more than the two slots"))
        .flatten()
}
