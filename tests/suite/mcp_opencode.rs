//! OpenCode's own MCP client, without the plugin: nothing there asks, so the
//! helper itself refuses and a person answers elsewhere.
//!
//! It proves that no setting of a project approves anything there. OpenCode with
//! the plugin has suites of its own.

use openshell_tests::{
    Cli, OpenCode, OpenCodeOptions, ScriptedModel, Sshd, SshdOptions, Step, binary,
};
use serde_json::{Value, json};

use crate::mcp_pending::{allow_all, kept, recorded};
use crate::opencode_site::PATIENCE;

fn exec(command: &str) -> Step {
    Step::tool(
        "openshell_remote_exec",
        json!({"server": "a", "command": command}),
    )
}

#[test]
fn opencode_as_a_plain_mcp_client_cannot_approve() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    let command = cli.command(["mcp"]);
    let environment: serde_json::Map<String, Value> = command
        .get_envs()
        .filter(|(name, _)| name.to_string_lossy().starts_with("OPENSHELL_"))
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), json!(value?.to_str()?))))
        .collect();
    let options = OpenCodeOptions {
        plugin: Value::Null,
        // A project that allows everything makes no difference here.
        project_config: json!({"permission": {"*": "allow"}}),
        global_config: json!({"mcp": {"openshell": {
            "type": "local",
            "command": [binary(), "mcp"],
            "environment": environment,
        }}}),
        ..OpenCodeOptions::default()
    };
    let file = cli.files().join("plain");
    std::fs::write(&file, "first\n").expect("the test's own");
    let target = cli.files().join("written");
    let looked = exec(&format!("cat {}", file.display()));
    let write = Step::tool(
        "openshell_remote_write_file",
        json!({"server": "a", "path": target, "content": "new\n"}),
    );
    let model = ScriptedModel::start(vec![looked, write.clone(), Step::text("Waiting.")]);
    let opencode = OpenCode::start(&options, &model);
    let session = opencode.new_session();
    opencode.prompt(&session, "Do it.");
    opencode.wait_idle(&session, PATIENCE);

    let told = model.tool_results();
    assert_eq!(told.len(), 2, "{told:#?}\n{}", opencode.log());
    assert!(told[0].contains("first"), "{told:#?}");
    assert!(told[1].contains("APPROVAL_REQUIRED"), "{told:#?}");
    assert!(told[1].contains("openshell approvals"), "{told:#?}");
    assert!(!target.exists());
    assert!(opencode.questions().is_empty(), "OpenCode asks nothing");

    let asks = kept(&cli);
    assert_eq!(asks.len(), 1, "{asks:#?}");
    assert!(
        asks[0]["client"]
            .as_str()
            .is_some_and(|client| client.contains("opencode")),
        "{asks:#?}"
    );
    allow_all(&cli);
    model.then(write);
    model.then(Step::text("Done."));
    opencode.prompt(&session, "It is approved.");
    opencode.wait_idle(&session, PATIENCE);
    let written = std::fs::read_to_string(&target).unwrap_or_default();
    assert_eq!(written, "new\n", "{:#?}", model.tool_results());
    let granted = recorded(&cli, "approval")
        .iter()
        .filter(|record| record["approval"]["by"] == "person-out-of-band")
        .count();
    assert_eq!(granted, 1);
}
