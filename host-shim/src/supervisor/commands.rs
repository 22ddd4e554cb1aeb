//! Permits for commands: the literal words the policy allowed, or a command line
//! a person agreed to.
//!
//! Invariant: what runs unasked is exactly the words that were judged, after
//! patterns and links were judged as well; what is asked about can be shown whole.
//! It starts none of them.

use std::time::Duration;

use super::action::Action;
use super::call::Call;
use super::failure::failure;
use super::names::Names;
use super::permit::{ExecPlan, Permit, Plan, accounts};
use crate::approvals::{Matter, SHOWN_CHARS_MAX, SHOWN_LINES_MAX, escape_line, escape_text};
use crate::engine::contract::{
    ArgvSpec, Decision, ExecSpec, Failure, FailureCode, Request, Verdict,
};
use crate::journal;
use crate::ssh::{Connection, Program};

/// What a model can read of what a command prints, in bytes of JSON, from the start
/// and from the end; of standard error half as much. Both and the rest of the envelope
/// are less than the 51,200 bytes of a result that OpenCode keeps.
const KEEP_FOR_MODEL: (usize, usize) = (20 * 1024, 10 * 1024);
/// What a tool reads of the output of its own search, in bytes.
const KEEP_FOR_TOOL: (usize, usize) = (1024 * 1024, 0);

impl Call {
    pub(super) async fn permit_exec(
        &self,
        action: &Action,
        spec: ExecSpec,
    ) -> Result<Permit, Failure> {
        let command = || Request::Command(spec.command.clone());
        let mut verdict = self.judge(action, command(), spec.cwd.as_deref(), None)?;
        self.looks_only(&verdict)?;
        let segments: Vec<String> = verdict
            .segments
            .iter()
            .map(|text| escape_line(text))
            .collect();
        if verdict.decision != Decision::AutoAllow {
            showable(&spec.command)?;
        }
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;
        self.settle_commands(action, &connection).await?;

        let mut program = Program::Script(spec.command.clone());
        if verdict.decision == Decision::AutoAllow {
            match self
                .unasked_program(action, &spec, &verdict, &connection)
                .await?
            {
                Ok(unasked) => program = unasked,
                Err(stricter) => {
                    verdict = stricter;
                    self.looks_only(&verdict)?;
                    self.require_asker(action, &verdict).await?;
                }
            }
        }
        let operation = journal::Operation {
            kind: "exec".to_owned(),
            digest: self
                .digester("exec", action, &connection)
                .text("command", &spec.command)
                .optional("cwd", spec.cwd.as_deref())
                .text("shell", &action.record().shell)
                .number("timeout", u64::from(spec.timeout_ms))
                .finish(),
            host_key: Some(connection.host_key().fingerprint()),
            run_as: accounts(&verdict),
            ..journal::Operation::default()
        };
        let matter = Matter::Command {
            shown: escape_text(&spec.command),
            raw: spec.command.clone(),
            segments,
            cwd: spec.cwd.as_deref().map(escape_line),
            timeout_ms: spec.timeout_ms,
            simple: verdict.stages.len() == 1 && verdict.globs.is_empty(),
            shell: action.record().shell.clone(),
        };
        self.consent(action, &verdict, matter, &operation).await?;
        let plan = Plan::Exec(ExecPlan {
            program,
            cwd: spec.cwd,
            timeout: Duration::from_millis(u64::from(spec.timeout_ms)),
            unasked: self.changes_nothing(&verdict)?,
            as_others: !verdict.run_as.is_empty(),
            keep: KEEP_FOR_MODEL,
            keep_rest: true,
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    /// Whether the policy itself holds a command to be free of effects. What an
    /// operator's rule allows runs unasked as well, and may change anything.
    pub(super) fn changes_nothing(&self, verdict: &Verdict) -> Result<bool, Failure> {
        let by_rule = self.rules()?.rulebook.rules.iter();
        Ok(verdict.decision == Decision::AutoAllow
            && verdict.run_as.is_empty()
            && !by_rule.into_iter().any(|rule| rule.id == verdict.rule))
    }

    /// The program for a command the policy allowed unasked: its literal words,
    /// with file name patterns expanded and every name judged. The inner error is
    /// a stricter verdict that the expansion led to.
    async fn unasked_program(
        &self,
        action: &Action,
        spec: &ExecSpec,
        verdict: &Verdict,
        connection: &Connection,
    ) -> Result<Result<Program, Verdict>, Failure> {
        let mut stages = verdict.stages.clone();
        let named = Names::new(connection, spec.cwd.as_deref());
        if !verdict.globs.is_empty() {
            let expanding = named.expand(&verdict.stages, &verdict.globs);
            stages = self.while_wanted(expanding).await?;
        }
        let resolved = self.while_wanted(named.resolve(&stages)).await?;
        let expanded = (!verdict.globs.is_empty()).then_some(&stages);
        for stage in expanded.into_iter().flatten().chain(&resolved) {
            let judged = self.judge(
                action,
                Request::Argv(stage.clone()),
                spec.cwd.as_deref(),
                None,
            )?;
            if judged.decision != Decision::AutoAllow {
                return Ok(Err(judged));
            }
            self.looks_only(&judged)?;
        }
        let mut stages = stages.into_iter();
        match (stages.next(), stages.next()) {
            (Some(argv), None) => Ok(Ok(Program::Argv(as_program(argv)))),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(stages);
                Ok(Ok(Program::Script(pipeline(all))))
            }
            (None, _) => Err(failure(
                FailureCode::Internal,
                "The policy allowed a command without saying its words.",
                "",
            )),
        }
    }

    pub(super) async fn permit_argv(
        &self,
        action: &Action,
        spec: ArgvSpec,
    ) -> Result<Permit, Failure> {
        let verdict = self.judge(action, Request::Argv(spec.argv.clone()), None, None)?;
        self.looks_only(&verdict)?;
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;
        let command: Vec<String> = spec
            .argv
            .iter()
            .map(|word| shell_escape::unix::escape(word.into()).into_owned())
            .collect();
        let command = command.join(" ");
        if verdict.decision != Decision::AutoAllow {
            showable(&command)?;
        }
        let operation = journal::Operation {
            kind: "argv".to_owned(),
            digest: spec
                .argv
                .iter()
                .fold(
                    self.digester("argv", action, &connection),
                    |digest, word| digest.text("word", word),
                )
                .number("timeout", u64::from(spec.timeout_ms))
                .finish(),
            host_key: Some(connection.host_key().fingerprint()),
            run_as: accounts(&verdict),
            ..journal::Operation::default()
        };
        let matter = Matter::Command {
            shown: escape_text(&command),
            segments: vec![escape_line(&command)],
            raw: command,
            cwd: None,
            timeout_ms: spec.timeout_ms,
            simple: true,
            shell: "none".to_owned(),
        };
        self.consent(action, &verdict, matter, &operation).await?;
        let plan = Plan::Exec(ExecPlan {
            program: Program::Argv(spec.argv),
            cwd: None,
            timeout: Duration::from_millis(u64::from(spec.timeout_ms)),
            unasked: self.changes_nothing(&verdict)?,
            as_others: !verdict.run_as.is_empty(),
            keep: KEEP_FOR_TOOL,
            keep_rest: false,
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }
}

/// `type`, `command -v` and the like exist in shells only. They are asked of a
/// shell that starts in the same empty environment, so nothing of the account's
/// answers; the words go in as parameters and are not read as text.
fn as_program(argv: Vec<String>) -> Vec<String> {
    let script = match argv.first().map(String::as_str) {
        Some("type") => "type \"$@\"",
        Some("command") => "command \"$@\"",
        Some("ulimit") => "ulimit \"$@\"",
        Some("umask") => "umask \"$@\"",
        _ => return argv,
    };
    ["/bin/sh", "-c", script, "sh"]
        .map(str::to_owned)
        .into_iter()
        .chain(argv.into_iter().skip(1))
        .collect()
}

/// A pipeline of literal commands as a script: every word quoted, every command
/// found by `env` in a fixed path, so that nothing of an account's shell set-up
/// takes its place.
fn pipeline(stages: impl Iterator<Item = Vec<String>>) -> String {
    const ENVIRONMENT: &str =
        "env -i -- PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C";
    let stages: Vec<String> = stages
        .map(|argv| {
            let words: Vec<String> = as_program(argv)
                .into_iter()
                .map(|word| shell_escape::unix::escape(word.into()).into_owned())
                .collect();
            format!("{ENVIRONMENT} {}", words.join(" "))
        })
        .collect();
    stages.join(" | ")
}

/// Refuses a command that a dialog could not show whole.
fn showable(command: &str) -> Result<(), Failure> {
    let lines = command.lines().count();
    let characters = command.chars().count();
    if lines <= SHOWN_LINES_MAX && characters <= SHOWN_CHARS_MAX {
        return Ok(());
    }
    Err(failure(
        FailureCode::PolicyRejected,
        format!(
            "A command of {lines} lines and {characters} characters cannot be shown whole to the \
             person who must agree to it (at most {SHOWN_LINES_MAX} lines and {SHOWN_CHARS_MAX} \
             characters)."
        ),
        "Write it to a file with remote_write_file, then run that file.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_commands_that_a_dialog_shows_whole_are_asked_about() {
        assert!(showable("uptime").is_ok());
        assert!(showable(&"x\n".repeat(SHOWN_LINES_MAX)).is_ok());
        let long = "x".repeat(SHOWN_CHARS_MAX + 1);
        let tall = "x\n".repeat(SHOWN_LINES_MAX + 1);
        for command in [long, tall] {
            let refused = showable(&command).expect_err("too much to show");
            assert_eq!(refused.code, FailureCode::PolicyRejected);
        }
    }

    #[test]
    fn what_only_shells_have_is_asked_of_a_bare_shell() {
        assert_eq!(as_program(words("ls -l")), words("ls -l"));
        assert_eq!(
            as_program(words("type ls")),
            ["/bin/sh", "-c", "type \"$@\"", "sh", "ls"]
        );
    }

    #[test]
    fn every_word_of_a_pipeline_is_quoted() {
        let script = pipeline([words("cat /a;b"), words("wc -l")].into_iter());
        assert!(script.contains(" cat '/a;b' | env -i -- PATH="), "{script}");
        assert!(script.ends_with(" wc -l"), "{script}");
    }
}
