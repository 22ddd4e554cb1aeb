//! A disk that is full when the outcome of a running command is known.
//!
//! Invariant under test: what is known of an effect is on record once there is room,
//! however many calls were refused meanwhile. A disk that fills during other steps is
//! the fault harness's.

use std::fs;
use std::thread;

use openshell_tests::{Bridge, BridgeCall};
use serde_json::{Value, json};

use crate::cli_support::{Rig, eventually};
use crate::snapshots_support::Disk;

#[test]
fn an_outcome_outlasts_the_calls_that_a_full_disk_refuses() {
    let rig = Rig::start();
    let Some(disk) = Disk::mount(&rig.cli.audit_dir(), "4m") else {
        return;
    };
    let mut bridge = Bridge::start(&mut rig.cli.command(["bridge"]));
    let exec = |command: String| {
        let arguments = json!({"server": "a", "command": command});
        BridgeCall::new("remote_exec", arguments, None)
    };
    let wait = |name: &str| format!("until test -e {}; do sleep 0.05; done", rig.path(name));
    let long = format!("touch {}; {}", rig.path("started"), wait("go"));
    // While it runs, the disk fills and others are refused until nothing fits in the
    // last page of the journal any more.
    let calls = [exec(long), exec(wait("full"))].into_iter();
    let calls = calls.chain((0..30).map(|_| exec("uptime".to_owned())));
    let (results, filler) = thread::scope(|scope| {
        let filling = scope.spawn(|| {
            eventually("the command runs", || rig.exists("started"));
            let filler = disk.fill();
            rig.put("full", "", 0o600);
            let journal = rig.cli.audit_dir().join("actions.jsonl");
            eventually("its last page is full", || {
                fs::metadata(&journal).is_ok_and(|journal| journal.len() % 4096 == 0)
            });
            rig.put("go", "", 0o600);
            filler
        });
        let results = bridge.calls(calls.collect(), 2);
        (results, filling.join().expect("it fills the disk"))
    });
    let long = results[0].clone().expect("it is answered");
    assert_eq!(long["status"], "partial_failure", "{long}");
    assert_eq!(long["audit"]["logWritten"], false, "{long}");
    let mut uptime = || {
        let arguments = json!({"server": "a", "command": "uptime"});
        let answer = bridge.call("remote_exec", &arguments, None);
        answer.expect("it is answered")
    };
    for _ in 0..2 {
        let refused = uptime();
        assert_eq!(refused["code"], "JOURNAL_UNAVAILABLE", "{refused}");
    }
    fs::remove_file(filler).expect("the test's own file");
    let done = uptime();
    assert_eq!(done["status"], "ok", "{done}");
    let records = rig.cli.records();
    let about = |record: &&Value| {
        record["action"] == long["audit"]["action"] && record["event"] != "intent"
    };
    let about: Vec<&Value> = records.iter().filter(about).collect();
    let last = about.last().unwrap_or_else(|| panic!("{records:?}"));
    assert_eq!(last["event"], "outcome", "{about:?}");
    assert_eq!(last["outcome"]["status"], "ok", "{about:?}");
    let unknown = rig.cli.run(["audit", "unknown", "--json"]);
    assert_eq!(unknown.json(), json!([]), "{unknown:?}");
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}
