//! One action: a tool call's work on one server, from intent to outcome.
//!
//! Invariant: an action has exactly one outcome line. The first part that knows how
//! it ended settles it (the effect's own task for a change, the end of the call for
//! everything else); later attempts to settle do nothing. What the policy says of
//! it is not asked here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ulid::Ulid;

use super::envelope::{Execution, SettledEarlier, SnapshotStatus};
use super::failure::code_name;
use crate::engine::contract::{Failure, FailureCode};
use crate::fault::{self, Point};
use crate::journal::{
    Answer, Approval, Attempt, Conclusion, Context, Decided, Durability, Event, Intent, Journal,
    JournalError, Lease, Note, Operation, Outcome, Receipt, Settlement,
};
use crate::registry::ServerView;
use crate::ssh::Target;

/// An action that is on record.
#[derive(Clone)]
pub struct Action {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    record: ServerView,
    /// Set once the record was proven; it holds the credential.
    target: OnceLock<Target>,
    journal: Journal,
    settled: AtomicBool,
    /// What this action alone may change until it is settled, by its name.
    leases: Mutex<Vec<(String, Lease)>>,
    /// Whether a change was begun, after which no other may be.
    changing: AtomicBool,
    last_seq: AtomicU64,
    facts: Mutex<Facts>,
}

/// What is known so far, for the outcome line and for the result.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) execution: Execution,
    pub(super) snapshot: SnapshotStatus,
    pub(super) sha256: Option<String>,
    /// Set when something could not be recorded although it happened.
    pub(super) unrecorded: Option<String>,
    pub(super) note: Option<String>,
    pub(super) ended: Option<&'static str>,
    /// Process group of a command whose end is not known.
    pub(super) group: Option<u32>,
    /// Earlier actions that were found out about.
    pub(super) settled: Vec<SettledEarlier>,
    /// Who agreed to what is done, once somebody did.
    pub(super) approved: Option<String>,
}

/// How a settled action ended.
pub(super) struct Ending {
    /// `ok`, `partial_failure`, `error` or `unknown`.
    pub(super) status: &'static str,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

impl Ending {
    pub(super) fn ok() -> Self {
        Self {
            status: "ok",
            code: None,
            message: None,
        }
    }

    /// It happened, and something that belongs to it did not.
    pub(super) fn partial(message: String) -> Self {
        Self {
            status: "partial_failure",
            code: None,
            message: Some(message),
        }
    }

    pub(super) fn failed(failure: &Failure) -> Self {
        Self {
            status: if failure.code == FailureCode::OutcomeUnknown {
                "unknown"
            } else {
                "error"
            },
            code: Some(code_name(failure.code)),
            message: Some(failure.message.clone()),
        }
    }

    /// The ending without any facts about an effect.
    pub(super) fn conclusion(self) -> Conclusion {
        Conclusion {
            status: self.status.to_owned(),
            code: self.code,
            message: self.message,
            ..Conclusion::default()
        }
    }
}

impl Action {
    /// Writes the intent; the action exists once that succeeded.
    pub(super) async fn open(
        journal: Journal,
        record: ServerView,
        mut intent: Intent,
    ) -> Result<Self, JournalError> {
        intent.context.action = Ulid::generate().to_string();
        intent.context.server = Some(record.id.as_str().to_owned());
        intent.context.scope = record.scope_name();
        let context = intent.context.clone();
        fault::reach(Point::IntentBefore);
        let receipt = journal
            .append(Event::Intent(intent), Durability::Buffered)
            .await?;
        fault::reach(Point::IntentDone);
        Ok(Self {
            inner: Arc::new(Inner {
                context,
                record,
                target: OnceLock::new(),
                journal,
                settled: AtomicBool::new(false),
                leases: Mutex::new(Vec::new()),
                changing: AtomicBool::new(false),
                last_seq: AtomicU64::new(receipt.seq),
                facts: Mutex::new(Facts::default()),
            }),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.inner.context.action
    }

    pub(super) fn record(&self) -> &ServerView {
        &self.inner.record
    }

    /// Keeps the proven way to the server.
    pub(super) fn prove(&self, target: Target) {
        // An action is proven once, right after it was opened.
        let _ = self.inner.target.set(target);
    }

    pub(super) fn target(&self) -> Option<&Target> {
        self.inner.target.get()
    }

    pub(super) fn server(&self) -> &str {
        self.inner.record.id.as_str()
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.inner.last_seq.load(Ordering::Acquire)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.inner.settled.load(Ordering::Acquire)
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn facts(&self) -> Facts {
        self.inner
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note_facts(&self, change: impl FnOnce(&mut Facts)) {
        change(
            &mut self
                .inner
                .facts
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Whether the action holds the lease of something.
    pub(super) fn holds(&self, subject: &str) -> bool {
        self.lock_leases().iter().any(|(held, _)| held == subject)
    }

    /// Keeps a lease until the outcome is on record.
    pub(super) fn hold(&self, subject: String, lease: Lease) {
        self.lock_leases().push((subject, lease));
    }

    fn lock_leases(&self) -> std::sync::MutexGuard<'_, Vec<(String, Lease)>> {
        self.inner
            .leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what was found out about an earlier action, durably.
    pub(super) async fn settlement(&self, settlement: Settlement) -> Result<(), JournalError> {
        let event = Event::Settled(settlement);
        self.append(event, Durability::Synced).await.map(drop)
    }

    /// Claims the action's one change; false when it was claimed before.
    pub(super) fn claim_change(&self) -> bool {
        !self.inner.changing.swap(true, Ordering::AcqRel)
    }

    async fn append(&self, event: Event, durability: Durability) -> Result<Receipt, JournalError> {
        let receipt = self.inner.journal.append(event, durability).await?;
        self.inner.last_seq.fetch_max(receipt.seq, Ordering::AcqRel);
        Ok(receipt)
    }

    /// Records how a question was answered.
    pub(super) async fn approval(
        &self,
        verdict: &Decided,
        answer: Answer,
        operation: Operation,
    ) -> Result<(), JournalError> {
        let event = Event::Approval(Approval {
            context: self.inner.context.clone(),
            verdict: Some(verdict.clone()),
            approval: answer,
            operation: Some(operation),
        });
        self.append(event, Durability::Buffered).await?;
        fault::reach(Point::ApprovalDone);
        Ok(())
    }

    /// Records that the effect is about to start; durable when it returns if the
    /// effect can change anything.
    pub(super) async fn attempt(
        &self,
        verdict: &Decided,
        operation: &Operation,
        changes: bool,
    ) -> Result<(), JournalError> {
        let durability = if changes {
            Durability::Synced
        } else {
            Durability::Buffered
        };
        let event = Event::Attempt(Attempt {
            context: self.inner.context.clone(),
            verdict: Some(verdict.clone()),
            operation: Operation {
                read_only: !changes,
                ..operation.clone()
            },
        });
        fault::reach(Point::AttemptBefore);
        self.append(event, durability).await?;
        fault::reach(Point::AttemptDone);
        self.note_facts(|facts| facts.execution.attempted = true);
        Ok(())
    }

    /// Records something a reader should know besides.
    pub(super) async fn remark(&self, text: String) -> Result<(), JournalError> {
        let event = Event::Note(Note {
            context: Some(self.inner.context.clone()),
            text,
        });
        self.append(event, Durability::Buffered).await.map(drop)
    }

    /// Writes the outcome, once. Failing to is a fact of the result, not an error:
    /// the effect has happened.
    pub(super) async fn settle(&self, ending: Ending, durability: Durability) {
        if self.inner.settled.swap(true, Ordering::AcqRel) {
            return;
        }
        let facts = self.facts();
        let execution = &facts.execution;
        let outcome = Conclusion {
            exit_code: execution.exit_code,
            stdout_bytes: execution.stdout_bytes,
            stderr_bytes: execution.stderr_bytes,
            duration_ms: execution.duration_ms,
            ended: facts.ended.map(str::to_owned),
            sha256: facts.sha256,
            group: facts.group,
            note: facts.note,
            ..ending.conclusion()
        };
        let event = Event::Outcome(Outcome {
            context: self.inner.context.clone(),
            outcome,
            operation: None,
        });
        fault::reach(Point::OutcomeBefore);
        let recorded = self.append(event, durability).await;
        fault::reach(Point::OutcomeDone);
        if let Err(error) = recorded {
            self.note_facts(|facts| {
                facts.unrecorded = Some(format!(
                    "The outcome could not be recorded yet and is tried again: {error}."
                ));
            });
        }
        // Whoever is next sees the outcome, so it can take its turn.
        self.lock_leases().clear();
    }
}
