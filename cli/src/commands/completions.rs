//! `openshell completions`: what a shell sources to complete this command.
//!
//! The script asks the program itself at every Tab, so it also completes the ids of
//! registered servers. Invariant: those are read from the plain fields of the
//! registry: nothing is unlocked, nobody is asked, nothing is made.

use std::ffi::OsStr;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use openshell_host::registry::{Paths, Registry};

use crate::error::CliError;

/// The variable that makes this program answer a shell.
pub(crate) const VARIABLE: &str = "OPENSHELL_COMPLETE";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell the script is for
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<ExitCode, CliError> {
    let shells = Shells::builtins();
    let completer = shells
        .completer(&args.shell)
        .ok_or_else(|| CliError::usage(format!("there is no script for {}", args.shell)))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "openshell", "openshell", "openshell", &mut script)?;
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Completes the id of a registered server.
pub(crate) fn server_ids() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let begun = begun.to_string_lossy();
        // A shell in mid-completion is no place for errors.
        let registry = Paths::from_env()
            .ok()
            .and_then(|paths| Registry::open(&paths).ok());
        let servers = registry.map(|registry| registry.list()).unwrap_or_default();
        servers
            .into_iter()
            .filter(|server| server.id.as_str().starts_with(begun.as_ref()))
            .map(|server| {
                let help = format!("{}@{}", server.user, server.host);
                CompletionCandidate::new(server.id.as_str()).help(Some(help.into()))
            })
            .collect()
    })
}
