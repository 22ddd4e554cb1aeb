//! What the command-line suites share: an installation with a server, files on
//! that server, and ways to wait.
//!
//! The server is this machine, so a test looks at its files and processes
//! directly. It deliberately asserts nothing about openshell itself.
//!
//! Invariant of the fixture: a test has a server, an installation and a directory
//! to itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use openshell_tests::{Cli, Output, Sshd, SshdOptions};
use serde_json::{Value, json};

/// Longest wait for something that must come; only a failed test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, an installation that knows it as `a`, and a directory of files.
pub(crate) struct Rig {
    pub(crate) cli: Cli,
    pub(crate) server: Sshd,
    pub(crate) files: PathBuf,
}

impl Rig {
    pub(crate) fn start() -> Self {
        let server = Sshd::start(&SshdOptions::default());
        let cli = Cli::new();
        cli.enrol(&server, "a");
        let files = cli.files();
        Self { cli, server, files }
    }

    /// Absolute name of a file in the directory, as a tool gets it.
    pub(crate) fn path(&self, name: &str) -> String {
        text(&self.files.join(name))
    }

    /// Puts a file there, and returns its absolute name.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> String {
        let path = self.files.join(name);
        put(&path, content.as_ref(), mode);
        text(&path)
    }

    /// Content of a file.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.files.join(name)).expect("the file is there")
    }

    /// Permission bits of a file.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        mode(&self.files.join(name))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.files.join(name).symlink_metadata().is_ok()
    }

    /// A call about one path of server `a`, with the rest of its arguments.
    pub(crate) fn on(&self, tool: &str, path: &str, rest: Value, flags: &[&str]) -> Output {
        self.cli.call(tool, &with_path(path, rest), flags)
    }

    /// The same, and it must succeed: its data.
    pub(crate) fn data(&self, tool: &str, path: &str, rest: Value) -> Value {
        let mut envelope = self.cli.must(tool, &with_path(path, rest), &["--yes"]);
        envelope["data"].take()
    }

    /// Runs a command unasked or with consent.
    pub(crate) fn exec(&self, command: &str, flags: &[&str]) -> Output {
        let arguments = json!({"server": "a", "command": command});
        self.cli.call("remote_exec", &arguments, flags)
    }
}

fn with_path(path: &str, rest: Value) -> Value {
    let mut arguments = json!({"server": "a", "path": path});
    if let Value::Object(rest) = rest {
        for (name, value) in rest {
            arguments[name] = value;
        }
    }
    arguments
}

/// `server add` for a fixture, with everything but the ways to trust and log in.
pub(crate) fn add(cli: &Cli, server: &Sshd, id: &str, flags: &[&str], stdin: &str) -> Output {
    add_as(cli, server, id, server.user(), flags, stdin)
}

/// The same, for another account.
pub(crate) fn add_as(
    cli: &Cli,
    server: &Sshd,
    id: &str,
    user: &str,
    flags: &[&str],
    stdin: &str,
) -> Output {
    let port = server.port().to_string();
    let fixed = [
        "server",
        "add",
        id,
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        user,
    ];
    cli.run_stdin(fixed.iter().chain(flags), stdin)
}

/// A command that runs unasked everywhere.
pub(crate) fn uptime(cli: &Cli, id: &str) -> Output {
    cli.call(
        "remote_exec",
        &json!({"server": id, "command": "uptime"}),
        &[],
    )
}

/// Ids of the registered servers.
pub(crate) fn ids(cli: &Cli) -> Vec<String> {
    let listed = cli.run(["server", "list", "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    let listed = listed.json();
    let servers = listed.as_array().expect("an array").iter();
    servers
        .map(|server| server["id"].as_str().expect("text").to_owned())
        .collect()
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

pub(crate) fn put(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).expect("the directory is the test's own");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the test's own file");
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file is there").mode() & 0o7777
}

/// Asserts how a call ended: its exit code and its code.
#[track_caller]
pub(crate) fn ended(output: &Output, status: i32, code: &str) {
    assert_eq!(
        (output.status, output.code().as_str()),
        (status, code),
        "{output:?}"
    );
}

/// Waits for something that must come.
#[track_caller]
pub(crate) fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < limit, "never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A text that nothing else on this machine contains.
pub(crate) fn unique(prefix: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    let number = || {
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    };
    format!("{prefix}{:016x}{:016x}", number(), number())
}

/// Processes with exactly these words on their command line: such a program runs,
/// and is not about to be run.
pub(crate) fn running(words: &[&str]) -> Vec<u32> {
    let wanted: Vec<u8> = words
        .iter()
        .flat_map(|word| word.bytes().chain([0]))
        .collect();
    let entries = fs::read_dir("/proc").expect("proc(5) is mounted");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == wanted))
        .collect()
}

/// Whether this process may do what only root may; says so aloud where not.
pub(crate) fn is_root(what: &str) -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        eprintln!("skipped: {what} needs root");
    }
    root
}

/// Every regular file below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let entries =
            fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        for entry in entries {
            let entry = entry.expect("the directory is readable");
            match entry.file_type().expect("the entry is there") {
                kind if kind.is_dir() => open.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
