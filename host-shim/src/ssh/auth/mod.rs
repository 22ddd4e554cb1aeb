//! Logging in, by the registered way and no other.
//!
//! Invariant: a secret leaves this process only towards a server whose host key
//! was accepted, and only in the method it was registered for. It deliberately
//! has no fallbacks: no default keys, no agent unless registered, no prompts.

mod agent;
mod certificate;
mod key_file;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{Algorithm, HashAlg};
use secrecy::{ExposeSecret, SecretString};

use super::client::Client;
use super::error::SshError;
use super::target::{Auth, Target};

/// Rounds of keyboard-interactive questions answered before giving up.
const MAX_ROUNDS: usize = 3;

type Session = Handle<Client>;

/// By what a server let us in; for a person who looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Method (RFC 4252 section 5), such as `publickey`.
    pub method: &'static str,
    /// Which key or certificate, and where it was; none for a password.
    pub identity: Option<String>,
}

impl Login {
    fn by(method: &'static str) -> Self {
        Self {
            method,
            identity: None,
        }
    }

    fn by_key(identity: String) -> Self {
        Self {
            method: "publickey",
            identity: Some(identity),
        }
    }
}

/// Logs in or says why not.
pub(super) async fn authenticate(
    session: &mut Session,
    target: &Target,
) -> Result<Login, SshError> {
    match &target.auth {
        Auth::Password(password) => by_password(session, target, password).await,
        Auth::IdentityFile { path, passphrase } => {
            key_file::log_in(session, target, path, passphrase.as_ref()).await
        }
        Auth::Agent { socket } => agent::log_in(session, target, socket.as_deref(), None).await,
    }
}

async fn by_password(
    session: &mut Session,
    target: &Target,
    password: &SecretString,
) -> Result<Login, SshError> {
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
        other => other.map(|()| Login::by("password")),
    }
}

/// `keyboard-interactive` (RFC 4256), for servers that offer it instead of
/// `password`: hidden prompts get the password, anything else ends the attempt.
async fn by_questions(
    session: &mut Session,
    target: &Target,
    password: &SecretString,
) -> Result<Login, SshError> {
    const METHOD: &str = "keyboard-interactive";
    let mut reply = session
        .authenticate_keyboard_interactive_start(&target.user, None)
        .await?;
    let mut answered = false;
    for _ in 0..MAX_ROUNDS {
        match reply {
            KeyboardInteractiveAuthResponse::Success => return Ok(Login::by(METHOD)),
            KeyboardInteractiveAuthResponse::Failure {
                remaining_methods,
                partial_success,
            } => {
                let result = AuthResult::Failure {
                    remaining_methods,
                    partial_success,
                };
                return outcome(session, target, METHOD, result).map(|()| Login::by(METHOD));
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

/// The hashes an RSA key signs with, in the order to try (RFC 8332); none for other
/// keys. What a server announces is what its software knows and not always what its
/// settings take, so that the other hash is tried where the first is refused.
async fn rsa_hashes(
    session: &Session,
    algorithm: &Algorithm,
) -> Result<Vec<Option<HashAlg>>, SshError> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return Ok(vec![None]);
    }
    // SHA-1 is left out even where a server knows nothing else: a refusal is better
    // than a signature that can be forged.
    let best = session.best_supported_rsa_hash().await?.flatten();
    Ok(match best {
        Some(HashAlg::Sha256) => vec![Some(HashAlg::Sha256)],
        _ => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
    })
}

/// Whether another hash of the same key may still be tried.
fn may_go_on(result: &AuthResult) -> bool {
    matches!(result, AuthResult::Failure { remaining_methods, .. }
        if remaining_methods.contains(&MethodKind::PublicKey))
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
