//! Commands: from the permit to what can be said of their end.
//!
//! A command runs in a task of its own, which records the outcome even when nobody
//! waits for it any more. Invariant: no command begins without a permit that fits it,
//! and whatever may have started is never begun a second time. How a shell on the
//! server is spoken to is `ssh::exec`'s business.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::action::{Action, Ending, Facts};
use super::call::Call;
use super::envelope::LeftRunning;
use super::failure::{ended, failure};
use super::fit::clip;
use super::permit::{ExecPlan, Permit, Plan};
use crate::approvals::escape_line;
use crate::engine::contract::{self, Ended, ExecResult, Failure, FailureCode, Output, Printed};
use crate::fault::{self, Point};
use crate::journal::{Durability, Redactor};
use crate::spool::Rest;
use crate::ssh::{
    self, Connection, End, ExecOutcome, ExecRequest, LeftProcess, Pool, SshError, Watch,
};

/// Longest command line of a process left behind in a sentence, in bytes of JSON:
/// sixteen of them are a sentence still.
const LEFT_COMMAND_MAX: usize = 300;
impl Call {
    /// Runs a command.
    pub(crate) async fn run(&self, permit: Permit) -> Result<ExecResult, Failure> {
        self.check_permit(&permit)?;
        let Permit {
            action,
            plan,
            verdict,
            operation,
            connection,
            ..
        } = permit;
        let Plan::Exec(plan) = plan else {
            return Err(self.misused("The permit is not for a command."));
        };
        let changes = !plan.unasked;
        if changes && !action.claim_change() {
            return Err(self.misused("The action has changed something already."));
        }
        action.attempt(&verdict, &operation, changes).await?;
        let run = Run {
            cancel: self.cancel().clone(),
            pool: self.resources().pool().clone(),
            redactor: self.resources().redactor()?,
            watch: Watch {
                printed: Arc::clone(&self.meter().printed),
                spool: if plan.keep_rest {
                    Some(self.resources().spool()?)
                } else {
                    None
                },
            },
            repeatable: self.request().key.is_some(),
        };
        // The task owns the command: it goes on, and settles, whatever becomes of
        // the guest that asked for it.
        let owned = tokio::spawn(async move {
            let result = run.to_the_end(&action, connection, plan).await;
            fault::reach(Point::EffectDone);
            if changes {
                let ending = match &result {
                    Ok(_) => Ending::ok(),
                    Err(failure) => Ending::failed(failure),
                };
                action.settle(ending, Durability::Synced).await;
            }
            result
        });
        owned.await.unwrap_or_else(|error| {
            Err(failure(
                FailureCode::OutcomeUnknown,
                format!("The task that ran the command ended early: {error}."),
                "Find out what the state is before doing anything again.",
            ))
        })
    }
}

/// What a running command needs besides its plan.
struct Run {
    cancel: CancellationToken,
    pool: Pool,
    redactor: Redactor,
    watch: Watch,
    /// Whether the same call may be made again, which is then answered from the record.
    repeatable: bool,
}

impl Run {
    /// Starts the command. A connection that turns out dead before anything was
    /// sent is dialled once more; whatever may have started is never repeated.
    async fn start(
        &self,
        action: &Action,
        connection: Arc<Connection>,
        request: ExecRequest,
    ) -> Result<ExecOutcome, Failure> {
        let first = connection
            .exec_watched(request.clone(), self.watch.clone(), self.cancel.clone())
            .await;
        let (Err(SshError::ConnectionLost { started: false }), Some(target)) =
            (&first, action.target())
        else {
            return Ok(first?);
        };
        let again = self.pool.connection(target).await?;
        // The permit was for a server with this key.
        if again.host_key() != connection.host_key() {
            return Ok(first?);
        }
        Ok(again
            .exec_watched(request, self.watch.clone(), self.cancel.clone())
            .await?)
    }

    /// Runs a command to its end and notes what is known of it.
    async fn to_the_end(
        &self,
        action: &Action,
        connection: Arc<Connection>,
        plan: ExecPlan,
    ) -> Result<ExecResult, Failure> {
        let timeout = plan.timeout;
        let request = ExecRequest {
            program: plan.program,
            cwd: plan.cwd,
            timeout,
            head_limit: plan.keep.0,
            tail_limit: plan.keep.1,
            mark: Some(action.id().to_owned()),
        };
        let mut outcome = self.start(action, connection, request).await?;
        if plan.as_others {
            outcome.end = without_proof(outcome.end);
        }
        for process in &mut outcome.left {
            process.command = self.redactor.text(&process.command);
        }
        if let Some(spool) = self.watch.spool.as_ref().filter(|_| self.repeatable) {
            let rest = Rest {
                stdout: outcome.stdout.kept.clone(),
                stderr: outcome.stderr.kept.clone(),
            };
            // Without it a repetition does not say how the output is read, no more.
            let _ = spool.note(action.id(), &rest);
        }
        action.note_facts(|facts| note_outcome(facts, &outcome));
        conclude(outcome, timeout)
    }
}

/// What can be said of a command of which parts run as another account: such
/// processes take no signal from the login's, leave its process group where sudo
/// gives them a terminal of their own, and show nothing, so an empty group proves
/// nothing.
fn without_proof(end: End) -> End {
    match end {
        End::TimedOut(ssh::Ended::GroupGone) => End::TimedOut(ssh::Ended::MayRun),
        End::Cancelled(ssh::Ended::GroupGone) => End::Cancelled(ssh::Ended::MayRun),
        other => other,
    }
}

/// What the guest is told of a command that was started.
fn conclude(outcome: ExecOutcome, timeout: Duration) -> Result<ExecResult, Failure> {
    let output = Output {
        stdout: printed(&outcome.stdout),
        stderr: printed(&outcome.stderr),
        duration_ms: millis(outcome.duration),
    };
    let running = name_left(&outcome.left);
    let stopped = |code, what: String, process: ssh::Ended| {
        let (state, fate) = match (process, &running) {
            (ssh::Ended::GroupGone, _) => {
                (Ended::GroupGone, "its process group is gone".to_owned())
            }
            (ssh::Ended::MayRun, Some(running)) => {
                (Ended::MayRun, format!("still running: {running}"))
            }
            (ssh::Ended::MayRun, None) => {
                (Ended::MayRun, "part of it may still be running".to_owned())
            }
        };
        let next = match process {
            ssh::Ended::GroupGone => {
                "What it did until then stands; look at the state before running it again."
            }
            ssh::Ended::MayRun => "Look at the processes on the server before anything else.",
        };
        let mut stopped = ended(failure(code, format!("{what}; {fate}."), next), state);
        stopped.output = Some(output.clone());
        Err(stopped)
    };
    match outcome.end {
        End::Exit(status) => Ok(ExecResult {
            exit_code: Some(status),
            signal: None,
            output,
            note: note(outcome.note.as_deref(), running.as_deref()),
        }),
        End::Signal(name) => Ok(ExecResult {
            exit_code: None,
            signal: Some(name),
            output,
            note: note(outcome.note.as_deref(), running.as_deref()),
        }),
        End::TimedOut(process) => stopped(
            FailureCode::ExecTimeout,
            format!(
                "The command did not end within {} ms and was ended",
                millis(timeout)
            ),
            process,
        ),
        End::Cancelled(process) => stopped(
            FailureCode::Cancelled,
            "The call was given up and the command was ended".to_owned(),
            process,
        ),
        End::Lost => {
            let mut lost: Failure = ssh::SshError::ConnectionLost { started: true }.into();
            lost.output = Some(output);
            Err(lost)
        }
    }
}

/// The processes a command left, for a sentence; none where there are none.
pub(super) fn name_left(left: &[LeftProcess]) -> Option<String> {
    let names: Vec<String> = left
        .iter()
        .map(|process| {
            let mut command = escape_line(&process.command);
            clip(&mut command, LEFT_COMMAND_MAX);
            format!("{} `{command}`", process.pid)
        })
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn note(note: Option<&str>, running: Option<&str>) -> Option<String> {
    match (note, running) {
        (Some(note), Some(running)) => Some(format!("{note}; still running: {running}")),
        (None, Some(running)) => Some(format!("still running: {running}")),
        (note, None) => note.map(str::to_owned),
    }
}

fn note_outcome(facts: &mut Facts, outcome: &ExecOutcome) {
    let execution = &mut facts.execution;
    execution.completed = matches!(outcome.end, End::Exit(_) | End::Signal(_));
    execution.exit_code = match outcome.end {
        End::Exit(status) => Some(status),
        _ => None,
    };
    execution.stdout_bytes = Some(outcome.stdout.total);
    execution.stderr_bytes = Some(outcome.stderr.total);
    execution.stdout_truncated = Some(is_cut(&outcome.stdout));
    execution.stderr_truncated = Some(is_cut(&outcome.stderr));
    execution.duration_ms = Some(execution.duration_ms.unwrap_or(0) + millis(outcome.duration));
    execution.left_running = outcome
        .left
        .iter()
        .map(|process| LeftRunning {
            pid: process.pid,
            command: escape_line(&process.command),
        })
        .collect();
    facts.note = note(outcome.note.as_deref(), name_left(&outcome.left).as_deref());
    facts.group = (outcome.end == End::Lost).then_some(outcome.group);
    facts.ended = match &outcome.end {
        End::TimedOut(ssh::Ended::GroupGone) | End::Cancelled(ssh::Ended::GroupGone) => {
            Some("group-gone")
        }
        End::TimedOut(ssh::Ended::MayRun) | End::Cancelled(ssh::Ended::MayRun) | End::Lost => {
            Some("may-run")
        }
        End::Exit(_) | End::Signal(_) => None,
    };
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn is_cut(printed: &ssh::Printed) -> bool {
    printed.total > (printed.head.len() + printed.tail.len()) as u64
}

fn printed(printed: &ssh::Printed) -> Printed {
    Printed {
        head: printed.head.clone(),
        tail: printed.tail.clone(),
        total: printed.total,
        kept: printed.kept.as_ref().map(|kept| contract::Kept {
            id: kept.id.clone(),
            bytes: kept.bytes,
        }),
    }
}
