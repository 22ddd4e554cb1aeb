//! Undo: brings a file back to a state the snapshot store holds, through the
//! same permit and record as any other change.
//!
//! Invariant: what is on the server is what the changes to be undone left there, or
//! nothing happens and the difference is told; only a caller who insists can have
//! somebody else's work replaced, and that is kept first like any state. It does
//! not choose among histories of several servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::action::Action;
use super::call::Call;
use super::change::{After, Present, Proposal};
use super::envelope::Envelope;
use super::failure::{code_name, failure};
use super::keep::{blocking, file_state};
use super::place::{present, resolve};
use super::resources::Resources;
use super::{Supervisor, ToolCall};
use crate::approvals::{Asker, describe_change, escape_line};
use crate::engine::contract::{Failure, FailureCode, Report, Written};
use crate::snapshots::{FileState, Kind, LARGEST, Revision, Snapshots, Undoable, server_id};
use crate::ssh::Connection;

/// Longest diff in a refusal, in bytes.
const DIFF_MAX: usize = 16 * 1024;

/// What is to be undone.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Logical server id.
    pub server: String,
    /// Absolute path on the server.
    pub path: String,
    /// The revision to go back to; none undoes the last change.
    pub to: Option<String>,
    /// What the changes to be undone left behind, where these are not simply the
    /// latest; the path then is the one they were made at.
    pub left: Option<Left>,
    /// Whether to go ahead although the file has changed since.
    pub despite_drift: bool,
    /// The workspace whose servers the id may name.
    pub workspace: Option<PathBuf>,
}

/// What changes left behind.
#[derive(Debug, Clone)]
pub struct Left {
    /// The revision that the last of them left.
    pub revision: String,
    /// The history it is in: an id means another server in another workspace.
    pub history: String,
    /// A state that others made between the changes.
    pub between: Option<String>,
}

impl RestoreRequest {
    /// Undoes what an action or a session did to one file.
    #[must_use]
    pub fn of(file: &Undoable, despite_drift: bool, workspace: Option<PathBuf>) -> Self {
        Self {
            server: server_id(&file.server).to_owned(),
            path: file.path.clone(),
            to: Some(file.to.clone()),
            left: Some(Left {
                revision: file.left.clone(),
                history: file.server.clone(),
                between: file.between.clone(),
            }),
            despite_drift,
            workspace,
        }
    }
}

/// What an undo did.
pub type Restored = Envelope;

/// Why an undo did not happen.
enum Refusal {
    Failure(Box<Failure>),
    /// The file is not what the changes to be undone left behind.
    Drift(Box<Drifted>),
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failure(Box::new(error.into()))
    }
}

/// How a file differs from what was expected.
struct Drifted {
    path: String,
    /// The revision that was expected.
    since: String,
    summary: String,
    diff: Option<String>,
    /// Whether openshell itself changed the file again since.
    ours: bool,
}

/// What an undo brought back.
struct Chosen {
    id: String,
    absent: bool,
}

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
            Ok((chosen, written)) => call.finish(done(&chosen, &written)).await,
            Err(Refusal::Failure(failure)) => call.finish_failed(&failure).await,
            Err(Refusal::Drift(drifted)) => call.finish(drifted.report()).await,
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

impl Call {
    async fn restore(&self, request: &RestoreRequest) -> Result<(Chosen, Written), Refusal> {
        let action: Action = self.open(&request.server).await?;
        let connection = self.connection(&action).await?;
        let server = action.record().history_name();
        if let Some(left) = request.left.as_ref().filter(|left| left.history != server) {
            return Err(failure(
                FailureCode::Conflict,
                format!(
                    "{} is another server here than the one that was changed ({}).",
                    request.server, left.history
                ),
                "Run the same command in the workspace the change was made from.",
            )
            .into());
        }
        let snapshots = self.resources().snapshots()?;
        let (path, now, as_root) = self
            .found(&action, &connection, &server, &request.path)
            .await?;
        if request.left.is_some() && path != request.path {
            return Err(failure(
                FailureCode::Conflict,
                format!(
                    "{} leads to {path} now, which is not the file that was changed.",
                    request.path
                ),
                "Look at what became of it, and undo by its path.",
            )
            .into());
        }
        let made = self
            .settle_before_writing(&action, &connection, &path, now.as_ref())
            .await?;
        let mut history = kept_of(&snapshots, &server, &path).await?;
        if request.left.is_none()
            && let Some(newest) = history.first()
            && self.catch_up(&action, newest, now.as_ref()).await?
        {
            history = kept_of(&snapshots, &server, &path).await?;
        }
        let latest = history.first().ok_or_else(|| {
            failure(
                FailureCode::FileNotFound,
                format!("No change of {path} on {} is on record.", request.server),
                "`openshell history` lists what can be undone.",
            )
        })?;
        let target = match &request.to {
            Some(revision) => revision.clone(),
            // It was asked for before, cut off, and had happened: going back once
            // more would bring back what was undone.
            None if made.as_deref() == Some("undo") => latest.id.clone(),
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
        let kept = async |revision: &str| {
            load(
                self.supervisor(),
                snapshots.clone(),
                server.clone(),
                path.clone(),
                revision.to_owned(),
            )
            .await
        };
        let state = kept(&target).await?;
        let found = file_state(now.as_ref());
        // What was undone already need not be told apart from what was changed since.
        let back_already = request.left.is_some() && state.same_as(&found);
        if !request.despite_drift && !back_already {
            let secret = history.iter().any(|revision| revision.sealed);
            let left = request.left.as_ref();
            let known = known(&history).unwrap_or(latest);
            let since = left.map_or(&known.id, |left| &left.revision);
            let expected = kept(since).await?;
            if !expected.same_as(&found) {
                let ours = *since != latest.id
                    && latest.kind != Kind::Drift
                    && kept(&latest.id).await?.same_as(&found);
                let drifted = Drifted::new(&path, since, &expected, &found);
                return Err(Refusal::Drift(Box::new(Drifted {
                    ours,
                    // Whoever reads a refusal was not asked about a secret.
                    diff: drifted.diff.filter(|_| !secret),
                    ..drifted
                })));
            }
            let between = left.and_then(|left| left.between.as_ref());
            if let Some((theirs, before)) = between.and_then(|id| with_prior(&history, id)) {
                let (was, is) = (kept(&before.id).await?, kept(&theirs.id).await?);
                let drifted = Drifted::new(&path, &before.id, &was, &is);
                return Err(Refusal::Drift(Box::new(Drifted {
                    ours: theirs.kind != Kind::Drift,
                    diff: drifted.diff.filter(|_| !secret),
                    ..drifted
                })));
            }
        }
        let chosen = Chosen {
            id: target.clone(),
            absent: matches!(state, FileState::Absent),
        };
        let proposal = Proposal {
            requested: request.path.clone(),
            path,
            before: now,
            after: after(state),
            restores: Some(target),
            as_root,
        };
        let permit = self.permit_change(&action, connection, proposal).await?;
        Ok((chosen, self.write(permit).await?))
    }

    /// The file a name leads to and what it is now; and whether that could only be
    /// seen as root. What was changed as root is taken back as root: the login may
    /// not even be able to look at it.
    async fn found(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
        server: &str,
        name: &str,
    ) -> Result<(String, Option<Present>, bool), Failure> {
        if !self.was_as_root(server, name).await? {
            let sftp = self.sftp(connection).await?;
            let seen = async {
                let resolved = self.while_wanted(resolve(&sftp, name)).await?;
                if resolved != name && self.was_as_root(server, &resolved).await? {
                    return Ok(None);
                }
                self.take_turn(action, connection, &resolved).await?;
                let present = self
                    .while_wanted(present(&sftp, &resolved, LARGEST))
                    .await?;
                Ok(Some((resolved, present)))
            };
            match seen.await {
                Ok(Some((path, now))) => return Ok((path, now, false)),
                Ok(None) => {}
                // Perhaps another name of such a file.
                Err(Failure {
                    code: FailureCode::PermissionDenied,
                    ..
                }) if self.require_sudo(action).is_ok() => {}
                Err(error) => return Err(error),
            }
        }
        self.require_sudo(action)?;
        let (path, _) = self.look_as_root(connection, name, LARGEST).await?;
        self.take_turn(action, connection, &path).await?;
        let (path, now) = self.look_as_root(connection, name, LARGEST).await?;
        Ok((path, now, true))
    }

    /// Whether the newest change of a file was made as root.
    pub(super) async fn was_as_root(&self, server: &str, path: &str) -> Result<bool, Failure> {
        let snapshots = self.resources().snapshots()?;
        let history = kept_of(&snapshots, server, path).await?;
        Ok(history
            .first()
            .is_some_and(|revision| revision.run_as.is_some()))
    }
}

fn after(state: FileState<'static>) -> Option<After> {
    match state {
        FileState::Absent => None,
        FileState::Present { content, metadata } => Some(After {
            content: content.into_owned(),
            mode: metadata.mode,
            ids: Some((metadata.uid, metadata.gid)),
        }),
    }
}

/// The report of an undo that happened, or had nothing to do.
fn done(chosen: &Chosen, written: &Written) -> Report {
    let removed = chosen.absent && !written.unchanged;
    let mut message = if written.unchanged {
        "The file already is in that state; nothing was changed.".to_owned()
    } else if removed {
        format!("{} did not exist then and was removed.", written.resolved)
    } else {
        format!(
            "{} is as it was at revision {}.",
            written.resolved, chosen.id
        )
    };
    if let Some(note) = written.note.as_ref().filter(|_| !written.unchanged) {
        message = format!("{message} {note}");
    }
    let data = json!({
        "path": written.resolved,
        "revision": chosen.id,
        "removed": removed,
        "unchanged": written.unchanged,
        "sha256": written.sha256,
        "diff": written.diff,
    });
    Report {
        code: None,
        message: Some(message),
        next: None,
        data: Some(data.to_string()),
    }
}

impl Drifted {
    fn new(path: &str, since: &str, expected: &FileState<'_>, found: &FileState<'_>) -> Self {
        let facts = |state| match state {
            &FileState::Absent => (None, None),
            FileState::Present { content, metadata } => (
                Some((content.as_ref(), metadata.mode)),
                Some((metadata.uid, metadata.gid)),
            ),
        };
        let ((was, was_owner), (is, is_owner)) = (facts(expected), facts(found));
        let change = describe_change(&escape_line(path), was, is);
        let mut summary = change.summary;
        if let (Some((uid, gid)), Some((now, group))) = (was_owner, is_owner)
            && (uid, gid) != (now, group)
        {
            summary = format!("{summary}; owner {uid}:{gid} becomes {now}:{group}");
        }
        Self {
            path: path.to_owned(),
            since: since.to_owned(),
            summary,
            diff: change.diff.filter(|diff| diff.len() <= DIFF_MAX),
            ours: false,
        }
    }

    fn report(&self) -> Report {
        let who = if self.ours {
            "was changed again through openshell"
        } else {
            "was changed by somebody else"
        };
        let drift: Value = json!({
            "since": self.since,
            "summary": self.summary,
            "diff": self.diff,
        });
        Report {
            code: Some(code_name(FailureCode::Conflict)),
            message: Some(format!(
                "{} {who} since revision {}, so undoing would destroy that change: {}.",
                self.path, self.since, self.summary
            )),
            next: Some(
                "Look at the difference; a person can insist with --despite-drift, and what \
                 is there now is kept all the same."
                    .to_owned(),
            ),
            data: Some(json!({"path": self.path, "drift": drift}).to_string()),
        }
    }
}

/// The kept states of a file, the newest first.
pub(super) async fn kept_of(
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

/// The newest state that openshell made or began with. What was merely found after
/// it is somebody else's, although it is kept.
fn known(history: &[Revision]) -> Option<&Revision> {
    let ours = history.iter().find(|revision| revision.kind != Kind::Drift);
    ours.or(history.first())
}

/// A revision, and the one before it.
fn with_prior<'a>(history: &'a [Revision], id: &str) -> Option<(&'a Revision, &'a Revision)> {
    let at = history.iter().position(|revision| revision.id == id)?;
    Some((&history[at], history.get(at + 1)?))
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
