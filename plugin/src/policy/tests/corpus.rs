//! The examples of the tables and the public corpus.

use super::super::grammar;
use super::super::types::Decision;
use super::verdict;

/// Line by line: `must_not_auto_allow` is never allowed, and what `expect` says
/// holds, where it says anything but `either`.
const PUBLIC: &str = include_str!("../testdata/public.jsonl");

#[test]
fn table_examples_hold() {
    let mut wrong = Vec::new();
    for (text, allowed) in grammar::examples() {
        let verdict = verdict(text);
        if (verdict.decision == Decision::AutoAllow) != allowed {
            wrong.push(format!(
                "{text}: {:?} {} {}",
                verdict.decision, verdict.rule, verdict.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn public_corpus_holds() {
    let mut wrong = Vec::new();
    for line in PUBLIC.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["command"].as_str().unwrap();
        let verdict = verdict(text);
        let decision = match verdict.decision {
            Decision::AutoAllow => "auto-allow",
            Decision::ApprovalRequired => "approval-required",
            Decision::Reject => "reject",
        };
        let expected = line["expect"].as_str().unwrap();
        let forbidden = line["must_not_auto_allow"].as_bool().unwrap() && decision == "auto-allow";
        if forbidden || expected != "either" && expected != decision {
            wrong.push(format!(
                "{} {text:?}: {decision} {} instead of {expected}",
                line["id"], verdict.rule
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
