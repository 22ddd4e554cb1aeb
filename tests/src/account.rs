//! Throw-away accounts of this machine, for what root cannot show.
//!
//! Invariant: an account has a name of its own, belongs to nobody before, and is
//! removed with the value. Where accounts cannot be made, the caller is told
//! aloud and skips. It deliberately changes no account it did not make.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot work must stop the test and say why"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::secrets::{self, Kind};

/// An account. Dropping it removes it.
#[derive(Debug)]
pub struct Account {
    name: String,
    home: PathBuf,
}

impl Account {
    /// Creates an account with a home directory that exists already and becomes
    /// its own, or says aloud why the test is skipped.
    ///
    /// # Panics
    /// When the tools for it are missing.
    #[must_use]
    pub fn create(shell: &str, home: &Path) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::getuid().is_root() {
            eprintln!("skipped: making an account needs root");
            return None;
        }
        if !Path::new(shell).exists() {
            eprintln!("skipped: {shell} is not installed");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let account = Self {
            name: format!("oscli-{}-{number}", std::process::id()),
            home: home.to_owned(),
        };
        let place = home.to_string_lossy();
        // An asterisk is a password nobody has; the default locks the account.
        let created = tool(
            "useradd",
            &["-M", "-d", &place, "-s", shell, "-p", "*", &account.name],
        );
        if let Err(error) = created {
            panic!("useradd: {error}");
        }
        account.own(home);
        Some(account)
    }

    /// Login name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Home directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Gives the account a tree of files.
    ///
    /// # Panics
    /// When `chown` refuses.
    pub fn own(&self, tree: &Path) {
        let owned = Command::new("chown")
            .args(["-R", &format!("{0}:{0}", self.name)])
            .arg(tree)
            .status()
            .expect("chown(1) is in POSIX");
        assert!(owned.success(), "chown -R {} {}", self.name, tree.display());
    }

    /// Sets the account's password.
    ///
    /// # Panics
    /// When `chpasswd` is missing or refuses.
    pub fn set_password(&self, password: &str) {
        secrets::note(Kind::Password, password.as_bytes());
        let mut child = Command::new("chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .expect("chpasswd is part of the package passwd");
        let mut stdin = child.stdin.take().expect("stdin was asked for");
        let line = format!("{}:{password}\n", self.name);
        stdin.write_all(line.as_bytes()).expect("chpasswd reads");
        drop(stdin);
        let ended = child.wait().expect("chpasswd ends");
        assert!(ended.success(), "chpasswd: {ended}");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // By force: the last process of a session may be about to end.
        if let Err(error) = tool("userdel", &["-f", &self.name]) {
            eprintln!("userdel {}: {error}", self.name);
        }
    }
}

/// Runs a tool on the account database, whose one lock other tests may hold.
fn tool(name: &str, arguments: &[&str]) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..200 {
        let output = Command::new(name)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{name} cannot be run: {error}"));
        if output.status.success() {
            return Ok(());
        }
        last = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        thread::sleep(Duration::from_millis(50));
    }
    Err(last)
}
