//! Programs in a terminal of tmux(1), as a person sees them.
//!
//! Invariant: the tmux server is this value's own, on a socket in its scratch
//! directory, and ends with it. What is read is the screen as text, without colours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::layout::{OpenCodeOptions, lay_out, prepared};
use crate::model::ScriptedModel;

/// How long something may take to appear; only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(180);
/// Time between two looks at the screen.
const LOOK: Duration = Duration::from_millis(100);

/// A program on a screen of its own.
#[derive(Debug)]
pub struct Screen {
    scratch: TempDir,
    workspace: PathBuf,
}

impl Screen {
    /// Whether there is a tmux to make screens with.
    #[must_use]
    pub fn available() -> bool {
        Command::new("tmux").arg("-V").output().is_ok()
    }

    /// OpenCode's own terminal interface, in a project of its own.
    ///
    /// # Panics
    /// When OpenCode or tmux cannot be run.
    #[must_use]
    pub fn opencode(
        options: &OpenCodeOptions,
        model: &ScriptedModel,
        (columns, rows): (u16, u16),
    ) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let workspace = lay_out(scratch.path(), options, model);
        let command = prepared(scratch.path(), &workspace, options);
        let screen = Self { scratch, workspace };
        screen.start(&command, (columns, rows));
        screen
    }

    /// Any command line; its environment is what is set in it, its directory too.
    ///
    /// # Panics
    /// When tmux cannot be run.
    #[must_use]
    pub fn of(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let workspace = scratch.path().to_owned();
        let screen = Self { scratch, workspace };
        screen.start(command, (columns, rows));
        screen
    }

    fn start(&self, command: &Command, (columns, rows): (u16, u16)) {
        let quoted =
            |text: &std::ffi::OsStr| format!("'{}'", text.to_string_lossy().replace('\'', r"'\''"));
        let environment: Vec<String> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_string_lossy(), value?)))
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(quoted)
            .collect();
        let script = self.scratch.path().join("start.sh");
        let place = command.get_current_dir().unwrap_or(&self.workspace);
        let text = format!(
            "cd {}\nexec env -i TERM=xterm-256color LANG=C.UTF-8 {} {}\n",
            quoted(place.as_os_str()),
            environment.join(" "),
            words.join(" ")
        );
        fs::write(&script, text).expect("a scratch file can be written");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let size = ["-x", columns.as_str(), "-y", rows.as_str()];
        let mut words = vec!["new-session", "-d", "-s", "it"];
        words.extend(size);
        let line = format!("sh {}", quoted(script.as_os_str()));
        words.push(&line);
        let started = self.tmux(&words);
        assert!(started.is_some(), "tmux starts no session");
    }

    /// The project directory.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// What the screen shows, without blanks at the ends of lines.
    #[must_use]
    pub fn text(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p", "-t", "it"]);
        let shown = shown.unwrap_or_default();
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Waits until the screen shows a text and has come to rest, and returns it.
    ///
    /// # Panics
    /// When it does not; the message carries the screen.
    #[must_use]
    pub fn wait(&self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut before = String::new();
        loop {
            let shown = self.text();
            if shown.contains(what) && shown == before {
                return shown;
            }
            assert!(
                Instant::now() < deadline,
                "{what:?} was not shown:\n{shown}"
            );
            before = shown;
            thread::sleep(LOOK);
        }
    }

    /// Types a text.
    pub fn write(&self, text: &str) {
        let _ = self.tmux(&["send-keys", "-t", "it", "-l", text]);
    }

    /// Presses a key, as tmux calls it, such as `Enter` or `Right`.
    pub fn press(&self, key: &str) {
        let _ = self.tmux(&["send-keys", "-t", "it", key]);
    }

    fn tmux(&self, words: &[&str]) -> Option<String> {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.scratch.path().join("socket"))
            .args(["-f", "/dev/null", "-u"])
            .args(words)
            .env_remove("TMUX")
            .output()
            .ok()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(told)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It ends with its last session, so it may be gone.
        let _ = self.tmux(&["kill-server"]);
    }
}
