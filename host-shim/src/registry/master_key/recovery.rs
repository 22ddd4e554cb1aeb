//! The master key as a document a person keeps away from the machine.
//!
//! Wrapped by a passphrase of its own (Argon2id, RFC 9106), whatever source the
//! key has here.
//!
//! Invariant: the document says which key it holds and gives it out only whole
//! and unchanged. It holds nothing of the register: no server, no credential,
//! and no former key.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::passphrase::{self, Kdf};
use super::{KeyError, KeyId, MasterKey, Origin, file};
use crate::registry::canonical::Encoder;
use crate::registry::private_fs;
use crate::registry::seal::{self, Key, Sealed};

/// Says what the associated data is, and in which layout.
const DOMAIN: &str = "openshell recovery 1";
/// Largest document read, in bytes.
const MAX_SIZE: usize = 16 * 1024;

/// The one format; another name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "openshell-recovery-1")]
    One,
}

/// The master key, wrapped by a passphrase, as text to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    format: Format,
    key: KeyId,
    kdf: Kdf,
    sealed: Sealed,
}

impl Recovery {
    /// Wraps a key. Takes as long as deriving a key from a passphrase does.
    ///
    /// # Errors
    /// [`KeyError::PassphraseTooShort`], [`KeyError::Derivation`] or
    /// [`KeyError::Seal`].
    pub fn new(key: &MasterKey, passphrase: &SecretString) -> Result<Self, KeyError> {
        passphrase::check_new(passphrase)?;
        Self::with(key, passphrase, Kdf::fresh()?)
    }

    fn with(key: &MasterKey, passphrase: &SecretString, kdf: Kdf) -> Result<Self, KeyError> {
        let wrapping = wrapping_key(&kdf, passphrase)?;
        let sealed = Sealed::new(&wrapping, &place(&key.id), key.bytes.expose_secret())?;
        Ok(Self {
            format: Format::One,
            key: key.id.clone(),
            kdf,
            sealed,
        })
    }

    /// Reads a document back.
    ///
    /// # Errors
    /// [`KeyError::NotARecovery`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let refused = |reason: String| KeyError::NotARecovery { reason };
        if text.len() > MAX_SIZE {
            return Err(refused(format!("it is longer than {MAX_SIZE} bytes")));
        }
        let recovery: Self =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        recovery.kdf.check().map_err(refused)?;
        Ok(recovery)
    }

    /// Which key the document holds.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key
    }

    /// Takes the key out.
    ///
    /// # Errors
    /// [`KeyError::RecoveryClosed`] when the passphrase is another one or the
    /// document was changed.
    pub fn open(&self, passphrase: &SecretString) -> Result<MasterKey, KeyError> {
        let wrapping = wrapping_key(&self.kdf, passphrase)?;
        let plain = self
            .sealed
            .open(&wrapping, &place(&self.key))
            .map_err(|_| KeyError::RecoveryClosed)?;
        let mut bytes = Zeroizing::new([0; 32]);
        if plain.len() != bytes.len() {
            return Err(KeyError::RecoveryClosed);
        }
        bytes.copy_from_slice(&plain);
        let key = MasterKey::new(&bytes, Origin::File);
        if key.id == self.key {
            Ok(key)
        } else {
            Err(KeyError::RecoveryClosed)
        }
    }

    /// The document as text, with a line end.
    ///
    /// # Errors
    /// [`KeyError::NotARecovery`] when it cannot be written as JSON.
    pub fn to_text(&self) -> Result<String, KeyError> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| KeyError::NotARecovery {
                reason: error.to_string(),
            })
    }

    /// Writes the document to a new file of mode 0600.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file exists or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        private_fs::create_new(path, self.to_text()?.as_bytes())
            .map_err(file::failed("recovery file"))
    }
}

fn wrapping_key(kdf: &Kdf, passphrase: &SecretString) -> Result<Key, KeyError> {
    Ok(seal::subkey(
        &*kdf.derive(passphrase)?,
        "openshell recovery 1",
    ))
}

fn place(id: &KeyId) -> Zeroizing<Vec<u8>> {
    let mut place = Encoder::new(DOMAIN);
    place.text(&id.0);
    place.finish()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    #[test]
    fn only_the_passphrase_opens_and_only_what_was_written() {
        let key = MasterKey::new(&seal::random().unwrap(), Origin::Keychain);
        let passphrase = SecretString::from("correct horse");
        let made = Recovery::with(&key, &passphrase, Kdf::cheap().unwrap()).unwrap();
        let text = made.to_text().unwrap();
        let read = Recovery::parse(&text).unwrap();
        assert_eq!(read.key_id(), key.id());
        assert_eq!(read.open(&passphrase).unwrap().id(), key.id());
        let wrong = read.open(&SecretString::from("correct h0rse"));
        assert!(matches!(wrong, Err(KeyError::RecoveryClosed)));

        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let other = MasterKey::new(&seal::random().unwrap(), Origin::File);
        value["key"] = other.id().to_string().into();
        let renamed = Recovery::parse(&value.to_string()).unwrap();
        assert!(matches!(
            renamed.open(&passphrase),
            Err(KeyError::RecoveryClosed)
        ));
        for (field, bad) in [
            ("format", serde_json::json!("openshell-recovery-2")),
            ("kdf", serde_json::json!({})),
            ("extra", serde_json::json!(1)),
        ] {
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
            value[field] = bad;
            let refused = Recovery::parse(&value.to_string());
            assert!(
                matches!(refused, Err(KeyError::NotARecovery { .. })),
                "{field}"
            );
        }
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        let key = MasterKey::new(&seal::random().unwrap(), Origin::File);
        let short = Recovery::new(&key, &SecretString::from("short"));
        assert!(matches!(short, Err(KeyError::PassphraseTooShort { .. })));
    }
}
