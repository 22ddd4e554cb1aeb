//! Replacing and making a local file in one step, durably.
//!
//! Invariant: a reader sees the whole old content or the whole new one, also after
//! a power cut, and what an interrupted process leaves behind has one known name
//! beside the file, so that the next use can remove it. For that name to be nobody
//! else's, writers take turns: whoever replaces a file holds the lock that all who
//! replace it hold, and making a file locks its directory. It does not keep the
//! mode or owner of what it replaces.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::fault::{self, Point};

/// Puts new content in a file's place; the file has mode 0600.
///
/// # Errors
/// As the system answers; the file then holds what it held.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    fault::check(Point::ReplaceBefore)?;
    let new = unfinished(path)?;
    let put = write_new(&new, content, Point::ReplaceWritten).and_then(|()| {
        fault::reach(Point::ReplaceSynced);
        fs::rename(&new, path)
    });
    if let Err(error) = put {
        // The error that led here is the one to report.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    fault::reach(Point::ReplaceRenamed);
    File::open(directory_of(path))?.sync_all()?;
    fault::reach(Point::ReplaceDone);
    Ok(())
}

/// Makes a file that must not exist yet, with mode 0600.
///
/// # Errors
/// `AlreadyExists`, or as the system answers; there is then no new file.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    fault::check(Point::CreateBefore)?;
    let new = unfinished(path)?;
    let directory = File::open(directory_of(path))?;
    directory.lock()?;
    // A link is refused where the name is taken; a rename would replace.
    let put =
        write_new(&new, content, Point::CreateWritten).and_then(|()| fs::hard_link(&new, path));
    let _ = fs::remove_file(&new);
    put?;
    directory.sync_all()?;
    fault::reach(Point::CreateDone);
    Ok(())
}

/// Whether an interrupted change left something beside a file.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    unfinished(path).is_ok_and(|new| fs::symlink_metadata(new).is_ok())
}

/// Removes what an interrupted change left beside a file.
///
/// # Errors
/// As the system answers; that nothing is there is none.
pub(crate) fn sweep(path: &Path) -> io::Result<()> {
    gone(fs::remove_file(unfinished(path)?))
}

/// Name of the content that is to take a file's place.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let file = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut name = OsString::from(".");
    name.push(file);
    name.push(".openshell-new");
    Ok(path.with_file_name(name))
}

fn write_new(new: &Path, content: &[u8], written: Point) -> io::Result<()> {
    // Whoever left it is gone: the caller holds the lock.
    gone(fs::remove_file(new))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    let (first, rest) = fault::parts(content);
    file.write_all(first)?;
    fault::check(Point::ReplaceHalf)?;
    file.write_all(rest)?;
    fault::check(written)?;
    file.sync_all()
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_left_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        // What an interrupted process left, longer than what comes now.
        let stray = dir.path().join(".f.openshell-new");
        fs::write(&stray, "left behind by somebody else").unwrap();
        assert!(is_unfinished(&path));
        create(&path, b"one").unwrap();
        assert_eq!(
            create(&path, b"two").unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        assert_eq!(names(dir.path()), ["f"]);
        fs::write(&stray, "").unwrap();
        sweep(&path).unwrap();
        sweep(&path).unwrap();
        assert_eq!(names(dir.path()), ["f"]);
        assert!(replace(Path::new("/"), b"").is_err());
        // A directory of that name cannot be replaced, and leaves nothing.
        let taken = dir.path().join("d");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x").is_err());
        assert_eq!(names(dir.path()), ["d", "f"]);
    }
}
