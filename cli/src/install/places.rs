//! Where OpenCode reads its configuration.
//!
//! Invariant: the order is OpenCode's, the weakest first. Within the global folder
//! a later file's `plugin` replaces an earlier one's, so an entry belongs where
//! that key stands last; between folders the lists are joined. Which files are the
//! person's and not a project's is the plugin's own list (`trusted.js`). It reads the
//! files for that key alone.

use std::path::{Path, PathBuf};

use super::document::{Section, value};
use super::file::read;

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

/// The directory somebody works in, as far as a repository could have written it.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    here: PathBuf,
    root: PathBuf,
}

impl Project {
    /// Where this process was started: all of the repository, or the directory alone.
    pub(crate) fn here() -> Option<Self> {
        let here = std::env::current_dir().ok()?;
        let root = here.ancestors().find(|dir| dir.join(".git").exists());
        Some(Self {
            root: root.unwrap_or(&here).to_owned(),
            here,
        })
    }

    /// Whether a path that exists leads into it, after every link.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|real| {
            let root = self.root.canonicalize();
            real.starts_with(root.as_deref().unwrap_or(&self.root))
        })
    }

    /// Whether whoever made it could have put a file there. A home is no project,
    /// although an agent that is started in one may write to it.
    pub(crate) fn could_have_brought(&self, path: &Path) -> bool {
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        let root = self.root.canonicalize();
        let is_home = home
            .zip(root.ok())
            .is_some_and(|(home, root)| home.starts_with(root));
        !is_home && (path.starts_with(&self.root) || self.holds(path))
    }
}

/// The files that are the person's by their place, the weakest first. One of them
/// that leads into a project is that project's all the same.
pub(crate) fn personal_documents() -> Vec<PathBuf> {
    let mut files = global_documents();
    files.extend(named().filter(|file| file.is_absolute()));
    let home = std::env::home_dir().map(|home| home.join(".opencode"));
    let dir = std::env::var_os("OPENCODE_CONFIG_DIR").map(PathBuf::from);
    for dir in home.into_iter().chain(dir).chain([MANAGED.into()]) {
        if dir.is_absolute() {
            files.extend(join(&dir, &FOLDER));
        }
    }
    files
}

/// Every file OpenCode would read if it were started here.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut files = global_documents();
    files.extend(named());
    if let Some(Project { here, root }) = Project::here() {
        // It looks upwards as far as the repository goes.
        let dirs: Vec<&Path> = here
            .ancestors()
            .take_while(|dir| dir.starts_with(&root))
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
        read(file)
            .ok()
            .flatten()
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
