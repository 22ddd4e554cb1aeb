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
use super::permit::{Permit, Plan, path_operation};
use super::resources::SNAPSHOT_MAX;
use crate::approvals::{Change, Matter, describe_change, escape_line};
use crate::engine::contract::{
    Base, Decision, Failure, FailureCode, Request, Verdict, WriteSpec, Written,
};
use crate::journal::{self, Durability};
use crate::registry::MasterKey;
use crate::snapshots::{ChangeOf, FileState, SealError, Sealer, Snapshots};
use crate::ssh::{self, Attrs, Connection, Expected, Sftp, SftpError};

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
        }
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

/// Seals what the policy calls secret before it becomes part of a repository.
pub(super) struct KeySealer(pub(super) Arc<MasterKey>);

impl Sealer for KeySealer {
    fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.0
            .seal(context, plain)
            .map_err(|error| SealError::new(error.to_string()))
    }

    fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.0
            .open(context, sealed)
            .map(|plain| plain.to_vec())
            .map_err(|error| SealError::new(error.to_string()))
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
                SftpError::NoSuchFile { .. } => failure(
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
        Err(SftpError::NoSuchFile { .. }) => return Ok(None),
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
            .judge(action, Request::ReadPath(requested.to_owned()), None, resolved)?
            .decision
            != Decision::AutoAllow;
        let name = format!("{}:{}", action.server(), escape_line(&path));
        let plan = WritePlan::new(&name, path, before, after, secret);
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
        self.ask_about(action, &connection, &verdict, &plan, &operation)
            .await?;
        let sealer = self.sealer(&plan).await?;
        let commit = self.snapshot_before(action, &plan, sealer).await?;
        operation.snapshot = Some(commit);
        let plan = Plan::Write(Box::new(plan));
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    async fn ask_about(
        &self,
        action: &Action,
        connection: &Connection,
        verdict: &Verdict,
        plan: &WritePlan,
        operation: &journal::Operation,
    ) -> Result<(), Failure> {
        let shown = escape_line(&plan.path);
        let matter = match &plan.after {
            Some(after) => {
                let sftp = connection.sftp().await?;
                let ids = after.ids.or_else(|| {
                    plan.before
                        .as_ref()
                        .map(|present| (present.attrs.uid, present.attrs.gid))
                });
                Matter::Write {
                    path: shown,
                    change: plan.change.clone(),
                    not_atomic: !sftp.can_replace(&plan.path, ids).await,
                }
            }
            None => Matter::Remove {
                path: shown,
                change: plan.change.clone(),
            },
        };
        self.consent(action, verdict, matter, operation).await
    }

    async fn sealer(&self, plan: &WritePlan) -> Result<Option<KeySealer>, Failure> {
        Ok(if plan.secret {
            Some(KeySealer(self.resources().master_key().await?))
        } else {
            None
        })
    }

    async fn snapshot_before(
        &self,
        action: &Action,
        plan: &WritePlan,
        sealer: Option<KeySealer>,
    ) -> Result<String, Failure> {
        let snapshots = self.resources().snapshots()?;
        let change = self.change_of(action, plan);
        let state = file_state(plan.before.as_ref());
        let kept = blocking(move || {
            let sealer = sealer.as_ref().map(|sealer| sealer as &dyn Sealer);
            snapshots.before(&change, &state, sealer)
        })
        .await?;
        Ok(kept?.commit)
    }

    fn change_of(&self, action: &Action, plan: &WritePlan) -> ChangeOf {
        ChangeOf {
            server: action.server().to_owned(),
            path: plan.path.clone(),
            tool: self.request().tool.clone(),
            action: action.id().to_owned(),
            session: self.request().session.clone(),
        }
    }

    /// Writes (or removes) the file a permit is for.
    pub(crate) async fn write(&self, permit: Permit) -> Result<Written, Failure> {
        permit.check()?;
        let Permit {
            action,
            plan,
            verdict,
            operation,
            connection,
            ..
        } = permit;
        let Plan::Write(plan) = plan else {
            return Err(failure(
                FailureCode::PermitMisused,
                "The permit is not for writing.",
                "",
            ));
        };
        if !action.claim_change() {
            return Err(failure(
                FailureCode::PermitMisused,
                "The action has changed something already.",
                "",
            ));
        }
        if plan.is_unchanged() {
            action.note_facts(|facts| {
                facts.execution.completed = true;
                facts.sha256.clone_from(&plan.after_sha256);
                facts.note = Some("nothing to change".to_owned());
            });
            return Ok(unchanged(&plan));
        }
        let sealer = self.sealer(&plan).await?;
        let snapshots = self.resources().snapshots()?;
        let change = self.change_of(&action, &plan);
        action.attempt(&verdict, &operation, true).await?;
        // As with commands: the task owns the change and its record.
        let owned = tokio::spawn(async move {
            let started = std::time::Instant::now();
            let result = replace(&connection, &plan).await;
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
                let kept = snapshot_after(snapshots, change, &connection, &plan, sealer, done);
                let status = match kept.await {
                    Ok(()) => SnapshotStatus::Written,
                    Err(error) => {
                        action.note_facts(|facts| facts.note = Some(error));
                        SnapshotStatus::PartialFailure
                    }
                };
                action.note_facts(|facts| facts.snapshot = status);
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
    note: Option<String>,
}

async fn replace(connection: &Arc<Connection>, plan: &WritePlan) -> Result<Done, Failure> {
    let sftp = connection.sftp().await?;
    let expected = match &plan.before_sha256 {
        Some(sha256) => Expected::Sha256(sha256.clone()),
        None => Expected::Absent,
    };
    let Some(after) = &plan.after else {
        sftp.remove_expected(&plan.path, &expected).await?;
        return Ok(Done {
            atomic: true,
            note: None,
        });
    };
    let ids = after.ids.or_else(|| {
        plan.before
            .as_ref()
            .map(|present| (present.attrs.uid, present.attrs.gid))
    });
    let outcome = sftp
        .write_atomic(ssh::WritePlan {
            path: plan.path.clone(),
            content: after.content.clone(),
            mode: after.mode,
            ids,
            expected,
        })
        .await?;
    let mut notes = Vec::new();
    if !outcome.atomic {
        notes.push("The file was rewritten in place, because its owner or directory did not allow to replace it.");
    }
    if outcome.drifted {
        notes.push("Another change was made at the same moment; it was overwritten.");
    }
    Ok(Done {
        atomic: outcome.atomic,
        note: (!notes.is_empty()).then(|| notes.join(" ")),
    })
}

async fn snapshot_after(
    snapshots: Snapshots,
    change: ChangeOf,
    connection: &Arc<Connection>,
    plan: &WritePlan,
    sealer: Option<KeySealer>,
    _done: &Done,
) -> Result<(), String> {
    let state = match &plan.after {
        None => FileState::Absent,
        Some(after) => {
            // The attributes as the server has them now, so that drift is seen
            // against facts and not against what was asked for.
            let attrs = match connection.sftp().await {
                Ok(sftp) => sftp.stat(&plan.path).await.map_err(|error| error.to_string())?,
                Err(error) => return Err(error.to_string()),
            };
            file_state(Some(&Present {
                content: after.content.clone(),
                attrs,
            }))
        }
    };
    let kept = blocking(move || {
        let sealer = sealer.as_ref().map(|sealer| sealer as &dyn Sealer);
        snapshots.after(&change, &state, sealer)
    })
    .await
    .map_err(|failure| failure.message)?;
    kept.map(drop).map_err(|error| error.to_string())
}

/// A state as the snapshot store keeps it.
pub(super) fn file_state(present: Option<&Present>) -> FileState {
    match present {
        None => FileState::Absent,
        Some(present) => FileState::Present {
            content: present.content.clone(),
            mode: present.attrs.mode,
            uid: present.attrs.uid,
            gid: present.attrs.gid,
            mtime: present.attrs.mtime,
        },
    }
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
            note: Some("The file already is as asked; nothing was written.".to_owned()),
        },
    );
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
        note: done.note,
    }
}

/// Longest diff that is part of a result, in bytes.
const DIFF_FOR_MODEL: usize = 16 * 1024;
