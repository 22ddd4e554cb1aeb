//! Taking records out of the journal, and checking what was taken out.
//!
//! An export is lines of JSON: a header with the filter, the records exactly as
//! they stand in the journal, and a trailer with their number, the ends of the
//! chain and the SHA-256 of every byte before it. What it proves depends on what
//! was left out, and the check says which of the two it is.
//!
//! What it deliberately does not do: sign. Whoever makes a file can make all of
//! it; the hash of the last record, kept elsewhere or compared with the journal,
//! is what ties it down.
//!
//! Invariant: a changed, missing or added byte of an export is found by its check.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::digest::hex;
use super::entry::Entry;
use super::error::JournalError;
use super::line::{self, MAX_LINE};
use super::reader::{self, Filter};

/// What the header calls the format.
const FORMAT: &str = "openshell-journal-export";
/// Version of it.
const VERSION: u32 = 1;

/// First line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    v: u32,
    filter: Filter,
}

/// Last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// How many records it holds; header and trailer are none.
    pub records: u64,
    /// Sequence number of the first record; 0 where there is none.
    pub first_seq: u64,
    /// Sequence number of the last record; 0 where there is none.
    pub last_seq: u64,
    /// Hash the first record names as that of the one before it, in hex.
    pub follows: String,
    /// Hash of the last record, in hex.
    pub last_hash: String,
    /// Whether every record from the first to the last is there.
    pub contiguous: bool,
    /// SHA-256 of every byte before this line, in hex.
    pub sha256: String,
}

/// What a check of an export found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportCheck {
    /// What it says of itself, where that was reached and holds.
    pub extent: Option<Extent>,
    /// Number of the first faulty line, counted from 1, and what is wrong with it;
    /// none where everything is as it was exported.
    pub broken: Option<(u64, String)>,
}

/// Counts, links and hashes what goes by.
#[derive(Debug, Default)]
struct Summary {
    records: u64,
    first_seq: u64,
    last_seq: u64,
    follows: String,
    last_hash: String,
    gaps: bool,
    digest: Sha256,
}

impl Summary {
    /// Takes the next record; says what is wrong with its place.
    fn record(&mut self, entry: &Entry, hash: &str) -> Result<(), String> {
        if self.records == 0 {
            self.first_seq = entry.seq;
            self.follows.clone_from(&entry.prev);
        } else if entry.seq <= self.last_seq {
            return Err(format!(
                "record {} stands after record {}",
                entry.seq, self.last_seq
            ));
        } else if entry.seq == self.last_seq + 1 {
            if entry.prev != self.last_hash {
                return Err("it does not continue the record before it".to_owned());
            }
        } else {
            self.gaps = true;
        }
        self.records += 1;
        self.last_seq = entry.seq;
        hash.clone_into(&mut self.last_hash);
        Ok(())
    }

    fn extent(&self) -> Extent {
        Extent {
            records: self.records,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            follows: self.follows.clone(),
            last_hash: self.last_hash.clone(),
            contiguous: !self.gaps,
            sha256: hex(&self.digest.clone().finalize()),
        }
    }
}

/// Writes the records that match.
pub(super) fn export(
    dir: &Path,
    filter: Filter,
    out: &mut dyn Write,
) -> Result<Extent, JournalError> {
    let unwritten = |error: io::Error| JournalError::Unavailable {
        path: Path::new("the export").to_path_buf(),
        reason: error.to_string(),
    };
    let unspoken = |error: serde_json::Error| unwritten(error.into());
    let mut summary = Summary::default();
    let mut put = |summary: &mut Summary, text: &str| {
        summary.digest.update(text.as_bytes());
        summary.digest.update(b"\n");
        writeln!(out, "{text}").map_err(unwritten)
    };
    let header = Header {
        format: FORMAT.to_owned(),
        v: VERSION,
        filter: filter.clone(),
    };
    put(
        &mut summary,
        &serde_json::to_string(&header).map_err(unspoken)?,
    )?;
    for record in reader::read(dir, filter)? {
        let record = record?;
        summary
            .record(&record.entry, &record.hash)
            .map_err(|what| JournalError::Corrupt {
                file: record.file.clone(),
                line: record.line,
                what,
            })?;
        put(&mut summary, &record.raw)?;
    }
    let extent = summary.extent();
    put(
        &mut summary,
        &serde_json::to_string(&extent).map_err(unspoken)?,
    )?;
    out.flush().map_err(unwritten)?;
    Ok(extent)
}

/// Checks an export.
pub(super) fn check(path: &Path) -> Result<ExportCheck, JournalError> {
    let unreadable = |error: io::Error| JournalError::io(path, &error);
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut summary = Summary::default();
    let mut number = 0;
    let broken = |number: u64, what: String| {
        Ok(ExportCheck {
            extent: None,
            broken: Some((number, what)),
        })
    };
    // A trailer is recognised by being the last line, so one line is held back.
    let mut held: Option<Vec<u8>> = None;
    loop {
        let next = next_line(&mut reader).map_err(unreadable)?;
        let Some(line) = std::mem::replace(&mut held, next) else {
            if held.is_none() {
                return broken(1, "it is empty".to_owned());
            }
            continue;
        };
        number += 1;
        let Some(text) = line.strip_suffix(b"\n") else {
            return broken(number, "no newline ends it".to_owned());
        };
        if number == 1 {
            match serde_json::from_slice::<Header>(text) {
                Ok(header) if header.format == FORMAT && header.v == VERSION => {}
                Ok(header) => {
                    return broken(
                        1,
                        format!(
                            "it is {} version {}; this program reads {FORMAT} version {VERSION}",
                            header.format, header.v
                        ),
                    );
                }
                Err(error) => return broken(1, format!("it is no header: {error}")),
            }
        } else if held.is_none() {
            let extent = match serde_json::from_slice::<Extent>(text) {
                Ok(extent) => extent,
                Err(error) => return broken(number, format!("it is no trailer: {error}")),
            };
            return if extent == summary.extent() {
                Ok(ExportCheck {
                    extent: Some(extent),
                    broken: None,
                })
            } else {
                broken(number, "it does not match the lines before it".to_owned())
            };
        } else {
            let hash = match line::check(text) {
                Ok(hash) => hash,
                Err(what) => return broken(number, what.to_owned()),
            };
            let placed = serde_json::from_slice::<Entry>(text)
                .map_err(|error| format!("it is no record: {error}"))
                .and_then(|entry| summary.record(&entry, &hash));
            if let Err(what) = placed {
                return broken(number, what);
            }
        }
        summary.digest.update(&line);
        if held.is_none() {
            return broken(number + 1, "the end is missing".to_owned());
        }
    }
}

/// The next line with its newline; none at the end. A line without end is cut.
fn next_line(reader: &mut impl io::BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = reader.take(MAX_LINE as u64 + 1);
    io::BufRead::read_until(&mut bounded, b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}
