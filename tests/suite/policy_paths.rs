//! What only the server knows of a path decides with: a pipe looks like a file.

use std::os::unix::fs::symlink;
use std::process::Command;

use openshell_tests::{Cli, Sshd, SshdOptions};
use serde_json::json;

use crate::cli_support::text;

/// Reading a pipe blocks, and takes what another reader waits for; that it is there
/// may be seen.
#[test]
fn a_pipe_is_not_read_unasked() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    let dir = cli.files();
    let made = Command::new("mkfifo").arg(dir.join("pipe")).status();
    assert!(made.expect("mkfifo is in POSIX").success());
    symlink("pipe", dir.join("link")).expect("own directory");
    let dir = text(&dir);
    let run = |command: String| {
        let arguments = json!({"server": "a", "command": command});
        cli.call("remote_exec", &arguments, &[])
    };
    for command in [
        format!("cat {dir}/pipe"),
        format!("head -n 1 {dir}/link"),
        format!("wc {dir}/*"),
    ] {
        let asked = run(command.clone());
        assert_eq!(asked.status, 3, "{command}: {asked:?}");
        assert_eq!(asked.json()["execution"]["attempted"], false, "{command}");
    }
    for command in [
        format!("ls -l {dir}/pipe"),
        format!("stat {dir}/link"),
        format!("test -p {dir}/pipe"),
    ] {
        let ran = run(command.clone());
        assert_eq!(ran.status, 0, "{command}: {ran:?}");
    }
}
