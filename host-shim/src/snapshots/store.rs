//! The repository as processes share it: opening it, and taking turns.
//!
//! Invariant: processes take turns under a file lock, which the operating system
//! takes from a process that dies; threads of one process take turns at the
//! repository handle. What is read is read without a turn: an object never changes
//! and is never removed. What is kept, and when, is not known here.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::Oid;

use super::error::SnapshotError;
use super::history;
use super::index::Index;
use super::objects::Objects;
use super::pack::Packing;
use super::repository;
use super::state::Sealer;
use crate::journal::{FileLock, LockError, LockGuard};

/// Largest content that is kept at all, in bytes. The operator sets a lower
/// limit for changes; this one bounds what a process holds in memory.
pub const LARGEST: u64 = 256 * 1024 * 1024;

/// Whose turn it is, and who has it.
const LOCK: &str = "openshell.lock";

/// The snapshots of one data directory. Clones share the repository.
#[derive(Clone)]
pub struct Snapshots {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) path: PathBuf,
    store: Mutex<Store>,
    lock: FileLock,
    /// Device and inode of the lock's file.
    lock_id: (u64, u64),
    pub(super) max_bytes: u64,
    pub(super) sealer: Option<Arc<dyn Sealer>>,
    pub(super) packing: Packing,
}

/// What one thread works with at a time.
pub(super) struct Store {
    pub(super) repo: Objects,
    indexes: HashMap<String, Index>,
}

impl Store {
    /// The tip of a branch, and its commits up to there.
    pub(super) fn branch(
        &mut self,
        branch: &str,
    ) -> Result<(&Objects, &mut Index, Option<Oid>), SnapshotError> {
        let Self { repo, indexes } = self;
        let tip = history::tip(repo, branch)?;
        let index = indexes
            .entry(branch.to_owned())
            .or_insert_with(|| Index::open(repo.git().path(), branch));
        index.follow(repo, tip)?;
        Ok((repo, index, tip))
    }
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots")
            .field("path", &self.shared.path)
            .field("max_bytes", &self.shared.max_bytes)
            .finish_non_exhaustive()
    }
}

impl Snapshots {
    /// Opens the repository, creating it with mode 0700. Contents of up to
    /// [`LARGEST`] are kept; secret ones only where there is a sealer.
    ///
    /// # Errors
    /// `Unavailable` or `Git` where there is something else in its place.
    pub fn open(path: &Path, sealer: Option<Arc<dyn Sealer>>) -> Result<Self, SnapshotError> {
        Self::open_with(path, sealer, LARGEST)
    }

    /// As [`Snapshots::open`], with another limit in bytes.
    ///
    /// # Errors
    /// As [`Snapshots::open`].
    pub fn open_with(
        path: &Path,
        sealer: Option<Arc<dyn Sealer>>,
        max_bytes: u64,
    ) -> Result<Self, SnapshotError> {
        let unusable = |error: io::Error| SnapshotError::io(path, &error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
        let lock_path = path.join(LOCK);
        let lock = FileLock::create(&lock_path).map_err(unusable)?;
        let lock_id = file_id(&lock_path).map_err(unusable)?;
        let repo = {
            let _guard = lock.exclusive().map_err(|error| refused(path, error))?;
            let repo = repository::open(path)?;
            repository::sweep(path);
            repo
        };
        Ok(Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                store: Mutex::new(Store {
                    repo,
                    indexes: HashMap::new(),
                }),
                lock,
                lock_id,
                max_bytes: max_bytes.min(LARGEST),
                sealer,
                packing: Packing::default(),
            }),
        })
    }

    /// Whether this handle still is of the repository at its path: somebody may
    /// have moved a damaged one away, and a new one has to be opened then.
    #[must_use]
    pub fn is_current(&self) -> bool {
        file_id(&self.shared.path.join(LOCK)).is_ok_and(|id| id == self.shared.lock_id)
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        // The records of an index are checked against the branch each time, and a
        // repository holds no state of ours: a panic leaves nothing half done.
        self.shared
            .store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other process writes. Threads come first: within a process
    /// the file lock excludes nobody.
    pub(super) fn turn(&self) -> Result<LockGuard<'_>, SnapshotError> {
        let guard = self
            .shared
            .lock
            .exclusive()
            .map_err(|error| refused(&self.shared.path, error))?;
        // So that whoever waits in vain can say for whom.
        let _ = sign(&self.shared.path.join(LOCK));
        Ok(guard)
    }
}

/// Writes this process's id over the last one's, of the same length: cutting the
/// file off first would cost a flush to the disk each time.
fn sign(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(format!("{:<10}\n", std::process::id()).as_bytes())
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

fn refused(path: &Path, error: LockError) -> SnapshotError {
    match error {
        LockError::Busy { waited_ms, .. } => SnapshotError::Busy {
            waited_ms,
            holder: fs::read_to_string(path.join(LOCK))
                .ok()
                .and_then(|text| text.trim().parse().ok()),
        },
        LockError::Io(error) => SnapshotError::io(path, &error),
    }
}
