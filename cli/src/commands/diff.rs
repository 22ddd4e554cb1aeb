//! `openshell diff`: a recorded change, or the way between two revisions.

use std::process::ExitCode;

use clap::Args;
use openshell_host::approvals::describe_change;
use openshell_host::snapshots::{FileState, Revision};
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, colour_diff};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Server id
    server: String,
    /// Absolute path on the server
    path: String,
    /// Revision to start from; default: the one before --to, or the newest with --to alone
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// Revision to end at: what `undo --to REV` would bring back; default: the newest
    #[arg(long, value_name = "REV")]
    to: Option<String>,
}

pub(crate) fn run(args: &DiffArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let supervisor = context.supervisor()?;
    let snapshots = supervisor.resources().snapshots()?;
    let here = std::env::current_dir().ok();
    let server = supervisor.history_name(&args.server, here.as_deref());
    let revisions = snapshots.history(Some(&server), Some(&args.path))?;
    let none = || {
        CliError::failed(format!(
            "no change of {}:{} is on record",
            args.server, args.path
        ))
        .next("`openshell history` lists what is.")
    };
    let newest = revisions.first().ok_or_else(none)?;
    let (from, to) = match (&args.from, &args.to) {
        (Some(from), Some(to)) => (Some(from.clone()), to.clone()),
        (Some(from), None) => (Some(from.clone()), newest.id.clone()),
        (None, Some(to)) => (Some(newest.id.clone()), to.clone()),
        (None, None) => (before(&revisions), newest.id.clone()),
    };
    let load = |revision: &str| {
        context
            .runtime()
            .block_on(supervisor.snapshot(&server, &args.path, revision))
            .map_err(CliError::from)
    };
    let old = match &from {
        Some(from) => load(from)?,
        None => FileState::Absent,
    };
    let new = load(&to)?;
    let name = format!("{}:{}", args.server, args.path);
    let change = describe_change(&name, side(&old), side(&new));
    if ui.json {
        ui.value(&json!({
            "server": args.server,
            "path": args.path,
            "from": from,
            "to": to,
            "summary": change.summary,
            "diff": change.diff,
        }));
    } else {
        if let Some(diff) = &change.diff {
            ui.line(colour_diff(diff).trim_end());
        }
        ui.note(&change.summary);
    }
    Ok(ExitCode::SUCCESS)
}

/// The state the newest change started from.
fn before(revisions: &[Revision]) -> Option<String> {
    revisions.get(1).map(|revision| revision.id.clone())
}

fn side<'a>(state: &'a FileState<'_>) -> Option<(&'a [u8], u32)> {
    match state {
        FileState::Absent => None,
        FileState::Present { content, metadata } => Some((content, metadata.mode)),
    }
}
