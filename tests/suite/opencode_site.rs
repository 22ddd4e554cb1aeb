//! OpenCode with the real helper, an installation of it and a real SSH server.
//!
//! It tests nothing itself. The server is this machine, so a test looks at its
//! files and processes directly, and at the journal through the command line.
//!
//! Invariant of the fixture: the account's own OpenCode and openshell are neither
//! read nor changed.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use openshell_tests::{
    Asked, Cli, OpenCode, OpenCodeOptions, Reply, ScriptedModel, Sshd, SshdOptions, Step, binary,
};
use serde_json::{Value, json};

/// How long something may take to come. Several OpenCodes at once take a busy machine a
/// minute for one step; only a hang takes longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// A server `a`, an installation that knows it, and OpenCode.
pub(crate) struct Site {
    pub(crate) cli: Cli,
    pub(crate) server: Sshd,
    pub(crate) model: ScriptedModel,
    pub(crate) opencode: OpenCode,
    files: PathBuf,
}

/// What happened in one turn.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) session: String,
    pub(crate) asked: Vec<Asked>,
    /// What the model was told its calls resulted in.
    pub(crate) told: Vec<String>,
}

impl Site {
    pub(crate) fn start(mut options: OpenCodeOptions) -> Self {
        let server = Sshd::start(&SshdOptions::default());
        let cli = Cli::new();
        cli.enrol(&server, "a");
        options.env.extend(helper_env(&cli));
        let model = ScriptedModel::start(Vec::new());
        let opencode = OpenCode::start(&options, &model);
        let files = cli.files();
        Self {
            cli,
            server,
            model,
            opencode,
            files,
        }
    }

    /// Absolute name of a file on the server, as a tool gets it.
    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.files.join(name);
        path.to_str().expect("temporary paths are UTF-8").to_owned()
    }

    pub(crate) fn put(&self, name: &str, content: &str) -> String {
        fs::write(self.files.join(name), content).expect("the directory is the test's own");
        self.path(name)
    }

    pub(crate) fn content(&self, name: &str) -> String {
        fs::read_to_string(self.files.join(name)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.files.join(name).exists()
    }

    /// Has the model play these steps in a new session, with an answer to each
    /// question.
    pub(crate) fn turn(&self, steps: Vec<Step>, replies: &[Reply]) -> Turn {
        let session = self.opencode.new_session();
        self.turn_in(&session, "build", steps, replies)
    }

    pub(crate) fn turn_in(
        &self,
        session: &str,
        agent: &str,
        steps: Vec<Step>,
        replies: &[Reply],
    ) -> Turn {
        self.begin(session, agent, steps);
        let answer = |reply: &Reply| {
            let asked = self.opencode.wait_permission(PATIENCE);
            self.opencode.reply(&asked, *reply, None);
            asked
        };
        let asked = replies.iter().map(answer).collect();
        self.finish(session, asked)
    }

    /// Starts a turn and returns at once.
    pub(crate) fn begin(&self, session: &str, agent: &str, steps: Vec<Step>) {
        for step in steps {
            self.model.then(step);
        }
        self.opencode.prompt_as(session, agent, "Do it.");
    }

    /// Waits for a turn's end.
    pub(crate) fn finish(&self, session: &str, asked: Vec<Asked>) -> Turn {
        self.opencode.wait_idle(session, PATIENCE);
        Turn {
            session: session.to_owned(),
            asked,
            told: self.model.tool_results(),
        }
    }

    /// The journal's last sequence number.
    pub(crate) fn mark(&self) -> u64 {
        let records = self.cli.records();
        let last = records.last().and_then(|record| record["seq"].as_u64());
        last.unwrap_or_default()
    }

    /// What the journal says happened since, one short line a record.
    pub(crate) fn recorded_since(&self, mark: u64) -> Vec<String> {
        let records = self.cli.records().into_iter();
        let new = records.filter(|record| record["seq"].as_u64() > Some(mark));
        new.map(|record| line(&record)).collect()
    }

    /// Whether the record is whole; every test ends with it.
    pub(crate) fn verify(&self) {
        let verified = self.cli.run(["audit", "verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
}

/// What OpenCode's environment has to say for the helper to be found and to work
/// in an installation.
pub(crate) fn helper_env(cli: &Cli) -> Vec<(String, String)> {
    let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
    let command = cli.command([""; 0]);
    command
        .get_envs()
        .filter_map(|(name, value)| Some((text(name), text(value?))))
        .filter(|(name, _)| name.starts_with("OPENSHELL_"))
        .chain([(
            "OPENSHELL_BIN".to_owned(),
            binary().to_string_lossy().into_owned(),
        )])
        .collect()
}

fn line(record: &Value) -> String {
    let event = record["event"].as_str().unwrap_or_default();
    let words: &[&Value] = match event {
        "intent" => &[&record["tool"]],
        "approval" => &[&record["approval"]["answer"], &record["approval"]["by"]],
        "attempt" => &[&record["operation"]["kind"]],
        "outcome" if record["outcome"]["code"].is_null() => &[&record["outcome"]["status"]],
        "outcome" => &[&record["outcome"]["code"]],
        _ => &[],
    };
    let words = words.iter().filter_map(|word| word.as_str());
    [event]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

pub(crate) fn exec(command: &str) -> Step {
    Step::tool("remote_exec", json!({"server": "a", "command": command}))
}

pub(crate) fn write(path: &str, content: &str) -> Step {
    Step::tool(
        "remote_write_file",
        json!({"server": "a", "path": path, "content": content}),
    )
}

/// OpenCode's own shell.
pub(crate) fn bash(command: &str) -> Step {
    Step::tool("bash", json!({"command": command, "description": "x"}))
}

/// A duration for `sleep` that no other process has.
pub(crate) fn odd_seconds() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970");
    format!("300.{}{}", now.subsec_nanos(), std::process::id())
}

/// Process ids whose command line has this word, this process's own excepted.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("proc(5) is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        *pid != std::process::id() && words_of(*pid).iter().any(|known| known == word)
    })
    .collect()
}

/// The helper that an OpenCode started.
pub(crate) fn helper_of(opencode: &OpenCode) -> Option<u32> {
    let parent = format!("PPid:\t{}", opencode.pid());
    processes_with("bridge").into_iter().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    })
}

// A process that ended in between has no words.
fn words_of(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}
