//! A call on several servers through the real OpenCode: one question for all of
//! them, one result, a record of each.
//!
//! Invariant: OpenCode and the servers are real, only the model is scripted. How equal
//! outcomes are told is `fanout_*`'s business.

use openshell_tests::{Reply, Step, envelope_in};
use serde_json::{Value, json};

use crate::opencode_rig::allowing_all;
use crate::opencode_site::Site;

/// The site, its server known under a second name.
fn site() -> Site {
    let mut options = allowing_all();
    // One question for both, also where one of them is slow.
    let ready = ("OPENSHELL_FANOUT_READY_MS".to_owned(), "60000".to_owned());
    options.env.push(ready);
    let site = Site::start(options);
    site.cli.enrol(&site.server, "b");
    site
}

fn on(servers: &Value, command: &str) -> Step {
    Step::tool(
        "remote_exec",
        json!({"server": servers, "command": command}),
    )
}

#[test]
fn a_list_of_servers_is_one_question_one_result_and_a_record_of_each() {
    let site = site();
    let both = json!(["b", "a"]);
    let log = site.put("log", "");
    let append =
        format!("dd if=/dev/zero of={log} bs=1 count=1 oflag=append conv=notrunc status=none");

    let turn = site.turn(vec![on(&both, "uptime")], &[]);
    assert!(site.opencode.questions().is_empty(), "looking is free");
    assert!(turn.told[0].contains("load average"), "{turn:?}");

    let mark = site.mark();
    let turn = site.turn(vec![on(&both, &append)], &[Reply::Once]);
    let asked = &turn.asked[0];
    let head = format!("remote_exec 2 servers (a,b)$ {append}\n");
    assert!(asked.key.starts_with(&head), "{asked:?}");
    assert_eq!(
        asked.patterns,
        ["a", "b"].map(|id| format!("{id}: {append}"))
    );
    // Both are the same account at the same address, so they are one group.
    let port = site.server.port();
    let account = asked.key.lines().last().unwrap_or_default();
    assert!(
        account.contains("@127.0.0.1") && account.ends_with(&format!(":{port}")),
        "{asked:?}"
    );
    let shown = asked.metadata["openshell"]["servers"].as_array();
    assert_eq!(shown.map(Vec::len), Some(2), "{asked:?}");
    assert_eq!(site.opencode.questions().len(), 1);
    assert_eq!(site.content("log").len(), 2, "once on each");
    let told = turn.told.last().expect("the call was answered");
    let envelope = envelope_in(told);
    assert_eq!(envelope["status"], "ok", "{told}");
    let groups = envelope["data"]["groups"].as_array();
    let groups = groups.expect("equal outcomes are told once");
    assert_eq!(groups.len(), 1, "{told}");
    assert_eq!(groups[0]["servers"], json!(["a", "b"]), "{told}");
    let recorded = site.recorded_since(mark);
    for (line, times) in [
        ("intent remote_exec", 2),
        ("approval granted person", 2),
        ("attempt exec", 2),
        ("outcome ok", 2),
    ] {
        let count = recorded.iter().filter(|known| *known == line).count();
        assert_eq!(count, times, "{line}: {recorded:?}");
    }

    // No to the list is no to each of it.
    let mark = site.mark();
    let touch = format!("touch {}", site.path("marker"));
    site.turn(vec![on(&both, &touch)], &[Reply::Reject]);
    assert!(!site.exists("marker"));
    let recorded = site.recorded_since(mark);
    let rejected = recorded
        .iter()
        .filter(|line| *line == "approval rejected person");
    assert_eq!(rejected.count(), 2, "{recorded:?}");
    site.verify();
}
