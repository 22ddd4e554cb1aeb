//! `openshell bridge`: serves a plugin on stdin and stdout.

use std::process::ExitCode;

use openshell_host::doors::serve_bridge;

use crate::context::Context;
use crate::error::CliError;

pub(crate) fn run(context: &Context) -> Result<ExitCode, CliError> {
    let supervisor = context.supervisor()?.clone();
    let served = context.runtime().block_on(async move {
        // The client shares our process group, so its Ctrl+C reaches us too; the
        // end of the input, which follows, is what ends us in good order.
        tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
        serve_bridge(supervisor, tokio::io::stdin(), tokio::io::stdout()).await
    });
    served.map_err(|error| CliError::failed(error.to_string()))?;
    // A blocked read of stdin must not keep the process alive.
    std::process::exit(0)
}
