//! Why there is no master key.
//!
//! Each error says what happened; [`KeyError::next`] says what to do. None can
//! hold a key or a passphrase.
//!
//! Invariant: the words tell which source was looked at and, where keys differ,
//! their ids. No variant leads to another source being tried.

use std::path::PathBuf;
use std::time::Duration;

use super::KeyId;
use crate::registry::error::RegistryError;
use crate::registry::private_fs::FileError;
use crate::registry::seal::SealError;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A variable that names a file is set, but names no fixed place.
    #[error("{variable} must be the absolute path of a file")]
    NotAbsolute {
        /// The variable.
        variable: &'static str,
    },
    /// The key file or the passphrase file cannot be used.
    #[error("the {what} cannot be used: {source}")]
    File {
        /// `master key file` or `passphrase file`.
        what: &'static str,
        /// What is wrong with it.
        source: FileError,
    },
    /// The key file holds something else.
    #[error("{path} does not hold a master key: it must be 32 bytes in base64, on one line")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The register was made with a key file, and none was named.
    #[error(
        "the register is sealed with a key file, OPENSHELL_MASTER_KEY_FILE is not set, and there \
         is none in openshell's configuration directory"
    )]
    FileNotNamed,
    /// The register was made with a passphrase, and there is nobody to ask.
    #[error("the register is sealed with a passphrase, and there is no way to ask for it here")]
    NoPassphrase,
    /// Asking for the passphrase failed.
    #[error("the passphrase could not be read: {0}")]
    Prompt(#[source] std::io::Error),
    /// The passphrase file holds something else.
    #[error("{path} does not hold a passphrase: it must be one line of UTF-8 text")]
    NotAPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A new passphrase is too easily guessed.
    #[error("a new passphrase must have at least {least} characters")]
    PassphraseTooShort {
        /// Fewest characters accepted.
        least: usize,
    },
    /// The passphrase does not open the register.
    #[error("this is not the passphrase of the register")]
    WrongPassphrase,
    /// Another key is needed.
    #[error("the {source_name} holds key {found}, but the register is sealed with key {expected}")]
    WrongKey {
        /// Where the key came from.
        source_name: &'static str,
        /// Id of the register's key.
        expected: KeyId,
        /// Id of the key that was found.
        found: KeyId,
    },
    /// The keychain is there but locked.
    #[error("the keychain is locked: {reason}")]
    Locked {
        /// What the keychain said.
        reason: String,
    },
    /// There is no keychain.
    #[error("this machine has no keychain that can be reached: {reason}")]
    NoKeychain {
        /// What the system said.
        reason: String,
    },
    /// The keychain did not answer; it may be waiting for a dialog.
    #[error("the keychain did not answer within {} seconds", waited.as_secs())]
    KeychainTimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The keychain answered with an error of another kind.
    #[error("the keychain failed: {reason}")]
    Keychain {
        /// What it said.
        reason: String,
    },
    /// The register exists and the keychain has no key, so a new key would be
    /// of no use.
    #[error("the register is sealed with key {expected}, but the keychain holds none")]
    NotInKeychain {
        /// Id of the register's key.
        expected: KeyId,
    },
    /// There is nothing to rotate yet.
    #[error("there is no register at {path}")]
    NoRegister {
        /// Where it would be.
        path: PathBuf,
    },
    /// A register sealed with a passphrase gets a new key from a new passphrase.
    #[error("the register is sealed with a passphrase, and no new one was given")]
    NoNewPassphrase,
    /// The keychain's entry is in use.
    #[error("the keychain holds key {found} already")]
    KeychainTaken {
        /// Id of that key.
        found: KeyId,
    },
    /// The key was given up by a rotation.
    #[error("key {found} was retired by a rotation; the register is sealed with key {expected}")]
    Retired {
        /// Id of the register's key.
        expected: KeyId,
        /// Id of the retired key.
        found: KeyId,
    },
    /// Not a recovery document.
    #[error("this is not a recovery document: {reason}")]
    NotARecovery {
        /// What is wrong with it.
        reason: String,
    },
    /// The recovery document does not open.
    #[error("the passphrase is not that of the recovery document, or the document was changed")]
    RecoveryClosed,
    /// The register itself could not be read.
    #[error(transparent)]
    Registry(#[from] Box<RegistryError>),
    /// The system has no random bytes.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Argon2 refused, for want of memory.
    #[error("the key could not be derived from the passphrase: {reason}")]
    Derivation {
        /// What it said.
        reason: String,
    },
}

impl From<RegistryError> for KeyError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl KeyError {
    /// One sentence saying what to do next; empty where nothing helps.
    #[must_use]
    pub fn next(&self) -> String {
        const OWN_FILE: &str = "On a machine without one, run `openshell key init --file`.";
        match self {
            Self::NotAbsolute { variable } => format!("Correct {variable}, or unset it."),
            Self::File { source, .. } => match source {
                FileError::Permissive { path, .. } => format!(
                    "Others may have read it: make a new one, or at least run `chmod 600 {}`.",
                    path.display()
                ),
                FileError::Foreign { .. } => "Use a file of your own.".to_owned(),
                FileError::Exists { .. } => "Choose another path.".to_owned(),
                _ => String::new(),
            },
            Self::NotAKey { .. } => {
                "Name a file that `openshell key init --file PATH` made, or bring back the one \
                 it made."
                    .to_owned()
            }
            Self::FileNotNamed => {
                "Set OPENSHELL_MASTER_KEY_FILE to the file the register was made with, or put it \
                 back."
                    .to_owned()
            }
            Self::NoPassphrase | Self::Prompt(_) => {
                "Run it at a terminal, or set OPENSHELL_PASSPHRASE_FILE to a file of mode 0600."
                    .to_owned()
            }
            Self::NotAPassphrase { .. } | Self::WrongPassphrase => "Try again.".to_owned(),
            Self::PassphraseTooShort { .. } => "Choose a longer one.".to_owned(),
            Self::WrongKey { .. } | Self::NotInKeychain { .. } => {
                "Bring back the key the register was made with; nothing else opens it.".to_owned()
            }
            Self::Locked { .. } => {
                format!("Unlock it, for example by logging in to the desktop. {OWN_FILE}")
            }
            Self::KeychainTimedOut { .. } => {
                format!("Look for a dialog that waits for you. {OWN_FILE}")
            }
            Self::NoKeychain { .. } => "Run `openshell key init --file`.".to_owned(),
            Self::Keychain { .. } => OWN_FILE.to_owned(),
            Self::NoRegister { .. } => {
                "`openshell key init` makes a key, and the first server the register.".to_owned()
            }
            Self::NoNewPassphrase => {
                "Type a new one at a terminal, or name a file of mode 0600 that holds it."
                    .to_owned()
            }
            Self::KeychainTaken { .. } => "Bring the key back into a file of its own.".to_owned(),
            Self::Retired { .. } => {
                "Use the recovery document that was exported after that rotation.".to_owned()
            }
            Self::NotARecovery { .. } => {
                "Give the text that `openshell key export-recovery` wrote.".to_owned()
            }
            Self::RecoveryClosed => "Try again.".to_owned(),
            Self::Registry(error) => error.next(),
            Self::Seal(_) | Self::Derivation { .. } => String::new(),
        }
    }
}
