//! How the errors of the helper's parts become failures of the contract: a code,
//! what happened, what to do next.
//!
//! Invariant: this is the one place where that translation is made; parts keep
//! their own typed errors. No failure is retried or put on record here.

use crate::approvals::{Answer, Answerer};
use crate::engine::JudgeError;
use crate::engine::contract::{Ended, Failure, FailureCode};
use crate::journal::JournalError;
use crate::registry::{KeyError, RegistryError};
use crate::rules::RulesError;
use crate::snapshots::SnapshotError;
use crate::ssh::{SftpError, SshError, SudoError};

/// A failure from its parts.
pub fn failure(code: FailureCode, message: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure {
        code,
        message: message.into(),
        next: next.into(),
        ended: None,
        output: None,
    }
}

/// The stable spelling of a code.
pub fn code_name(code: FailureCode) -> String {
    // The contract's names are the codes in lower case with hyphens.
    let name = format!("{code:?}");
    let name = name.rsplit("::").next().unwrap_or(&name);
    let mut spelled = String::with_capacity(name.len() + 4);
    for (index, character) in name.chars().enumerate() {
        if character == '-' {
            spelled.push('_');
            continue;
        }
        if character.is_ascii_uppercase() && index > 0 {
            spelled.push('_');
        }
        spelled.push(character.to_ascii_uppercase());
    }
    spelled
}

/// Adds what became of the process.
pub(super) fn ended(mut failure: Failure, ended: Ended) -> Failure {
    failure.ended = Some(ended);
    failure
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let code = match error {
            RegistryError::NotFound { .. } => FailureCode::ServerNotFound,
            RegistryError::WrongKey { .. } => FailureCode::RegistryLocked,
            _ => FailureCode::RegistryRecordInvalid,
        };
        failure(code, sentence(&error), error.next())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        failure(FailureCode::RegistryLocked, sentence(&error), error.next())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        failure(
            FailureCode::JournalUnavailable,
            format!("The journal cannot be written, so nothing is done: {error}."),
            "A person must make the journal writable again; `openshell audit verify` says what \
             is wrong with it.",
        )
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        let code = match &error {
            SnapshotError::NotFound { .. }
            | SnapshotError::NothingKept { .. }
            | SnapshotError::Name { .. } => FailureCode::InvalidArgument,
            SnapshotError::Push { .. } => FailureCode::RemoteFailure,
            SnapshotError::Journal { .. } => FailureCode::JournalUnavailable,
            SnapshotError::TooLarge { .. } => FailureCode::TooLarge,
            _ => {
                return failure(
                    FailureCode::SnapshotUnavailable,
                    format!("The snapshot store cannot be used, so nothing is changed: {error}."),
                    error.next(),
                );
            }
        };
        failure(code, sentence(&error), error.next())
    }
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Self {
        failure(
            FailureCode::PolicyUnreadable,
            format!("The policy file cannot be used, so nothing runs: {error}."),
            "A person must correct the policy file.",
        )
    }
}

impl From<JudgeError> for Failure {
    fn from(error: JudgeError) -> Self {
        failure(FailureCode::GuestStopped, sentence(&error), "")
    }
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        let (code, next) = match &error {
            SshError::HostKeyUnknown { .. } => (
                FailureCode::HostKeyUnknown,
                "A person must check the fingerprint and enrol the server again with \
                 `openshell server add`.",
            ),
            SshError::HostKeyChanged { .. }
            | SshError::HostKeyRevoked { .. }
            | SshError::HostCertificateInvalid { .. } => (
                FailureCode::HostKeyChanged,
                "Somebody may be in between, or the server was set up anew. A person must find \
                 out which before anything else happens.",
            ),
            SshError::ConnectTimeout { .. } => (
                FailureCode::ConnectTimeout,
                "Check that the server is up and reachable from here.",
            ),
            SshError::AuthFailed { .. } => (
                FailureCode::AuthFailed,
                "A person must check the registered login; `openshell server test` shows each step.",
            ),
            SshError::CertificateExpired { .. } | SshError::CertificateUnusable { .. } => (
                FailureCode::AuthFailed,
                "A person must have the authority sign a new certificate.",
            ),
            SshError::AgentKeysRefused { .. } => (
                FailureCode::AuthFailed,
                "A person must register the one key to use, by its public half: \
                 `openshell server add ID --identity KEY.pub` with --replace.",
            ),
            SshError::NoPosixShell { .. } => (
                FailureCode::RemoteFailure,
                "Nothing was run. Where the server offers SFTP, files can still be read, listed \
                 and written.",
            ),
            SshError::KeyUnreadable { .. }
            | SshError::KeyEncrypted { .. }
            | SshError::AgentAbsent { .. } => (
                FailureCode::AuthFailed,
                "A person must repair the registered login; `openshell server test` shows each step.",
            ),
            SshError::Sftp(sftp) => return sftp_failure(sftp),
            SshError::Sudo(SudoError::Denied { .. }) => (
                FailureCode::PermissionDenied,
                "Nothing was changed. A person must let this account use sudo without a \
                 password, or make the change themselves.",
            ),
            SshError::Sudo(_) => (FailureCode::RemoteFailure, "Nothing was changed."),
            SshError::NoSuchDirectory { .. } => (
                FailureCode::FileNotFound,
                "Give an existing directory as `cwd`.",
            ),
            SshError::InvalidRequest { .. } => (FailureCode::InvalidArgument, ""),
            SshError::Cancelled => (FailureCode::Cancelled, "Nothing was started."),
            SshError::TimedOut => (FailureCode::ExecTimeout, "Nothing was started."),
            SshError::KnownHostsUnreadable { .. } => (
                FailureCode::HostKeyUnknown,
                "A person must repair that file; no host key is trusted meanwhile.",
            ),
            SshError::Jump { source, .. } | SshError::LeftAlone { source, .. } => {
                let mut inner = Failure::from((**source).clone());
                inner.message = sentence(&error);
                return inner;
            }
            SshError::ConnectionLost { started: true } => {
                return ended(
                    failure(
                        FailureCode::OutcomeUnknown,
                        "The connection was lost after the effect had begun; what became of it \
                         is not known.",
                        "Find out what the state is before doing anything again.",
                    ),
                    Ended::MayRun,
                );
            }
            SshError::ConnectionLost { started: false } => (
                FailureCode::ConnectionLost,
                "Nothing was started; the call can be made again.",
            ),
            _ => (
                FailureCode::ConnectFailed,
                "`openshell server test` shows each step of connecting.",
            ),
        };
        failure(code, sentence(&error), next)
    }
}

/// What an SFTP error means for the call.
pub(super) fn sftp_failure(error: &SftpError) -> Failure {
    if let SftpError::LeftBehind { source, .. } = error {
        let mut left = sftp_failure(source);
        left.message = sentence(error);
        return left;
    }
    let code = match error {
        SftpError::NoSuchFile { .. } => FailureCode::FileNotFound,
        SftpError::PermissionDenied { .. } => FailureCode::PermissionDenied,
        SftpError::TooLarge { .. } => FailureCode::TooLarge,
        SftpError::NotAFile { .. } => FailureCode::NotAFile,
        SftpError::NotADirectory { .. } => FailureCode::NotADirectory,
        SftpError::Conflict { .. } => FailureCode::Conflict,
        SftpError::Lost { changed: false } => FailureCode::ConnectionLost,
        SftpError::Lost { changed: true } | SftpError::Incomplete { .. } => {
            FailureCode::OutcomeUnknown
        }
        SftpError::InvalidPath { .. } => FailureCode::InvalidArgument,
        _ => FailureCode::RemoteFailure,
    };
    let next = match code {
        FailureCode::FileNotFound => "Check the path; remote_list_dir shows what is there.",
        FailureCode::PermissionDenied => "The login of this server may not do that.",
        FailureCode::OutcomeUnknown => "Read the file to see what it holds.",
        FailureCode::Conflict => "Read the file again and decide anew; nothing was written.",
        _ => "",
    };
    failure(code, sentence(error), next)
}

impl From<SftpError> for Failure {
    fn from(error: SftpError) -> Self {
        sftp_failure(&error)
    }
}

/// What an answer other than "granted" means for the call.
pub(super) fn not_granted(answer: &Answer) -> Failure {
    match answer {
        Answer::Rejected(by, feedback) => failure(
            FailureCode::ApprovalRejected,
            match (by, feedback) {
                (Answerer::Rule(_), None) => "A rule of the person says no.".to_owned(),
                (Answerer::Rule(_), Some(text)) => format!("A rule says no: {text}"),
                (Answerer::Person | Answerer::OutOfBand | Answerer::Flag, Some(text)) => {
                    format!("The person said no: {text}")
                }
                (Answerer::Person | Answerer::OutOfBand | Answerer::Flag, None) => {
                    "The person said no.".to_owned()
                }
                (_, Some(text)) => format!("It was refused: {text}"),
                (_, None) => "It was refused without a person being asked.".to_owned(),
            },
            "Do not ask for the same thing again; do what the person wants instead, or ask them.",
        ),
        Answer::Unanswered(why) => failure(
            FailureCode::ApprovalRequired,
            format!("A person has to agree to this, and nobody could be asked: {why}"),
            "Tell the person what you want to do and why.",
        ),
        Answer::Kept => failure(
            FailureCode::ApprovalRequired,
            "A person has to agree to this. The question is kept for them for ten minutes; nothing \
             was done.",
            "Tell the person what you want to do and why: they can look at it with `openshell \
             approvals` in a terminal of their own. Once they say they have, make exactly the \
             same call again.",
        ),
        // Only called for what is not granted; saying so costs nothing.
        Answer::Granted(_) => failure(FailureCode::Internal, "The answer was yes.", ""),
    }
}

/// An error's words as a sentence: capital letter, full stop, its cause.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    let mut characters = text.chars();
    let text: String = characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default();
    if text.ends_with(['.', '!', '?']) {
        text
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_in_upper_case() {
        assert_eq!(code_name(FailureCode::ServerNotFound), "SERVER_NOT_FOUND");
        assert_eq!(code_name(FailureCode::NotAFile), "NOT_A_FILE");
        assert_eq!(code_name(FailureCode::Internal), "INTERNAL");
    }
}
