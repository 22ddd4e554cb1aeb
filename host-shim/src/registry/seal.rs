//! Authenticated encryption of small things.
//!
//! AES-256-GCM (NIST SP 800-38D) with a fresh random 96-bit nonce for every
//! message; section 8.3 of that document bounds one key to 2^32 such messages,
//! far beyond what a register or a snapshot store writes. Associated data binds
//! a message to its place.
//!
//! Invariant: nothing is returned from a message that was not authenticated
//! whole. Which key is used is decided elsewhere.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of a nonce in bytes.
const NONCE: usize = 12;
/// Length of the authentication tag in bytes.
const TAG: usize = 16;
/// Begins every blob, so that a sealed one is never taken for plain content.
const BLOB_MAGIC: &[u8] = b"OSSEAL1\n";

/// A 256-bit key that is wiped when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The operating system gave no random bytes.
    #[error("the system's random number generator failed")]
    NoRandom,
    /// More bytes than one message may hold.
    #[error("the content is too large to be sealed")]
    TooLarge,
    /// Not something this program sealed.
    #[error("the content is not in the sealed format")]
    NotSealed,
    /// The key, the place or the content is not the one it was sealed with.
    #[error("the content was changed, moved, or sealed with another key")]
    NotAuthentic,
}

/// Derives the key for one purpose, so that a message made for one is garbage
/// to another (HMAC-SHA-256 as a pseudo-random function, RFC 2104).
pub(super) fn subkey(master: &[u8; 32], purpose: &str) -> Key {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(master)
        .expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Fills an array from the operating system's generator.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SealError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| SealError::NoRandom)?;
    Ok(bytes)
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(&**key).expect("a key has the 32 bytes AES-256 takes")
}

/// A sealed body as a record carries it: the nonce beside the ciphertext, which
/// ends with the tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SealedText", into = "SealedText")]
pub(super) struct Sealed {
    nonce: [u8; NONCE],
    body: Vec<u8>,
}

/// The same in base64 (RFC 4648, section 4), as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedText {
    nonce: String,
    body: String,
}

impl TryFrom<SealedText> for Sealed {
    type Error = String;

    fn try_from(text: SealedText) -> Result<Self, Self::Error> {
        let decode = |name: &str, value: &str| {
            STANDARD
                .decode(value)
                .map_err(|error| format!("the {name} of a sealed body is not base64: {error}"))
        };
        let nonce: [u8; NONCE] = decode("nonce", &text.nonce)?
            .try_into()
            .map_err(|_| format!("the nonce of a sealed body must have {NONCE} bytes"))?;
        let body = decode("content", &text.body)?;
        if body.len() < TAG {
            return Err(format!("a sealed body has at least {TAG} bytes"));
        }
        Ok(Self { nonce, body })
    }
}

impl From<Sealed> for SealedText {
    fn from(sealed: Sealed) -> Self {
        Self {
            nonce: STANDARD.encode(sealed.nonce),
            body: STANDARD.encode(sealed.body),
        }
    }
}

impl Sealed {
    /// Seals `plain`, bound to `place`.
    pub(super) fn new(key: &Key, place: &[u8], plain: &[u8]) -> Result<Self, SealError> {
        let nonce = *random::<NONCE>()?;
        let body = cipher(key)
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: plain,
                    aad: place,
                },
            )
            .map_err(|_| SealError::TooLarge)?;
        Ok(Self { nonce, body })
    }

    /// Opens what was sealed with the same key, bound to the same place.
    pub(super) fn open(&self, key: &Key, place: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        cipher(key)
            .decrypt(
                &self.nonce.into(),
                Payload {
                    msg: &self.body,
                    aad: place,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::NotAuthentic)
    }
}

/// Seals a blob: a fixed mark, the nonce, the ciphertext with its tag.
pub(super) fn seal_blob(key: &Key, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let sealed = Sealed::new(key, place, plain)?;
    Ok([BLOB_MAGIC, &sealed.nonce, &sealed.body].concat())
}

/// Opens a blob.
pub(super) fn open_blob(
    key: &Key,
    place: &[u8],
    blob: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let rest = blob.strip_prefix(BLOB_MAGIC).ok_or(SealError::NotSealed)?;
    let (nonce, body) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
    Sealed {
        nonce: *nonce,
        body: body.to_vec(),
    }
    .open(key, place)
}

/// Says whether bytes begin as a sealed blob does.
pub(super) fn is_blob(bytes: &[u8]) -> bool {
    bytes.starts_with(BLOB_MAGIC)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::{SealError, open_blob, random, seal_blob, subkey};

    #[test]
    fn a_blob_opens_with_its_key_at_its_place_only() {
        let key = random::<32>().unwrap();
        let blob = seal_blob(&key, b"here", b"content").unwrap();
        assert_eq!(
            open_blob(&key, b"here", &blob).unwrap().as_slice(),
            b"content"
        );
        assert_eq!(
            open_blob(&key, b"there", &blob),
            Err(SealError::NotAuthentic)
        );
        let other = random::<32>().unwrap();
        assert_eq!(
            open_blob(&other, b"here", &blob),
            Err(SealError::NotAuthentic)
        );
    }

    #[test]
    fn no_changed_or_cut_blob_opens() {
        let key = random::<32>().unwrap();
        let blob = seal_blob(&key, b"", b"content").unwrap();
        for index in 0..blob.len() {
            for bit in 0..8 {
                let mut changed = blob.clone();
                changed[index] ^= 1 << bit;
                assert!(
                    open_blob(&key, b"", &changed).is_err(),
                    "bit {bit} of byte {index}"
                );
            }
            assert!(
                open_blob(&key, b"", &blob[..index]).is_err(),
                "cut at {index}"
            );
        }
    }

    #[test]
    fn nonces_are_fresh_and_purposes_apart() {
        let key = random::<32>().unwrap();
        assert_ne!(
            seal_blob(&key, b"", b"x").unwrap(),
            seal_blob(&key, b"", b"x").unwrap()
        );
        assert_ne!(subkey(&key, "a"), subkey(&key, "b"));
    }
}
