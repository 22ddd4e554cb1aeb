//! The `openshell` binary in an environment of its own.
//!
//! Invariant: a run sees nothing of the account that runs the tests but `PATH`:
//! configuration, data and home are scratch directories, the master key is a file
//! made by the binary itself, and stdin is no terminal. It deliberately asserts
//! nothing about what the binary says; a run that does not end is a panic.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot work must stop the test and say why"
)]

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use crate::Sshd;
use crate::secrets::{self, Kind, Run};

/// How long one run may take; only a hang takes longer.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// An installation: directories, key, environment.
#[derive(Debug)]
pub struct Cli {
    dir: TempDir,
    env: Vec<(String, String)>,
    program: &'static Path,
}

/// How a run ended and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; minus the signal where one ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// When it is something else; the message carries everything that was said.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON value ({error}): {self:?}"))
    }

    /// The envelope's code, or an empty text for a success.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        // A rotation may have brought another one.
        self.note_keys();
    }
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

impl Cli {
    /// An installation with a master key and no server.
    ///
    /// # Panics
    /// When the binary cannot be built or makes no key.
    #[must_use]
    pub fn new() -> Self {
        let cli = Self::without_key();
        let made = cli.run(["key", "init", "--file", &cli.key_file().to_string_lossy()]);
        assert_eq!(made.status, 0, "key init: {made:?}");
        cli.note_keys();
        cli
    }

    /// Notes the master keys that lie in the installation's directory, which is
    /// where tests put them.
    fn note_keys(&self) {
        let entries = std::fs::read_dir(self.dir.path()).into_iter().flatten();
        for path in entries.flatten().map(|entry| entry.path()) {
            let key = std::fs::read_to_string(&path).unwrap_or_default();
            if path.extension().is_some_and(|end| end == "key")
                && let Ok(key) = STANDARD.decode(key.trim())
                && key.len() == 32
            {
                secrets::note_file(Kind::MasterKey, &key, &path);
            }
        }
    }

    /// An installation that lacks the master key's file.
    #[must_use]
    pub fn without_key() -> Self {
        Self::of(binary())
    }

    /// As [`Cli::without_key`], for another build of the binary.
    #[must_use]
    pub fn of(program: &'static Path) -> Self {
        let dir = secrets::directory("openshell-cli-");
        for name in ["home", "files"] {
            std::fs::create_dir(dir.path().join(name)).expect("the directory is new");
        }
        let mut cli = Self {
            dir,
            env: Vec::new(),
            program,
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let place = |name: &str| cli.dir.path().join(name).display().to_string();
        cli.env = vec![
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), place("home")),
            ("OPENSHELL_CONFIG_DIR".to_owned(), place("config")),
            ("OPENSHELL_DATA_DIR".to_owned(), place("data")),
            ("OPENSHELL_MASTER_KEY_FILE".to_owned(), place("master.key")),
        ];
        cli
    }

    /// Sets a variable for every later run.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.unset_env(name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable away from every later run.
    pub fn unset_env(&mut self, name: &str) {
        self.env.retain(|(known, _)| known != name);
    }

    /// Everything of this installation; gone with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What `OPENSHELL_CONFIG_DIR` names.
    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// What `OPENSHELL_DATA_DIR` names.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The journal's directory.
    #[must_use]
    pub fn audit_dir(&self) -> PathBuf {
        self.data_dir().join("audit")
    }

    /// What `OPENSHELL_MASTER_KEY_FILE` names.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join("master.key")
    }

    /// What `HOME` names.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// An empty directory for files on the "server", which is this machine; its
    /// name is real, so that nothing in it resolves to another one.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.dir
            .path()
            .join("files")
            .canonicalize()
            .expect("the directory was made")
    }

    /// The binary with this installation's environment, ready to be run.
    #[must_use]
    pub fn command<I, A>(&self, arguments: I) -> Command
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let mut command = Command::new(self.program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path().join("home"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end, with an empty stdin.
    pub fn run<I, A>(&self, arguments: I) -> Output
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        finish(self.start(arguments))
    }

    /// Runs the binary to its end in a directory of its own choice.
    pub fn run_in<I, A>(&self, dir: &Path, arguments: I) -> Output
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        finish(spawn(self.command(arguments).current_dir(dir)))
    }

    /// Runs the binary to its end, with a text on stdin.
    pub fn run_stdin<I, A>(&self, arguments: I, stdin: &str) -> Output
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let mut child = spawn(self.command(arguments).stdin(Stdio::piped()));
        let mut pipe = child.stdin.take().expect("stdin was asked for");
        let text = stdin.as_bytes().to_vec();
        // A program that ends without reading closes the pipe, which is its right.
        let writer = thread::spawn(move || drop(pipe.write_all(&text)));
        let output = finish(child);
        writer.join().expect("writing does not panic");
        output
    }

    /// Starts the binary and leaves it running; hand it to [`finish`].
    pub fn start<I, A>(&self, arguments: I) -> Child
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        spawn(&mut self.command(arguments))
    }

    /// Registers a fixture's server, by its key.
    ///
    /// # Panics
    /// When the binary refuses.
    pub fn enrol(&self, server: &Sshd, id: &str) {
        self.enrol_as(server, id, server.user(), &[]);
    }

    /// Registers a fixture's server for an account, with further flags.
    ///
    /// # Panics
    /// When the binary refuses.
    pub fn enrol_as(&self, server: &Sshd, id: &str, user: &str, flags: &[&str]) {
        let port = server.port().to_string();
        let identity = server.client_key_path();
        let identity = identity.to_string_lossy();
        let key = server.host_key_line();
        let mut arguments = vec![
            "server",
            "add",
            id,
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--user",
            user,
            "--identity",
            &identity,
            "--host-key",
            &key,
        ];
        arguments.extend(flags);
        let added = self.run(arguments);
        assert_eq!(added.status, 0, "server add: {added:?}");
    }

    /// Runs one tool call; the arguments go over stdin, which has no length limit.
    pub fn call(&self, tool: &str, arguments: &Value, flags: &[&str]) -> Output {
        let words = ["call", tool, "-"].into_iter().chain(flags.iter().copied());
        self.run_stdin(words, &arguments.to_string())
    }

    /// Runs a tool call that must succeed, and returns its envelope.
    ///
    /// # Panics
    /// When it does not.
    pub fn must(&self, tool: &str, arguments: &Value, flags: &[&str]) -> Value {
        let output = self.call(tool, arguments, flags);
        assert_eq!(output.status, 0, "{tool} {arguments}: {output:?}");
        let envelope = output.json();
        assert_eq!(envelope["status"], "ok", "{tool} {arguments}: {output:?}");
        envelope
    }

    /// Every record of the journal, oldest first.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let listed = self.run(["audit", "list", "--json", "--limit", "100000"]);
        assert_eq!(listed.status, 0, "audit list: {listed:?}");
        match listed.json() {
            Value::Array(records) => records,
            other => panic!("audit list: {other}"),
        }
    }
}

/// Waits for a run to end.
///
/// # Panics
/// When it takes longer than any run can; it is ended then.
pub fn finish(child: Child) -> Output {
    finish_watched(child).0
}

/// The same, and the most memory it was seen to hold, in KiB. Its last moments
/// are not seen; where there is no `/proc`, nothing is.
///
/// # Panics
/// As [`finish`].
pub fn finish_watched(mut child: Child) -> (Output, u64) {
    // Both pipes are read at once: a full one would stop the program.
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let limit = Instant::now() + RUN_LIMIT;
    let mut pause = Duration::from_millis(1);
    let mut memory = 0;
    let run = Run::current();
    let words = run.map(|_| std::fs::read(format!("/proc/{}/cmdline", child.id())));
    let status = loop {
        memory = memory_peak(child.id()).max(memory);
        if let Some(run) = run {
            run.look_at(child.id());
        }
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("openshell did not end within {RUN_LIMIT:?}");
            }
            Ok(None) => thread::sleep(pause),
            Err(error) => panic!("openshell cannot be waited for: {error}"),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.map(|reader| reader.join().expect("reading does not panic"));
        String::from_utf8(bytes.unwrap_or_default()).expect("openshell writes UTF-8")
    };
    let output = Output {
        status: status.code().unwrap_or_else(|| {
            use std::os::unix::process::ExitStatusExt;
            -status.signal().unwrap_or_default()
        }),
        stdout: text(stdout),
        stderr: text(stderr),
    };
    if let (Some(run), Some(words)) = (run, words) {
        let words = words.unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        run.transcript(
            &words,
            &[output.stdout.as_bytes(), output.stderr.as_bytes()],
        );
    }
    (output, memory)
}

/// The most memory a process has held so far, in KiB: `VmHWM` of proc(5).
fn memory_peak(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary().display()))
}

/// Where the binary is: `OPENSHELL_TEST_BIN`, or beside the test executable. It is
/// built when it is missing, and taken as it is otherwise.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("OPENSHELL_TEST_BIN") {
            return PathBuf::from(path);
        }
        // A test is `target/<profile>/deps/suite-<hash>`, a program of this package
        // `target/<profile>/<name>`.
        let own = std::env::current_exe().expect("the system knows this executable");
        let folder = own.parent().expect("cargo puts it into a directory");
        let profile = match folder.parent() {
            Some(profile) if folder.ends_with("deps") => profile,
            _ => folder,
        };
        let path = profile.join("openshell");
        if !path.exists() {
            let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
                .args(["build", "--package", "openshell", "--manifest-path"])
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
                .status()
                .unwrap_or_else(|error| panic!("cargo cannot be run: {error}"));
            assert!(status.success(), "cargo build --package openshell failed");
        }
        path
    })
}
