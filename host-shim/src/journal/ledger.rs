//! Which changes nobody knows the outcome of.
//!
//! A view of the chain: an attempt of something that can change a server opens
//! an account, its outcome closes it, and an outcome that is unknown keeps it
//! open until something was found out. The record that begins a segment carries
//! the accounts over, so that only one segment has to be read to know them.
//!
//! What it deliberately does not do: look at servers; it knows what is on record.
//!
//! Invariant: an account is closed by a record and by nothing else.

use std::collections::{BTreeMap, HashMap};

use super::entry::Entry;
use super::event::{EventKind, Recovery, Segment, Unsettled};

/// Most accounts of either kind that are carried into a new segment, the latest
/// ones; what is older stays in the record and has to be settled by hand
/// ([`super::Journal::unsettled`] finds it there).
const CARRIED: usize = 2_000;

/// Changes without a known outcome.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    under_way: HashMap<String, Unsettled>,
    /// By the sequence number of the attempt.
    unknown: BTreeMap<u64, Unsettled>,
}

impl Ledger {
    /// Takes the next record into account.
    pub(super) fn note(&mut self, entry: &Entry) {
        match entry.event {
            EventKind::Checkpoint => {
                if let Some(segment) = &entry.segment {
                    self.carry_over(segment);
                }
            }
            EventKind::Attempt if entry.may_change() => {
                if let (Some(context), Some(operation)) = (entry.context(), &entry.operation) {
                    let account = Unsettled {
                        attempt: entry.seq,
                        ts: entry.ts.clone(),
                        operation: operation.clone(),
                        group: None,
                        found: None,
                        context,
                    };
                    self.under_way
                        .insert(account.context.action.clone(), account);
                }
            }
            EventKind::Outcome | EventKind::Recovered => {
                let Some(mut account) = entry
                    .action
                    .as_ref()
                    .and_then(|action| self.under_way.remove(action))
                else {
                    return;
                };
                let unknown = match (&entry.outcome, &entry.recovered) {
                    (Some(outcome), _) => outcome.status == "unknown",
                    (_, Some(recovered)) => recovered.result == Recovery::Unknown,
                    _ => false,
                };
                if unknown {
                    account.group = entry.outcome.as_ref().and_then(|outcome| outcome.group);
                    self.unknown.insert(account.attempt, account);
                }
            }
            EventKind::Settled => {
                let (Some(action), Some(settled)) = (&entry.action, &entry.settled) else {
                    return;
                };
                if settled.finding.is_final() {
                    self.unknown
                        .retain(|_, account| account.context.action != *action);
                } else if let Some(account) = self
                    .unknown
                    .values_mut()
                    .find(|account| account.context.action == *action)
                {
                    account.found = Some(settled.finding);
                }
            }
            EventKind::Intent | EventKind::Approval | EventKind::Attempt | EventKind::Note => {}
        }
    }

    fn carry_over(&mut self, segment: &Segment) {
        self.under_way = segment
            .under_way
            .iter()
            .map(|account| (account.context.action.clone(), account.clone()))
            .collect();
        self.unknown = segment
            .unknown
            .iter()
            .map(|account| (account.attempt, account.clone()))
            .collect();
    }

    /// Whether an action has an account that an outcome would close.
    pub(super) fn is_under_way(&self, action: &str) -> bool {
        self.under_way.contains_key(action)
    }

    /// Whether an action's outcome is unknown, as far as the ledger reaches.
    pub(super) fn is_unknown(&self, action: &str) -> bool {
        self.unknown
            .values()
            .any(|account| account.context.action == action)
    }

    /// Changes whose outcome is unknown, oldest first.
    pub(super) fn unknown(&self) -> Vec<Unsettled> {
        self.unknown.values().cloned().collect()
    }

    /// What a new segment has to know.
    pub(super) fn carried(&self, follows: String) -> Segment {
        let mut under_way: Vec<Unsettled> = self.under_way.values().cloned().collect();
        under_way.sort_by_key(|account| account.attempt);
        let latest = |accounts: &mut Vec<Unsettled>| {
            accounts.drain(..accounts.len().saturating_sub(CARRIED));
        };
        latest(&mut under_way);
        let mut unknown = self.unknown();
        latest(&mut unknown);
        Segment {
            follows,
            under_way,
            unknown,
        }
    }
}
