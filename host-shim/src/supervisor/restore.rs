//! Undo: brings a file back to a state the snapshot store holds, through the
//! same permit and record as any other change.
//!
//! It refuses when the file is no longer as the last recorded change left it,
//! unless the caller insists, because then undoing would destroy somebody
//! else's work.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::action::Action;
use super::as_root;
use super::call::Call;
use super::change::{After, Proposal};
use super::envelope::Envelope;
use super::failure::failure;
use super::keep::{blocking, file_state};
use super::place::{present, resolve};
use super::resources::Resources;
use super::{Supervisor, ToolCall};
use crate::approvals::Asker;
use crate::engine::contract::{Failure, FailureCode, Report, Written};
use crate::snapshots::{FileState, Kind, Revision, Snapshots};

/// What is to be undone.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Logical server id.
    pub server: String,
    /// Absolute path on the server.
    pub path: String,
    /// The revision to go back to; none undoes the last change.
    pub to: Option<String>,
    /// Whether to go ahead although the file has changed since.
    pub despite_drift: bool,
    /// The workspace whose servers the id may name.
    pub workspace: Option<PathBuf>,
}

/// What an undo did.
pub type Restored = Envelope;

impl Supervisor {
    /// Brings a file back, asking first. Never fails: every end is an envelope.
    pub async fn restore(
        &self,
        request: RestoreRequest,
        door: &'static str,
        asker: Arc<dyn Asker>,
    ) -> Restored {
        let arguments = json!({
            "server": request.server,
            "path": request.path,
            "to": request.to,
            "despiteDrift": request.despite_drift,
        });
        let call = ToolCall {
            tool: "undo".to_owned(),
            arguments: arguments.to_string(),
            door,
            workspace: request.workspace.clone(),
            ..ToolCall::default()
        };
        let call = Arc::new(Call::new(self.clone(), call, asker));
        match call.restore(&request).await {
            Ok((revision, written)) => {
                let removed = matches!(revision.state, Kept::Absent);
                let report = Report {
                    code: None,
                    message: Some(if written.unchanged {
                        "The file already is in that state; nothing was changed.".to_owned()
                    } else if removed {
                        format!("{} did not exist then and was removed.", written.resolved)
                    } else {
                        format!(
                            "{} is as it was at revision {}.",
                            written.resolved, revision.id
                        )
                    }),
                    next: None,
                    data: Some(
                        json!({
                            "path": written.resolved,
                            "revision": revision.id,
                            "removed": removed && !written.unchanged,
                            "unchanged": written.unchanged,
                            "sha256": written.sha256,
                            "diff": written.diff,
                        })
                        .to_string(),
                    ),
                };
                call.finish(report).await
            }
            Err(failure) => call.finish_failed(&failure).await,
        }
    }

    /// The name under which the history of a server's files is kept, as the id is
    /// understood in a workspace. An id that is not registered (any more) is such a
    /// name by itself.
    #[must_use]
    pub fn history_name(&self, server: &str, workspace: Option<&Path>) -> String {
        let view = Resources::server_id(server)
            .and_then(|id| self.resources().layers(workspace)?.get(&id));
        view.map_or_else(|_| server.to_owned(), |view| view.history_name())
    }

    /// Loads a state from the snapshot store, opening what was sealed.
    ///
    /// # Errors
    /// A [`Failure`] when the store or the revision cannot be read.
    pub async fn snapshot(
        &self,
        server: &str,
        path: &str,
        revision: &str,
    ) -> Result<FileState<'static>, Failure> {
        let snapshots = self.resources().snapshots()?;
        let (server, path, revision) = (server.to_owned(), path.to_owned(), revision.to_owned());
        load(self, snapshots, server, path, revision).await
    }
}

/// What the chosen revision says about the file.
enum Kept {
    Absent,
    Present,
}

struct Chosen {
    id: String,
    state: Kept,
}

impl Call {
    async fn restore(&self, request: &RestoreRequest) -> Result<(Chosen, Written), Failure> {
        let action: Action = self.open(&request.server).await?;
        let connection = self.connection(&action).await?;
        let server = action.record().history_name();
        let snapshots = self.resources().snapshots()?;
        // What was changed as root is taken back as root: the login may not even be
        // able to look at it.
        let mut as_root = self.was_as_root(&server, &request.path).await?;
        let (mut path, mut now) = (request.path.clone(), None);
        if !as_root {
            let sftp = connection.sftp().await?;
            let seen = async {
                let resolved = resolve(&sftp, &request.path).await?;
                if resolved != request.path && self.was_as_root(&server, &resolved).await? {
                    return Ok(None);
                }
                self.take_turn(&action, &connection, &resolved).await?;
                let present = present(&sftp, &resolved).await?;
                Ok(Some((resolved, present)))
            };
            match seen.await {
                Ok(Some(seen)) => (path, now) = seen,
                Ok(None) => as_root = true,
                // Perhaps another name of such a file.
                Err(Failure {
                    code: FailureCode::PermissionDenied,
                    ..
                }) if self.require_sudo(&action).is_ok() => as_root = true,
                Err(error) => return Err(error),
            }
        }
        if as_root {
            self.require_sudo(&action)?;
            (path, _) = as_root::look(&connection, &request.path).await?;
            self.take_turn(&action, &connection, &path).await?;
            (path, now) = as_root::look(&connection, &request.path).await?;
        }
        self.settle_before_writing(&action, &connection, &path, now.as_ref())
            .await?;
        let history = kept_of(&snapshots, &server, &path).await?;
        let latest = history.first().ok_or_else(|| {
            failure(
                FailureCode::FileNotFound,
                format!("No change of {path} on {} is on record.", request.server),
                "`openshell history` lists what can be undone.",
            )
        })?;
        let kept = load(
            self.supervisor(),
            snapshots.clone(),
            server.clone(),
            path.clone(),
            latest.id.clone(),
        )
        .await?;
        if !kept.same_as(&file_state(now.as_ref())) && !request.despite_drift {
            return Err(failure(
                FailureCode::Conflict,
                format!(
                    "{path} has changed since revision {} ({}), so undoing would destroy that \
                     change.",
                    latest.id, latest.tool
                ),
                "Look at `openshell diff`; a person can insist with --despite-drift.",
            ));
        }
        let target = match &request.to {
            Some(prefix) => prefix.clone(),
            None => before_last_change(&history)
                .ok_or_else(|| {
                    failure(
                        FailureCode::FileNotFound,
                        format!("No earlier state of {path} is on record."),
                        "`openshell history` lists what can be undone.",
                    )
                })?
                .id
                .clone(),
        };
        let state = load(
            self.supervisor(),
            snapshots,
            server,
            path.clone(),
            target.clone(),
        )
        .await?;
        let (kept, after) = match state {
            FileState::Absent => (Kept::Absent, None),
            FileState::Present { content, metadata } => (
                Kept::Present,
                Some(After {
                    content: content.into_owned(),
                    mode: metadata.mode,
                    ids: Some((metadata.uid, metadata.gid)),
                }),
            ),
        };
        let permit = self
            .permit_change(
                &action,
                connection,
                Proposal {
                    requested: request.path.clone(),
                    path,
                    before: now,
                    after,
                    restores: Some(target.clone()),
                    as_root,
                },
            )
            .await?;
        let written = self.write(permit).await?;
        Ok((
            Chosen {
                id: target,
                state: kept,
            },
            written,
        ))
    }
}

impl Call {
    /// Whether the newest change of a file was made as root.
    async fn was_as_root(&self, server: &str, path: &str) -> Result<bool, Failure> {
        let snapshots = self.resources().snapshots()?;
        let history = kept_of(&snapshots, server, path).await?;
        Ok(history
            .first()
            .is_some_and(|revision| revision.run_as.is_some()))
    }
}

/// The kept states of a file, the newest first.
async fn kept_of(
    snapshots: &Snapshots,
    server: &str,
    path: &str,
) -> Result<Vec<Revision>, Failure> {
    let (snapshots, server, path) = (snapshots.clone(), server.to_owned(), path.to_owned());
    Ok(blocking(move || snapshots.history(Some(&server), Some(&path))).await??)
}

/// The state before the newest change: what "undo" means without a revision.
/// States that were only found, and changes that never came about, are no changes.
fn before_last_change(history: &[Revision]) -> Option<&Revision> {
    let change = history
        .iter()
        .position(|revision| matches!(revision.kind, Kind::After | Kind::Undo))?;
    history.get(change + 1)
}

async fn load(
    supervisor: &Supervisor,
    snapshots: Snapshots,
    server: String,
    path: String,
    revision: String,
) -> Result<FileState<'static>, Failure> {
    // Sealed content needs the key; asking for it is what unlocks it.
    supervisor.resources().master_key().await?;
    Ok(blocking(move || snapshots.load(&server, &path, &revision)).await??)
}
