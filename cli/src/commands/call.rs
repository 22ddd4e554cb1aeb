//! `openshell call`: one tool call through the component.
//!
//! Invariant: exactly one envelope is printed, and the exit code follows from it;
//! `--yes` is refused where an agent started this. It goes no other way than a
//! door's calls do, so it can do nothing that they cannot.

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use openshell_host::approvals::{Asker, Origin, escape_line};
use openshell_host::supervisor::{KEY_MAX, ToolCall};
use tokio_util::sync::CancellationToken;

use crate::asker::{FlagAsker, TerminalAsker};
use crate::consent::require_person;
use crate::context::Context;
use crate::error::{CliError, envelope_exit_code};
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// Name of the tool, such as remote_exec
    tool: String,
    /// Its arguments as a JSON object, or - to read them from stdin
    #[arg(default_value = "{}")]
    arguments: String,
    /// Agree to whatever the call asks
    #[arg(long, conflicts_with = "no")]
    yes: bool,
    /// Refuse whatever the call asks
    #[arg(long)]
    no: bool,
    /// Idempotency key: a second call with it that can change something is answered from
    /// the record
    #[arg(long, value_name = "K", value_parser = key)]
    key: Option<String>,
    /// Keep a question for `openshell approvals` instead of asking here
    #[arg(long, conflicts_with_all = ["yes", "no"])]
    defer: bool,
}

/// The limits that the other doors have.
fn key(text: &str) -> Result<String, String> {
    if (1..=KEY_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a key has 1 to {KEY_MAX} bytes"))
    }
}

pub(crate) fn run(args: CallArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    if args.yes {
        require_person(context, "call --yes")?;
    }
    let arguments = if args.arguments == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        args.arguments
    };
    let supervisor = context.supervisor()?;
    let workspace = std::env::current_dir().ok();
    let asker: Arc<dyn Asker> = if args.yes || args.no {
        Arc::new(FlagAsker { yes: args.yes })
    } else if args.defer {
        Arc::new(
            supervisor.deferred(Origin {
                door: "cli".to_owned(),
                client: Some("openshell call".to_owned()),
                workspace: workspace
                    .as_ref()
                    .map(|folder| escape_line(&folder.display().to_string())),
            }),
        )
    } else {
        Arc::new(TerminalAsker)
    };
    let cancel = CancellationToken::new();
    let request = ToolCall {
        tool: args.tool,
        arguments,
        door: "cli",
        key: args.key,
        workspace,
        cancel: cancel.clone(),
        ..ToolCall::default()
    };
    let envelope = context.runtime().block_on(async {
        // Ctrl+C ends the remote command and lets that be recorded; a second one
        // ends this process.
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                cancel.cancel();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
        supervisor.call(request, asker).await
    });
    ui.value(&envelope);
    Ok(ExitCode::from(envelope_exit_code(&envelope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_length_that_it_has_at_every_door() {
        assert!(key("k").is_ok() && key(&"k".repeat(KEY_MAX)).is_ok());
        for refused in ["".to_owned(), "k".repeat(KEY_MAX + 1)] {
            let why = key(&refused).expect_err("no key");
            assert_eq!(why, "a key has 1 to 512 bytes");
        }
    }
}
