//! Removing what interrupted writes left on a server, at the next use of it.
//!
//! Invariant: only a file that the record of an attempt names is removed, once
//! the process that made the attempt is dead or has given the write up. Nothing
//! depends on it, so no failure here fails a call; the note stays, and another
//! use tries again. It finishes what was permitted then, so it asks nobody now,
//! but a server that is read-only by now is left alone, and so is what only root can
//! remove where sudo is not to be used any more.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::action::Action;
use super::call::Call;
use crate::fault::{self, Point};
use crate::journal::{Journal, Leftover};
use crate::rules::Mode;
use crate::ssh::{Cleared, Connection, RootFiles, SshError};

/// How long removing one file may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a file that is not there is looked for: a request of the lost
/// connection may still be on its way, as TCP goes on sending what it was given
/// for about a quarter of an hour (`tcp_retries2` of Linux).
const LATE: SignedDuration = SignedDuration::from_mins(16);

/// How long this process leaves a note alone after it found nothing.
pub(super) const PAUSE: Duration = Duration::from_secs(60);

/// What the journal has in place of a registered secret begins so.
pub(super) const REDACTED: &str = "[redacted:";

impl Call {
    /// Removes what is on record as left on the action's server.
    pub(super) async fn clear_leftovers(&self, action: &Action, connection: &Arc<Connection>) {
        let host_key = connection.host_key().fingerprint();
        let found = action.journal().leftovers(action.server(), &host_key);
        let Ok(leftovers) = found else {
            return;
        };
        if leftovers.is_empty() || !self.may_change(action) {
            return;
        }
        for leftover in leftovers {
            if leftover.path.contains(REDACTED) {
                // Where that is only a call that names it can tell.
                continue;
            }
            let as_root = leftover.staging.is_some();
            if self.resources().looked_for(&leftover.action, PAUSE)
                || (as_root && self.require_sudo(action).is_err())
            {
                continue;
            }
            fault::reach(Point::LeftoverFound);
            let cleared = tokio::time::timeout(LIMIT, clear(connection, &leftover)).await;
            match cleared {
                Ok(Ok(Cleared::Removed)) => {
                    fault::reach(Point::LeftoverRemoved);
                    removed(action, &leftover).await;
                }
                Ok(Ok(Cleared::Absent)) if is_old(&leftover) => {
                    forget(action.journal(), &leftover);
                }
                Ok(Ok(Cleared::Absent) | Err(_)) | Err(_) => {
                    self.resources().note_look(&leftover.action);
                }
            }
        }
    }

    /// Removes what an action left beside a file whose path the journal does not
    /// tell, because part of it is a registered secret.
    pub(super) async fn clear_beside(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
        left_by: &str,
        path: &str,
    ) {
        let host_key = connection.host_key().fingerprint();
        let found = action.journal().leftovers(action.server(), &host_key);
        let left = found.unwrap_or_default().into_iter();
        let left = left.filter(|leftover| leftover.action == left_by);
        if !self.may_change(action) {
            return;
        }
        for mut leftover in left {
            if leftover.staging.is_some() && self.require_sudo(action).is_err() {
                continue;
            }
            let noted = std::mem::replace(&mut leftover.path, path.to_owned());
            let cleared = tokio::time::timeout(LIMIT, clear(connection, &leftover)).await;
            leftover.path = noted;
            match cleared {
                Ok(Ok(Cleared::Removed)) => removed(action, &leftover).await,
                Ok(Ok(Cleared::Absent)) => forget(action.journal(), &leftover),
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    fn may_change(&self, action: &Action) -> bool {
        let rules = self.rules();
        rules.is_ok_and(|rules| {
            rules.access_to(action.server(), &action.record().labels).0 == Mode::Ask
        })
    }
}

async fn clear(connection: &Arc<Connection>, leftover: &Leftover) -> Result<Cleared, SshError> {
    let sftp = connection.sftp().await?;
    let (path, temporary) = (&leftover.path, &leftover.temporary);
    let Some(staging) = &leftover.staging else {
        return sftp.clear_temporary(path, temporary).await;
    };
    // What is staged goes first: a script of root's that still runs then has nothing
    // to put in place.
    let staged = sftp.clear_staging(staging, temporary).await?;
    let beside = RootFiles::new(Arc::clone(connection))
        .clear(path, temporary)
        .await?;
    Ok(match (staged, beside) {
        (Cleared::Absent, Cleared::Absent) => Cleared::Absent,
        _ => Cleared::Removed,
    })
}

async fn removed(action: &Action, leftover: &Leftover) {
    let staged = leftover.staging.as_ref();
    let staged = staged.map_or_else(String::new, |staging| format!(" or {staging}"));
    let recorded = action
        .remark(format!(
            "removed {}{staged} beside {}, which the interrupted action {} had left",
            leftover.temporary, leftover.path, leftover.action
        ))
        .await;
    if recorded.is_ok() {
        fault::reach(Point::LeftoverRecorded);
        forget(action.journal(), leftover);
    }
}

fn forget(journal: &Journal, leftover: &Leftover) {
    // A note that stays costs a look at the next use.
    let _ = journal.forget_leftover(&leftover.action);
}

fn is_old(leftover: &Leftover) -> bool {
    Timestamp::now().duration_since(leftover.since) > LATE
}
