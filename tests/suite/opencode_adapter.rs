//! The adapter inside the real OpenCode, with a helper that only pretends.
//!
//! It tests what a real helper cannot be made to do at will, and OpenCode's own
//! ways of passing a question silently. What reaches a server is tested in
//! `opencode_remote`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use openshell_tests::{
    Asked, OPENCODE_VERSION, OpenCode, OpenCodeOptions, Reply, ScriptedModel, Step, adapter_dir,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// OpenCode with the pretending helper, and the record of what that "ran".
struct Rig {
    log: TempDir,
    model: ScriptedModel,
    opencode: OpenCode,
}

impl Rig {
    fn start(mut options: OpenCodeOptions, steps: Vec<Step>) -> Self {
        let log = tempfile::tempdir().expect("a temporary directory");
        options.env.push((
            "FAKE_LOG".to_owned(),
            log.path().join("log").display().to_string(),
        ));
        if options.plugin == OpenCodeOptions::default().plugin {
            options.plugin = json!([adapter_dir(), {"command": command()}]);
        }
        let model = ScriptedModel::start(steps);
        let opencode = OpenCode::start(&options, &model);
        Self {
            log,
            model,
            opencode,
        }
    }

    /// Has the model play its script; the turn is over when this returns.
    fn play(&self) -> String {
        let session = self.opencode.new_session();
        self.opencode.prompt(&session, "Do it.");
        self.opencode.wait_idle(&session, PATIENCE);
        session
    }

    /// The same, with one answer to each question.
    fn play_answering(&self, answers: &[Reply]) -> (String, Vec<Asked>) {
        let session = self.opencode.new_session();
        self.opencode.prompt(&session, "Do it.");
        let asked = self.answer(answers);
        self.opencode.wait_idle(&session, PATIENCE);
        (session, asked)
    }

    fn answer(&self, answers: &[Reply]) -> Vec<Asked> {
        let answer = |reply: &Reply| {
            let asked = self.opencode.wait_permission(PATIENCE);
            self.opencode.reply(&asked, *reply, None);
            asked
        };
        answers.iter().map(answer).collect()
    }

    fn entries(&self, field: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.log.path().join("log")).unwrap_or_default();
        let entries = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("the helper writes JSON lines"));
        entries.filter(|entry| !entry[field].is_null()).collect()
    }

    fn ran(&self) -> Vec<Value> {
        self.entries("ran")
    }

    fn answers(&self) -> Vec<Value> {
        let entries = self.entries("answer").into_iter();
        entries.map(|entry| entry["answer"].clone()).collect()
    }
}

fn command() -> Value {
    json!(["node", fake_helper()])
}

fn fake_helper() -> PathBuf {
    adapter_dir().join("test/fake-helper.js")
}

fn exec(command: &str) -> Step {
    Step::tool(
        "remote_exec",
        json!({"server": "prod-a", "command": command}),
    )
}

fn write(path: &str) -> Step {
    Step::tool(
        "remote_write_file",
        json!({"server": "prod-a", "path": path, "content": "one\ntwo\n"}),
    )
}

fn allowing_all() -> OpenCodeOptions {
    OpenCodeOptions {
        project_config: json!({"permission": {"*": "allow"}}),
        ..OpenCodeOptions::default()
    }
}

#[test]
fn the_installed_opencode_is_the_pinned_one() {
    assert_eq!(OpenCode::version(), OPENCODE_VERSION);
}

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
    assert_eq!(asked[0].metadata["filepath"], "prod-a:/etc/motd (new file)");
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
    assert_eq!(answers[0], json!({"answer": "granted", "by": "rule"}));
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
    assert_eq!(
        offered["parameters"]["properties"]["timeout_ms"]["type"],
        "integer"
    );
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
    assert_eq!(rig.answers()[0]["answer"], "rejected");
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
