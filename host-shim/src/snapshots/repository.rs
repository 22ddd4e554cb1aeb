//! The bare repository itself and the settings it is used with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{Config, ConfigLevel, ErrorCode, Repository, RepositoryInitOptions};

use super::error::SnapshotError;
use super::objects::Objects;

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
    write_settings(&settings).map_err(|error| SnapshotError::io(&settings, &error))?;
    let mut config = Config::new()?;
    config.add_file(&path.join("config"), ConfigLevel::Local, false)?;
    config.add_file(&settings, ConfigLevel::App, false)?;
    repo.set_config(&config)?;
    Ok(Objects::new(repo))
}

fn write_settings(path: &PathBuf) -> io::Result<()> {
    // One window of the packer holds ten contents of the size allowed.
    const TEXT: &str = "[core]\n\tfsyncObjectFiles = true\n[pack]\n\twindowMemory = 67108864\n";
    if fs::read(path).is_ok_and(|bytes| bytes == TEXT.as_bytes()) {
        return Ok(());
    }
    fs::write(path, TEXT)
}
