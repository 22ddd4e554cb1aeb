//! `openshell diff`: a recorded change, the way between two revisions, or from a
//! revision to what is on the server now.
//!
//! Invariant: what is sealed is opened for a person only: an agent that could have
//! it shown here would not have to ask for the file. It compares and never changes
//! either side.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use openshell_host::approvals::describe_change;
use openshell_host::snapshots::{FileState, Revision};
use serde_json::json;

use crate::asker::TerminalAsker;
use crate::consent::require_person;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, colour_diff};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Server id
    #[arg(add = super::completions::server_ids())]
    server: String,
    /// Absolute path on the server
    path: String,
    /// Revision to start from; default: the one before --to, or the newest with --to alone
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// Revision to end at: what `undo --to REV` would bring back; default: the newest
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// End at the file as it is on the server now; starts at the newest revision
    /// unless --from says otherwise
    #[arg(long, conflicts_with = "to")]
    live: bool,
}

/// One side of the comparison.
struct Side {
    /// A revision, or `live`.
    name: Option<String>,
    state: FileState<'static>,
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
    if revisions.iter().any(|revision| revision.sealed) {
        require_person(context, "diff")?;
    }
    let load = |revision: Option<String>| -> Result<Side, CliError> {
        let state = match &revision {
            None => FileState::Absent,
            Some(revision) => context
                .runtime()
                .block_on(supervisor.snapshot(&server, &args.path, revision))?,
        };
        Ok(Side {
            name: revision,
            state,
        })
    };
    let newest = || Some(newest.id.clone());
    let (old, new) = if args.live {
        let (_, state) = context.runtime().block_on(supervisor.live(
            &args.server,
            &args.path,
            here,
            "cli",
            Arc::new(TerminalAsker),
        ))?;
        let live = Side {
            name: Some("live".to_owned()),
            state,
        };
        (load(args.from.clone().or_else(newest))?, live)
    } else {
        let (from, to) = match (&args.from, &args.to) {
            (Some(from), Some(to)) => (Some(from.clone()), Some(to.clone())),
            (Some(from), None) => (Some(from.clone()), newest()),
            (None, Some(to)) => (newest(), Some(to.clone())),
            (None, None) => (before(&revisions), newest()),
        };
        (load(from)?, load(to)?)
    };
    let name = format!("{}:{}", args.server, args.path);
    let mut change = describe_change(&name, side(&old.state), side(&new.state));
    if let (FileState::Present { metadata: was, .. }, FileState::Present { metadata: is, .. }) =
        (&old.state, &new.state)
        && (was.uid, was.gid) != (is.uid, is.gid)
    {
        let owner = format!(
            "; owner {}:{} becomes {}:{}",
            was.uid, was.gid, is.uid, is.gid
        );
        change.summary.push_str(&owner);
    }
    let same = old.state.same_as(&new.state);
    if ui.json {
        ui.value(&json!({
            "server": args.server,
            "path": args.path,
            "from": old.name,
            "to": new.name,
            "same": same,
            "summary": change.summary,
            "diff": change.diff,
        }));
    } else if same {
        ui.note("There is no difference.");
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
