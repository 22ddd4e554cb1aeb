//! An installation to be broken, with a server of its own.
//!
//! Invariant: the fault is armed by the environment of one run and by no file, so
//! the next run is an ordinary one. It asserts nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::binary::fault_binary;
use super::ledger::Ledger;
use crate::cli::{Cli, Output, finish};
use crate::sshd::{Sshd, SshdOptions};

/// How long a process may take to stop at its point.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What arms a run.
pub(super) type Armed<'a> = &'a [(&'a str, &'a str)];

/// An installation of the build with fault points, and a server it knows as `a`.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) cli: Cli,
    pub(super) server: Sshd,
    pub(super) files: PathBuf,
}

impl Rig {
    pub(super) fn start() -> Self {
        let rig = Self::bare();
        rig.set_up(&[]);
        rig
    }

    /// An installation in which nothing was ever run.
    pub(super) fn bare() -> Self {
        let server = Sshd::start(&SshdOptions::default());
        let cli = Cli::of(fault_binary());
        let files = cli.files();
        Self { cli, server, files }
    }

    /// Makes a key and registers the server; what is there already stays. Every
    /// step is run, whatever became of the one before.
    pub(super) fn set_up(&self, armed: Armed<'_>) -> Vec<Output> {
        let key = self.cli.key_file().display().to_string();
        vec![
            self.run(&["key", "init", "--file", &key], armed),
            self.run(&self.add("a", self.server.port()), armed),
        ]
    }

    /// The words that register a server on a port under an id.
    pub(super) fn add(&self, id: &str, port: u16) -> Vec<String> {
        let words = [
            "server",
            "add",
            id,
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--user",
            self.server.user(),
            "--identity",
            &self.server.client_key_path().display().to_string(),
            "--host-key",
            &self.server.host_key_line(),
            "--sudo",
            "ask",
        ];
        words.map(str::to_owned).to_vec()
    }

    pub(super) fn run<A: AsRef<std::ffi::OsStr>>(&self, words: &[A], armed: Armed<'_>) -> Output {
        finish(self.spawn(words, armed))
    }

    pub(super) fn spawn<A: AsRef<std::ffi::OsStr>>(&self, words: &[A], armed: Armed<'_>) -> Child {
        self.command(words, armed)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the helper can be run")
    }

    pub(super) fn command<A: AsRef<std::ffi::OsStr>>(
        &self,
        words: &[A],
        armed: Armed<'_>,
    ) -> Command {
        let mut command = self.cli.command(words);
        command.envs(armed.iter().copied());
        command
    }

    /// A tool call of server `a` with consent, by its words.
    pub(super) fn call(&self, tool: &str, arguments: &Value, key: Option<&str>) -> Vec<String> {
        let mut arguments = arguments.clone();
        if arguments.get("server").is_none() {
            arguments["server"] = json!("a");
        }
        let mut words: Vec<String> = ["call", tool, &arguments.to_string(), "--yes"]
            .map(str::to_owned)
            .to_vec();
        if let Some(key) = key {
            words.extend(["--key".to_owned(), key.to_owned()]);
        }
        words
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.files.join(name).display().to_string()
    }

    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.files.join(name)).ok()
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger::read(&self.cli.audit_dir())
    }

    /// Temporary files on the server: beside the files, and of those below `/tmp`
    /// the ones this installation has on record.
    pub(super) fn remote_strays(&self) -> Vec<String> {
        let mut strays = names(&self.files, |name| name.starts_with(".openshell-"));
        let staged = self.ledger().staging();
        let staged = staged.into_iter().map(|name| Path::new("/tmp").join(name));
        strays.extend(
            staged
                .filter(|path| path.exists())
                .map(|path| path.display().to_string()),
        );
        strays
    }

    /// Temporary files of the installation itself. Those of the snapshot store
    /// count once something was kept again.
    pub(super) fn local_strays(&self, kept: bool) -> Vec<String> {
        let unfinished = |name: &str| {
            name.ends_with(".openshell-new") || name.starts_with(".tmp") || name.ends_with(".tmp")
        };
        let mut strays = names(self.cli.dir(), unfinished);
        let audit = self.cli.audit_dir();
        for folder in [
            self.cli.config_dir(),
            audit.clone(),
            audit.join("leftovers"),
            self.cli.data_dir().join("pending"),
        ] {
            strays.extend(names(&folder, |name| {
                unfinished(name) || name.starts_with(".keys-")
            }));
        }
        // Nobody runs any more, so nobody holds a turn.
        strays.extend(names(&audit.join("leases"), |name| name != "queue"));
        if kept {
            let git = self.cli.data_dir().join("snapshots");
            let halves = |name: &str| {
                name.contains("_git2_") || name.ends_with(".lock") || name.ends_with(".new")
            };
            for folder in [
                "",
                "objects",
                "objects/pack",
                "refs/heads",
                "openshell-index",
            ] {
                strays.extend(names(&git.join(folder), |name| {
                    !matches!(name, "openshell.lock" | "openshell-pack.lock") && halves(name)
                }));
            }
        }
        strays
    }
}

fn names(folder: &Path, keep: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| keep(name))
        .map(|name| folder.join(name).display().to_string())
        .collect()
}

/// Waits until a process stands still at its point; false when it ended instead.
pub(super) fn stands_still(child: &mut Child) -> bool {
    let limit = Instant::now() + STOP_LIMIT;
    loop {
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        // The state follows the command's name, which stands in brackets (proc_pid_stat(5)).
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        if state == Some('T') {
            return true;
        }
        if Instant::now() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets a process that stands still go on.
pub(super) fn go_on(child: &Child) {
    let pid = i32::try_from(child.id()).ok();
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        // A process that is gone needs no waking.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::CONT);
    }
}
