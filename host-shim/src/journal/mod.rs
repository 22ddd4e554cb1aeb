//! The journal: what was asked, judged, answered, tried and found, in order.
//!
//! `actions.jsonl` holds one JSON object a line. Every line carries the hash of
//! the line before it and its own, so no byte of the past can change without
//! the first changed line being named; a separate `head` file says how far the
//! record was known to be on disk, so a cut-off end is noticed too. Several
//! processes append to one chain, in turn, under a file lock.
//!
//! Invariant: no byte that was written is ever changed or removed here. What a
//! crash tore is accounted for by a later record; what was tampered with is
//! refused.
//!
//! What it deliberately does not do: keep file contents or command output
//! (only their sizes and hashes), decide anything, or repair a broken chain.

mod batch;
mod chain;
mod digest;
mod entry;
mod error;
mod event;
mod export;
mod follow;
mod handle;
mod head;
mod index;
mod keys;
mod lease;
mod ledger;
mod leftovers;
mod line;
mod lock;
mod opening;
mod owed;
mod owner;
mod parallel;
mod reader;
mod recover;
mod redact;
mod segments;
mod tail;
mod verify;
mod writer;

pub use entry::Entry;
pub use error::JournalError;
pub use event::{
    Answer, Approval, Attempt, Conclusion, Context, Decided, Event, EventKind, Finding, Intent,
    Note, Operation, Outcome, Recovered, Recovery, Segment, Settled, Settlement, Torn, Unsettled,
};
pub use export::{ExportCheck, Extent};
pub use handle::{Durability, Journal, Options, Receipt};
pub use keys::{KeyStage, KeyState};
pub use lease::{Lease, LeaseError};
pub use leftovers::Leftover;
pub use reader::{Filter, Record, Records};
pub use redact::{RedactError, Redactor};
pub use tail::Tail;
pub use verify::{Broken, Verification};

pub(crate) use digest::sha256_hex;
pub(crate) use lock::{FileLock, LockError, LockGuard};

#[cfg(test)]
mod tests;
