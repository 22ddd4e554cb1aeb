//! Output too long for a result, kept for a while so that it can be paged.
//!
//! Invariants: files are 0600 in a directory of 0700; a name holds 128 random bits
//! and is the only right to read it; what is kept is bounded in age, per stream and
//! in all, the oldest making room; and no secret of ours is written into it.
//!
//! It is a convenience: where it cannot be written the result says so, and nothing
//! else depends on it. It deliberately keeps no index, so that any process of the
//! user finds what another one kept; a note beside the output says of which action it is.

mod error;
mod keeping;
mod notes;
mod sweep;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

pub use error::SpoolError;
pub use keeping::{Keeping, Kept};
pub use notes::Rest;

use crate::journal::Redactor;
use crate::registry::Paths;

/// What every name begins with; the rest is 32 hex digits.
const PREFIX: &str = "out-";
/// Random bytes of a name.
const NAME_BYTES: usize = 16;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    /// Of one stream of one command, in bytes; the rest of it is not kept.
    pub stream: u64,
    /// Of everything together, in bytes.
    pub total: u64,
    /// Since it was written.
    pub age: Duration,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self {
            stream: 64 * 1024 * 1024,
            total: 256 * 1024 * 1024,
            age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// The place where long output is kept. Clones share it.
#[derive(Clone, Debug)]
pub struct Spool {
    paths: Paths,
    redactor: Redactor,
    limits: SpoolLimits,
}

/// A piece of what was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many bytes are kept under the id in all.
    pub total: u64,
}

impl Spool {
    /// Names the place; touches nothing.
    #[must_use]
    pub fn new(paths: Paths, redactor: Redactor) -> Self {
        Self {
            paths,
            redactor,
            limits: SpoolLimits::default(),
        }
    }

    /// The same place with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: SpoolLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts keeping a stream, and makes room for it.
    ///
    /// # Errors
    /// [`SpoolError`] when the directory or the file cannot be made.
    pub fn begin(&self) -> Result<Keeping, SpoolError> {
        let dir = self.paths.spool_dir();
        self.paths.ensure(&dir)?;
        let unusable = |source| SpoolError::Unusable {
            path: dir.clone(),
            source,
        };
        sweep::make_room(&dir, &self.limits, None);
        let mut random = [0; NAME_BYTES];
        getrandom::fill(&mut random).map_err(|error| unusable(error.into()))?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("{PREFIX}{digits}");
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(dir.join(&id))
            .map_err(unusable)?;
        let (redactor, limits) = (self.redactor.clone(), self.limits);
        Ok(Keeping::new(id, file, dir, redactor, limits))
    }

    /// Reads a piece; an empty one past the end.
    ///
    /// # Errors
    /// [`SpoolError::NoId`] for what is no id, [`SpoolError::Gone`] for one under
    /// which nothing is kept, or nothing any more.
    pub fn read(&self, id: &str, offset: u64, length: u64) -> Result<Piece, SpoolError> {
        if !is_id(id) {
            return Err(SpoolError::NoId);
        }
        let path = self.paths.spool_dir().join(id);
        let gone = || SpoolError::Gone {
            age: self.limits.age,
            total: self.limits.total,
        };
        let unusable = |source| SpoolError::Unusable {
            path: path.clone(),
            source,
        };
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone()),
            Err(error) => return Err(unusable(error)),
        };
        let metadata = file.metadata().map_err(unusable)?;
        let own = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_file() || !own {
            return Err(unusable(io::ErrorKind::InvalidData.into()));
        }
        if is_old(metadata.modified().ok(), self.limits.age) {
            // Only room is lost where it stays.
            let _ = std::fs::remove_file(&path);
            return Err(gone());
        }
        let mut file = file;
        let mut bytes = Vec::new();
        // File systems refuse places beyond the longest file they could hold.
        let offset = offset.min(metadata.len());
        file.seek(SeekFrom::Start(offset)).map_err(unusable)?;
        file.take(length)
            .read_to_end(&mut bytes)
            .map_err(unusable)?;
        Ok(Piece {
            bytes,
            total: metadata.len(),
        })
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Whether a text is an id as `begin` makes them; nothing else becomes part of a path.
fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX);
    digits.is_some_and(|digits| {
        digits.len() == 2 * NAME_BYTES
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// A time in the future, as after the clock was set back, is not old.
fn is_old(written: Option<SystemTime>, age: Duration) -> bool {
    written
        .and_then(|written| written.elapsed().ok())
        .is_some_and(|elapsed| elapsed > age)
}

#[cfg(test)]
mod tests;
