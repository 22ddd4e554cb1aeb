//! Output of any length in bounded memory.
//!
//! Invariant: what is kept is a prefix and a suffix of what was printed, and
//! the total counts every byte. It deliberately does not decode anything.

use std::collections::VecDeque;

/// Bytes a command printed, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// The beginning.
    pub head: Vec<u8>,
    /// The end; empty unless something between both was left out.
    pub tail: Vec<u8>,
    /// How many bytes were printed in all.
    pub total: u64,
}

/// Collects a stream.
#[derive(Debug)]
pub(super) struct Collector {
    head_limit: usize,
    tail_limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Collector {
    pub(super) fn new(head_limit: usize, tail_limit: usize) -> Self {
        Self {
            head_limit,
            tail_limit,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.head_limit - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn finish(self) -> Printed {
        let mut printed = Printed {
            head: self.head,
            tail: self.tail.into(),
            total: self.total,
        };
        if (printed.head.len() + printed.tail.len()) as u64 == printed.total {
            // Nothing is missing in between.
            printed.head.append(&mut printed.tail);
        }
        printed
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
                };
                assert_eq!(collector.finish(), expected, "{head} {tail} {piece}");
            }
        }
    }
}
