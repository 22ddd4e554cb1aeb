//! What it takes to log in.
//!
//! Invariant: a credential cannot be printed, compared or serialised through its
//! type, and its memory is wiped when it is dropped. The bytes made here exist to
//! be sealed at once. Logging in with them is not done here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::canonical::{Decoder, Encoder, Malformed};
use super::fields::FieldError;
use super::record::AuthKind;

/// Says what the encoded bytes are, and in which layout.
const DOMAIN: &str = "openshell credential 1";
/// Bodies are padded to a multiple of this many bytes, so that their size does
/// not tell the length of a password.
const BLOCK: usize = 512;
/// Longest credential, in bytes.
const MAX_SECRET: usize = 4096;

/// How to log in, with everything secret about it.
pub enum AuthMaterial {
    /// A password, for the `password` and `keyboard-interactive` methods.
    Password(SecretString),
    /// A private key in a file of this machine.
    IdentityFile {
        /// Absolute path of the file.
        path: PathBuf,
        /// What decrypts it, where it is encrypted.
        passphrase: Option<SecretString>,
    },
    /// A running ssh-agent.
    Agent {
        /// Absolute path of its socket; `SSH_AUTH_SOCK` where absent.
        socket: Option<PathBuf>,
    },
}

fn refuse(field: &'static str, reason: impl Into<String>) -> FieldError {
    FieldError {
        field,
        reason: reason.into(),
    }
}

fn check_secret(field: &'static str, secret: &SecretString) -> Result<(), FieldError> {
    let text = secret.expose_secret();
    if text.is_empty() {
        return Err(refuse(field, "is empty"));
    }
    if text.len() > MAX_SECRET {
        return Err(refuse(field, format!("is longer than {MAX_SECRET} bytes")));
    }
    if text.contains('\0') {
        return Err(refuse(field, "holds a NUL character"));
    }
    Ok(())
}

fn check_path(field: &'static str, path: &Path) -> Result<(), FieldError> {
    if path.is_absolute() {
        Ok(())
    } else {
        Err(refuse(
            field,
            format!("{} must be an absolute path", path.display()),
        ))
    }
}

impl AuthMaterial {
    /// The kind, which a record shows.
    #[must_use]
    pub fn kind(&self) -> AuthKind {
        match self {
            Self::Password(_) => AuthKind::Password,
            Self::IdentityFile { .. } => AuthKind::IdentityFile,
            Self::Agent { .. } => AuthKind::Agent,
        }
    }

    pub(super) fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Password(password) => check_secret("password", password),
            Self::IdentityFile { path, passphrase } => {
                check_path("identity", path)?;
                match passphrase {
                    Some(passphrase) => check_secret("passphrase", passphrase),
                    None => Ok(()),
                }
            }
            Self::Agent {
                socket: Some(socket),
            } => check_path("agent socket", socket),
            Self::Agent { socket: None } => Ok(()),
        }
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Encoder::new(DOMAIN);
        body.text(self.kind().as_str());
        match self {
            Self::Password(password) => body.text(password.expose_secret()),
            Self::IdentityFile { path, passphrase } => {
                body.bytes(path.as_os_str().as_bytes());
                body.optional(passphrase.as_ref().map(|p| p.expose_secret().as_bytes()));
            }
            Self::Agent { socket } => {
                body.optional(socket.as_ref().map(|s| s.as_os_str().as_bytes()));
            }
        }
        body.pad(BLOCK);
        body.finish()
    }

    /// Reads a body back. `kind` is what the record shows; another kind inside
    /// is refused.
    pub(super) fn decode(kind: AuthKind, bytes: &[u8]) -> Result<Self, Malformed> {
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let mut body = Decoder::new(DOMAIN, bytes)?;
        if body.text()? != kind.as_str() {
            return Err(Malformed);
        }
        let material = match kind {
            AuthKind::Password => Self::Password(SecretString::from(body.text()?)),
            AuthKind::IdentityFile => Self::IdentityFile {
                path: path(body.bytes()?),
                passphrase: match body.optional()? {
                    Some(text) => {
                        let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
                        Some(SecretString::from(text))
                    }
                    None => None,
                },
            },
            AuthKind::Agent => Self::Agent {
                socket: body.optional()?.map(path),
            },
        };
        body.end()?;
        Ok(material)
    }
}
