//! Files and directories that only their owner may read.
//!
//! Invariant: a file written here has mode 0600 from its first byte on, and a
//! reader sees either the whole old content or the whole new one, also after a
//! power cut. What belongs to another user is refused, not repaired.
//!
//! It knows nothing of what the files hold.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;
/// The sticky bit: a directory that carries it is meant to be shared.
const STICKY: u32 = 0o1000;
/// How long to sleep between two attempts at a held lock.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Something was not as private as it must be and was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Group or others could reach a file or directory of ours.
    PermissionsTightened {
        /// The file or directory.
        path: PathBuf,
        /// Permission bits as they were found.
        was: u32,
        /// Permission bits as they are now.
        now: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::PermissionsTightened { path, was, now } = self;
        write!(
            f,
            "{} was open to other users (mode {was:04o}); it is {now:04o} now",
            path.display()
        )
    }
}

/// Why a private file or directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another user owns it, so its content proves nothing.
    #[error("{path} belongs to user {owner}, but this process runs as user {process}")]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// Its owner (uid).
        owner: u32,
        /// Effective uid of this process.
        process: u32,
    },
    /// A symbolic link, a directory or a device stands where a file belongs.
    #[error("{path} is not a plain file")]
    NotAFile {
        /// What stands there.
        path: PathBuf,
    },
    /// Something else stands where a directory belongs.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// What stands there.
        path: PathBuf,
    },
    /// The directory is in common use, so closing it to others would do harm.
    #[error("{path} is shared with other users (mode {mode:04o}); name a directory of its own")]
    SharedDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Group or others can reach a file that must hold a secret.
    #[error("{path} is open to other users (mode {mode:04o}); make it 0600")]
    Permissive {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than anything this program writes there.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Most bytes read, inclusive.
        limit: u64,
    },
    /// The file exists and is never overwritten.
    #[error("{path} exists already and is not overwritten")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process held the lock all the time.
    #[error("another process kept {path} locked for {} seconds", waited.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io {
        action,
        path,
        source,
    }
}

fn check_owner(path: &Path, owner: u32) -> Result<(), FileError> {
    let process = rustix::process::geteuid().as_raw();
    if owner == process {
        Ok(())
    } else {
        Err(FileError::Foreign {
            path: path.to_owned(),
            owner,
            process,
        })
    }
}

/// Removes the rights of group and others through an open handle.
fn tighten(path: &Path, file: &File, mode: u32) -> Result<Option<Warning>, FileError> {
    if mode & OTHERS == 0 {
        return Ok(None);
    }
    let now = mode & !OTHERS;
    file.set_permissions(Permissions::from_mode(now))
        .map_err(failed("close to other users", path))?;
    Ok(Some(Warning::PermissionsTightened {
        path: path.to_owned(),
        was: mode,
        now,
    }))
}

/// Checks a directory of ours and closes it to others where necessary.
///
/// An absent directory is no error; `Ok(None)` says nothing had to be done.
pub(super) fn check_dir(path: &Path) -> Result<Option<Warning>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let meta = file.metadata().map_err(failed("inspect", path))?;
    if !meta.is_dir() {
        return Err(FileError::NotADirectory {
            path: path.to_owned(),
        });
    }
    let mode = meta.mode() & 0o7777;
    let common = path.parent().is_none() || std::env::home_dir().is_some_and(|home| home == path);
    if mode & OTHERS != 0 && (mode & STICKY != 0 || common) {
        return Err(FileError::SharedDirectory {
            path: path.to_owned(),
            mode,
        });
    }
    check_owner(path, meta.uid())?;
    tighten(path, &file, mode)
}

/// Makes a directory and its missing parents with mode 0700, or checks it.
pub(super) fn ensure_dir(path: &Path) -> Result<Option<Warning>, FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("create", path))?;
    check_dir(path)
}

fn open_plain(path: &Path, follow: bool) -> Result<Option<(File, u32)>, FileError> {
    // Without NONBLOCK, opening a FIFO somebody put there would never return.
    let mut flags = OFlags::NONBLOCK;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(FileError::NotAFile {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(failed("open", path)(error)),
    };
    let meta = file.metadata().map_err(failed("inspect", path))?;
    if !meta.is_file() {
        return Err(FileError::NotAFile {
            path: path.to_owned(),
        });
    }
    check_owner(path, meta.uid())?;
    Ok(Some((file, meta.mode() & 0o7777)))
}

fn read_all(path: &Path, file: File, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let length = file.metadata().map_err(failed("inspect", path))?.len();
    // Reserved at once, so that growing leaves no copies of a secret behind.
    let capacity = usize::try_from(length.min(limit)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// Reads a file this program keeps, closing it to others where necessary.
///
/// `None` says the file is absent. A symbolic link is refused: replacing the
/// file later would cut it loose from its target without a word.
#[expect(
    clippy::type_complexity,
    reason = "the pair is taken apart where it arrives"
)]
pub(crate) fn read_own(
    path: &Path,
    limit: u64,
) -> Result<Option<(Zeroizing<Vec<u8>>, Option<Warning>)>, FileError> {
    let Some((file, mode)) = open_plain(path, false)? else {
        return Ok(None);
    };
    let warning = tighten(path, &file, mode)?;
    Ok(Some((read_all(path, file, limit)?, warning)))
}

/// Reads a secret the operator keeps in a file.
///
/// Nothing is repaired: a secret that others could read has to be replaced,
/// and only the operator can decide that. Symbolic links are followed, as
/// mounted secrets are often links; owner and mode are those of the target.
pub(super) fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let Some((file, mode)) = open_plain(path, true)? else {
        return Err(failed("open", path)(io::ErrorKind::NotFound.into()));
    };
    if mode & OTHERS != 0 {
        return Err(FileError::Permissive {
            path: path.to_owned(),
            mode,
        });
    }
    read_all(path, file, limit)
}

/// Replaces a file by new content in one step, durably. The caller holds the
/// register's lock, as everybody does who replaces one of its files.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    crate::replace::replace(path, content).map_err(failed("replace", path))
}

/// Writes a file that must not exist yet, durably, with mode 0600.
pub(super) fn create_new(path: &Path, content: &[u8]) -> Result<(), FileError> {
    crate::replace::create(path, content).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists {
            path: path.to_owned(),
        },
        _ => failed("create", path)(error),
    })
}

/// Removes what interrupted changes left beside files, unless somebody is
/// changing one of them now. Nothing depends on it, so nothing is reported.
pub(super) fn sweep(lock_path: &Path, files: &[PathBuf]) {
    if !files.iter().any(|file| crate::replace::is_unfinished(file)) {
        return;
    }
    let Ok(_lock) = lock(lock_path, Duration::ZERO) else {
        return;
    };
    for file in files {
        let _ = crate::replace::sweep(file);
    }
}

/// A lock held across processes until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Takes the lock of a lock file, waiting at most `patience`.
pub(crate) fn lock(path: &Path, patience: Duration) -> Result<Lock, FileError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed("open", path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if started.elapsed() < patience => {
                std::thread::sleep(LOCK_POLL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(FileError::Locked {
                    path: path.to_owned(),
                    waited: patience,
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
        }
    }
}
