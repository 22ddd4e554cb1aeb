//! Finding out about earlier actions whose outcome is unknown.
//!
//! A write is settled by what the file holds: what it was to become, what it was
//! before, or neither. A command is settled to still running or gone, by the mark
//! that everything it started carries; what it did is never guessed, so nothing
//! here settles a command to success. What cannot be found out stays unknown.
//!
//! Invariant: every finding is on record, durably, before it is told to anybody; and
//! before that, the state a change left is kept as its own, so that it can be undone
//! like any other. What was interrupted is never repeated or completed here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::action::Action;
use super::call::Call;
use super::change::Present;
use super::envelope::SettledEarlier;
use super::leftovers::PAUSE;
use super::made::{Found, Look, look_at};
use super::running::name_left;
use crate::approvals::escape_line;
use crate::engine::contract::Failure;
use crate::fault::{self, Point};
use crate::journal::{Finding, JournalError, Operation, Settled, Settlement, Unsettled};
use crate::ssh::{Connection, LeftProcess, Sftp, Survey};

/// How far two clocks may go apart while a command is unknown.
const SLACK: Duration = Duration::from_secs(60);

/// Most commands that are looked for in the course of one call.
const COMMANDS: usize = 4;

impl Call {
    /// Settles unknown changes of a file that is about to be changed, by what was
    /// found there. Returns the tool of the change that made it what it is, where
    /// that is one of them.
    ///
    /// # Errors
    /// Only where the journal or the snapshot store cannot be used: nothing may be
    /// changed then.
    pub(super) async fn settle_before_writing(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
        path: &str,
        now: Option<&Present>,
    ) -> Result<Option<String>, Failure> {
        let recorded = action.journal().redactor().text(path);
        let unknown = writes(action, connection, |written| written == recorded).await?;
        if unknown.is_empty() {
            return Ok(None);
        }
        let look = now.map_or(Look::Nothing, |now| Look::File(now.clone()));
        self.settle_writes(action, connection, unknown, path, &look)
            .await
    }

    /// Settles unknown changes of a file that is about to be read, by whatever
    /// name. What does not work here must not keep anybody from reading.
    pub(super) async fn settle_before_reading(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
        sftp: &Sftp,
        path: &str,
    ) {
        let Ok(any) = writes(action, connection, |_| true).await else {
            return;
        };
        if any.is_empty() {
            return;
        }
        let resolving = async { Ok::<_, Failure>(sftp.realpath(path).await) };
        let Ok(resolved) = self.while_wanted(resolving).await else {
            return;
        };
        let resolved = resolved.unwrap_or_else(|_| path.to_owned());
        let recorded = action.journal().redactor().text(&resolved);
        let unknown: Vec<Unsettled> = any
            .into_iter()
            .filter(|account| account.operation.path.as_deref() == Some(&recorded))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let looking = async { Ok::<_, Failure>(look_at(sftp, &resolved).await) };
        if let Ok(Some(look)) = self.while_wanted(looking).await {
            // The next change of the file tries again.
            let _ = self
                .settle_writes(action, connection, unknown, &resolved, &look)
                .await;
        }
    }

    /// Settles writes of one file, the latest first: an earlier one is compared with
    /// what a later one found, where that one came about.
    async fn settle_writes(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
        unknown: Vec<Unsettled>,
        path: &str,
        look: &Look,
    ) -> Result<Option<String>, Failure> {
        let mut state = look.facts();
        let mut made = None;
        for (age, account) in unknown.into_iter().rev().enumerate() {
            let operation = account.operation.clone();
            let undo = account.context.tool == "undo";
            let Some(finding) = compare(&operation, undo, state.as_ref()) else {
                continue;
            };
            let place = escape_line(path);
            let evidence = match finding {
                Finding::Written => format!("{place} holds what it was to become"),
                Finding::NotWritten => format!("{place} holds what it held before"),
                _ => format!(
                    "{place} holds neither what it held before nor what it was to become; \
                     somebody else has changed it since, or the write was cut short"
                ),
            };
            let told = format!(
                "An earlier change with unknown outcome ({}, action {}) was {}: {evidence}.",
                account.context.tool,
                account.context.action,
                match finding {
                    Finding::Written => "made",
                    Finding::NotWritten => "not made",
                    _ => "looked into",
                },
            );
            let sha256 = state.as_ref().map(|found| found.sha256.clone());
            let sha256 = sha256.filter(|sha256| !sha256.is_empty());
            if finding == Finding::Written && age == 0 {
                let (context, write) = (&account.context, &account.operation);
                self.keep_made(action, context, write, path, look).await?;
                made = Some(account.context.tool.clone());
            }
            let id = account.context.action.clone();
            settle(action, account, finding, sha256, evidence, told, true).await?;
            if operation.path.as_deref() != Some(path) {
                // Nobody else can: the note names the path as the journal has it.
                self.clear_beside(action, connection, &id, path).await;
            }
            if finding == Finding::Written {
                // Mode and owner of then are not known.
                state = operation.base_sha256.map(|sha256| Found {
                    sha256,
                    mode: u32::MAX,
                    owner: None,
                });
            }
        }
        Ok(made)
    }

    /// Looks for the commands on this server whose end is unknown. What does not
    /// work here must not keep anybody from running another.
    ///
    /// # Errors
    /// Only where the call is given up meanwhile.
    pub(super) async fn settle_commands(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
    ) -> Result<(), Failure> {
        let Ok(unknown) = on_server(action, connection).await else {
            return Ok(());
        };
        let commands = unknown
            .into_iter()
            .rev()
            .filter(|account| matches!(account.operation.kind.as_str(), "exec" | "argv"))
            // What proved nothing a moment ago is not paid for by every call.
            .filter(|account| !self.resources().looked_for(&account.context.action, PAUSE));
        for account in commands.take(COMMANDS) {
            let looking = connection.survey(&account.context.action, account.group);
            let looking = async { Ok::<_, Failure>(looking.await) };
            let Ok(survey) = self.while_wanted(looking).await? else {
                self.resources().note_look(&account.context.action);
                return Ok(());
            };
            // What runs as another account is in no group that is known.
            let as_others = account.operation.run_as.is_some();
            let group = account.group.filter(|_| !as_others);
            let Some((finding, evidence)) = conclude_command(&survey, group, age(&account)) else {
                self.resources().note_look(&account.context.action);
                continue;
            };
            let told = format!(
                "An earlier command with unknown outcome (action {}) {evidence}; what it did is \
                 not known.",
                account.context.action
            );
            // That it still runs is on record once; that it is gone, too.
            let known = account.found == Some(finding);
            if settle(action, account, finding, None, evidence, told, !known)
                .await
                .is_err()
            {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Changes on a server whose outcome is unknown.
async fn on_server(
    action: &Action,
    connection: &Connection,
) -> Result<Vec<Unsettled>, JournalError> {
    let mut unknown = action.journal().unknown().await?;
    if !unknown.is_empty() {
        let host_key = connection.host_key().fingerprint();
        unknown.retain(|account| account.operation.host_key.as_ref() == Some(&host_key));
    }
    Ok(unknown)
}

/// Writes on a server whose outcome is unknown, of the paths that are wanted.
async fn writes(
    action: &Action,
    connection: &Connection,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Unsettled>, JournalError> {
    let mut unknown = on_server(action, connection).await?;
    unknown.retain(|account| {
        account.operation.kind == "write" && account.operation.path.as_deref().is_some_and(&wanted)
    });
    Ok(unknown)
}

/// What the state of a file says about a write; none where it says nothing, because
/// the record of an `undo` does not say which owner it was to bring back.
fn compare(operation: &Operation, undo: bool, found: Option<&Found>) -> Option<Finding> {
    let now = found.map(|found| found.sha256.as_str());
    let base = operation.base_sha256.as_deref();
    let new = operation.new_sha256.as_deref();
    if base == new {
        // Only mode or owner were to change.
        let same = |found: &Found| {
            let owner = operation.owner.is_none() || operation.owner == found.owner;
            operation.mode.is_none_or(|wanted| wanted == found.mode) && owner
        };
        return match (now == new, found) {
            (true, Some(found)) if !same(found) => Some(Finding::NotWritten),
            (true, Some(_)) if undo && operation.owner.is_none() => None,
            (true, _) => Some(Finding::Written),
            (false, _) => Some(Finding::Changed),
        };
    }
    Some(if now == new {
        Finding::Written
    } else if now == base {
        Finding::NotWritten
    } else {
        Finding::Changed
    })
}

/// How long ago a change was attempted, by the clock of this machine.
fn age(account: &Unsettled) -> Duration {
    let attempted: Option<Timestamp> = account.ts.parse().ok();
    let age = attempted.map(|attempted| Timestamp::now().duration_since(attempted));
    age.and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default()
}

/// What a survey says about a command that was attempted so long ago, with what it
/// rests on; none where it proves nothing.
fn conclude_command(
    survey: &Survey,
    group: Option<u32>,
    age: Duration,
) -> Option<(Finding, String)> {
    let running = |processes: &[LeftProcess]| {
        name_left(processes).map(|running| {
            let evidence = format!("is still running: {running}");
            (Finding::StillRunning, evidence)
        })
    };
    if let Some(found) = running(&survey.marked) {
        return Some(found);
    }
    // The number of a group is given out again, by a server that was started anew from
    // the beginning.
    if !survey.grouped.is_empty() {
        let since = survey.up.map(|up| up + SLACK >= age);
        match since {
            Some(true) => return running(&survey.grouped),
            Some(false) => {}
            None => return None,
        }
    }
    // Processes of other users show neither environment nor mark: root sees them,
    // and a group that is known and empty has none.
    let provable = survey.complete && (survey.root || group.is_some());
    provable.then(|| {
        (
            Finding::Gone,
            "is gone: no process on the server carries its mark".to_owned(),
        )
    })
}

/// Puts a finding on record, where it is new, and tells it.
async fn settle(
    action: &Action,
    account: Unsettled,
    finding: Finding,
    sha256: Option<String>,
    evidence: String,
    told: String,
    record: bool,
) -> Result<(), JournalError> {
    let earlier = SettledEarlier {
        action: account.context.action.clone(),
        tool: account.context.tool.clone(),
        finding: finding.as_str(),
        note: told,
    };
    if record {
        fault::reach(Point::SettleBefore);
        let settled = Settled {
            finding,
            by: "reconciliation".to_owned(),
            who: None,
            during: Some(action.id().to_owned()),
            sha256,
            note: Some(evidence),
        };
        action
            .settlement(Settlement {
                context: account.context,
                settled,
            })
            .await?;
        fault::reach(Point::SettleDone);
    }
    action.note_facts(|facts| facts.settled.push(earlier));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::LeftProcess;

    #[test]
    fn a_file_says_what_became_of_a_write() {
        let write = |base: Option<&str>, new: Option<&str>, mode| Operation {
            base_sha256: base.map(str::to_owned),
            new_sha256: new.map(str::to_owned),
            mode,
            ..Operation::default()
        };
        let edit = write(Some("b"), Some("n"), Some(0o644));
        let create = write(None, Some("n"), Some(0o644));
        let remove = write(Some("b"), None, None);
        let chmod = write(Some("n"), Some("n"), Some(0o600));
        let table = [
            (&edit, Some(("n", 0o644)), Finding::Written),
            (&edit, Some(("n", 0o600)), Finding::Written),
            (&edit, Some(("b", 0o644)), Finding::NotWritten),
            (&edit, Some(("x", 0o644)), Finding::Changed),
            (&edit, Some(("", 0o755)), Finding::Changed),
            (&edit, None, Finding::Changed),
            (&create, Some(("n", 0o644)), Finding::Written),
            (&create, None, Finding::NotWritten),
            (&create, Some(("x", 0o644)), Finding::Changed),
            (&remove, None, Finding::Written),
            (&remove, Some(("b", 0o644)), Finding::NotWritten),
            (&remove, Some(("x", 0o644)), Finding::Changed),
            (&chmod, Some(("n", 0o600)), Finding::Written),
            (&chmod, Some(("n", 0o644)), Finding::NotWritten),
            (&chmod, Some(("x", 0o600)), Finding::Changed),
            (&chmod, None, Finding::Changed),
        ];
        for (operation, found, expected) in table {
            let found = found.map(|(sha256, mode)| state(sha256, mode, "0:0"));
            assert_eq!(
                compare(operation, false, found.as_ref()),
                Some(expected),
                "{operation:?} {found:?}"
            );
        }
    }

    fn state(sha256: &str, mode: u32, owner: &str) -> Found {
        Found {
            sha256: sha256.to_owned(),
            mode,
            owner: Some(owner.to_owned()),
        }
    }

    #[test]
    fn an_owner_is_brought_back_only_where_the_file_has_it() {
        let chown = |owner: Option<&str>| Operation {
            base_sha256: Some("n".to_owned()),
            new_sha256: Some("n".to_owned()),
            mode: Some(0o600),
            owner: owner.map(str::to_owned),
            ..Operation::default()
        };
        let named = chown(Some("7:7"));
        let table = [
            (&named, state("n", 0o600, "7:7"), Some(Finding::Written)),
            (&named, state("n", 0o600, "0:0"), Some(Finding::NotWritten)),
            (&named, state("n", 0o644, "7:7"), Some(Finding::NotWritten)),
            (&named, state("x", 0o600, "7:7"), Some(Finding::Changed)),
            // A record from before owners were on record.
            (&chown(None), state("n", 0o600, "0:0"), None),
            (
                &chown(None),
                state("n", 0o644, "0:0"),
                Some(Finding::NotWritten),
            ),
        ];
        for (operation, found, expected) in table {
            let finding = compare(operation, true, Some(&found));
            assert_eq!(finding, expected, "{operation:?} {found:?}");
        }
    }

    #[test]
    fn a_command_is_gone_only_where_that_is_proven_and_never_done() {
        let process = || LeftProcess {
            pid: 7,
            command: "sleep 9".to_owned(),
        };
        let survey = |running: bool, complete, root| Survey {
            marked: running.then(process).into_iter().collect(),
            complete,
            root,
            ..Survey::default()
        };
        let hour = Duration::from_secs(3600);
        let table = [
            (
                survey(true, false, false),
                None,
                Some(Finding::StillRunning),
            ),
            (
                survey(true, true, true),
                Some(5),
                Some(Finding::StillRunning),
            ),
            (survey(false, true, true), None, Some(Finding::Gone)),
            (survey(false, true, false), Some(5), Some(Finding::Gone)),
            (survey(false, true, false), None, None),
            (survey(false, false, true), Some(5), None),
        ];
        for (survey, group, expected) in table {
            let found = conclude_command(&survey, group, hour).map(|(finding, _)| finding);
            assert_eq!(found, expected, "{survey:?} {group:?}");
        }
        // What is in the group without a mark may be somebody else's by now.
        let seconds = Duration::from_secs;
        for (up, expected) in [
            (Some(seconds(7200)), Some(Finding::StillRunning)),
            (Some(seconds(3590)), Some(Finding::StillRunning)),
            (Some(seconds(120)), Some(Finding::Gone)),
            (None, None),
        ] {
            let survey = Survey {
                grouped: vec![process()],
                up,
                ..survey(false, true, false)
            };
            let found = conclude_command(&survey, Some(5), hour).map(|(finding, _)| finding);
            assert_eq!(found, expected, "{up:?}");
        }
    }
}
