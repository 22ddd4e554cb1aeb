//! Ending a command early, and finding out whether it is gone.
//!
//! Invariant: [`Ended::GroupGone`] is said only if the process group was seen
//! to be empty, the command's output was let go by everybody, and nothing that
//! carries its mark was found. Limits count what this process was let run: a busy
//! machine makes nothing uncertain. It
//! deliberately sends no SSH signal: OpenSSH refuses those on root logins
//! ("session signalling requires privilege separation").

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::connection::Connection;
use crate::ssh::pace::OwnTime;

use super::run::{Event, Running};
use super::shell::Shell;
use super::{End, Ended, ExecOutcome, LeftProcess, script};

/// How long the channel may take to close once the command's lifeline is cut.
const CLOSE_LIMIT: Duration = Duration::from_millis(1500);

/// How long finding out may take after that.
const REAP_LIMIT: Duration = Duration::from_secs(4);

/// How much longer the channel may take once the group is known to be gone.
const LATE_LIMIT: Duration = Duration::from_secs(2);

/// How long looking for what escaped may take, a login for it included.
const SURVEY_LIMIT: Duration = Duration::from_secs(20);

/// Why a command is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    TimedOut,
    Cancelled,
}

/// Cuts the lifeline of a command and waits for the consequence.
pub(super) async fn end_early(
    mut running: Running,
    connection: &Connection,
    cause: Cause,
    mark: Option<&str>,
) -> ExecOutcome {
    let ended_at = Instant::now();
    let mut limit = OwnTime::new(CLOSE_LIMIT);
    // If even this cannot be sent, the connection is gone, and with it the lifeline.
    let _ = limit.within(running.shell.channel.eof()).await;
    let mut released = closed_within(&mut limit, &mut running).await;
    let group = running.shell.group;
    let gone = OwnTime::new(REAP_LIMIT)
        .within(reap(connection, group))
        .await
        .unwrap_or(false);
    if gone && !released {
        // On a busy server the last descriptor is closed a little later than the
        // last process of the group is gone.
        released = closed_within(&mut OwnTime::new(LATE_LIMIT), &mut running).await;
    }
    let released = released && !connection.is_closed();
    running.shell.channel.abandon();
    let left = left_of(connection, mark, group).await;
    let end = match cause {
        Cause::TimedOut => End::TimedOut,
        Cause::Cancelled => End::Cancelled,
    };
    let mut outcome = running.outcome(end(Ended::MayRun), ended_at, None);
    outcome.left = left;
    if gone && released && outcome.left.is_empty() {
        outcome.end = end(Ended::GroupGone);
    } else if gone && !released {
        outcome.note = Some(
            "the command's process group is gone, but a process that left it still holds the output"
                .to_owned(),
        );
    } else if gone {
        outcome.note = Some("a process that left the command's group runs on".to_owned());
    }
    outcome
}

/// What runs on of a command; nothing where it has no mark or nobody could look.
pub(super) async fn left_of(
    connection: &Connection,
    mark: Option<&str>,
    group: u32,
) -> Vec<LeftProcess> {
    let Some(mark) = mark else { return Vec::new() };
    let survey = connection.survey(mark, Some(group));
    match OwnTime::new(SURVEY_LIMIT).within(survey).await {
        Some(Ok(survey)) => survey.left(),
        Some(Err(_)) | None => Vec::new(),
    }
}

/// Waits for the channel to close, within what is left of a limit; says whether it did.
async fn closed_within(limit: &mut OwnTime, running: &mut Running) -> bool {
    let closing = async { while running.advance().await != Event::Closed {} };
    limit.within(closing).await.is_some()
}

/// Makes sure over a second channel that a process group is gone.
async fn reap(connection: &Connection, group: u32) -> bool {
    let Ok(shell) = Shell::obtain_now(connection).await else {
        return false;
    };
    let script = script::reap(&shell.nonce, group);
    matches!(shell.ask(script, REAP_LIMIT).await, Ok(word) if word == "gone")
}
