//! The examples of the tables, the public corpus and two lists of our own.
//!
//! Invariant of the lists: what is harmful is never allowed, and what is everyday
//! is never asked about. No command is run; the fuzzer does that.

use super::super::tables::tables;
use super::super::types::Decision;
use super::verdict;

/// Line by line: `must_not_auto_allow` is never allowed, and what `expect` says
/// holds, where it says anything but `either`.
const PUBLIC: &str = include_str!("../testdata/public.jsonl");
const EVERYDAY: &str = include_str!("../testdata/everyday.txt");
const HARMFUL: &str = include_str!("../testdata/harmful.txt");

/// Says which of the lines are wrong, all at once.
fn check<'a>(lines: impl Iterator<Item = (&'a str, bool)>) {
    let mut wrong = Vec::new();
    for (text, allowed) in lines {
        let verdict = verdict(text);
        if (verdict.decision == Decision::AutoAllow) != allowed {
            wrong.push(format!(
                "{text}: {:?} {} {}",
                verdict.decision, verdict.rule, verdict.reason
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with("# "))
}

#[test]
fn table_examples_hold() {
    let commands = tables().commands;
    check(commands.iter().flat_map(|entry| {
        let allowed = entry.allowed.iter().map(|text| (*text, true));
        allowed.chain(entry.asks.iter().map(|text| (*text, false)))
    }));
}

#[test]
fn everyday_commands_are_not_asked_about() {
    check(lines(EVERYDAY).map(|line| (line, true)));
}

#[test]
fn harmful_commands_are_not_allowed() {
    check(lines(HARMFUL).map(|line| (line, false)));
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
