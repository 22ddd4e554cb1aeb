//! `openshell bridge`: serves a plugin on stdin and stdout.
//!
//! Invariant: standard output carries frames and nothing else. The protocol is
//! `doors::bridge`'s; here is only who may start it and how it ends.

use std::process::ExitCode;

use openshell_host::approvals::agent_between;
use openshell_host::doors::{BridgeOptions, serve_bridge};

use crate::consent::refuse;
use crate::context::Context;
use crate::error::CliError;
use crate::setting::{farewell, milliseconds};

/// Variable that says how long an effect lasts before the client hears of it, in ms.
const PROGRESS_VARIABLE: &str = "OPENSHELL_PROGRESS_MS";

/// Serves until the input ends, unless an agent's own shell started this: then
/// whoever answers its questions would be the agent.
pub(crate) fn run(context: &Context) -> Result<ExitCode, CliError> {
    if let Some(found) = agent_between() {
        return Err(refuse(context, "bridge", &found));
    }
    let options = BridgeOptions {
        progress_every: milliseconds(PROGRESS_VARIABLE, 50..=600_000)?,
        farewell: farewell()?,
    };
    let supervisor = context.supervisor()?.clone();
    let served = context.runtime().block_on(async move {
        // The client shares our process group, so its Ctrl+C reaches us too; the
        // end of the input, which follows, is what ends us in good order.
        tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
        serve_bridge(supervisor, options, tokio::io::stdin(), tokio::io::stdout()).await
    });
    served.map_err(|error| CliError::failed(error.to_string()))?;
    // A blocked read of stdin must not keep the process alive.
    std::process::exit(0)
}
