//! `openshell demo`: the story, told by `crate::demo`.
//!
//! Invariant: it takes no path and no server, so it cannot be pointed at anything
//! real. Nothing is told or checked in this file.

use std::process::ExitCode;

use clap::Args;

use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Wait a moment after each step, for watching
    #[arg(long)]
    slow: bool,
}

pub(crate) fn run(args: &DemoArgs, ui: Ui) -> Result<ExitCode, CliError> {
    crate::demo::run(args.slow, ui)
}
