//! Why something is not kept, or cannot be read back.
//!
//! Invariant: a text that is no id and an id under which nothing is kept any more
//! are told apart. What a caller does about it is said elsewhere.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::registry::FileError;

/// A failure of the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The text is none of the ids that are given out.
    #[error("this is not the id of kept output")]
    NoId,
    /// Nothing is kept under this id, or nothing any more.
    #[error(
        "no output is kept under this id: it is kept for {} hours, and {} MiB in all, the oldest \
         making room",
        age.as_secs() / 3600, total / (1024 * 1024)
    )]
    Gone {
        /// How long output is kept.
        age: Duration,
        /// How much is kept in all, in bytes.
        total: u64,
    },
    /// The directory is not as private as it must be, or cannot be made.
    #[error(transparent)]
    Private(#[from] FileError),
    /// The system refused.
    #[error("{} cannot be used: {source}", path.display())]
    Unusable {
        /// File or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}
