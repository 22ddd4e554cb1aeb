//! Why something over SSH was not done.
//!
//! Invariant: no variant can hold a secret, and each says by its type whether
//! anything may have run. It deliberately holds no advice: texts for people and
//! models are made where both the tool and the server's registration are known.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use super::host_key::HostKey;
use super::sftp::SftpError;
use super::sudo::SudoError;

/// Why something over SSH was not done. Cloneable, because callers that wait
/// for the same dial share its failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SshError {
    /// No connection: name unknown, port closed, network down, or the other
    /// side does not speak SSH as we do.
    #[error("cannot connect to {host}:{port}: {reason}")]
    ConnectFailed {
        /// Host as registered.
        host: String,
        /// TCP port.
        port: u16,
        /// The system's or the protocol's own words.
        reason: String,
    },
    /// TCP, key exchange and login together took longer than allowed.
    #[error("{host}:{port} did not let us in within {} ms", after.as_millis())]
    ConnectTimeout {
        /// Host as registered.
        host: String,
        /// TCP port.
        port: u16,
        /// The limit.
        after: Duration,
    },
    /// The host could not be reached several times in a row, and is not tried
    /// again before a while has passed.
    #[error("{source}; that was failure number {failures} in a row, so it is not tried again for {} s", again_in.as_millis().div_ceil(1000))]
    LeftAlone {
        /// Failures in a row.
        failures: u32,
        /// When it is tried again.
        again_in: Duration,
        /// The last of them.
        source: Box<SshError>,
    },
    /// No `known_hosts` file knows any key of this host.
    #[error("the host key of {host}:{port} is not known; it offers {} {}", offered.key_type(), offered.fingerprint())]
    HostKeyUnknown {
        /// Host as registered.
        host: String,
        /// TCP port.
        port: u16,
        /// What the server proved to hold.
        offered: HostKey,
    },
    /// Another key is known for this host.
    #[error("the host key of {host}:{port} has changed: it offers {} {}, but {} line {line} knows {} {}", offered.key_type(), offered.fingerprint(), file.display(), old.key_type(), old.fingerprint())]
    HostKeyChanged {
        /// Host as registered.
        host: String,
        /// TCP port.
        port: u16,
        /// What the server proved to hold.
        offered: HostKey,
        /// File with the known key.
        file: PathBuf,
        /// Line in that file, from 1.
        line: usize,
        /// The known key.
        old: HostKey,
    },
    /// The key, or the authority that signed it, is marked `@revoked`.
    #[error("the host key of {host}:{port} ({}) is revoked by {} line {line}", offered.fingerprint(), file.display())]
    HostKeyRevoked {
        /// Host as registered.
        host: String,
        /// TCP port.
        port: u16,
        /// What the server proved to hold.
        offered: HostKey,
        /// File with the revocation.
        file: PathBuf,
        /// Line in that file, from 1.
        line: usize,
    },
    /// A certificate of a known authority that is not valid for this host now.
    #[error("the host certificate of {host}:{port} is refused: {reason}")]
    HostCertificateInvalid {
        /// Host as registered.
        host: String,
        /// TCP port.
        port: u16,
        /// Which check failed.
        reason: String,
    },
    /// A `known_hosts` file exists but cannot be relied on.
    #[error("{}: {reason}", path.display())]
    KnownHostsUnreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where there is one.
        reason: String,
    },
    /// The server refused the registered way to log in.
    #[error("the login {user}@{host} was refused by {method}; the server goes on with: {}", methods.join(", "))]
    AuthFailed {
        /// Account.
        user: String,
        /// Host as registered.
        host: String,
        /// What was tried.
        method: String,
        /// Methods the server would still accept (RFC 4252 section 5.1).
        methods: Vec<String>,
    },
    /// The certificate's time is over, and the key without it was refused.
    #[error("the login {user}@{host} was refused: the certificate {certificate} has expired at {}, and its key alone is not accepted", utc(*.since))]
    CertificateExpired {
        /// Path, or the agent's name for it.
        certificate: String,
        /// Account.
        user: String,
        /// Host as registered.
        host: String,
        /// End of its time, in seconds since 1970 UTC.
        since: u64,
    },
    /// The certificate could not help for another reason, and the key without it
    /// was refused.
    #[error(
        "the login {user}@{host} was refused: the certificate {certificate} cannot be used: {reason}; and its key alone is not accepted"
    )]
    CertificateUnusable {
        /// Path, or the agent's name for it.
        certificate: String,
        /// Account.
        user: String,
        /// Host as registered.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// The agent holds more keys than may be tried, and those tried were wrong.
    #[error(
        "the login {user}@{host} was refused with {tried} of the {held} keys in the ssh-agent; no more are tried: servers shut out whoever offers many wrong keys"
    )]
    AgentKeysRefused {
        /// Account.
        user: String,
        /// Host as registered.
        host: String,
        /// Keys that were offered.
        tried: usize,
        /// Keys that the agent holds.
        held: usize,
    },
    /// The private key file is missing, malformed, or readable by others.
    #[error("cannot use the private key {}: {reason}", path.display())]
    KeyUnreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The private key is encrypted and the passphrase is missing or wrong.
    #[error("the private key {} is encrypted, and {}", path.display(), if *.passphrase_given { "the passphrase is wrong" } else { "no passphrase is registered" })]
    KeyEncrypted {
        /// The file.
        path: PathBuf,
        /// Whether a passphrase was tried.
        passphrase_given: bool,
    },
    /// No agent answers, or it holds no key.
    #[error("no usable ssh-agent: {reason}")]
    AgentAbsent {
        /// What was tried.
        reason: String,
    },
    /// The server gave no proof of a POSIX `/bin/sh`; no command was sent.
    #[error("the server did not start a POSIX /bin/sh: {detail}")]
    NoPosixShell {
        /// What it printed instead, shortened, or how it ended.
        detail: String,
    },
    /// The working directory cannot be entered; the command did not run.
    #[error("no such working directory on the server: {cwd}")]
    NoSuchDirectory {
        /// Directory as requested.
        cwd: String,
    },
    /// The request cannot be carried out by any server.
    #[error("{reason}")]
    InvalidRequest {
        /// Which part of it, and why.
        reason: String,
    },
    /// The server accepts no further channel on this connection.
    #[error("the server refuses to open a channel: {reason}")]
    ChannelRefused {
        /// The server's reason (RFC 4254 section 5.1).
        reason: String,
    },
    /// The call was cancelled before anything was sent to be run.
    #[error("cancelled before it started")]
    Cancelled,
    /// No session became free in time, so nothing was sent to be run.
    #[error("timed out before it started")]
    TimedOut,
    /// The connection ended while we waited.
    #[error("the connection was lost{}", if *.started { "; what was sent may have run" } else { " before anything was sent to be run" })]
    ConnectionLost {
        /// Whether something may have run.
        started: bool,
    },
    /// A host on the way to the target failed.
    #[error("jump host {id}: {source}")]
    Jump {
        /// Logical id of the jump host.
        id: String,
        /// What happened there.
        source: Box<SshError>,
    },
    /// A file operation failed.
    #[error(transparent)]
    Sftp(#[from] SftpError),
    /// Something to be done as root was not.
    #[error(transparent)]
    Sudo(#[from] SudoError),
    /// The local system failed us, such as no randomness.
    #[error("{0}")]
    Local(String),
    /// The library's error before it is known where it belongs.
    #[error("{0}")]
    Protocol(String),
}

/// A second of 1970 UTC as RFC 3339 writes it.
pub(super) fn utc(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| format!("second {seconds}"), |time| time.to_string())
}

impl From<russh::Error> for SshError {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::SendError
            | russh::Error::RecvError
            | russh::Error::KeepaliveTimeout => Self::ConnectionLost { started: false },
            // The same, told by the transport: a close with bytes of ours unread.
            russh::Error::IO(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionAborted
                        | ErrorKind::BrokenPipe
                        | ErrorKind::UnexpectedEof
                ) =>
            {
                Self::ConnectionLost { started: false }
            }
            other => Self::Protocol(other.to_string()),
        }
    }
}
