//! Who owns which unfinished action: one locked file per process.
//!
//! A process holds the lock of `owners/<id>` as long as it lives, and every
//! record it writes carries that id; a lock that can be taken therefore names
//! the actions of a dead process. The file also says from which record on an
//! unfinished action of the process can begin, or that there is none, so that
//! recovery reads no more than it must. It may lag behind; then recovery only
//! reads more. It never runs ahead of the disk: until an fsync covers its outcome,
//! an action can be unfinished again after a power cut, and the place of a record
//! counts only within the run of the system in which it was written.
//!
//! Invariant: files are made, examined and removed only while the chain is held, so
//! nobody mistakes a file that is just being made for a dead one. That there is
//! nothing unfinished is taken back before an action begins. It does not say what
//! becomes of the dead one's actions.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;

use super::event::EventKind;
use super::head::Position;
use super::keys::Place;
use crate::fault::{self, Point};

/// Folder of the owner files, in the journal's directory.
const OWNERS: &str = "owners";

/// How many records the floor may lag behind before it is rewritten.
const LAG: u64 = 1024;

/// Where a process's unfinished actions begin at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) seq: u64,
    /// Where that record begins; none where only its number is known.
    pub(super) place: Option<Place>,
}

impl Floor {
    /// After everything that is on record.
    pub(super) fn after(at: &Position) -> Self {
        Self {
            seq: at.seq + 1,
            place: Some(Place {
                segment: at.segment,
                offset: at.end,
            }),
        }
    }
}

/// This process as the owner of its actions.
#[derive(Debug)]
pub(super) struct Owner {
    path: PathBuf,
    file: File,
    floor: Floor,
    idle: bool,
    open: BTreeMap<String, Floor>,
    /// Where the first of those actions begins whose outcome may not be on disk yet.
    closed: Option<Floor>,
}

impl Owner {
    /// Announces a process whose first record will not be before `floor`.
    pub(super) fn enlist(dir: &Path, id: &str, floor: Floor) -> io::Result<Self> {
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
            floor,
            idle: false,
            open: BTreeMap::new(),
            closed: None,
        };
        owner.write(floor, false)?;
        fault::reach(Point::OwnerWritten);
        owner.file.sync_all()?;
        File::open(&folder)?.sync_all()?;
        fault::reach(Point::OwnerEnlisted);
        Ok(owner)
    }

    /// Takes back that nothing is unfinished, before an action begins.
    pub(super) fn busy(&mut self) -> io::Result<()> {
        if self.idle {
            self.write(self.floor, false)?;
        }
        Ok(())
    }

    /// Takes into account that everything noted so far is on disk.
    pub(super) fn synced(&mut self) {
        self.closed = None;
    }

    /// Takes one of this process's records into account. Without its place it
    /// may be in the file or not.
    pub(super) fn note(
        &mut self,
        event: EventKind,
        action: Option<&str>,
        seq: u64,
        place: Option<Place>,
    ) {
        let Some(action) = action else { return };
        let here = Floor { seq, place };
        match event {
            EventKind::Intent => {
                self.open.insert(action.to_owned(), here);
            }
            EventKind::Outcome | EventKind::Recovered => {
                let begun = self.open.remove(action);
                let first = self.closed.into_iter().chain(begun);
                self.closed = first.min_by_key(|floor| floor.seq);
            }
            EventKind::Approval
            | EventKind::Attempt
            | EventKind::Checkpoint
            | EventKind::Settled
            | EventKind::Note => {}
        }
        // A floor that stays too low costs time, not correctness.
        let first = self.open.values().chain(&self.closed);
        let first = first.min_by_key(|floor| floor.seq).copied().unwrap_or(here);
        if self.open.is_empty() {
            let _ = self.write(first, true);
        } else if first.seq > self.floor.seq + LAG {
            let _ = self.write(first, false);
        }
    }

    fn write(&mut self, floor: Floor, idle: bool) -> io::Result<()> {
        let place = floor.place.unwrap_or(Place {
            segment: 0,
            offset: 0,
        });
        let text = format!(
            "{{\"pid\":\"{:010}\",\"floor\":\"{:020}\",\"segment\":\"{:020}\",\
             \"offset\":\"{:020}\",\"idle\":\"{}\",\"boot\":\"{:036}\"}}\n",
            std::process::id(),
            floor.seq,
            place.segment,
            place.offset,
            if idle { "yes" } else { "no " },
            boot(),
        );
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.floor = floor;
        self.idle = idle;
        Ok(())
    }
}

/// Whether a process is still among the owners.
pub(super) fn is_enlisted(dir: &Path, id: &str) -> bool {
    dir.join(OWNERS).join(id).exists()
}

/// What tells this run of the system from others: that nothing is unfinished is
/// not worth an fsync, so it is believed only while the system runs on. Empty
/// where the system does not say.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().chars().take(36).collect())
            .unwrap_or_default()
    })
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
    /// Where its unfinished actions begin at the earliest; none where it has none.
    pub(super) floor: Option<Floor>,
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
        segment: Option<String>,
        offset: Option<String>,
        idle: Option<String>,
        boot: Option<String>,
    }
    impl Content {
        fn floor(&self) -> Option<Option<Floor>> {
            let running = self.boot.as_deref().map(str::trim);
            let same = running == Some(boot()) && !boot().is_empty();
            if self.idle.as_deref() == Some("yes") && same {
                return Some(None);
            }
            let number = |text: &Option<String>| text.as_ref()?.parse::<u64>().ok();
            let place = number(&self.segment)
                .filter(|segment| *segment > 0 && same)
                .zip(number(&self.offset))
                .map(|(segment, offset)| Place { segment, offset });
            let seq = self.floor.parse().ok()?;
            Some(Some(Floor { seq, place }))
        }
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
            .and_then(|content| content.floor())
            .unwrap_or(Some(Floor {
                seq: 1,
                place: None,
            }));
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
