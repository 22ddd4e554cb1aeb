//! Undo: brings a file back to a state the snapshot store holds, through the
//! same permit and record as any other change.
//!
//! Invariant: what is on the server is what the changes to be undone left there,
//! or nothing happens and the difference is told; only a caller who insists can
//! have somebody else's work replaced, and that is kept first like any state.

use std::sync::Arc;

use serde_json::{Value, json};

use super::action::Action;
use super::call::Call;
use super::change::{After, Present, Proposal};
use super::envelope::Envelope;
use super::failure::{code_name, failure};
use super::keep::{blocking, file_state};
use super::place::{present, resolve};
use super::{Supervisor, ToolCall};
use crate::approvals::{Asker, describe_change, escape_line};
use crate::engine::contract::{Failure, FailureCode, Report, Written};
use crate::snapshots::{FileState, Kind, LARGEST, Revision, Snapshots, Undoable};

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
    /// The revision that the changes to be undone left behind, where these are
    /// not simply the latest; the path then is the one they were made at.
    pub left: Option<String>,
    /// Whether to go ahead although the file has changed since.
    pub despite_drift: bool,
}

impl RestoreRequest {
    /// Undoes what an action or a session did to one file.
    #[must_use]
    pub fn of(file: &Undoable, despite_drift: bool) -> Self {
        Self {
            server: file.server.clone(),
            path: file.path.clone(),
            to: Some(file.to.clone()),
            left: Some(file.left.clone()),
            despite_drift,
        }
    }
}

/// What an undo did.
pub type Restored = Envelope;

/// Why an undo did not happen.
enum Refusal {
    Failure(Failure),
    /// The file is not what the changes to be undone left behind.
    Drift(Box<Drifted>),
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
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
            ..ToolCall::default()
        };
        let call = Arc::new(Call::new(self.clone(), call, asker));
        match call.restore(&request).await {
            Ok((chosen, written)) => call.finish(done(&chosen, &written)).await,
            Err(Refusal::Failure(failure)) => call.finish_failed(&failure).await,
            Err(Refusal::Drift(drifted)) => call.finish(drifted.report()).await,
        }
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
        let sftp = connection.sftp().await?;
        let path = resolve(&sftp, &request.path).await?;
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
        let snapshots = self.resources().snapshots()?;
        let history = {
            let (snapshots, server, path) =
                (snapshots.clone(), request.server.clone(), path.clone());
            blocking(move || snapshots.history(Some(&server), Some(&path))).await??
        };
        let latest = history.first().ok_or_else(|| {
            failure(
                FailureCode::FileNotFound,
                format!("No change of {path} on {} is on record.", request.server),
                "`openshell history` lists what can be undone.",
            )
        })?;
        let target = match &request.to {
            Some(revision) => revision.clone(),
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
                request.server.clone(),
                path.clone(),
                revision.to_owned(),
            )
            .await
        };
        let state = kept(&target).await?;
        let now = present(&sftp, &path, LARGEST).await?;
        let found = file_state(now.as_ref());
        // What was undone already need not be told apart from what was changed since.
        let back_already = request.left.is_some() && state.same_as(&found);
        if !request.despite_drift && !back_already {
            let since = request.left.as_ref().unwrap_or(&latest.id);
            let expected = kept(since).await?;
            if !expected.same_as(&found) {
                let ours = *since != latest.id && kept(&latest.id).await?.same_as(&found);
                let secret = history.iter().any(|revision| revision.sealed);
                let drifted = Drifted::new(&path, since, &expected, now.as_ref());
                return Err(Refusal::Drift(Box::new(Drifted {
                    ours,
                    // Whoever reads a refusal was not asked about a secret.
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
        };
        let permit = self.permit_change(&action, connection, proposal).await?;
        Ok((chosen, self.write(permit).await?))
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
    fn new(path: &str, since: &str, expected: &FileState<'_>, found: Option<&Present>) -> Self {
        let (was, was_owner) = match expected {
            FileState::Absent => (None, None),
            FileState::Present { content, metadata } => (
                Some((content.as_ref(), metadata.mode)),
                Some((metadata.uid, metadata.gid)),
            ),
        };
        let is = found.map(|found| (found.content.as_slice(), found.attrs.mode));
        let change = describe_change(&escape_line(path), was, is);
        let mut summary = change.summary;
        if let (Some((uid, gid)), Some(found)) = (was_owner, found)
            && (uid, gid) != (found.attrs.uid, found.attrs.gid)
        {
            summary = format!(
                "{summary}; owner {uid}:{gid} becomes {}:{}",
                found.attrs.uid, found.attrs.gid
            );
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
