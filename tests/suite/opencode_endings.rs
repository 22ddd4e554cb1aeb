//! Calls that end before their time, with the real helper: interrupted,
//! orphaned, or never begun because there is no helper.
//!
//! They prove that a call that was interrupted leaves nothing running and that a
//! new helper repeats nothing. Kills at exact points are the fault harness's.

use openshell_tests::{OpenCode, OpenCodeOptions, Reply, ScriptedModel, Step};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::opencode_rig::allowing_all;
use crate::opencode_site::{PATIENCE, Site, exec, helper_of, odd_seconds, processes_with};

#[test]
fn an_interruption_ends_the_remote_command() {
    let site = Site::start(allowing_all());
    let seconds = odd_seconds();
    let session = site.opencode.new_session();
    let mark = site.mark();
    site.begin(&session, "build", vec![exec(&format!("sleep {seconds}"))]);
    let asked = site.opencode.wait_permission(PATIENCE);
    site.opencode.reply(&asked, Reply::Once, None);
    site.opencode
        .wait_until(PATIENCE, "the remote command", || {
            !processes_with(&seconds).is_empty()
        });
    site.opencode.interrupt(&session);
    site.opencode
        .wait_until(PATIENCE, "the end of the remote command", || {
            processes_with(&seconds).is_empty()
        });
    site.opencode.wait_idle(&session, PATIENCE);
    site.opencode.wait_until(PATIENCE, "the record of it", || {
        site.recorded_since(mark).len() == 4
    });
    assert_eq!(
        site.recorded_since(mark),
        [
            "intent remote_exec",
            "approval granted person",
            "attempt exec",
            "outcome CANCELLED"
        ]
    );

    // An interrupted question was not answered, so it may be put again.
    let touch = format!("touch {}", site.path("marker"));
    let mark = site.mark();
    site.begin(&session, "build", vec![exec(&touch)]);
    let _asked = site.opencode.wait_permission(PATIENCE);
    site.opencode.interrupt(&session);
    site.opencode.wait_idle(&session, PATIENCE);
    site.opencode.wait_until(PATIENCE, "the record of it", || {
        site.recorded_since(mark).len() == 3
    });
    assert_eq!(
        site.recorded_since(mark),
        [
            "intent remote_exec",
            "approval unavailable unknown",
            "outcome CANCELLED"
        ]
    );
    assert!(!site.exists("marker"));
    site.turn_in(&session, "build", vec![exec(&touch)], &[Reply::Once]);
    assert!(site.exists("marker"));
    site.verify();
}

#[test]
fn a_helper_killed_in_mid_call_runs_nothing_twice() {
    let site = Site::start(allowing_all());
    let log = site.put("log", "");
    let seconds = odd_seconds();
    let session = site.opencode.new_session();
    let mark = site.mark();
    site.begin(
        &session,
        "build",
        vec![exec(&format!("echo ran >> {log}; sleep {seconds}"))],
    );
    let asked = site.opencode.wait_permission(PATIENCE);
    site.opencode.reply(&asked, Reply::Once, None);
    site.opencode
        .wait_until(PATIENCE, "the remote command", || {
            !processes_with(&seconds).is_empty()
        });
    let helper = helper_of(&site.opencode).expect("a helper is running");
    let helper = Pid::from_raw(helper.cast_signed()).expect("a process id is not zero");
    kill_process(helper, Signal::KILL).expect("the helper is this test's own");
    let turn = site.finish(&session, vec![asked]);

    assert_eq!(site.content("log"), "ran\n");
    let told = &turn.told[0];
    assert!(told.contains("OUTCOME_UNKNOWN"), "{told}");
    assert!(
        told.contains("was ended by SIGKILL. It was started again"),
        "{told}"
    );
    site.opencode
        .wait_until(PATIENCE, "the end of the remote command", || {
            processes_with(&seconds).is_empty()
        });
    let recorded = site.recorded_since(mark);
    assert_eq!(
        recorded
            .iter()
            .filter(|line| *line == "attempt exec")
            .count(),
        1,
        "{recorded:?}"
    );

    // The one that took its place works.
    let turn = site.turn(vec![exec(&format!("cat {log}"))], &[]);
    assert!(turn.told[0].contains(r"ran\n"), "{turn:?}");
    site.verify();
}

#[test]
fn a_missing_helper_is_said_with_what_to_do() {
    let options = OpenCodeOptions {
        env: vec![(
            "OPENSHELL_BIN".to_owned(),
            "/nonexistent/openshell".to_owned(),
        )],
        ..allowing_all()
    };
    let model = ScriptedModel::start(vec![Step::tool("list_servers", json!({}))]);
    let opencode = OpenCode::start(&options, &model);
    let session = opencode.new_session();
    opencode.prompt(&session, "Do it.");
    opencode.wait_idle(&session, PATIENCE);
    let part = &opencode.tool_parts(&session)[0];
    let error = part["state"]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("OPENSHELL_BIN names /nonexistent/openshell"),
        "{part:#}"
    );
    assert!(error.contains("restart OpenCode"), "{part:#}");
}
