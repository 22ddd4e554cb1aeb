//! Changing a file: what is there, what the person sees, the snapshot before,
//! the write itself, the snapshot after.
//!
//! Invariants: the content before is durable before the attempt is recorded, and
//! the attempt before anything is sent; a write is bound to the hash of what it was
//! compared with, so a file that changed before the last look is a conflict and stays
//! as it is, and what slips in after that look is kept and reported. How bytes reach the server is left to `replace` and `as_root`.

use std::sync::Arc;

use super::action::{Action, Ending};
use super::as_root;
use super::call::Call;
use super::change::{After, Proposal, WritePlan};
use super::envelope::SnapshotStatus;
use super::failure::failure;
use super::keep::{Keeper, blocking, file_state, keep_after};
use super::permit::{Permit, Plan, accounts, path_operation};
use super::place::{check_base, check_size, present, resolve};
use super::replace::{replace, unchanged, written};
use crate::approvals::{Matter, escape_line};
use crate::engine::contract::{
    Decision, Failure, FailureCode, Request, Verdict, WriteSpec, Written,
};
use crate::fault::{self, Point};
use crate::journal::{self, Durability, Leftover};
use crate::ssh::{self, Connection, WriteKind};

/// How long the server is waited for after a change, to see what it left, in times
/// that it may say nothing.
const KEEP_SILENCES: u32 = 3;

/// Mode of a new file when none was asked for.
const NEW_FILE_MODE: u32 = 0o644;

impl Call {
    pub(super) async fn permit_write(
        &self,
        action: &Action,
        spec: WriteSpec,
    ) -> Result<Permit, Failure> {
        let verdict = self.judge(action, Request::WritePath(spec.path.clone()), None, None)?;
        let limit = self.rules()?.largest_file();
        check_size("The new content has", spec.content.len() as u64, limit)?;
        self.require_asker(action, &verdict).await?;
        if spec.sudo {
            self.require_sudo(action)?;
        }
        let connection = self.connection(action).await?;
        let (path, before) = if spec.sudo {
            let (path, _) = self.look_as_root(&connection, &spec.path, limit).await?;
            self.take_turn(action, &connection, &path).await?;
            self.look_as_root(&connection, &spec.path, limit).await?
        } else {
            let sftp = self.sftp(&connection).await?;
            let path = self.while_wanted(resolve(&sftp, &spec.path)).await?;
            self.take_turn(action, &connection, &path).await?;
            let before = self.while_wanted(present(&sftp, &path, limit)).await?;
            (path, before)
        };
        self.settle_before_writing(action, &connection, &path, before.as_ref())
            .await?;
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
        let proposal = Proposal {
            requested: spec.path,
            path,
            before,
            after: Some(after),
            restores: None,
            as_root: spec.sudo,
        };
        self.permit_change(action, connection, proposal).await
    }

    /// The rest of the way to a permit for any change of a file: verdict on the
    /// resolved name, question with the diff, snapshot of what is there.
    pub(super) async fn permit_change(
        &self,
        action: &Action,
        connection: Arc<Connection>,
        proposal: Proposal,
    ) -> Result<Permit, Failure> {
        let (requested, path) = (proposal.requested.as_str(), proposal.path.as_str());
        let resolved = (path != requested).then_some(path);
        let write = Request::WritePath(requested.to_owned());
        let mut verdict = self.judge(action, write, None, resolved)?;
        let read = Request::ReadPath(requested.to_owned());
        let mut secret = self.judge(action, read, None, resolved)?.decision != Decision::AutoAllow;
        if proposal.as_root {
            verdict = self.as_root(action, verdict, "changes a file")?;
            secret |= as_root::is_hidden(proposal.before.as_ref());
        }
        let name = format!("{}:{}", action.server(), escape_line(path));
        let mut plan = WritePlan::new(&name, proposal, secret);
        if !plan.as_root && plan.after.as_ref().is_some_and(|after| after.ids.is_some()) {
            let account = self.while_wanted(connection.account()).await?;
            plan.settle_owner(&account);
        }
        let owner = plan.after.as_ref().and_then(|after| after.ids);
        let owner = owner.map(|(uid, gid)| format!("{uid}:{gid}"));
        let mut operation = path_operation("write", &plan.path);
        operation.run_as = accounts(&verdict);
        operation.base_sha256.clone_from(&plan.before_sha256);
        operation.new_sha256.clone_from(&plan.after_sha256);
        operation.mode = plan.after.as_ref().map(|after| after.mode);
        operation.owner.clone_from(&owner);
        operation.host_key = Some(connection.host_key().fingerprint());
        operation.digest = self
            .digester("write", action, &connection)
            .text("path", &plan.path)
            .optional("as", operation.run_as.as_deref())
            .optional("base", plan.before_sha256.as_deref())
            .optional("new", plan.after_sha256.as_deref())
            .number(
                "mode",
                plan.after
                    .as_ref()
                    .map_or(u64::MAX, |after| u64::from(after.mode)),
            )
            .optional("owner", owner.as_deref())
            .finish();
        if plan.is_unchanged() && !plan.as_root {
            // Nothing would be sent, so there is nothing to agree to.
            let plan = Plan::Write(Box::new(plan));
            return Ok(Permit::new(action, connection, plan, &verdict, operation));
        }
        if plan.after.is_some() && plan.as_root {
            plan.temporary = ssh::temporary_name()?;
            plan.staging = Some(ssh::staging_name()?);
            operation.temporary = Some(plan.temporary.clone());
            operation.staging.clone_from(&plan.staging);
        }
        if plan.after.is_some() && !plan.as_root {
            let account = self.while_wanted(connection.account()).await?;
            let sftp = self.sftp(&connection).await?;
            let kind = sftp.write_plan_kind(&plan.path, &account);
            (plan.kind, _) = self.while_wanted(kind).await?;
            if plan.kind == WriteKind::Atomic {
                plan.temporary = ssh::temporary_name()?;
                operation.temporary = Some(plan.temporary.clone());
            }
        }
        if plan.secret {
            // What is kept of it is sealed. On a server of a workspace nothing else has
            // needed the key so far, and nobody shall be asked in vain.
            self.resources().master_key().await?;
        }
        self.ask_about(action, &verdict, &plan, &operation).await?;
        // What an earlier change left and could not keep is kept as its own first.
        let history = action.record().history_name();
        let before = plan.before.as_ref();
        self.catch_up_with(action, &history, &plan.path, before)
            .await?;
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
            server: action.record().history_name(),
            path: plan.path.clone(),
            tool: self.request().tool.clone(),
            action: action.id().to_owned(),
            session: self.request().session.clone(),
            door: self.request().door.to_owned(),
            approved: action.facts().approved,
            secret: plan.secret,
            run_as: plan.as_root.then_some(as_root::ROOT),
            restores: plan.restores.clone(),
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
        let cancel = self.cancel().clone();
        let patience = action.target().map(|target| target.silence * KEEP_SILENCES);
        let patience = patience.unwrap_or_default();
        action.attempt(&verdict, &operation, true).await?;
        // As with commands: the task owns the change and its record.
        let owned = tokio::spawn(async move {
            let started = std::time::Instant::now();
            let result = if plan.as_root {
                as_root::replace(&connection, &plan, &cancel).await
            } else {
                replace(&connection, &plan, &cancel).await
            };
            fault::reach(Point::EffectDone);
            let left_behind = match &result {
                Ok(done) => done.left_behind,
                Err(broken) => broken.left_behind,
            };
            if left_behind {
                note_leftover(&action, &plan, &connection).await;
            }
            let result = result.map_err(|broken| broken.failure);
            action.note_facts(|facts| {
                facts.execution.duration_ms = Some(started.elapsed().as_millis() as u64);
                facts.execution.completed = result.is_ok();
                facts.sha256.clone_from(&plan.after_sha256);
            });
            let mut ending = match &result {
                Ok(_) => Ending::ok(),
                Err(failure) => Ending::failed(failure),
            };
            if let Ok(done) = &result {
                let drift = done.drift.as_ref();
                let kept = keep_after(keeper, &connection, &plan, drift, patience).await;
                let status = match kept {
                    Ok(()) => SnapshotStatus::Written,
                    Err(error) => {
                        ending = Ending::partial(format!(
                            "The change was made; its state could not be kept: {error}."
                        ));
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

/// Has the next use of the server look for the temporary file. Where that cannot
/// be noted, the journal cannot be written either, and the call says so.
async fn note_leftover(action: &Action, plan: &WritePlan, connection: &Connection) {
    let leftover = Leftover {
        action: action.id().to_owned(),
        server: action.server().to_owned(),
        host_key: Some(connection.host_key().fingerprint()),
        path: plan.path.clone(),
        temporary: plan.temporary.clone(),
        staging: plan.staging.clone(),
        since: jiff::Timestamp::now(),
    };
    let journal = action.journal().clone();
    let _ = blocking(move || journal.note_leftover(&leftover)).await;
}
