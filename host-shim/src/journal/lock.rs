//! An advisory file lock (flock) that is waited for, but not for ever.
//!
//! A process that is stopped while it holds the lock would otherwise stop all
//! others without a word. The lock belongs to the open file: two handles of
//! one process exclude each other exactly as two processes do.
//!
//! Invariant: a guard is held or an error says who holds it. It does not protect
//! against a process that writes without asking.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Longest time to wait: far above any single write and fsync.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(4);

/// Why the lock was not obtained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Somebody held it all the time.
    #[error("held by another process for {waited_ms} ms")]
    Busy {
        /// Time waited, in ms.
        waited_ms: u64,
        /// Process id of the holder, where the system says it.
        holder: Option<u32>,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Exclusive,
    Shared,
}

/// A file whose only purpose is to be locked.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Opens the lock file, creating it with mode 0600.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        Ok(Self { file })
    }

    /// Opens an existing lock file for reading; enough for a shared lock.
    pub(crate) fn existing(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
        })
    }

    /// Waits for the lock. It is released when the guard is dropped.
    pub(crate) fn exclusive(&self) -> Result<LockGuard<'_>, LockError> {
        self.acquire(Sharing::Exclusive)
    }

    /// Waits until nobody writes. It is released when the guard is dropped.
    pub(crate) fn shared(&self) -> Result<LockGuard<'_>, LockError> {
        self.acquire(Sharing::Shared)
    }

    /// Takes the lock where nobody holds it, without waiting.
    pub(crate) fn try_exclusive(&self) -> io::Result<Option<LockGuard<'_>>> {
        match self.file.try_lock() {
            Ok(()) => Ok(Some(LockGuard { file: &self.file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Who holds the lock, by Linux's `/proc/locks` (proc(5)): lines such as
    /// `1: FLOCK ADVISORY WRITE 708 08:02:393232 0 EOF`.
    fn holder(&self) -> Option<u32> {
        let inode = self.file.metadata().ok()?.ino().to_string();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let kind = words.next()?;
            let (pid, place) = (words.nth(2)?, words.next()?);
            let same = kind == "FLOCK" && place.rsplit(':').next() == Some(inode.as_str());
            // Locks of other containers have no number here.
            pid.parse().ok().filter(|pid| same && *pid > 0)
        })
    }

    fn acquire(&self, sharing: Sharing) -> Result<LockGuard<'_>, LockError> {
        let since = Instant::now();
        let mut pause = Duration::from_micros(100);
        loop {
            let attempt = match sharing {
                Sharing::Exclusive => self.file.try_lock(),
                Sharing::Shared => self.file.try_lock_shared(),
            };
            match attempt {
                Ok(()) => return Ok(LockGuard { file: &self.file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            let waited = since.elapsed();
            if waited >= PATIENCE {
                return Err(LockError::Busy {
                    waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                    holder: self.holder(),
                });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }
}

/// Holds the lock.
#[derive(Debug)]
pub(crate) struct LockGuard<'a> {
    file: &'a File,
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // Closing the file releases the lock as well, so a failure here only
        // lasts as long as the handle.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::FileLock;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_holder_can_be_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (one, other) = (
            FileLock::create(&path).unwrap(),
            FileLock::create(&path).unwrap(),
        );
        assert_eq!(other.holder(), None);
        let guard = one.exclusive().unwrap();
        assert_eq!(other.holder(), Some(std::process::id()));
        drop(guard);
        assert_eq!(other.holder(), None);
    }
}
