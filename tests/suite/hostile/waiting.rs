//! Servers that keep the connection alive and do not answer what is asked of them.
//!
//! They prove that a call ends when it is given up, wherever it waits, and that a wish
//! for a session is not waited for without end. How long is waited by default is not
//! tried here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use openshell_tests::{Bridge, finish};
use serde_json::{Value, json};

use super::sftp::{LSTAT, REALPATH, STAT, SftpLie};
use super::ssh::{Behaviour, Liar};
use super::{Victim, says};
use crate::cli_support::{ended, eventually};

/// Starts a call, has it given up as soon as `waits` says so, and returns its envelope.
fn given_up(victim: &Victim, tool: &str, arguments: &Value, waits: impl Fn() -> bool) -> Value {
    let words = ["call", tool, &arguments.to_string(), "--yes"];
    let child = victim.cli.start(words);
    eventually("the server is asked", waits);
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is a child");
    let output = finish(child);
    ended(&output, 1, "CANCELLED");
    let records = victim.cli.records();
    let outcome = records.iter().rfind(|record| record["event"] == "outcome");
    let outcome = outcome.unwrap_or_else(|| panic!("no outcome: {records:?}"));
    assert_eq!(outcome["outcome"]["code"], "CANCELLED", "{outcome}");
    assert_eq!(outcome["action"], output.json()["audit"]["action"]);
    output.json()
}

fn tools() -> [(&'static str, Value); 4] {
    let path = "/dead/file";
    [
        ("remote_stat", json!({"server": "liar", "path": path})),
        ("remote_read_file", json!({"server": "liar", "path": path})),
        (
            "remote_exec",
            json!({"server": "liar", "command": "ls /dead/file"}),
        ),
        (
            "remote_write_file",
            json!({"server": "liar", "path": path, "content": "x"}),
        ),
    ]
}

/// A server that answers keepalives and never the wish for a session: the connection
/// is lost after the time for silence, for this call and for the next.
#[test]
fn a_wish_for_a_session_is_not_waited_for_without_end() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let liar = Liar::start(Behaviour {
        mute: Some(&ASKED),
        ..Behaviour::default()
    });
    let mut victim = Victim::of(liar.port(), Some(liar.host_key()));
    victim.cli.set_env("OPENSHELL_SILENCE_MS", "300");
    for (tool, arguments) in tools() {
        let before = ASKED.load(Ordering::SeqCst);
        let output = victim.call(tool, arguments);
        says(tool, &output, "CONNECTION_LOST", "connection was lost");
        assert!(
            ASKED.load(Ordering::SeqCst) > before,
            "{tool} asked for one"
        );
    }
}

#[test]
fn a_call_that_waits_for_a_session_can_be_given_up() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let liar = Liar::start(Behaviour {
        mute: Some(&ASKED),
        ..Behaviour::default()
    });
    let mut victim = Victim::of(liar.port(), Some(liar.host_key()));
    victim.cli.set_env("OPENSHELL_SILENCE_MS", "600000");
    for (tool, arguments) in tools() {
        let before = ASKED.load(Ordering::SeqCst);
        given_up(&victim, tool, &arguments, || {
            ASKED.load(Ordering::SeqCst) > before
        });
    }
}

/// As below a directory of a file server that is gone.
#[test]
fn a_call_about_a_file_that_never_answers_can_be_given_up() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    // One question at a time stays open, whichever comes first.
    let lies: [SftpLie; 2] = [
        |request| {
            let dead = request.kind == REALPATH && request.name.starts_with("/dead");
            (dead || (request.kind == LSTAT && request.name.starts_with("/dead"))).then(|| {
                ASKED.fetch_add(1, Ordering::SeqCst);
                Vec::new()
            })
        },
        |request| {
            let dead = request.kind == STAT && request.name.starts_with("/dead");
            dead.then(|| {
                ASKED.fetch_add(1, Ordering::SeqCst);
                Vec::new()
            })
        },
    ];
    for lie in lies {
        let liar = Liar::start(Behaviour {
            files: Some(lie),
            ..Behaviour::default()
        });
        let victim = Victim::of(liar.port(), Some(liar.host_key()));
        for (tool, arguments) in tools() {
            let before = ASKED.load(Ordering::SeqCst);
            given_up(&victim, tool, &arguments, || {
                ASKED.load(Ordering::SeqCst) > before
            });
        }
    }
}

/// A look for a command that proved nothing is not paid for by every call after it.
#[test]
fn what_cannot_be_found_out_is_not_looked_for_each_time() {
    static HEARD: Mutex<String> = Mutex::new(String::new());
    let liar = Liar::start(Behaviour {
        // It ends without saying how, and never answers a look.
        command: Some(|_, channel| {
            async move {
                let _ = channel.close().await;
            }
            .boxed()
        }),
        heard: Some(|typed| HEARD.lock().expect("nobody panics with it").push_str(typed)),
        ..Behaviour::default()
    });
    let victim = Victim::of(liar.port(), Some(liar.host_key()));
    let mut bridge = Bridge::start(&mut victim.cli.command(["bridge"]));
    let mut run = |command: &str| {
        let arguments = json!({"server": "liar", "command": command});
        let answer = bridge.call("remote_exec", &arguments, None);
        answer.expect("it is answered")
    };
    let first = run("make a mess");
    assert_eq!(first["code"], "OUTCOME_UNKNOWN", "{first}");
    let action = first["audit"]["action"].as_str().expect("an id").to_owned();
    let looks = || {
        let heard = HEARD.lock().expect("nobody panics with it");
        let scripts = heard.split("OPENSHELL_SURVEY=").skip(1);
        // Each script of a look begins so twice, once after the mark.
        scripts.filter(|script| script.contains(&action)).count()
    };
    let before = looks();
    // What is known to change nothing is never unknown itself.
    run("uptime");
    let after = looks();
    assert!(after > before, "the next call looks");
    run("uptime");
    assert_eq!(looks(), after, "the one after it does not");
}
