//! The key everything else is sealed with, and where it comes from.
//!
//! Three sources: a file, which the operator names or had made in its usual place, a
//! passphrase, or else the operating system's keychain. A register says which one it
//! was made with.
//!
//! Invariant: no source is tried because another failed, and a key is made only
//! where there is no register it could fail to open. The key is never printed
//! and never leaves this type; what goes out are keys derived for one purpose.

mod error;
mod file;
mod keychain;
mod passphrase;
mod recovery;
mod rotation;
mod source;
mod wrapped;

#[cfg(test)]
mod tests;

use std::fmt;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::document::{KeyHeader, StoredSource};
use super::seal::{self, Key, SealError};

pub use error::KeyError;
pub use file::create_key_file;
pub(super) use passphrase::Kdf;
pub use passphrase::read as read_passphrase_file;
pub use recovery::Recovery;
pub use rotation::{KeyHome, Rotated, bring_back, rotate};
pub use source::{KeyEnv, MasterKeySource, PassphrasePrompt};
pub(super) use wrapped::{NextKey, WrappedKey};

/// Length of a key's id in bytes: enough that two keys never share one.
const ID_LEN: usize = 16;

/// Tells keys apart without telling anything about them: the first 128 bits of
/// an HMAC-SHA-256 of a constant, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 2 * ID_LEN && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err("the id of a key is 32 digits of lower-case hex")
        }
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// Where a key at hand came from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    File,
    Keychain,
    Passphrase(Kdf),
}

/// The master key: 256 bits, wiped when dropped.
pub struct MasterKey {
    bytes: SecretBox<[u8; 32]>,
    id: KeyId,
    origin: Origin,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl MasterKey {
    fn new(bytes: &Zeroizing<[u8; 32]>, origin: Origin) -> Self {
        let mark = seal::subkey(bytes, "openshell master key id 1");
        let id = mark[..ID_LEN]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            bytes: SecretBox::init_with_mut(|place: &mut [u8; 32]| place.copy_from_slice(&**bytes)),
            id: KeyId(id),
            origin,
        }
    }

    /// Makes a key from a new passphrase (Argon2id, RFC 9106) with a fresh
    /// salt. The register that is made with it remembers the salt.
    ///
    /// # Errors
    /// [`KeyError::PassphraseTooShort`], or [`KeyError::Seal`] when the system
    /// has no random bytes.
    pub fn from_new_passphrase(passphrase: &SecretString) -> Result<Self, KeyError> {
        passphrase::check_new(passphrase)?;
        let kdf = Kdf::fresh()?;
        let bytes = kdf.derive(passphrase)?;
        Ok(Self::new(&bytes, Origin::Passphrase(kdf)))
    }

    /// Whether the key was made from a passphrase.
    #[must_use]
    pub fn has_passphrase(&self) -> bool {
        matches!(self.origin, Origin::Passphrase(_))
    }

    /// Says whether this is the passphrase the key was made from; false for a
    /// key that was made from none. Takes as long as making the key did.
    ///
    /// # Errors
    /// [`KeyError`] when the derivation runs out of memory.
    pub fn is_passphrase(&self, passphrase: &SecretString) -> Result<bool, KeyError> {
        let Origin::Passphrase(kdf) = &self.origin else {
            return Ok(false);
        };
        let bytes = kdf.derive(passphrase)?;
        Ok(Self::new(&bytes, self.origin.clone()).id == self.id)
    }

    /// Tells this key from others.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Seals content that is kept outside the register, such as the former
    /// content of a secret file, bound to `aad`.
    ///
    /// # Errors
    /// [`SealError::NoRandom`] or [`SealError::TooLarge`].
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::seal_blob(&self.blob_key(), aad, plain)
    }

    /// Opens what [`MasterKey::seal`] sealed with the same `aad`.
    ///
    /// # Errors
    /// [`SealError::NotSealed`] or [`SealError::NotAuthentic`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        seal::open_blob(&self.blob_key(), aad, sealed)
    }

    /// Says whether bytes look like something [`MasterKey::seal`] made. A file
    /// of a server can begin with the same mark, so this proves nothing.
    #[must_use]
    pub fn is_sealed(bytes: &[u8]) -> bool {
        seal::is_blob(bytes)
    }

    /// The key that seals records.
    pub(super) fn record_key(&self) -> Key {
        seal::subkey(self.bytes.expose_secret(), "openshell registry records 1")
    }

    /// The bytes, for the places a key is kept in.
    fn plain(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.bytes.expose_secret())
    }

    fn copy(&self) -> Self {
        Self::new(&self.plain(), self.origin.clone())
    }

    fn blob_key(&self) -> Key {
        seal::subkey(self.bytes.expose_secret(), "openshell blobs 1")
    }

    /// What a register made with this key says about it.
    pub(super) fn header(&self) -> KeyHeader {
        let (source, kdf) = match &self.origin {
            Origin::File => (StoredSource::File, None),
            Origin::Keychain => (StoredSource::Keychain, None),
            Origin::Passphrase(kdf) => (StoredSource::Passphrase, Some(kdf.clone())),
        };
        KeyHeader {
            source,
            id: self.id.clone(),
            kdf,
        }
    }
}
