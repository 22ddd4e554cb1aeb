//! `openshell history`: what was changed, newest first.
//!
//! Invariant: no server is asked, so it works while one is away; what a commit
//! quotes is escaped. No content is shown: `diff` does that.

use std::process::ExitCode;

use clap::Args;
use openshell_host::approvals::escape_line;
use openshell_host::snapshots::Revision;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Server id; default: every server
    #[arg(add = super::completions::server_ids())]
    server: Option<String>,
    /// Absolute path on the server; default: every file
    path: Option<String>,
    /// Only what one action did (a ULID, as `openshell audit` shows it)
    #[arg(long, value_name = "ID")]
    action: Option<String>,
    /// Only what a client's session did
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// How many revisions, the latest ones; default: all
    #[arg(long)]
    limit: Option<usize>,
}

pub(crate) fn run(args: &HistoryArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let supervisor = context.supervisor()?;
    let snapshots = supervisor.resources().snapshots()?;
    let here = std::env::current_dir().ok();
    let server = args
        .server
        .as_ref()
        .map(|server| supervisor.history_name(server, here.as_deref()));
    let mut revisions = snapshots.history(server.as_deref(), args.path.as_deref())?;
    let same = |wanted: &Option<String>, found: Option<&String>| {
        wanted.is_none() || wanted.as_ref() == found
    };
    revisions.retain(|revision| {
        same(&args.action, Some(&revision.action)) && same(&args.session, revision.session.as_ref())
    });
    revisions.truncate(args.limit.unwrap_or(usize::MAX));
    if ui.json {
        let list: Vec<_> = revisions.iter().map(describe).collect();
        ui.value(&list);
    } else if revisions.is_empty() {
        ui.note("No change is on record.");
    } else {
        let rows = revisions
            .iter()
            .map(|revision| {
                [
                    revision.id.clone(),
                    revision.time.to_string(),
                    revision.kind.as_str().to_owned(),
                    escape_line(&who(revision)),
                    escape_line(&format!("{}:{}", revision.server, revision.path)),
                    if revision.removed {
                        "absent".to_owned()
                    } else {
                        describe_state(revision)
                    },
                ]
            })
            .collect();
        ui.table(["revision", "time", "kind", "by", "file", "state"], rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Through what it was done, and who agreed.
fn who(revision: &Revision) -> String {
    let door = revision.door.as_deref().unwrap_or("?");
    let approved = revision.approved.as_deref().unwrap_or("nobody");
    match &revision.session {
        Some(session) => format!("{} ({door} {session}), {approved}", revision.tool),
        None => format!("{} ({door}), {approved}", revision.tool),
    }
}

fn describe(revision: &Revision) -> Value {
    json!({
        "revision": revision.id,
        "time": revision.time.to_string(),
        "kind": revision.kind.as_str(),
        "tool": revision.tool,
        "action": revision.action,
        "session": revision.session,
        "door": revision.door,
        "approvedBy": revision.approved,
        "restores": revision.restores,
        "server": revision.server,
        "path": revision.path,
        "sha256": revision.sha256,
        "mode": revision.metadata.as_ref().map(|metadata| format!("{:04o}", metadata.mode)),
        "owner": revision.metadata.as_ref().map(|metadata| json!({
            "uid": metadata.uid,
            "gid": metadata.gid,
            "user": metadata.owner,
            "group": metadata.group,
        })),
        "mtime": revision.metadata.as_ref().map(|metadata| metadata.mtime),
        "size": revision.size,
        "absent": revision.removed,
        "as": revision.run_as,
        "sealed": revision.sealed,
    })
}

fn describe_state(revision: &Revision) -> String {
    let mode = revision
        .metadata
        .as_ref()
        .map(|metadata| format!("{:04o}", metadata.mode))
        .unwrap_or_default();
    match revision.size {
        Some(size) => format!("{mode} {size} bytes"),
        None => format!("{mode} sealed"),
    }
}
