//! Reading the record: for a person, for replays, for other tools.
//!
//! Invariant: every record handed out matches its own hash; whether the chain is
//! whole is the business of verification. Torn bytes that a later record accounts
//! for are skipped, and reading stops before those at the end that the next record
//! will account for; everything else that is no record is an error in its place.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::error::JournalError;
use super::event::EventKind;
use super::head::{HEAD, HeadFile};
use super::line;
use super::segments::{self, Lines, RawLine};

/// Which records to read. Fields that are none or 0 accept everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Only records of this server, by its logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Name of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Identifier of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only records of this session of a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What the actions of one call on several servers share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fanout: Option<String>,
    /// Only records of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventKind>,
    /// How it ended: the status or code of an outcome, what recovery concluded,
    /// or what was found out about an unknown outcome. Case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Not before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only what was written before this moment, itself excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Lowest sequence number that is read; 0 reads from the first record.
    #[serde(skip_serializing_if = "is_zero")]
    pub from_seq: u64,
    /// Only so many, the latest ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<usize>,
}

/// As serde asks, by reference.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Filter {
    pub(super) fn accepts(&self, entry: &Entry) -> bool {
        let same =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        same(&self.server, &entry.server)
            && same(&self.tool, &entry.tool)
            && same(&self.action, &entry.action)
            && same(&self.session, &entry.session)
            && same(&self.fanout, &entry.fanout)
            && self.event.is_none_or(|event| event == entry.event)
            && entry.seq >= self.from_seq
            && self.outcome.as_ref().is_none_or(|word| ended(entry, word))
            && self.is_within(entry)
    }

    fn is_within(&self, entry: &Entry) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Ok(ts) = entry.ts.parse::<Timestamp>() else {
            return false;
        };
        self.since.is_none_or(|since| ts >= since) && self.until.is_none_or(|until| ts < until)
    }
}

/// Whether an entry says that an action ended in this way.
fn ended(entry: &Entry, word: &str) -> bool {
    let is = |text: &str| text.eq_ignore_ascii_case(word);
    let outcome = entry
        .outcome
        .as_ref()
        .is_some_and(|outcome| is(&outcome.status) || outcome.code.as_deref().is_some_and(is));
    let recovered = entry.recovered.as_ref();
    let settled = entry.settled.as_ref();
    outcome
        || recovered.is_some_and(|recovered| is(recovered.result.as_str()))
        || settled.is_some_and(|settled| is(settled.finding.as_str()))
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
    /// The same line, parsed.
    pub entry: Entry,
}

/// Records in the order they were written.
#[derive(Debug)]
pub struct Records {
    filter: Filter,
    segments: VecDeque<(PathBuf, Option<u64>)>,
    open: Option<(PathBuf, Lines)>,
    /// Where the next line begins in the open segment.
    offset: u64,
    /// The segment being written, and from where on the head does not vouch for it.
    loose: Option<(PathBuf, u64)>,
    /// A line that is no record, until the next record explains it.
    unexplained: Option<Unexplained>,
    ready: VecDeque<Result<Record, JournalError>>,
}

/// A line that is no record.
#[derive(Debug)]
struct Unexplained {
    error: JournalError,
    /// Whether it is what an interrupted writer leaves at the end, unless another
    /// record follows: the next one that is written accounts for it.
    torn_end: bool,
}

/// Reads the records that match. A journal that does not exist has none.
///
/// # Errors
/// `Unavailable` where the directory cannot be read; faults of single lines
/// come as items.
pub(super) fn read(dir: &Path, filter: Filter) -> Result<Records, JournalError> {
    let paths = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        _ => worth_reading(dir, &filter).map_err(|error| JournalError::io(dir, &error))?,
    };
    let current = segments::current(dir);
    // Before the length: what is vouched for then is within it.
    let loose = vouched(dir).map(|vouched| (current.clone(), vouched));
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
        offset: 0,
        loose,
        unexplained: None,
        ready: VecDeque::new(),
    };
    if let Some(latest) = records.filter.latest {
        records.keep_latest(latest);
    }
    Ok(records)
}

/// How many bytes of the segment being written the head vouches for; none where
/// the head cannot be read.
fn vouched(dir: &Path) -> Option<u64> {
    let head = HeadFile::open_read_only(&dir.join(HEAD)).ok()?;
    let at = head.furthest().ok()??;
    let finished = segments::finished(dir, at.segment).exists();
    Some(if finished { 0 } else { at.end })
}

/// The segments in which records can match.
fn worth_reading(dir: &Path, filter: &Filter) -> io::Result<Vec<PathBuf>> {
    let mut paths = segments::since(dir, filter.from_seq)?;
    if let Some(since) = filter.since {
        // What comes before a segment that began earlier is older still.
        let mut skip = 0;
        for (at, path) in paths.iter().enumerate().skip(1) {
            match segments::begun(path)? {
                Some(begun) if begun < since => skip = at,
                _ => break,
            }
        }
        paths.drain(..skip);
    }
    Ok(paths)
}

impl Records {
    /// Reads segment by segment from the end until there are enough.
    fn keep_latest(&mut self, latest: usize) {
        let mut ready: VecDeque<Result<Record, JournalError>> = VecDeque::new();
        let mut before = std::mem::take(&mut self.segments);
        while ready.len() < latest
            && let Some(segment) = before.pop_back()
        {
            self.segments.push_back(segment);
            let found: Vec<_> = std::iter::from_fn(|| self.advance()).collect();
            for record in found.into_iter().rev() {
                ready.push_front(record);
            }
        }
        ready.drain(..ready.len().saturating_sub(latest));
        self.ready = ready;
    }

    fn advance(&mut self) -> Option<Result<Record, JournalError>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.open.is_none() {
                let Some((path, until)) = self.segments.pop_front() else {
                    let left = self.unexplained.take().filter(|left| !left.torn_end);
                    return left.map(|left| Err(left.error));
                };
                self.offset = 0;
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
                    let begins = self.offset;
                    self.offset += line.length();
                    // What does not speak of the action need not be looked at.
                    if let Some(action) = &self.filter.action
                        && memmem::find(&line.bytes, action.as_bytes()).is_none()
                    {
                        continue;
                    }
                    if let Some(item) = self.judge(path, line, begins) {
                        return Some(item);
                    }
                }
            }
        }
    }

    fn judge(
        &mut self,
        path: PathBuf,
        line: RawLine,
        begins: u64,
    ) -> Option<Result<Record, JournalError>> {
        let loose = self.loose.as_ref();
        let torn_end = loose.is_some_and(|(file, from)| path == *file && begins >= *from);
        let record = match parse(path, line) {
            Ok(record) => record,
            Err(error) => {
                self.unexplained
                    .get_or_insert(Unexplained { error, torn_end });
                return None;
            }
        };
        let fault = self.unexplained.take();
        let item = self
            .filter
            .accepts(&record.entry)
            .then_some(Ok(record.clone()));
        match fault {
            Some(fault) if record.entry.torn.is_none() => {
                self.ready.extend(item);
                Some(Err(fault.error))
            }
            _ => item,
        }
    }
}

pub(super) fn parse(file: PathBuf, line: RawLine) -> Result<Record, JournalError> {
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
