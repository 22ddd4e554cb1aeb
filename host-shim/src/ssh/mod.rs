//! Everything that speaks SSH: dialling, host keys, logging in, commands, files.
//!
//! Invariants: no connection outlives a host key that was not proven known; no
//! word of a command is read by a login shell; a command is never sent twice;
//! an outcome that is not known is said to be unknown. This module deliberately
//! decides nothing about what may run, asks nobody and records nothing. Whoever has
//! something run or changed holds a permit by then; connecting, and looking at what is
//! to be judged or shown, comes before it.

mod account;
mod auth;
mod breaker;
mod channel;
mod client;
mod connection;
mod dial;
mod error;
mod exec;
mod host_key;
pub mod known_hosts;
mod lane;
mod pace;
mod patience;
mod pool;
mod queue;
mod sessions;
mod sftp;
mod sudo;
mod target;
mod trace;

pub use account::Account;
pub use auth::Login;
pub use connection::Connection;
pub use dial::fetch_host_key;
pub use error::SshError;
pub use exec::{
    End, Ended, ExecOutcome, ExecRequest, LeftProcess, Printed, Program, Survey, Watch,
};
pub use host_key::{HostKey, HostKeyError};
pub use patience::{InvalidPatience, Patience};
pub use pool::{Pool, PoolConfig};
pub use sftp::{
    Attrs, Cleared, DirEntry, Drift, Expect, FileAccess, FileKind, Sftp, SftpError, SftpLimits,
    Walk, WalkEntry, WriteKind, WriteOutcome, WritePlan, staging_name, temporary_name,
};
pub use sudo::{Installed, RootFiles, Seen, SudoError};
pub use target::{Auth, Target};
pub use trace::{Found, Stage, Step, Vouched, connect_by_steps};
