//! Effects without the right to them, and rights used beyond what they are for.
//!
//! They prove that a permit is good for its operation, once, and cannot be made up.
//! What the policy allows is not their subject.

use serde_json::{Value, json};

use super::bench::{Bench, Person, ended_with};

#[tokio::test]
async fn a_forged_permit_stops_the_guest_before_any_connection() {
    let bench = Bench::new(Person::Agrees);
    let mut story = Vec::new();
    for effect in ["run", "read", "stat", "walk", "write"] {
        for handle in [0, 1, 2, 7, u32::MAX] {
            let envelope = bench
                .call("forge", json!({"effect": effect, "handle": handle}))
                .await;
            ended_with(&envelope, "GUEST_STOPPED");
            assert!(!envelope.execution.attempted);
            assert!(!envelope.audit.log_written, "there is no action to record");
        }
        // With an action open, some numbers name a resource of the wrong type.
        for handle in [1, 2] {
            let arguments = json!({"effect": effect, "handle": handle, "open": 1});
            let envelope = bench.call("forge", arguments).await;
            ended_with(&envelope, "GUEST_STOPPED");
            assert!(!envelope.execution.attempted);
            story.extend(["intent", "outcome error GUEST_STOPPED"]);
        }
    }
    assert_eq!(bench.connections(), 0);
    assert_eq!(bench.asked(), 0);
    assert_eq!(bench.story(), story);
    bench.still_serves().await;
    assert!(bench.marks().is_empty());
}

#[tokio::test]
async fn a_forged_action_stops_the_guest() {
    let bench = Bench::new(Person::Agrees);
    for handle in [0, 1, 2, u32::MAX] {
        let envelope = bench.call("forge-action", json!({"handle": handle})).await;
        ended_with(&envelope, "GUEST_STOPPED");
    }
    assert_eq!(bench.connections(), 0);
    assert!(bench.story().is_empty());
    bench.still_serves().await;
}

#[tokio::test]
async fn a_permit_is_spent_once() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("reuse", Value::Null).await;
    ended_with(&envelope, "GUEST_STOPPED");
    // What was granted has happened, and the result says so.
    assert_eq!(bench.marks(), ["marked"]);
    assert!(envelope.execution.completed);
    assert_eq!(envelope.execution.exit_code, Some(0));
    assert_eq!(
        bench.story(),
        ["intent", "approval granted", "attempt exec", "outcome ok"]
    );
    bench.still_serves().await;
}

#[tokio::test]
async fn a_permit_for_looking_is_good_for_nothing_else() {
    let bench = Bench::new(Person::Agrees);
    std::fs::write(bench.marker(), "as it was\n").expect("the fixture's own directory");
    let mut story = Vec::new();
    for effect in ["run", "read", "walk", "write"] {
        let envelope = bench.call("swap", json!({"effect": effect})).await;
        ended_with(&envelope, "PERMIT_MISUSED");
        assert!(!envelope.execution.attempted);
        story.extend(["intent", "outcome error PERMIT_MISUSED"]);
    }
    assert_eq!(bench.story(), story);
    assert_eq!(bench.marks(), ["as it was"]);
    assert_eq!(bench.asked(), 0);
    bench.still_serves().await;
}

#[tokio::test]
async fn a_permit_for_a_harmless_command_opens_no_way_to_a_write() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("exec-then-write", Value::Null).await;
    ended_with(&envelope, "PERMIT_MISUSED");
    // After the first attempt the guest gets nothing more: nobody is even asked.
    assert_eq!(bench.asked(), 0);
    assert!(bench.marks().is_empty());
    assert_eq!(bench.story(), ["intent", "outcome error PERMIT_MISUSED"]);
    bench.still_serves().await;
}

#[tokio::test]
async fn a_dropped_permit_does_nothing() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("drop-permit", Value::Null).await;
    // The guest may say what it likes; the host's facts stand beside it.
    assert!(!envelope.execution.attempted);
    assert!(!envelope.execution.completed);
    assert!(bench.marks().is_empty());
    assert_eq!(bench.story(), ["intent", "approval granted", "outcome ok"]);
    bench.still_serves().await;
}

#[tokio::test]
async fn an_action_changes_one_thing() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("second-change", Value::Null).await;
    ended_with(&envelope, "PERMIT_MISUSED");
    assert!(envelope.execution.completed, "the first change was granted");
    assert_eq!(bench.marks(), ["marked"]);
    assert_eq!(
        bench.story(),
        [
            "intent",
            "approval granted",
            "approval granted",
            "attempt exec",
            "outcome ok",
        ]
    );
    bench.still_serves().await;
}

#[tokio::test]
async fn nothing_follows_the_outcome_of_an_action() {
    for attack in ["after-the-end", "late-read"] {
        let bench = Bench::new(Person::Agrees);
        let envelope = bench.call(attack, Value::Null).await;
        ended_with(&envelope, "PERMIT_MISUSED");
        assert_eq!(bench.marks(), ["marked"], "{attack}");
        assert_eq!(
            bench.story(),
            ["intent", "approval granted", "attempt exec", "outcome ok"],
            "{attack}"
        );
        bench.still_serves().await;
    }
}

#[tokio::test]
async fn a_call_is_one_action() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("many-actions", Value::Null).await;
    ended_with(&envelope, "PERMIT_MISUSED");
    assert_eq!(bench.asked(), 1);
    assert_eq!(bench.marks(), ["marked"]);
    assert_eq!(
        bench.story(),
        ["intent", "approval granted", "attempt exec", "outcome ok"]
    );
    bench.still_serves().await;
}

#[tokio::test]
async fn a_call_works_on_the_server_it_names() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("other-server", Value::Null).await;
    ended_with(&envelope, "PERMIT_MISUSED");
    assert_eq!(bench.connections(), 0);
    assert_eq!(bench.asked(), 0);
    assert!(bench.story().is_empty());
    bench.still_serves().await;
}

#[tokio::test]
async fn a_guest_reaches_no_other_server_of_a_call_on_several() {
    let bench = Bench::new(Person::Agrees);
    // Each part's guest opens "other", which only one of them may.
    let several = json!({"server": ["other", "target"]});
    let envelope = bench.call("remote_exec", several).await;
    assert_eq!(
        envelope.code.as_deref(),
        Some("PERMIT_MISUSED"),
        "{envelope:?}"
    );
    let data = envelope.data.expect("what became of each");
    let codes: Vec<(&Value, &Value)> = data["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| (&group["servers"][0], &group["code"]))
        .collect();
    let fine = (&json!("other"), &Value::Null);
    let misused = (&json!("target"), &json!("PERMIT_MISUSED"));
    assert_eq!(codes, [fine, misused]);
    assert_eq!(bench.marks(), ["marked"], "only where it was agreed to");
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn a_guest_that_allows_itself_everything_is_judged_by_the_host() {
    let refused = Bench::new(Person::Refuses);
    let envelope = refused.call("yes-policy", Value::Null).await;
    ended_with(&envelope, "APPROVAL_REJECTED");
    assert_eq!(refused.asked(), 1);
    assert!(refused.marks().is_empty());
    assert_eq!(
        refused.story(),
        [
            "intent",
            "approval rejected",
            "outcome error APPROVAL_REJECTED"
        ]
    );

    let away = Bench::new(Person::Away);
    let envelope = away.call("yes-policy", Value::Null).await;
    ended_with(&envelope, "APPROVAL_REQUIRED");
    assert_eq!(away.connections(), 0);
    assert!(away.marks().is_empty());
    away.still_serves().await;
}

#[tokio::test]
async fn nobody_is_asked_again_after_a_no() {
    let bench = Bench::new(Person::Refuses);
    let envelope = bench.call("nag", Value::Null).await;
    ended_with(&envelope, "APPROVAL_REJECTED");
    assert_eq!(bench.asked(), 1);
    assert!(bench.marks().is_empty());
    bench.still_serves().await;
}
