//! An advisory file lock (flock) that is waited for, but not for ever.
//!
//! A process that is stopped while it holds the lock would otherwise stop all
//! others without a word. The lock belongs to the open file: two handles of
//! one process exclude each other exactly as two processes do.
//!
//! Invariant: a guard is held or an error says who holds it; a crowd of which each
//! holds it briefly is not taken for one that is stopped. Whoever gets the lock for
//! itself sets the time of the file, by which those who wait see that it changed
//! hands; whoever shares it changes nothing. It does not protect against a process
//! that writes without asking.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Longest time to wait for one holder: far above any single write and fsync.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest time to wait while the lock passes from one holder to the next. Nobody is
/// served in the order of coming, so in a crowd one may be passed over for long.
const CROWD_PATIENCE: Duration = Duration::from_secs(120);

/// Longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(4);

/// Why the lock was not obtained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// One held it all the time, or a crowd for far too long.
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
            Ok(()) => Ok(Some(self.taken())),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Who holds the lock, by Linux's `/proc/locks` (proc(5)): lines such as
    /// `1: FLOCK ADVISORY WRITE 708 08:02:393232 0 EOF`.
    fn holder(&self) -> Option<u32> {
        let file = self.file.metadata().ok()?;
        let wanted = format!(
            "{:02x}:{:02x}:{}",
            rustix::fs::major(file.dev()),
            rustix::fs::minor(file.dev()),
            file.ino()
        );
        let locks = fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let kind = words.next()?;
            let (pid, place) = (words.nth(2)?, words.next()?);
            // Numbers of files are given out again on every file system.
            let same = kind == "FLOCK" && place == wanted;
            // Locks of other containers have no number here.
            pid.parse().ok().filter(|pid| same && *pid > 0)
        })
    }

    /// The guard of a lock that was just taken by one alone.
    fn taken(&self) -> LockGuard<'_> {
        // Where the file is somebody else's it only takes less to lose patience.
        let _ = self.file.set_modified(SystemTime::now());
        LockGuard { file: &self.file }
    }

    /// When the lock was taken last by one alone.
    fn taken_at(&self) -> Option<SystemTime> {
        self.file.metadata().and_then(|file| file.modified()).ok()
    }

    fn acquire(&self, sharing: Sharing) -> Result<LockGuard<'_>, LockError> {
        let mut waiting = Waiting::new(Instant::now());
        let mut pause = Duration::from_micros(100);
        loop {
            let attempt = match sharing {
                Sharing::Exclusive => self.file.try_lock(),
                Sharing::Shared => self.file.try_lock_shared(),
            };
            match attempt {
                Ok(()) if sharing == Sharing::Exclusive => return Ok(self.taken()),
                Ok(()) => return Ok(LockGuard { file: &self.file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            if let Some(waited) = waiting.too_long(Instant::now(), || self.taken_at()) {
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

/// How long somebody has been waiting, and for whom.
struct Waiting {
    since: Instant,
    /// From when on the present holder is known to have it.
    held_since: Instant,
    /// When it was taken, as far as that was looked at.
    taken: Option<Option<SystemTime>>,
}

impl Waiting {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            held_since: now,
            taken: None,
        }
    }

    /// How long it has been, where that is too long. `taken` says when the lock was
    /// taken last.
    fn too_long(
        &mut self,
        now: Instant,
        taken: impl FnOnce() -> Option<SystemTime>,
    ) -> Option<Duration> {
        let waited = now.duration_since(self.since);
        if self.taken.is_none() {
            self.taken = Some(taken());
        } else if now.duration_since(self.held_since) >= PATIENCE {
            let last = Some(taken());
            if last == self.taken || waited >= CROWD_PATIENCE {
                return Some(waited);
            }
            self.taken = last;
            self.held_since = now;
        }
        None
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

    use std::time::{Duration, Instant, SystemTime};

    use super::{CROWD_PATIENCE, FileLock, PATIENCE, Waiting};

    #[test]
    fn who_takes_it_shows_it_to_those_who_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FileLock::create(&path).unwrap();
        let reader = FileLock::existing(&path).unwrap();
        let mut last = reader.taken_at().unwrap();
        let mut changed = || {
            let now = reader.taken_at().unwrap();
            let changed = now != last;
            last = now;
            changed
        };
        drop(lock.exclusive().unwrap());
        assert!(changed());
        assert!(!changed());
        drop(lock.try_exclusive().unwrap().unwrap());
        assert!(changed());
        drop(reader.shared().unwrap());
        assert!(!changed());
    }

    #[test]
    fn a_holder_that_stands_still_is_given_up() {
        let begin = Instant::now();
        let mut waiting = Waiting::new(begin);
        let taken = || Some(SystemTime::UNIX_EPOCH);
        assert_eq!(waiting.too_long(begin, taken), None);
        let almost = begin + PATIENCE - Duration::from_millis(1);
        assert_eq!(waiting.too_long(almost, taken), None);
        assert_eq!(waiting.too_long(begin + PATIENCE, taken), Some(PATIENCE));
    }

    #[test]
    fn a_crowd_is_waited_for_longer_but_not_for_ever() {
        let begin = Instant::now();
        let mut waiting = Waiting::new(begin);
        let mut passed = Duration::ZERO;
        // Each time one looks, another one has it.
        let given_up = loop {
            let taken = Some(SystemTime::UNIX_EPOCH + passed);
            if let Some(waited) = waiting.too_long(begin + passed, || taken) {
                break waited;
            }
            passed += Duration::from_secs(1);
        };
        assert!(given_up >= CROWD_PATIENCE, "{given_up:?}");
        assert!(given_up < CROWD_PATIENCE + 2 * PATIENCE, "{given_up:?}");
    }

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
