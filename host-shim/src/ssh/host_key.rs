//! A server's public key, as it is shown, compared and stored.
//!
//! Invariant: two keys are equal exactly when their wire encodings are (RFC
//! 4253 section 6.6); comments and spelling do not count. It deliberately does
//! not decide whether a key is trusted.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// A server's public key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    /// Wire encoding, known to begin with a type.
    blob: Arc<[u8]>,
}

/// Why a text is not a host key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// Not of the form `TYPE BASE64`.
    #[error("a host key is written as TYPE BASE64, such as `ssh-ed25519 AAAA...`")]
    Form,
    /// The second word is not base64.
    #[error("the key data is not base64")]
    Base64,
    /// The key data names another type than the first word.
    #[error("the key data is of type {inner}, not {outer}")]
    TypeMismatch {
        /// Type before the key data.
        outer: String,
        /// Type inside the key data.
        inner: String,
    },
}

impl HostKey {
    /// Takes a key in wire encoding, whose first string is its type.
    ///
    /// # Errors
    /// [`HostKeyError::Form`] when there is no such string.
    pub fn from_blob(blob: Vec<u8>) -> Result<Self, HostKeyError> {
        wire_type(&blob).ok_or(HostKeyError::Form)?;
        Ok(Self { blob: blob.into() })
    }

    /// Parses `TYPE BASE64`, with or without a comment behind it.
    ///
    /// # Errors
    /// When the form is another, or both types differ.
    pub fn parse(text: &str) -> Result<Self, HostKeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(outer), Some(data)) = (words.next(), words.next()) else {
            return Err(HostKeyError::Form);
        };
        let blob = decode_base64(data).ok_or(HostKeyError::Base64)?;
        let key = Self::from_blob(blob)?;
        if key.key_type() != outer {
            return Err(HostKeyError::TypeMismatch {
                outer: outer.to_owned(),
                inner: key.key_type().to_owned(),
            });
        }
        Ok(key)
    }

    /// Name of the key type, such as `ssh-ed25519` (RFC 4253 section 6.6).
    #[must_use]
    pub fn key_type(&self) -> &str {
        wire_type(&self.blob).unwrap_or_default()
    }

    /// Wire encoding in base64, as it stands in `known_hosts`.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.blob)
    }

    /// Fingerprint as OpenSSH shows it, `SHA256:` and unpadded base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(&self.blob))
        )
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key_type(), self.base64())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({} {})", self.key_type(), self.fingerprint())
    }
}

/// Base64 with or without padding, as OpenSSH accepts it.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| STANDARD_NO_PAD.decode(text))
        .ok()
}

/// The string (RFC 4251 section 5) that a key blob begins with.
fn wire_type(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
    (printable && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Public half of a key that was thrown away.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_key_reads_back_as_it_was_written() -> Result<(), HostKeyError> {
        let key = HostKey::parse(&format!("{KEY} admin@host"))?;
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.key_type(), "ssh-ed25519");
        assert_eq!(
            key.fingerprint(),
            "SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE"
        );
        Ok(())
    }

    #[test]
    fn bad_texts_are_refused_with_the_reason() {
        let data = KEY.trim_start_matches("ssh-ed25519 ");
        let table = [
            ("", HostKeyError::Form),
            ("ssh-ed25519", HostKeyError::Form),
            ("ssh-ed25519 ????", HostKeyError::Base64),
            ("ssh-ed25519 AAAA", HostKeyError::Form),
        ];
        for (text, expected) in table {
            assert_eq!(HostKey::parse(text), Err(expected), "{text}");
        }
        assert_eq!(
            HostKey::parse(&format!("ssh-rsa {data}")),
            Err(HostKeyError::TypeMismatch {
                outer: "ssh-rsa".to_owned(),
                inner: "ssh-ed25519".to_owned()
            })
        );
    }
}
