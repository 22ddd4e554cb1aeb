//! What runs as root, through OpenCode: asked each time, by name, and spared the
//! question only by a rule of the person's that names sudo.
//!
//! They prove that "always" never reaches root. Without sudo they say that they
//! were skipped, and prove nothing.

use openshell_tests::{OpenCodeOptions, Reply, Step, Sudoers};
use serde_json::json;

use crate::opencode_site::Site;

/// OpenCode with a person's rules, and a server `s` where sudo may be used. None,
/// aloud, where there is no sudo.
fn site(rules: serde_json::Value) -> Option<Site> {
    if !Sudoers::available() {
        return None;
    }
    let options = OpenCodeOptions {
        global_config: json!({"permission": {"remote_exec": rules}}),
        ..OpenCodeOptions::default()
    };
    let site = Site::start(options);
    site.cli
        .enrol_as(&site.server, "s", site.server.user(), &["--sudo", "ask"]);
    Some(site)
}

fn exec(command: &str) -> Step {
    Step::tool("remote_exec", json!({"server": "s", "command": command}))
}

#[test]
fn a_broad_rule_and_always_do_not_answer_for_root() {
    let Some(site) = site(json!({"*": "allow"})) else {
        return;
    };
    let command = "sudo -n -u daemon id -un";
    let turn = site.turn(
        vec![exec("touch /nowhere/x"), exec(command), exec(command)],
        &[Reply::Always, Reply::Once],
    );
    let keys: Vec<&str> = turn.asked.iter().map(|asked| asked.key.as_str()).collect();
    assert_eq!(keys.len(), 2, "{turn:?}");
    for asked in &turn.asked {
        assert!(asked.key.contains("\nAS daemon, "), "{asked:?}");
        assert_eq!(asked.always, Vec::<String>::new());
        assert_eq!(asked.metadata["openshell"]["as"], json!(["daemon"]));
    }
    assert!(turn.told[2].contains("daemon"), "{turn:?}");
    let granted: Vec<_> = site
        .cli
        .records()
        .into_iter()
        .filter(|record| record["event"] == "approval")
        .map(|record| {
            (
                record["approval"]["by"].clone(),
                record["operation"]["as"].clone(),
            )
        })
        .collect();
    assert_eq!(granted[0], (json!("rule"), json!(null)));
    assert_eq!(granted[1].1, json!("daemon"), "{granted:?}");
}

#[test]
fn a_rule_that_names_sudo_answers() {
    let Some(site) = site(json!({"*": "ask", "s: sudo -n -u daemon id*": "allow"})) else {
        return;
    };
    let turn = site.turn(vec![exec("sudo -n -u daemon id -un")], &[]);
    assert!(turn.told[0].contains("daemon"), "{turn:?}");
    let turn = site.turn(
        vec![exec("sudo -n -u daemon id -un; ls /")],
        &[Reply::Reject],
    );
    assert!(turn.asked[0].key.contains("AS daemon"), "{turn:?}");
}

#[test]
fn a_write_as_root_is_shown_as_one() {
    let Some(site) = site(json!({"*": "ask"})) else {
        return;
    };
    let path = site.put("conf", "old\n");
    let write = Step::tool(
        "remote_write_file",
        json!({"server": "s", "path": path, "content": "new\n", "sudo": true}),
    );
    let turn = site.turn(vec![write], &[Reply::Once]);
    let asked = &turn.asked[0];
    assert_eq!(
        asked.patterns,
        ["root@s", "s"].map(|place| format!("ssh://{place}{path}"))
    );
    let shown = asked.metadata["filepath"].as_str().unwrap_or_default();
    assert!(shown.starts_with("(AS root; "), "{shown}");
    assert!(shown.ends_with(&format!(") s:{path}")), "{shown}");
    assert_eq!(site.content("conf"), "new\n");
}
