//! Reports that are no reports.
//!
//! It proves that a report out of form becomes a failure of the call, is not
//! repeated in it, and takes nothing from the next call, and that one that is only too
//! long is cut. Honest reports are tried
//! everywhere else.

use serde_json::Value;

use super::bench::{Bench, Person, ended_with};

#[tokio::test]
async fn a_report_that_cannot_be_used_is_refused() {
    let bench = Bench::new(Person::Agrees);
    for attack in ["report-no-json", "report-deep-json", "report-code"] {
        let envelope = bench.call(attack, Value::Null).await;
        ended_with(&envelope, "GUEST_STOPPED");
        let message = envelope.message.unwrap_or_default();
        assert!(
            message.contains("report cannot be used"),
            "{attack}: {message}"
        );
        assert!(message.len() < 200, "{attack} repeats what it refuses");
    }
    bench.still_serves().await;
}

#[tokio::test]
async fn a_report_that_says_too_much_is_cut() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("report-long", Value::Null).await;
    ended_with(&envelope, "REMOTE_FAILURE");
    let message = envelope.message.unwrap_or_default();
    assert!(message.starts_with("aaa") && message.ends_with("a…"));
    assert!(message.len() <= 16 * 1024, "{} bytes", message.len());
    bench.still_serves().await;
}
