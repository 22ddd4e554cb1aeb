//! What verbs share: paths, the async runtime, the supervisor.
//!
//! Invariant: the supervisor and all it opens are made on first use, so that a verb
//! that needs neither touches no file; the runtime is made at once. It does not know which verb runs.

use std::cell::OnceCell;
use std::io::IsTerminal;
use std::process::Stdio;
use std::sync::Arc;

use openshell_host::engine::Engine;
use openshell_host::registry::{MasterKey, Paths};
use openshell_host::ssh::Patience;
use openshell_host::supervisor::{FanoutLimit, Predial, Resources, Supervisor};
use tokio::runtime::Runtime;

use crate::error::CliError;
use crate::keyboard;

/// Shared state of one run.
pub(crate) struct Context {
    paths: Paths,
    runtime: Runtime,
    supervisor: OnceCell<Supervisor>,
}

impl Context {
    /// Takes the paths from the environment.
    pub(crate) fn from_env() -> Result<Self, CliError> {
        Self::at(Paths::from_env()?)
    }

    /// Works below other paths, as the demo does.
    pub(crate) fn at(paths: Paths) -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(CliError::internal)?;
        Ok(Self {
            paths,
            runtime,
            supervisor: OnceCell::new(),
        })
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn supervisor(&self) -> Result<&Supervisor, CliError> {
        if self.supervisor.get().is_none() {
            let prompt = std::io::stdin()
                .is_terminal()
                .then(|| Arc::new(|| keyboard::secret("Registry passphrase: ")) as _);
            let resources = Resources::new(self.paths.clone(), prompt)
                .with_patience(Patience::from_env()?)
                .with_fanout(FanoutLimit::from_env()?)
                .with_predial(Predial::from_env()?);
            let supervisor = Supervisor::new(Engine::embedded()?, resources)?;
            let _ = self.supervisor.set(supervisor);
        }
        self.supervisor
            .get()
            .ok_or_else(|| CliError::internal("the supervisor was not kept"))
    }

    /// Uses this key instead of looking for one.
    pub(crate) fn use_key(&self, key: MasterKey) -> Result<(), CliError> {
        self.supervisor()?.resources().use_key(key);
        Ok(())
    }

    /// Closes connections and makes the journal durable.
    pub(crate) fn close(&self) {
        if let Some(supervisor) = self.supervisor.get() {
            self.runtime.block_on(supervisor.resources().close());
        }
    }

    /// Has the snapshots packed where that is due, without waiting for it.
    pub(crate) fn tidy(&self) {
        if self
            .supervisor
            .get()
            .is_some_and(|supervisor| supervisor.resources().is_packing_due())
        {
            pack_apart();
        }
    }
}

/// Has a process of its own pack the snapshots, as git does: this one is over in a
/// moment, and nobody should wait for it. Nothing depends on it.
fn pack_apart() {
    use std::os::unix::process::CommandExt;
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let _ = std::process::Command::new(program)
        .args(["snapshots", "gc", "--auto", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl+C at the terminal is not meant for it.
        .process_group(0)
        .spawn();
}
