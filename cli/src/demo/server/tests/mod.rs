//! The server against OpenSSH's own clients, and against one that misbehaves.
//!
//! Invariant of the fixture: the client's key is made for the test and the root is
//! a scratch directory. What openshell itself makes of the server is the demo's own
//! test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test should stop here"
)]

mod sftp;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, Sig};
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::DemoServer;

/// A server over a scratch directory, and what a client needs to reach it.
struct Fixture {
    dir: TempDir,
    server: DemoServer,
}

impl Fixture {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let server = DemoServer::start(&root).await.unwrap();
        let line = format!("[127.0.0.1]:{} {}\n", server.port, server.host_key_line);
        fs::write(dir.path().join("known_hosts"), line).unwrap();
        Self { dir, server }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root").canonicalize().unwrap()
    }

    /// An OpenSSH client that knows the host key and offers one private key.
    fn client(&self, program: &str, key: &Path) -> Command {
        let known_hosts = self.dir.path().join("known_hosts");
        let mut command = Command::new(program);
        command
            .args([
                "-F",
                "/dev/null",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentityAgent=none",
            ])
            .args([
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "StrictHostKeyChecking=yes",
            ])
            .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"])
            .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
            .args(["-o", &format!("Port={}", self.server.port), "-i"])
            .arg(key);
        command
    }

    /// Runs a script the way openshell does: a constant command, the script on
    /// standard input.
    async fn run(&self, script: &str) -> Output {
        let mut ssh = self.client("ssh", &self.server.client_key_path);
        feed(ssh.args(["demo@127.0.0.1", "exec /bin/sh"]), script).await
    }

    async fn sftp(&self, batch: &str) -> Output {
        let mut sftp = self.client("sftp", &self.server.client_key_path);
        feed(
            sftp.args(["-b", "-", "demo@127.0.0.1"])
                .current_dir(self.dir.path()),
            batch,
        )
        .await
    }

    async fn login(&self) -> Handle<Trusting> {
        let config = Arc::new(client::Config::default());
        let mut handle = client::connect(config, ("127.0.0.1", self.server.port), Trusting)
            .await
            .unwrap();
        let key = load_secret_key(&self.server.client_key_path, None).unwrap();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        assert!(
            handle
                .authenticate_publickey("anyone", key)
                .await
                .unwrap()
                .success()
        );
        handle
    }
}

/// A client that does not look at the host key; others here do.
struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

async fn feed(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("OpenSSH's clients are installed (openssh-client)");
    let mut stdin = child.stdin.take().unwrap();
    // A client that was refused ends without reading.
    match stdin.write_all(input.as_bytes()).await {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a process is gone; the bound only turns a hang into a failure.
async fn gone(pid: i32) {
    let process = Pid::from_raw(pid).unwrap();
    let wait = async {
        while test_kill_process(process).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(waited.is_ok(), "process {pid} is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_as_under_sshd() {
    let fixture = Fixture::start().await;
    let script = "echo out; echo err >&2; pwd; echo \"$HOME|$USER|$PATH|$CARGO\"; \
                  ps -o pid= -o pgid= -o sid= -p $$; exit 7";
    let output = fixture.run(script).await;
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(stderr(&output), "err\n");
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().collect();
    let root = fixture.root().display().to_string();
    assert_eq!(lines[..2], ["out", &root]);
    assert!(
        lines[2].starts_with(&format!("{root}|demo|/usr/local/sbin:")),
        "{text}"
    );
    assert!(
        lines[2].ends_with('|'),
        "nothing of this process's environment: {text}"
    );
    let ids: Vec<_> = lines[3].split_whitespace().collect();
    assert!(
        ids.len() == 3 && ids.iter().all(|id| *id == ids[0]),
        "a session of its own: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_both_ways_whole() {
    let fixture = Fixture::start().await;
    // More than a window, so that flow control has its turn.
    let output = fixture
        .run("head -c 5000000 /dev/zero; printf '\\377%%\\\\'")
        .await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout.len(), 5_000_003);
    assert_eq!(output.stdout[5_000_000..], *b"\xff%\\");
    // Input ends with the end of file, not with a time-out.
    let mut ssh = fixture.client("ssh", &fixture.server.client_key_path);
    let long = "x".repeat(3_000_000);
    let output = feed(ssh.args(["demo@127.0.0.1", "cat | wc -c"]), &long).await;
    assert_eq!(stdout(&output).trim(), "3000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_made_for_it_lets_in() {
    let fixture = Fixture::start().await;
    let key = &fixture.server.client_key_path;
    assert_eq!(
        fs::metadata(key).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert!(
        !key.starts_with(fixture.root()),
        "the key is no part of what is served"
    );
    let stranger = fixture.dir.path().join("stranger");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&stranger)
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let mut ssh = fixture.client("ssh", &stranger);
    let output = feed(ssh.args(["demo@127.0.0.1", "echo in"]), "").await;
    assert_eq!(output.status.code(), Some(255));
    assert!(
        stderr(&output).contains("Permission denied (publickey)"),
        "{}",
        stderr(&output)
    );

    let config = Arc::new(client::Config::default());
    let address = ("127.0.0.1", fixture.server.port);
    let mut handle = client::connect(config, address, Trusting).await.unwrap();
    assert!(!handle.authenticate_none("demo").await.unwrap().success());
    assert!(
        !handle
            .authenticate_password("demo", "")
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_commands_and_sftp() {
    let fixture = Fixture::start().await;
    let key = &fixture.server.client_key_path;
    let mut forward = fixture.client("ssh", key);
    let output = feed(forward.args(["-W", "127.0.0.1:1", "demo@127.0.0.1"]), "").await;
    assert!(
        stderr(&output).contains("administratively prohibited"),
        "{}",
        stderr(&output)
    );
    let mut shell = fixture.client("ssh", key);
    let output = feed(shell.args(["-T", "demo@127.0.0.1"]), "echo in\n").await;
    assert!(!output.status.success() && output.stdout.is_empty());
    let mut other = fixture.client("ssh", key);
    let output = feed(other.args(["-s", "demo@127.0.0.1", "netconf"]), "").await;
    assert!(
        stderr(&output).contains("subsystem request failed"),
        "{}",
        stderr(&output)
    );
}

/// Starts a command that tells its number and then lives on, with a child.
async fn endless(handle: &Handle<Trusting>) -> (russh::Channel<client::Msg>, Vec<i32>) {
    let mut channel = handle.channel_open_session().await.unwrap();
    let script = "trap '' TERM HUP; sleep 1000 & echo $$ $!; wait";
    channel.exec(true, script).await.unwrap();
    let mut text = String::new();
    while !text.ends_with('\n') {
        if let ChannelMsg::Data { data } = channel.wait().await.unwrap() {
            text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
    let pids = text
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    (channel, pids)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_outlives_its_channel() {
    let fixture = Fixture::start().await;
    let handle = fixture.login().await;

    let (channel, closed) = endless(&handle).await;
    channel.close().await.unwrap();
    // A connection that just ends, without closing anything.
    let lost = fixture.login().await;
    let (channel, dropped) = endless(&lost).await;
    drop((channel, lost));
    let (_kept, stopped) = endless(&handle).await;
    for pid in closed.into_iter().chain(dropped) {
        gone(pid).await;
    }
    assert!(
        stopped
            .iter()
            .all(|pid| test_kill_process(Pid::from_raw(*pid).unwrap()).is_ok())
    );
    let key = fixture.server.client_key_path.clone();
    fixture.server.stop().await;
    for pid in stopped {
        gone(pid).await;
    }
    assert!(!key.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_pass_both_ways() {
    let fixture = Fixture::start().await;
    let handle = fixture.login().await;
    let mut channel = handle.channel_open_session().await.unwrap();
    channel
        .exec(true, "echo ready; exec sleep 1000")
        .await
        .unwrap();
    let mut ended = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { .. } => channel.signal(Sig::TERM).await.unwrap(),
            ChannelMsg::ExitSignal { signal_name, .. } => ended = Some(signal_name),
            ChannelMsg::ExitStatus { exit_status } => panic!("exit status {exit_status}"),
            _ => {}
        }
    }
    assert!(matches!(ended, Some(Sig::TERM)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_comes_while_a_child_keeps_the_output() {
    let fixture = Fixture::start().await;
    let handle = fixture.login().await;
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, "sleep 1000 & exit 3").await.unwrap();
    let status = loop {
        match channel.wait().await.unwrap() {
            ChannelMsg::ExitStatus { exit_status } => break exit_status,
            ChannelMsg::Eof | ChannelMsg::Close => panic!("the output is still open"),
            _ => {}
        }
    };
    assert_eq!(status, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file, dir.path().join("absent")] {
        assert!(
            DemoServer::start(&path).await.is_err(),
            "{}",
            path.display()
        );
    }
}
