//! Everything that speaks SSH: dialling, host keys, logging in, commands, files.
//!
//! Invariants: no connection outlives a host key that was not proven known; no
//! word of a command is read by a login shell; a command is never sent twice;
//! an outcome that is not known is said to be unknown. This module deliberately
//! decides nothing about what may run, asks nobody and records nothing: its
//! callers hold a permit by the time they come here.

mod auth;
mod channel;
mod client;
mod connection;
mod dial;
mod error;
mod exec;
mod host_key;
pub mod known_hosts;
mod patience;
mod pool;
mod sftp;
mod target;

pub use connection::{Account, Connection};
pub use dial::fetch_host_key;
pub use error::SshError;
pub use exec::{End, Ended, ExecOutcome, ExecRequest, Printed, Program};
pub use host_key::{HostKey, HostKeyError};
pub use patience::{InvalidPatience, Patience};
pub use pool::{Pool, PoolConfig};
pub use sftp::{
    Attrs, Cleared, DirEntry, Drift, Expect, FileKind, Sftp, SftpError, Walk, WalkEntry, WriteKind,
    WriteOutcome, WritePlan, temporary_name,
};
pub use target::{Auth, Target};
