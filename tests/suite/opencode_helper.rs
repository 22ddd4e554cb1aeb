//! The adapter and its helper: which program runs, how it ends, what it is told.
//!
//! The helper pretends, because a real one cannot be made to die on purpose.
//!
//! They prove that one helper serves one OpenCode, and that no project chooses it.
//! What a command does on a server is not seen here.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use openshell_tests::{OPENCODE_VERSION, OpenCode, OpenCodeOptions, Step, adapter_dir};
use serde_json::{Value, json};

use crate::opencode_rig::{PATIENCE, Rig, allowing_all, exec, fake_helper};

#[test]
fn the_installed_opencode_is_the_pinned_one() {
    assert_eq!(OpenCode::version(), OPENCODE_VERSION);
}

#[test]
fn the_model_gets_the_exact_schema() {
    let rig = Rig::start(allowing_all(), vec![exec("cat /etc/hostname")]);
    rig.play();
    let offered = rig
        .model
        .offered("remote_exec")
        .expect("the tool is offered");
    assert_eq!(
        offered["parameters"]["required"],
        json!(["server", "command"])
    );
    let properties = &offered["parameters"]["properties"];
    assert_eq!(properties["timeout"]["type"], "integer", "{offered:#}");
}

#[test]
fn a_helper_that_dies_is_started_again_once_under_the_same_key() {
    let rig = Rig::start(allowing_all(), vec![exec("die now")]);
    rig.play();
    let calls = rig.entries("call");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["key"], calls[1]["key"]);
    assert_eq!(calls[0]["stamp"], calls[1]["stamp"]);
    let told = rig.model.tool_results();
    assert!(told[0].starts_with("from the record"), "{told:?}");
    assert!(told[0].contains("exited with status 7"), "{told:?}");
    assert!(told[0].contains("started again"), "{told:?}");
}

#[test]
fn an_interruption_cancels_the_call_and_its_question() {
    let rig = Rig::start(allowing_all(), vec![exec("touch /tmp/x")]);
    let session = rig.opencode.new_session();
    rig.opencode.prompt(&session, "Do it.");
    let _asked = rig.opencode.wait_permission(PATIENCE);
    rig.opencode.interrupt(&session);
    rig.opencode.wait_idle(&session, PATIENCE);
    rig.opencode.wait_until(PATIENCE, "the cancellation", || {
        !rig.entries("cancel").is_empty() && !rig.answers().is_empty()
    });
    // Nobody answered; the question does not stay on the person's screen.
    assert_eq!(rig.answers()[0]["answer"], "none");
    rig.opencode
        .wait_until(PATIENCE, "the question's withdrawal", || {
            rig.opencode.pending().is_empty()
        });
    assert_eq!(rig.ran(), Vec::<Value>::new());
}

#[test]
fn a_project_cannot_choose_the_helper() {
    let options = OpenCodeOptions {
        plugin: json!([adapter_dir(), {"command": ["node", fake_helper()]}]),
        plugin_in_project: true,
        ..OpenCodeOptions::default()
    };
    let rig = Rig::start(options, vec![Step::tool("list_servers", json!({}))]);
    let session = rig.play();
    assert_eq!(rig.entries("initialize"), Vec::<Value>::new());
    let part = &rig.opencode.tool_parts(&session)[0];
    assert_eq!(part["state"]["status"], "error");
    let error = part["state"]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("a project cannot choose the program"),
        "{error}"
    );
}

#[test]
fn another_program_of_the_name_is_told_apart() {
    let options = OpenCodeOptions {
        env: vec![("FAKE_KIND".to_owned(), "something-else".to_owned())],
        ..OpenCodeOptions::default()
    };
    let rig = Rig::start(options, vec![Step::tool("list_servers", json!({}))]);
    let session = rig.play();
    let part = &rig.opencode.tool_parts(&session)[0];
    let error = part["state"]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("another program of the name openshell"),
        "{error}"
    );
    assert_eq!(rig.entries("call"), Vec::<Value>::new());
}

#[test]
fn the_helper_ends_with_opencode() {
    let rig = Rig::start(allowing_all(), vec![exec("cat /etc/hostname")]);
    rig.play();
    let Rig { log, opencode, .. } = rig;
    drop(opencode);
    let path = log.path().join("log");
    let ended = || {
        fs::read_to_string(&path)
            .unwrap_or_default()
            .contains("{\"end\":true}")
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    while !ended() {
        assert!(
            std::time::Instant::now() < deadline,
            "the helper is still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_adapters_own_tables_hold() {
    let tests = fs::read_dir(adapter_dir().join("test")).expect("the adapter has tests");
    let files: Vec<PathBuf> = tests
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.to_string_lossy().ends_with(".test.js"))
        .collect();
    assert!(!files.is_empty(), "no test file found");
    let output = std::process::Command::new("node")
        .arg("--test")
        .args(files)
        .output()
        .expect("node can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
