//! Which program goes by the name `openshell`: this one, another copy of it, or
//! something else, such as NVIDIA's OpenShell.
//!
//! Invariant: other programs are only run, briefly and without input, never read, and
//! in an empty directory, so that none of them finds there what a project put down for
//! it. What a project brought along is not run at all. Which of them somebody ought to
//! use is left to the person.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::doctor::{Finding, on_path};
use crate::install::Project;

/// The tools by which a helper is known.
pub(super) const TOOLS: [&str; 8] = [
    "list_servers",
    "remote_exec",
    "remote_read_file",
    "remote_write_file",
    "remote_patch_file",
    "remote_list_dir",
    "remote_stat",
    "remote_find",
];
/// How long a program may take to introduce itself.
const LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether one that has said everything has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Most that is read of what a program says, in bytes.
const MOST: u64 = 4 * 1024 * 1024;

/// What a program turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The very file that runs now.
    This,
    /// Another copy, and its version.
    Ours(String),
    /// Something else.
    Other,
    /// Nothing that can be run.
    Missing,
    /// Something the project brought along, which was not run.
    Brought,
}

/// What a program said, and whether it ended well.
pub(super) struct Said {
    pub(super) success: bool,
    pub(super) stdout: String,
}

/// Runs a program to its end without input, in an empty directory; none when it cannot
/// be run or does not end in time.
pub(super) fn output(mut command: Command, limit: Duration) -> Option<Said> {
    let end = Instant::now() + limit;
    let empty = tempfile::tempdir().ok()?;
    let mut child = command
        .current_dir(empty.path())
        // Some programs believe it rather than the system.
        .env("PWD", empty.path())
        .env_remove("OLDPWD")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(MOST).read_to_end(&mut text);
        // Nobody waits any more when the time is over.
        let _ = done.send(read.map(|_| text));
    });
    let text = wait.recv_timeout(limit).ok().and_then(Result::ok);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            // It may say everything and go on all the same.
            Ok(None) if text.is_some() && Instant::now() < end => thread::sleep(LOOK_EVERY),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    Some(Said {
        success: status.success(),
        stdout: String::from_utf8_lossy(&text?).into_owned(),
    })
}

/// Whether a path leads to the very file that runs now.
pub(super) fn is_this(program: &Path) -> bool {
    let this = std::env::current_exe().and_then(std::fs::canonicalize);
    this.ok()
        .zip(program.canonicalize().ok())
        .is_some_and(|(this, real)| this == real)
}

/// What a program is that is named by an absolute path.
pub(super) fn kind(program: &Path) -> Kind {
    if is_this(program) {
        return Kind::This;
    }
    if !program.is_absolute() {
        return Kind::Missing;
    }
    if Project::here().is_some_and(|project| project.could_have_brought(program)) {
        return Kind::Brought;
    }
    let ask = |words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words);
        output(command, LIMIT)
    };
    // Other programs may have a version too, but not these tools.
    let Some(tools) = ask(&["tools", "--json"]) else {
        return Kind::Missing;
    };
    let listed = serde_json::from_str::<Value>(&tools.stdout).unwrap_or_default();
    let names: Vec<&str> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    if !TOOLS.iter().all(|tool| names.contains(tool)) {
        return Kind::Other;
    }
    let version = ask(&["--version"])
        .map(|said| said.stdout)
        .unwrap_or_default();
    let version = version.trim().rsplit(' ').next().unwrap_or_default();
    Kind::Ours(version.to_owned())
}

/// What PATH finds under the name of this program.
pub(super) fn check() -> Finding {
    let this = std::env::current_exe().ok();
    let this = this.map_or_else(String::new, |path| path.display().to_string());
    let Some(found) = on_path("openshell") else {
        return Finding::note(
            "program",
            format!("there is no openshell on PATH; this is {this}"),
            "Put its directory on PATH, or set OPENSHELL_BIN for the plugin.",
        );
    };
    let place = found.display();
    match kind(&found) {
        Kind::This => Finding::good("program", place.to_string()),
        Kind::Ours(version) if version == env!("CARGO_PKG_VERSION") => {
            Finding::good("program", format!("{place}, of the same version as this"))
        }
        Kind::Ours(version) => Finding::wrong(
            "program",
            format!("PATH finds {place}, version {version}; this is {this}"),
            "Remove one of the two, or set OPENSHELL_BIN for the plugin.",
        ),
        // `on_path` passes over what the project brought along.
        Kind::Other | Kind::Missing | Kind::Brought => Finding::wrong(
            "program",
            format!(
                "PATH finds {place}, another program of the name, such as NVIDIA's OpenShell; this is {this}"
            ),
            "Put this one's directory first on PATH, or set OPENSHELL_BIN for the plugin.",
        ),
    }
}
