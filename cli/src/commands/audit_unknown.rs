//! `openshell audit unknown` and `settle`: changes of which nobody knows whether
//! they happened, and what a person found out about them.
//!
//! Invariant: settling decides what a later repetition of the call is told, so it
//! is for a person, and who it was is on record. No server is asked: what a person
//! found out is taken as they say it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use openshell_host::approvals::escape_line;
use openshell_host::journal::{
    Durability, Event, Finding, Journal, Settled, Settlement, Unsettled,
};
use serde_json::json;

use crate::consent::require_person;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// The file was written as asked
    Written,
    /// The file was left as it was
    NotWritten,
    /// The file is something else by now
    Changed,
    /// The command did what it was to do
    Done,
    /// The command did nothing
    NotDone,
    /// The command does not run any more; what it did stays unknown
    Gone,
}

impl As {
    fn finding(self) -> Finding {
        match self {
            Self::Written => Finding::Written,
            Self::NotWritten => Finding::NotWritten,
            Self::Changed => Finding::Changed,
            Self::Done => Finding::Done,
            Self::NotDone => Finding::NotDone,
            Self::Gone => Finding::Gone,
        }
    }

    fn is_about_files(self) -> bool {
        matches!(self, Self::Written | Self::NotWritten | Self::Changed)
    }
}

#[derive(Debug, Args)]
pub(crate) struct SettleArgs {
    /// Action id, as `audit unknown` or `audit list --outcome unknown` shows it
    id: String,
    /// What became of it
    #[arg(long = "as", value_name = "FINDING", value_enum)]
    finding: As,
    /// How you know
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Opens the journal, which settles what dead processes left, and reads what is
/// unknown.
fn unknown(context: &Context) -> Result<(Journal, Vec<Unsettled>), CliError> {
    let journal = context.supervisor()?.resources().journal()?;
    let unknown = context.runtime().block_on(journal.unknown())?;
    Ok((journal, unknown))
}

pub(crate) fn list(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let (_, unknown) = unknown(context)?;
    if ui.json {
        let items: Vec<_> = unknown
            .iter()
            .map(|account| {
                json!({
                    "action": account.context.action,
                    "tool": account.context.tool,
                    "server": account.context.server,
                    "session": account.context.session,
                    "door": account.context.door,
                    "kind": account.operation.kind,
                    "path": account.operation.path,
                    "attempted": account.ts,
                    "attemptSeq": account.attempt,
                    "found": account.found.map(Finding::as_str),
                })
            })
            .collect();
        ui.value(&items);
        return Ok(ExitCode::SUCCESS);
    }
    if unknown.is_empty() {
        ui.note("Of every change on record it is known what became of it.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = unknown
        .iter()
        .map(|account| {
            [
                account.context.action.clone(),
                account.ts.clone(),
                account.context.server.clone().unwrap_or_default(),
                account.context.tool.clone(),
                escape_line(account.operation.path.as_deref().unwrap_or_default()),
                account.found.map_or("", Finding::as_str).to_owned(),
            ]
        })
        .collect();
    ui.table(
        ["action", "attempted", "server", "tool", "path", "found"],
        rows,
    );
    ui.note(
        "The next call about such a file, or the next command on such a server, looks by itself. \
         `openshell audit settle ACTION --as …` puts on record what you found out.",
    );
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn settle(args: SettleArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "audit settle")?;
    let (journal, unknown) = unknown(context)?;
    let listed = unknown
        .into_iter()
        .find(|account| account.context.action == args.id);
    let account = match listed {
        Some(account) => Some(account),
        // Only the latest are listed; what is older is found in its own records.
        None => Journal::unsettled(journal.dir(), &args.id)?,
    };
    let account = account.ok_or_else(|| {
        CliError::failed(format!(
            "{:?} is no action whose outcome is unknown",
            args.id
        ))
        .next("`openshell audit unknown` lists them; `openshell audit show` shows an action.")
    })?;
    let is_file = account.operation.kind == "write";
    if is_file != args.finding.is_about_files() {
        let words = if is_file {
            "written, not-written or changed"
        } else {
            "done, not-done or gone"
        };
        return Err(CliError::usage(format!(
            "what became of a {} is {words}",
            if is_file { "file" } else { "command" }
        )));
    }
    let finding = args.finding.finding();
    let event = Event::Settled(Settlement {
        context: account.context,
        settled: Settled {
            finding,
            by: "person".to_owned(),
            who: Some(who()),
            during: None,
            sha256: None,
            note: args.note,
        },
    });
    let receipt = context
        .runtime()
        .block_on(journal.append(event, Durability::Synced))?;
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "action": args.id,
            "finding": finding.as_str(),
            "seq": receipt.seq,
        }));
    } else {
        ui.line(&format!(
            "Action {} is settled as {}, in record {}.",
            args.id,
            finding.as_str(),
            receipt.seq
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The account that runs this, by number, and by the name it goes by.
fn who() -> String {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var("USER").or_else(|_| std::env::var("LOGNAME")) {
        Ok(name) if !name.is_empty() => format!("{name} (uid {uid})"),
        _ => format!("uid {uid}"),
    }
}
