//! Reading the record: for a person, for replays, for other tools.
//!
//! Every record handed out matches its own hash; whether the chain is whole is
//! the business of verification. Torn bytes that a later record accounts for
//! are skipped, everything else that is no record is an error in its place.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::JournalError;
use super::event::EventKind;
use super::line;
use super::segments::{self, Lines, RawLine};

/// Which records to read. Fields that are none or 0 accept everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Logical server id.
    pub server: Option<String>,
    /// Name of the tool.
    pub tool: Option<String>,
    /// Identifier of the action.
    pub action: Option<String>,
    /// The client's session.
    pub session: Option<String>,
    /// Kind of event.
    pub event: Option<EventKind>,
    /// Lowest sequence number.
    pub from_seq: u64,
    /// Only so many, the latest ones.
    pub latest: Option<usize>,
}

impl Filter {
    fn accepts(&self, entry: &Entry) -> bool {
        let same =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        same(&self.server, &entry.server)
            && same(&self.tool, &entry.tool)
            && same(&self.action, &entry.action)
            && same(&self.session, &entry.session)
            && self.event.is_none_or(|event| event == entry.event)
            && entry.seq >= self.from_seq
    }
}

/// One record as it stands in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The segment it is in.
    pub file: PathBuf,
    /// Its line number, counted from 1.
    pub line: u64,
    /// The line without its newline.
    pub raw: String,
    /// Its hash, in hex.
    pub hash: String,
    /// What it says.
    pub entry: Entry,
}

/// Records in the order they were written.
#[derive(Debug)]
pub struct Records {
    filter: Filter,
    segments: VecDeque<(PathBuf, Option<u64>)>,
    open: Option<(PathBuf, Lines)>,
    /// A line that is no record, until the next record explains it.
    unexplained: Option<JournalError>,
    ready: VecDeque<Result<Record, JournalError>>,
}

/// Reads the records that match. A journal that does not exist has none.
///
/// # Errors
/// `Unavailable` where the directory cannot be read; faults of single lines
/// come as items.
pub(super) fn read(dir: &Path, filter: Filter) -> Result<Records, JournalError> {
    let paths = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        _ => segments::list(dir).map_err(|error| JournalError::io(dir, &error))?,
    };
    let current = segments::current(dir);
    let length = fs::metadata(&current).ok().map(|meta| meta.size());
    let segments = paths
        .into_iter()
        .map(|path| {
            let until = length.filter(|_| path == current);
            (path, until)
        })
        .collect();
    let mut records = Records {
        filter,
        segments,
        open: None,
        unexplained: None,
        ready: VecDeque::new(),
    };
    if let Some(latest) = records.filter.latest {
        let mut ready = VecDeque::new();
        while let Some(record) = records.advance() {
            if ready.len() == latest {
                ready.pop_front();
            }
            if latest > 0 {
                ready.push_back(record);
            }
        }
        records.ready = ready;
    }
    Ok(records)
}

impl Records {
    fn advance(&mut self) -> Option<Result<Record, JournalError>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.open.is_none() {
                let Some((path, until)) = self.segments.pop_front() else {
                    return self.unexplained.take().map(Err);
                };
                match Lines::open(&path, 0, until) {
                    Ok(lines) => self.open = Some((path, lines)),
                    Err(error) => return Some(Err(JournalError::io(&path, &error))),
                }
            }
            let (path, lines) = self.open.as_mut()?;
            let path = path.clone();
            match lines.next() {
                None => self.open = None,
                Some(Err(error)) => {
                    self.open = None;
                    return Some(Err(JournalError::io(&path, &error)));
                }
                Some(Ok(line)) => {
                    if let Some(item) = self.judge(path, line) {
                        return Some(item);
                    }
                }
            }
        }
    }

    fn judge(&mut self, path: PathBuf, line: RawLine) -> Option<Result<Record, JournalError>> {
        let record = match parse(path, line) {
            Ok(record) => record,
            Err(error) => {
                self.unexplained.get_or_insert(error);
                return None;
            }
        };
        let fault = self.unexplained.take();
        let item = self
            .filter
            .accepts(&record.entry)
            .then_some(Ok(record.clone()));
        match fault {
            Some(error) if record.entry.torn.is_none() => {
                self.ready.extend(item);
                Some(Err(error))
            }
            _ => item,
        }
    }
}

fn parse(file: PathBuf, line: RawLine) -> Result<Record, JournalError> {
    let number = line.number;
    let corrupt = |what: String| JournalError::Corrupt {
        file: file.clone(),
        line: number,
        what,
    };
    let hash = line::check(&line.bytes).map_err(|what| corrupt(what.to_owned()))?;
    let raw = String::from_utf8(line.bytes).map_err(|error| corrupt(error.to_string()))?;
    let entry = serde_json::from_str(&raw).map_err(|error| corrupt(error.to_string()))?;
    Ok(Record {
        line: number,
        raw,
        hash,
        entry,
        file,
    })
}

impl Iterator for Records {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance()
    }
}
