//! What the suites about snapshots share: plain git, a helper that stays, states
//! of trees, small file systems.
//!
//! It deliberately asserts nothing about openshell itself.
//!
//! Invariant of the fixture: `git` runs without any setting of the account.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use openshell_tests::{BridgeCall, Cli};
use serde_json::{Value, json};

use crate::cli_support::Rig;

/// Runs plain git as somebody without any settings would; standard output.
#[track_caller]
pub(crate) fn git(arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("--no-pager")
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The repository of an installation.
pub(crate) fn store(cli: &Cli) -> PathBuf {
    cli.data_dir().join("snapshots")
}

/// Runs plain git on the repository of an installation.
#[track_caller]
pub(crate) fn git_in(cli: &Cli, arguments: &[&str]) -> String {
    let place = format!("--git-dir={}", store(cli).display());
    let mut all = vec![place.as_str()];
    all.extend(arguments);
    git(&all)
}

/// Everything an undo has to bring back of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Directory {
        mode: u32,
    },
    Link(PathBuf),
    File {
        content: Vec<u8>,
        mode: u32,
        owner: (u32, u32),
    },
}

/// A tree of files, by the paths in it.
pub(crate) type Tree = BTreeMap<PathBuf, Entry>;

/// Reads a tree as it is.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("own directory") {
            let path = entry.expect("own directory").path();
            let meta = fs::symlink_metadata(&path).expect("just listed");
            let mode = meta.permissions().mode() & 0o7777;
            let entry = if meta.is_dir() {
                open.push(path.clone());
                Entry::Directory { mode }
            } else if meta.is_symlink() {
                Entry::Link(fs::read_link(&path).expect("it is a link"))
            } else {
                Entry::File {
                    content: fs::read(&path).expect("own file"),
                    mode,
                    owner: (meta.uid(), meta.gid()),
                }
            };
            found.insert(path, entry);
        }
    }
    found
}

/// A helper that stays, as an agent's plugin has one. Every question is answered
/// with a person's yes.
pub(crate) struct Bridge(openshell_tests::Bridge);

impl Bridge {
    pub(crate) fn start(rig: &Rig) -> Self {
        Self(openshell_tests::Bridge::start(
            &mut rig.cli.command(["bridge"]),
        ))
    }

    /// One tool call in a session; its envelope.
    pub(crate) fn call(&mut self, session: &str, tool: &str, arguments: &Value) -> Value {
        let call = BridgeCall {
            session: session.to_owned(),
            ..BridgeCall::new(tool, arguments.clone(), None)
        };
        let envelope = self.0.calls(vec![call], 1).pop().flatten();
        envelope.expect("the helper answers")
    }

    /// Writes a text into a file of server `a`.
    pub(crate) fn write(&mut self, session: &str, path: &str, content: &str) -> Value {
        let arguments = json!({"server": "a", "path": path, "content": content});
        self.call(session, "remote_write_file", &arguments)
    }
}

/// A small file system of its own, in memory. Dropping it unmounts it.
pub(crate) struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Mounts one, or says aloud why the test is skipped.
    pub(crate) fn mount(place: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(place).expect("own directory");
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(place)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self {
                place: place.to_owned(),
            });
        }
        eprintln!("skipped: a file system cannot be mounted here");
        None
    }

    /// Covers a directory with a view of itself that cannot be written, or says
    /// aloud why the test is skipped.
    pub(crate) fn read_only(place: &Path) -> Option<Self> {
        let mount = |options: &[&str]| {
            let output = Command::new("mount").args(options).arg(place).output();
            output.is_ok_and(|output| output.status.success())
        };
        let source = place.to_str().expect("UTF-8");
        if mount(&["--bind", source]) {
            let disk = Self {
                place: place.to_owned(),
            };
            if mount(&["-o", "remount,bind,ro"]) {
                return Some(disk);
            }
        }
        eprintln!("skipped: a directory cannot be made read-only here");
        None
    }

    /// Leaves no room on it; the file that takes the room.
    pub(crate) fn fill(&self) -> PathBuf {
        let filler = self.place.join("filler");
        let mut file = fs::File::create(&filler).expect("there is room for a name");
        while file.write_all(&[0; 4096]).is_ok() {}
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process may still be about to let go of it.
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}
