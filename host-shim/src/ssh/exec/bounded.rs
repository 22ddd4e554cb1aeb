//! Output of any length in bounded memory.
//!
//! Invariant: what is kept is a prefix and a suffix of what was printed, and
//! the total counts every byte. Where the caller has a spool, what is kept is for a
//! result: it is no longer than the limits as JSON either, and what is left out goes to
//! the spool. It deliberately hands out bytes and no text.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::weight::{self, weight};
use crate::spool::{Keeping, Kept, Spool};

/// Who looks at a command's output while it runs, and where it goes that the
/// outcome does not hold.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Counts the bytes printed, on both streams together.
    pub printed: Arc<AtomicU64>,
    /// Keeps a stream whole that memory does not.
    pub spool: Option<Spool>,
}

/// Bytes a command printed, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// The beginning.
    pub head: Vec<u8>,
    /// The end; empty unless something between both was left out.
    pub tail: Vec<u8>,
    /// How many bytes were printed in all.
    pub total: u64,
    /// Where all of it is kept, where something was left out and could be kept.
    pub kept: Option<Kept>,
}

/// Collects a stream.
#[derive(Debug)]
pub(super) struct Collector {
    head_limit: usize,
    tail_limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    watch: Watch,
    /// Whether what is kept is for a result.
    told: bool,
    keeping: Option<Keeping>,
}

impl Collector {
    pub(super) fn new(head_limit: usize, tail_limit: usize) -> Self {
        Self::watched(head_limit, tail_limit, Watch::default())
    }

    pub(super) fn watched(head_limit: usize, tail_limit: usize, watch: Watch) -> Self {
        Self {
            head_limit,
            tail_limit,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            told: watch.spool.is_some(),
            watch,
            keeping: None,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.watch
            .printed
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.total += bytes.len() as u64;
        self.keep(bytes);
        let room = self.head_limit - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// Begins to keep the stream when memory no longer holds all of it, with what
    /// memory held until then.
    fn keep(&mut self, bytes: &[u8]) {
        if let Some(keeping) = &mut self.keeping {
            return keeping.push(bytes);
        }
        if self.total > (self.head_limit + self.tail_limit) as u64 {
            self.begin_to_keep(bytes);
        }
    }

    /// Begins to keep the stream, with everything so far and these bytes.
    fn begin_to_keep(&mut self, bytes: &[u8]) {
        // Tried once: without it the output is cut, which the outcome shows.
        let Some(mut keeping) = self.watch.spool.take().and_then(|spool| spool.begin().ok()) else {
            return;
        };
        let (older, newer) = self.tail.as_slices();
        for part in [&self.head, older, newer, bytes] {
            keeping.push(part);
        }
        self.keeping = Some(keeping);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn finish(mut self) -> Printed {
        if self.told {
            self.cut_to_weight();
        }
        let mut printed = Printed {
            head: self.head,
            tail: self.tail.into(),
            total: self.total,
            kept: self.keeping.and_then(Keeping::finish),
        };
        if (printed.head.len() + printed.tail.len()) as u64 == printed.total {
            // Nothing is missing in between.
            printed.head.append(&mut printed.tail);
        }
        printed
    }

    /// Keeps less, where what is kept takes more room in a result than it has bytes.
    fn cut_to_weight(&mut self) {
        let tail = self.tail.make_contiguous();
        let limit = self.head_limit + self.tail_limit;
        if weight(&self.head) + weight(tail) <= limit {
            return;
        }
        let whole = (self.head.len() + tail.len()) as u64 == self.total;
        if whole {
            self.begin_to_keep(&[]);
        }
        let mut head = std::mem::take(&mut self.head);
        let mut tail: Vec<u8> = std::mem::take(&mut self.tail).into();
        if whole {
            // The end may be in what was kept as the beginning.
            head.append(&mut tail);
            tail = head.split_off(weight::beginning(&head, self.head_limit));
        }
        head.truncate(weight::beginning(&head, self.head_limit));
        tail.drain(..tail.len() - weight::end(&tail, self.tail_limit));
        self.head = head;
        self.tail = tail.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_kept_whatever_the_pieces() {
        let all: Vec<u8> = (0..=99).collect();
        let table: [(usize, usize, &[u8], &[u8]); 6] = [
            (10, 5, &all[..10], &all[95..]),
            (10, 0, &all[..10], &[]),
            (0, 5, &[], &all[95..]),
            (0, 0, &[], &[]),
            (60, 40, &all, &[]),
            (200, 0, &all, &[]),
        ];
        for (head, tail, first, last) in table {
            for piece in [1, 3, 7, 50, 100] {
                let mut collector = Collector::new(head, tail);
                for bytes in all.chunks(piece) {
                    collector.push(bytes);
                }
                let expected = Printed {
                    head: first.to_vec(),
                    tail: last.to_vec(),
                    total: 100,
                    kept: None,
                };
                assert_eq!(collector.finish(), expected, "{head} {tail} {piece}");
            }
        }
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let paths = crate::registry::Paths::new(dir.path(), dir.path().join("data"));
        paths.ensure(&paths.audit_dir()).expect("a new directory");
        let redactor = crate::journal::Redactor::open(&paths.audit_dir()).expect("a new key");
        (dir, Spool::new(paths, redactor))
    }

    #[test]
    fn what_takes_more_room_as_json_than_it_has_bytes_is_cut_by_that_and_kept() {
        let (_dir, spool) = spool();
        let controls = b"\x1b".repeat(100);
        let mixed = [b"a".repeat(10), b"\x1b".repeat(80), b"z".repeat(10)].concat();
        let garbage = b"\xff".repeat(100);
        // (printed, head, tail, bytes of the head, bytes of the tail)
        let table = [
            (&controls, 120, 60, 20, 10),
            (&controls, 100, 59, 16, 9),
            (&mixed, 70, 22, 20, 12),
            (&garbage, 30, 20, 10, 6),
            (&garbage, 200, 99, 66, 33),
            (&garbage, 200, 100, 100, 0),
        ];
        for (all, head, tail, first, last) in table {
            for piece in [1, 7, 100] {
                let watch = Watch {
                    spool: Some(spool.clone()),
                    ..Watch::default()
                };
                let mut collector = Collector::watched(head, tail, watch);
                for bytes in all.chunks(piece) {
                    collector.push(bytes);
                }
                let printed = collector.finish();
                assert_eq!((printed.head.len(), printed.tail.len()), (first, last));
                assert!(all.starts_with(&printed.head) && all.ends_with(&printed.tail));
                assert_eq!(printed.total, 100);
                let kept = printed.kept.map(|kept| {
                    let piece = spool.read(&kept.id, 0, 1000).expect("it was kept");
                    assert_eq!(&piece.bytes, all);
                });
                assert_eq!(kept.is_some(), first + last < 100);
            }
        }
        // What is for no result is counted as it is.
        let mut collector = Collector::new(60, 40);
        collector.push(&controls);
        assert_eq!(collector.finish().head, controls);
    }

    #[test]
    fn what_memory_does_not_hold_is_kept_whole() {
        let (_dir, spool) = spool();
        let all: Vec<u8> = (b'a'..=b'z').cycle().take(100).collect();
        for (head, tail, kept) in [(10, 5, true), (0, 0, true), (60, 39, true), (60, 40, false)] {
            for piece in [1, 7, 100] {
                let watch = Watch {
                    spool: Some(spool.clone()),
                    ..Watch::default()
                };
                let printed = Arc::clone(&watch.printed);
                let mut collector = Collector::watched(head, tail, watch);
                for bytes in all.chunks(piece) {
                    collector.push(bytes);
                }
                assert_eq!(printed.load(Ordering::Relaxed), 100);
                let found = collector.finish().kept.map(|kept| {
                    let piece = spool.read(&kept.id, 0, 1000).expect("it was kept");
                    assert_eq!((piece.bytes.as_slice(), kept.bytes), (all.as_slice(), 100));
                });
                assert_eq!(found.is_some(), kept, "{head} {tail} {piece}");
            }
        }
    }
}
