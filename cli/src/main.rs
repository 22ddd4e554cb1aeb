//! The `openshell` command: manages servers, runs single calls, shows the record
//! and serves agents.
//!
//! Every verb is a file below `commands`; this one parses the command line, runs
//! the verb and turns its end into words and an exit code. It holds no logic of its
//! own. Invariant: core dumps are forbidden before any verb runs.

mod asker;
mod commands;
mod consent;
mod context;
mod demo;
mod error;
mod install;
mod keyboard;
mod setting;
mod ui;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

use commands::Command;
use ui::Ui;

/// Remote servers for coding agents: look freely, ask before changing, undo.
#[derive(Debug, Parser)]
#[command(name = "openshell", version, about, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 denied by policy or person, \
                        4 outcome unknown, 70 internal error, 130 at a second Ctrl+C in `call`."
)]
struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    #[cfg(feature = "fault-points")]
    if openshell_host::fault::announce() {
        return ExitCode::SUCCESS;
    }
    // Answers a shell and ends, where one asks.
    CompleteEnv::with_factory(Cli::command)
        .var(commands::COMPLETE_VARIABLE)
        .complete();
    let cli = Cli::parse();
    let ui = Ui::new(cli.json);
    // A core dump of this process could hold a password.
    if let Err(error) = openshell_host::registry::disable_core_dumps() {
        ui.warn(&format!("core dumps could not be switched off: {error}"));
    }
    match cli.command.run(&ui) {
        Ok(code) => code,
        Err(error) => ui.fail(&error),
    }
}
