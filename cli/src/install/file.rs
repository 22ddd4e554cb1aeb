//! Reading and replacing a configuration file of another program.
//!
//! Invariant: a reader sees the whole old content or the whole new one; mode and
//! owner stay, a link stays a link, and a change that somebody made meanwhile is
//! never overwritten. Only regular files of a bounded size are read, so that nothing
//! that lies under such a name makes a verb wait. Files of openshell itself have
//! their own ways.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Mode of a file that is made: a configuration may hold keys of providers.
const NEW_MODE: u32 = 0o600;
/// Longest file that is read, in bytes; a configuration has a few thousand.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Why a file was left alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// As the system answered.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody else wrote to it between reading and replacing.
    #[error("{} was changed by somebody else just now", .0.display())]
    Changed(PathBuf),
    /// A directory, a FIFO or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Longer than any configuration.
    #[error("{} is longer than {LONGEST} bytes", .0.display())]
    TooLong(PathBuf),
    /// Its bytes are no text.
    #[error("{} is not UTF-8", .0.display())]
    NotText(PathBuf),
}

/// The content of a file; none where there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, FileError> {
    match bytes(path) {
        Ok(Bytes::All(bytes)) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| FileError::NotText(path.to_owned())),
        Ok(Bytes::NotAFile) => Err(FileError::NotAFile(path.to_owned())),
        Ok(Bytes::TooLong) => Err(FileError::TooLong(path.to_owned())),
        // A link to nothing is not the same as nothing.
        Err(error)
            if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() =>
        {
            Ok(None)
        }
        Err(source) => Err(FileError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What a path leads to.
enum Bytes {
    All(Vec<u8>),
    NotAFile,
    TooLong,
}

fn bytes(path: &Path) -> io::Result<Bytes> {
    // Opening a FIFO that nobody writes to would wait for somebody otherwise.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(Bytes::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > LONGEST {
        Bytes::TooLong
    } else {
        Bytes::All(bytes)
    })
}

/// Puts `new` in the place of `old`, which is what [`read`] gave. No new content
/// removes the file.
pub(crate) fn replace(path: &Path, old: Option<&str>, new: Option<&str>) -> Result<(), FileError> {
    let at = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    // A configuration kept elsewhere and linked here is changed where it is kept.
    let real = match old {
        Some(_) => path.canonicalize().map_err(at)?,
        None => path.to_owned(),
    };
    let dir = real
        .parent()
        .ok_or_else(|| at(ErrorKind::InvalidInput.into()))?;
    let unchanged = || {
        if read(path)?.as_deref() == old {
            Ok(())
        } else {
            Err(FileError::Changed(path.to_owned()))
        }
    };
    let Some(new) = new else {
        unchanged()?;
        fs::remove_file(&real).map_err(at)?;
        return sync(dir).map_err(at);
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(".openshell-")
        .tempfile_in(dir)
        .map_err(at)?;
    let written = (|| {
        temporary.write_all(new.as_bytes())?;
        let file = temporary.as_file();
        match old {
            None => file.set_permissions(Permissions::from_mode(NEW_MODE))?,
            Some(_) => {
                let (meta, own) = (fs::metadata(&real)?, file.metadata()?);
                if (meta.uid(), meta.gid()) != (own.uid(), own.gid()) {
                    fchown(file, Some(meta.uid()), Some(meta.gid()))?;
                }
                file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
            }
        }
        file.sync_all()
    })();
    written.map_err(at)?;
    unchanged()?;
    if old.is_none() {
        temporary
            .persist_noclobber(&real)
            .map_err(|_| FileError::Changed(path.to_owned()))?;
    } else {
        temporary
            .persist(&real)
            .map_err(|failed| at(failed.error))?;
    }
    sync(dir).map_err(at)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn mode_and_link_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, link) = (dir.path().join("kept"), dir.path().join("link"));
        fs::write(&kept, "one").unwrap();
        fs::set_permissions(&kept, Permissions::from_mode(0o640)).unwrap();
        symlink("kept", &link).unwrap();
        assert_eq!(read(&link).unwrap().as_deref(), Some("one"));
        replace(&link, Some("one"), Some("two")).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "two");
        assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_somebody_wrote_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, None, Some("one")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        for (old, new) in [
            (Some("other"), Some("two")),
            (None, Some("two")),
            (Some("other"), None),
        ] {
            let error = replace(&path, old, new).unwrap_err();
            assert!(matches!(error, FileError::Changed(_)), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        }
        replace(&path, Some("one"), None).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        // A link to nothing is no file that may be made.
        symlink("nowhere", &path).unwrap();
        assert!(read(&path).is_err());
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"\xff").unwrap();
        assert!(matches!(read(&path), Err(FileError::NotText(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_files_of_a_bounded_size_are_read() {
        use rustix::fs::{FileType, Mode, mknodat};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(matches!(read(&path), Err(FileError::NotAFile(_))));
        assert!(matches!(read(dir.path()), Err(FileError::NotAFile(_))));
        fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(LONGEST + 1).unwrap();
        assert!(matches!(read(&path), Err(FileError::TooLong(_))));
        File::create(&path).unwrap().set_len(LONGEST).unwrap();
        assert!(read(&path).unwrap().is_some());
    }
}
