//! What an import would register: every host asked for, and those on the way.
//!
//! Invariant: a server stands behind the ones it is reached through, so that
//! registering in order works; a host that would be reached otherwise than
//! ssh(1) would is left out, with the reason. Nothing is asked or written here.

use std::path::{Path, PathBuf};

use openshell_host::registry::{AuthMaterial, Registry, ServerId};
use openshell_host::ssh::HostKey;
use openshell_host::ssh::known_hosts::KnownHosts;
use openshell_host::ssh_config::{Config, HostConfig, Jump, Surroundings, Unhonoured};
use russh::keys;

use super::server_import::sentence;
use crate::error::CliError;

/// Deepest chain of servers followed; the registry's own bound is the same.
const HOPS_MAX: usize = 8;
/// Where ssh(1) looks for keys by itself.
const IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// A server to be registered.
pub(super) struct Planned {
    pub(super) id: ServerId,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) jump: Option<ServerId>,
    pub(super) auth: AuthMaterial,
    /// Keys to file for it.
    pub(super) keys: Vec<HostKey>,
    /// Whether its keys, or an authority for them, are known.
    pub(super) known: bool,
    pub(super) unhonoured: Vec<Unhonoured>,
}

/// A host that is left out.
pub(super) struct Skipped {
    pub(super) alias: String,
    pub(super) reason: String,
}

/// Everything an import would do.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) servers: Vec<Planned>,
    pub(super) skipped: Vec<Skipped>,
    /// By host, for the result.
    pub(super) not_honoured: Vec<(String, Unhonoured)>,
}

impl Planned {
    /// How it logs in, in words.
    pub(super) fn auth_text(&self) -> String {
        match &self.auth {
            AuthMaterial::Password(_) => "password".to_owned(),
            AuthMaterial::IdentityFile { path, .. } => format!("key {}", path.display()),
            AuthMaterial::Agent { .. } => "ssh-agent".to_owned(),
        }
    }
}

struct Maker<'a> {
    config: &'a Config,
    surroundings: &'a Surroundings,
    registry: &'a Registry,
    own_files: &'a [PathBuf],
    plan: Plan,
}

/// Plans the import of some hosts, or of all that the configuration names.
pub(super) fn make(
    hosts: &[String],
    config: &Config,
    surroundings: &Surroundings,
    registry: &Registry,
    own_files: &[PathBuf],
) -> Result<Plan, CliError> {
    let names = if hosts.is_empty() {
        config.names()
    } else {
        hosts.to_vec()
    };
    let mut maker = Maker {
        config,
        surroundings,
        registry,
        own_files,
        plan: Plan::default(),
    };
    for name in names {
        if let Err(reason) = maker.add(&Jump::to(&name), None, 0) {
            maker.plan.skipped.push(Skipped {
                alias: name,
                reason,
            });
        }
    }
    Ok(maker.plan)
}

impl Maker<'_> {
    /// Plans one host and those before it; `before` is the rest of a chain that
    /// was given for it and counts instead of its own.
    fn add(
        &mut self,
        jump: &Jump,
        before: Option<&[Jump]>,
        depth: usize,
    ) -> Result<ServerId, String> {
        if depth > HOPS_MAX {
            return Err(format!("it is behind more than {HOPS_MAX} other hosts"));
        }
        let id = ServerId::new(&jump.alias).map_err(|error| error.to_string())?;
        let host = self.config.resolve(jump, self.surroundings)?;
        if let Some(registered) = self.known_as(&id, &host)? {
            return if depth == 0 && registered {
                Err("it is registered already".to_owned())
            } else {
                Ok(id)
            };
        }
        for other in &host.unhonoured {
            self.plan
                .not_honoured
                .push((jump.alias.clone(), other.clone()));
        }
        if let Some(needed) = host.unhonoured.iter().find(|other| other.needed) {
            return Err(format!("it needs {}", sentence(needed)));
        }
        let (auth, note) = auth(&host, self.surroundings)?;
        let chain = before.unwrap_or(&host.jumps);
        let through = match chain.split_last() {
            Some((last, rest)) => {
                // Before the first hop of a chain comes what that hop's own
                // configuration says.
                let rest = (!rest.is_empty()).then_some(rest);
                let through = self.add(last, rest, depth + 1);
                Some(through.map_err(|reason| format!("through {}: {reason}", last.alias))?)
            }
            None => None,
        };
        let mut unhonoured = host.unhonoured.clone();
        if let Some(note) = note {
            self.plan
                .not_honoured
                .push((jump.alias.clone(), note.clone()));
            unhonoured.push(note);
        }
        let (keys, known) = self.host_keys(&host)?;
        self.plan.servers.push(Planned {
            id: id.clone(),
            host: host.host,
            port: host.port,
            user: host.user,
            jump: through,
            auth,
            keys,
            known,
            unhonoured,
        });
        Ok(id)
    }

    /// Whether the id stands for this host already: in the register (true), or in
    /// the plan (false). Another host of the same id is an error.
    fn known_as(&self, id: &ServerId, host: &HostConfig) -> Result<Option<bool>, String> {
        let differs = || Err(format!("{id} stands for another host already"));
        if let Ok(record) = self.registry.get(id) {
            let same =
                record.host == host.host && record.port == host.port && record.user == host.user;
            return if same { Ok(Some(true)) } else { differs() };
        }
        match self.plan.servers.iter().find(|other| other.id == *id) {
            Some(other)
                if other.host == host.host
                    && other.port == host.port
                    && other.user == host.user =>
            {
                Ok(Some(false))
            }
            Some(_) => differs(),
            None => Ok(None),
        }
    }

    /// The keys on file, under the alias for keys where there is one, and whether
    /// a connection would find the host known.
    fn host_keys(&self, host: &HostConfig) -> Result<(Vec<HostKey>, bool), String> {
        let users = host.known_hosts.clone().unwrap_or_else(|| {
            let ssh = self.surroundings.home.join(".ssh");
            vec![ssh.join("known_hosts"), ssh.join("known_hosts2")]
        });
        let files: Vec<PathBuf> = self.own_files.iter().cloned().chain(users).collect();
        let known = KnownHosts::load(&files).map_err(|error| error.to_string())?;
        let keys = match &host.key_alias {
            Some(alias) => known.keys(alias, 22),
            None => known.keys(&host.host, host.port),
        };
        let usual = KnownHosts::load(self.own_files).map_err(|error| error.to_string())?;
        let known = !keys.is_empty() || usual.has_authority(&host.host, host.port);
        Ok((keys, known))
    }
}

/// The one way to log in that is registered: the first key file that is there, an
/// agent where the configuration names one or the key needs one.
fn auth(
    host: &HostConfig,
    surroundings: &Surroundings,
) -> Result<(AuthMaterial, Option<Unhonoured>), String> {
    let socket = if host.agent_off {
        None
    } else {
        let running = || {
            surroundings
                .variables
                .get("SSH_AUTH_SOCK")
                .map(PathBuf::from)
        };
        host.identity_agent.clone().or_else(running)
    };
    let agent = |socket: &Path| AuthMaterial::Agent {
        socket: Some(socket.to_owned()),
    };
    let ssh = surroundings.home.join(".ssh");
    let usual: Vec<PathBuf> = IDENTITIES.iter().map(|name| ssh.join(name)).collect();
    let candidates = if host.identity_files.is_empty() {
        &usual
    } else {
        &host.identity_files
    };
    let file = candidates.iter().find(|path| path.is_file());
    let by_agent_alone = host.identity_agent.is_some() && host.identity_files.is_empty();
    let Some(path) = file.filter(|_| !by_agent_alone) else {
        return match &socket {
            Some(socket) => Ok((agent(socket), None)),
            None => Err("there is neither a key file nor an agent to log in with".to_owned()),
        };
    };
    let public = path.extension().is_some_and(|end| end == "pub");
    let encrypted = matches!(
        keys::load_secret_key(path, None),
        Err(keys::Error::KeyIsEncrypted)
    );
    match &socket {
        // A public half stands for a key the agent holds; an encrypted one is
        // meant to be in the agent, too.
        Some(socket) if public || encrypted => Ok((agent(socket), None)),
        None if public => Err(format!("{} needs an agent", path.display())),
        None if encrypted => Err(format!(
            "{} is encrypted; `openshell server add` takes its passphrase",
            path.display()
        )),
        _ => {
            let usual = HostConfig::usual_certificate(path);
            let unusual = host.certificate_files.iter().find(|file| **file != usual);
            let note = unusual.map(|file| Unhonoured {
                directive: "certificatefile".to_owned(),
                value: file.display().to_string(),
                file: PathBuf::new(),
                line: 0,
                reason: Some(format!("only {} is used", usual.display())),
                needed: false,
            });
            let material = AuthMaterial::IdentityFile {
                path: path.clone(),
                passphrase: None,
            };
            Ok((material, note))
        }
    }
}
