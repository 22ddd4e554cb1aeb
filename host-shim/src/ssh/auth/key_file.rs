//! Logging in with a key file, and with the certificate beside it.
//!
//! Invariant: a private key is read as strictly as ssh(1) reads it, and leaves
//! the file for this process alone. A file that holds a public key names a key
//! of the agent, and only that key is offered. It deliberately looks for no
//! other file than `KEY` and `KEY-cert.pub`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{
    Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey,
    decode_secret_key,
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::super::error::SshError;
use super::super::target::Target;
use super::{Login, Session, agent, certificate, may_go_on, outcome, refused, rsa_hashes};

/// What an identity file holds.
enum Identity {
    /// A key to sign with here.
    Private(Box<PrivateKey>),
    /// A key that the agent signs with: the public half alone, or the handle of
    /// a security key (OpenSSH `PROTOCOL.u2f`).
    InAgent(Box<PublicKey>),
}

/// Logs in with the certificate beside a key if there is one, and with the key.
pub(super) async fn log_in(
    session: &mut Session,
    target: &Target,
    path: &Path,
    passphrase: Option<&SecretString>,
) -> Result<Login, SshError> {
    let identity = {
        let path = path.to_owned();
        let passphrase = passphrase.cloned();
        // Key derivation is meant to be slow.
        tokio::task::spawn_blocking(move || load(&path, passphrase.as_ref()))
            .await
            .map_err(|error| SshError::Local(error.to_string()))??
    };
    let key = match identity {
        Identity::InAgent(public) => {
            return agent::log_in(session, target, None, Some(&public)).await;
        }
        Identity::Private(key) => Arc::new(*key),
    };
    let named = format!(
        "{} {} of {}",
        key.algorithm(),
        key.public_key().fingerprint(HashAlg::Sha256),
        path.display()
    );
    // Why the certificate was no help; said if the key alone is none either.
    let mut fault = None;
    match certificate::beside(path, key.public_key().key_data()) {
        None => {}
        Some(Err(reason)) => fault = Some(reason),
        Some(Ok(found)) => match certificate::lifetime_fault(&found) {
            // Offering it would only use up one of the attempts.
            Some(reason) => fault = Some(reason),
            None => {
                fault = certificate::refusal_reason(&found, &target.user);
                let certified = format!("certificate {:?} for {named}", found.key_id());
                match by_certificate(session, target, &key, found).await {
                    Ok(()) => return Ok(Login::by_key(certified)),
                    Err(lost @ SshError::ConnectionLost { .. }) => return Err(lost),
                    Err(_) => {}
                }
            }
        },
    }
    let mut last = Err(refused(target, "publickey", &[]));
    for hash in rsa_hashes(session, &key.algorithm()).await? {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
        let answer = session.authenticate_publickey(&target.user, key).await?;
        let again = may_go_on(&answer);
        last = outcome(session, target, "publickey", answer);
        if !again {
            break;
        }
    }
    match (last, fault) {
        (Err(SshError::AuthFailed { .. }), Some(fault)) => {
            let name = certificate::path_beside(path);
            Err(fault.into_error(name.display().to_string(), target))
        }
        (result, _) => result.map(|()| Login::by_key(named)),
    }
}

async fn by_certificate(
    session: &mut Session,
    target: &Target,
    key: &Arc<PrivateKey>,
    certificate: Certificate,
) -> Result<(), SshError> {
    let mut signer = KeySigner(Arc::clone(key));
    let mut last = Err(refused(target, "publickey", &[]));
    for hash in rsa_hashes(session, &certificate.algorithm()).await? {
        let certificate = certificate.clone();
        let answer = session
            .authenticate_certificate_with(&target.user, certificate, hash, &mut signer)
            .await?;
        let again = may_go_on(&answer);
        last = outcome(session, target, "publickey", answer);
        if !again {
            break;
        }
    }
    last
}

/// Reads an identity file.
fn load(path: &Path, passphrase: Option<&SecretString>) -> Result<Identity, SshError> {
    let unreadable = |reason: String| SshError::KeyUnreadable {
        path: path.to_owned(),
        reason,
    };
    let metadata = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a file".to_owned()));
    }
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| unreadable(error.to_string()))?;
    if let Ok(public) = PublicKey::from_openssh(text.trim()) {
        return Ok(Identity::InAgent(Box::new(public)));
    }
    let ours = metadata.uid() == rustix::process::getuid().as_raw();
    if ours && metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(unreadable(format!(
            "mode {mode:04o} lets others read it; it must be 0600 or stricter"
        )));
    }
    let phrase = passphrase.map(ExposeSecret::expose_secret);
    let key = decode_secret_key(&text, phrase).map_err(|error| {
        if looks_encrypted(&text, &error) {
            SshError::KeyEncrypted {
                path: path.to_owned(),
                passphrase_given: passphrase.is_some(),
            }
        } else {
            unreadable(error.to_string())
        }
    })?;
    // Such a file holds a handle that means something to the token only.
    Ok(match key.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            Identity::InAgent(Box::new(key.public_key().clone()))
        }
        _ => Identity::Private(Box::new(key)),
    })
}

/// Whether a key failed to load because of its passphrase. A wrong one shows as
/// whatever broke first in the rubbish it decrypts to.
fn looks_encrypted(text: &str, error: &russh::keys::Error) -> bool {
    matches!(error, russh::keys::Error::KeyIsEncrypted)
        || text.contains("ENCRYPTED")
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

/// Signs with a key in memory; the library's own certificate method signs RSA with SHA-1.
struct KeySigner(Arc<PrivateKey>);

impl russh::Signer for KeySigner {
    type Error = SshError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, SshError> {
        let refused = |error: &dyn std::fmt::Display| SshError::Protocol(error.to_string());
        let signature: Signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
            pair => pair.try_sign(&data),
        }
        .map_err(|error| refused(&error))?;
        let mut blob = Vec::new();
        signature
            .encode(&mut blob)
            .map_err(|error| refused(&error))?;
        // The library expects the signed data with the signature appended as a
        // string (RFC 4252 section 7).
        let mut signed = data;
        blob.encode(&mut signed).map_err(|error| refused(&error))?;
        Ok(signed)
    }
}

impl From<russh::SendError> for SshError {
    fn from(_: russh::SendError) -> Self {
        Self::ConnectionLost { started: false }
    }
}
