//! OpenCode with a helper that only pretends, for the suites about the adapter.
//!
//! It tests nothing itself. What the helper "ran" is what it wrote down; a
//! test that wants to see a real server uses the real helper.
//!
//! Invariant of the fixture: nothing is run but what the helper wrote down.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use openshell_tests::{Asked, OpenCode, OpenCodeOptions, Reply, ScriptedModel, Step, adapter_dir};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long something may take to come. Several OpenCodes at once take a busy machine a
/// minute for one step; only a hang takes longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// OpenCode with the pretending helper, and the record of what that "ran".
pub(crate) struct Rig {
    pub(crate) log: TempDir,
    pub(crate) model: ScriptedModel,
    pub(crate) opencode: OpenCode,
}

impl Rig {
    pub(crate) fn start(mut options: OpenCodeOptions, steps: Vec<Step>) -> Self {
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
    pub(crate) fn play(&self) -> String {
        let session = self.opencode.new_session();
        self.opencode.prompt(&session, "Do it.");
        self.opencode.wait_idle(&session, PATIENCE);
        session
    }

    /// The same, with one answer to each question.
    pub(crate) fn play_answering(&self, answers: &[Reply]) -> (String, Vec<Asked>) {
        let session = self.opencode.new_session();
        self.opencode.prompt(&session, "Do it.");
        let asked = self.answer(answers);
        self.opencode.wait_idle(&session, PATIENCE);
        (session, asked)
    }

    pub(crate) fn answer(&self, answers: &[Reply]) -> Vec<Asked> {
        let answer = |reply: &Reply| {
            let asked = self.opencode.wait_permission(PATIENCE);
            self.opencode.reply(&asked, *reply, None);
            asked
        };
        answers.iter().map(answer).collect()
    }

    pub(crate) fn entries(&self, field: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.log.path().join("log")).unwrap_or_default();
        let entries = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("the helper writes JSON lines"));
        entries.filter(|entry| !entry[field].is_null()).collect()
    }

    pub(crate) fn ran(&self) -> Vec<Value> {
        self.entries("ran")
    }

    pub(crate) fn answers(&self) -> Vec<Value> {
        let entries = self.entries("answer").into_iter();
        entries.map(|entry| entry["answer"].clone()).collect()
    }
}

pub(crate) fn command() -> Value {
    json!(["node", fake_helper()])
}

pub(crate) fn fake_helper() -> PathBuf {
    adapter_dir().join("test/fake-helper.js")
}

pub(crate) fn exec(command: &str) -> Step {
    Step::tool(
        "remote_exec",
        json!({"server": "prod-a", "command": command}),
    )
}

pub(crate) fn write(path: &str) -> Step {
    Step::tool(
        "remote_write_file",
        json!({"server": "prod-a", "path": path, "content": "one\ntwo\n"}),
    )
}

pub(crate) fn allowing_all() -> OpenCodeOptions {
    OpenCodeOptions {
        project_config: json!({"permission": {"*": "allow"}}),
        ..OpenCodeOptions::default()
    }
}
