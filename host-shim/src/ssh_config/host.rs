//! What a configuration says about one host, as it is handed out.
//!
//! It holds what was read and decides nothing.
//!
//! Invariant: what applies is either in a field or listed as not honoured.

use std::path::{Path, PathBuf};

use super::jump::Jump;

/// A directive that applies to a host and is not honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhonoured {
    /// The directive, as it is spelled in `ssh_config(5)` but in lower case.
    pub directive: String,
    /// Its arguments, unquoted, with a space between them.
    pub value: String,
    /// The file it stands in.
    pub file: PathBuf,
    /// Number of its line in that file, from 1.
    pub line: usize,
    /// Why, where it is not just unknown here.
    pub reason: Option<String>,
    /// Whether the host cannot be reached, or not as meant, without it.
    pub needed: bool,
}

/// What counts for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Name as it was asked for.
    pub alias: String,
    /// DNS name or address to connect to.
    pub host: String,
    /// TCP port; 22 where nothing says another.
    pub port: u16,
    /// Login name on the server.
    pub user: String,
    /// Private or public key files, in order; empty where none is configured.
    pub identity_files: Vec<PathBuf>,
    /// Whether agents are switched off (`IdentityAgent none`).
    pub agent_off: bool,
    /// Socket of an agent, where the configuration names one.
    pub identity_agent: Option<PathBuf>,
    /// Certificate files, in order.
    pub certificate_files: Vec<PathBuf>,
    /// Files with host keys, where the configuration names some.
    pub known_hosts: Option<Vec<PathBuf>>,
    /// Name under which the host's keys are filed.
    pub key_alias: Option<String>,
    /// Hosts to connect through, the first hop first.
    pub jumps: Vec<Jump>,
    /// What applies and is not honoured, in order.
    pub unhonoured: Vec<Unhonoured>,
}

impl HostConfig {
    /// The certificate that goes with an identity by its name, as ssh(1) finds it.
    #[must_use]
    pub fn usual_certificate(identity: &Path) -> PathBuf {
        let mut name = identity.as_os_str().to_owned();
        name.push("-cert.pub");
        PathBuf::from(name)
    }
}
