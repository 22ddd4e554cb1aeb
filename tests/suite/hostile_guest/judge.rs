//! A hostile policy in the judge: it can say what it likes, and do nothing.
//!
//! They prove that the judge's instance reaches nothing and that its failure allows
//! nothing. A verdict that is merely wrong cannot be noticed by the host.

use openshell_host::contract::{Decision, Request, Rulebook, Subject};
use openshell_host::engine::{Judge, Limits};
use serde_json::Value;

use super::bench::{Bench, Person, ended_with, rogue};

fn subject(tool: &str) -> Subject {
    Subject {
        request: Request::Command("uptime".to_owned()),
        server: "target".to_owned(),
        tool: tool.to_owned(),
        labels: Vec::new(),
        cwd: None,
        home: None,
        resolved: None,
        sudo: None,
    }
}

fn rulebook() -> Rulebook {
    Rulebook {
        rules: Vec::new(),
        pipelines_each_stage: false,
        secret_paths: Vec::new(),
    }
}

fn ask(judge: &Judge, tool: &str) -> Result<Decision, String> {
    judge
        .classify(&subject(tool), &rulebook())
        .map(|verdict| verdict.decision)
        .map_err(|error| error.to_string())
}

#[test]
fn every_import_traps_in_the_judge() {
    let judge = rogue(Limits::default()).judge().expect("the guest loads");
    for tool in ["judge-lists", "judge-opens"] {
        let error = ask(&judge, tool).expect_err("the import must trap");
        assert!(error.contains("unknown import"), "{tool}: {error}");
        // The instance is poisoned; the next question gets another.
        assert_eq!(ask(&judge, "remote_exec"), Ok(Decision::AutoAllow));
    }
}

#[test]
fn a_policy_that_never_answers_is_stopped() {
    let judge = rogue(Limits::default()).judge().expect("the guest loads");
    for (tool, expected) in [
        ("judge-spins", "computed for more than 1s"),
        ("judge-hoards", "asked for more than 320 MiB"),
    ] {
        let error = ask(&judge, tool).expect_err("there is no answer");
        assert!(error.contains(expected), "{tool}: {error}");
        assert_eq!(ask(&judge, "remote_exec"), Ok(Decision::AutoAllow));
    }
}

#[tokio::test]
async fn without_a_verdict_nothing_runs() {
    let bench = Bench::judged_by_rogue(Person::Agrees);
    for attack in ["judge-lists", "judge-spins"] {
        let envelope = bench.call(attack, Value::Null).await;
        ended_with(&envelope, "GUEST_STOPPED");
        assert!(!envelope.execution.attempted, "{attack}");
    }
    assert_eq!(bench.connections(), 0);
    assert_eq!(bench.asked(), 0);
    assert!(bench.marks().is_empty());
}
