//! The script in every shell that may be somebody's `/bin/sh`.
//!
//! It runs the real texts through the real shells, by pipes as sshd gives them,
//! in process groups of their own. A shell that is not installed is skipped,
//! and said to be.
//!
//! Invariant: the texts are the ones a server is sent, never copies. No SSH is
//! involved; `ssh_shells` has that part.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::super::Program;
use super::{command, opening, reap, survey};

const NONCE: &str = "0123456789abcdef";
const MARK: &str = "01JD0000000000000000000000";

const SHELLS: [&str; 7] = [
    "/bin/dash",
    "/bin/bash",
    "/bin/busybox",
    "/bin/ksh93",
    "/bin/mksh",
    "/bin/yash",
    "/bin/zsh",
];

/// Every installed shell under the name `sh`, as which it behaves differently.
fn shells(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for shell in SHELLS {
        if !Path::new(shell).exists() {
            eprintln!("skipped: {shell} is not installed");
            continue;
        }
        let own = dir.join(shell.rsplit('/').next().unwrap());
        fs::create_dir(&own).unwrap();
        symlink(shell, own.join("sh")).unwrap();
        found.push(own.join("sh"));
    }
    assert!(!found.is_empty(), "there is no shell at all");
    found
}

/// A shell that has said it is ready.
struct Ready {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// What became of a script.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    stdout: String,
    stderr: String,
    status: Option<i32>,
    signal: Option<i32>,
}

impl Ready {
    fn start(shell: &Path, environment: &[(String, String)]) -> Self {
        let mut child = Command::new(shell)
            .process_group(0)
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(opening(NONCE).as_bytes()).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{NONCE} ready {}\n", child.id()), "{shell:?}");
        Self {
            child,
            stdin: Some(stdin),
            stdout,
        }
    }

    fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    fn end(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).unwrap();
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        Ended {
            stdout,
            stderr,
            status: status.code(),
            signal: status.signal(),
        }
    }
}

/// A shell in somebody else's process group, as dropbear starts it, makes way for
/// one that leads a group, with the same search path and both output streams.
#[test]
fn a_shell_without_a_group_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    for shell in shells(dir.path()) {
        let mut child = Command::new(&shell)
            .env("PATH", "/opt/mine:/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdin.write_all(opening(NONCE).as_bytes()).unwrap();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{NONCE} again\n"), "{shell:?}");
        line.clear();
        stdin.write_all(opening(NONCE).as_bytes()).unwrap();
        stdout.read_line(&mut line).unwrap();
        // The same process: whoever started it still sees it end.
        assert_eq!(line, format!("{NONCE} ready {}\n", child.id()), "{shell:?}");
        let program = Program::Script("echo $PATH; echo err >&2; exit 7".to_owned());
        let text = command(NONCE, &program, None, "/bin/sh", None).unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        let ended = Ready {
            child,
            stdin: Some(stdin),
            stdout,
        }
        .end();
        let shown = (ended.stdout.as_str(), ended.stderr.as_str(), ended.status);
        let expected = (
            format!("{NONCE} run\n/opt/mine:/usr/bin:/bin\n"),
            format!("{NONCE} run\nerr\n"),
            Some(7),
        );
        assert_eq!(
            shown,
            (expected.0.as_str(), expected.1.as_str(), expected.2),
            "{shell:?}"
        );
    }
}

fn run(
    shell: &Path,
    program: &Program,
    cwd: Option<&str>,
    environment: &[(String, String)],
) -> Ended {
    let mut ready = Ready::start(shell, environment);
    ready.send(&command(NONCE, program, cwd, "/bin/sh", Some(MARK)).unwrap());
    ready.end()
}

fn argv(words: &[&str]) -> Program {
    Program::Argv(words.iter().map(ToString::to_string).collect())
}

fn text(text: &str) -> Program {
    Program::Script(text.to_owned())
}

/// The output of a command, without our own lines.
fn bare(ended: &Ended) -> (&str, &str) {
    let mark = format!("{NONCE} run\n");
    let (_, stdout) = ended
        .stdout
        .split_once(&mark)
        .unwrap_or(("", "no line of ours"));
    let (_, stderr) = ended
        .stderr
        .split_once(&mark)
        .unwrap_or(("", "no line of ours"));
    (stdout, stderr)
}

#[test]
fn words_status_and_streams() {
    let dir = tempfile::tempdir().unwrap();
    let words = [
        "a b", "'", "\"", "\\", "$x", "`x`", "*", "~", "!", "é", "\n", "-n", "=ls", "",
    ];
    for shell in shells(dir.path()) {
        let mut line = vec!["printf", "<%s>"];
        line.extend(words);
        let ended = run(&shell, &argv(&line), None, &[]);
        let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
        assert_eq!(bare(&ended), (expected.as_str(), ""), "{shell:?}");
        assert_eq!(ended.status, Some(0), "{shell:?}");
        let ended = run(
            &shell,
            &text("echo out; echo err >&2; cat; exit 7"),
            None,
            &[],
        );
        assert_eq!(bare(&ended), ("out\n", "err\n"), "{shell:?}");
        assert_eq!(ended.status, Some(7), "{shell:?}");
        let ended = run(&shell, &argv(&["sh", "-c", "kill -KILL $$"]), None, &[]);
        // ksh93 passes the signal on by dying of it.
        assert!(
            ended.status == Some(137) || ended.signal == Some(9),
            "{shell:?}: {ended:?}"
        );
        let ended = run(&shell, &argv(&["pwd"]), Some("/etc"), &[]);
        assert_eq!(bare(&ended), ("/etc\n", ""), "{shell:?}");
        let ended = run(&shell, &argv(&["pwd"]), Some("/no/such"), &[]);
        assert_eq!(ended.stdout, format!("{NONCE} cwd\n"), "{shell:?}");
    }
}

#[test]
fn nothing_the_environment_smuggles_in_takes_part() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "echo", "cd", "kill", "read", "sleep", "env", "command", "set", "unset", "exec", "exit",
        "trap", "printf", "case", "while",
    ];
    let mut environment: Vec<(String, String)> = names
        .iter()
        .map(|name| {
            let body = format!("() {{ /bin/echo HIJACKED {name}; }}");
            (format!("BASH_FUNC_{name}%%"), body)
        })
        .collect();
    let variables = [
        ("SHELLOPTS", "xtrace:errexit:nounset:monitor:noclobber"),
        ("IFS", "a/"),
        ("PATH", "/nowhere"),
        ("CDPATH", "/usr"),
        ("ENV", "/nowhere/env"),
        ("BASH_ENV", "/nowhere/env"),
        ("PS4", "$(/bin/echo HIJACKED >&2)"),
        ("LD_LIBRARY_PATH", "/nowhere"),
        ("openshell_w", "1"),
    ];
    environment.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for shell in shells(dir.path()) {
        let ended = run(
            &shell,
            &argv(&["printf", "%s", "mine"]),
            Some("/etc"),
            &environment,
        );
        assert_eq!(bare(&ended), ("mine", ""), "{shell:?}: {ended:?}");
        assert_eq!(ended.status, Some(0), "{shell:?}");
        let ended = run(&shell, &argv(&["env"]), None, &environment);
        assert!(!ended.stdout.contains("nowhere"), "{shell:?}: {ended:?}");
        // An approved text keeps the login environment.
        let ended = run(&shell, &text("/bin/echo $PATH"), None, &environment);
        assert_eq!(bare(&ended).0, "/nowhere\n", "{shell:?}: {ended:?}");
    }
}

#[test]
fn the_end_of_the_lifeline_is_the_end_of_the_group() {
    let dir = tempfile::tempdir().unwrap();
    for shell in shells(dir.path()) {
        for body in [
            "echo begun; exec sleep 1000",
            "trap '' TERM HUP INT; echo begun; sleep 1000; sleep 1000",
            "sleep 1000 & echo begun; sleep 1000 | sleep 1000",
        ] {
            let mut ready = Ready::start(&shell, &[]);
            let group = ready.child.id();
            ready.send(&command(NONCE, &text(body), None, "/bin/sh", Some(MARK)).unwrap());
            let mut lines = String::new();
            while !lines.ends_with("begun\n") {
                assert_ne!(ready.stdout.read_line(&mut lines).unwrap(), 0, "{shell:?}");
            }
            drop(ready.stdin.take());
            let ended = ready.end();
            assert!(
                matches!(ended.signal, Some(9 | 15)),
                "{shell:?} {body}: {ended:?}"
            );
            // The same shell finds out that nothing is left.
            let mut other = Ready::start(&shell, &[]);
            other.send(&reap(NONCE, group));
            assert_eq!(
                other.end().stdout,
                format!("{NONCE} gone\n"),
                "{shell:?} {body}"
            );
        }
    }
}

#[test]
fn a_living_group_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    for shell in shells(dir.path()) {
        let mut victim = Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .spawn()
            .unwrap();
        let mut reaper = Ready::start(&shell, &[]);
        reaper.send(&reap(NONCE, victim.id()));
        assert_eq!(reaper.end().stdout, format!("{NONCE} gone\n"), "{shell:?}");
        assert_eq!(victim.wait().unwrap().signal(), Some(9), "{shell:?}");
    }
}

#[test]
fn what_left_the_group_is_found_by_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    for (at, shell) in shells(dir.path()).into_iter().enumerate() {
        let mark = format!("{}S{at}", std::process::id());
        let run = |name: &str| {
            Command::new("sleep")
                .arg("1000")
                .env(name, &mark)
                .process_group(0)
                .spawn()
                .unwrap()
        };
        let mut marked = run("OPENSHELL_ACTION");
        let mut grouped = run("OTHER");
        let mut stranger = run("STRANGER");
        let mut looking = Ready::start(&shell, &[]);
        looking.send(&survey(NONCE, &mark, Some(grouped.id())).unwrap());
        let found = looking.end().stdout;
        for child in [&mut marked, &mut grouped, &mut stranger] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let said = |line: String| found.lines().any(|known| known.trim_end() == line);
        let all = [&marked, &grouped, &stranger];
        for (word, expected) in [
            ("marked", [true, false, false]),
            ("grouped", [false, true, false]),
        ] {
            for (child, expected) in all.into_iter().zip(expected) {
                let line = format!("{NONCE} {word} {} sleep 1000", child.id());
                assert_eq!(said(line), expected, "{shell:?}: {found}");
            }
        }
        let up = format!("{NONCE} up ");
        let up = found.lines().find_map(|line| line.strip_prefix(&up));
        let up: Option<u64> = up.and_then(|seconds| seconds.trim().parse().ok());
        assert!(up.is_some(), "{shell:?}: {found}");
        assert!(said(format!("{NONCE} complete")), "{shell:?}: {found}");
        assert!(
            found.ends_with(&format!("{NONCE} end\n")),
            "{shell:?}: {found}"
        );
    }
}

#[test]
fn the_mark_reaches_what_a_command_starts() {
    let dir = tempfile::tempdir().unwrap();
    for shell in shells(dir.path()) {
        for program in [
            argv(&["sh", "-c", "echo $OPENSHELL_ACTION"]),
            text("sh -c 'echo $OPENSHELL_ACTION'"),
        ] {
            let ended = run(&shell, &program, None, &[]);
            assert_eq!(bare(&ended).0, format!("{MARK}\n"), "{shell:?}");
        }
    }
}
