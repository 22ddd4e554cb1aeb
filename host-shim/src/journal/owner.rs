//! Who owns which unfinished action: one locked file per process.
//!
//! A process holds the lock of `owners/<id>` as long as it lives, and every
//! record it writes carries that id; a lock that can be taken therefore names
//! the actions of a dead process. The file also holds a floor, the lowest
//! sequence number at which an unfinished action of the process can begin, so
//! that recovery reads no more than it must. The floor may lag behind; then
//! recovery only reads more.
//!
//! Invariant: files are made, examined and removed only while the chain is
//! held, so nobody mistakes a file that is just being made for a dead one.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::event::EventKind;
use crate::fault::{self, Point};

/// Folder of the owner files, in the journal's directory.
const OWNERS: &str = "owners";

/// How many records the floor may lag behind before it is rewritten.
const LAG: u64 = 1024;

/// This process as the owner of its actions.
#[derive(Debug)]
pub(super) struct Owner {
    path: PathBuf,
    file: File,
    floor: u64,
    open: BTreeMap<String, u64>,
}

impl Owner {
    /// Announces a process whose first record will not be before `floor`.
    pub(super) fn enlist(dir: &Path, id: &str, floor: u64) -> io::Result<Self> {
        let folder = dir.join(OWNERS);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let path = folder.join(id);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.lock()?;
        let mut owner = Self {
            path,
            file,
            floor: 0,
            open: BTreeMap::new(),
        };
        owner.write_floor(floor)?;
        fault::reach(Point::OwnerWritten);
        owner.file.sync_all()?;
        File::open(&folder)?.sync_all()?;
        fault::reach(Point::OwnerEnlisted);
        Ok(owner)
    }

    /// Takes one of this process's records into account.
    pub(super) fn note(&mut self, event: EventKind, action: Option<&str>, seq: u64) {
        let Some(action) = action else { return };
        match event {
            EventKind::Intent => {
                self.open.insert(action.to_owned(), seq);
            }
            EventKind::Outcome | EventKind::Recovered => {
                self.open.remove(action);
            }
            EventKind::Approval | EventKind::Attempt | EventKind::Checkpoint | EventKind::Note => {}
        }
        let floor = self.open.values().min().copied().unwrap_or(seq + 1);
        if floor > self.floor + LAG {
            // A floor that stays too low costs time, not correctness.
            let _ = self.write_floor(floor);
        }
    }

    fn write_floor(&mut self, floor: u64) -> io::Result<()> {
        let text = format!(
            "{{\"pid\":\"{:010}\",\"floor\":\"{floor:020}\"}}\n",
            std::process::id()
        );
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.floor = floor;
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // An owner that leaves unfinished actions leaves its name too, so that
        // the next process settles them.
        if self.open.is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A process that ended without settling everything it began, or without
/// saying that it did.
#[derive(Debug)]
pub(super) struct Dead {
    /// Its owner id.
    pub(super) id: String,
    /// Where its unfinished actions begin at the earliest.
    pub(super) floor: u64,
    path: PathBuf,
    _lock: File,
}

impl Dead {
    /// Forgets the process, once its actions are settled on disk.
    pub(super) fn bury(self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        fault::reach(Point::RecoveryBuried);
        Ok(())
    }
}

/// The owners whose lock nobody holds any more.
pub(super) fn dead(dir: &Path) -> io::Result<Vec<Dead>> {
    #[derive(Deserialize)]
    struct Content {
        floor: String,
    }
    let mut dead = Vec::new();
    for item in fs::read_dir(dir.join(OWNERS))? {
        let item = item?;
        let Some(id) = item.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !item.file_type()?.is_file() {
            continue;
        }
        let path = item.path();
        let file = match File::open(&path) {
            Ok(file) => file,
            // Its owner left properly a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // A file that a crash left half written names no floor: read it all.
        let floor = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Content>(&bytes).ok())
            .and_then(|content| content.floor.parse().ok())
            .unwrap_or(1);
        dead.push(Dead {
            id,
            floor,
            path,
            _lock: file,
        });
    }
    dead.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(dead)
}
