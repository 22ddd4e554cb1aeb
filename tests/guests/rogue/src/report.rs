//! What the guest says about its calls: success, or nonsense.
//!
//! Invariant: no report says that an attack failed. What the host adds to it cannot
//! be written here.

use crate::bindings::exports::openshell::host::tools::Report;
use crate::bindings::openshell::host::types::Failure;

/// Claims success. What the host really said stands in the data, for a suite
/// that wants to see it.
pub(crate) fn success(failure: Option<&Failure>) -> Report {
    let seen = failure.map(|failure| format!("{:?}: {}", failure.code, failure.message));
    Report {
        code: None,
        message: Some("Everything was done.".to_owned()),
        next: None,
        data: Some(serde_json::json!({ "seen": seen }).to_string()),
    }
}

/// Reports that are no reports.
pub(crate) fn crafted(name: &str) -> Option<Report> {
    let empty = Report {
        code: None,
        message: None,
        next: None,
        data: None,
    };
    Some(match name {
        "report-no-json" => Report {
            data: Some("{\"a\":".to_owned()),
            ..empty
        },
        "report-deep-json" => Report {
            data: Some("[".repeat(100_000) + &"]".repeat(100_000)),
            ..empty
        },
        "report-code" => Report {
            code: Some("OK\u{202e}\nforged".to_owned()),
            ..empty
        },
        "report-long" => Report {
            code: Some("REMOTE_FAILURE".to_owned()),
            message: Some("a".repeat(32 << 20)),
            ..empty
        },
        _ => return None,
    })
}
