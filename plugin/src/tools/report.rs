//! What a tool says at the end of a call, and how a failure of the host becomes
//! part of it.
//!
//! Invariant: codes come from the contract's closed list; this file only spells
//! them. Execution and record are not reported by a tool.

use serde_json::{Value, json};

use super::text;
use crate::bindings::openshell::host::types::{Ended, Failure, FailureCode};

/// A tool's own part of the result.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) data: Option<Value>,
}

impl Report {
    /// A success with data.
    pub(crate) fn data(data: Value) -> Self {
        Self {
            data: Some(data),
            ..Self::default()
        }
    }

    /// An error with a code, what happened and what to do next.
    pub(crate) fn error(code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        let next = next.into();
        Self {
            code: Some(code.to_owned()),
            message: Some(message.into()),
            next: (!next.is_empty()).then_some(next),
            data: None,
        }
    }

    /// Adds a remark for the reader to a success.
    pub(crate) fn with_message(mut self, message: Option<String>) -> Self {
        self.message = message;
        self
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        let mut data = serde_json::Map::new();
        if let Some(ended) = failure.ended {
            let word = match ended {
                Ended::NeverStarted => "never-started",
                Ended::GroupGone => "group-gone",
                Ended::MayRun => "may-run",
            };
            data.insert("process".to_owned(), json!(word));
        }
        if let Some(output) = &failure.output {
            text::insert_output(&mut data, output);
        }
        Self {
            code: Some(code(failure.code).to_owned()),
            message: Some(failure.message),
            next: (!failure.next.is_empty()).then_some(failure.next),
            data: (!data.is_empty()).then_some(Value::Object(data)),
        }
    }
}

/// The stable spelling of a code.
fn code(code: FailureCode) -> &'static str {
    match code {
        FailureCode::ServerNotFound => "SERVER_NOT_FOUND",
        FailureCode::ServerDisabled => "SERVER_DISABLED",
        FailureCode::RegistryLocked => "REGISTRY_LOCKED",
        FailureCode::RegistryRecordInvalid => "REGISTRY_RECORD_INVALID",
        FailureCode::AuthFailed => "AUTH_FAILED",
        FailureCode::HostKeyUnknown => "HOST_KEY_UNKNOWN",
        FailureCode::HostKeyChanged => "HOST_KEY_CHANGED",
        FailureCode::ConnectFailed => "CONNECT_FAILED",
        FailureCode::ConnectTimeout => "CONNECT_TIMEOUT",
        FailureCode::ExecTimeout => "EXEC_TIMEOUT",
        FailureCode::Cancelled => "CANCELLED",
        FailureCode::ConnectionLost => "CONNECTION_LOST",
        FailureCode::OutcomeUnknown => "OUTCOME_UNKNOWN",
        FailureCode::PolicyRejected => "POLICY_REJECTED",
        FailureCode::PolicyUnreadable => "POLICY_UNREADABLE",
        FailureCode::ApprovalRequired => "APPROVAL_REQUIRED",
        FailureCode::ApprovalRejected => "APPROVAL_REJECTED",
        FailureCode::ApprovalExpired => "APPROVAL_EXPIRED",
        FailureCode::InvalidArgument => "INVALID_ARGUMENT",
        FailureCode::FileNotFound => "FILE_NOT_FOUND",
        FailureCode::PermissionDenied => "PERMISSION_DENIED",
        FailureCode::NotAFile => "NOT_A_FILE",
        FailureCode::NotADirectory => "NOT_A_DIRECTORY",
        FailureCode::TooLarge => "TOO_LARGE",
        FailureCode::BinaryContent => "BINARY_CONTENT",
        FailureCode::PatchFailed => "PATCH_FAILED",
        FailureCode::Conflict => "CONFLICT",
        FailureCode::RemoteFailure => "REMOTE_FAILURE",
        FailureCode::JournalUnavailable => "JOURNAL_UNAVAILABLE",
        FailureCode::SnapshotUnavailable => "SNAPSHOT_UNAVAILABLE",
        FailureCode::PermitMisused => "PERMIT_MISUSED",
        FailureCode::GuestStopped => "GUEST_STOPPED",
        FailureCode::Internal => "INTERNAL",
    }
}
