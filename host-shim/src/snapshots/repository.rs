//! The bare repository itself and the settings it is used with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{Config, ConfigLevel, ErrorCode, Repository, RepositoryInitOptions};

use super::error::SnapshotError;
use super::objects::Objects;
use crate::fault::{self, Point};

/// Settings of this program alone, beside the repository's own. git warns of
/// `core.fsyncObjectFiles` where it reads it; libgit2 knows nothing else.
const SETTINGS: &str = "openshell.gitconfig";

/// Opens or creates the repository with settings of its own, so that no
/// setting of the user reaches it.
pub(super) fn open(path: &Path) -> Result<Objects, SnapshotError> {
    let repo = match Repository::open_bare(path) {
        Ok(repo) => repo,
        Err(error) if error.code() == ErrorCode::NotFound => Repository::init_opts(
            path,
            RepositoryInitOptions::new()
                .bare(true)
                .no_reinit(true)
                .external_template(false)
                .description("File states kept by openshell, one branch per server"),
        )?,
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

/// Removes objects that a process of ours died over. libgit2 gives them a name of
/// its own. Only whoever has the turn may call this: then nobody is writing one. A
/// file that stays takes room and nothing else, so nothing is reported.
pub(super) fn sweep(path: &Path) {
    let Ok(entries) = fs::read_dir(path.join("objects")) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("tmp_object_git2_"))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
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
