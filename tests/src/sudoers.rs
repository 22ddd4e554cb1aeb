//! A rule of sudo(8) for a throw-away account.
//!
//! Invariant: the rule stands in a file of its own below `/etc/sudoers.d`, was
//! found sound by visudo(8) before it counted, speaks of an account a fixture made,
//! and goes with the value. It makes no account.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot work must stop the test and say why"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Account;

/// Where sudo looks for rules; names with a dot are not read.
const DIRECTORY: &str = "/etc/sudoers.d";

/// A rule. Dropping it removes it.
#[derive(Debug)]
pub struct Sudoers {
    file: PathBuf,
}

impl Sudoers {
    /// Whether sudo is there; says so aloud where not.
    #[must_use]
    pub fn available() -> bool {
        let there = Path::new("/usr/bin/sudo").exists() && Path::new(DIRECTORY).is_dir();
        if !there {
            eprintln!("skipped: the package sudo is not installed");
        }
        there
    }

    /// Lets an account run what `allowed` says (such as `(ALL) NOPASSWD: ALL`).
    ///
    /// # Panics
    /// When the rule is not sound, or root cannot write it.
    #[must_use]
    pub fn allow(account: &Account, allowed: &str) -> Self {
        let draft = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(draft.path(), format!("{} ALL={allowed}\n", account.name()))
            .expect("the file is ours");
        fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o440))
            .expect("the file is ours");
        let checked = Command::new("visudo")
            .args(["-c", "-q", "-f"])
            .arg(draft.path())
            .output()
            .unwrap_or_else(|error| panic!("visudo cannot be run: {error}"));
        assert!(checked.status.success(), "visudo: {checked:?}");
        let file = Path::new(DIRECTORY).join(format!("openshell-test-{}", account.name()));
        // Whole or not there: every sudo on this machine reads the directory.
        let beside = Path::new(DIRECTORY).join(format!(".openshell-test-{}", account.name()));
        fs::copy(draft.path(), &beside).expect("root can write there");
        fs::rename(&beside, &file).expect("root can write there");
        Self { file }
    }
}

impl Drop for Sudoers {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.file) {
            eprintln!("{}: {error}", self.file.display());
        }
    }
}
