//! The binary at a terminal, with somebody to type.
//!
//! It uses `script(1)` of util-linux, which gives a program a terminal of its own
//! without a line of unsafe code. Standard output goes to a file, so that a result
//! can be told from what the terminal shows. Invariant: what is typed goes to the
//! terminal and to nothing else. It does not interpret what is shown.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot work must stop the test and say why"
)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::{Cli, Output, binary};
use crate::secrets::{Run, Watch};

/// How long something may take to appear or to end.
const LIMIT: Duration = Duration::from_secs(60);

/// A run of the binary at a terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    _watch: Option<Watch>,
    keyboard: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    /// Bytes that had been shown when a line was last typed.
    answered: usize,
    stdout: PathBuf,
    gate: PathBuf,
}

impl Terminal {
    /// Starts the binary at a terminal. Returns `None`, saying so aloud, where
    /// there is no `script` of util-linux.
    #[must_use]
    pub fn start(cli: &Cli, arguments: &[&str]) -> Option<Self> {
        let terminal = Self::closed(cli, arguments)?;
        terminal.open();
        Some(terminal)
    }

    /// The same, but the binary starts only at [`Terminal::open`]: what is typed
    /// before that is typed ahead.
    ///
    /// # Panics
    /// When the terminal cannot be set up.
    #[must_use]
    pub fn closed(cli: &Cli, arguments: &[&str]) -> Option<Self> {
        let version = Command::new("script").arg("--version").output();
        if !version.is_ok_and(|output| output.stdout.starts_with(b"script from util-linux")) {
            eprintln!("skipped: a terminal needs script(1) of util-linux");
            return None;
        }
        let place = tempfile::Builder::new()
            .prefix("terminal-")
            .tempdir_in(cli.dir())
            .expect("the installation's directory is writable")
            // It goes with the installation's directory.
            .keep();
        let (wrapper, stdout, gate) = (place.join("run"), place.join("stdout"), place.join("gate"));
        let words: Vec<String> = arguments.iter().map(|word| quote(word)).collect();
        let text = format!(
            "while ! test -e {gate}; do sleep 0.02; done\nexec {binary} {words} >{stdout}\n",
            gate = quote_path(&gate),
            binary = quote_path(binary()),
            words = words.join(" "),
            stdout = quote_path(&stdout),
        );
        fs::write(&wrapper, text).expect("the directory is new");
        let environment = cli.command([""; 0]);
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command"])
            .arg(format!("exec /bin/sh {}", quote_path(&wrapper)))
            .arg("/dev/null")
            .env_clear()
            .envs(
                environment
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(cli.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("script cannot be run: {error}"));
        let keyboard = child.stdin.take().expect("stdin was asked for");
        let mut screen = child.stdout.take().expect("stdout was asked for");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&shown);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut piece) {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&piece[..count]);
            }
        });
        let watch = Run::current().map(|run| run.watch(child.id()));
        Some(Self {
            child,
            _watch: watch,
            keyboard,
            shown,
            reader: Some(reader),
            answered: 0,
            stdout,
            gate,
        })
    }

    /// Lets the binary start.
    ///
    /// # Panics
    /// When the installation's directory is gone.
    pub fn open(&self) {
        fs::write(&self.gate, "").expect("the installation's directory is writable");
    }

    /// Everything the terminal has shown so far.
    #[must_use]
    pub fn shown(&self) -> String {
        self.shown_since(0)
    }

    fn shown_since(&self, start: usize) -> String {
        let bytes = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    /// Waits until the terminal shows a text, after the line that was typed last.
    ///
    /// What is typed before a prompt appears is thrown away by the binary, so wait
    /// for the prompt itself, not for what stands above it.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_for(&self, text: &str) {
        let limit = Instant::now() + LIMIT;
        while !self.shown_since(self.answered).contains(text) {
            assert!(
                Instant::now() < limit,
                "{text:?} was never shown: {}",
                self.shown()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// When nobody reads any more.
    pub fn type_line(&mut self, line: &str) {
        let text = format!("{line}\n");
        self.answered = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        self.keyboard
            .write_all(text.as_bytes())
            .and_then(|()| self.keyboard.flush())
            .unwrap_or_else(|error| panic!("typing {line:?}: {error}: {}", self.shown()));
    }

    /// Waits for the end. Standard error is what the terminal has shown.
    ///
    /// # Panics
    /// When it does not come.
    pub fn finish(mut self) -> Output {
        let limit = Instant::now() + LIMIT;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < limit => thread::sleep(Duration::from_millis(5)),
                ended => panic!("no end ({ended:?}): {}", self.shown()),
            }
        };
        // The last of it may still be on its way.
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        let output = Output {
            status: status.code().unwrap_or(-1),
            stdout: fs::read_to_string(&self.stdout).unwrap_or_default(),
            stderr: self.shown(),
        };
        if let Some(run) = Run::current() {
            run.transcript("at a terminal", &[output.stderr.as_bytes()]);
        }
        output
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its end hangs the terminal up, which ends the binary as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}
