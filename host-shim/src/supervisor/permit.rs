//! Permits: the right to do exactly one thing, once.
//!
//! Invariant: a permit is minted only after the policy, asked by the host itself
//! in an instance that cannot act, allowed the operation or a person agreed to
//! it. The permit *is* the operation: an effect takes nothing else, so what was
//! judged and shown is what runs. It expires, and it is consumed by its use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::action::Action;
use super::call::Call;
use super::digest::Digester;
use super::failure::{failure, not_granted};
use super::names::Names;
use super::write::WritePlan;
use crate::approvals::{
    Answer, Answerer, Matter, Question, SHOWN_CHARS_MAX, SHOWN_LINES_MAX, escape_line, escape_text,
};
use crate::engine::contract::{
    ArgvSpec, Decision, ExecSpec, Failure, FailureCode, Operation, ReadSpec, Request, Subject,
    Verdict, WalkSpec,
};
use crate::journal;
use crate::rules::{Confirm, Mode};
use crate::ssh::{Connection, Program};

/// How long an answer counts.
const EXPIRES: Duration = Duration::from_secs(600);

/// The right to do exactly one thing, once.
pub struct Permit {
    pub(super) action: Action,
    pub(super) plan: Plan,
    pub(super) verdict: journal::Decided,
    pub(super) operation: journal::Operation,
    pub(super) connection: Arc<Connection>,
    minted: Instant,
}

/// What a permit is for.
pub(super) enum Plan {
    Exec(ExecPlan),
    Read(ReadSpec),
    Stat(String),
    Walk(WalkSpec),
    Write(Box<WritePlan>),
}

/// A command, ready to be started.
pub(super) struct ExecPlan {
    pub(super) program: Program,
    pub(super) cwd: Option<String>,
    pub(super) timeout: Duration,
    /// Whether the policy allowed it unasked, and so considers it free of effects.
    pub(super) unasked: bool,
    /// Bytes of standard output kept: from the start, and from the end.
    pub(super) keep: (usize, usize),
}

/// What a model can read of a command's output, in bytes: OpenCode cuts a result
/// at 51,200 bytes, and escaping and the second stream need room.
const KEEP_FOR_MODEL: (usize, usize) = (20 * 1024, 10 * 1024);
/// What a tool reads of the output of its own search, in bytes.
const KEEP_FOR_TOOL: (usize, usize) = (1024 * 1024, 0);

impl Permit {
    pub(super) fn new(
        action: &Action,
        connection: Arc<Connection>,
        plan: Plan,
        verdict: &Verdict,
        operation: journal::Operation,
    ) -> Self {
        Self {
            action: action.clone(),
            plan,
            verdict: decided(verdict),
            operation,
            connection,
            minted: Instant::now(),
        }
    }

    /// Refuses a permit that is too old to be used.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.minted.elapsed() > EXPIRES {
            return Err(failure(
                FailureCode::ApprovalExpired,
                "The permission has expired; nothing was done.",
                "Make the call again.",
            ));
        }
        Ok(())
    }
}

/// A verdict as the journal keeps it.
pub(super) fn decided(verdict: &Verdict) -> journal::Decided {
    journal::Decided {
        decision: match verdict.decision {
            Decision::AutoAllow => "auto-allow",
            Decision::ApprovalRequired => "approval-required",
            Decision::Reject => "reject",
        }
        .to_owned(),
        rule: verdict.rule.clone(),
        reason: verdict.reason.clone(),
    }
}

impl Call {
    /// Judges an operation, asks where it must, and mints the permit.
    pub(crate) async fn permit(
        &self,
        action: &Action,
        operation: Operation,
    ) -> Result<Permit, Failure> {
        self.check_action(action)?;
        let minted = match operation {
            Operation::Exec(spec) => self.permit_exec(action, spec).await,
            Operation::Argv(spec) => self.permit_argv(action, spec).await,
            Operation::Read(spec) => self.permit_read(action, spec).await,
            Operation::Stat(path) => self.permit_stat(action, path).await,
            Operation::Walk(spec) => self.permit_walk(action, spec).await,
            Operation::Write(spec) => self.permit_write(action, spec).await,
        };
        self.conduct().note(minted)
    }

    /// Asks the policy. A rejection is a failure at once.
    pub(super) fn judge(
        &self,
        action: &Action,
        request: Request,
        cwd: Option<&str>,
        resolved: Option<&str>,
    ) -> Result<Verdict, Failure> {
        let record = action.record();
        let subject = Subject {
            request,
            server: action.server().to_owned(),
            tool: self.request().tool.clone(),
            labels: record.labels.clone(),
            cwd: cwd.map(str::to_owned),
            home: None,
            resolved: resolved.map(str::to_owned),
        };
        let rules = self.rules()?;
        let mut verdict = self
            .supervisor()
            .judge()
            .classify(&subject, &rules.rulebook)?;
        match rules.access_to(action.server(), &record.labels).0 {
            Mode::Off => {
                verdict.decision = Decision::Reject;
                verdict.rule = "access.off".to_owned();
                verdict.reason = "the operator has switched this server off".to_owned();
            }
            Mode::ReadOnly if verdict.decision == Decision::ApprovalRequired => {
                verdict.decision = Decision::Reject;
                verdict.rule = "access.read-only".to_owned();
                verdict.reason = format!(
                    "the operator has made this server read-only, and {}",
                    verdict.reason
                );
            }
            Mode::ReadOnly | Mode::Ask => {}
        }
        if verdict.decision == Decision::Reject {
            return Err(failure(
                FailureCode::PolicyRejected,
                format!("The policy rejects this: {}", verdict.reason),
                format!(
                    "Rule {} does not let anybody agree to it here; find another way.",
                    verdict.rule
                ),
            ));
        }
        Ok(verdict)
    }

    /// What every operation on this server is bound to, besides its own parts.
    pub(super) fn digester(
        &self,
        kind: &str,
        action: &Action,
        connection: &Connection,
    ) -> Digester {
        let record = action.record();
        Digester::new("openshell operation 1")
            .text("kind", kind)
            .text("server", action.server())
            .text("host", &record.host)
            .number("port", u64::from(record.port))
            .text("user", &record.user)
            .optional("jump", record.jump.as_ref().map(|jump| jump.as_str()))
            .text("host key", &connection.host_key().fingerprint())
            .text("scope", record.scope.as_str())
    }

    /// Fails early, before any connection, when a person would have to be asked
    /// and cannot be.
    pub(super) async fn require_asker(
        &self,
        action: &Action,
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        if verdict.decision == Decision::AutoAllow {
            return Ok(());
        }
        let Err(why) = self.asker().available() else {
            return Ok(());
        };
        let answer = Answer::Unanswered(why);
        self.record_answer(action, verdict, &answer, journal::Operation::default())
            .await?;
        let mut refused = not_granted(&answer);
        refused.message = format!("{} ({})", refused.message, verdict.reason);
        Err(refused)
    }

    async fn record_answer(
        &self,
        action: &Action,
        verdict: &Verdict,
        answer: &Answer,
        operation: journal::Operation,
    ) -> Result<(), Failure> {
        let (word, by, rule) = match answer {
            Answer::Granted(by) => ("granted", by.clone(), by),
            Answer::Rejected(by, _) => ("rejected", by.clone(), by),
            Answer::Unanswered(_) => ("unavailable", Answerer::Unknown, &Answerer::Unknown),
        };
        let rule = match rule {
            Answerer::Rule(rule) => Some(rule.clone()),
            _ => None,
        };
        let record = journal::Answer {
            answer: word.to_owned(),
            by: by.as_str().to_owned(),
            rule,
            digest: operation.digest.clone(),
        };
        Ok(action
            .approval(&decided(verdict), record, operation)
            .await?)
    }

    /// Puts the question where the verdict asks for one; success means go ahead.
    pub(super) async fn consent(
        &self,
        action: &Action,
        verdict: &Verdict,
        matter: Matter,
        operation: &journal::Operation,
    ) -> Result<(), Failure> {
        if verdict.decision == Decision::AutoAllow {
            return Ok(());
        }
        let session = self.request().session.clone().unwrap_or_default();
        if !session.is_empty() && self.resources().was_rejected(&session, &operation.digest) {
            let mut refused = not_granted(&Answer::Rejected(Answerer::Person, None));
            refused.message =
                "The person said no to exactly this earlier in this session.".to_owned();
            return Err(refused);
        }
        let record = action.record();
        let question = Question {
            tool: self.request().tool.clone(),
            server: action.server().to_owned(),
            host: record.host.clone(),
            port: record.port,
            user: record.user.clone(),
            labels: record.labels.clone(),
            scope: record.scope.as_str(),
            matter,
            reason: verdict.reason.clone(),
            rule: verdict.rule.clone(),
            digest: operation.digest.clone(),
            expires_ms: EXPIRES.as_millis() as u64,
        };
        let presence = self.rules()?.access_to(action.server(), &record.labels).1;
        let answer = tokio::select! {
            answer = self.answer(&question, presence) => answer,
            () = tokio::time::sleep(EXPIRES) => {
                Answer::Unanswered("nobody answered within ten minutes.".to_owned())
            }
            () = self.cancel().cancelled() => {
                Answer::Unanswered("the call was given up.".to_owned())
            }
        };
        self.record_answer(action, verdict, &answer, operation.clone())
            .await?;
        match answer {
            Answer::Granted(_) => Ok(()),
            other => {
                if matches!(other, Answer::Rejected(Answerer::Person, _)) && !session.is_empty() {
                    self.resources()
                        .remember_rejection(&session, &operation.digest);
                }
                if self.cancel().is_cancelled() {
                    return Err(failure(
                        FailureCode::Cancelled,
                        "The call was given up before anybody answered; nothing was done.",
                        "",
                    ));
                }
                Err(not_granted(&other))
            }
        }
    }

    /// Puts the question, and where the operator wants it has the person prove
    /// that it is them.
    async fn answer(&self, question: &Question, confirm: Confirm) -> Answer {
        if confirm == Confirm::Answer {
            return self.asker().ask(question).await;
        }
        let key = match self.resources().master_key().await {
            Ok(key) => key,
            Err(failure) => return Answer::Unanswered(failure.message),
        };
        match self.asker().ask(question).await {
            Answer::Granted(_) => self.asker().prove_presence(&key).await,
            other => other,
        }
    }

    async fn permit_exec(&self, action: &Action, spec: ExecSpec) -> Result<Permit, Failure> {
        let command = || Request::Command(spec.command.clone());
        let mut verdict = self.judge(action, command(), spec.cwd.as_deref(), None)?;
        if verdict.decision != Decision::AutoAllow {
            showable(&spec.command)?;
        }
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;

        let mut program = Program::Script(spec.command.clone());
        if verdict.decision == Decision::AutoAllow {
            match self
                .unasked_program(action, &spec, &verdict, &connection)
                .await?
            {
                Ok(unasked) => program = unasked,
                Err(stricter) => {
                    verdict = stricter;
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
            ..journal::Operation::default()
        };
        let matter = Matter::Command {
            shown: escape_text(&spec.command),
            raw: spec.command.clone(),
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
            unasked: verdict.decision == Decision::AutoAllow,
            keep: KEEP_FOR_MODEL,
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
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
            stages = named.expand(&verdict.stages, &verdict.globs).await?;
        }
        let resolved = named.resolve(&stages).await?;
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

    async fn permit_argv(&self, action: &Action, spec: ArgvSpec) -> Result<Permit, Failure> {
        let verdict = self.judge(action, Request::Argv(spec.argv.clone()), None, None)?;
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
            ..journal::Operation::default()
        };
        let matter = Matter::Command {
            shown: escape_text(&command),
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
            unasked: verdict.decision == Decision::AutoAllow,
            keep: KEEP_FOR_TOOL,
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    async fn permit_read(&self, action: &Action, spec: ReadSpec) -> Result<Permit, Failure> {
        let (connection, verdict, resolved) = self
            .permit_path(action, &spec.path, Request::ReadPath)
            .await?;
        let mut operation = path_operation("read", &resolved);
        operation.digest = self
            .digester("read", action, &connection)
            .text("path", &resolved)
            .number("offset", spec.offset)
            .number("length", u64::from(spec.length))
            .finish();
        self.consent_path(action, &verdict, &resolved, "content", &operation)
            .await?;
        let plan = Plan::Read(ReadSpec {
            path: resolved,
            ..spec
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    async fn permit_stat(&self, action: &Action, path: String) -> Result<Permit, Failure> {
        let (connection, verdict, resolved) =
            self.permit_path(action, &path, Request::StatPath).await?;
        let mut operation = path_operation("stat", &path);
        operation.digest = self
            .digester("stat", action, &connection)
            .text("path", &path)
            .finish();
        self.consent_path(action, &verdict, &resolved, "metadata", &operation)
            .await?;
        Ok(Permit::new(
            action,
            connection,
            Plan::Stat(path),
            &verdict,
            operation,
        ))
    }

    async fn permit_walk(&self, action: &Action, spec: WalkSpec) -> Result<Permit, Failure> {
        let (connection, verdict, resolved) = self
            .permit_path(action, &spec.path, Request::ListPath)
            .await?;
        let mut operation = path_operation("walk", &resolved);
        operation.digest = self
            .digester("walk", action, &connection)
            .text("path", &resolved)
            .number("recursive", u64::from(spec.recursive))
            .number("limit", u64::from(spec.limit))
            .finish();
        self.consent_path(action, &verdict, &resolved, "names", &operation)
            .await?;
        let plan = Plan::Walk(WalkSpec {
            path: resolved,
            ..spec
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    /// Judges a path as it was asked for and as it resolves on the server.
    async fn permit_path(
        &self,
        action: &Action,
        path: &str,
        request: fn(String) -> Request,
    ) -> Result<(Arc<Connection>, Verdict, String), Failure> {
        let verdict = self.judge(action, request(path.to_owned()), None, None)?;
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;
        let sftp = connection.sftp().await?;
        // A name that does not resolve is judged as it stands; the effect then
        // says that it is not there.
        let resolved = sftp
            .realpath(path)
            .await
            .unwrap_or_else(|_| path.to_owned());
        if resolved == path {
            return Ok((connection, verdict, resolved));
        }
        let verdict = self.judge(action, request(path.to_owned()), None, Some(&resolved))?;
        self.require_asker(action, &verdict).await?;
        Ok((connection, verdict, resolved))
    }

    async fn consent_path(
        &self,
        action: &Action,
        verdict: &Verdict,
        path: &str,
        what: &'static str,
        operation: &journal::Operation,
    ) -> Result<(), Failure> {
        let matter = Matter::Read {
            path: escape_line(path),
            what,
        };
        self.consent(action, verdict, matter, operation).await
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

/// An operation on a path, for the journal.
pub(super) fn path_operation(kind: &str, path: &str) -> journal::Operation {
    journal::Operation {
        kind: kind.to_owned(),
        path: Some(path.to_owned()),
        ..journal::Operation::default()
    }
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
