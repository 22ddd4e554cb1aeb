//! Fixtures that start the real counterparts of openshell for its suites.
//!
//! Invariant: a fixture listens on 127.0.0.1 only, keeps everything it makes in
//! a directory of its own, generates its secrets at run time and ends the
//! processes it started when it is dropped. It never stands in for the part of
//! openshell under test.

mod account;
mod agent;
mod bridge;
mod cli;
mod commands;
pub mod faults;
mod mcp;
mod model;
mod opencode;
mod peer;
mod port;
pub mod secrets;
mod sshd;
mod sudoers;
mod terminal;
mod transcript;

pub use account::Account;
pub use agent::SshAgent;
pub use bridge::{Bridge, BridgeCall, envelope_in, stamps};
pub use cli::{Cli, Output, binary, finish, finish_watched};
pub use commands::{EVERYDAY, Generator, HARMFUL, PUBLIC, hostile_texts, lines};
pub use mcp::{RawMcp, sdk_session};
pub use model::{ScriptedModel, Step};
pub use opencode::{
    Asked, OPENCODE_VERSION, OpenCode, OpenCodeOptions, Reply, Screen, adapter_dir,
    program as opencode_program,
};
pub use peer::Peer;
pub use port::Port;
pub use sshd::{Sshd, SshdOptions, ssh_keygen};
pub use sudoers::Sudoers;
pub use terminal::Terminal;
pub use transcript::{Conversation, Player, conversations};
