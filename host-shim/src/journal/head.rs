//! The head file: how far the chain is known to be on disk.
//!
//! A chain alone cannot show that its end was cut off. The head can: it is
//! written after the fsync of the records it vouches for, so a journal that
//! ends before its head has lost records. It has two slots of fixed size,
//! written in turn, so that a crash while one is written leaves the other.
//!
//! What it deliberately does not do: protect against somebody who rewrites
//! journal and head together; only a copy on another machine does.
//!
//! Invariant: of the two slots one is always whole, and none names a record that no
//! fsync had covered.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use super::digest::GENESIS;
use super::line;
use crate::fault::{self, Point};

/// Name of the head file.
pub(super) const HEAD: &str = "head";

/// A place in the chain: just after a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Sequence number of the record; 0 before the first.
    pub(super) seq: u64,
    /// Segment the record stands in, by the number of its first record.
    pub(super) segment: u64,
    /// Offset of the byte after the record, in the segment.
    pub(super) end: u64,
    /// Hash of the record, in hex.
    pub(super) last: String,
}

impl Position {
    /// Before the first record.
    pub(super) fn start() -> Self {
        Self {
            seq: 0,
            segment: 1,
            end: 0,
            last: GENESIS.to_owned(),
        }
    }

    fn render(&self) -> String {
        let object = format!(
            "{{\"seq\":\"{:020}\",\"segment\":\"{:020}\",\"end\":\"{:020}\",\"last\":\"{}\"}}",
            self.seq, self.segment, self.end, self.last
        );
        line::seal(&object).0
    }

    fn parse(slot: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Slot {
            seq: String,
            segment: String,
            end: String,
            last: String,
        }
        let text = slot.strip_suffix(b"\n")?;
        line::check(text).ok()?;
        let slot: Slot = serde_json::from_slice(text).ok()?;
        Some(Self {
            seq: slot.seq.parse().ok()?,
            segment: slot.segment.parse().ok()?,
            end: slot.end.parse().ok()?,
            last: slot.last,
        })
    }
}

/// The open head file.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
}

impl HeadFile {
    /// Creates a head file that vouches for nothing, on disk when it returns. It is
    /// there whole or not at all: one without a whole slot would stop the journal.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let slot = Position::start().render();
        crate::replace::create(path, format!("{slot}{slot}").as_bytes())?;
        fault::reach(Point::HeadCreated);
        Self::open(path)
    }

    /// Opens the head file for writing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file })
    }

    /// Opens the head file for reading.
    pub(super) fn open_read_only(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
        })
    }

    /// Both slots; none for one that cannot be read. The second value is the
    /// number of bytes beyond the slots, which should be 0.
    pub(super) fn slots(&self) -> io::Result<([Option<Position>; 2], u64)> {
        let size = slot_size();
        let mut slots = [None, None];
        for (at, slot) in (0u64..).zip(slots.iter_mut()) {
            let mut bytes = vec![0; size];
            match self.file.read_exact_at(&mut bytes, at * size as u64) {
                Ok(()) => *slot = Position::parse(&bytes),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
            }
        }
        let beyond = self.file.metadata()?.len().saturating_sub(2 * size as u64);
        Ok((slots, beyond))
    }

    /// The furthest place the file vouches for; none where no slot is whole.
    pub(super) fn furthest(&self) -> io::Result<Option<Position>> {
        let ([first, second], _) = self.slots()?;
        Ok([first, second]
            .into_iter()
            .flatten()
            .max_by_key(|position| position.seq))
    }

    /// Moves the head forward. It is on disk after the next [`HeadFile::sync`].
    pub(super) fn advance(&self, to: &Position) -> io::Result<()> {
        let ([first, second], _) = self.slots()?;
        let slot: u64 = match (first, second) {
            (None, _) => 0,
            (_, None) => 1,
            (Some(first), Some(second)) => {
                if first.seq.max(second.seq) >= to.seq {
                    return Ok(());
                }
                u64::from(second.seq < first.seq)
            }
        };
        let text = to.render();
        let offset = slot * text.len() as u64;
        fault::reach(Point::HeadBefore);
        let (first, rest) = fault::parts(text.as_bytes());
        self.file.write_all_at(first, offset)?;
        fault::reach(Point::HeadHalf);
        self.file.write_all_at(rest, offset + first.len() as u64)?;
        fault::reach(Point::HeadAdvanced);
        Ok(())
    }

    /// Waits until the head is on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        fault::check(Point::HeadSyncBefore)?;
        self.file.sync_data()?;
        fault::reach(Point::HeadSyncAfter);
        Ok(())
    }
}

fn slot_size() -> usize {
    Position::start().render().len()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::{HEAD, HeadFile, Position};

    fn at(seq: u64) -> Position {
        Position {
            seq,
            segment: 1,
            end: seq * 10,
            last: "ab".repeat(32),
        }
    }

    #[test]
    fn the_furthest_slot_wins_and_the_head_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let head = HeadFile::create(&dir.path().join(HEAD)).unwrap();
        assert_eq!(head.furthest().unwrap(), Some(Position::start()));
        for seq in [1, 2, 5, 3] {
            head.advance(&at(seq)).unwrap();
        }
        assert_eq!(head.furthest().unwrap(), Some(at(5)));
        let (slots, beyond) = head.slots().unwrap();
        assert_eq!(slots, [Some(at(5)), Some(at(2))]);
        assert_eq!(beyond, 0);
    }

    #[test]
    fn a_damaged_slot_leaves_the_other_and_is_written_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(HEAD);
        let head = HeadFile::create(&path).unwrap();
        head.advance(&at(1)).unwrap();
        head.advance(&at(2)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        for byte in &mut bytes[half..half + 20] {
            *byte = b'x';
        }
        std::fs::write(&path, &bytes).unwrap();
        let head = HeadFile::open(&path).unwrap();
        let left = head.furthest().unwrap().unwrap();
        head.advance(&at(3)).unwrap();
        let (slots, _) = head.slots().unwrap();
        assert_eq!(slots, [Some(left), Some(at(3))]);
    }
}
