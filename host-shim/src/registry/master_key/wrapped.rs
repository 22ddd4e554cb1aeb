//! A master key sealed under another one.
//!
//! Serves rotation alone: what was sealed with a former key stays readable to
//! whoever has the present one, and a rotation that was cut off can be finished.
//!
//! Invariant: an unwrapped key is the key its id names, and it was wrapped under
//! exactly the key at hand; swapped entries do not open.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyId, MasterKey, Origin};
use crate::registry::canonical::Encoder;
use crate::registry::seal::{self, Key, SealError, Sealed};
use secrecy::ExposeSecret;

/// Says what the associated data is, and in which layout.
const DOMAIN: &str = "openshell wrapped key 1";

/// A key under another one, as the register's header holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::registry) struct WrappedKey {
    /// Which key is inside.
    pub(in crate::registry) id: KeyId,
    sealed: Sealed,
}

/// A key that is about to take over, as the register's header announces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::registry) struct NextKey {
    /// Which key it is.
    pub(in crate::registry) id: KeyId,
    /// The key that still seals the register, wrapped under the one to come.
    pub(in crate::registry) present: WrappedKey,
}

impl WrappedKey {
    /// Seals `inner` under `outer`.
    pub(in crate::registry) fn new(
        inner: &MasterKey,
        outer: &MasterKey,
    ) -> Result<Self, SealError> {
        let sealed = Sealed::new(
            &wrapping_key(outer),
            &place(&inner.id, &outer.id),
            inner.bytes.expose_secret(),
        )?;
        Ok(Self {
            id: inner.id.clone(),
            sealed,
        })
    }

    /// Takes the key out.
    pub(in crate::registry) fn open(&self, outer: &MasterKey) -> Result<MasterKey, SealError> {
        let plain = self
            .sealed
            .open(&wrapping_key(outer), &place(&self.id, &outer.id))?;
        let mut bytes = Zeroizing::new([0; 32]);
        if plain.len() != bytes.len() {
            return Err(SealError::NotSealed);
        }
        bytes.copy_from_slice(&plain);
        let key = MasterKey::new(&bytes, Origin::File);
        if key.id == self.id {
            Ok(key)
        } else {
            Err(SealError::NotAuthentic)
        }
    }
}

fn wrapping_key(outer: &MasterKey) -> Key {
    seal::subkey(outer.bytes.expose_secret(), "openshell wrapped keys 1")
}

fn place(inner: &KeyId, outer: &KeyId) -> Zeroizing<Vec<u8>> {
    let mut place = Encoder::new(DOMAIN);
    place.text(&inner.0);
    place.text(&outer.0);
    place.finish()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    fn key() -> MasterKey {
        MasterKey::new(&seal::random().unwrap(), Origin::File)
    }

    #[test]
    fn a_key_comes_out_under_its_own_wrapper_only() {
        let (inner, outer, other) = (key(), key(), key());
        let wrapped = WrappedKey::new(&inner, &outer).unwrap();
        assert_eq!(wrapped.open(&outer).unwrap().id(), inner.id());
        assert!(wrapped.open(&other).is_err());
        let renamed = WrappedKey {
            id: other.id.clone(),
            ..wrapped
        };
        assert!(renamed.open(&outer).is_err());
    }
}
