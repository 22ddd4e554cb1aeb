//! What to do next, for every code: said where the part that failed had nothing
//! better to say.
//!
//! Invariant: no error reaches a caller without a next step. None of them is a
//! command that approves something.

use super::envelope::Envelope;
use super::failure::code_name;
use crate::engine::contract::FailureCode as Code;

/// Every code of the contract.
const CODES: [Code; 33] = [
    Code::ServerNotFound,
    Code::ServerDisabled,
    Code::RegistryLocked,
    Code::RegistryRecordInvalid,
    Code::AuthFailed,
    Code::HostKeyUnknown,
    Code::HostKeyChanged,
    Code::ConnectFailed,
    Code::ConnectTimeout,
    Code::ExecTimeout,
    Code::Cancelled,
    Code::ConnectionLost,
    Code::OutcomeUnknown,
    Code::PolicyRejected,
    Code::PolicyUnreadable,
    Code::ApprovalRequired,
    Code::ApprovalRejected,
    Code::ApprovalExpired,
    Code::InvalidArgument,
    Code::FileNotFound,
    Code::PermissionDenied,
    Code::NotAFile,
    Code::NotADirectory,
    Code::TooLarge,
    Code::BinaryContent,
    Code::PatchFailed,
    Code::Conflict,
    Code::RemoteFailure,
    Code::JournalUnavailable,
    Code::SnapshotUnavailable,
    Code::PermitMisused,
    Code::GuestStopped,
    Code::Internal,
];

/// Says what to do next in a result that has a code and does not say it yet.
pub(super) fn say(envelope: &mut Envelope) {
    if let Some(code) = &envelope.code {
        envelope
            .next
            .get_or_insert_with(|| next_step(code).to_owned());
    }
}

/// The next step after a code in its stable spelling.
fn next_step(code: &str) -> &'static str {
    let known = CODES.into_iter().find(|known| code_name(*known) == code);
    known.map_or("Read the message, and tell the person.", step)
}

fn step(code: Code) -> &'static str {
    match code {
        Code::ServerNotFound => "list_servers shows the ids.",
        Code::ServerDisabled => "Only a person can let it be used again; ask them.",
        Code::RegistryLocked | Code::RegistryRecordInvalid => {
            "A person must look at the registry; `openshell doctor` says what is wrong."
        }
        Code::AuthFailed | Code::ConnectFailed => {
            "A person can see each step of connecting with `openshell server test`."
        }
        Code::HostKeyUnknown | Code::HostKeyChanged => {
            "A person must compare the server's fingerprint; do not go on meanwhile."
        }
        Code::ConnectTimeout => "Check that the server is up; then make the call again.",
        Code::ExecTimeout => "Look at what it did until then before running it again.",
        Code::Cancelled => "Ask the person what they want instead.",
        Code::ConnectionLost => "Nothing was started; the call can be made again.",
        Code::OutcomeUnknown => "Find out what the state is before doing anything again.",
        Code::PolicyRejected => "Nobody can agree to this here; find another way.",
        Code::PolicyUnreadable => "A person must correct the policy file.",
        Code::ApprovalRequired => "Tell the person what you want to do and why.",
        Code::ApprovalRejected => "Do what the person wants instead, or ask them.",
        Code::ApprovalExpired => "Make the call again, while the person is there.",
        Code::InvalidArgument => "Correct the argument and call again.",
        Code::FileNotFound => "Check the path; remote_list_dir shows what is there.",
        Code::PermissionDenied => "This login may not do that; tell the person.",
        Code::NotAFile => "remote_stat shows what it is, remote_list_dir what is in a directory.",
        Code::NotADirectory => "remote_stat shows what it is.",
        Code::TooLarge => "Take a smaller piece, or work on the server with remote_exec.",
        Code::BinaryContent => "Set \"encoding\" to \"base64\".",
        Code::PatchFailed => "Read the file again and make the patch from what it holds now.",
        Code::Conflict => "Read the file again and decide anew; nothing was written.",
        Code::RemoteFailure => "Read the message; remote_stat and remote_exec show the state.",
        Code::JournalUnavailable => {
            "A person must make the journal writable again; `openshell doctor` says what is wrong."
        }
        Code::SnapshotUnavailable => {
            "A person must repair the snapshot store; `openshell doctor` says what is wrong."
        }
        Code::PermitMisused | Code::GuestStopped | Code::Internal => {
            "This is a defect of openshell. Tell the person; if it happens again, it should be \
             reported."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_next_step_and_none_approves() {
        let names: std::collections::BTreeSet<_> = CODES.into_iter().map(code_name).collect();
        assert_eq!(names.len(), CODES.len());
        // The contract's own list, so that a code that is added is noticed here.
        let contract = include_str!("../../../wit/types.wit");
        let listed = contract
            .split_once("enum failure-code {")
            .and_then(|(_, rest)| rest.split_once('}'))
            .expect("the contract lists the codes")
            .0;
        let listed = listed
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let listed: std::collections::BTreeSet<_> = listed
            .map(|name| name.to_uppercase().replace('-', "_"))
            .collect();
        assert_eq!(names, listed);
        for code in &names {
            let next = next_step(code);
            assert!(next.ends_with('.') && next.len() > 20, "{code}: {next}");
            for word in ["--yes", "approvals allow", "openshell trust", "server add"] {
                assert!(!next.contains(word), "{code}: {next}");
            }
        }
    }
}
