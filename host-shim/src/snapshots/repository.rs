//! The bare repository itself and the settings it is used with.
//!
//! Invariant: neither the user's nor the system's git configuration has a say in
//! what is written. Objects and branches are not made here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use git2::{Config, ConfigLevel, ErrorCode, Repository, RepositoryInitOptions};

use super::error::SnapshotError;
use super::objects::Objects;
use crate::fault::{self, Point};

/// Settings of this program alone, beside the repository's own. git warns of
/// `core.fsyncObjectFiles` where it reads it; libgit2 knows nothing else.
const SETTINGS: &str = "openshell.gitconfig";

/// How long another git, of a person at work, may hold the lock of a reference. One
/// that is there longer is a dead process's.
const MOMENT: Duration = Duration::from_millis(200);

/// Opens or creates the repository with settings of its own, so that no
/// setting of the user reaches it.
pub(super) fn open(path: &Path) -> Result<Objects, SnapshotError> {
    let repo = match Repository::open_bare(path) {
        Ok(repo) => repo,
        Err(error) if error.code() == ErrorCode::NotFound => {
            unlock(path)?;
            Repository::init_opts(
                path,
                RepositoryInitOptions::new()
                    .bare(true)
                    .no_reinit(true)
                    .external_template(false)
                    .description("File states kept by openshell, one branch per server"),
            )?
        }
        Err(error) => return Err(error.into()),
    };
    let settings = path.join(SETTINGS);
    fault::reach(Point::SnapshotsCreated);
    write_settings(&settings).map_err(|error| SnapshotError::io(&settings, &error))?;
    let mut config = Config::new()?;
    config.add_file(&path.join("config"), ConfigLevel::Local, false)?;
    config.add_file(&settings, ConfigLevel::App, false)?;
    repo.set_config(&config)?;
    Ok(Objects::new(repo))
}

/// Removes the locks of a process of ours that died while it made the repository.
/// What it was writing under them is written anew. Whoever makes a repository has
/// the turn, so nobody else is at it.
fn unlock(path: &Path) -> Result<(), SnapshotError> {
    for name in ["config.lock", "HEAD.lock"] {
        let lock = path.join(name);
        match fs::remove_file(&lock) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SnapshotError::io(&lock, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what a process of ours died over: half an object, to which libgit2 gives a
/// name of its own, and the lock of a reference. Only whoever has the turn may call
/// this: then nobody of ours is writing. A file that stays takes room, or a moment of
/// the next commit, so nothing is reported.
pub(super) fn sweep(path: &Path) {
    let held = locks(path);
    if !held.is_empty() {
        thread::sleep(MOMENT);
        for lock in locks(path).iter().filter(|lock| held.contains(lock)) {
            let _ = fs::remove_file(lock);
        }
    }
    // The second is what libgit2 tries out whether there can be links, in a new
    // repository.
    for (folder, begins) in [
        (path.join("objects"), "tmp_object_git2_"),
        (path.to_owned(), "_git2_"),
    ] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(begins)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The locks of references that there are.
fn locks(path: &Path) -> Vec<PathBuf> {
    let branches = fs::read_dir(path.join("refs/heads"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    branches
        .chain([path.join("HEAD.lock")])
        .filter(|lock| lock.extension().is_some_and(|ending| ending == "lock"))
        .filter(|lock| lock.exists())
        .collect()
}

fn write_settings(path: &PathBuf) -> io::Result<()> {
    // One window of the packer holds ten contents of the size allowed.
    const TEXT: &str = "[core]\n\tfsyncObjectFiles = true\n[pack]\n\twindowMemory = 67108864\n";
    if fs::read(path).is_ok_and(|bytes| bytes == TEXT.as_bytes()) {
        return Ok(());
    }
    fs::write(path, TEXT)?;
    fault::reach(Point::SnapshotsSettings);
    Ok(())
}
