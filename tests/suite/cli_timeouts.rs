//! Commands that are ended: by time, by a person, by the death of the helper.
//!
//! A command is known by a number that stands on no other command line. Nothing is
//! timed: what must have happened before a command is ended is waited for.
//!
//! They prove that what was ended is gone, or said to run. Which signal was used
//! does not matter to them.

use std::process::Command;

use openshell_tests::{Output, finish};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, eventually, running};

/// A number of seconds to sleep that no other process sleeps.
fn seconds() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let number = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    100_000_000 + u32::try_from(number % 800_000_000).expect("less than u32::MAX")
}

/// Processes that sleep for this number, by their exact command line.
fn sleepers(seconds: u32) -> Vec<u32> {
    running(&["sleep", &seconds.to_string()])
}

/// Waits until no process sleeps for this number.
#[track_caller]
fn gone(seconds: u32) {
    let what = format!("the end of `sleep {seconds}`");
    eventually(&what, || sleepers(seconds).is_empty());
}

/// Starts a command, waits until so many of it sleep for this number, and
/// interrupts the call.
fn interrupted(rig: &Rig, command: &str, sleeping: u32, many: usize) -> Output {
    let arguments = json!({"server": "a", "command": command}).to_string();
    let child = rig.cli.start(["call", "remote_exec", &arguments, "--yes"]);
    eventually("the command runs", || sleepers(sleeping).len() == many);
    signal(child.id(), rustix::process::Signal::INT);
    finish(child)
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().expect("a process id"));
    rustix::process::kill_process(pid.expect("not zero"), signal).expect("it is a child");
}

fn last_outcome(rig: &Rig) -> Value {
    let records = rig.cli.records();
    let last = records.iter().rfind(|record| !record["outcome"].is_null());
    last.expect("there is an outcome")["outcome"].clone()
}

#[test]
fn a_command_out_of_time_is_gone_with_its_group() {
    if !std::path::Path::new("/proc/self/cmdline").exists() {
        eprintln!("skipped: these tests look at processes in /proc");
        return;
    }
    let rig = Rig::start();
    let (plain, child, piped) = (seconds(), seconds(), seconds());
    for (timeout, command, numbers) in [
        (1_000, format!("sleep {plain}"), vec![plain]),
        (
            1_000,
            format!("sleep {child} & sleep {plain}; wait"),
            vec![plain, child],
        ),
        // Long enough to print, also on a busy machine.
        (
            15_000,
            format!("trap '' INT TERM HUP; echo started; sleep {plain} | cat; sleep {piped}"),
            vec![plain, piped],
        ),
    ] {
        let arguments = json!({"server": "a", "command": command, "timeout": timeout});
        let output = rig.cli.call("remote_exec", &arguments, &["--yes"]);
        ended(&output, 1, "EXEC_TIMEOUT");
        for number in numbers {
            gone(number);
        }
        let envelope = output.json();
        assert_eq!(
            envelope["data"]["process"], "group-gone",
            "{command}: {envelope}"
        );
        assert_eq!(
            envelope["execution"]["completed"], false,
            "{command}: {envelope}"
        );
        let ran = envelope["execution"]["durationMs"].as_u64();
        assert!(ran.is_some_and(|ms| ms >= timeout), "{command}: {envelope}");
        let outcome = last_outcome(&rig);
        assert_eq!(outcome["ended"], "group-gone", "{outcome}");
        assert_eq!(outcome["code"], "EXEC_TIMEOUT", "{outcome}");
        if command.contains("echo started") {
            assert_eq!(envelope["data"]["stdout"], "started\n", "{envelope}");
        }
    }
    // The connection and the server are as good as before.
    ended(&rig.exec("uptime", &[]), 0, "");
}

#[test]
fn what_escapes_is_said_to_run() {
    let rig = Rig::start();
    let number = seconds();
    let output = interrupted(&rig, &format!("setsid sleep {number}"), number, 1);
    let left = sleepers(number);
    for pid in &left {
        signal(*pid, rustix::process::Signal::KILL);
    }
    ended(&output, 1, "CANCELLED");
    assert_eq!(left.len(), 1, "setsid puts it out of reach: {output:?}");
    assert_eq!(output.json()["data"]["process"], "may-run", "{output:?}");
    let named = format!("still running: {} `sleep {number}`", left[0]);
    assert!(
        output.json()["message"].to_string().contains(&named),
        "{output:?}"
    );
    let expected = json!([{"pid": left[0], "command": format!("sleep {number}")}]);
    assert_eq!(output.json()["execution"]["leftRunning"], expected);
    let outcome = last_outcome(&rig);
    assert_eq!(outcome["ended"], "may-run");
    assert!(outcome["note"].to_string().contains(&named), "{outcome}");
}

/// What lets go of the output as well would look gone; its mark gives it away.
#[test]
fn what_escapes_in_silence_is_found_too() {
    let rig = Rig::start();
    let (escaped, waiting) = (seconds(), seconds());
    let command = format!(
        "setsid sh -c 'sleep {escaped} & sleep {escaped}' </dev/null >/dev/null 2>&1 & \
         sleep {waiting}"
    );
    let output = interrupted(&rig, &command, escaped, 2);
    let left = sleepers(escaped);
    ended(&output, 1, "CANCELLED");
    gone(waiting);
    let envelope = output.json();
    assert_eq!(envelope["data"]["process"], "may-run", "{envelope}");
    let named: Vec<i64> = envelope["execution"]["leftRunning"]
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(|process| process["pid"].as_i64())
        .collect();
    assert_eq!(left.len(), 2, "{envelope}");
    for pid in &left {
        assert!(named.contains(&i64::from(*pid)), "{pid}: {envelope}");
    }
    for pid in named {
        let pid = u32::try_from(pid).expect("a process id");
        signal(pid, rustix::process::Signal::KILL);
    }
}

#[test]
fn a_killed_helper_takes_its_command_along() {
    let rig = Rig::start();
    let number = seconds();
    let arguments = json!({"server": "a", "command": format!("sleep {number}")}).to_string();
    let key = ["--key", "k"];
    let words = ["call", "remote_exec", &arguments, "--yes"];
    let child = rig.cli.start(words.iter().chain(&key));
    eventually("the command runs", || !sleepers(number).is_empty());
    signal(child.id(), rustix::process::Signal::KILL);
    gone(number);
    let output = finish(child);
    assert_eq!(output.status, -9, "{output:?}");
    assert_eq!(output.stdout, "");
    // Whoever comes next finds it unfinished: unknown, and never run again.
    let again = rig.cli.run(words.iter().chain(&key));
    ended(&again, 4, "OUTCOME_UNKNOWN");
    assert!(sleepers(number).is_empty());
    let records = rig.cli.records();
    let recovered = records.iter().find(|record| record["event"] == "recovered");
    let recovered = recovered.unwrap_or_else(|| panic!("nothing was recovered: {records:?}"));
    assert_eq!(recovered["recovered"]["result"], "unknown", "{recovered}");
    assert_eq!(recovered["action"], records[0]["action"], "{recovered}");
    let verified = rig.cli.run(["audit", "verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
}

#[test]
fn an_interrupt_ends_the_command_and_is_recorded() {
    let rig = Rig::start();
    let number = seconds();
    let command = format!("echo before; sleep {number}; touch {}", rig.path("after"));
    let output = interrupted(&rig, &command, number, 1);
    gone(number);
    ended(&output, 1, "CANCELLED");
    let envelope = output.json();
    assert_eq!(envelope["data"]["process"], "group-gone", "{envelope}");
    assert_eq!(envelope["data"]["stdout"], "before\n", "{envelope}");
    assert!(!rig.exists("after"));
    let outcome = last_outcome(&rig);
    assert_eq!(outcome["code"], "CANCELLED", "{outcome}");
    assert_eq!(outcome["ended"], "group-gone", "{outcome}");
}

#[test]
fn a_lost_connection_is_unknown_and_not_repeated() {
    let rig = Rig::start();
    let number = seconds();
    let marker = rig.path("marker");
    let command = format!("echo ran >> {marker}; sleep {number}");
    let arguments = json!({"server": "a", "command": command}).to_string();
    let child = rig
        .cli
        .start(["call", "remote_exec", &arguments, "--yes", "--key", "k"]);
    eventually("the command runs", || !sleepers(number).is_empty());
    rig.server.drop_connections();
    let output = finish(child);
    ended(&output, 4, "OUTCOME_UNKNOWN");
    gone(number);
    assert_eq!(output.json()["execution"]["attempted"], true, "{output:?}");
    assert_eq!(last_outcome(&rig)["status"], "unknown");
    let again = rig
        .cli
        .run(["call", "remote_exec", &arguments, "--yes", "--key", "k"]);
    ended(&again, 4, "OUTCOME_UNKNOWN");
    assert_eq!(rig.content("marker"), b"ran\n");
}

#[test]
fn silence_of_a_server_ends_by_itself() {
    // It accepts and never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener
        .local_addr()
        .expect("it is bound")
        .port()
        .to_string();
    let cli = openshell_tests::Cli::new();
    let other = openshell_tests::Sshd::start(&openshell_tests::SshdOptions::default());
    let identity = other.client_key_path().display().to_string();
    let added = cli.run([
        "server",
        "add",
        "mute",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        "u",
        "--identity",
        &identity,
        "--host-key",
        &other.host_key_line(),
    ]);
    assert_eq!(added.status, 0, "{added:?}");
    let output = cli.call(
        "remote_exec",
        &json!({"server": "mute", "command": "uptime"}),
        &[],
    );
    ended(&output, 1, "CONNECT_TIMEOUT");
}

/// Standard input of a command is empty, so that none waits for what never comes.
#[test]
fn a_command_that_reads_gets_nothing() {
    let rig = Rig::start();
    let arguments = json!({"server": "a", "command": "read x; echo \"<$x> $?\"; cat | wc -c"});
    let envelope = rig.cli.must("remote_exec", &arguments, &["--yes"]);
    assert_eq!(envelope["data"]["stdout"], "<> 1\n0\n", "{envelope}");
    let whoami = Command::new("id")
        .arg("-un")
        .output()
        .expect("id(1) is in POSIX");
    let ran = rig.cli.must(
        "remote_exec",
        &json!({"server": "a", "command": "id -un"}),
        &[],
    );
    assert_eq!(
        ran["data"]["stdout"],
        String::from_utf8_lossy(&whoami.stdout).as_ref()
    );
}
