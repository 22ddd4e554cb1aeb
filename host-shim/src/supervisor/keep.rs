//! What a change leaves in the snapshot store: the state before it, the state
//! after it, and what somebody else did in between.
//!
//! Invariant: it decides nothing; it hands states over with everything their commit
//! says.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::as_root;
use super::change::{Present, WritePlan};
use super::failure::failure;
use crate::engine::contract::{Failure, FailureCode};
use crate::snapshots::{Change, FileState, Metadata, SnapshotError, Snapshots};
use crate::ssh::{Connection, Drift, SshError};

/// Everything a snapshot says besides the state.
pub(super) struct Keeper {
    pub(super) snapshots: Snapshots,
    pub(super) server: String,
    pub(super) path: String,
    pub(super) tool: String,
    pub(super) action: String,
    pub(super) session: Option<String>,
    pub(super) door: String,
    /// Who agreed, once somebody did.
    pub(super) approved: Option<String>,
    pub(super) secret: bool,
    /// The account it was done as, where that is not the login's.
    pub(super) run_as: Option<&'static str>,
    /// The revision an undo brings back.
    pub(super) restores: Option<String>,
}

impl Keeper {
    fn change(&self, state: FileState<'static>) -> Change<'_> {
        Change {
            server: &self.server,
            path: &self.path,
            state,
            action: &self.action,
            tool: &self.tool,
            session: self.session.as_deref(),
            door: &self.door,
            approved: self.approved.as_deref(),
            secret: self.secret,
            run_as: self.run_as,
            undo: self.tool == "undo",
            restores: self.restores.as_deref(),
        }
    }

    pub(super) fn before(&self, state: FileState<'static>) -> Result<String, SnapshotError> {
        Ok(self.snapshots.before(&self.change(state))?.commit)
    }

    /// Keeps a state that was found to be what the change made, unless something
    /// was kept of the file since the state `before` it.
    pub(super) fn found_made(
        &self,
        state: FileState<'static>,
        before: &str,
    ) -> Result<(), SnapshotError> {
        self.snapshots
            .after_unless_moved(&self.change(state), before)?;
        Ok(())
    }

    fn after(&self, state: FileState<'static>) -> Result<(), SnapshotError> {
        self.snapshots.after(&self.change(state))?;
        // A command is over in a moment; a helper that stays can tidy up.
        if self.door != "cli" {
            self.snapshots.pack_in_background();
        }
        Ok(())
    }
}

/// Keeps what a change left. The server is waited for as long as `patience` says, or
/// as the limits of what is done as root say: the change was made, so its outcome has
/// to be recorded and the turn at the file to be given back.
pub(super) async fn keep_after(
    keeper: Keeper,
    connection: &Arc<Connection>,
    plan: &WritePlan,
    drift: Option<&Drift>,
    patience: Duration,
) -> Result<(), String> {
    // The attributes as the server has them now, so that a later comparison is
    // with facts and not with what was asked for.
    let attrs = if plan.after.is_none() {
        Ok(None)
    } else if plan.as_root {
        as_root::attrs(connection, &plan.path)
            .await
            .map(Some)
            .map_err(|failure| failure.message)
    } else {
        let looking = async { connection.sftp().await?.stat(&plan.path).await };
        within(patience, looking).await.map(Some)
    };
    let after = match (&plan.after, attrs?) {
        (None, _) | (_, None) => None,
        (Some(after), Some(attrs)) => Some(Present {
            content: after.content.clone(),
            attrs,
        }),
    };
    let overwritten = match (drift, &after) {
        (Some(Drift::Overwritten(content)), Some(present)) => Some(file_state(Some(&Present {
            content: content.clone(),
            attrs: present.attrs.clone(),
        }))),
        _ => None,
    };
    let state = file_state(after.as_ref());
    blocking(move || {
        if let Some(theirs) = overwritten {
            keeper.before(theirs)?;
        }
        keeper.after(state)
    })
    .await
    .map_err(|failure| failure.message)?
    .map_err(|error| error.to_string())
}

/// What a server answers within a time, or why there is no answer.
async fn within<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, SshError>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, asking).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "the server did not say within {} ms what it is",
            limit.as_millis()
        )),
    }
}

/// A state as the snapshot store keeps it.
pub(super) fn file_state(present: Option<&Present>) -> FileState<'static> {
    match present {
        None => FileState::Absent,
        Some(present) => FileState::Present {
            content: Cow::Owned(present.content.clone()),
            metadata: Metadata {
                mode: present.attrs.mode,
                uid: present.attrs.uid,
                gid: present.attrs.gid,
                mtime: present.attrs.mtime,
                owner: present.attrs.owner.clone(),
                group: present.attrs.group.clone(),
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel that never opens must not keep the outcome from being recorded.
    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let asking = std::future::pending::<Result<(), SshError>>();
        let refused = within(Duration::from_millis(5), asking).await;
        let refused = refused.expect_err("it never answers");
        assert!(refused.contains("within 5 ms"), "{refused}");
        let answered = within(Duration::from_secs(60), async { Ok(7) }).await;
        assert_eq!(answered, Ok(7));
    }
}
