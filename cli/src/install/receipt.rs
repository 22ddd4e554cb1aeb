//! What `install` added to files that are not openshell's own.
//!
//! Invariant: an addition is on record before it is made, and forgotten after it
//! was taken back. A record that cannot be understood whole is refused. It does not
//! look into the files it has entries about.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use openshell_host::registry::Paths;
use serde::{Deserialize, Serialize};

use super::document::Section;

/// The format this program writes and reads.
const FORMAT: u32 = 1;
/// The record's name in the directory.
const FILE: &str = "installed.json";
/// Held by whoever changes the record.
const LOCK: &str = "lock";

/// One entry that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Added {
    pub(crate) section: Section,
    /// The configuration file, as it was named.
    pub(crate) config: PathBuf,
    /// What tells the entry from others.
    pub(crate) name: String,
    /// Whether the section was made for it.
    pub(crate) made_section: bool,
    /// Whether the file was.
    pub(crate) made_file: bool,
    /// Whether the file's directory was.
    pub(crate) made_dir: bool,
    /// A copy of the file from before, beside the record.
    pub(crate) backup: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    added: Vec<Added>,
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiptError {
    /// As the system answered.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is no record that this version writes.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The record, held by this process alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Receipt {
    dir: PathBuf,
    /// Whether the directory was made for this process.
    made: bool,
    added: Vec<Added>,
    _lock: File,
}

impl Receipt {
    /// Where the record and what belongs to it is kept.
    pub(crate) fn dir(paths: &Paths) -> PathBuf {
        paths.data_dir.join("opencode")
    }

    /// What is on record, without waiting for anybody who changes it.
    pub(crate) fn peek(paths: &Paths) -> Result<Vec<Added>, ReceiptError> {
        load(&Self::dir(paths).join(FILE))
    }

    /// Waits for its turn and reads the record. Makes the directory (0700).
    pub(crate) fn open(paths: &Paths) -> Result<Self, ReceiptError> {
        let dir = Self::dir(paths);
        let made = !dir.exists();
        paths
            .ensure(&dir)
            .map_err(|error| ReceiptError::Unreadable {
                path: dir.clone(),
                reason: error.to_string(),
            })?;
        let path = dir.join(LOCK);
        let lock = File::create(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(failed(&path))?;
        Ok(Self {
            added: load(&dir.join(FILE))?,
            dir,
            made,
            _lock: lock,
        })
    }

    /// Everything on record, the oldest first.
    pub(crate) fn added(&self) -> &[Added] {
        &self.added
    }

    /// Keeps a copy of what a file held, and gives its name.
    pub(crate) fn keep(&self, config: &Path, content: &str) -> Result<String, ReceiptError> {
        let original = config.file_name().unwrap_or_default().to_string_lossy();
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
        let name = format!("before-{time}-{original}");
        let path = self.dir.join(&name);
        write(&self.dir, &path, content.as_bytes())?;
        Ok(name)
    }

    /// Where a copy is.
    pub(crate) fn backup(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Puts an addition on record, in the place of the one of its section.
    pub(crate) fn note(&mut self, added: Added) -> Result<(), ReceiptError> {
        self.added.retain(|known| known.section != added.section);
        self.added.push(added);
        self.save()
    }

    /// Forgets the addition of a section and removes the copy that belongs to it.
    pub(crate) fn forget(&mut self, section: Section) -> Result<(), ReceiptError> {
        let gone: Vec<_> = self
            .added
            .extract_if(.., |known| known.section == section)
            .collect();
        self.save()?;
        for name in gone.into_iter().filter_map(|added| added.backup) {
            // A copy that stays harms nobody.
            let _ = fs::remove_file(self.dir.join(name));
        }
        Ok(())
    }

    /// Leaves everything as it was before [`Receipt::open`], unless something is on
    /// record: what was there already may be named by a configuration.
    pub(crate) fn abandon(self) -> Result<(), ReceiptError> {
        if self.made { self.remove() } else { Ok(()) }
    }

    /// Removes the directory, once nothing is on record, with all that is in it.
    pub(crate) fn remove(self) -> Result<(), ReceiptError> {
        if !self.added.is_empty() {
            return Ok(());
        }
        fs::remove_dir_all(&self.dir).map_err(failed(&self.dir))?;
        if let Some(data) = self.dir.parent() {
            // Only an empty one goes; everything else in there is kept.
            let _ = fs::remove_dir(data);
        }
        Ok(())
    }

    fn save(&self) -> Result<(), ReceiptError> {
        let document = Document {
            format: FORMAT,
            added: self.added.clone(),
        };
        let path = self.dir.join(FILE);
        let mut text =
            serde_json::to_vec_pretty(&document).map_err(|error| ReceiptError::Unreadable {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        text.push(b'\n');
        write(&self.dir, &path, &text)
    }
}

fn load(path: &Path) -> Result<Vec<Added>, ReceiptError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(path)(source)),
    };
    let unreadable = |reason: String| ReceiptError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let document: Document =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if document.format != FORMAT {
        return Err(unreadable(format!(
            "it has format {}, and this version knows {FORMAT}",
            document.format
        )));
    }
    Ok(document.added)
}

/// Writes a private file in one step, durably.
fn write(dir: &Path, path: &Path, content: &[u8]) -> Result<(), ReceiptError> {
    // Temporary files have mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(dir).map_err(failed(dir))?;
    temporary
        .write_all(content)
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(failed(path))?;
    temporary
        .persist(path)
        .map_err(|error| failed(path)(error.error))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(dir))
}

/// Makes a directory for this user alone.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReceiptError {
    let path = path.to_owned();
    move |source| ReceiptError::Io { path, source }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    fn added(section: Section, name: &str) -> Added {
        Added {
            section,
            config: "/c/opencode.json".into(),
            name: name.to_owned(),
            made_section: true,
            made_file: false,
            made_dir: false,
            backup: None,
        }
    }

    #[test]
    fn one_entry_a_section_and_nothing_left() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        assert_eq!(Receipt::peek(&paths).unwrap(), []);
        let mut receipt = Receipt::open(&paths).unwrap();
        receipt.note(added(Section::Plugin, "old")).unwrap();
        receipt.note(added(Section::Mcp, "m")).unwrap();
        let backup = receipt.keep(Path::new("/c/opencode.json"), "{}").unwrap();
        let mut new = added(Section::Plugin, "new");
        new.backup = Some(backup.clone());
        receipt.note(new).unwrap();
        let names: Vec<_> = Receipt::peek(&paths)
            .unwrap()
            .into_iter()
            .map(|added| added.name)
            .collect();
        assert_eq!(names, ["m", "new"]);
        assert!(receipt.backup(&backup).exists());
        receipt.forget(Section::Plugin).unwrap();
        assert!(!receipt.backup(&backup).exists());
        receipt.forget(Section::Mcp).unwrap();
        receipt.remove().unwrap();
        assert!(!paths.data_dir.exists());
    }

    #[test]
    fn only_a_directory_that_was_made_now_is_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        Receipt::open(&paths).unwrap().abandon().unwrap();
        assert!(!paths.data_dir.exists());
        drop(Receipt::open(&paths).unwrap());
        Receipt::open(&paths).unwrap().abandon().unwrap();
        assert!(Receipt::dir(&paths).exists());
        Receipt::open(&paths).unwrap().remove().unwrap();
        assert!(!paths.data_dir.exists());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        let file = Receipt::dir(&paths).join(FILE);
        fs::create_dir_all(Receipt::dir(&paths)).unwrap();
        for text in [
            "",
            "{}",
            "{\"format\": 2, \"added\": []}",
            "{\"format\": 1, \"added\": [], \"more\": 1}",
        ] {
            fs::write(&file, text).unwrap();
            let error = Receipt::peek(&paths).unwrap_err();
            assert!(matches!(error, ReceiptError::Unreadable { .. }), "{text}");
        }
    }
}
