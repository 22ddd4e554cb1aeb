//! What can end a verb early, and the exit code each kind has.
//!
//! Invariant: errors of the library and envelopes are classified here, once. A verb
//! that reports findings of its own (`doctor`, `audit verify`, `server test`) ends with 1
//! by itself. It prints nothing: `ui` does.

use std::fmt::Display;

use openshell_host::contract::{Failure, FailureCode};
use openshell_host::supervisor::{Envelope, Status, code_name};

/// The kind decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It did not work.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The policy or a person said no.
    Denied,
    /// It may or may not have happened.
    Unknown,
    /// A defect of this program.
    Internal,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Unknown => 4,
            Self::Internal => 70,
        }
    }
}

/// Why a verb ended early.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) kind: Kind,
    /// Stable code, where there is one.
    pub(crate) code: Option<String>,
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) next: Option<String>,
}

impl CliError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            next: None,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn internal(error: impl Display) -> Self {
        Self::new(Kind::Internal, error.to_string())
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        let next = next.into();
        self.next = (!next.is_empty()).then_some(next);
        self
    }

    pub(crate) fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::new(kind_of(failure.code), failure.message)
            .next(failure.next)
            .code(&code_name(failure.code))
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

macro_rules! through_failure {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Failure::from(error).into()
            }
        }
    )*};
}

through_failure!(
    openshell_host::registry::RegistryError,
    openshell_host::registry::KeyError,
    openshell_host::journal::JournalError,
    openshell_host::snapshots::SnapshotError,
    openshell_host::rules::RulesError,
    openshell_host::ssh::SshError,
    openshell_host::engine::JudgeError,
);

impl From<openshell_host::engine::EngineError> for CliError {
    fn from(error: openshell_host::engine::EngineError) -> Self {
        Self::internal(error)
    }
}

impl From<openshell_host::registry::PathsError> for CliError {
    fn from(error: openshell_host::registry::PathsError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<openshell_host::ssh::InvalidPatience> for CliError {
    fn from(error: openshell_host::ssh::InvalidPatience) -> Self {
        Self::failed(error.to_string()).next(format!("Correct or unset {}.", error.variable))
    }
}

impl From<openshell_host::supervisor::InvalidPredial> for CliError {
    fn from(error: openshell_host::supervisor::InvalidPredial) -> Self {
        Self::failed(error.to_string()).next("Correct or unset it.")
    }
}

impl From<openshell_host::supervisor::InvalidFanoutLimit> for CliError {
    fn from(error: openshell_host::supervisor::InvalidFanoutLimit) -> Self {
        Self::failed(error.to_string()).next("Correct or unset it.")
    }
}

fn kind_of(code: FailureCode) -> Kind {
    match code {
        FailureCode::PolicyRejected
        | FailureCode::PolicyUnreadable
        | FailureCode::ApprovalRequired
        | FailureCode::ApprovalRejected
        | FailureCode::ApprovalExpired => Kind::Denied,
        FailureCode::OutcomeUnknown => Kind::Unknown,
        FailureCode::GuestStopped | FailureCode::Internal | FailureCode::PermitMisused => {
            Kind::Internal
        }
        _ => Kind::Failed,
    }
}

/// The exit code of a tool call, by its envelope.
pub(crate) fn envelope_exit_code(envelope: &Envelope) -> u8 {
    if envelope.status == Status::Ok {
        return 0;
    }
    match envelope.code.as_deref() {
        Some(
            "POLICY_REJECTED" | "POLICY_UNREADABLE" | "APPROVAL_REQUIRED" | "APPROVAL_REJECTED"
            | "APPROVAL_EXPIRED",
        ) => Kind::Denied,
        Some("OUTCOME_UNKNOWN") => Kind::Unknown,
        Some("GUEST_STOPPED" | "INTERNAL" | "PERMIT_MISUSED") => Kind::Internal,
        _ => Kind::Failed,
    }
    .exit_code()
}
