//! The host's time and memory, and calls nobody waits for any more.
//!
//! They prove that one guest's hunger ends that guest alone. How long honest calls
//! take is not measured.

use std::time::Duration;

use openshell_host::engine::Limits;
use openshell_host::supervisor::Status;
use serde_json::Value;

use super::bench::{Bench, Person, ended_with};

/// Little enough for a suite to wait for, and a hundred times what an honest guest
/// needs: on a busy machine its epochs pass although it is not let run.
fn short() -> Limits {
    Limits {
        compute: Duration::from_secs(3),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_guest_that_computes_without_end_is_stopped_and_others_are_served() {
    // One thread for everything: the guest has to give it up by itself.
    let bench = Bench::limited(Person::Agrees, short());
    let (envelope, ()) = tokio::join!(bench.call("spin", Value::Null), bench.still_serves());
    ended_with(&envelope, "GUEST_STOPPED");
    assert!(message(&envelope).contains("computed for more than 3s"));
    bench.still_serves().await;
}

#[tokio::test]
async fn waiting_for_a_person_is_not_computing() {
    // Longer than the guest may compute.
    let bench = Bench::limited(Person::AgreesAfter(Duration::from_secs(4)), short());
    let envelope = bench.call("yes-policy", Value::Null).await;
    assert_eq!(envelope.status, Status::Ok, "{envelope:?}");
    assert_eq!(bench.marks(), ["marked"]);
}

#[tokio::test]
async fn a_change_is_settled_although_its_guest_never_comes_back() {
    let bench = Bench::limited(Person::Agrees, short());
    let envelope = bench.call("spin-after-change", Value::Null).await;
    ended_with(&envelope, "GUEST_STOPPED");
    assert!(envelope.execution.completed);
    assert_eq!(envelope.execution.exit_code, Some(0));
    assert_eq!(bench.marks(), ["marked"]);
    assert_eq!(
        bench.story(),
        ["intent", "approval granted", "attempt exec", "outcome ok"]
    );
    bench.still_serves().await;
}

#[tokio::test]
async fn a_change_is_settled_although_its_call_was_abandoned() {
    let bench = Bench::new(Person::Agrees);
    {
        let call = bench.call("slow-change", Value::Null);
        let began = async {
            while bench.marks().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            envelope = call => panic!("the call ended before it was given up: {envelope:?}"),
            () = began => {}
        }
    }
    let settled = ["intent", "approval granted", "attempt exec", "outcome ok"];
    let mut rounds = 0;
    while bench.story() != settled {
        rounds += 1;
        assert!(rounds < 600, "never settled: {:?}", bench.story());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.marks(), ["began", "ended"]);
    bench.still_serves().await;
}

#[tokio::test]
async fn a_guest_that_calls_the_host_without_end_is_stopped() {
    let bench = Bench::limited(
        Person::Agrees,
        Limits {
            host_calls: 300,
            ..Limits::default()
        },
    );
    let envelope = bench.call("chatter", Value::Null).await;
    ended_with(&envelope, "GUEST_STOPPED");
    assert!(message(&envelope).contains("called the host more than 300 times"));
    bench.still_serves().await;
}

#[tokio::test]
async fn a_guest_that_wants_all_memory_is_stopped() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("hoard", Value::Null).await;
    ended_with(&envelope, "GUEST_STOPPED");
    assert!(message(&envelope).contains("asked for more than 320 MiB"));
    bench.still_serves().await;
}

#[tokio::test]
async fn a_guest_cannot_make_the_host_hoard_for_it() {
    let bench = Bench::new(Person::Agrees);
    let envelope = bench.call("flood", Value::Null).await;
    ended_with(&envelope, "GUEST_STOPPED");
    assert_eq!(bench.connections(), 0);
    assert_eq!(bench.story(), ["intent", "outcome error GUEST_STOPPED"]);
    bench.still_serves().await;
}

#[tokio::test]
async fn a_guest_that_breaks_down_takes_nothing_with_it() {
    let bench = Bench::new(Person::Agrees);
    for attack in ["panic", "overflow", "no-such-attack"] {
        let envelope = bench.call(attack, Value::Null).await;
        ended_with(&envelope, "GUEST_STOPPED");
    }
    bench.still_serves().await;
}

fn message(envelope: &openshell_host::supervisor::Envelope) -> &str {
    envelope.message.as_deref().unwrap_or_default()
}
