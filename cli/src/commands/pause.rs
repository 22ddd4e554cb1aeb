//! `openshell pause` and `resume`: one switch that refuses every further remote call.
//!
//! Invariant: the pause is one file that every call looks for, so it holds for
//! helpers that already run. A command under way is not ended by it.

use std::process::ExitCode;

use crate::consent::require_person;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Anybody may pause, an agent included: it only takes away.
pub(crate) fn pause(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    context
        .paths()
        .ensure_config_dir()
        .map_err(|error| CliError::failed(error.to_string()))?;
    std::fs::write(context.paths().pause_file(), b"")?;
    ui.note("Every remote call is refused until `openshell resume`.");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn resume(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "resume")?;
    match std::fs::remove_file(context.paths().pause_file()) {
        Ok(()) => ui.note("Remote calls are served again."),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            ui.note("There was no pause.");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
