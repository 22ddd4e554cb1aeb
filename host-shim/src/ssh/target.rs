//! Whom to connect to and how to log in.
//!
//! Invariant: neither type shows a secret in its debug form. It deliberately
//! does not read the registry or files: the caller fills it in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// One server, as registered, with everything needed to reach it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Logical id, for messages only; two ids of one server share a connection.
    pub id: String,
    /// Name or address, as it is looked up in `known_hosts`.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account on the server.
    pub user: String,
    /// The one way to log in that is tried.
    pub auth: Auth,
    /// Files that say which host keys are known, in order; a missing file is empty.
    pub known_hosts: Vec<PathBuf>,
    /// Host through which the TCP connection is made (`ProxyJump`).
    pub jump: Option<Box<Target>>,
    /// Absolute path of the shell that runs approved command lines.
    pub shell: String,
    /// Limit for TCP, key exchange and login together.
    pub connect_timeout: Duration,
    /// How long the server may say nothing before the connection counts as lost.
    pub silence: Duration,
}

/// How to log in. Only the registered way is tried.
#[derive(Clone)]
pub enum Auth {
    /// By `password`, or `keyboard-interactive` where the server offers only
    /// that; every hidden prompt is answered with this password.
    Password(SecretString),
    /// By a private key file in OpenSSH, PEM or PuTTY form. A file with a public
    /// key, or with the handle of a security key, means that key of the agent at
    /// `SSH_AUTH_SOCK`, and none but it.
    IdentityFile {
        /// The key.
        path: PathBuf,
        /// What the file is encrypted with.
        passphrase: Option<SecretString>,
    },
    /// By the keys of an `ssh-agent`.
    Agent {
        /// Socket of the agent; none means `SSH_AUTH_SOCK`.
        socket: Option<PathBuf>,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password"),
            Self::IdentityFile { path, .. } => f.debug_tuple("IdentityFile").field(path).finish(),
            Self::Agent { socket } => f.debug_tuple("Agent").field(socket).finish(),
        }
    }
}

/// What makes two targets the same connection. Holds digests, never secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity([u8; 32]);

impl Target {
    /// Digest over host, port, user, credential, trust and jump chain; not over
    /// the id, the shell or time-outs, which are properties of a call.
    pub(super) fn identity(&self) -> Identity {
        let mut hash = Sha256::new();
        self.add_to(&mut hash);
        Identity(hash.finalize().into())
    }

    fn add_to(&self, hash: &mut Sha256) {
        let mut field = |bytes: &[u8]| {
            // Lengths keep one field from running into the next.
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(self.host.to_ascii_lowercase().as_bytes());
        field(&self.port.to_be_bytes());
        field(self.user.as_bytes());
        match &self.auth {
            Auth::Password(password) => {
                field(b"password");
                field(password.expose_secret().as_bytes());
            }
            Auth::IdentityFile { path, passphrase } => {
                field(b"identity");
                field(path.as_os_str().as_encoded_bytes());
                let phrase = passphrase.as_ref().map(ExposeSecret::expose_secret);
                field(phrase.unwrap_or_default().as_bytes());
            }
            Auth::Agent { socket } => {
                field(b"agent");
                let path = socket.as_deref().unwrap_or_else(|| "".as_ref());
                field(path.as_os_str().as_encoded_bytes());
            }
        }
        field(&(self.known_hosts.len() as u64).to_be_bytes());
        for path in &self.known_hosts {
            field(path.as_os_str().as_encoded_bytes());
        }
        match &self.jump {
            Some(jump) => {
                field(b"jump");
                jump.add_to(hash);
            }
            None => field(b"direct"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(password: &str) -> Target {
        Target {
            id: "prod-a".to_owned(),
            host: "db.example".to_owned(),
            port: 22,
            user: "ops".to_owned(),
            auth: Auth::Password(SecretString::from(password.to_owned())),
            known_hosts: vec!["/etc/known".into()],
            jump: None,
            shell: "/bin/sh".to_owned(),
            connect_timeout: Duration::from_secs(10),
            silence: Duration::from_secs(20),
        }
    }

    #[test]
    fn identity_covers_what_reaches_another_account_or_host() {
        let base = target("a");
        let same = Target {
            id: "other-name".to_owned(),
            host: "DB.example".to_owned(),
            shell: "/bin/bash".to_owned(),
            ..target("a")
        };
        assert_eq!(base.identity(), same.identity());
        let different = [
            target("b"),
            Target {
                port: 23,
                ..target("a")
            },
            Target {
                user: "op".to_owned(),
                ..target("a")
            },
            Target {
                host: "db2.example".to_owned(),
                ..target("a")
            },
            Target {
                known_hosts: vec![],
                ..target("a")
            },
            Target {
                jump: Some(Box::new(target("a"))),
                ..target("a")
            },
            Target {
                auth: Auth::Agent { socket: None },
                ..target("a")
            },
        ];
        for other in different {
            assert_ne!(base.identity(), other.identity(), "{other:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut shown = format!("{:?}", target("hunter2"));
        let file = Auth::IdentityFile {
            path: "/k".into(),
            passphrase: Some(SecretString::from("hunter2".to_owned())),
        };
        shown.push_str(&format!("{file:?}"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
