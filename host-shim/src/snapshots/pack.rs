//! Packing: many small objects become few large ones, beside the work.
//!
//! Invariant: no object is ever removed. A file goes only when everything in it
//! was read back from the table of a pack that is on the disk; who looks for an
//! object in the old place looks again and finds the new one. So packing needs
//! no turn, stops no call, and can die at any point.
//!
//! Packs are merged as in `git repack --geometric`: the small ones whenever they
//! weigh as much as the next larger one, so each object is copied a few times in
//! all and the number of packs stays small.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use git2::{ObjectType, Oid};

use super::error::SnapshotError;
use super::history;
use super::names;
use super::objects::Objects;
use super::repository;
use super::store::Snapshots;
use crate::fault::{self, Point};

/// Loose objects above which it is time to pack: some 600 changes.
const LOOSE_MAX: usize = 4096;

/// Folders of loose objects that are counted to estimate the rest; names are
/// hashes, so each of the 256 holds as many as any other.
const SAMPLE: [&str; 2] = ["17", "a5"];

/// A loose object of more bytes than this stays one: it gains nothing in a pack,
/// and packing it takes its size in memory.
const LOOSE_LARGE: u64 = 8 * 1024 * 1024;

/// How old the temporary file of a writer must be to be a dead one's.
const STALE: Duration = Duration::from_secs(3600);

/// Held by whoever packs.
const LOCK: &str = "openshell-pack.lock";

/// Whether this process is packing.
#[derive(Debug, Default)]
pub(super) struct Packing {
    running: AtomicBool,
}

/// How much there is to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Loose objects, and packs that are small beside each other.
    Due,
    /// Everything, into one pack.
    Everything,
}

/// What the object database looked like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// How many loose objects there were.
    pub loose: u64,
    /// How many packs there were.
    pub packs: u64,
    /// What both took on the disk, in bytes.
    pub bytes: u64,
}

/// What packing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The object database before it began.
    pub before: Stock,
    /// The object database when it had ended.
    pub after: Stock,
    /// Whether another process was packing, so that nothing was done.
    pub busy: bool,
}

impl Snapshots {
    /// Packs everything into one pack. Calls go on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` where the disk refuses, `Git` where an object cannot be
    /// read; nothing is lost then.
    pub fn pack(&self) -> Result<Packed, SnapshotError> {
        pack(&self.shared.path, Extent::Everything)
    }

    /// Packs what is worth packing now; nothing where there is little.
    ///
    /// # Errors
    /// As [`Snapshots::pack`].
    pub fn pack_if_due(&self) -> Result<Option<Packed>, SnapshotError> {
        if !self.is_packing_due() {
            return Ok(None);
        }
        pack(&self.shared.path, Extent::Due).map(Some)
    }

    /// Whether there are so many loose objects that packing is worth it; an
    /// estimate that costs two directory listings.
    #[must_use]
    pub fn is_packing_due(&self) -> bool {
        let objects = self.shared.path.join("objects");
        let counted: usize = SAMPLE
            .iter()
            .filter_map(|folder| fs::read_dir(objects.join(folder)).ok())
            .map(Iterator::count)
            .sum();
        counted * (256 / SAMPLE.len()) > LOOSE_MAX
    }

    /// Has a thread pack where it is time to. For a process that stays; it must
    /// not wait for the thread, which can end at any point.
    pub fn pack_in_background(&self) {
        if self.shared.packing.running.load(Ordering::Relaxed)
            || !self.is_packing_due()
            || self.shared.packing.running.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let snapshots = self.clone();
        let thread = std::thread::Builder::new().name("openshell-pack".to_owned());
        let started = thread.spawn(move || {
            lower_priority();
            // Nothing depends on it. Where it fails it is tried again after the
            // next change, and `snapshots gc` says why.
            let _ = snapshots.pack_if_due();
            snapshots
                .shared
                .packing
                .running
                .store(false, Ordering::Release);
        });
        if started.is_err() {
            self.shared.packing.running.store(false, Ordering::Release);
        }
    }
}

/// Lets calls go first. On Linux the priority belongs to the thread
/// (setpriority(2)); elsewhere it would slow the whole process down.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
}

/// A file that holds one object.
struct Loose {
    id: Oid,
    path: PathBuf,
    bytes: u64,
}

/// A pack and its table.
struct Pack {
    /// Without the ending.
    stem: PathBuf,
    bytes: u64,
}

fn pack(path: &Path, extent: Extent) -> Result<Packed, SnapshotError> {
    let objects = path.join("objects");
    let failed = |error: io::Error| SnapshotError::io(&objects, &error);
    let before = stock(&objects).map_err(failed)?;
    let mut done = Packed {
        before,
        after: before,
        busy: false,
    };
    let Some(_turn) = try_turn(path).map_err(failed)? else {
        done.busy = true;
        return Ok(done);
    };
    remove_stale(&objects).map_err(failed)?;
    let mut loose = loose(&objects).map_err(failed)?;
    loose.retain(|object| object.bytes <= LOOSE_LARGE);
    let merged = chosen(&objects, &loose, extent).map_err(failed)?;
    if !loose.is_empty() || merged.len() > 1 {
        let repo = repository::open(path)?;
        fault::check(Point::PackBefore).map_err(failed)?;
        let Some(written) = write(&repo, &objects, &loose, &merged)? else {
            return Ok(done);
        };
        for object in &loose {
            remove(&object.path).map_err(failed)?;
            fault::reach(Point::PackLooseGone);
        }
        for pack in merged.iter().filter(|pack| pack.stem != written) {
            // The table first: without it the pack is not looked into.
            for ending in ["idx", "rev", "bitmap", "mtimes", "pack"] {
                remove(&pack.stem.with_extension(ending)).map_err(failed)?;
                fault::reach(Point::PackTableGone);
            }
        }
        fault::reach(Point::PackDone);
    }
    done.after = stock(&objects).map_err(failed)?;
    Ok(done)
}

/// Writes the pack and proves that it holds everything; its name without the
/// ending, or none where there was nothing to write.
fn write(
    repo: &Objects,
    objects: &Path,
    loose: &[Loose],
    merged: &[Pack],
) -> Result<Option<PathBuf>, SnapshotError> {
    let folder = objects.join("pack");
    let failed = |error: io::Error| SnapshotError::io(&folder, &error);
    let mut ids: Vec<Oid> = loose.iter().map(|object| object.id).collect();
    for pack in merged {
        ids.extend(table(&pack.stem).map_err(failed)?);
    }
    let mut wanted = HashSet::new();
    ids.retain(|id| wanted.insert(*id));
    if ids.is_empty() {
        return Ok(None);
    }
    // This looks at every object, so a damaged one ends it before it is packed.
    let hints = hints(repo, &ids)?;
    let mut builder = repo.git().packbuilder()?;
    builder.set_threads(1);
    for id in ids {
        builder.insert_object(id, hints.get(&id).map(String::as_str))?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    builder.write(&folder, 0o400)?;
    fault::check(Point::PackWritten).map_err(failed)?;
    let name = builder.name()?.unwrap_or_default().to_owned();
    let stem = folder.join(format!("pack-{name}"));
    for ending in ["pack", "idx"] {
        let file = File::open(stem.with_extension(ending)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
    }
    File::open(&folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    fault::reach(Point::PackSynced);
    for id in table(&stem).map_err(failed)? {
        wanted.remove(&id);
    }
    fault::reach(Point::PackProven);
    match wanted.iter().next() {
        None => Ok(Some(stem)),
        Some(id) => Err(SnapshotError::Corrupt {
            commit: history::short(*id),
            what: "it did not get into the pack".to_owned(),
        }),
    }
}

/// Under which names commits keep their objects: versions of one file are stored
/// as the difference to each other, and the packer finds them by the name.
fn hints(repo: &Objects, ids: &[Oid]) -> Result<HashMap<Oid, String>, SnapshotError> {
    let mut hints = HashMap::new();
    for id in ids {
        if repo.kind(*id)? != ObjectType::Commit {
            continue;
        }
        let mut tree = repo.tree(repo.commit(*id)?.tree_id())?;
        let segments = match history::kept(repo, *id)? {
            Some(kept) => names::segments(&kept.message.path)?,
            None => continue,
        };
        let mut name = String::from("/");
        hints.insert(tree.id(), name.clone());
        for segment in &segments {
            let Some((child, kind)) = tree
                .get_name(segment)
                .map(|entry| (entry.id(), entry.kind()))
            else {
                break;
            };
            name.push_str(segment);
            hints.insert(child, name.clone());
            if kind != Some(ObjectType::Tree) {
                break;
            }
            name.push('/');
            tree = repo.tree(child)?;
        }
    }
    Ok(hints)
}

/// The packs to merge: all, or the smallest as long as the next one is not twice
/// as large as what was chosen so far.
fn chosen(objects: &Path, loose: &[Loose], extent: Extent) -> io::Result<Vec<Pack>> {
    let mut packs = packs(objects)?;
    if extent == Extent::Everything {
        return Ok(packs);
    }
    packs.sort_by_key(|pack| pack.bytes);
    let mut sum: u64 = loose.iter().map(|object| object.bytes).sum();
    let mut count = 0;
    for pack in &packs {
        if pack.bytes >= 2 * sum {
            break;
        }
        sum += pack.bytes;
        count += 1;
    }
    packs.truncate(count);
    Ok(packs)
}

fn try_turn(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn stock(objects: &Path) -> io::Result<Stock> {
    let (loose, packs) = (loose(objects)?, packs(objects)?);
    Ok(Stock {
        loose: loose.len() as u64,
        packs: packs.len() as u64,
        bytes: loose.iter().map(|object| object.bytes).sum::<u64>()
            + packs.iter().map(|pack| pack.bytes).sum::<u64>(),
    })
}

fn loose(objects: &Path) -> io::Result<Vec<Loose>> {
    let mut found = Vec::new();
    for number in 0..=u8::MAX {
        let folder = format!("{number:02x}");
        for entry in entries(&objects.join(&folder))? {
            let name = entry.file_name();
            let id = name
                .to_str()
                .filter(|name| name.len() == 38)
                .and_then(|name| Oid::from_str(&format!("{folder}{name}")).ok());
            // A file that has gone was packed by somebody else.
            if let (Some(id), Ok(meta)) = (id, entry.metadata()) {
                found.push(Loose {
                    id,
                    path: entry.path(),
                    bytes: meta.len(),
                });
            }
        }
    }
    Ok(found)
}

/// The packs that may be replaced: not those that somebody marked with `.keep`.
fn packs(objects: &Path) -> io::Result<Vec<Pack>> {
    let mut found = Vec::new();
    for entry in entries(&objects.join("pack"))? {
        let path = entry.path();
        let is_pack = path.extension().is_some_and(|ending| ending == "pack");
        if is_pack
            && path.with_extension("idx").exists()
            && !path.with_extension("keep").exists()
            && let Ok(meta) = entry.metadata()
        {
            found.push(Pack {
                stem: path.with_extension(""),
                bytes: meta.len(),
            });
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what writers and packers left when they died (the names are
/// libgit2's and git's). A pack of ours that is half written can only be a dead
/// one's, because the caller has the turn; the others may still be at work.
fn remove_stale(objects: &Path) -> io::Result<()> {
    let folders = (0..=u8::MAX).map(|number| objects.join(format!("{number:02x}")));
    for folder in folders.chain([objects.to_owned(), objects.join("pack")]) {
        for entry in entries(&folder)? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let temporary = ["tmp_", "pack_git2_", ".tmp-"]
                .iter()
                .any(|start| name.starts_with(start));
            let age = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .ok()
                .and_then(|time| SystemTime::now().duration_since(time).ok());
            let ours = name.starts_with("pack_git2_");
            if ours || (temporary && age.is_some_and(|age| age > STALE)) {
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// The ids in a pack's table (gitformat-pack, version 2: a mark, the version, 256
/// running totals by first byte, then the ids in order).
fn table(stem: &Path) -> io::Result<Vec<Oid>> {
    const MARK: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
    const TOTALS: usize = 256 * 4;
    let path = stem.with_extension("idx");
    let bytes = fs::read(&path)?;
    let ids = bytes
        .strip_prefix(&MARK)
        .and_then(|rest| rest.split_at_checked(TOTALS))
        .and_then(|(totals, ids)| {
            let total: [u8; 4] = totals.get(TOTALS - 4..)?.try_into().ok()?;
            let length = usize::try_from(u32::from_be_bytes(total)).ok()? * 20;
            ids.get(..length)
        })
        .ok_or_else(|| io::Error::other(format!("{} is not a pack's table", path.display())))?;
    ids.chunks_exact(20)
        .map(|id| Oid::from_bytes(id).map_err(io::Error::other))
        .collect()
}
