//! Which paths the SFTP side may touch.
//!
//! Invariant: a path given out here lies in the root, after every symbolic link
//! on the way was followed, or is refused. A client sees real absolute paths,
//! so what a command prints and what SFTP shows agree.
//!
//! The check and the use are two steps: a command that swaps a directory for a
//! link in between gets through. It gains nothing, as commands are not confined
//! in the first place.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::{DemoError, failed};

/// The directory a client may see, as its real absolute path.
pub(super) struct Root(PathBuf);

/// Why a path is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It leads out of the root, or would.
    Outside,
    /// The system refused.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn not_found() -> Refusal {
    Refusal::Io(io::ErrorKind::NotFound.into())
}

impl Root {
    /// Takes a directory as the root.
    pub(super) fn new(path: &Path) -> Result<Self, DemoError> {
        let real = path
            .canonicalize()
            .map_err(failed("open the scratch directory"))?;
        if real.is_dir() {
            Ok(Self(real))
        } else {
            Err(DemoError::NotADirectory {
                path: path.to_owned(),
            })
        }
    }

    /// The root itself, which is also the login directory.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn inside(&self, real: PathBuf) -> Result<PathBuf, Refusal> {
        if real.starts_with(&self.0) {
            Ok(real)
        } else {
            Err(Refusal::Outside)
        }
    }

    /// The real path of something that exists, with every link followed.
    pub(super) fn existing(&self, path: &str) -> Result<PathBuf, Refusal> {
        let path = self.0.join(path);
        match path.canonicalize() {
            Ok(real) => self.inside(real),
            // What does not exist is outside all the same when the part that
            // does exist is, so nobody learns what exists elsewhere.
            Err(error) => Err(match self.nearest(&path) {
                Some(real) if real.starts_with(&self.0) => Refusal::Io(error),
                _ => Refusal::Outside,
            }),
        }
    }

    /// The real path of a directory entry that may be absent or a link itself:
    /// links are followed up to its parent.
    pub(super) fn entry(&self, path: &str) -> Result<PathBuf, Refusal> {
        if path.ends_with('/') || path.ends_with("/.") {
            // A name that can only be a directory's is followed (POSIX.1-2017,
            // section 4.13), and the components of a path do not show it.
            return self.existing(path);
        }
        let joined = self.0.join(path);
        let last = joined.components().next_back();
        let (Some(Component::Normal(name)), Some(parent)) = (last, joined.parent()) else {
            return self.existing(path);
        };
        match parent.canonicalize() {
            Ok(parent) => self.inside(parent.join(name)),
            Err(error) => Err(match self.nearest(parent) {
                Some(real) if real.starts_with(&self.0) => Refusal::Io(error),
                _ => Refusal::Outside,
            }),
        }
    }

    /// The real path of a file to be opened, which may have to be created.
    ///
    /// The caller opens it without following links: a link that is left after
    /// this leads nowhere, and creating its target could be an escape.
    pub(super) fn to_open(&self, path: &str) -> Result<PathBuf, Refusal> {
        match self.existing(path) {
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let entry = self.entry(path)?;
                if entry.symlink_metadata().is_ok() {
                    Err(not_found())
                } else {
                    Ok(entry)
                }
            }
            other => other,
        }
    }

    /// An entry that is to be removed or renamed, so anything but the root.
    pub(super) fn movable(&self, path: &str) -> Result<PathBuf, Refusal> {
        let entry = self.entry(path)?;
        if entry == self.0 {
            Err(Refusal::Outside)
        } else {
            Ok(entry)
        }
    }

    /// The real path of the nearest ancestor that exists.
    fn nearest(&self, path: &Path) -> Option<PathBuf> {
        path.ancestors()
            .find_map(|ancestor| ancestor.canonicalize().ok())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::{Refusal, Root};
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_stay_inside() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("root");
        std::fs::create_dir_all(inner.join("etc")).unwrap();
        std::fs::write(inner.join("etc/motd"), "x").unwrap();
        std::fs::write(outer.path().join("secret"), "x").unwrap();
        symlink("etc/motd", inner.join("good")).unwrap();
        symlink("/etc", inner.join("away")).unwrap();
        symlink("../secret", inner.join("up")).unwrap();
        symlink("/nowhere/at/all", inner.join("dangling")).unwrap();
        let root = Root::new(&inner).unwrap();
        let real = inner.canonicalize().unwrap();
        let absolute = |name: &str| format!("{}/{name}", real.display());

        let found = |path: &str, to: &str| {
            assert_eq!(root.existing(path).unwrap(), real.join(to), "{path}");
        };
        found(".", "");
        found("etc/motd", "etc/motd");
        found("good", "etc/motd");
        found("etc/../etc/./motd", "etc/motd");
        found(&absolute("good"), "etc/motd");

        for path in [
            "/",
            "/etc/passwd",
            "/nowhere",
            "..",
            "../secret",
            "etc/../../secret",
            "away",
            "away/passwd",
            "away/nothing-here",
            "up",
            "../root-2",
        ] {
            assert!(
                matches!(root.existing(path), Err(Refusal::Outside)),
                "{path}"
            );
            let opened = root.to_open(path);
            assert!(matches!(opened, Err(Refusal::Outside)), "{path}");
        }
        for path in ["nothing", "nothing/below", "etc/motd/below", "dangling"] {
            assert!(matches!(root.existing(path), Err(Refusal::Io(_))), "{path}");
        }
        // A link is an entry like any other as long as it is not followed.
        assert_eq!(root.entry("away").unwrap(), real.join("away"));
        assert_eq!(root.entry("new").unwrap(), real.join("new"));
        assert_eq!(root.to_open("etc/new").unwrap(), real.join("etc/new"));
        for path in ["away/", "away/.", "away/new", "../new", "/new"] {
            assert!(matches!(root.entry(path), Err(Refusal::Outside)), "{path}");
        }
        assert!(matches!(
            root.to_open("dangling"),
            Err(Refusal::Io(error)) if error.kind() == ErrorKind::NotFound
        ));
        assert!(root.movable("good").is_ok());
        for path in [".", "", &absolute("")] {
            assert!(
                matches!(root.movable(path), Err(Refusal::Outside)),
                "{path}"
            );
        }
    }
}
