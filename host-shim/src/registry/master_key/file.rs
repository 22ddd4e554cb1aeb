//! A master key in a file: one the operator names, or `master.key` in its usual place.
//!
//! Invariant: a key file is private to its owner (0600 or tighter) or it is
//! refused, and none is ever overwritten. It does not derive or check a key against
//! a register.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{KeyError, MasterKey};
use crate::registry::private_fs::{self, FileError};
use crate::registry::seal;

/// Largest key file read, in bytes; a key takes 45.
const MAX_SIZE: u64 = 1024;

pub(super) fn failed(what: &'static str) -> impl FnOnce(FileError) -> KeyError {
    move |source| KeyError::File { what, source }
}

/// Makes a random key and writes it to a new file of mode 0600, as base64 (RFC
/// 4648, section 4) on one line.
///
/// # Errors
/// [`KeyError::File`] when the file exists or cannot be written, and
/// [`KeyError::Seal`] when the system has no random bytes.
pub fn create_key_file(path: &Path) -> Result<(), KeyError> {
    private_fs::create_new(path, line(&seal::random::<32>()?).as_bytes())
        .map_err(failed("master key file"))
}

/// Writes a key to a new file.
pub(super) fn create(path: &Path, key: &MasterKey) -> Result<(), KeyError> {
    private_fs::create_new(path, line(&key.plain()).as_bytes()).map_err(failed("master key file"))
}

/// Puts another key into a key file, in one step. A link is followed: the file it
/// names is what the operator keeps.
pub(super) fn replace(path: &Path, key: &MasterKey) -> Result<(), KeyError> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    private_fs::replace(&target, line(&key.plain()).as_bytes()).map_err(failed("master key file"))
}

fn line(key: &Zeroizing<[u8; 32]>) -> Zeroizing<String> {
    let mut text = encode(key);
    text.push('\n');
    text
}

/// Reads a key file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let bytes = private_fs::read_secret(path, MAX_SIZE).map_err(failed("master key file"))?;
    decode(&bytes).ok_or_else(|| KeyError::NotAKey {
        path: path.to_owned(),
    })
}

/// A key as text.
pub(super) fn encode(key: &Zeroizing<[u8; 32]>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    STANDARD.encode_string(**key, &mut text);
    text
}

/// A key from text, with at most one line end after it.
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    // One byte more than a key: the decoder wants room for whole groups.
    let mut bytes = Zeroizing::new([0; 33]);
    let length = STANDARD.decode_slice(text, &mut *bytes).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    if length != key.len() {
        return None;
    }
    key.copy_from_slice(&bytes[..length]);
    Some(key)
}
