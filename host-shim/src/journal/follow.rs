//! Following the chain: does each line continue the one before it?
//!
//! The one reading of the file that writer, recovery and verification share, so
//! that none of them can accept what another refuses. A stretch of bytes that is no
//! record is accepted only where the next record says so, with the number of bytes
//! and their hash: that is what a crash leaves. Invariant: a record is accepted
//! only behind the one whose hash it names. It writes nothing; what has to be
//! written it says.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::digest::hex;
use super::entry::{Entry, FORMAT};
use super::event::Torn;
use super::head::Position;
use super::keys::Place;
use super::line;
use super::segments::{self, Lines, RawLine};

/// Why the chain could not be followed.
#[derive(Debug)]
pub(super) enum Stray {
    /// A line does not belong where it stands.
    Line {
        file: PathBuf,
        line: u64,
        what: String,
    },
    /// A segment ends before a place that was reached once, or is missing.
    Short { file: PathBuf },
    /// A segment cannot be read.
    Io { file: PathBuf, error: io::Error },
}

/// What is wrong with a line, counted from where the walk entered the segment.
#[derive(Debug)]
pub(super) struct Fault {
    line: u64,
    what: String,
    /// Whether records before it are missing.
    gap: bool,
}

impl Fault {
    fn at(line: u64, what: String) -> Self {
        Self {
            line,
            what,
            gap: false,
        }
    }
}

/// Bytes that are no record, so far unaccounted for.
#[derive(Debug, Clone)]
struct Region {
    line: u64,
    what: String,
    bytes: u64,
    digest: Sha256,
    terminated: bool,
}

/// What has to be written before the next record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// Nothing: the file ends with a whole record.
    None,
    /// The last record is whole but for its newline.
    Newline,
    /// A newline where one is missing, and a note about what is no record.
    Torn { newline: bool, torn: Torn },
}

/// A walk along the chain.
#[derive(Debug)]
pub(super) struct Follower {
    /// Just after the last record accepted.
    pub(super) at: Position,
    /// Records accepted.
    pub(super) records: u64,
    /// Stretches of torn bytes that a record accounts for.
    pub(super) torn: u64,
    region: Option<Region>,
    newline_missing: bool,
    last_line: u64,
}

impl Follower {
    /// Starts after a known place.
    pub(super) fn after(at: Position) -> Self {
        Self {
            at,
            records: 0,
            torn: 0,
            region: None,
            newline_missing: false,
            last_line: 0,
        }
    }

    /// Takes the next line. Returns the record in it, or none for a line that
    /// is no record; whether that is a fault shows at the next record.
    pub(super) fn feed(&mut self, line: &RawLine) -> Result<Option<(Entry, Place)>, Fault> {
        self.last_line = line.number;
        let hash = match line::check(&line.bytes) {
            Ok(_) if !line.terminated && self.region.is_some() => {
                self.stray(line, "no newline ends it");
                return Ok(None);
            }
            Ok(hash) => hash,
            Err(what) => {
                self.stray(line, what);
                return Ok(None);
            }
        };
        let entry: Entry = serde_json::from_slice(&line.bytes)
            .map_err(|error| Fault::at(line.number, format!("it is not a record: {error}")))?;
        if entry.v != FORMAT {
            return Err(Fault::at(
                line.number,
                format!(
                    "it has format {}; this version reads format {FORMAT}",
                    entry.v
                ),
            ));
        }
        if let Some(region) = self.region.take() {
            let found = region.torn();
            if entry.torn.as_ref() != Some(&found) {
                return Err(Fault::at(region.line, region.what));
            }
            self.at.end += found.bytes;
            self.torn += 1;
        } else if entry.torn.is_some() {
            return Err(Fault::at(
                line.number,
                "the torn bytes it speaks of are gone".to_owned(),
            ));
        }
        let expected = self.at.seq + 1;
        if entry.seq != expected {
            return Err(Fault {
                gap: entry.seq > expected,
                line: line.number,
                what: format!(
                    "record {expected} should stand here, not record {}",
                    entry.seq
                ),
            });
        }
        if entry.prev != self.at.last {
            return Err(Fault::at(
                line.number,
                "it does not continue the record before it".to_owned(),
            ));
        }
        let place = Place {
            segment: self.at.segment,
            offset: self.at.end,
        };
        self.at.seq = entry.seq;
        self.at.last = hash;
        self.at.end += line.length();
        self.records += 1;
        self.newline_missing = !line.terminated;
        Ok(Some((entry, place)))
    }

    fn stray(&mut self, line: &RawLine, what: &str) {
        let region = self.region.get_or_insert_with(|| Region {
            line: line.number,
            what: what.to_owned(),
            bytes: 0,
            digest: Sha256::new(),
            terminated: true,
        });
        region.digest.update(&line.bytes);
        if line.terminated {
            region.digest.update(b"\n");
        }
        region.bytes += line.length();
        region.terminated = line.terminated;
    }

    /// What the end of the file needs before the next record.
    pub(super) fn repair(&self) -> Repair {
        match &self.region {
            None if self.newline_missing => Repair::Newline,
            None => Repair::None,
            Some(region) => {
                let mut closed = region.clone();
                if !closed.terminated {
                    closed.digest.update(b"\n");
                    closed.bytes += 1;
                }
                Repair::Torn {
                    newline: !region.terminated,
                    torn: closed.torn(),
                }
            }
        }
    }

    /// The fault of bytes at the end that are no record, with the line number
    /// counted from where the walk entered the segment.
    pub(super) fn loose_end(&self) -> Option<(u64, String)> {
        match &self.region {
            Some(region) => Some((region.line, region.what.clone())),
            None if self.newline_missing => Some((self.last_line, "no newline ends it".to_owned())),
            None => None,
        }
    }
}

impl Region {
    fn torn(&self) -> Torn {
        Torn {
            bytes: self.bytes,
            sha256: hex(&self.digest.clone().finalize()),
        }
    }
}

/// A place to stop: so many bytes into the file with this device and inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub(super) identity: (u64, u64),
    pub(super) length: u64,
}

/// Follows the chain from where the follower is to its end, through finished
/// segments, and hands every record to `each` with the place it begins at.
pub(super) fn walk(
    dir: &Path,
    follower: &mut Follower,
    stop: Option<Stop>,
    each: &mut dyn FnMut(Entry, Place),
) -> Result<(), Stray> {
    let mut before: Option<(PathBuf, u64)> = None;
    loop {
        let file = segments::locate(dir, follower.at.segment);
        let begun = follower.at.end;
        let mut lines = match Lines::open(&file, begun, None) {
            Ok(lines) => lines,
            // The next segment is created with its first record.
            Err(error) if error.kind() == io::ErrorKind::NotFound && begun == 0 => return Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) =>
            {
                return Err(Stray::Short { file });
            }
            Err(error) => return Err(Stray::Io { file, error }),
        };
        let last = stop.is_some_and(|stop| stop.identity == lines.identity());
        if let Some(stop) = stop.filter(|_| last) {
            lines.limit(stop.length.saturating_sub(begun));
        }
        let numbered = |line: u64| segments::lines_before(&file, begun) + line;
        for line in lines {
            let line = line.map_err(|error| Stray::Io {
                file: file.clone(),
                error,
            })?;
            match follower.feed(&line) {
                Ok(Some((entry, place))) => each(entry, place),
                Ok(None) => {}
                Err(fault) => {
                    // A gap at the start of a segment is the missing end of the
                    // one before.
                    let (file, line) = match before {
                        Some((before, lines)) if fault.gap && fault.line == 1 => {
                            (before, lines + 1)
                        }
                        _ => {
                            let line = numbered(fault.line);
                            (file, line)
                        }
                    };
                    let what = fault.what;
                    return Err(Stray::Line { file, line, what });
                }
            }
        }
        if last || file == segments::current(dir) {
            return Ok(());
        }
        // A segment is finished only when it ends with a whole record.
        if let Some((line, what)) = follower.loose_end() {
            return Err(Stray::Line {
                line: numbered(line),
                file,
                what,
            });
        }
        before = Some((file.clone(), numbered(follower.last_line)));
        follower.at.segment = follower.at.seq + 1;
        follower.at.end = 0;
    }
}
