//! The effects that do not write files: commands, reads, metadata, walks.
//!
//! Each consumes its permit, records the attempt first, and reports what the server
//! said. A command runs in a task of its own, which records the outcome even when
//! nobody waits for it any more. Invariant: no effect begins without a permit that
//! fits it, and none is begun a second time. Writing files is deliberately
//! elsewhere.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::action::{Action, Ending, Facts};
use super::call::Call;
use super::digest::sha256;
use super::envelope::LeftRunning;
use super::failure::{ended, failure};
use super::fit::clip;
use super::permit::{ExecPlan, Permit, Plan};
use crate::approvals::escape_line;
use crate::engine::contract::{
    self, Content, Ended, ExecResult, Failure, FailureCode, FileInfo, FileKind, Listing, Output,
    Printed, ReadSpec, StatResult,
};
use crate::fault::{self, Point};
use crate::journal::{Durability, Redactor};
use crate::snapshots::LARGEST;
use crate::spool::Rest;
use crate::ssh::{
    self, Connection, End, ExecOutcome, ExecRequest, LeftProcess, Pool, SftpError, SshError, Watch,
};

/// Longest command line of a process left behind in a sentence, in bytes of JSON:
/// sixteen of them are a sentence still.
const LEFT_COMMAND_MAX: usize = 300;
/// Directories below the root that a walk goes down to.
const WALK_DEPTH_MAX: usize = 64;

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

    /// Reads a piece of a file.
    pub(crate) async fn read(&self, permit: Permit) -> Result<Content, Failure> {
        self.check_permit(&permit)?;
        let Plan::Read(spec) = &permit.plan else {
            return Err(self.misused("The permit is not for reading."));
        };
        self.begin_read(&permit).await?;
        if spec.sudo {
            return self.read_as_root(&permit, spec).await;
        }
        let sftp = self.sftp(&permit.connection).await?;
        self.settle_before_reading(&permit.action, &permit.connection, &sftp, &spec.path)
            .await;
        let read = async {
            let length = u64::from(spec.length);
            match sftp.read_range(&spec.path, spec.offset, length).await {
                Err(SshError::Sftp(SftpError::NotAFile { .. })) => {
                    let kind = sftp.kind(&spec.path).await;
                    Err(not_a_file(&spec.path, kind.ok()))
                }
                other => other.map_err(Failure::from),
            }
        };
        let (bytes, attributes) = self.while_wanted(read).await?;
        // Files in /proc say 0 and have content all the same; where such a piece is
        // full, more may follow.
        let read_to = spec.offset + bytes.len() as u64;
        let full = bytes.len() == spec.length as usize;
        let total_size = if attributes.size < read_to && full {
            read_to + 1
        } else {
            attributes.size.max(read_to)
        };
        let whole = spec.offset == 0 && bytes.len() as u64 >= total_size;
        let sha256 = whole.then(|| sha256(&bytes));
        permit.action.note_facts(|facts| {
            facts.execution.completed = true;
            facts.sha256.clone_from(&sha256);
        });
        Ok(Content {
            bytes,
            offset: spec.offset,
            total_size,
            sha256,
            mode: attributes.mode,
        })
    }

    /// Reads metadata.
    pub(crate) async fn stat(&self, permit: Permit) -> Result<StatResult, Failure> {
        self.check_permit(&permit)?;
        let Plan::Stat(path) = &permit.plan else {
            return Err(self.misused("The permit is not for metadata."));
        };
        self.begin_read(&permit).await?;
        let looking = async {
            let sftp = permit.connection.sftp().await?;
            // Three questions in the time of one. OpenSSH resolves a dangling link to
            // a name; only the kind tells that nothing is there.
            let asked =
                futures::future::join3(sftp.lstat(path), sftp.kind(path), sftp.realpath(path));
            let (attributes, leads_to, name) = asked.await;
            let attributes = attributes?;
            let target = match attributes.kind {
                ssh::FileKind::Symlink => Some(sftp.readlink(path).await?),
                _ => None,
            };
            let resolved = match leads_to {
                Ok(_) => Some(name?),
                Err(_) => None,
            };
            Ok::<_, SshError>((attributes, target, resolved))
        };
        let (attributes, target, resolved) = self.while_wanted(looking).await?;
        permit
            .action
            .note_facts(|facts| facts.execution.completed = true);
        Ok(StatResult {
            info: FileInfo {
                path: path.clone(),
                kind: kind(attributes.kind),
                size: attributes.size,
                mode: attributes.mode,
                mtime: attributes.mtime,
                uid: attributes.uid,
                gid: attributes.gid,
                owner: attributes.owner,
                group: attributes.group,
                target,
            },
            resolved,
        })
    }

    /// Lists a directory or a tree.
    pub(crate) async fn walk(&self, permit: Permit) -> Result<Listing, Failure> {
        self.check_permit(&permit)?;
        let Plan::Walk(spec) = &permit.plan else {
            return Err(self.misused("The permit is not for listing."));
        };
        self.begin_read(&permit).await?;
        let sftp = self.sftp(&permit.connection).await?;
        let walk = self
            .while_wanted(sftp.walk(
                &spec.path,
                spec.recursive,
                spec.limit as usize,
                WALK_DEPTH_MAX,
            ))
            .await?;
        permit
            .action
            .note_facts(|facts| facts.execution.completed = true);
        Ok(Listing {
            entries: walk
                .entries
                .into_iter()
                .map(|entry| FileInfo {
                    path: entry.path,
                    kind: kind(entry.attrs.kind),
                    size: entry.attrs.size,
                    mode: entry.attrs.mode,
                    mtime: entry.attrs.mtime,
                    uid: entry.attrs.uid,
                    gid: entry.attrs.gid,
                    owner: entry.attrs.owner,
                    group: entry.attrs.group,
                    target: entry.target,
                })
                .collect(),
            cut: walk.cut,
            unreadable: walk.unreadable,
        })
    }

    /// Records that a read begins.
    async fn begin_read(&self, permit: &Permit) -> Result<(), Failure> {
        Ok(permit
            .action
            .attempt(&permit.verdict, &permit.operation, false)
            .await?)
    }

    /// Reads a piece of a file as root. It is read whole: it is a file that is about
    /// to be changed, and those are kept whole as well.
    async fn read_as_root(&self, permit: &Permit, spec: &ReadSpec) -> Result<Content, Failure> {
        let (_, present) = self
            .look_as_root(&permit.connection, &spec.path, LARGEST)
            .await?;
        let present = present.ok_or_else(|| {
            failure(
                FailureCode::FileNotFound,
                format!("{} does not exist.", spec.path),
                "Check the path.",
            )
        })?;
        let total_size = present.content.len() as u64;
        let from = usize::try_from(spec.offset.min(total_size)).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = present.content[from..]
            .iter()
            .take(spec.length as usize)
            .copied()
            .collect();
        let sha256 = (bytes.len() as u64 == total_size).then(|| sha256(&bytes));
        permit.action.note_facts(|facts| {
            facts.execution.completed = true;
            facts.sha256.clone_from(&sha256);
        });
        Ok(Content {
            bytes,
            offset: spec.offset,
            total_size,
            sha256,
            mode: present.attrs.mode,
        })
    }
}

/// Why something is not read, by what it is.
fn not_a_file(path: &str, kind: Option<ssh::FileKind>) -> Failure {
    if kind == Some(ssh::FileKind::Directory) {
        return failure(
            FailureCode::NotAFile,
            format!("{path} is a directory."),
            "remote_list_dir shows what is in it.",
        );
    }
    failure(
        FailureCode::NotAFile,
        format!("{path} is not a regular file."),
        "Devices, sockets and pipes are not read.",
    )
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

fn kind(kind: ssh::FileKind) -> FileKind {
    match kind {
        ssh::FileKind::File => FileKind::File,
        ssh::FileKind::Directory => FileKind::Directory,
        ssh::FileKind::Symlink => FileKind::Symlink,
        ssh::FileKind::Other => FileKind::Other,
    }
}
