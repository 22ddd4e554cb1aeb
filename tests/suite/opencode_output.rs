//! A command's output as the person and the model have it: while it runs, when it
//! is interrupted, and when there is more than fits.
//!
//! They prove that nothing of a long output is lost to anybody's cut. How a toast
//! looks is not checked, only that it is sent.

use openshell_tests::{Reply, Step, envelope_in};
use serde_json::Value;

use crate::opencode_rig::allowing_all;
use crate::opencode_site::{PATIENCE, Site, exec, odd_seconds, processes_with};

/// What OpenCode says on its bus when it shows a toast.
const TOAST: &str = "tui.toast.show";

/// A site whose person hears of a command after a moment instead of 10 s.
fn site() -> Site {
    let mut options = allowing_all();
    let progress = ("OPENSHELL_PROGRESS_MS".to_owned(), "100".to_owned());
    options.env.push(progress);
    Site::start(options)
}

#[test]
fn a_long_command_is_said_to_run_and_an_interruption_what_it_came_to() {
    let site = site();
    let seconds = odd_seconds();
    let session = site.opencode.new_session();
    let command = format!("echo begun; echo going on; sleep {seconds}");
    site.begin(&session, "build", vec![exec(&command)]);
    let asked = site.opencode.wait_permission(PATIENCE);
    // Waiting for the person is not running.
    assert_eq!(site.opencode.events_of(TOAST), Vec::<Value>::new());
    site.opencode.reply(&asked, Reply::Once, None);
    let notice = site.opencode.wait_event(PATIENCE, TOAST, |_| true);
    assert_eq!(notice["variant"], "info", "{notice}");
    assert_eq!(notice["title"], format!("a$ {command}"));
    let message = notice["message"].as_str().unwrap_or_default();
    assert!(message.contains("stops it on the server"), "{notice}");

    // The notice may come before the command has begun, and then nothing would have
    // been printed.
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
    let ended = site
        .opencode
        .wait_event(PATIENCE, TOAST, |toast| toast["variant"] != "info");
    assert_eq!(ended["variant"], "success", "{ended}");
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Stopped on the server."), "{ended}");
    assert!(message.contains("its process group is gone"), "{ended}");
    assert!(message.contains("Its last line: going on"), "{ended}");

    // OpenCode dropped the result; the model is told it with the next one.
    let turn = site.turn_in(&session, "build", vec![exec("uptime"), exec("uptime")], &[]);
    let told = &turn.told[turn.told.len() - 2];
    assert!(
        told.contains("load average") && told.contains("interrupted before this one"),
        "{told}"
    );
    assert!(
        told.contains(r"begun\ngoing on\n") && told.contains("CANCELLED"),
        "{told}"
    );
    let last = turn.told.last().expect("two calls");
    assert!(!last.contains("going on"), "{last}");
    site.verify();
}

#[test]
fn more_than_fits_is_paged() {
    let site = site();
    let all: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
    let long = site.put("long", &all);
    let turn = site.turn(vec![exec(&format!("cat {long}"))], &[]);
    let told = turn.told.last().expect("the call was answered");
    // Nothing of it is lost to OpenCode's own cut.
    assert!(told.contains(r"\n29999\n30000\n"), "{told}");
    let envelope = envelope_in(told);
    let rest = &envelope["data"]["stdoutRest"];
    let tool = rest["tool"].as_str().unwrap_or_default();
    let turn = site.turn(vec![Step::tool(tool, rest["arguments"].clone())], &[]);
    let told = turn.told.last().expect("the call was answered");
    let offset = rest["arguments"]["offset"].as_u64().unwrap_or_default() as usize;
    let next = all[offset..offset + 100].replace('\n', r"\n");
    assert!(told.contains(&next), "{told}");
    assert!(site.opencode.questions().is_empty());
}
