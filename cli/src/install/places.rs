//! Where OpenCode reads its configuration.
//!
//! Invariant: the order is OpenCode's, the weakest first. Within the global folder
//! a later file's `plugin` replaces an earlier one's, so an entry belongs where
//! that key stands last; between folders the lists are joined. It reads the files
//! for that key alone.

use std::path::{Path, PathBuf};

use super::document::{Section, value};

/// Names in the global folder, the weakest first.
const GLOBAL: [&str; 3] = ["config.json", "opencode.json", "opencode.jsonc"];
/// Names in every other folder.
const FOLDER: [&str; 2] = ["opencode.json", "opencode.jsonc"];
/// The folder an administrator writes to.
const MANAGED: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/opencode"
} else {
    "/etc/opencode"
};
/// The variable that names one more file of the person's.
const FILE_VARIABLE: &str = "OPENCODE_CONFIG";

/// Why there is no file to register in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlacesError {
    /// Neither `XDG_CONFIG_HOME` nor a home directory is known.
    #[error("this user has no home directory")]
    NoHome,
    /// A relative name would mean another file in every directory.
    #[error("{FILE_VARIABLE} must be an absolute path, not {}", .0.display())]
    Relative(PathBuf),
}

/// OpenCode's global folder; none where there is no home.
fn global_dir() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    named
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
        .map(|base| base.join("opencode"))
}

/// The files of the global folder, whether they are there or not.
pub(crate) fn global_documents() -> Vec<PathBuf> {
    let dir = global_dir();
    dir.map_or_else(Vec::new, |dir| join(&dir, &GLOBAL))
}

/// Every file OpenCode would read if it were started here.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut files = global_documents();
    files.extend(named());
    if let Ok(here) = std::env::current_dir() {
        // It looks upwards as far as the repository goes.
        let root = here
            .ancestors()
            .find(|dir| dir.join(".git").exists())
            .unwrap_or(&here);
        let dirs: Vec<&Path> = here
            .ancestors()
            .take_while(|dir| dir.starts_with(root))
            .collect();
        for dir in dirs.iter().rev() {
            files.extend(join(dir, &FOLDER));
        }
        for dir in dirs.iter().rev() {
            files.extend(join(&dir.join(".opencode"), &FOLDER));
        }
    }
    if let Some(home) = std::env::home_dir() {
        files.extend(join(&home.join(".opencode"), &FOLDER));
    }
    if let Some(dir) = std::env::var_os("OPENCODE_CONFIG_DIR") {
        files.extend(join(Path::new(&dir), &FOLDER));
    }
    files.extend(join(Path::new(MANAGED), &FOLDER));
    let mut seen = Vec::new();
    files.retain(|file| {
        let new = !seen.contains(file);
        seen.push(file.clone());
        new
    });
    files
}

/// The file a new entry belongs in: what `OPENCODE_CONFIG` names, or the file of
/// the global folder whose word counts.
pub(crate) fn target(section: Section) -> Result<PathBuf, PlacesError> {
    if let Some(file) = named() {
        return if file.is_absolute() {
            Ok(file)
        } else {
            Err(PlacesError::Relative(file))
        };
    }
    let dir = global_dir().ok_or(PlacesError::NoHome)?;
    let files = join(&dir, &GLOBAL);
    let has_key = |file: &&PathBuf| {
        std::fs::read_to_string(file)
            .ok()
            .and_then(|text| value(&text).ok())
            .is_some_and(|config| !config[section.key()].is_null())
    };
    let chosen = files
        .iter()
        .rev()
        .find(has_key)
        .or_else(|| files.iter().rev().find(|file| file.exists()));
    Ok(chosen.cloned().unwrap_or_else(|| dir.join("opencode.json")))
}

fn named() -> Option<PathBuf> {
    std::env::var_os(FILE_VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn join(dir: &Path, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| dir.join(name)).collect()
}
