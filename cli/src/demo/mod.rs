//! The demonstration: a short operator's story on a private server.
//!
//! Everything in it is real: the component, the policy, the sealed registry, an SSH
//! connection over loopback, the journal and the snapshots. Only the person who
//! answers the questions is played, and the captions say so. Invariant: nothing is
//! left behind, and nothing of the user's own configuration is read.

pub(crate) mod server;
mod story;

use std::process::ExitCode;

use openshell_host::registry::Paths;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;
use server::DemoServer;

/// Runs the demonstration and removes what it made.
pub(crate) fn run(slow: bool, ui: Ui) -> Result<ExitCode, CliError> {
    let scratch = tempfile::Builder::new()
        .prefix("openshell-demo-")
        .tempdir()?;
    // The name a server says for a file is its real one.
    let folder = scratch.path().canonicalize()?;
    let context = Context::at(Paths::new(folder.join("config"), folder.join("data")))?;
    let files = folder.join("server");
    std::fs::create_dir(&files)?;
    let server = context
        .runtime()
        .block_on(DemoServer::start(&files))
        .map_err(|error| CliError::failed(format!("the demo's server did not start: {error}")))?;
    let told = story::tell(&context, &server, &folder, &files, slow, ui);
    context.close();
    context.runtime().block_on(server.stop());
    told
}
