//! Running a command on a server, at most once, and knowing what became of it.
//!
//! Invariant: the login shell reads one constant line; the command reaches
//! `/bin/sh` over standard input only after that shell has proved itself; and
//! standard input stays open for as long as the command may run, because its
//! end is what ends the command. It deliberately does not judge commands.

mod bounded;
mod ending;
mod run;
mod script;
mod shell;
mod spare;
mod survey;
mod weight;

use std::time::Duration;

pub use bounded::{Printed, Watch};
pub(super) use run::run;
pub(super) use spare::Spare;
pub use survey::{LeftProcess, Survey};

/// One command.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    /// What runs.
    pub program: Program,
    /// Absolute directory to run in; none means the login directory.
    pub cwd: Option<String>,
    /// How long the command may run, from its start.
    pub timeout: Duration,
    /// Bytes kept from the beginning of each output stream. Where there is a spool, the
    /// same as JSON, and of standard error half as much.
    pub head_limit: usize,
    /// Bytes kept from the end of each output stream, in the same way.
    pub tail_limit: usize,
    /// Letters and digits that no other command has: they are in the environment
    /// of everything it starts, as `OPENSHELL_ACTION`, so that what escapes can
    /// be found.
    pub mark: Option<String>,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Words for a program, which no shell interprets: never a builtin, a
    /// function or an alias, in an environment of our own.
    Argv(Vec<String>),
    /// A text for the target's shell, in the login environment.
    Script(String),
}

/// What became of a command that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Standard output.
    pub stdout: Printed,
    /// Standard error.
    pub stderr: Printed,
    /// How it ended.
    pub end: End,
    /// Wall time from the start to the end.
    pub duration: Duration,
    /// What a reader should know besides.
    pub note: Option<String>,
    /// What was found to run on, where it was looked for: after a time-out, a
    /// cancel, or an end with somebody still holding the output.
    pub left: Vec<LeftProcess>,
    /// Process group the command ran in.
    pub group: u32,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status. A shell reports death by signal N as 128 + N.
    Exit(u32),
    /// By this signal, named without `SIG` (RFC 4254 section 6.10).
    Signal(String),
    /// The time-out passed, and the command was ended.
    TimedOut(Ended),
    /// The caller cancelled, and the command was ended.
    Cancelled(Ended),
    /// The connection was lost; nobody knows how it ended. The server ends the
    /// command when it notices.
    Lost,
}

/// What is known of a command that was ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its whole process group is gone, nothing else holds its output, and nothing
    /// that carries its mark was found.
    GroupGone,
    /// Something of it may still run.
    MayRun,
}
