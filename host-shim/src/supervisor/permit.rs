//! Permits: the right to do exactly one thing, once.
//!
//! Invariant: a permit is minted only after the policy, asked by the host itself in
//! an instance that cannot act, allowed the operation or a person agreed to it. The
//! permit *is* the operation: an effect takes nothing else, so what was judged and
//! shown is what runs. It expires, and it is consumed by its use. It carries
//! nothing out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::action::Action;
use super::as_root;
use super::call::Call;
use super::change::WritePlan;
use super::digest::Digester;
use super::failure::{failure, not_granted};
use super::fanout::Member;
use crate::approvals::{Answer, Answerer, Matter, Place, Question};
use crate::engine::contract::{
    Decision, Failure, FailureCode, Operation, ReadSpec, Request, Subject, Sudo, Verdict, WalkSpec,
};
use crate::journal;
use crate::registry;
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
    /// Whether parts of it run as another account, as far as the text shows.
    pub(super) as_others: bool,
    /// Bytes of standard output kept: from the start, and from the end.
    pub(super) keep: (usize, usize),
    /// Whether what is left out is kept for a while, to be read by its id.
    pub(super) keep_rest: bool,
}

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
        self.conduct().note(self.within_plan(&operation))?;
        let minted = match operation {
            Operation::Exec(spec) => Box::pin(self.permit_exec(action, spec)).await,
            Operation::Argv(spec) => Box::pin(self.permit_argv(action, spec)).await,
            Operation::Read(spec) => Box::pin(self.permit_read(action, spec)).await,
            Operation::Stat(path) => Box::pin(self.permit_stat(action, path)).await,
            Operation::Walk(spec) => Box::pin(self.permit_walk(action, spec)).await,
            Operation::Write(spec) => Box::pin(self.permit_write(action, spec)).await,
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
            sudo: Some(match record.sudo {
                registry::Sudo::Never => Sudo::Never,
                registry::Sudo::Ask => Sudo::Ask,
            }),
        };
        let verdict = self
            .supervisor()
            .judge()
            .classify(&subject, &self.rules()?.rulebook)?;
        self.within_access(action, verdict)
    }

    /// Applies how far the server is open at all. A rejection is a failure.
    pub(super) fn within_access(
        &self,
        action: &Action,
        mut verdict: Verdict,
    ) -> Result<Verdict, Failure> {
        let rules = self.rules()?;
        let record = action.record();
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
    /// and cannot be. On several servers it is here that each waits for its turn.
    pub(super) async fn require_asker(
        &self,
        action: &Action,
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        let asks = verdict.decision != Decision::AutoAllow;
        self.await_turn(asks).await?;
        if !asks {
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
            Answer::Kept => ("pending", Answerer::Unknown, &Answerer::Unknown),
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
            question: self.member().and_then(Member::question),
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
            return self.await_others().await;
        }
        let session = self.request().session.clone().unwrap_or_default();
        if !session.is_empty() && self.resources().was_rejected(&session, &operation.digest) {
            let answer = Answer::Rejected(Answerer::Person, None);
            if let Some(member) = self.member() {
                member.refuse(&answer);
            }
            let mut refused = not_granted(&answer);
            refused.message =
                "The person said no to exactly this earlier in this session.".to_owned();
            return Err(refused);
        }
        let record = action.record();
        let confirm = self.rules()?.access_to(action.server(), &record.labels).1;
        let question = Question {
            tool: self.request().tool.clone(),
            place: Place {
                server: action.server().to_owned(),
                host: record.host.clone(),
                port: record.port,
                user: record.user.clone(),
                labels: record.labels.clone(),
                scope: record.scope.as_str(),
            },
            run_as: verdict.run_as.clone(),
            matter,
            reason: verdict.reason.clone(),
            rule: verdict.rule.clone(),
            digest: operation.digest.clone(),
            expires_ms: EXPIRES.as_millis() as u64,
            presence: confirm == Confirm::Presence,
            fleet: Vec::new(),
            besides: Vec::new(),
        };
        let answer = unless_given_up(self.cancel(), self.answer(&question)).await;
        let answer = if verdict.run_as.is_empty() {
            answer
        } else {
            as_root::counts(answer, &question.matter)
        };
        self.record_answer(action, verdict, &answer, operation.clone())
            .await?;
        match answer {
            Answer::Granted(by) => {
                action.note_facts(|facts| facts.approved = Some(by.as_str().to_owned()));
                self.go_on().await
            }
            other => {
                if other == Answer::Kept {
                    self.standing().wait();
                }
                let by_person = matches!(
                    other,
                    Answer::Rejected(Answerer::Person | Answerer::OutOfBand, _)
                );
                // A no to several servers together is none to each of them alone.
                let several = self.member().and_then(Member::question).is_some();
                if by_person && !session.is_empty() && !several {
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
    async fn answer(&self, question: &Question) -> Answer {
        if !question.presence {
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
}

/// Waits for an answer as long as somebody wants it. Of a call that is given up
/// already nobody is asked.
pub(super) async fn unless_given_up(
    cancel: &CancellationToken,
    answer: impl Future<Output = Answer>,
) -> Answer {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Answer::Unanswered("the call was given up.".to_owned()),
        answer = answer => answer,
        () = tokio::time::sleep(EXPIRES) => {
            Answer::Unanswered("nobody answered within ten minutes.".to_owned())
        }
    }
}

/// The accounts of a verdict, as the journal keeps them.
pub(super) fn accounts(verdict: &Verdict) -> Option<String> {
    (!verdict.run_as.is_empty()).then(|| verdict.run_as.join(", "))
}

/// An operation on a path, for the journal.
pub(super) fn path_operation(kind: &str, path: &str) -> journal::Operation {
    journal::Operation {
        kind: kind.to_owned(),
        path: Some(path.to_owned()),
        ..journal::Operation::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn of_a_call_that_was_given_up_nobody_is_asked() {
        let asked = AtomicUsize::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            Answer::Granted(Answerer::Person)
        };
        let cancel = CancellationToken::new();
        let answer = unless_given_up(&cancel, ask()).await;
        assert_eq!(answer, Answer::Granted(Answerer::Person));
        cancel.cancel();
        // Often enough that no order of looking passes by luck.
        for _ in 0..100 {
            let answer = unless_given_up(&cancel, ask()).await;
            assert!(matches!(answer, Answer::Unanswered(_)));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
