//! `openshell undo`: takes back a recorded change of a file, or everything an
//! action or a session changed.
//!
//! Several files are undone one after the other, the one changed last first, each
//! with its own question; the first refusal ends it. What was undone by then stays
//! undone, and the same command goes on from there. Invariant: each file goes the
//! way of any change, with permit, question and record. Which state is brought back
//! is not worked out here.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use openshell_host::approvals::{Asker, escape_text};
use openshell_host::snapshots::Selection;
use openshell_host::supervisor::{Envelope, RestoreRequest};
use serde_json::{Value, json};

use crate::asker::{FlagAsker, TerminalAsker};
use crate::consent::require_person;
use crate::context::Context;
use crate::error::{CliError, envelope_exit_code};
use crate::ui::{Ui, colour_diff};

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Server id
    #[arg(required_unless_present_any = ["action", "session"])]
    #[arg(add = super::completions::server_ids())]
    server: Option<String>,
    /// Absolute path on the server
    #[arg(required_unless_present_any = ["action", "session"])]
    path: Option<String>,
    /// Revision to go back to, as `openshell history` shows it; default: before the last change
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Undo everything this action changed (a ULID, as `openshell history` and `audit` show it)
    #[arg(long, value_name = "ID", conflicts_with_all = ["server", "path", "to", "session"])]
    action: Option<String>,
    /// Undo everything this client's session changed
    #[arg(long, value_name = "ID", conflicts_with_all = ["server", "path", "to"])]
    session: Option<String>,
    /// Go ahead although the file was changed by somebody else since
    #[arg(long, visible_alias = "force", alias = "over-drift")]
    despite_drift: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "no")]
    yes: bool,
    /// Say no to the question: a rehearsal
    #[arg(long)]
    no: bool,
}

pub(crate) fn run(args: UndoArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "undo")?;
    let asker: Arc<dyn Asker> = if args.yes || args.no {
        Arc::new(FlagAsker { yes: args.yes })
    } else {
        Arc::new(TerminalAsker)
    };
    let here = std::env::current_dir().ok();
    let supervisor = context.supervisor()?;
    let restore = |request: RestoreRequest| {
        context
            .runtime()
            .block_on(supervisor.restore(request, "cli", Arc::clone(&asker)))
    };
    let selection = match (&args.action, &args.session) {
        (Some(id), _) => Selection::Action(id.clone()),
        (None, Some(id)) => Selection::Session(id.clone()),
        (None, None) => {
            let envelope = restore(RestoreRequest {
                server: args.server.unwrap_or_default(),
                path: args.path.unwrap_or_default(),
                to: args.to,
                left: None,
                despite_drift: args.despite_drift,
                workspace: here,
            });
            let code = envelope_exit_code(&envelope);
            if ui.json {
                ui.value(&envelope);
            } else {
                tell(ui, envelope);
            }
            return Ok(ExitCode::from(code));
        }
    };
    let files = supervisor.resources().snapshots()?.changes_of(&selection)?;
    let mut results: Vec<Value> = Vec::new();
    let mut code = 0;
    for (index, file) in files.iter().enumerate() {
        let envelope = restore(RestoreRequest::of(file, args.despite_drift, here.clone()));
        code = envelope_exit_code(&envelope);
        if ui.json {
            results.push(json!({
                "server": file.server,
                "path": file.path,
                "changes": file.changes,
                "result": envelope,
            }));
        } else {
            tell(ui, envelope);
        }
        if code != 0 {
            for left in &files[index + 1..] {
                if !ui.json {
                    ui.note(&format!("Not undone: {}:{}", left.server, left.path));
                }
                results.push(json!({
                    "server": left.server,
                    "path": left.path,
                    "changes": left.changes,
                    "result": Value::Null,
                }));
            }
            break;
        }
    }
    if ui.json {
        ui.value(&json!({
            "status": if code == 0 { "ok" } else { "error" },
            "files": results,
        }));
    }
    Ok(ExitCode::from(code))
}

/// One result for a person, with the difference that stands in the way.
fn tell(ui: Ui, envelope: Envelope) {
    if envelope_exit_code(&envelope) == 0 {
        ui.line(envelope.message.as_deref().unwrap_or("Done."));
        return;
    }
    let drift = envelope.data.as_ref().map(|data| &data["drift"]);
    if let Some(diff) = drift.and_then(|drift| drift["diff"].as_str()) {
        ui.line(colour_diff(&escape_text(diff)).trim_end());
    }
    let error = CliError::failed(envelope.message.unwrap_or_default())
        .next(envelope.next.unwrap_or_default())
        .code(envelope.code.as_deref().unwrap_or("INTERNAL"));
    let _ = ui.fail(&error);
}
