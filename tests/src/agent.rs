//! A real `ssh-agent`, for one test.
//!
//! Invariant: its socket lies in a directory of the test, and the process ends
//! with the value. It deliberately starts empty.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long the agent may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running agent. Dropping it ends it.
#[derive(Debug)]
pub struct SshAgent {
    child: Child,
    socket: PathBuf,
}

impl SshAgent {
    /// Starts an agent that listens on `DIR/agent`.
    ///
    /// # Panics
    /// When `ssh-agent` is missing or does not listen.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-agent is installed (openssh-client)");
        let agent = Self { child, socket };
        let limit = Instant::now() + START_LIMIT;
        while !agent.socket.exists() {
            assert!(Instant::now() < limit, "ssh-agent does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        agent
    }

    /// The socket it listens on.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Gives it a key without a passphrase, and the certificate beside it.
    ///
    /// # Panics
    /// When the key cannot be added.
    pub fn add(&self, key: &Path) {
        let output = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .output()
            .expect("ssh-add is installed (openssh-client)");
        assert!(
            output.status.success(),
            "ssh-add {}: {}",
            key.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
