//! The server the demonstration works on: a small SSH server inside this
//! process, whose file system is one scratch directory.
//!
//! Invariant: it listens on the loopback address alone, lets in nobody but the
//! holder of a key made for it a moment ago, and leaves no process behind.
//!
//! SFTP is confined to the directory. Commands are not: they run on this
//! machine as this user, so the server is good for the demonstration's own
//! fixed story and for nothing else. It forwards no ports, offers no terminal,
//! and keeps no keys once it is dropped.

mod confine;
mod exec;
mod extension;
mod listing;
mod session;
mod sftp;

#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, ssh_key};
use russh::server::{Config, RunningServerHandle, Server};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use confine::Root;
use session::Door;

/// Why the demonstration's server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory it is to serve is none.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// What was given.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] ssh_key::Error),
    /// The system gave no random bytes.
    #[error("the system's random number generator failed")]
    NoRandom,
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Io { action, source }
}

/// A running server. Dropping it ends every connection and every command.
pub(crate) struct DemoServer {
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    /// Public host key as `ssh-ed25519 BASE64`.
    pub(crate) host_key_line: String,
    /// Private key file (0600) of the one client that is let in, under any
    /// user name. It is removed with the server.
    pub(crate) client_key_path: PathBuf,
    running: RunningServerHandle,
    tasks: TaskTracker,
    _keys: TempDir,
}

impl DemoServer {
    /// Starts a server whose file system is `root` and whose commands start in
    /// it. Needs a tokio runtime with I/O and time, whose end is the end of
    /// the server too.
    ///
    /// # Errors
    /// [`DemoError`] when `root` is no directory, no port is free, or no key
    /// can be made or written.
    pub(crate) async fn start(root: &Path) -> Result<Self, DemoError> {
        let root = Root::new(root)?;
        let host_key = make_key()?;
        let client_key = make_key()?;
        let host_key_line = host_key.public_key().to_openssh()?;
        let keys = tempfile::Builder::new()
            .prefix("openshell-demo-")
            .tempdir()
            .map_err(failed("make a directory for the client's key"))?;
        let client_key_path = keys.path().join("id_ed25519");
        write_key(&client_key_path, &client_key)?;

        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(failed("listen on 127.0.0.1"))?;
        let port = listener
            .local_addr()
            .map_err(failed("ask for the port"))?
            .port();

        let tasks = TaskTracker::new();
        let mut door = Door::new(root, client_key.public_key().clone(), tasks.clone());
        let config = Arc::new(config(host_key));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tasks.spawn(async move {
            let running = door.run_on_socket(config, &listener);
            // The other end waits below, unless the runtime is going down.
            let _ = sender.send(running.handle());
            // It ends when it is told to, or when accepting fails for good;
            // then clients are refused, and say so.
            let _ = running.await;
        });
        let running = receiver.await.map_err(|_| DemoError::Io {
            action: "start the server",
            source: io::ErrorKind::Interrupted.into(),
        })?;
        Ok(Self {
            port,
            host_key_line,
            client_key_path,
            running,
            tasks,
            _keys: keys,
        })
    }

    /// Ends every connection and waits until its commands are gone.
    pub(crate) async fn stop(self) {
        self.running
            .shutdown("the demonstration is over".to_owned());
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.running
            .shutdown("the demonstration is over".to_owned());
    }
}

fn config(host_key: PrivateKey) -> Config {
    Config {
        keys: vec![host_key],
        methods: [MethodKind::PublicKey].as_slice().into(),
        // There is nothing to guess, so a refusal need not be slow.
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        // Without it every small answer waits for a delayed acknowledgement.
        nodelay: true,
        ..Config::default()
    }
}

fn make_key() -> Result<PrivateKey, DemoError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| DemoError::NoRandom)?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}

fn write_key(path: &Path, key: &PrivateKey) -> Result<(), DemoError> {
    let text = key.to_openssh(LineEnding::LF)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create the client's key"))?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(failed("write the client's key"))
}
