//! What only the server knows of a path decides with: a pipe looks like a file.
//!
//! They prove that a name is judged by where it leads. The list of secrets is not
//! their subject.

use std::fs;
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

/// A link is followed wherever a word names it: as an operand, after `=`, and behind
/// the letters of short options. What leads to no secret stays unasked.
#[test]
fn a_link_behind_an_option_is_followed() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    let dir = cli.files();
    for (name, content) in [(".env", "KEY=1\n"), ("words", "b\n"), ("text", "a\nb\n")] {
        fs::write(dir.join(name), content).expect("own directory");
    }
    for (name, target) in [("secret", ".env"), ("harmless", "words")] {
        symlink(target, dir.join(name)).expect("own directory");
    }
    let dir = text(&dir);
    let run = |command: &str| {
        let arguments = json!({"server": "a", "command": command, "cwd": dir});
        cli.call("remote_exec", &arguments, &[])
    };
    for form in [
        "grep -f NAME text",
        "grep -fNAME text",
        "grep -nfNAME text",
        "grep --file=NAME text",
    ] {
        let command = form.replace("NAME", "secret");
        let asked = run(&command);
        assert_eq!(asked.status, 3, "{command}: {asked:?}");
        assert_eq!(asked.json()["execution"]["attempted"], false, "{command}");
        let command = form.replace("NAME", "harmless");
        let ran = run(&command);
        assert_eq!(ran.status, 0, "{command}: {ran:?}");
    }
}
