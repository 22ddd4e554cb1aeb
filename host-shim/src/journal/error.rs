//! Why a record could not be written or read.
//!
//! The variants are clonable because one failed write answers every call that
//! was waiting for it.
//!
//! Invariant: each variant names the path, line or number it is about. What a
//! caller is told to do next is not said here; codes are given out by the
//! supervisor.

use std::path::{Path, PathBuf};

use super::keys::KeyState;
use super::lock::LockError;

/// What can go wrong with the journal. In every case but `Duplicate` nothing
/// may happen on a server that the missing record would have covered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The directory or a file of the journal cannot be used at all.
    #[error("the journal at {} cannot be used: {reason}", path.display())]
    Unavailable {
        /// The file or directory concerned.
        path: PathBuf,
        /// What the operating system or the check said.
        reason: String,
    },
    /// Another process held the chain longer than a write can take.
    #[error(
        "the journal is held by {} for more than {waited_ms} ms ({}); a process that is stopped \
         holds it until it goes on or is ended",
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
        path.display()
    )]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for, in ms.
        waited_ms: u64,
        /// Process id of the holder, where the system says it.
        holder: Option<u32>,
    },
    /// A line is not what was written.
    #[error(
        "{} is damaged at line {line}: {what}; `audit verify` tells more, and moving the directory away starts a new record",
        file.display()
    )]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Line number, counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Records that were on disk are gone.
    #[error(
        "the journal at {} lost records: {expected} were written, {found} are left; moving the directory away starts a new record",
        path.display()
    )]
    Truncated {
        /// The journal's directory.
        path: PathBuf,
        /// Sequence number the head file vouches for.
        expected: u64,
        /// Last sequence number found.
        found: u64,
    },
    /// The disk refused to make a record durable; it is not known what it kept.
    #[error("the journal stopped because {reason}; it must be opened and verified again")]
    Stopped {
        /// What failed.
        reason: String,
    },
    /// A record is longer than a line may be.
    #[error("a record of {bytes} bytes is longer than the {limit} bytes a line may have")]
    TooLarge {
        /// Length of the line, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The idempotency key of an intent is already on record.
    #[error("this call is already on record as action {}", .0.action)]
    Duplicate(Box<KeyState>),
}

impl JournalError {
    /// Wraps an I/O error with the path it happened on.
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Unavailable {
            path: path.to_path_buf(),
            reason: error.to_string(),
        }
    }

    /// Wraps a failed lock.
    pub(super) fn lock(path: &Path, error: &LockError) -> Self {
        match error {
            LockError::Busy { waited_ms, holder } => Self::Busy {
                path: path.to_path_buf(),
                waited_ms: *waited_ms,
                holder: *holder,
            },
            LockError::Io(error) => Self::io(path, error),
        }
    }
}
