//! The client's side of the key exchange: algorithms and the host key check.
//!
//! Invariant: [`Client::check_server_key`] answers yes only for a key the
//! `known_hosts` files vouch for, in every key exchange of a connection. It
//! deliberately offers no SHA-1, no compression and no CBC.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, cipher, client, compression};

use super::error::SshError;
use super::host_key::HostKey;
use super::known_hosts::{KnownHosts, Verdict};

/// Unanswered questions for a sign of life after which the connection counts as
/// lost.
const KEEPALIVE_MAX: u32 = 3;

/// Bytes a channel may receive ahead of our reading: at 20 ms round trip this
/// allows some 400 MB/s.
const WINDOW: u32 = 8 << 20;

/// What to do about the key a server offers.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// Accept what these files vouch for.
    Known(Arc<KnownHosts>),
    /// Accept nothing; note what is offered.
    ObserveOnly,
}

/// What the key exchange found out; the library's own error would lose it.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) host_key: Option<HostKey>,
    pub(super) refusal: Option<SshError>,
    /// How the server names itself (RFC 4253 section 4.2).
    pub(super) software: String,
}

/// The handler of one connection.
pub(super) struct Client {
    host: String,
    port: u16,
    trust: Trust,
    findings: Arc<Mutex<Findings>>,
}

impl Client {
    pub(super) fn new(host: &str, port: u16, trust: Trust) -> (Self, Arc<Mutex<Findings>>) {
        let findings = Arc::new(Mutex::new(Findings::default()));
        let client = Self {
            host: host.to_owned(),
            port,
            trust,
            findings: Arc::clone(&findings),
        };
        (client, findings)
    }

    fn judge(&self, offered: &PublicKeyOrCertificate) -> Result<HostKey, SshError> {
        let key = to_host_key(&offered.public_key())?;
        let Trust::Known(known) = &self.trust else {
            return Ok(key);
        };
        if let Some(certificate) = offered.certificate() {
            let authority = to_host_key(&PublicKey::from(certificate.signature_key().clone()))?;
            match known.check_authority(&self.host, self.port, &key, &authority) {
                Verdict::Known => {
                    check_certificate(certificate, &self.host).map_err(|reason| {
                        SshError::HostCertificateInvalid {
                            host: self.host.clone(),
                            port: self.port,
                            reason,
                        }
                    })?;
                    return Ok(key);
                }
                // Without its authority a certificate is just the key inside.
                Verdict::Unknown | Verdict::Changed { .. } => {}
                Verdict::Revoked { file, line } => {
                    return Err(self.revoked(key, file, line));
                }
            }
        }
        let (host, port) = (self.host.clone(), self.port);
        match known.check(&self.host, self.port, &key) {
            Verdict::Known => Ok(key),
            Verdict::Unknown => Err(SshError::HostKeyUnknown {
                host,
                port,
                offered: key,
            }),
            Verdict::Changed { file, line, old } => Err(SshError::HostKeyChanged {
                host,
                port,
                offered: key,
                file,
                line,
                old,
            }),
            Verdict::Revoked { file, line } => Err(self.revoked(key, file, line)),
        }
    }

    fn revoked(&self, offered: HostKey, file: std::path::PathBuf, line: usize) -> SshError {
        SshError::HostKeyRevoked {
            host: self.host.clone(),
            port: self.port,
            offered,
            file,
            line,
        }
    }
}

impl client::Handler for Client {
    type Error = SshError;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, SshError> {
        let verdict = self.judge(offered);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Ok(key) => {
                let accepted = matches!(self.trust, Trust::Known(_));
                findings.host_key = Some(key);
                Ok(accepted)
            }
            Err(refusal) => {
                findings.refusal = Some(refusal.clone());
                Err(refusal)
            }
        }
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        _: &russh::Names,
        session: &mut client::Session,
    ) -> Result<(), SshError> {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.software = String::from_utf8_lossy(session.remote_sshid()).into_owned();
        Ok(())
    }
}

fn to_host_key(key: &PublicKey) -> Result<HostKey, SshError> {
    let blob = key
        .to_bytes()
        .map_err(|error| SshError::Protocol(error.to_string()))?;
    HostKey::from_blob(blob).map_err(|error| SshError::Protocol(error.to_string()))
}

/// The checks of OpenSSH's `PROTOCOL.certkeys` for a host certificate whose
/// authority is known.
fn check_certificate(certificate: &Certificate, host: &str) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("it is not a host certificate".to_owned());
    }
    if matches!(
        certificate.signature().algorithm(),
        Algorithm::Rsa { hash: None } | Algorithm::Dsa
    ) {
        return Err("it is signed with SHA-1".to_owned());
    }
    // An empty list once meant "any host"; a certificate for anything proves nothing.
    let host = host.to_ascii_lowercase();
    let named = certificate.valid_principals().iter().any(|principal| {
        super::known_hosts::glob(principal.to_ascii_lowercase().as_bytes(), host.as_bytes())
    });
    if !named {
        return Err(format!("it does not name {host}"));
    }
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Err(format!("it carries the unknown critical option {name:?}"));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "the local clock stands before 1970".to_owned())?
        .as_secs();
    if now < certificate.valid_after() {
        return Err("it is not valid yet".to_owned());
    }
    if now >= certificate.valid_before() {
        return Err("it has expired".to_owned());
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(now, [&authority])
        .map_err(|_| "its signature is wrong".to_owned())
}

/// Configuration for one connection, asking for the key types we know first.
pub(super) fn config(host: &str, port: u16, trust: &Trust, silence: Duration) -> client::Config {
    let mut preferred = Preferred::DEFAULT;
    let mut keys: Vec<Algorithm> = ALL_KEYS.to_vec();
    if let Trust::Known(known) = trust {
        let types = known.key_types(host, port);
        // Known types first, in the order of the files; the sort is stable.
        keys.sort_by_key(|algorithm| {
            types
                .iter()
                .position(|known| known == plain_name(algorithm))
                .unwrap_or(types.len())
        });
        if known.has_authority(host, port) {
            preferred.host_key_certificates = Cow::Owned(ALL_KEYS.to_vec());
        }
    }
    preferred.key = Cow::Owned(keys);
    preferred.cipher = Cow::Borrowed(&[
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ]);
    preferred.compression = Cow::Borrowed(&[compression::NONE]);
    client::Config {
        preferred,
        window_size: WINDOW,
        // The first question comes after one interval, and one more passes after the
        // last.
        keepalive_interval: Some(silence / (KEEPALIVE_MAX + 2)),
        keepalive_max: KEEPALIVE_MAX as usize,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Every host key algorithm offered, most preferred first.
const ALL_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// The type under which a key of this algorithm stands in `known_hosts`: RSA
/// keys have one type whatever hash they sign with (RFC 8332 section 3).
fn plain_name(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa",
        other => other.as_str(),
    }
}

/// The algorithms grouped by the key type they prove, so that asking for one
/// group at a time shows every key a server has.
pub(super) fn key_families() -> Vec<Vec<Algorithm>> {
    let mut families: Vec<Vec<Algorithm>> = Vec::new();
    for algorithm in ALL_KEYS {
        match families.last_mut() {
            Some(family)
                if family
                    .last()
                    .is_some_and(|last| plain_name(last) == plain_name(algorithm)) =>
            {
                family.push(algorithm.clone());
            }
            _ => families.push(vec![algorithm.clone()]),
        }
    }
    families
}
