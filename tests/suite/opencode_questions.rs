//! What OpenCode asks, and whose answer counts.
//!
//! Each test is one of OpenCode's ways of passing a question silently, with the
//! guard that keeps it from being taken for an answer. The helper pretends; what
//! reaches a server is tested with the real one.
//!
//! Invariant under test: no setting of a project, and no earlier answer, stands for
//! a person's word.

use openshell_tests::{OpenCodeOptions, Reply, Step};
use serde_json::{Value, json};

use crate::opencode_rig::{PATIENCE, Rig, allowing_all, exec, write};

#[test]
fn a_project_that_allows_everything_still_has_changes_asked() {
    let rig = Rig::start(
        allowing_all(),
        vec![exec("cat /etc/hostname"), exec("touch /tmp/x")],
    );
    let (_, asked) = rig.play_answering(&[Reply::Once]);
    assert!(
        asked[0]
            .key
            .starts_with("remote_exec prod-a$ touch /tmp/x\n"),
        "{asked:?}"
    );
    assert_eq!(asked[0].patterns, ["prod-a: touch /tmp/x"]);
    assert_eq!(rig.opencode.questions().len(), 1);
    let commands: Vec<Value> = rig.ran().iter().map(|run| run["command"].clone()).collect();
    assert_eq!(commands, ["cat /etc/hostname", "touch /tmp/x"]);
    assert_eq!(
        rig.answers()[1],
        json!({"answer": "granted", "by": "person"})
    );
    assert_eq!(
        rig.model.tool_results(),
        ["done: cat /etc/hostname", "done: touch /tmp/x"]
    );
}

#[test]
fn a_write_asks_with_a_diff_and_no_local_path() {
    let rig = Rig::start(allowing_all(), vec![write("/etc/motd")]);
    let (_, asked) = rig.play_answering(&[Reply::Once]);
    assert_eq!(asked[0].key, "edit");
    assert_eq!(asked[0].patterns, ["ssh://prod-a/etc/motd"]);
    assert_eq!(asked[0].always, Vec::<String>::new());
    assert_eq!(
        asked[0].metadata["filepath"],
        "(creates the file: 8 bytes, mode 0644; labels: test) prod-a:/etc/motd"
    );
    let diff = asked[0].metadata["diff"]
        .as_str()
        .expect("the question carries a diff");
    assert!(diff.contains("+one\n+two\n"), "{diff}");
    // An empty local file must not take it.
    assert!(diff.contains("@@ -1,1 +1,3 @@\n (new file)\n"), "{diff}");
    assert_eq!(rig.ran().len(), 1);
}

#[test]
fn a_rejection_runs_nothing_and_ends_the_turn() {
    let rig = Rig::start(
        allowing_all(),
        vec![exec("touch /tmp/x"), exec("touch /tmp/y")],
    );
    let (session, _) = rig.play_answering(&[Reply::Reject]);
    assert_eq!(rig.ran(), Vec::<Value>::new());
    assert_eq!(
        rig.answers(),
        [json!({"answer": "rejected", "by": "person"})]
    );
    let parts = rig.opencode.tool_parts(&session);
    assert_eq!(parts.len(), 1, "{parts:#?}");
    assert_eq!(parts[0]["state"]["status"], "error");
    let error = parts[0]["state"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("rejected permission"), "{error}");
}

#[test]
fn a_rejection_with_words_reaches_the_model() {
    let rig = Rig::start(allowing_all(), vec![exec("touch /tmp/x")]);
    let session = rig.opencode.new_session();
    rig.opencode.prompt(&session, "Do it.");
    let asked = rig.opencode.wait_permission(PATIENCE);
    rig.opencode
        .reply(&asked, Reply::Reject, Some("Use staging."));
    rig.opencode.wait_idle(&session, PATIENCE);
    assert_eq!(rig.ran(), Vec::<Value>::new());
    assert_eq!(rig.answers()[0]["feedback"], "Use staging.");
    let told = rig.model.tool_results();
    assert!(told[0].contains("Use staging."), "{told:?}");
}

#[test]
fn always_for_a_local_edit_lets_no_remote_write_through() {
    let options = OpenCodeOptions {
        global_config: json!({"permission": {"edit": "ask"}}),
        ..OpenCodeOptions::default()
    };
    let local = |name: &str| Step::tool("write", json!({"filePath": name, "content": "x\n"}));
    let rig = Rig::start(
        options,
        vec![local("a.txt"), local("b.txt"), write("/etc/motd")],
    );
    let (_, asked) = rig.play_answering(&[Reply::Always, Reply::Reject]);
    // The second local edit proves that OpenCode took the "always".
    assert!(rig.opencode.workspace().join("b.txt").exists());
    assert_eq!(asked[0].key, "edit");
    assert!(
        asked[1].key.starts_with("remote_write prod-a:/etc/motd"),
        "{asked:?}"
    );
    assert!(asked[1].key.contains("\n+one\n+two\n"), "{asked:?}");
    assert_eq!(rig.ran(), Vec::<Value>::new());
}

#[test]
fn always_for_a_local_edit_does_not_answer_a_pending_remote_write() {
    let options = OpenCodeOptions {
        global_config: json!({"permission": {"edit": "ask"}}),
        ..OpenCodeOptions::default()
    };
    let both = Step::Tools(vec![
        (
            "write".to_owned(),
            json!({"filePath": "a.txt", "content": "x\n"}),
        ),
        (
            "remote_write_file".to_owned(),
            json!({"server": "prod-a", "path": "/etc/motd", "content": "one\n"}),
        ),
    ]);
    let rig = Rig::start(options, vec![both]);
    let session = rig.opencode.new_session();
    rig.opencode.prompt(&session, "Do it.");
    let local = rig
        .opencode
        .wait_permissions(2, PATIENCE)
        .into_iter()
        .find(|asked| {
            asked
                .patterns
                .iter()
                .all(|pattern| !pattern.starts_with("ssh://"))
        });
    rig.opencode
        .reply(&local.expect("the local edit asks"), Reply::Always, None);
    let again = rig.answer(&[Reply::Reject]);
    rig.opencode.wait_idle(&session, PATIENCE);
    assert!(
        again[0].key.starts_with("remote_write prod-a:/etc/motd"),
        "{again:?}"
    );
    assert_eq!(rig.ran(), Vec::<Value>::new());
}

#[test]
fn always_for_a_command_covers_that_command_only() {
    let rig = Rig::start(
        allowing_all(),
        vec![
            exec("touch /tmp/x"),
            exec("touch /tmp/x"),
            exec("touch /tmp/y"),
        ],
    );
    let (_, asked) = rig.play_answering(&[Reply::Always, Reply::Reject]);
    assert_eq!(asked[0].always, ["prod-a: touch /tmp/x"]);
    assert_eq!(asked[1].patterns, ["prod-a: touch /tmp/y"]);
    let by: Vec<Value> = rig
        .answers()
        .iter()
        .map(|answer| answer["by"].clone())
        .collect();
    assert_eq!(by, ["person", "always", "person"]);
    assert_eq!(rig.ran().len(), 2);
}

#[test]
fn always_remembers_nothing_where_the_text_would_be_a_wildcard() {
    let rig = Rig::start(allowing_all(), vec![exec("rm /tmp/*"), exec("rm /tmp/*")]);
    let (_, asked) = rig.play_answering(&[Reply::Always, Reply::Reject]);
    assert_eq!(asked[0].always, Vec::<String>::new());
    assert_eq!(rig.ran().len(), 1);
}

#[test]
fn a_persons_rules_count_and_a_projects_do_not() {
    let rules =
        json!({"remote_exec": {"*": "ask", "prod-a: touch *": "allow", "prod-a: rm *": "deny"}});
    let steps = vec![
        exec("touch /tmp/x"),
        exec("touch /tmp/x; rm /tmp/y"),
        exec("rm /tmp/y"),
    ];

    let persons = OpenCodeOptions {
        global_config: json!({"permission": rules}),
        ..OpenCodeOptions::default()
    };
    let rig = Rig::start(persons, steps.clone());
    // The compound command also matches the rule, and is asked all the same.
    let (_, asked) = rig.play_answering(&[Reply::Once]);
    assert_eq!(asked[0].patterns, ["prod-a: touch /tmp/x; rm /tmp/y"]);
    let answers = rig.answers();
    let rule = r#"{"remote_exec":{"prod-a: touch *":"allow"}}"#;
    assert_eq!(
        answers[0],
        json!({"answer": "granted", "by": "rule", "rule": rule})
    );
    assert_eq!(answers[2]["answer"], "denied");
    assert_eq!(rig.ran().len(), 2);

    let projects = OpenCodeOptions {
        project_config: json!({"permission": rules}),
        ..OpenCodeOptions::default()
    };
    let rig = Rig::start(projects, steps);
    rig.play_answering(&[Reply::Once, Reply::Once]);
    // A project may forbid.
    assert_eq!(rig.answers()[2]["answer"], "denied");
}

#[test]
fn no_key_a_project_can_write_silences_a_question() {
    for key in ["remote_exec *", "remote_exec ?*", "remote_*", "*"] {
        let options = OpenCodeOptions {
            project_config: json!({
                "permission": {key: "allow"},
                "agent": {"build": {"permission": {key: {"*": "allow"}}}},
            }),
            ..OpenCodeOptions::default()
        };
        let rig = Rig::start(options, vec![exec("touch /tmp/x")]);
        rig.play_answering(&[Reply::Reject]);
        assert_eq!(rig.ran(), Vec::<Value>::new(), "{key}");
    }
}

#[test]
fn a_planner_changes_nothing() {
    let rig = Rig::start(
        allowing_all(),
        vec![
            exec("cat /etc/hostname"),
            exec("touch /tmp/x"),
            write("/etc/motd"),
        ],
    );
    let session = rig.opencode.new_session();
    rig.opencode.prompt_as(&session, "plan", "Do it.");
    rig.opencode.wait_idle(&session, PATIENCE);
    assert_eq!(rig.opencode.questions(), Vec::<Value>::new());
    let commands: Vec<Value> = rig.ran().iter().map(|run| run["command"].clone()).collect();
    assert_eq!(commands, ["cat /etc/hostname"]);
    let told = rig.model.tool_results();
    assert!(
        told[1].contains("plan mode") && told[2].contains("plan mode"),
        "{told:?}"
    );
}

#[test]
fn a_local_shell_command_that_names_openshell_asks() {
    let bash = |command: &str| Step::tool("bash", json!({"command": command, "description": "x"}));
    let rig = Rig::start(
        allowing_all(),
        vec![
            bash("echo free"),
            bash("openshell call remote_exec '{}' --yes"),
        ],
    );
    let (_, asked) = rig.play_answering(&[Reply::Reject]);
    assert_eq!(asked[0].key, "bash");
    assert!(asked[0].patterns[0].contains("openshell call"), "{asked:?}");
}

#[test]
fn a_command_too_long_to_show_is_refused() {
    let long = format!("touch /tmp/{}", "x".repeat(900));
    let rig = Rig::start(allowing_all(), vec![exec(&long)]);
    rig.play();
    assert_eq!(rig.ran(), Vec::<Value>::new());
    let told = rig.model.tool_results();
    assert!(told[0].contains("too long to be shown whole"), "{told:?}");
}

#[test]
fn a_planners_subagent_changes_nothing_either() {
    let options = OpenCodeOptions {
        project_config: json!({
            "permission": {"*": "allow"},
            "agent": {"worker": {"description": "Works.", "mode": "subagent", "prompt": "Work."}},
        }),
        ..OpenCodeOptions::default()
    };
    let task = Step::tool(
        "task",
        json!({"description": "x", "prompt": "Do it.", "subagent_type": "worker"}),
    );
    let steps = vec![
        task,
        exec("touch /tmp/x"),
        Step::text("Tried."),
        Step::text("Over."),
    ];
    let rig = Rig::start(options, steps);
    let session = rig.opencode.new_session();
    rig.opencode.prompt_as(&session, "plan", "Do it.");
    rig.opencode.wait_idle(&session, PATIENCE);
    assert_eq!(rig.opencode.questions(), Vec::<Value>::new());
    assert_eq!(rig.ran(), Vec::<Value>::new());
    assert_eq!(rig.answers().len(), 1);
    assert_eq!(rig.answers()[0]["answer"], "denied");
}
