//! Outcomes that were known and could not be written: a full disk, a chain that
//! another process held for too long.
//!
//! Invariant: what is owed comes before whatever is written next, and once. Part
//! of a write that failed can be in the file all the same; what is found there is
//! no longer owed.
//!
//! What it deliberately does not do: keep intents and attempts. Whoever waited for
//! those was refused, so nothing happened that they would tell of.

use std::collections::VecDeque;

use super::entry::Entry;
use super::event::EventKind;
use super::keys::Place;

/// Most outcomes that are kept. What comes after them is settled as unknown once
/// this process has ended.
const MOST: usize = 1_024;

/// An owed outcome that is in the file by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paid {
    pub(super) action: String,
    pub(super) seq: u64,
    pub(super) place: Place,
}

/// The outcomes one process could not write.
#[derive(Debug, Default)]
pub(super) struct Owed {
    waiting: VecDeque<Entry>,
    paid: Vec<Paid>,
}

impl Owed {
    /// Keeps the outcomes among entries that could not be written.
    pub(super) fn keep(&mut self, entries: Vec<Entry>) {
        let outcomes = entries
            .into_iter()
            .filter(|entry| entry.event == EventKind::Outcome && entry.action.is_some());
        let room = MOST - self.waiting.len().min(MOST);
        self.waiting.extend(outcomes.take(room));
    }

    /// Takes a record that was found in the file into account.
    pub(super) fn found(&mut self, entry: &Entry, place: Place) {
        if entry.event != EventKind::Outcome || self.waiting.is_empty() {
            return;
        }
        let before = self.waiting.len();
        self.waiting.retain(|owed| owed.action != entry.action);
        if self.waiting.len() < before {
            self.settle(entry.action.clone(), entry.seq, place);
        }
    }

    /// Takes into account that everything owed was written, at these places in the
    /// same order; none for what cannot be written at all.
    pub(super) fn written(&mut self, places: Vec<Option<(u64, Place)>>) {
        let written: Vec<Entry> = self.waiting.drain(..).collect();
        for (entry, place) in written.into_iter().zip(places) {
            if let Some((seq, place)) = place {
                self.settle(entry.action, seq, place);
            }
        }
    }

    fn settle(&mut self, action: Option<String>, seq: u64, place: Place) {
        self.paid
            .extend(action.map(|action| Paid { action, seq, place }));
    }

    /// What is to be written first, in the order it became known.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.waiting.iter().cloned().collect()
    }

    /// Whether nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What was put on record since the last time.
    pub(super) fn paid(&mut self) -> Vec<Paid> {
        std::mem::take(&mut self.paid)
    }
}
