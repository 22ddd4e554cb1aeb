//! A user's certificate: finding it, and saying why it is no help.
//!
//! Invariant: the server alone decides whether a certificate lets somebody in;
//! what is found out here only spares a hopeless attempt and explains a refusal.
//! It deliberately checks no signature: that is the server's business too.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;

use super::super::error::SshError;
use super::super::target::Target;

/// Why a certificate does not let us in (OpenSSH `PROTOCOL.certkeys`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its time is over, since this second of 1970 UTC.
    Expired(u64),
    /// Anything else, in words.
    Unusable(String),
}

impl Fault {
    /// The error for a login, with the certificate's name.
    pub(super) fn into_error(self, certificate: String, target: &Target) -> SshError {
        let (user, host) = (target.user.clone(), target.host.clone());
        match self {
            Self::Expired(since) => SshError::CertificateExpired {
                certificate,
                user,
                host,
                since,
            },
            Self::Unusable(reason) => SshError::CertificateUnusable {
                certificate,
                user,
                host,
                reason,
            },
        }
    }
}

/// Where ssh(1) looks for the certificate of a key: `KEY-cert.pub`.
pub(super) fn path_beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    PathBuf::from(name)
}

/// The certificate beside a key; none if there is no such file.
pub(super) fn beside(path: &Path, key: &KeyData) -> Option<Result<Certificate, Fault>> {
    let text = match fs::read_to_string(path_beside(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(Fault::Unusable(error.to_string()))),
    };
    Some(match Certificate::from_openssh(text.trim()) {
        Ok(certificate) if certificate.public_key() == key => Ok(certificate),
        Ok(_) => Err(Fault::Unusable("it is for another key".to_owned())),
        Err(error) => Err(Fault::Unusable(format!("it cannot be read: {error}"))),
    })
}

/// Whether the certificate's time is over or has not come, by our clock.
pub(super) fn lifetime_fault(certificate: &Certificate) -> Option<Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    lifetime_fault_at(certificate.valid_after(), certificate.valid_before(), now)
}

fn lifetime_fault_at(after: u64, before: u64, now: u64) -> Option<Fault> {
    if now >= before {
        return Some(Fault::Expired(before));
    }
    (now < after).then(|| {
        Fault::Unusable(format!(
            "it is not valid before {}",
            super::super::error::utc(after)
        ))
    })
}

/// What a server that refused a certificate probably minded.
pub(super) fn refusal_reason(certificate: &Certificate, user: &str) -> Option<Fault> {
    if certificate.cert_type() != CertType::User {
        return Some(Fault::Unusable(
            "it is a host's certificate, not a user's".to_owned(),
        ));
    }
    let names = certificate.valid_principals();
    if names.iter().any(|name| name == user) {
        return None;
    }
    Some(Fault::Unusable(if names.is_empty() {
        "it names nobody".to_owned()
    } else {
        format!("it names {:?}, not {user:?}", names.join(", "))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_second_is_not_included() {
        let table = [
            (0, u64::MAX, 5, None),
            (5, 6, 5, None),
            (5, 6, 6, Some(Fault::Expired(6))),
            (0, 0, 0, Some(Fault::Expired(0))),
        ];
        for (after, before, now, fault) in table {
            assert_eq!(
                lifetime_fault_at(after, before, now),
                fault,
                "{after} {before} {now}"
            );
        }
        let early = lifetime_fault_at(86_400, u64::MAX, 86_399);
        assert_eq!(
            early,
            Some(Fault::Unusable(
                "it is not valid before 1970-01-02T00:00:00Z".to_owned()
            ))
        );
    }
}
