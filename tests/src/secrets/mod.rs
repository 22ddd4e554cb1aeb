//! What must never be seen, and everything a run of the suites leaves to be
//! looked at for it.
//!
//! A run has a directory, named by `OPENSHELL_TEST_RUN`. Fixtures note every
//! secret they make there, keep their files there when they end, and write down
//! what programs printed and what their processes showed of themselves. When all
//! tests are over, [`scan`] looks through everything for every secret.
//!
//! Invariant: a secret is noted before anything could leak it, and the notes are
//! in a directory of their own that only this account can read. Without the
//! variable nothing is noted or kept. It deliberately knows nothing of openshell:
//! where a secret may be is a list of files, each given by whoever put it there.

#![expect(
    clippy::panic,
    reason = "a run that cannot be recorded must stop the test and say why"
)]

mod encodings;
mod private_key;
mod processes;
mod scan;

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub use processes::Watch;
pub use scan::{Hit, Report, scan};

/// The variable that names the run's directory.
pub const RUN_VARIABLE: &str = "OPENSHELL_TEST_RUN";

/// Shortest secret that can be looked for: a shorter one would be found by chance.
const MIN_LENGTH: usize = 12;

/// What a secret is, which says how it may have leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A password of an account.
    Password,
    /// What a private key, a registry or a recovery document is encrypted with.
    Passphrase,
    /// The private half of a key pair.
    PrivateKey,
    /// What seals a registry.
    MasterKey,
    /// A credential in a command or a file of an agent's, which the agent may see
    /// and the journal may not.
    Token,
}

/// One secret as it is noted.
#[derive(Serialize, Deserialize)]
struct Noted {
    kind: Kind,
    bytes: Vec<u8>,
}

/// The directory of a run. Cloning it means the same run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    dir: PathBuf,
}

impl Run {
    /// The run this process belongs to, if any.
    #[must_use]
    pub fn current() -> Option<&'static Self> {
        static CURRENT: OnceLock<Option<Run>> = OnceLock::new();
        CURRENT
            .get_or_init(|| std::env::var_os(RUN_VARIABLE).map(|dir| Self::at(Path::new(&dir))))
            .as_ref()
    }

    /// A run in a directory, which is prepared if it is new.
    ///
    /// # Panics
    /// When the directory cannot be written.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        for (name, mode) in [("secrets", 0o700), ("allowed", 0o700), ("kept", 0o755)] {
            fs::DirBuilder::new()
                .mode(mode)
                .recursive(true)
                .create(dir.join(name))
                .unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        }
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Notes a secret.
    ///
    /// # Panics
    /// When it is too short to be looked for, or cannot be noted.
    pub fn note(&self, kind: Kind, bytes: &[u8]) {
        assert!(
            bytes.len() >= MIN_LENGTH,
            "a {kind:?} of {} bytes cannot be told from chance",
            bytes.len()
        );
        let noted = Noted {
            kind,
            bytes: bytes.to_vec(),
        };
        let text = serde_json::to_vec(&noted).expect("plain data");
        self.write("secrets", "json", &text);
    }

    /// Notes what is secret in a private key file, and that it may be there.
    pub fn note_private_key(&self, path: &Path) {
        for secret in private_key::secrets(path) {
            self.note(Kind::PrivateKey, &secret);
        }
        self.allow(path);
    }

    /// Says that a file may hold secrets, because that is what it is for.
    pub fn allow(&self, path: &Path) {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.write("allowed", "path", path.as_os_str().as_encoded_bytes());
    }

    /// Writes down what a program was asked and what it said.
    pub fn transcript(&self, what: &str, parts: &[&[u8]]) {
        let mut text = what.as_bytes().to_vec();
        for part in parts {
            text.push(b'\n');
            text.extend_from_slice(part);
        }
        self.write("transcripts", "txt", &text);
    }

    /// A directory for a fixture's files, which stays until the run is scanned.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn directory(&self, prefix: &str) -> TempDir {
        let mut dir = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(self.dir.join("kept"))
            .expect("the run's directory is writable");
        dir.disable_cleanup(true);
        dir
    }

    /// Keeps a copy of a file that would be gone with its fixture.
    pub fn keep(&self, path: &Path) {
        if let Ok(bytes) = fs::read(path) {
            self.write("copies", "file", &bytes);
        }
    }

    fn write(&self, place: &str, extension: &str, bytes: &[u8]) {
        // A random name: a long run uses the number of a process twice.
        let dir = self.dir.join(place);
        let suffix = format!(".{extension}");
        let written = fs::create_dir_all(&dir)
            .and_then(|()| {
                let mut file = tempfile::Builder::new();
                file.suffix(&suffix).disable_cleanup(true).tempfile_in(&dir)
            })
            .and_then(|mut file| file.write_all(bytes));
        if let Err(error) = written {
            panic!("{}: {error}", dir.display());
        }
    }
}

/// A directory for a fixture's files: the run's, or one that goes with the value.
#[must_use]
pub(crate) fn directory(prefix: &str) -> TempDir {
    match Run::current() {
        Some(run) => run.directory(prefix),
        None => tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .expect("a temporary directory"),
    }
}

/// Notes a secret of the current run, if there is one.
pub fn note(kind: Kind, bytes: &[u8]) {
    if let Some(run) = Run::current() {
        run.note(kind, bytes);
    }
}

/// Notes what is secret in a private key file, if there is a run.
pub fn note_private_key(path: &Path) {
    if let Some(run) = Run::current() {
        run.note_private_key(path);
    }
}

/// Notes a secret of the current run that a file is there to hold.
pub fn note_file(kind: Kind, bytes: &[u8], path: &Path) {
    if let Some(run) = Run::current() {
        run.note(kind, bytes);
        run.allow(path);
    }
}
