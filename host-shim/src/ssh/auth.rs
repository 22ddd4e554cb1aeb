//! Logging in, by the registered way and no other.
//!
//! Invariant: a secret leaves this process only towards a server whose host key
//! was accepted, and only in the method it was registered for. It deliberately
//! has no fallbacks: no default keys, no agent unless registered, no prompts.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{
    Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key,
    load_openssh_certificate,
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::client::Client;
use super::error::SshError;
use super::target::{Auth, Target};

/// Rounds of keyboard-interactive questions answered before giving up.
const MAX_ROUNDS: usize = 3;

/// Agent keys tried before giving up; servers allow six attempts by default
/// (`MaxAuthTries`), and the last one closes the connection.
const MAX_AGENT_KEYS: usize = 5;

type Session = Handle<Client>;

/// Logs in or says why not.
pub(super) async fn authenticate(session: &mut Session, target: &Target) -> Result<(), SshError> {
    match &target.auth {
        Auth::Password(password) => by_password(session, target, password).await,
        Auth::IdentityFile { path, passphrase } => {
            by_file(session, target, path, passphrase.as_ref()).await
        }
        Auth::Agent { socket } => by_agent(session, target, socket.as_deref()).await,
    }
}

async fn by_password(
    session: &mut Session,
    target: &Target,
    password: &SecretString,
) -> Result<(), SshError> {
    let result = session
        .authenticate_password(&target.user, password.expose_secret())
        .await?;
    match outcome(session, target, "password", result) {
        Err(SshError::AuthFailed { methods, .. })
            if methods
                .iter()
                .any(|method| method == "keyboard-interactive")
                && !methods.iter().any(|method| method == "password") =>
        {
            by_questions(session, target, password).await
        }
        other => other,
    }
}

/// `keyboard-interactive` (RFC 4256), for servers that offer it instead of
/// `password`: hidden prompts get the password, anything else ends the attempt.
async fn by_questions(
    session: &mut Session,
    target: &Target,
    password: &SecretString,
) -> Result<(), SshError> {
    const METHOD: &str = "keyboard-interactive";
    let mut reply = session
        .authenticate_keyboard_interactive_start(&target.user, None)
        .await?;
    let mut answered = false;
    for _ in 0..MAX_ROUNDS {
        match reply {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure {
                remaining_methods,
                partial_success,
            } => {
                let result = AuthResult::Failure {
                    remaining_methods,
                    partial_success,
                };
                return outcome(session, target, METHOD, result);
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                // A visible prompt asks for something else, and so does a second
                // question after the password, such as a one-time code.
                let unanswerable = prompts.iter().any(|prompt| prompt.echo) || prompts.len() > 1;
                if unanswerable || (answered && !prompts.is_empty()) {
                    return Err(refused(target, METHOD, &[]));
                }
                answered |= !prompts.is_empty();
                let answers = prompts
                    .iter()
                    .map(|_| password.expose_secret().to_owned())
                    .collect();
                reply = session
                    .authenticate_keyboard_interactive_respond(answers)
                    .await?;
            }
        }
    }
    Err(refused(target, METHOD, &[]))
}

async fn by_file(
    session: &mut Session,
    target: &Target,
    path: &Path,
    passphrase: Option<&SecretString>,
) -> Result<(), SshError> {
    let key = {
        let path = path.to_owned();
        let passphrase = passphrase.cloned();
        // Key derivation is meant to be slow.
        tokio::task::spawn_blocking(move || load_key(&path, passphrase.as_ref()))
            .await
            .map_err(|error| SshError::Local(error.to_string()))??
    };
    let key = Arc::new(key);
    if let Some(certificate) = load_certificate(path, &key) {
        let hash = rsa_hash(session, &certificate.algorithm()).await?;
        let mut signer = KeySigner(Arc::clone(&key));
        let result = session
            .authenticate_certificate_with(&target.user, certificate, hash, &mut signer)
            .await?;
        if outcome(session, target, "publickey", result).is_ok() {
            return Ok(());
        }
    }
    let hash = rsa_hash(session, &key.algorithm()).await?;
    let result = session
        .authenticate_publickey(&target.user, PrivateKeyWithHashAlg::new(key, hash))
        .await?;
    outcome(session, target, "publickey", result)
}

/// Reads a private key as strictly as ssh(1) does.
fn load_key(path: &Path, passphrase: Option<&SecretString>) -> Result<PrivateKey, SshError> {
    let unreadable = |reason: String| SshError::KeyUnreadable {
        path: path.to_owned(),
        reason,
    };
    let metadata = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a file".to_owned()));
    }
    let ours = metadata.uid() == rustix::process::getuid().as_raw();
    if ours && metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(unreadable(format!(
            "mode {mode:04o} lets others read it; it must be 0600 or stricter"
        )));
    }
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| unreadable(error.to_string()))?;
    let phrase = passphrase.map(ExposeSecret::expose_secret);
    decode_secret_key(&text, phrase).map_err(|error| {
        if looks_encrypted(&text, &error) {
            SshError::KeyEncrypted {
                path: path.to_owned(),
                passphrase_given: passphrase.is_some(),
            }
        } else {
            unreadable(error.to_string())
        }
    })
}

/// Whether a key failed to load because of its passphrase. A wrong one shows as
/// whatever broke first in the rubbish it decrypts to.
fn looks_encrypted(text: &str, error: &russh::keys::Error) -> bool {
    matches!(error, russh::keys::Error::KeyIsEncrypted)
        || text.contains("ENCRYPTED")
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

/// The certificate that ssh(1) would use with a key: `KEY-cert.pub`.
fn load_certificate(path: &Path, key: &PrivateKey) -> Option<Certificate> {
    let mut name = path.as_os_str().to_owned();
    name.push("-cert.pub");
    let certificate = load_openssh_certificate(PathBuf::from(name)).ok()?;
    (certificate.public_key() == key.public_key().key_data()).then_some(certificate)
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

async fn by_agent(
    session: &mut Session,
    target: &Target,
    socket: Option<&Path>,
) -> Result<(), SshError> {
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
    let identities = agent
        .request_identities()
        .await
        .map_err(|error| absent(format!("{}: {error}", path.display())))?;
    if identities.is_empty() {
        return Err(absent(format!("{} holds no key", path.display())));
    }
    let mut last = refused(target, "publickey", &[]);
    for identity in identities.into_iter().take(MAX_AGENT_KEYS) {
        let algorithm = identity.public_key().algorithm();
        let hash = rsa_hash(session, &algorithm).await?;
        let result = match identity {
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
        match result {
            Ok(result) => match outcome(session, target, "publickey", result) {
                Ok(()) => return Ok(()),
                Err(lost @ SshError::ConnectionLost { .. }) => return Err(lost),
                Err(error) => last = error,
            },
            // The agent may decline one key, by a lock or a person's no, and sign with the next.
            Err(russh::AgentAuthError::Key(_)) => {}
            Err(russh::AgentAuthError::Send(error)) => return Err(error.into()),
        }
    }
    Err(last)
}

/// The hash an RSA key signs with (RFC 8332); none for other keys.
async fn rsa_hash(session: &Session, algorithm: &Algorithm) -> Result<Option<HashAlg>, SshError> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return Ok(None);
    }
    // A server that says nothing, or only knows SHA-1, is asked for SHA-512:
    // a refusal is better than a signature that can be forged.
    let best = session.best_supported_rsa_hash().await?.flatten();
    Ok(Some(best.unwrap_or(HashAlg::Sha512)))
}

fn outcome(
    session: &Session,
    target: &Target,
    method: &str,
    result: AuthResult,
) -> Result<(), SshError> {
    match result {
        AuthResult::Success => Ok(()),
        // The library reports a lost connection as a refusal without methods.
        AuthResult::Failure {
            remaining_methods, ..
        } if remaining_methods.is_empty() && session.is_closed() => {
            Err(SshError::ConnectionLost { started: false })
        }
        AuthResult::Failure {
            remaining_methods, ..
        } => Err(refused(target, method, &remaining_methods)),
    }
}

fn refused(target: &Target, method: &str, methods: &[MethodKind]) -> SshError {
    SshError::AuthFailed {
        user: target.user.clone(),
        host: target.host.clone(),
        method: method.to_owned(),
        methods: methods.iter().map(String::from).collect(),
    }
}
