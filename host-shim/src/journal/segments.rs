//! The files a chain is kept in: their names, their order, their lines.
//!
//! `actions.jsonl` is the segment being written. Invariant: a full one is renamed
//! to `actions-<first sequence number, 20 digits>.jsonl` and never touched again. A
//! segment is therefore known by the number of its first record.
//!
//! Hashes and links are not checked at this level.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::Entry;
use super::line::MAX_LINE;

/// Name of the segment being written.
pub(super) const CURRENT: &str = "actions.jsonl";

/// Where the segment being written is.
pub(super) fn current(dir: &Path) -> PathBuf {
    dir.join(CURRENT)
}

/// Where a finished segment is, by the number of its first record.
pub(super) fn finished(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("actions-{first:020}.jsonl"))
}

/// Where a segment is now, finished or not.
pub(super) fn locate(dir: &Path, first: u64) -> PathBuf {
    let path = finished(dir, first);
    if path.exists() { path } else { current(dir) }
}

/// The finished segments by the numbers of their first records, in order.
pub(super) fn firsts(dir: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for item in fs::read_dir(dir)? {
        let name = item?.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_prefix("actions-"))
            .and_then(|name| name.strip_suffix(".jsonl"))
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse::<u64>().ok());
        firsts.extend(first);
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The finished segments of the chain from the one that begins with record `start`
/// on, by the numbers of their first records, in order. `open` is the first record
/// of the segment being written, where the caller knows it.
///
/// Each is named after the record that follows the last one of the segment before,
/// so a file that was put among them is not taken for one. Where one is missing
/// the next there is counts: what is left of the record is not forgotten.
pub(super) fn chained(dir: &Path, start: u64, open: Option<u64>) -> io::Result<Vec<u64>> {
    let current = current(dir);
    // Looked at before the names, so that one that is renamed meanwhile is among them.
    let begins = match open {
        Some(open) => Some(open),
        None => first_seq(&current)?,
    };
    let firsts = firsts(dir)?;
    let mut chained: Vec<u64> = Vec::new();
    let mut next = start;
    loop {
        let first = match firsts.binary_search(&next) {
            Ok(_) => next,
            Err(at) => match firsts.get(at) {
                Some(first) if begins.is_some_and(|begins| next < begins && *first < begins) => {
                    *first
                }
                Some(first) if begins.is_none() && chained.is_empty() => *first,
                _ => return Ok(chained),
            },
        };
        let is_open = begins.is_some_and(|begins| first >= begins)
            && (open.is_some() || first_seq(&current)? == Some(first));
        if is_open {
            return Ok(chained);
        }
        chained.push(first);
        next = last_seq(&finished(dir, first))?.unwrap_or(first).max(first) + 1;
    }
}

/// Number of the first record in a segment; none where it has none.
fn first_seq(path: &Path) -> io::Result<Option<u64>> {
    let lines = match Lines::open(path, 0, None) {
        Ok(lines) => lines,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for line in lines {
        if let Some(entry) = line?.entry() {
            return Ok(Some(entry.seq));
        }
    }
    Ok(None)
}

/// Number of the last record in a finished segment; none where it has none.
fn last_seq(path: &Path) -> io::Result<Option<u64>> {
    let end = fs::metadata(path)?.len();
    let last = line_ending_at(path, end)?.and_then(|line| Entry::seq_of(&line));
    if last.is_some() {
        return Ok(last);
    }
    let mut last = None;
    for line in Lines::open(path, 0, None)? {
        last = line?.entry().map(|entry| entry.seq).or(last);
    }
    Ok(last)
}

/// Every file that has the name of a segment, in order; the one being written
/// comes last.
pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = firsts(dir)?
        .into_iter()
        .map(|first| finished(dir, first))
        .collect();
    if current(dir).exists() {
        paths.push(current(dir));
    }
    Ok(paths)
}

/// The segments that can hold records from a sequence number on, in order.
pub(super) fn since(dir: &Path, seq: u64) -> io::Result<Vec<PathBuf>> {
    let chained = chained(dir, 1, None)?;
    // The segment the record is in is the last one that does not begin after it.
    let skip = chained.partition_point(|first| *first <= seq);
    let current = current(dir);
    let mut paths: Vec<PathBuf> = chained
        .into_iter()
        .skip(skip.saturating_sub(1))
        .map(|first| finished(dir, first))
        .collect();
    if current.exists() {
        paths.push(current);
    }
    Ok(paths)
}

/// A segment, by the number of its first record, and those after it.
pub(super) fn from(dir: &Path, segment: u64) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = chained(dir, segment, None)?
        .into_iter()
        .map(|first| finished(dir, first))
        .collect();
    if current(dir).exists() {
        paths.push(current(dir));
    }
    Ok(paths)
}

/// The last sequence number any line claims, for an error that says what is
/// left; 0 where nothing can be read.
pub(super) fn last_claimed(dir: &Path) -> u64 {
    let mut last = 0;
    for path in list(dir).unwrap_or_default().iter().rev() {
        let Ok(lines) = Lines::open(path, 0, None) else {
            continue;
        };
        for line in lines.map_while(io::Result::ok) {
            if let Some(entry) = line.entry() {
                last = last.max(entry.seq);
            }
        }
        if last > 0 {
            break;
        }
    }
    last
}

/// One line as it stands in the file.
#[derive(Debug)]
pub(super) struct RawLine {
    /// Line number, counted from 1 at the place reading began.
    pub(super) number: u64,
    /// The line without its newline.
    pub(super) bytes: Vec<u8>,
    /// Whether a newline ended it.
    pub(super) terminated: bool,
}

impl RawLine {
    /// Length in the file, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64 + u64::from(self.terminated)
    }

    /// The record in the line, unchecked.
    pub(super) fn entry(&self) -> Option<Entry> {
        serde_json::from_slice(&self.bytes).ok()
    }
}

/// The lines of one segment from an offset on.
#[derive(Debug)]
pub(super) struct Lines {
    reader: BufReader<io::Take<File>>,
    number: u64,
    identity: (u64, u64),
}

impl Lines {
    /// Opens a segment at `from` (a byte offset at the start of a line) and
    /// reads no further than `until`, where that is given. A segment that is
    /// shorter than `from` is an `UnexpectedEof`.
    pub(super) fn open(path: &Path, from: u64, until: Option<u64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if meta.len() < from {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it has {} bytes where {from} were written", meta.len()),
            ));
        }
        file.seek(SeekFrom::Start(from))?;
        let limit = until.map_or(u64::MAX, |until| until.saturating_sub(from));
        Ok(Self {
            reader: BufReader::with_capacity(64 * 1024, file.take(limit)),
            number: 0,
            identity: (meta.dev(), meta.ino()),
        })
    }

    /// Reads at most this many bytes from here on.
    pub(super) fn limit(&mut self, bytes: u64) {
        self.reader.get_mut().set_limit(bytes);
    }

    /// Device and inode, by which a renamed segment is still known.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }
}

impl Iterator for Lines {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        // A line that never ends must not fill the memory: it is handed out in
        // pieces, none of which can pass as a record.
        let mut bounded = (&mut self.reader).take(MAX_LINE as u64 + 1);
        match bounded.read_until(b'\n', &mut bytes) {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(_) => {
                self.number += 1;
                let terminated = bytes.last() == Some(&b'\n');
                if terminated {
                    bytes.pop();
                }
                Some(Ok(RawLine {
                    number: self.number,
                    bytes,
                    terminated,
                }))
            }
        }
    }
}

/// When the first record of a segment was written; none where it has none.
pub(super) fn begun(path: &Path) -> io::Result<Option<Timestamp>> {
    let first = match Lines::open(path, 0, None) {
        Ok(mut lines) => lines.next().transpose()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(first
        .and_then(|line| line.entry())
        .and_then(|entry| entry.ts.parse().ok()))
}

/// How many line ends precede a byte offset.
pub(super) fn lines_before(path: &Path, offset: u64) -> u64 {
    Lines::open(path, 0, Some(offset)).map_or(0, |lines| {
        lines
            .map_while(io::Result::ok)
            .filter(|line| line.terminated)
            .count() as u64
    })
}

/// The line that ends at a byte offset, without its newline; none where no
/// line ends there.
pub(super) fn line_ending_at(path: &Path, end: u64) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < end || end == 0 {
        return Ok(None);
    }
    let mut start = end;
    let mut bytes: Vec<u8> = Vec::new();
    while start > 0 && bytes.len() <= MAX_LINE {
        let step = start.min(16 * 1024);
        start -= step;
        file.seek(SeekFrom::Start(start))?;
        let mut piece = vec![0; step as usize];
        file.read_exact(&mut piece)?;
        piece.extend_from_slice(&bytes);
        bytes = piece;
        if bytes.last() != Some(&b'\n') {
            return Ok(None);
        }
        let body = &bytes[..bytes.len() - 1];
        if let Some(newline) = body.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Some(body[newline + 1..].to_vec()));
        }
        if start == 0 {
            return Ok(Some(body.to_vec()));
        }
    }
    Ok(None)
}
