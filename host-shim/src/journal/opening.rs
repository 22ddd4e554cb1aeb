//! Opening the files of a chain, and refusing what is not ours.
//!
//! Invariant: nothing is created where something may have been lost: a journal
//! without its head is refused. Lines are not followed here.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::error::JournalError;
use super::follow::Stray;
use super::head::{HEAD, HeadFile, Position};
use super::line;
use super::segments;

/// The segment being written, as this process has it open.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) file: File,
    /// Device and inode.
    pub(super) identity: (u64, u64),
}

/// Creates the directory for its owner alone.
pub(super) fn prepare(dir: &Path) -> Result<(), JournalError> {
    if fs::metadata(dir).is_ok_and(|meta| !meta.is_dir()) {
        return Err(JournalError::Unavailable {
            path: dir.to_path_buf(),
            reason: "it is not a directory".to_owned(),
        });
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| JournalError::io(dir, &error))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
        .map_err(|error| JournalError::io(dir, &error))
}

/// Opens the head, creating it only where there is no journal yet: a journal
/// without a head may have been cut.
pub(super) fn open_head(dir: &Path) -> Result<HeadFile, JournalError> {
    let path = dir.join(HEAD);
    match HeadFile::open(&path) {
        Ok(head) => return Ok(head),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(JournalError::io(&path, &error)),
    }
    let segments = segments::list(dir).map_err(|error| JournalError::io(dir, &error))?;
    let written = segments
        .iter()
        .any(|segment| fs::metadata(segment).is_ok_and(|meta| meta.is_file() && meta.len() > 0));
    if written {
        return Err(JournalError::Corrupt {
            file: path,
            line: 1,
            what: "the head file is gone, so nobody can tell whether records are".to_owned(),
        });
    }
    HeadFile::create(&path).map_err(|error| JournalError::io(&path, &error))
}

/// Opens the segment being written, creating it where the last one was
/// finished, and refuses anything but a plain file of our own.
pub(super) fn open_current(dir: &Path) -> Result<Current, JournalError> {
    let path = segments::current(dir);
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let open = || -> io::Result<Current> {
        let existed = path.exists();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nofollow)
            .open(&path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if meta.mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        if !existed {
            File::open(dir)?.sync_all()?;
        }
        Ok(Current {
            identity: (meta.dev(), meta.ino()),
            file,
        })
    };
    open().map_err(|error| JournalError::io(&path, &error))
}

/// The place the head vouches for, after a look at the record that ends there.
pub(super) fn trusted_position(dir: &Path, head: &HeadFile) -> Result<Position, JournalError> {
    let path = dir.join(HEAD);
    let at = head
        .furthest()
        .map_err(|error| JournalError::io(&path, &error))?
        .ok_or_else(|| JournalError::Corrupt {
            file: path,
            line: 1,
            what: "neither slot of the head file is whole".to_owned(),
        })?;
    if at.seq == 0 {
        return Ok(at);
    }
    let file = segments::locate(dir, at.segment);
    let line = match segments::line_ending_at(&file, at.end) {
        Ok(line) => line,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(JournalError::io(&file, &error)),
    };
    let length = fs::metadata(&file).map_or(0, |meta| meta.len());
    if length < at.end {
        return Err(JournalError::Truncated {
            path: dir.to_path_buf(),
            expected: at.seq,
            found: segments::last_claimed(dir),
        });
    }
    if line.and_then(|line| line::check(&line).ok()).as_ref() == Some(&at.last) {
        Ok(at)
    } else {
        Err(JournalError::Corrupt {
            line: segments::lines_before(&file, at.end.saturating_sub(1)) + 1,
            file,
            what: format!("it is not the record {} that was written", at.seq),
        })
    }
}

/// What a caller is told where the chain cannot be followed.
pub(super) fn refusal(dir: &Path, known: u64, stray: Stray) -> JournalError {
    match stray {
        Stray::Line { file, line, what } => JournalError::Corrupt { file, line, what },
        Stray::Short { .. } => JournalError::Truncated {
            path: dir.to_path_buf(),
            expected: known,
            found: segments::last_claimed(dir),
        },
        Stray::Io { file, error } => JournalError::io(&file, &error),
    }
}

/// File name of the finished segment before the one that starts at `first`.
pub(super) fn previous_segment(dir: &Path, first: u64) -> String {
    segments::chained(dir, 1, Some(first))
        .unwrap_or_default()
        .last()
        .map(|before| segments::finished(dir, *before))
        .as_deref()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
