//! The bridge, held to its page: every conversation of
//! `docs/bridge-conformance.jsonl`, with the real helper and a real server.
//!
//! `OPENSHELL_BRIDGE_COMMAND` names another program that serves the bridge; it is
//! run with the words `bridge` and this suite's environment.
//!
//! Invariant: the file is the test, so another adapter can play the same
//! conversations. What is not in it is not proven here.

use std::path::Path;
use std::process::Command;

use openshell_tests::{Player, conversations};
use serde_json::json;

use crate::cli_support::Rig;

/// How long an effect lasts here before its client hears of it, in ms.
const PROGRESS: &str = "150";

#[test]
fn every_conversation_comes_out_as_written() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bridge-conformance.jsonl");
    let text = std::fs::read_to_string(file).expect("a file of ours");
    let conversations = conversations(&text).expect("every line is a step");
    assert!(conversations.len() >= 7, "{}", conversations.len());
    let rig = Rig::start();
    let names = [
        ("server", json!("a")),
        ("dir", json!(rig.cli.files().display().to_string())),
    ];
    let mut failed = Vec::new();
    for conversation in &conversations {
        let mut command = rig.cli.command(["bridge"]);
        if let Some(program) = std::env::var_os("OPENSHELL_BRIDGE_COMMAND") {
            let environment = command;
            command = Command::new(program);
            command.arg("bridge").envs(
                environment
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        }
        command.env("OPENSHELL_PROGRESS_MS", PROGRESS);
        let mut player = Player::start(&mut command, &names);
        failed.extend(player.play(conversation).err());
    }
    assert!(failed.is_empty(), "{failed:#?}");
    let left: Vec<_> = std::fs::read_dir(rig.cli.files())
        .expect("the rig's own directory")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["made"], "nothing that was refused happened");
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

#[test]
fn what_is_waited_for_may_come_late_but_must_come() {
    // The bridge is a program that prints what these conversations send.
    let play = |steps: &str| {
        let text = format!("{{\"conversation\": \"one\"}}\n{steps}");
        let conversations = conversations(&text).expect("every line is a step");
        Player::start(&mut Command::new("cat"), &[]).play(&conversations[0])
    };
    let sent = r#"
{"send": {"method": "note", "bytes": 0}}
{"send": {"method": "other", "bytes": 6}}
{"send": {"method": "note", "bytes": 6}}
{"send": {"method": "note", "bytes": 7}}
{"until": {"method": "note", "bytes": 6}}
{"expect": {"method": "note", "bytes": 7}}
{"expect": {"method": "other", "bytes": 6}}
"#;
    assert_eq!(play(&format!("{sent}{{\"end\": 0}}")), Ok(()));
    let failed = play(
        r#"
{"send": {"method": "note", "bytes": 0}}
{"send": {"method": "note", "bytes": 6}}
{"expect": {"method": "note", "bytes": 6}}
"#,
    );
    assert!(failed.is_err_and(|what| what.contains("$.bytes must be 6")));
}

#[test]
fn a_conversation_that_comes_out_otherwise_is_noticed() {
    let text = r#"
{"note": "nothing"}
{"conversation": "one"}
{"send": {"jsonrpc": "2.0", "id": 1, "method": "ping"}}
{"expect": {"id": 1, "result": {"pong": "$text"}}}
"#;
    let conversations = conversations(text).expect("every line is a step");
    let rig = Rig::start();
    let mut player = Player::start(&mut rig.cli.command(["bridge"]), &[]);
    let failed = player.play(&conversations[0]).expect_err("no pong");
    assert!(
        failed.contains("line 5") && failed.contains("$.result.pong"),
        "{failed}"
    );
}
