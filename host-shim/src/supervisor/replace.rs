//! The change itself, and what is said of it afterwards.
//!
//! Invariant: what is replaced or removed was what the plan was compared with at the
//! last look; a file that changed before it is a conflict and stays as it is. SFTP has
//! no compare-and-swap, so what slips in after that look is overwritten; where a file
//! took its place, it is handed on to be kept ([`Drift::Overwritten`]). It asks nobody
//! and keeps no state.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::change::WritePlan;
use super::digest::sha256;
use super::failure::failure;
use super::place::present;
use super::waiting::given_up;
use crate::engine::contract::{Failure, FailureCode, Written};
use crate::snapshots::LARGEST;
use crate::ssh::{self, Connection, Drift, Expect, FileAccess, Sftp, SftpError, SshError};

/// Longest diff that is part of a result, in bytes.
const DIFF_FOR_MODEL: usize = 16 * 1024;

/// What the server did.
pub(super) struct Done {
    pub(super) atomic: bool,
    pub(super) drift: Option<Drift>,
    /// Whether something of it may still be on the server beside the file.
    pub(super) left_behind: bool,
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
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Whether its temporary file may still be on the server.
    pub(super) left_behind: bool,
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

/// The SFTP session a change goes over, unless the call is given up before it is
/// there: nothing of the change was sent then.
pub(super) async fn way(
    connection: &Connection,
    cancel: &CancellationToken,
) -> Result<Arc<Sftp>, Broken> {
    tokio::select! {
        biased;
        sftp = connection.sftp() => Ok(sftp?),
        () = cancel.cancelled() => Err(given_up().into()),
    }
}

/// Carries out a plan. Once it was begun it comes to its end.
pub(super) async fn replace(
    connection: &Arc<Connection>,
    plan: &WritePlan,
    cancel: &CancellationToken,
) -> Result<Done, Broken> {
    let sftp = way(connection, cancel).await?;
    let Some(after) = &plan.after else {
        remove(&sftp, plan).await?;
        return Ok(Done {
            atomic: true,
            drift: None,
            left_behind: false,
        });
    };
    let outcome = sftp
        .write_atomic(&ssh::WritePlan {
            path: plan.path.clone(),
            content: after.content.clone(),
            mode: after.mode,
            owner: plan.ids(),
            found: plan.access_before(),
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
        left_behind: false,
    })
}

/// Removes a file that is still what the person was shown.
async fn remove(sftp: &Sftp, plan: &WritePlan) -> Result<(), Failure> {
    let now = present(sftp, &plan.path, LARGEST).await?;
    let access = now.as_ref().map(|present| FileAccess::from(&present.attrs));
    let now = now.as_ref().map(|present| sha256(&present.content));
    if now != plan.before_sha256 || access != plan.access_before() {
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

/// The result of a change that left everything as it was.
pub(super) fn unchanged(plan: &WritePlan) -> Written {
    let mut result = written(
        plan,
        Done {
            atomic: true,
            drift: None,
            left_behind: false,
        },
    );
    result.note = Some("The file already is as asked; nothing was written.".to_owned());
    result.unchanged = true;
    result.diff = None;
    result
}

/// The result of a change.
pub(super) fn written(plan: &WritePlan, done: Done) -> Written {
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
        note: match (done.note(), &plan.owner_note) {
            (Some(note), Some(owner)) => Some(format!("{note} {owner}")),
            (note, owner) => note.or_else(|| owner.clone()),
        },
    }
}
