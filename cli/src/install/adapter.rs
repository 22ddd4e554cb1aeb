//! The OpenCode adapter, which is part of this program, and its place on disk.
//!
//! Invariant: what lies at [`Adapter::dir`] after [`Adapter::write`] is exactly
//! what is embedded, or nothing of it is there. Its directory carries the version,
//! so that a running OpenCode never sees a mixture. No configuration is touched
//! here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use openshell_host::registry::Paths;

use super::document::{Section, plugins, value};
use super::file::read;
use super::receipt::{Added, Receipt, ReceiptError, failed, private_dir};

/// The adapter's name as an npm package.
pub(crate) const PACKAGE: &str = "openshell-opencode";

/// The package's files by their names in it; `build.rs` lists them.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/adapter.rs"));

/// The adapter of this version.
#[derive(Debug, Clone)]
pub(crate) struct Adapter {
    parent: PathBuf,
}

impl Adapter {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            parent: Receipt::dir(paths),
        }
    }

    /// Where it belongs.
    pub(crate) fn dir(&self) -> PathBuf {
        self.parent.join(env!("CARGO_PKG_VERSION"))
    }

    /// The entries in these files that name its place, of whichever version. They are
    /// ours although nothing may be on record any more: the directory is private.
    /// A file that cannot be read has none.
    pub(crate) fn named_in(&self, files: &[PathBuf]) -> Vec<Added> {
        let entry = |file: &PathBuf| {
            let text = read(file).ok().flatten()?;
            let config = value(&text).ok()?;
            let (name, _) = plugins(&config)
                .into_iter()
                .find(|(spec, _)| self.is_place(spec))?;
            Some(Added {
                section: Section::Plugin,
                config: file.clone(),
                name,
                made_section: false,
                made_file: false,
                made_dir: false,
                backup: None,
            })
        };
        files.iter().filter_map(entry).collect()
    }

    fn is_place(&self, spec: &str) -> bool {
        let path = Path::new(spec.strip_prefix("file://").unwrap_or(spec));
        path.parent().is_some_and(|parent| parent == self.parent)
    }

    /// Whether all of it is there, byte for byte.
    pub(crate) fn is_written(&self) -> bool {
        let dir = self.dir();
        FILES.iter().all(|(name, content)| {
            fs::read(dir.join(name)).is_ok_and(|found| found == content.as_bytes())
        })
    }

    /// Puts it there; says whether anything had to be done. The record's directory
    /// must be there and held.
    pub(crate) fn write(&self) -> Result<bool, ReceiptError> {
        if self.is_written() {
            return Ok(false);
        }
        let dir = self.dir();
        let new = tempfile::Builder::new()
            .prefix(".adapter-")
            .tempdir_in(&self.parent)
            .map_err(failed(&self.parent))?;
        let put = || -> io::Result<()> {
            private_dir(&new.path().join("lib"))?;
            for (name, content) in FILES {
                fs::write(new.path().join(name), content)?;
            }
            if dir.exists() {
                fs::remove_dir_all(&dir)?;
            }
            fs::rename(new.path(), &dir)
        };
        put().map_err(failed(&dir))?;
        Ok(true)
    }

    /// Removes the directories of other versions, or of all.
    pub(crate) fn sweep(&self, all: bool) -> Result<(), ReceiptError> {
        let entries = fs::read_dir(&self.parent).map_err(failed(&self.parent))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && (all || path != self.dir()) {
                fs::remove_dir_all(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }
}

/// Whether a plugin's specifier in a configuration file names the adapter: by its
/// package, or by a directory that holds it.
pub(crate) fn names_adapter(spec: &str, config: &Path) -> bool {
    let rest = spec.strip_prefix(PACKAGE);
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@')) {
        return true;
    }
    let path = spec.strip_prefix("file://").unwrap_or(spec);
    let dir = config.parent().unwrap_or(Path::new("/")).join(path);
    manifest(&dir).is_some_and(|manifest| manifest["name"] == PACKAGE)
}

/// The manifest of the package in a directory; none where it is not to be had.
pub(crate) fn manifest(dir: &Path) -> Option<serde_json::Value> {
    let text = read(&dir.join("package.json")).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// What npm would pack: the files `package.json` names, and itself.
    #[test]
    fn all_of_the_package_is_embedded() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin/opencode");
        let manifest = fs::read_to_string(source.join("package.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["name"], PACKAGE);
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
        let mut packed = BTreeSet::from(["package.json".to_owned()]);
        for name in manifest["files"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            // The launcher and the licences' texts are for npm alone.
            if name == "bin" || name.starts_with("LICENSE") {
                continue;
            }
            if !source.join(name).is_dir() {
                packed.insert(name.to_owned());
                continue;
            }
            for entry in fs::read_dir(source.join(name)).unwrap() {
                let entry = entry.unwrap().file_name().into_string().unwrap();
                packed.insert(format!("{name}/{entry}"));
            }
        }
        let embedded: BTreeSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(embedded, packed);
    }

    #[test]
    fn a_damaged_copy_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        let receipt = Receipt::open(&paths).unwrap();
        let adapter = Adapter::new(&paths);
        assert!(!adapter.is_written());
        assert!(adapter.write().unwrap());
        assert!(!adapter.write().unwrap());
        fs::write(adapter.dir().join("index.js"), "").unwrap();
        assert!(adapter.write().unwrap());
        let old = Receipt::dir(&paths).join("0.0.1");
        fs::create_dir(&old).unwrap();
        adapter.sweep(false).unwrap();
        assert!(!old.exists() && adapter.is_written());
        adapter.sweep(true).unwrap();
        assert!(!adapter.dir().exists());
        receipt.remove().unwrap();
    }

    #[test]
    fn the_adapter_is_known_by_name_and_by_directory() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = dir.path().join("plugin");
        fs::create_dir(&plugin).unwrap();
        fs::write(
            plugin.join("package.json"),
            format!("{{\"name\": \"{PACKAGE}\"}}"),
        )
        .unwrap();
        let config = dir.path().join("opencode.json");
        let absolute = plugin.display().to_string();
        for (spec, expected) in [
            (PACKAGE, true),
            ("openshell-opencode@0.1.0", true),
            ("openshell-opencode@file:/x.tgz", true),
            ("openshell-opencode-other", false),
            ("./plugin", true),
            (absolute.as_str(), true),
            ("./other", false),
        ] {
            assert_eq!(names_adapter(spec, &config), expected, "{spec}");
        }
        assert!(names_adapter(&format!("file://{absolute}"), &config));
    }
}
