//! Why a state could not be kept or found.
//!
//! Invariant: a variant names the path, commit or object it is about. Whether a
//! change may go on without its snapshot is not decided by the error.

use std::path::{Path, PathBuf};

/// What can go wrong with a snapshot. None of them leaves half a state: it is
/// in the history or it is not.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The repository cannot be used.
    #[error("the snapshots at {} cannot be used: {reason}", path.display())]
    Unavailable {
        /// The repository, or the file in it.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// git refused an object or a reference.
    #[error("the snapshot repository refused: {0}")]
    Git(#[from] git2::Error),
    /// Another process held the repository longer than a snapshot can take.
    #[error(
        "the snapshots are held by another process{} for more than {waited_ms} ms",
        holder.map_or_else(String::new, |pid| format!(" ({pid})"))
    )]
    Busy {
        /// How long it was waited for, in ms.
        waited_ms: u64,
        /// The process that had the last turn, where it left its id.
        holder: Option<u32>,
    },
    /// The content is larger than is kept.
    #[error("the content of {path} has {bytes} bytes; snapshots keep at most {limit}")]
    TooLarge {
        /// Remote path.
        path: String,
        /// Its size, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A path that is not absolute, or a name that is empty or holds a NUL.
    #[error("{name:?} cannot be kept in the history: {reason}")]
    Name {
        /// The path or server id.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such revision of the file.
    #[error("{server}:{path} has no revision {rev:?}")]
    NotFound {
        /// Logical server id.
        server: String,
        /// Remote path.
        path: String,
        /// The revision asked for.
        rev: String,
    },
    /// What is in the repository is not what was written.
    #[error("{commit} in the snapshots is damaged: {what}")]
    Corrupt {
        /// The commit or object.
        commit: String,
        /// What is wrong with it.
        what: String,
    },
    /// The journal, which the history is compared with, cannot be read.
    #[error("the journal cannot be read: {reason}")]
    Journal {
        /// What is wrong with it.
        reason: String,
    },
    /// A remote did not take the history.
    #[error("the history could not be pushed to {remote}: {reason}")]
    Push {
        /// The remote as it was named, or its address.
        remote: String,
        /// What it, or git, said.
        reason: String,
    },
    /// There is nothing to push.
    #[error("nothing is kept {what}")]
    NothingKept {
        /// Of what.
        what: String,
    },
    /// Secret content without the means to seal it, or the sealing failed.
    #[error("the secret content of {path} cannot be kept: {reason}")]
    Seal {
        /// Remote path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Somebody else kept changing the branch.
    #[error("the history of {server} kept changing while a snapshot was added")]
    Contended {
        /// Logical server id.
        server: String,
    },
}

impl SnapshotError {
    /// What a person can do about it; empty where the error itself says it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Unavailable { path, .. } => format!(
                "A person must make {} writable, or make room on its disk; nothing else has to \
                 be done.",
                path.display()
            ),
            Self::Busy { .. } | Self::Contended { .. } => {
                "Try again; if it stays so, a person must find out what that process is doing. \
                 The lock goes with the process."
                    .to_owned()
            }
            Self::Git(_) | Self::Corrupt { .. } => {
                "`openshell snapshots verify` names what is damaged. Where the disk is full or \
                 cannot be written, that is all there is to mend; otherwise a person can move \
                 the snapshot folder away, which starts a new history and leaves the old one \
                 readable with git."
                    .to_owned()
            }
            Self::Seal { .. } => {
                "A person must unlock the registry, or bring back the key it was sealed with."
                    .to_owned()
            }
            Self::NotFound { .. } => "`openshell history` lists the revisions.".to_owned(),
            Self::TooLarge { .. } => "Change it with a command through remote_exec; such a change \
                 cannot be undone here. The operator can raise the limit in policy.toml."
                .to_owned(),
            Self::Journal { .. } => "`openshell audit verify` says where it is damaged.".to_owned(),
            Self::NothingKept { .. } => "`openshell history` lists what is.".to_owned(),
            Self::Name { .. } | Self::Push { .. } => String::new(),
        }
    }

    /// Wraps an I/O error with the path it happened on.
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Unavailable {
            path: path.to_path_buf(),
            reason: error.to_string(),
        }
    }
}
