//! Judges one command line and, where the policy allows it, runs it.
//!
//! Invariant: it does what the host does before a command runs unasked: patterns
//! become names, paths are followed, and the policy judges the results again. Only
//! what is still allowed then is run, with this machine's programs and busybox's.
//! Whether what happened is a finding is not decided here.

use std::io;
use std::time::Duration;

use openshell_plugin::policy::{
    Decision, Request, Rule, RuleOrigin, Rulebook, Subject, Verdict, classify,
};

use crate::findings;
use crate::names::HOME;
use crate::quirks;
use crate::sandbox::{BUSYBOX_PATH, SYSTEM_PATH, Sandbox};

/// How long a command is waited for first. Where that was too short it is run again
/// with more patience: a busy machine is no defect of the policy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Working directories, as a call may name them; none is the login directory.
const DIRECTORIES: &[Option<&str>] = &[
    Some("/work"),
    Some("/work"),
    Some("/work"),
    Some("/work/app"),
    Some("/etc"),
    Some("/root/.ssh"),
    Some("/"),
    None,
];

/// What became of a command line.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The program, its options and the number of other words, where it was allowed.
    pub(crate) shape: Option<String>,
    /// The programs that ran.
    pub(crate) executed: Vec<String>,
    pub(crate) findings: Vec<String>,
    /// It took longer than usual.
    pub(crate) slow: bool,
}

/// Tries commands, one after the other.
pub(crate) struct Attempts {
    sandbox: Sandbox,
    rulebook: Rulebook,
    patience: Duration,
}

impl Attempts {
    /// `planted` names programs of which everything is allowed, although it should
    /// not be: the policy is then wrong on purpose. What does not end within
    /// `patience` does not end.
    pub(crate) fn new(sandbox: Sandbox, planted: &[String], patience: Duration) -> Self {
        let rules = planted.iter().map(|program| Rule {
            id: format!("planted.{program}"),
            origin: RuleOrigin::Operator,
            servers: Vec::new(),
            labels: Vec::new(),
            tools: Vec::new(),
            prefix: vec![vec![program.clone()]],
            decision: Decision::AutoAllow,
            reason: "planted".to_owned(),
            overrides_catastrophe: false,
        });
        Self {
            sandbox,
            rulebook: Rulebook {
                rules: rules.collect(),
                ..Rulebook::default()
            },
            patience,
        }
    }

    /// Goes on in another sandbox.
    pub(crate) fn renew(&mut self, sandbox: Sandbox) {
        self.sandbox = sandbox;
    }

    fn judge(&self, request: Request, cwd: Option<&str>) -> Verdict {
        let subject = Subject {
            request,
            server: "sandbox".to_owned(),
            tool: "remote_exec".to_owned(),
            labels: Vec::new(),
            cwd: cwd.map(str::to_owned),
            // The host does not tell either.
            home: None,
            resolved: None,
            sudo: None,
        };
        classify(&subject, &self.rulebook)
    }

    /// Tries the `n`th command line.
    pub(crate) fn attempt(&mut self, n: u64, text: &str) -> io::Result<Outcome> {
        let mut outcome = Outcome::default();
        let cwd = DIRECTORIES[usize::try_from(n).unwrap_or(0) % DIRECTORIES.len()];
        let verdict = self.judge(Request::Command(text.to_owned()), cwd);
        let (Decision::AutoAllow, [words]) = (verdict.decision, verdict.stages.as_slice()) else {
            return Ok(outcome);
        };
        outcome.shape = Some(shape(words));
        let Some(argv) = self.settled(words, &verdict, cwd)? else {
            return Ok(outcome);
        };
        let program = argv[0].rsplit('/').next().unwrap_or(&argv[0]).to_owned();
        if is_left_out(&program) {
            return Ok(outcome);
        }
        let argv = as_program(argv);
        let name = argv[0].rsplit('/').next().unwrap_or(&argv[0]).to_owned();
        for (kind, path, programs) in [
            ("", SYSTEM_PATH, self.sandbox.system.contains(&name)),
            (
                "busybox: ",
                BUSYBOX_PATH,
                self.sandbox.busybox.contains(&name),
            ),
        ] {
            if !programs || path == BUSYBOX_PATH && argv[0].contains('/') {
                continue;
            }
            let found = self.run(&argv, path, cwd.unwrap_or(HOME), &mut outcome)?;
            let found = found.into_iter().map(|finding| format!("{kind}{finding}"));
            outcome.findings.extend(found);
            outcome.executed.push(format!("{kind}{program}"));
        }
        Ok(outcome)
    }

    fn run(
        &mut self,
        argv: &[String],
        path: &str,
        cwd: &str,
        outcome: &mut Outcome,
    ) -> io::Result<Vec<String>> {
        let mut run = self.sandbox.run(argv, path, cwd, PATIENCE)?;
        let mut found = findings::findings(argv, &run);
        let program = argv[0].rsplit('/').next().unwrap_or(&argv[0]);
        if run.timed_out {
            outcome.slow = true;
            if found.is_empty() && !quirks::may_take_long(program) && !quirks::walks(argv) {
                run = self.sandbox.run(argv, path, cwd, self.patience)?;
                found = findings::findings(argv, &run);
                let endless = "does not end";
                if run.timed_out && !quirks::is_harmless(program, endless) {
                    found.push(endless.to_owned());
                }
            }
        }
        Ok(found)
    }

    /// The final words, where they are allowed as well, and so is where they lead.
    fn settled(
        &mut self,
        words: &[String],
        verdict: &Verdict,
        cwd: Option<&str>,
    ) -> io::Result<Option<Vec<String>>> {
        let globs: Vec<usize> = verdict
            .globs
            .iter()
            .filter_map(|(_, at)| usize::try_from(*at).ok())
            .collect();
        let expanded = !globs.is_empty();
        let seen = self.sandbox.look(words, globs, cwd.unwrap_or(HOME))?;
        let again = expanded.then(|| seen.argv.clone());
        for words in again.into_iter().chain(seen.resolved) {
            if self.judge(Request::Argv(words), cwd).decision != Decision::AutoAllow {
                return Ok(None);
            }
        }
        Ok(Some(seen.argv))
    }
}

/// Commands whose effects on a shared machine cannot be kept in a sandbox, or that
/// only run where their daemon does.
fn is_left_out(program: &str) -> bool {
    // It runs the init scripts of the machine; their `status` is theirs.
    matches!(program, "service" | "rc-service" | "rc-status")
}

/// What only a shell has is asked of a shell (`supervisor/commands`).
fn as_program(argv: Vec<String>) -> Vec<String> {
    let script = match argv[0].as_str() {
        "type" => "type \"$@\"",
        "command" => "command \"$@\"",
        "ulimit" => "ulimit \"$@\"",
        "umask" => "umask \"$@\"",
        _ => return argv,
    };
    ["/bin/sh", "-c", script, "sh"]
        .into_iter()
        .map(str::to_owned)
        .chain(argv.into_iter().skip(1))
        .collect()
}

/// The program, its options without values, and how many other words there are.
fn shape(words: &[String]) -> String {
    let mut options: Vec<&str> = words[1..]
        .iter()
        .filter(|word| word.starts_with('-'))
        .map(|word| word.split('=').next().unwrap_or(word))
        .collect();
    options.sort_unstable();
    options.dedup();
    let others = words.len() - 1 - options.len().min(words.len() - 1);
    format!("{} {} +{}", words[0], options.join(" "), others.min(4))
}
