//! Redaction: no credential reaches the record in a readable form.
//!
//! Two nets. Secrets the helper holds are registered and replaced wherever
//! they appear, in the spellings they are known to take. Secrets it does not
//! know are found by structure: by the name of a field, the place of a word in
//! a known command line, a header, the user part of a URL, or the shape
//! that issuers give their tokens.
//!
//! What is removed leaves `[redacted:<kind>:<8 hex digits>]`, where the digits
//! are of an HMAC-SHA256 (RFC 2104) under a key of this installation: equal
//! secrets are recognised as equal and cannot be tried offline without the key.
//!
//! What it deliberately does not do: touch what goes to or comes from a
//! server. A secret of an unknown form in an unknown place is not found.
//!
//! Invariant: a marker is never redacted again, and equal secrets leave equal
//! markers.

mod calls;
mod clients;
mod clients_system;
mod command;
mod fields;
mod inserts;
mod names;
mod places;
mod shapes;
mod spans;
mod stdin;
mod web;
mod words;
mod written;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::digest::{hex, sha256_hex};
use super::entry::Entry;
use crate::fault::{self, Point};
use spans::Span;

/// Name of the key file in the data directory.
const KEY_FILE: &str = "redaction.key";

/// Shortest secret that is replaced wherever it appears, in bytes. A shorter
/// one would be found in innocent text all the time, and every marker there
/// would tell what it is.
const SHORTEST: usize = 4;

/// Longest text that is recorded, in bytes. What is longer cannot be shown to a
/// person either, so no effect depends on the rest.
const LONGEST: usize = 64 * 1024;

/// Arguments whose text is the content of a file.
const CONTENTS: [&str; 4] = ["content", "contents", "patch", "diff"];

/// Why redaction cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The key file cannot be read or made.
    #[error("the redaction key {} cannot be used: {source}", path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The key file is not what was made.
    #[error("the redaction key {} is not usable: {reason}", path.display())]
    Invalid {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Removes secrets from what is recorded. Clones share their secrets.
#[derive(Clone)]
pub struct Redactor {
    inner: Arc<Inner>,
}

struct Inner {
    key: Zeroizing<[u8; 32]>,
    registered: RwLock<Vec<Registered>>,
}

/// One spelling of a registered secret.
struct Registered {
    spelling: Zeroizing<String>,
    marker: String,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Opens the redactor of a data directory. Its key is made on first use:
    /// 32 random bytes in a file of mode 0600.
    ///
    /// # Errors
    /// Where the key file cannot be read or made, has another length, or can
    /// be read by others.
    pub fn open(data_dir: &Path) -> Result<Self, RedactError> {
        let path = data_dir.join(KEY_FILE);
        let failed = |source| RedactError::Io {
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_key(data_dir, &path).map_err(failed)?;
                File::open(&path).map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        let invalid = |reason| RedactError::Invalid {
            path: path.clone(),
            reason,
        };
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() || meta.len() != 32 {
            return Err(invalid("it is not a file of 32 bytes"));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(invalid("others may read it; its mode must be 0600"));
        }
        let mut key = Zeroizing::new([0; 32]);
        let mut file = file;
        file.read_exact(key.as_mut_slice()).map_err(failed)?;
        Ok(Self::with_key(key))
    }

    fn with_key(key: Zeroizing<[u8; 32]>) -> Self {
        Self {
            inner: Arc::new(Inner {
                key,
                registered: RwLock::new(Vec::new()),
            }),
        }
    }

    /// Has a secret replaced wherever it appears from now on: as it is, in
    /// base64, percent-encoded, escaped for JSON or quoted for a shell, and
    /// line by line where it has several. Secrets of fewer than 4 bytes cannot
    /// be told from innocent text and are left to the structural rules.
    pub fn register(&self, secret: &SecretString) {
        let text = secret.expose_secret();
        let mut added = Vec::new();
        let whole = text.trim_end_matches(['\r', '\n']);
        for part in std::iter::once(whole).chain(whole.lines().filter(|line| {
            // Short lines of a key file, and its frame, are no secrets.
            line.len() >= 16 && !line.starts_with("-----")
        })) {
            if part.len() < SHORTEST {
                continue;
            }
            let marker = self.marker("registered", part);
            for spelling in spellings(part) {
                added.push(Registered {
                    spelling,
                    marker: marker.clone(),
                });
            }
        }
        let mut registered = self
            .inner
            .registered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for new in added {
            if !registered.iter().any(|old| old.spelling == new.spelling) {
                registered.push(new);
            }
        }
        // A secret that contains another must be replaced first.
        registered.sort_by_key(|one| std::cmp::Reverse(one.spelling.len()));
    }

    /// Replaces registered secrets, and nothing else.
    #[must_use]
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let registered = self
            .inner
            .registered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut text = Cow::Borrowed(text);
        for secret in registered.iter() {
            if text.contains(secret.spelling.as_str()) {
                text = Cow::Owned(text.replace(secret.spelling.as_str(), &secret.marker));
            }
        }
        text
    }

    /// Length of the longest spelling that is replaced, in bytes; 0 where there is
    /// none. A stream is scrubbed in pieces that overlap by one less.
    #[must_use]
    pub fn longest(&self) -> usize {
        // They are kept longest first.
        self.inner
            .registered
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .first()
            .map_or(0, |secret| secret.spelling.len())
    }

    /// As [`Redactor::scrub`], for bytes that need not be text.
    #[must_use]
    pub fn scrub_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let registered = self
            .inner
            .registered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Cow::Borrowed(bytes);
        for secret in registered.iter() {
            if let Some(replaced) = replace(&bytes, secret.spelling.as_bytes(), &secret.marker) {
                bytes = Cow::Owned(replaced);
            }
        }
        bytes
    }

    /// Removes everything that is registered or looks like a secret from a
    /// command line, a message or another text for people. Of a text of more
    /// than 64 KiB the rest is replaced by its size and hash.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if text.len() <= LONGEST {
            return self.whole_text(text);
        }
        let kept = &text[..text.floor_char_boundary(LONGEST)];
        // Half a secret at the cut has no form any more: the last word goes.
        let kept = kept
            .rfind(char::is_whitespace)
            .map_or("", |end| &kept[..end]);
        format!(
            "{} [cut: {} bytes in all, SHA-256 {}]",
            self.whole_text(kept),
            text.len(),
            sha256_hex(text.as_bytes())
        )
    }

    fn whole_text(&self, text: &str) -> String {
        let text = self.scrub(text);
        let mut found: Vec<Span> = Vec::new();
        shapes::find(&text, &mut found);
        fields::find(&text, &mut found);
        web::find(&text, &mut found);
        command::find(&text, &mut found);
        written::find(&text, &mut found);
        calls::find(&text, &mut found);
        spans::render(&text, found, |kind, secret| self.marker(kind, secret))
    }

    /// Redacts tool arguments: contents of files become their size and hash,
    /// fields with the name of a secret lose their value, and every other
    /// text is treated as [`Redactor::text`].
    #[must_use]
    pub fn arguments(&self, arguments: &Value) -> Value {
        match arguments {
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| {
                        let value = if CONTENTS.contains(&name.as_str()) {
                            summary(value)
                        } else {
                            self.field(name, value)
                        };
                        (self.text(name), value)
                    })
                    .collect::<Map<String, Value>>(),
            ),
            other => self.value(other),
        }
    }

    /// Redacts what a record took from outside.
    pub(super) fn entry(&self, entry: &mut Entry) {
        if let Some(arguments) = &entry.arguments {
            entry.arguments = Some(self.arguments(arguments));
        }
        for text in entry.free_texts() {
            *text = self.text(text);
        }
        for name in entry.names() {
            if let Cow::Owned(scrubbed) = self.scrub(name) {
                *name = scrubbed;
            }
        }
    }

    fn field(&self, name: &str, value: &Value) -> Value {
        let Some(kind) = names::kind(name) else {
            return self.value(value);
        };
        match value {
            Value::String(text) if names::harmless(kind, text) => self.value(value),
            Value::String(text) => Value::String(self.marker(kind, text)),
            Value::Number(number) => Value::String(self.marker(kind, &number.to_string())),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.field(name, item)).collect())
            }
            Value::Null | Value::Bool(_) | Value::Object(_) => self.value(value),
        }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.value(item)).collect())
            }
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (self.text(name), self.field(name, value)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn marker(&self, kind: &str, secret: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.inner.key.as_slice())
            .expect("HMAC takes a key of any length (RFC 2104 section 2)");
        mac.update(secret.as_bytes());
        let tag = hex(&mac.finalize().into_bytes());
        format!("[redacted:{kind}:{}]", &tag[..spans::DIGITS])
    }
}

/// Size and hash of what would be written, in place of the text.
fn summary(content: &Value) -> Value {
    let text = match content {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    json!({"bytes": text.len(), "sha256": sha256_hex(text.as_bytes())})
}

/// The ways a secret is known to be spelled.
fn spellings(secret: &str) -> Vec<Zeroizing<String>> {
    let bytes = secret.as_bytes();
    let mut all = vec![secret.to_owned()];
    let json = Value::String(secret.to_owned()).to_string();
    all.push(json.trim_matches('"').to_owned());
    all.push(secret.replace('\'', "'\\''"));
    all.push(percent_encoded(secret));
    all.push(percent_encoded(secret).replace("%20", "+"));
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        all.push(engine.encode(bytes));
    }
    all.sort();
    all.dedup();
    all.into_iter()
        .filter(|spelling| spelling.len() >= SHORTEST)
        .map(Zeroizing::new)
        .collect()
}

/// Percent-encoding of everything but the unreserved characters (RFC 3986
/// section 2.3).
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn replace(bytes: &[u8], what: &[u8], with: &str) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(what.len())
        .position(|window| window == what)
        .filter(|_| !what.is_empty())
    {
        let out = out.get_or_insert_with(Vec::new);
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with.as_bytes());
        rest = &rest[at + what.len()..];
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(rest);
    }
    out
}

/// Makes the key file in one step, so that nobody ever reads half a key.
fn make_key(data_dir: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    let mut key = Zeroizing::new([0u8; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(io::Error::from)?;
    let made = crate::replace::create(path, key.as_slice());
    fault::reach(Point::RedactionKeyWritten);
    match made {
        // Another process was faster; its key counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
