//! Logging in by the keys of an `ssh-agent` (draft-ietf-sshm-ssh-agent).
//!
//! Invariant: a server sees at most [`MAX_KEYS`] wrong keys, and where one key
//! is registered it sees that one alone. It deliberately asks no other agent
//! than the registered one and adds no key to it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PublicKey};

use super::super::error::SshError;
use super::super::target::Target;
use super::{Login, Session, certificate, may_go_on, outcome, refused, rsa_hashes};

/// Keys tried before giving up. Servers close the connection at the sixth wrong
/// attempt by default (`MaxAuthTries`), and count it against our address long
/// before (`PerSourcePenalties`).
const MAX_KEYS: usize = 4;

/// Logs in with the agent's keys in its order, or with `only` one of them.
pub(super) async fn log_in(
    session: &mut Session,
    target: &Target,
    socket: Option<&Path>,
    only: Option<&PublicKey>,
) -> Result<Login, SshError> {
    let absent = |reason: String| SshError::AgentAbsent { reason };
    let path = match socket {
        Some(path) => path.to_owned(),
        None => std::env::var_os("SSH_AUTH_SOCK")
            .map(PathBuf::from)
            .ok_or_else(|| absent("SSH_AUTH_SOCK is not set".to_owned()))?,
    };
    let mut agent = AgentClient::connect_uds(&path)
        .await
        .map_err(|error| match error {
            russh::keys::Error::IO(error) if error.kind() == ErrorKind::NotFound => {
                absent(format!("there is no socket {}", path.display()))
            }
            other => absent(format!("{}: {other}", path.display())),
        })?;
    if let Some(binding) = session.agent_session_binding().cloned() {
        // Only agents of OpenSSH 8.9 and later know the request; to others it is an error.
        let _ = agent.bind_session(&binding, false).await;
    }
    let mut identities = agent
        .request_identities()
        .await
        .map_err(|error| absent(format!("{}: {error}", path.display())))?;
    if identities.is_empty() {
        return Err(absent(format!("{} holds no key", path.display())));
    }
    if let Some(only) = only {
        identities.retain(|identity| identity.public_key().key_data() == only.key_data());
        if identities.is_empty() {
            let fingerprint = only.fingerprint(HashAlg::Sha256);
            return Err(absent(format!(
                "{} does not hold the key {fingerprint}",
                path.display()
            )));
        }
    }
    let held = identities.len();
    let mut tried = 0;
    let mut fault = None;
    let mut last = refused(target, "publickey", &[]);
    for identity in identities {
        if let AgentIdentity::Certificate {
            certificate,
            comment,
        } = &identity
            && let Some(reason) = certificate::lifetime_fault(certificate)
        {
            // Offering it would only use up one of the attempts.
            fault = Some((reason, comment.clone()));
            continue;
        }
        if tried == MAX_KEYS {
            return Err(SshError::AgentKeysRefused {
                user: target.user.clone(),
                host: target.host.clone(),
                tried,
                held,
            });
        }
        tried += 1;
        let algorithm = identity.public_key().algorithm();
        let offered = format!("{} of the agent {}", describe(&identity), path.display());
        let mut hashes = rsa_hashes(session, &algorithm).await?;
        if held > 2 {
            // A second try of each would use up the server's limit before the right key.
            hashes.truncate(1);
        }
        for hash in hashes {
            let answer = match identity.clone() {
                AgentIdentity::PublicKey { key, .. } => {
                    session
                        .authenticate_publickey_with(&target.user, key, hash, &mut agent)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    session
                        .authenticate_certificate_with(&target.user, certificate, hash, &mut agent)
                        .await
                }
            };
            let answer = match answer {
                Ok(answer) => answer,
                // The agent may decline one key, by a lock or a person's no, and sign
                // with the next.
                Err(russh::AgentAuthError::Key(_)) => break,
                Err(russh::AgentAuthError::Send(error)) => return Err(error.into()),
            };
            let again = may_go_on(&answer);
            match outcome(session, target, "publickey", answer) {
                Ok(()) => return Ok(Login::by_key(offered)),
                Err(lost @ SshError::ConnectionLost { .. }) => return Err(lost),
                Err(error) => last = error,
            }
            if !again {
                break;
            }
        }
    }
    Err(match fault {
        Some((fault, comment)) => fault.into_error(format!("{comment:?} of the agent"), target),
        None => last,
    })
}

/// Kind and fingerprint of what an agent holds.
fn describe(identity: &AgentIdentity) -> String {
    let key = identity.public_key();
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    match identity {
        AgentIdentity::PublicKey { .. } => format!("{} {fingerprint}", key.algorithm()),
        AgentIdentity::Certificate { certificate, .. } => format!(
            "certificate {:?} for {} {fingerprint}",
            certificate.key_id(),
            key.algorithm()
        ),
    }
}
