//! `openshell undo`: takes back a recorded change of a file.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use openshell_host::approvals::Asker;
use openshell_host::supervisor::RestoreRequest;

use crate::asker::{FlagAsker, TerminalAsker};
use crate::consent::require_person;
use crate::context::Context;
use crate::error::{CliError, envelope_exit_code};
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Server id
    server: String,
    /// Absolute path on the server
    path: String,
    /// Revision to go back to, as `openshell history` shows it; default: before the last change
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Go ahead although the file was changed by somebody else since
    #[arg(long)]
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
    let request = RestoreRequest {
        server: args.server,
        path: args.path,
        to: args.to,
        despite_drift: args.despite_drift,
        workspace: std::env::current_dir().ok(),
    };
    let supervisor = context.supervisor()?;
    let envelope = context
        .runtime()
        .block_on(supervisor.restore(request, "cli", asker));
    let code = envelope_exit_code(&envelope);
    if ui.json {
        ui.value(&envelope);
    } else if code == 0 {
        ui.line(envelope.message.as_deref().unwrap_or("Done."));
    } else {
        let error = CliError::failed(envelope.message.unwrap_or_default())
            .next(envelope.next.unwrap_or_default())
            .code(envelope.code.as_deref().unwrap_or("INTERNAL"));
        let _ = ui.fail(&error);
    }
    Ok(ExitCode::from(code))
}
