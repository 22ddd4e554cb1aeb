//! The throw-away root in which allowed commands run, from outside.
//!
//! Invariant: what runs inside sees the programs of this machine read-only, a
//! scratch tree with fake secrets, and no network; it cannot reach the machine's
//! own files, clock or processes. Needs root, and says what is missing otherwise.
//!
//! The part inside is this same program, started as process 1 of its own
//! namespaces, so that a whole run costs one set-up.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::tree::{self, CANARY};

/// Where programs are found: this machine's own, and those of busybox.
pub(crate) const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
pub(crate) const BUSYBOX_PATH: &str = "/busybox";

/// What the part inside is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// What the names in some words are, as the product looks before it runs them.
    Look {
        words: Vec<String>,
        /// Positions of the words to expand.
        globs: Vec<usize>,
        cwd: String,
    },
    /// To run words as the product runs them, with programs from `path`.
    Run {
        argv: Vec<String>,
        path: String,
        cwd: String,
        patience_ms: u64,
    },
}

/// What the names in some words are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The final words.
    pub(crate) argv: Vec<String>,
    /// The words with paths replaced by where they lead, if any leads elsewhere.
    pub(crate) resolved: Vec<Vec<String>>,
}

/// What a run inside the sandbox showed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) output: String,
    pub(crate) trace: String,
    /// It did not end in time, or printed more than anything would.
    pub(crate) timed_out: bool,
    /// Entries of the tree and facts about the system that are not what they were.
    pub(crate) changed: Vec<String>,
    /// Processes that were left behind.
    pub(crate) left: Vec<String>,
}

/// The sandbox, from outside.
pub(crate) struct Sandbox {
    /// Holds the root; gone with the sandbox.
    _scratch: TempDir,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Names of the programs there are.
    pub(crate) system: Vec<String>,
    pub(crate) busybox: Vec<String>,
}

impl Sandbox {
    /// Builds a sandbox with the programs of this machine and of a further directory
    /// that has a `usr` in it.
    pub(crate) fn start(further: Option<&Path>) -> io::Result<Self> {
        let scratch = tempfile::tempdir()?;
        let root = scratch.path().join("root");
        fs::create_dir(&root)?;
        tree::build(&root)?;
        fs::copy(std::env::current_exe()?, root.join("runner"))?;
        let usr = match further {
            // Without an upper layer an overlay is read-only.
            Some(further) => format!(
                "mount -t overlay overlay -o 'lowerdir={}/usr:/usr' usr",
                further.display()
            ),
            None => "mount --bind /usr usr && mount -o remount,bind,ro usr".to_owned(),
        };
        let script = format!(
            "set -e\n\
             mount --make-rprivate /\n\
             cd '{root}'\n\
             {usr}\n\
             mount -t proc proc proc\n\
             mount -t sysfs -o ro sysfs sys || true\n\
             ip link set lo up || true\n\
             exec chroot . setpriv --no-new-privs --bounding-set=-sys_time,-sys_boot,-sys_module,\
             -sys_rawio,-sys_admin,-syslog,-mac_admin,-audit_control -- /runner inside",
            root = root.display(),
        );
        let mut child = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--ipc", "--uts"])
            .args(["--fork", "--kill-child"])
            .args(["--", "/bin/sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            // Whoever reads the environment of a process shows it.
            .env("DB_PASSWORD", CANARY)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| io::Error::other("the pipes are gone"))?;
        let mut sandbox = Self {
            _scratch: scratch,
            child,
            input,
            output: BufReader::new(output),
            system: Vec::new(),
            busybox: Vec::new(),
        };
        (sandbox.system, sandbox.busybox) = sandbox.answer()?;
        Ok(sandbox)
    }

    fn answer<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the sandbox ended"));
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> io::Result<T> {
        writeln!(self.input, "{}", serde_json::to_string(request)?)?;
        self.input.flush()?;
        self.answer()
    }

    /// Looks up the names in some words.
    pub(crate) fn look(
        &mut self,
        words: &[String],
        globs: Vec<usize>,
        cwd: &str,
    ) -> io::Result<Seen> {
        self.ask(&Request::Look {
            words: words.to_vec(),
            globs,
            cwd: cwd.to_owned(),
        })
    }

    /// Runs words in a directory.
    pub(crate) fn run(
        &mut self,
        argv: &[String],
        path: &str,
        cwd: &str,
        patience: Duration,
    ) -> io::Result<Run> {
        self.ask(&Request::Run {
            argv: argv.to_vec(),
            path: path.to_owned(),
            cwd: cwd.to_owned(),
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // `--kill-child` takes the namespaces, and with them the mounts, along.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
