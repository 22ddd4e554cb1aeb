//! SHA-256 as the journal writes it: 64 lower-case hexadecimal digits.
//!
//! Invariant: one spelling, so that digests can be compared as text. No key is
//! involved: what must not be guessed is hashed elsewhere.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What stands where the hash of a line before the first one would be.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Digits of a SHA-256 in hex.
pub(super) const HEX_LEN: usize = 64;

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// SHA-256 (FIPS 180-4) in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
