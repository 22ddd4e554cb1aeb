//! A master key made from a passphrase.
//!
//! Argon2id with the second recommended option of RFC 9106, section 4: 64 MiB,
//! three passes, four lanes, a 128-bit salt. The parameters stand in the
//! register, so a later version can raise them for new ones.
//!
//! Invariant: parameters read from a register are bounded before they are used, so
//! an edited file cannot make this process allocate without end. Asking somebody
//! for it is not done here.

use std::fmt;
use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::KeyError;
use super::file::failed;
use crate::registry::private_fs;
use crate::registry::seal;

/// Length of the salt in bytes.
const SALT: usize = 16;
/// Fewest characters of a new passphrase.
const LEAST: usize = 8;
/// Largest passphrase file read, in bytes.
const MAX_SIZE: u64 = 4096;
/// Bounds of what a register may ask for: KiB, passes and lanes.
const MEMORY: std::ops::RangeInclusive<u32> = 8 * 1024..=1024 * 1024;
const PASSES: std::ops::RangeInclusive<u32> = 1..=16;
const LANES: std::ops::RangeInclusive<u32> = 1..=16;

/// The one algorithm; another name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    /// Argon2id, version 0x13.
    Argon2id,
}

/// How a key is made from a passphrase, as it stands in the register.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::registry) struct Kdf {
    algorithm: Name,
    /// KiB of memory.
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// Base64.
    salt: String,
}

impl fmt::Debug for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory_kib,
            passes,
            lanes,
            ..
        } = self;
        write!(
            f,
            "argon2id({memory_kib} KiB, {passes} passes, {lanes} lanes)"
        )
    }
}

impl Kdf {
    /// Today's parameters with a fresh salt.
    pub(super) fn fresh() -> Result<Self, KeyError> {
        Ok(Self {
            algorithm: Name::Argon2id,
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
            salt: STANDARD.encode(*seal::random::<SALT>()?),
        })
    }

    /// The cheapest parameters a register may have, for tests of what does not
    /// depend on the cost.
    #[cfg(test)]
    pub(super) fn cheap() -> Result<Self, KeyError> {
        Ok(Self {
            memory_kib: *MEMORY.start(),
            passes: 1,
            lanes: 1,
            ..Self::fresh()?
        })
    }

    fn salt(&self) -> Option<[u8; SALT]> {
        STANDARD.decode(&self.salt).ok()?.try_into().ok()
    }

    /// Refuses parameters out of bounds, with a clause saying which.
    pub(in crate::registry) fn check(&self) -> Result<(), String> {
        let Self {
            memory_kib,
            passes,
            lanes,
            ..
        } = self;
        if !MEMORY.contains(memory_kib) {
            return Err(format!(
                "memory_kib {memory_kib} of the kdf is out of bounds"
            ));
        }
        if !PASSES.contains(passes) {
            return Err(format!("passes {passes} of the kdf is out of bounds"));
        }
        if !LANES.contains(lanes) {
            return Err(format!("lanes {lanes} of the kdf is out of bounds"));
        }
        match self.salt() {
            Some(_) => Ok(()),
            None => Err(format!(
                "the salt of the kdf must be {SALT} bytes in base64"
            )),
        }
    }

    /// Makes the key. Takes a noticeable fraction of a second by intent.
    pub(super) fn derive(
        &self,
        passphrase: &SecretString,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let refused = |reason: String| KeyError::Derivation { reason };
        self.check().map_err(refused)?;
        let salt = self.salt().expect("the check above read the salt");
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(key.len()))
            .map_err(|error| refused(error.to_string()))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut memory = vec![Block::default(); params.block_count()];
        let outcome = argon.hash_password_into_with_memory(
            passphrase.expose_secret().as_bytes(),
            &salt,
            &mut *key,
            &mut memory,
        );
        // The blocks are derived from the passphrase; the library leaves them.
        for block in &mut memory {
            block.zeroize();
        }
        outcome.map_err(|error| refused(error.to_string()))?;
        Ok(key)
    }
}

/// Refuses a new passphrase that is too short.
pub(super) fn check_new(passphrase: &SecretString) -> Result<(), KeyError> {
    if passphrase.expose_secret().chars().count() < LEAST {
        return Err(KeyError::PassphraseTooShort { least: LEAST });
    }
    Ok(())
}

/// Reads a passphrase from a private file (0600): one line, without its end.
///
/// # Errors
/// [`KeyError::File`] or [`KeyError::NotAPassphrase`].
pub fn read(path: &Path) -> Result<SecretString, KeyError> {
    let bytes = private_fs::read_secret(path, MAX_SIZE).map_err(failed("passphrase file"))?;
    let text = std::str::from_utf8(&bytes).ok();
    let line = text.map(|text| text.strip_suffix('\n').unwrap_or(text));
    let line = line.map(|text| text.strip_suffix('\r').unwrap_or(text));
    match line {
        Some(line) if !line.is_empty() && !line.contains(['\n', '\r', '\0']) => {
            Ok(SecretString::from(line))
        }
        _ => Err(KeyError::NotAPassphrase {
            path: path.to_owned(),
        }),
    }
}
