//! One stream on its way into the spool.
//!
//! Invariant: what reaches the file has been scrubbed, also where a secret came in
//! two pieces. A stream that cannot be written is given up, not the command. How
//! long it is kept is not decided here.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{SpoolLimits, sweep};
use crate::journal::Redactor;

/// How much is gathered before it is scrubbed and written, in bytes.
const GATHER: usize = 256 * 1024;
/// How often room is made while one stream is written, in bytes of it.
const SWEEP_EVERY: u64 = 8 * 1024 * 1024;

/// A stream that is being kept.
#[derive(Debug)]
pub struct Keeping {
    id: String,
    file: File,
    dir: PathBuf,
    redactor: Redactor,
    limits: SpoolLimits,
    /// Not yet written, because a secret may go on in what comes next.
    gathered: Vec<u8>,
    written: u64,
    swept_at: u64,
    failed: bool,
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What it is read by.
    pub id: String,
    /// How many bytes of it are kept.
    pub bytes: u64,
}

impl Keeping {
    pub(super) fn new(
        id: String,
        file: File,
        dir: PathBuf,
        redactor: Redactor,
        limits: SpoolLimits,
    ) -> Self {
        Self {
            id,
            file,
            dir,
            redactor,
            limits,
            gathered: Vec::new(),
            written: 0,
            swept_at: 0,
            failed: false,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed || self.written >= self.limits.stream {
            return;
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            self.write(self.redactor.longest().saturating_sub(1));
        }
    }

    /// Ends the stream; none where it could not be kept.
    #[must_use]
    pub fn finish(mut self) -> Option<Kept> {
        self.write(0);
        if self.failed {
            // What is there is of no use, and the next sweep finds it otherwise.
            let _ = std::fs::remove_file(self.dir.join(&self.id));
            return None;
        }
        Some(Kept {
            id: self.id,
            bytes: self.written,
        })
    }

    /// Writes what was gathered but its last bytes.
    fn write(&mut self, hold_back: usize) {
        let mut clean = self.redactor.scrub_bytes(&self.gathered).into_owned();
        let rest = clean.split_off(clean.len().saturating_sub(hold_back));
        self.gathered = rest;
        let room = self.limits.stream.saturating_sub(self.written);
        clean.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        self.failed |= self.append(&clean).is_err();
        if self.written - self.swept_at >= SWEEP_EVERY {
            self.swept_at = self.written;
            sweep::make_room(&self.dir, &self.limits, Some(&self.id));
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}
