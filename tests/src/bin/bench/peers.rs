//! What people use instead, and the probe that measures from inside.
//!
//! Invariant: the programs run with the fixture's key and none of the account's
//! settings. What they could do under other settings is not measured.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use openshell_tests::Sshd;

use crate::measure::timed;

/// Options for `ssh` and `sftp`: the fixture's key and nothing of this account.
fn options(sshd: &Sshd) -> Vec<String> {
    let mut options: Vec<String> = ["-F", "none", "-i"].map(str::to_owned).into();
    options.push(sshd.client_key_path().display().to_string());
    for option in [
        // The same server stands at many addresses here.
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "LogLevel=ERROR",
    ] {
        options.push("-o".to_owned());
        options.push(option.to_owned());
    }
    options
}

fn succeed(command: &mut Command) -> f64 {
    timed(|| {
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("openssh-client is installed");
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    })
}

/// One `ssh` process with a connection of its own; ms.
pub(crate) fn cold_ssh(sshd: &Sshd, command: &str) -> f64 {
    succeed(
        Command::new("ssh")
            .args(options(sshd))
            .args(["-p", &sshd.port().to_string()])
            .arg(format!("{}@127.0.0.1", sshd.user()))
            .arg(command),
    )
}

/// One `sftp` process with its login that carries out one line; ms.
pub(crate) fn sftp(sshd: &Sshd, port: u16, line: &str, scratch: &Path) -> f64 {
    let batch = scratch.join("batch");
    std::fs::write(&batch, format!("{line}\n")).expect("the fixture's own folder");
    succeed(
        Command::new("sftp")
            .args(options(sshd))
            .args(["-P", &port.to_string(), "-b"])
            .arg(&batch)
            .arg(format!("{}@127.0.0.1", sshd.user())),
    )
}

/// What people type instead: one `ssh` process per command over a shared
/// connection.
pub(crate) struct ControlMaster {
    arguments: Vec<String>,
}

impl ControlMaster {
    pub(crate) fn start(sshd: &Sshd, scratch: &Path) -> Self {
        let mut arguments = options(sshd);
        for option in [
            format!("ControlPath={}", scratch.join("cm").display()),
            "ControlMaster=auto".to_owned(),
            "ControlPersist=600".to_owned(),
        ] {
            arguments.push("-o".to_owned());
            arguments.push(option);
        }
        arguments.push("-p".to_owned());
        arguments.push(sshd.port().to_string());
        arguments.push(format!("{}@127.0.0.1", sshd.user()));
        let master = Self { arguments };
        master.run("true");
        master
    }

    /// How long one command takes, in ms.
    pub(crate) fn run(&self, command: &str) -> f64 {
        timed(|| {
            let status = Command::new("ssh")
                .args(&self.arguments)
                .arg(command)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("openssh-client is installed");
            assert!(status.success(), "{command}");
        })
    }
}

impl Drop for ControlMaster {
    fn drop(&mut self) {
        let _ = Command::new("ssh")
            .args(&self.arguments)
            .args(["-O", "exit"])
            .stderr(Stdio::null())
            .status();
    }
}

/// The example `probe` of the host crate.
pub(crate) struct Probe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Probe {
    /// Starts it for a server; `ports` are those under which it is known besides.
    pub(crate) fn start(program: &Path, sshd: &Sshd, ports: &[u16], scratch: &Path) -> Self {
        let known = scratch.join("probe-known-hosts");
        let text: String = std::iter::once(&sshd.port())
            .chain(ports)
            .map(|port| format!("[127.0.0.1]:{port} {}\n", sshd.host_key_line()))
            .collect();
        std::fs::write(&known, text).expect("the fixture's own folder");
        let mut child = Command::new(program)
            .args(["127.0.0.1", &sshd.port().to_string(), sshd.user()])
            .arg(sshd.client_key_path())
            .arg(&known)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the probe runs");
        Self {
            input: child.stdin.take().expect("it is piped"),
            output: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        }
    }

    /// The first number of the answer to a line.
    pub(crate) fn ask(&mut self, line: &str) -> f64 {
        writeln!(self.input, "{line}").expect("the probe reads");
        let mut answer = String::new();
        self.output
            .read_line(&mut answer)
            .expect("the probe answers");
        answer
            .split_whitespace()
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| unanswered(line))
    }
}

#[expect(
    clippy::panic,
    reason = "a measurement that cannot go on stops and says why"
)]
fn unanswered(line: &str) -> ! {
    panic!("the probe could not do {line:?}; its own words are above")
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program is there to compare with.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// Runs a command on many hosts with `clush`; ms.
pub(crate) fn clush(sshd: &Sshd, hosts: &[String], port: u16, command: &str) -> f64 {
    let mut words = options(sshd);
    words.extend(["-p".to_owned(), port.to_string()]);
    succeed(
        Command::new("clush")
            .args(["-f", &hosts.len().to_string(), "-w", &hosts.join(",")])
            .args(["-l", sshd.user(), "-o", &words.join(" ")])
            .arg(command),
    )
}

/// The same with `ansible`; ms.
pub(crate) fn ansible(
    sshd: &Sshd,
    hosts: &[String],
    port: u16,
    command: &str,
    scratch: &Path,
) -> f64 {
    let inventory: PathBuf = scratch.join("inventory");
    std::fs::write(&inventory, hosts.join("\n") + "\n").expect("the fixture's own folder");
    succeed(
        Command::new("ansible")
            .env("HOME", scratch)
            .env("ANSIBLE_HOST_KEY_CHECKING", "False")
            .env("ANSIBLE_SSH_ARGS", options(sshd).join(" "))
            .env("ANSIBLE_DEPRECATION_WARNINGS", "False")
            .args(["all", "-i"])
            .arg(&inventory)
            .args(["-f", &hosts.len().to_string()])
            .args(["-u", sshd.user(), "-e", &format!("ansible_port={port}")])
            .args(["-m", "ansible.builtin.command", "-a", command]),
    )
}
