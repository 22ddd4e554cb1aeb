//! Which kept streams an action printed, so that a call that is made again can be
//! told where its output is.
//!
//! Invariant: a note is as private as the output and goes when that is too old; what
//! it names is looked for before it is told. It is only made for actions that can be
//! asked about again, and losing one loses a convenience.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{Kept, Spool, is_old, open};

/// What the name of a note begins with; the rest is the action's id.
const PREFIX: &str = "of-";
/// More than a note holds, in bytes.
const NOTE_MAX: u64 = 4096;

/// What is kept of an action's output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// Standard output, from its first byte on.
    pub stdout: Option<Kept>,
    /// Standard error, from its first byte on.
    pub stderr: Option<Kept>,
}

impl Rest {
    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }
}

impl Spool {
    /// Notes what an action's output is kept under. `action` is its id, a ULID.
    ///
    /// # Errors
    /// What the system said; the output itself stays readable by its id.
    pub fn note(&self, action: &str, rest: &Rest) -> io::Result<()> {
        if rest.is_empty() || !is_action(action) {
            return Ok(());
        }
        let path = self.paths.spool_dir().join(format!("{PREFIX}{action}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&serde_json::to_vec(rest)?)
    }

    /// What is still kept of an action's output.
    #[must_use]
    pub fn noted(&self, action: &str) -> Rest {
        let mut rest = self.read_note(action).unwrap_or_default();
        let is_there = |kept: &Kept| self.read(&kept.id, 0, 0).is_ok();
        rest.stdout = rest.stdout.filter(is_there);
        rest.stderr = rest.stderr.filter(is_there);
        rest
    }

    fn read_note(&self, action: &str) -> Option<Rest> {
        if !is_action(action) {
            return None;
        }
        let path = self.paths.spool_dir().join(format!("{PREFIX}{action}"));
        let file: File = open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || is_old(metadata.modified().ok(), self.limits.age) {
            return None;
        }
        let mut text = Vec::new();
        file.take(NOTE_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// Whether a file's name is that of a note.
pub(super) fn is_note(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(is_action)
}

fn is_action(id: &str) -> bool {
    Ulid::from_string(id).is_ok_and(|read| read.to_string() == id)
}
