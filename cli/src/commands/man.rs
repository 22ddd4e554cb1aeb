//! `openshell man`: the manual, made from what the program knows of itself.
//!
//! Invariant: the pages come from the definitions that parse the command line, so
//! no verb or flag can be missing. It installs nothing.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the pages of all verbs into a directory, instead of the first page to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs, command: clap::Command, ui: Ui) -> Result<ExitCode, CliError> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .map_err(|error| {
            CliError::failed(format!("{}: {error}", dir.display()))
                .next("Name a directory that can be written.")
        })?;
    if ui.json {
        ui.value(&json!({"status": "ok", "dir": dir}));
    }
    Ok(ExitCode::SUCCESS)
}
