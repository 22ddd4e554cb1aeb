//! Calls of a client that only plans: they look, and nothing lets them change
//! anything.
//!
//! They prove that neither a rule of the operator's nor a person's yes counts then, and
//! that the same calls go ahead when the client does not plan. How an adapter finds out
//! that its client plans is tested there.

use std::fs;

use openshell_tests::{Bridge, BridgeCall};
use serde_json::{Value, json};

use crate::cli_support::{Rig, text};

/// A call; its envelope.
fn call(bridge: &mut Bridge, planning: bool, tool: &str, arguments: Value) -> Value {
    let call = BridgeCall {
        planning,
        ..BridgeCall::new(tool, arguments, None)
    };
    let envelope = bridge.calls(vec![call], 1).pop().flatten();
    envelope.expect("the helper answers")
}

#[track_caller]
fn refused(envelope: &Value) {
    assert_eq!(envelope["code"], "POLICY_REJECTED", "{envelope:#}");
    assert_eq!(envelope["execution"]["attempted"], false, "{envelope:#}");
    let message = envelope["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Planning only looks"), "{message}");
    let next = envelope["next"].as_str().unwrap_or_default();
    assert!(next.contains("step of the plan"), "{next}");
}

#[test]
fn a_client_that_plans_changes_nothing_whoever_allows_it() {
    let rig = Rig::start();
    let rule = "format = 1\n[[rule]]\nid = \"touching\"\nprefix = [\"touch\"]\n\
                decision = \"allow\"\nreason = \"It is harmless here.\"\n\
                match = [\"touch /x\"]\nnot_match = [\"rm /x\"]\n";
    fs::write(rig.cli.config_dir().join("policy.toml"), rule).expect("ours");
    let file = rig.put("file", "old\n", 0o644);
    let secret = rig.put(".env", "TOKEN=x\n", 0o600);
    let touch = json!({"server": "a", "command": format!("touch {}", rig.path("touched"))});
    let patch = "@@ -1 +1 @@\n-old\n+new\n";
    let mut bridge = Bridge::start(&mut rig.cli.command(["bridge"]));

    for (tool, arguments) in [
        ("remote_exec", touch.clone()),
        (
            "remote_exec",
            json!({"server": ["a"], "command": touch["command"]}),
        ),
        (
            "remote_exec",
            json!({"server": "a", "command": "rm /nowhere/at/all"}),
        ),
        (
            "remote_write_file",
            json!({"server": "a", "path": file, "content": "new\n"}),
        ),
        (
            "remote_write_file",
            json!({"server": "a", "path": file, "content": "old\n"}),
        ),
        (
            "remote_patch_file",
            json!({"server": "a", "path": file, "patch": patch}),
        ),
        (
            "remote_patch_file",
            json!({"server": "a", "path": secret, "patch": patch}),
        ),
    ] {
        let envelope = call(&mut bridge, true, tool, arguments.clone());
        if arguments["server"].is_array() {
            assert_eq!(envelope["code"], "POLICY_REJECTED", "{envelope:#}");
            continue;
        }
        refused(&envelope);
    }
    assert_eq!(bridge.questions(), Vec::<Value>::new(), "nobody was asked");
    assert!(!rig.exists("touched"));
    assert_eq!(rig.content("file"), b"old\n");

    // Looking is as it always is: free, or asked about where it may show a secret.
    for (tool, arguments, asked) in [
        (
            "remote_exec",
            json!({"server": "a", "command": "uptime"}),
            0,
        ),
        (
            "remote_exec",
            json!({"server": "a", "command": format!("cat {file}")}),
            0,
        ),
        ("remote_read_file", json!({"server": "a", "path": file}), 0),
        (
            "remote_find",
            json!({"server": "a", "path": text(&rig.files), "pattern": "old"}),
            0,
        ),
        (
            "remote_read_file",
            json!({"server": "a", "path": secret}),
            1,
        ),
    ] {
        let envelope = call(&mut bridge, true, tool, arguments);
        assert_eq!(envelope["status"], "ok", "{envelope:#}");
        assert_eq!(bridge.questions().len(), asked, "{tool}");
    }

    // What is refused while planning is done afterwards.
    let done = call(&mut bridge, false, "remote_exec", touch);
    assert_eq!(done["status"], "ok", "{done:#}");
    assert!(rig.exists("touched"));
    assert_eq!(bridge.questions().len(), 1, "the rule answers");
    bridge.finish();
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}
