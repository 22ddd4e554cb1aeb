//! Why the register could not be read or changed.
//!
//! Each error says what happened; [`RegistryError::next`] says what to do. None
//! can hold a credential: the types that carry one cannot be printed.
//!
//! Invariant: an error names the file, server or field it is about. Exit codes and
//! failure codes are given out elsewhere.

use std::path::PathBuf;

use super::master_key::KeyId;
use super::private_fs::FileError;
use super::seal::SealError;
use super::server_id::ServerId;

/// Why the register could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file or its directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a register of a format this version knows.
    #[error("{path} is not a readable register: {reason}")]
    Malformed {
        /// The register.
        path: PathBuf,
        /// What is wrong, with line and column where there is one.
        reason: String,
    },
    /// A newer version of this program wrote the file.
    #[error("{path} has format {found}, but this version reads formats up to {newest}")]
    NewerFormat {
        /// The register.
        path: PathBuf,
        /// Format of the file.
        found: u64,
        /// Newest format this version reads.
        newest: u64,
    },
    /// The register is gone while its backup still stands.
    #[error("{path} is missing, but its backup {backup} is there")]
    Missing {
        /// The register.
        path: PathBuf,
        /// Its backup.
        backup: PathBuf,
    },
    /// A record is not what was sealed, or holds what it may not.
    #[error("the record of server {id} is invalid: {reason}")]
    RecordInvalid {
        /// The record.
        id: ServerId,
        /// A clause saying what is wrong.
        reason: String,
    },
    /// Two records have the same id.
    #[error("{path} holds server {id} twice")]
    Duplicate {
        /// The register.
        path: PathBuf,
        /// The id.
        id: ServerId,
    },
    /// No such server.
    #[error("there is no server {id} in the register")]
    NotFound {
        /// The id.
        id: ServerId,
    },
    /// The id is taken.
    #[error("server {id} is registered already")]
    AlreadyExists {
        /// The id.
        id: ServerId,
    },
    /// A field of a new server holds what it may not.
    #[error("{field} {reason}")]
    InvalidField {
        /// Name of the field.
        field: &'static str,
        /// A clause that follows the name.
        reason: String,
    },
    /// The server to connect through is not registered.
    #[error("server {id} connects through {jump}, which is not registered")]
    JumpMissing {
        /// The server.
        id: ServerId,
        /// The missing one.
        jump: ServerId,
    },
    /// Following the jumps never ends, or not soon enough.
    #[error("server {id} connects through more than {limit} others, or through itself")]
    JumpTooLong {
        /// The server.
        id: ServerId,
        /// Most jumps followed.
        limit: usize,
    },
    /// Others connect through this server.
    #[error("server {id} cannot be removed: {} through it", through(by))]
    InUse {
        /// The server.
        id: ServerId,
        /// Who connects through it.
        by: Vec<ServerId>,
    },
    /// The key is not the one this register was sealed with.
    #[error("the register is sealed with key {expected}, not with key {found}")]
    WrongKey {
        /// Id of the register's key.
        expected: KeyId,
        /// Id of the key at hand.
        found: KeyId,
    },
    /// A former key does not open under the present one.
    #[error("the retired key {id} in the register's header is damaged")]
    RetiredKeyInvalid {
        /// Its id.
        id: KeyId,
    },
    /// Sealing failed.
    #[error("a record could not be sealed: {0}")]
    Seal(#[from] SealError),
}

fn through(by: &[ServerId]) -> String {
    let names: Vec<&str> = by.iter().map(ServerId::as_str).collect();
    match names.as_slice() {
        [one] => format!("{one} connects"),
        many => format!("{} connect", many.join(", ")),
    }
}

impl RegistryError {
    /// One sentence saying what to do next; empty where nothing helps.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::File(_) | Self::InvalidField { .. } | Self::Seal(_) => String::new(),
            Self::Malformed { path, .. } | Self::Duplicate { path, .. } => format!(
                "Put the last good copy back from {}.bak, or move the file away to start anew.",
                path.display()
            ),
            Self::NewerFormat { .. } => {
                "Install the version of openshell that wrote it, or a newer one.".to_owned()
            }
            Self::Missing { path, backup } => format!(
                "Copy {} to {}, or remove the backup to start with no servers.",
                backup.display(),
                path.display()
            ),
            Self::RecordInvalid { id, .. } => {
                format!("Somebody changed the file by hand; remove server {id} and add it again.")
            }
            Self::NotFound { .. } => "`openshell server list` shows the registered ids.".to_owned(),
            Self::AlreadyExists { .. } => {
                "Remove it first, or say that it is to be replaced.".to_owned()
            }
            Self::JumpMissing { jump, .. } => format!("Add server {jump} first."),
            Self::JumpTooLong { .. } => "Give one of them a direct route.".to_owned(),
            Self::InUse { .. } => {
                "Remove those servers first, or give them another route.".to_owned()
            }
            Self::RetiredKeyInvalid { .. } => "Put the last good copy of the register back; \
                without that key, snapshots sealed before a rotation stay closed."
                .to_owned(),
            Self::WrongKey { .. } => {
                "Use the master key this register was made with; nothing else opens it.".to_owned()
            }
        }
    }
}
