//! A server where an account that is not root logs in, with or without a rule of
//! sudo(8), and files that only root can see.
//!
//! Invariant of the fixture: account, rule and vault are made for one test and go
//! with it. It asserts nothing about openshell but that nothing was left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use openshell_tests::{Account, Cli, Output, Sshd, SshdOptions, Sudoers};
use serde_json::{Value, json};

use crate::cli_support::{put, text};

/// The rig. The account is `a` on the installation.
pub(crate) struct Rig {
    pub(crate) cli: Cli,
    pub(crate) server: Sshd,
    pub(crate) account: Account,
    /// A directory the account cannot enter.
    pub(crate) vault: PathBuf,
    _rule: Option<Sudoers>,
}

impl Rig {
    /// Starts a server; `sudo` is what `server add` is told, `allowed` the rule of
    /// sudo(8). None, aloud, where that cannot be had.
    pub(crate) fn start(sudo: &str, allowed: Option<&str>) -> Option<Self> {
        if !Sudoers::available() {
            return None;
        }
        let server = Sshd::start(&SshdOptions::default());
        let home = server.dir().join("account");
        fs::create_dir(&home).expect("the directory is the test's own");
        let account = Account::create("/bin/sh", &home)?;
        let rule = allowed.map(|allowed| Sudoers::allow(&account, allowed));
        let cli = Cli::new();
        cli.enrol_as(&server, "a", account.name(), &["--sudo", sudo]);
        let vault = cli.files().join("vault");
        fs::create_dir(&vault).expect("the directory is the test's own");
        fs::set_permissions(&vault, fs::Permissions::from_mode(0o700)).expect("just made");
        Some(Self {
            cli,
            server,
            account,
            vault,
            _rule: rule,
        })
    }

    /// Puts a file into the vault, with a group of its own.
    pub(crate) fn put(&self, name: &str, content: &[u8], mode: u32, group: u32) -> String {
        let path = self.vault.join(name);
        put(&path, content, mode);
        std::os::unix::fs::chown(&path, Some(0), Some(group)).expect("root may");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("just made");
        text(&path)
    }

    pub(crate) fn exec(&self, command: &str, flags: &[&str]) -> Output {
        let arguments = json!({"server": "a", "command": command});
        self.cli.call("remote_exec", &arguments, flags)
    }

    /// Writes as root, or tries to.
    pub(crate) fn write(&self, path: &str, content: &str, flags: &[&str]) -> Output {
        let arguments = json!({"server": "a", "path": path, "content": content, "sudo": true});
        self.cli.call("remote_write_file", &arguments, flags)
    }

    /// The operations on record as another account.
    pub(crate) fn recorded(&self, event: &str) -> Vec<Value> {
        let records = self.cli.records().into_iter();
        records
            .filter(|record| record["event"] == event)
            .map(|mut record| record["operation"].take())
            .filter(|operation| !operation["as"].is_null())
            .collect()
    }

    /// Asserts that nothing of ours was left, neither beside the target nor staged.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let ours = |dir: &Path, prefix: &str| -> Vec<String> {
            let entries = fs::read_dir(dir).expect("the directory is there");
            entries
                .filter_map(Result::ok)
                .filter(|entry| {
                    let owner = entry.metadata().map_or(0, |meta| meta.uid());
                    // Other tests stage at the same time, for accounts of their own.
                    dir == self.vault || Some(owner) == self.uid()
                })
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| name.starts_with(prefix))
                .collect()
        };
        assert_eq!(ours(&self.vault, ".openshell-"), Vec::<String>::new());
        assert_eq!(
            ours(Path::new("/tmp"), ".openshell-stage-"),
            Vec::<String>::new()
        );
    }

    fn uid(&self) -> Option<u32> {
        fs::metadata(self.account.home())
            .ok()
            .map(|meta| meta.uid())
    }
}

/// Mode, owner and group.
pub(crate) fn facts(path: &str) -> (u32, u32, u32) {
    let meta = fs::metadata(path).expect("the file is there");
    (meta.mode() & 0o7777, meta.uid(), meta.gid())
}
