//! Changing a file: what is there, what the person sees, the snapshot before,
//! the write itself, the snapshot after.
//!
//! Invariants: the content before is durable before the attempt is recorded, and
//! the attempt before anything is sent; a write is bound to the hash of what it
//! was compared with, so a file that changed in between is a conflict and stays
//! as it is.

use std::sync::Arc;

use super::action::{Action, Ending};
use super::call::Call;
use super::digest::sha256;
use super::envelope::SnapshotStatus;
use super::failure::failure;
use super::keep::{Keeper, file_state, keep_after};
use super::permit::{Permit, Plan, path_operation};
use super::resources::SNAPSHOT_MAX;
use crate::approvals::{Change, Matter, describe_change, escape_line};
use crate::engine::contract::{
    Base, Decision, Failure, FailureCode, Request, Verdict, WriteSpec, Written,
};
use crate::fault::{self, Point};
use crate::journal::{self, Durability, Leftover};
use crate::ssh::{self, Attrs, Connection, Drift, Expect, Sftp, SftpError, SshError, WriteKind};

/// Mode of a new file when none was asked for.
const NEW_FILE_MODE: u32 = 0o644;

/// A file as it is on the server.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) content: Vec<u8>,
    pub(super) attrs: Attrs,
}

/// A change that was compared with what is there.
pub(super) struct WritePlan {
    /// Where it goes, with every symbolic link followed.
    pub(super) path: String,
    /// What is there now.
    pub(super) before: Option<Present>,
    /// What it becomes; none removes the file.
    pub(super) after: Option<After>,
    /// For the person, and for the result.
    pub(super) change: Change,
    /// Whether the policy calls the content secret.
    pub(super) secret: bool,
    /// How it will be written, as the person was told.
    pub(super) kind: WriteKind,
    /// What a file that replaces the other is called until it is complete.
    pub(super) temporary: String,
    pub(super) before_sha256: Option<String>,
    pub(super) after_sha256: Option<String>,
}

/// The content and mode a file gets.
#[derive(Debug, Clone)]
pub(super) struct After {
    pub(super) content: Vec<u8>,
    pub(super) mode: u32,
    /// Owner and group to give it; none keeps those of the file before.
    pub(super) ids: Option<(u32, u32)>,
}

impl WritePlan {
    fn new(
        name: &str,
        path: String,
        before: Option<Present>,
        after: Option<After>,
        secret: bool,
    ) -> Self {
        let change = describe_change(
            name,
            before
                .as_ref()
                .map(|present| (present.content.as_slice(), present.attrs.mode)),
            after
                .as_ref()
                .map(|after| (after.content.as_slice(), after.mode)),
        );
        Self {
            before_sha256: before.as_ref().map(|present| sha256(&present.content)),
            after_sha256: after.as_ref().map(|after| sha256(&after.content)),
            path,
            before,
            after,
            change,
            secret,
            kind: WriteKind::Atomic,
            temporary: String::new(),
        }
    }

    /// Owner and group the file shall have.
    fn ids(&self) -> Option<(u32, u32)> {
        self.after.as_ref()?.ids.or_else(|| {
            self.before
                .as_ref()
                .map(|present| (present.attrs.uid, present.attrs.gid))
        })
    }

    /// Whether the file is already as it should become.
    fn is_unchanged(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                self.before_sha256 == self.after_sha256
                    && before.attrs.mode == after.mode
                    && after
                        .ids
                        .is_none_or(|ids| ids == (before.attrs.uid, before.attrs.gid))
            }
            (None, None) => true,
            _ => false,
        }
    }
}

/// Resolves the name a write goes to; the file itself may be missing, its
/// directory may not.
pub(super) async fn resolve(sftp: &Sftp, path: &str) -> Result<String, Failure> {
    if sftp.lstat(path).await.is_ok() {
        // A dangling link would be created at its target; OpenSSH resolves that.
        return Ok(sftp.realpath(path).await?);
    }
    let trimmed = path.trim_end_matches('/');
    let (directory, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
    if name.is_empty() || name == "." || name == ".." {
        return Err(failure(
            FailureCode::NotAFile,
            format!("{path} does not name a file."),
            "Give the path of a file.",
        ));
    }
    let directory = if directory.is_empty() { "/" } else { directory };
    match sftp.stat(directory).await {
        Ok(attrs) if attrs.kind == ssh::FileKind::Directory => {}
        Ok(_) => {
            return Err(failure(
                FailureCode::NotADirectory,
                format!("{directory} is not a directory."),
                "",
            ));
        }
        Err(error) => {
            return Err(match error {
                SshError::Sftp(SftpError::NoSuchFile { .. }) => failure(
                    FailureCode::FileNotFound,
                    format!("The directory {directory} does not exist."),
                    "Create it first with remote_exec.",
                ),
                other => other.into(),
            });
        }
    }
    let directory = sftp.realpath(directory).await?;
    Ok(format!("{}/{name}", directory.trim_end_matches('/')))
}

/// Reads a file as it is; none when there is none.
pub(super) async fn present(sftp: &Sftp, path: &str) -> Result<Option<Present>, Failure> {
    let attrs = match sftp.stat(path).await {
        Ok(attrs) => attrs,
        Err(SshError::Sftp(SftpError::NoSuchFile { .. })) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if attrs.kind != ssh::FileKind::File {
        return Err(failure(
            FailureCode::NotAFile,
            format!("{path} is there and is not a regular file."),
            "Only regular files are written.",
        ));
    }
    if attrs.size > SNAPSHOT_MAX {
        return Err(failure(
            FailureCode::TooLarge,
            format!(
                "{path} has {} bytes; what is replaced must be kept, and that is done up to \
                 {SNAPSHOT_MAX} bytes.",
                attrs.size
            ),
            "Change it with a command through remote_exec; such a change cannot be undone here.",
        ));
    }
    let (content, attrs) = sftp.read_whole(path, SNAPSHOT_MAX).await?;
    Ok(Some(Present { content, attrs }))
}

impl Call {
    pub(super) async fn permit_write(
        &self,
        action: &Action,
        spec: WriteSpec,
    ) -> Result<Permit, Failure> {
        let verdict = self.judge(action, Request::WritePath(spec.path.clone()), None, None)?;
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;
        let sftp = connection.sftp().await?;
        let path = resolve(&sftp, &spec.path).await?;
        let before = present(&sftp, &path).await?;
        check_base(&spec, before.as_ref())?;
        let mode = spec.mode.unwrap_or_else(|| {
            before
                .as_ref()
                .map_or(NEW_FILE_MODE, |present| present.attrs.mode)
        });
        let after = After {
            content: spec.content,
            mode,
            ids: None,
        };
        self.permit_change(action, connection, &spec.path, path, before, Some(after))
            .await
    }

    /// The rest of the way to a permit for any change of a file: verdict on the
    /// resolved name, question with the diff, snapshot of what is there.
    pub(super) async fn permit_change(
        &self,
        action: &Action,
        connection: Arc<Connection>,
        requested: &str,
        path: String,
        before: Option<Present>,
        after: Option<After>,
    ) -> Result<Permit, Failure> {
        let resolved = (path != requested).then_some(path.as_str());
        let verdict = self.judge(
            action,
            Request::WritePath(requested.to_owned()),
            None,
            resolved,
        )?;
        let secret = self
            .judge(
                action,
                Request::ReadPath(requested.to_owned()),
                None,
                resolved,
            )?
            .decision
            != Decision::AutoAllow;
        let name = format!("{}:{}", action.server(), escape_line(&path));
        let mut plan = WritePlan::new(&name, path, before, after, secret);
        let mut operation = path_operation("write", &plan.path);
        operation.base_sha256.clone_from(&plan.before_sha256);
        operation.new_sha256.clone_from(&plan.after_sha256);
        operation.digest = self
            .digester("write", action, &connection)
            .text("path", &plan.path)
            .optional("base", plan.before_sha256.as_deref())
            .optional("new", plan.after_sha256.as_deref())
            .number(
                "mode",
                plan.after
                    .as_ref()
                    .map_or(u64::MAX, |after| u64::from(after.mode)),
            )
            .finish();
        if plan.is_unchanged() {
            // Nothing would be sent, so there is nothing to agree to.
            let plan = Plan::Write(Box::new(plan));
            return Ok(Permit::new(action, connection, plan, &verdict, operation));
        }
        if plan.after.is_some() {
            let account = connection.account().await?;
            let sftp = connection.sftp().await?;
            (plan.kind, _) = sftp.write_plan_kind(&plan.path, &account).await?;
            if plan.kind == WriteKind::Atomic {
                plan.temporary = ssh::temporary_name()?;
                operation.temporary = Some(plan.temporary.clone());
            }
        }
        self.ask_about(action, &verdict, &plan, &operation).await?;
        let keeper = self.keeper(action, &plan)?;
        let state = file_state(plan.before.as_ref());
        let kept = blocking(move || keeper.before(state)).await??;
        fault::reach(Point::KeptBefore);
        operation.snapshot = Some(kept);
        let plan = Plan::Write(Box::new(plan));
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    async fn ask_about(
        &self,
        action: &Action,
        verdict: &Verdict,
        plan: &WritePlan,
        operation: &journal::Operation,
    ) -> Result<(), Failure> {
        let path = escape_line(&plan.path);
        let change = plan.change.clone();
        let matter = match &plan.after {
            Some(_) => Matter::Write {
                path,
                change,
                not_atomic: plan.kind == WriteKind::InPlace,
            },
            None => Matter::Remove { path, change },
        };
        self.consent(action, verdict, matter, operation).await
    }

    fn keeper(&self, action: &Action, plan: &WritePlan) -> Result<Keeper, Failure> {
        Ok(Keeper {
            snapshots: self.resources().snapshots()?,
            server: action.server().to_owned(),
            path: plan.path.clone(),
            tool: self.request().tool.clone(),
            action: action.id().to_owned(),
            session: self.request().session.clone(),
            secret: plan.secret,
        })
    }

    /// Writes (or removes) the file a permit is for.
    pub(crate) async fn write(&self, permit: Permit) -> Result<Written, Failure> {
        self.check_permit(&permit)?;
        let Permit {
            action,
            plan,
            verdict,
            operation,
            connection,
            ..
        } = permit;
        let Plan::Write(plan) = plan else {
            return Err(self.misused("The permit is not for writing."));
        };
        if !action.claim_change() {
            return Err(self.misused("The action has changed something already."));
        }
        if plan.is_unchanged() {
            action.note_facts(|facts| {
                facts.execution.completed = true;
                facts.sha256.clone_from(&plan.after_sha256);
                facts.note = Some("nothing to change".to_owned());
            });
            return Ok(unchanged(&plan));
        }
        let keeper = self.keeper(&action, &plan)?;
        action.attempt(&verdict, &operation, true).await?;
        // As with commands: the task owns the change and its record.
        let owned = tokio::spawn(async move {
            let started = std::time::Instant::now();
            let result = replace(&connection, &plan).await;
            fault::reach(Point::EffectDone);
            let result = match result {
                Ok(done) => Ok(done),
                Err(broken) => {
                    if broken.left_behind {
                        note_leftover(&action, &plan).await;
                    }
                    Err(broken.failure)
                }
            };
            action.note_facts(|facts| {
                facts.execution.duration_ms = Some(started.elapsed().as_millis() as u64);
                facts.execution.completed = result.is_ok();
                facts.sha256.clone_from(&plan.after_sha256);
            });
            let ending = match &result {
                Ok(_) => Ending::ok(),
                Err(failure) => Ending::failed(failure),
            };
            if let Ok(done) = &result {
                let status = match keep_after(keeper, &connection, &plan, done.drift.as_ref()).await
                {
                    Ok(()) => SnapshotStatus::Written,
                    Err(error) => {
                        action.note_facts(|facts| facts.note = Some(error));
                        SnapshotStatus::PartialFailure
                    }
                };
                action.note_facts(|facts| facts.snapshot = status);
                fault::reach(Point::KeptAfter);
            }
            action.settle(ending, Durability::Synced).await;
            result.map(|done| written(&plan, done))
        });
        owned.await.unwrap_or_else(|error| {
            Err(failure(
                FailureCode::OutcomeUnknown,
                format!("The task that wrote the file ended early: {error}."),
                "Read the file to see what it holds.",
            ))
        })
    }
}

fn check_base(spec: &WriteSpec, before: Option<&Present>) -> Result<(), Failure> {
    let conflict = |what: &str| {
        Err(failure(
            FailureCode::Conflict,
            format!("{} {what}; nothing was written.", spec.path),
            "Read the file again and decide anew.",
        ))
    };
    match (&spec.base, before) {
        (Base::Current, _) | (Base::Absent, None) => Ok(()),
        (Base::Absent, Some(_)) => conflict("exists by now"),
        (Base::Sha256(_), None) => conflict("is gone by now"),
        (Base::Sha256(expected), Some(present)) if *expected == sha256(&present.content) => Ok(()),
        (Base::Sha256(_), Some(_)) => conflict("has changed in the meantime"),
    }
}

/// What the server did.
struct Done {
    atomic: bool,
    drift: Option<Drift>,
}

impl Done {
    fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if !self.atomic {
            notes.push("The file was rewritten in place, because it could not be replaced.");
        }
        match self.drift {
            None => {}
            Some(Drift::Overwritten(_)) => notes.push(
                "Somebody else changed the file at the same moment; that change was overwritten \
                 and is kept in the history.",
            ),
            Some(Drift::Replaced(_)) => notes.push(
                "Somebody else changed the file right afterwards; it holds their content now.",
            ),
            Some(Drift::Unreadable(_)) => {
                notes.push("The file could not be read back to check what it holds.");
            }
        }
        (!notes.is_empty()).then(|| notes.join(" "))
    }
}

/// Why a change did not come about.
struct Broken {
    failure: Failure,
    /// Whether its temporary file may still be on the server.
    left_behind: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            left_behind: false,
        }
    }
}

impl From<SshError> for Broken {
    fn from(error: SshError) -> Self {
        Self {
            left_behind: matches!(error, SshError::Sftp(SftpError::LeftBehind { .. })),
            failure: error.into(),
        }
    }
}

/// Has the next use of the server look for the temporary file. Where that cannot
/// be noted, the journal cannot be written either, and the call says so.
async fn note_leftover(action: &Action, plan: &WritePlan) {
    let leftover = Leftover {
        action: action.id().to_owned(),
        server: action.server().to_owned(),
        path: plan.path.clone(),
        temporary: plan.temporary.clone(),
        since: jiff::Timestamp::now(),
    };
    let journal = action.journal().clone();
    let _ = blocking(move || journal.note_leftover(&leftover)).await;
}

async fn replace(connection: &Arc<Connection>, plan: &WritePlan) -> Result<Done, Broken> {
    let sftp = connection.sftp().await?;
    let Some(after) = &plan.after else {
        remove(&sftp, plan).await?;
        return Ok(Done {
            atomic: true,
            drift: None,
        });
    };
    let outcome = sftp
        .write_atomic(&ssh::WritePlan {
            path: plan.path.clone(),
            content: after.content.clone(),
            mode: after.mode,
            owner: plan.ids(),
            expect: match &plan.before_sha256 {
                Some(sha256) => Expect::Sha256(sha256.clone()),
                None => Expect::Absent,
            },
            kind: plan.kind,
            temporary: plan.temporary.clone(),
        })
        .await?;
    Ok(Done {
        atomic: outcome.atomic,
        drift: outcome.drift,
    })
}

/// Removes a file that is still what the person was shown.
async fn remove(sftp: &Sftp, plan: &WritePlan) -> Result<(), Failure> {
    let now = present(sftp, &plan.path).await?;
    let now = now.as_ref().map(|present| sha256(&present.content));
    if now != plan.before_sha256 {
        return Err(failure(
            FailureCode::Conflict,
            format!(
                "{} has changed in the meantime; it was not removed.",
                plan.path
            ),
            "Look at the file and decide anew.",
        ));
    }
    Ok(sftp.remove(&plan.path).await?)
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        failure(
            FailureCode::Internal,
            format!("A worker ended early: {error}."),
            "",
        )
    })
}

fn unchanged(plan: &WritePlan) -> Written {
    let mut result = written(
        plan,
        Done {
            atomic: true,
            drift: None,
        },
    );
    result.note = Some("The file already is as asked; nothing was written.".to_owned());
    result.unchanged = true;
    result.diff = None;
    result
}

fn written(plan: &WritePlan, done: Done) -> Written {
    let (bytes, mode) = plan
        .after
        .as_ref()
        .map_or((0, 0), |after| (after.content.len() as u64, after.mode));
    Written {
        resolved: plan.path.clone(),
        created: plan.before.is_none(),
        unchanged: false,
        bytes,
        mode,
        atomic: done.atomic,
        sha256: plan.after_sha256.clone().unwrap_or_default(),
        previous_sha256: plan.before_sha256.clone(),
        // A secret the person agreed to overwrite is still not the model's to read.
        diff: plan
            .change
            .diff
            .clone()
            .filter(|diff| !plan.secret && diff.len() <= DIFF_FOR_MODEL),
        note: done.note(),
    }
}

/// Longest diff that is part of a result, in bytes.
const DIFF_FOR_MODEL: usize = 16 * 1024;
