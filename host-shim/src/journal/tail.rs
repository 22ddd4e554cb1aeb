//! Following the record as it grows.
//!
//! Invariant: records are handed out once, whole and in order, across the ends of
//! segments. A line that is still being written waits for its newline; bytes that
//! are no record wait for the record that accounts for them. It does not wait by
//! itself, and holds up no writer.

use std::io;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::reader::{Filter, Record, parse};
use super::segments::{self, Lines};

/// A place in a journal that moves along with it.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    filter: Filter,
    /// Number of the last record passed.
    seq: u64,
    /// Segment to read on in, by the number of its first record, and where.
    segment: u64,
    offset: u64,
    unexplained: Option<JournalError>,
}

impl Tail {
    /// Starts after a record; 0 is before the first.
    pub(super) fn after(dir: &Path, seq: u64, filter: Filter) -> Result<Self, JournalError> {
        let firsts =
            segments::chained(dir, 1, None).map_err(|error| JournalError::io(dir, &error))?;
        let current = segments::current(dir);
        // The segment being written is known by its first record, once it has one.
        let begins = match Lines::open(&current, 0, None) {
            Ok(mut lines) => lines
                .next()
                .and_then(Result::ok)
                .and_then(|line| line.entry())
                .map(|entry| entry.seq),
            Err(_) => None,
        };
        let segment = firsts
            .into_iter()
            .chain(begins)
            .take_while(|first| *first <= seq + 1)
            .last()
            .unwrap_or(1);
        Ok(Self {
            dir: dir.to_path_buf(),
            filter: Filter {
                from_seq: filter.from_seq.max(seq + 1),
                latest: None,
                ..filter
            },
            seq: segment - 1,
            segment,
            offset: 0,
            unexplained: None,
        })
    }

    /// Returns what was added since the last time and matches.
    ///
    /// # Errors
    /// `Corrupt` for what is no record and is not accounted for, `Unavailable`
    /// where the files cannot be read.
    pub fn next_records(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        loop {
            let path = segments::locate(&self.dir, self.segment);
            let finished = path != segments::current(&self.dir);
            match Lines::open(&path, self.offset, None) {
                Ok(lines) => self.take(&path, lines, &mut records)?,
                // Renamed a moment ago, or not made yet.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                    ) => {}
                Err(error) => return Err(JournalError::io(&path, &error)),
            }
            if !finished {
                return Ok(records);
            }
            self.segment = self.seq + 1;
            self.offset = 0;
        }
    }

    fn take(
        &mut self,
        path: &Path,
        lines: Lines,
        records: &mut Vec<Record>,
    ) -> Result<(), JournalError> {
        for line in lines {
            let line = line.map_err(|error| JournalError::io(path, &error))?;
            if !line.terminated {
                return Ok(());
            }
            let length = line.length();
            match parse(path.to_path_buf(), line) {
                Ok(record) if record.entry.seq <= self.seq => {}
                Ok(record) => {
                    if record.entry.seq != self.seq + 1 {
                        // The file was renamed while it was opened: next time.
                        return Ok(());
                    }
                    let fault = self.unexplained.take();
                    if let Some(fault) = fault.filter(|_| record.entry.torn.is_none()) {
                        return Err(fault);
                    }
                    self.seq = record.entry.seq;
                    if self.filter.accepts(&record.entry) {
                        records.push(record);
                    }
                }
                Err(error) => {
                    self.unexplained.get_or_insert(error);
                }
            }
            self.offset += length;
        }
        Ok(())
    }
}
