//! How a guest behaves within one call, and what it may claim at its end.
//!
//! Invariant: the first refusal of a call is its result. A guest that was told no
//! (by the policy, by a person, because it broke the rules of permits, or because
//! one of these could not speak) gets nothing more in the same call, cannot ask the
//! person again, and cannot report another ending. It does not judge operations.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::failure::failure;
use super::fit::clip;
use crate::engine::contract::{Failure, FailureCode, Report};

/// Longest code, in bytes; the longest of the contract has 24.
const CODE_MAX: usize = 40;
/// Longest message or next step, in bytes of JSON. They are sentences; what a server
/// said belongs into the data.
const SENTENCE_MAX: usize = 16 * 1024;

/// The refusal of a call, once there was one.
#[derive(Default)]
pub(super) struct Conduct {
    refusal: Mutex<Option<Failure>>,
}

impl Conduct {
    /// The first refusal.
    pub(super) fn refusal(&self) -> Option<Failure> {
        self.lock().clone()
    }

    /// Passes a result on and keeps it where it is a refusal.
    pub(super) fn note<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && is_refusal(failure.code)
        {
            self.lock().get_or_insert_with(|| failure.clone());
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a failure says no, as opposed to saying that something did not work,
/// which a tool may make something of. Whatever keeps the host from judging,
/// asking or recording says no as well.
fn is_refusal(code: FailureCode) -> bool {
    matches!(
        code,
        FailureCode::PolicyRejected
            | FailureCode::PolicyUnreadable
            | FailureCode::ApprovalRequired
            | FailureCode::ApprovalRejected
            | FailureCode::ApprovalExpired
            | FailureCode::PermitMisused
            | FailureCode::GuestStopped
            | FailureCode::JournalUnavailable
    )
}

/// A permit or an action used for what it is not for.
pub(super) fn misused(what: impl Into<String>) -> Failure {
    failure(
        FailureCode::PermitMisused,
        what,
        "This is a fault of the component and not of the call; please report it.",
    )
}

/// What a guest reported, once it was found to be a report.
pub(super) struct Admitted {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) next: Option<String>,
    pub(super) data: Option<Value>,
}

/// Refuses a report that a result or a line of the journal could not hold as it
/// is meant. A sentence that is too long is cut: it says of what was done what no
/// other would.
pub(super) fn admit(mut report: Report) -> Result<Admitted, Failure> {
    let unusable = |what: &str| {
        Err(failure(
            FailureCode::GuestStopped,
            format!("The component's report cannot be used: {what}."),
            "`execution` says what was done. If it happens again with the same arguments, \
             please report it.",
        ))
    };
    let is_code = |code: &String| {
        code.len() <= CODE_MAX
            && code.starts_with(|first: char| first.is_ascii_uppercase())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    if !report.code.iter().all(is_code) {
        return unusable("its code is not one");
    }
    let sentences = [&mut report.message, &mut report.next];
    for sentence in sentences.into_iter().flatten() {
        clip(sentence, SENTENCE_MAX);
    }
    let Ok(data) = report.data.as_deref().map(serde_json::from_str).transpose() else {
        return unusable("its data is not JSON");
    };
    Ok(Admitted {
        code: report.code,
        message: report.message,
        next: report.next,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(code: Option<&str>, message: &str, data: Option<&str>) -> Report {
        Report {
            code: code.map(str::to_owned),
            message: Some(message.to_owned()),
            next: None,
            data: data.map(str::to_owned),
        }
    }

    #[test]
    fn only_reports_are_admitted() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let table = [
            (report(None, "", None), true),
            (report(Some("NOT_A_FILE"), "It is not.", Some("{}")), true),
            (report(None, "", Some("null")), true),
            (report(Some(""), "", None), false),
            (report(Some("_OK"), "", None), false),
            (report(Some("ok"), "", None), false),
            (report(Some("OK\nOK"), "", None), false),
            (report(Some(&"A".repeat(41)), "", None), false),
            (report(None, "", Some("")), false),
            (report(None, "", Some("{")), false),
            (report(None, "", Some("{} {}")), false),
            (report(None, "", Some(&deep)), false),
        ];
        for (report, expected) in table {
            let told = format!("{report:?}").chars().take(80).collect::<String>();
            assert_eq!(admit(report).is_ok(), expected, "{told}");
        }
    }

    #[test]
    fn a_long_sentence_is_cut_and_the_report_stays() {
        let long = "é".repeat(SENTENCE_MAX);
        let mut long = report(Some("PATCH_FAILED"), &long, Some("{}"));
        long.next.clone_from(&long.message);
        let admitted = admit(long).expect("the length drops no report");
        assert_eq!(admitted.code.as_deref(), Some("PATCH_FAILED"));
        assert_eq!(admitted.data, Some(serde_json::json!({})));
        for sentence in [admitted.message, admitted.next].into_iter().flatten() {
            assert!(sentence.starts_with('é') && sentence.ends_with("é…"));
            assert!(sentence.len() <= SENTENCE_MAX, "{}", sentence.len());
        }
    }

    #[test]
    fn the_first_refusal_stays() {
        let conduct = Conduct::default();
        let fail = |code, text: &str| Err::<(), _>(failure(code, text, ""));
        assert!(conduct.note(Ok(())).is_ok());
        assert!(conduct.note(fail(FailureCode::FileNotFound, "a")).is_err());
        assert_eq!(conduct.refusal(), None);
        assert!(
            conduct
                .note(fail(FailureCode::ApprovalRejected, "b"))
                .is_err()
        );
        assert!(conduct.note(fail(FailureCode::PermitMisused, "c")).is_err());
        let kept = conduct.refusal().expect("it was refused");
        assert_eq!(
            (kept.code, kept.message.as_str()),
            (FailureCode::ApprovalRejected, "b")
        );
    }
}
