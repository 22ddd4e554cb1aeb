//! `openshell mcp`: serves any MCP client on stdin and stdout.
//!
//! It starts whoever starts it: what it does unasked is what the policy lets any
//! agent do. Whether a dialog of the client counts as a person is another matter.
//! Invariant: standard output carries messages and nothing else. The protocol
//! itself is no part of this file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use openshell_host::approvals::agent_between;
use openshell_host::doors::{McpOptions, serve_mcp};

use crate::context::Context;
use crate::error::CliError;
use crate::setting::farewell;

#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// Folder the client works in; the current directory when absent
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

/// Serves until the input ends. Where an agent's own shell started this, whoever
/// answers the client's dialogs may be that agent: questions are kept for a
/// person's own terminal then.
pub(crate) fn run(args: McpArgs, context: &Context) -> Result<ExitCode, CliError> {
    let workspace = match args.workspace {
        Some(folder) => Some(folder.canonicalize().map_err(|error| {
            CliError::usage(format!("{} cannot be used: {error}", folder.display()))
        })?),
        None => std::env::current_dir().ok(),
    };
    let options = McpOptions {
        workspace,
        dialogs_count: agent_between().is_none(),
        farewell: farewell()?,
    };
    let supervisor = context.supervisor()?.clone();
    let served = context.runtime().block_on(async move {
        // The client may share our process group, and its Ctrl+C then reaches us
        // too; the end of the input, which follows, is what ends us in good order.
        tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
        serve_mcp(supervisor, options, tokio::io::stdin(), tokio::io::stdout()).await
    });
    served.map_err(|error| CliError::failed(error.to_string()))?;
    // A blocked read of stdin must not keep the process alive.
    std::process::exit(0)
}
