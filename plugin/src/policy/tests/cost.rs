//! What a verdict costs, printed and not asserted: time is no property of the code
//! alone. The work a text can cause is bounded by counts, which the other tests
//! hold to.
//!
//! `cargo test --release -p openshell-plugin --lib cost -- --ignored --nocapture`
//!
//! Invariant under test: the longest texts get a verdict at all.

use std::time::{Duration, Instant};

use super::super::preflight::LENGTH_CAP;
use super::super::types::{Rulebook, Subject};
use super::super::verdict::classify;
use super::command;
use super::hostile::hostile;

const EVERYDAY: &str = include_str!("../testdata/everyday.txt");
const HARMFUL: &str = include_str!("../testdata/harmful.txt");

fn timed(subject: &Subject, rulebook: &Rulebook) -> Duration {
    (0..5)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(classify(subject, rulebook));
            started.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[test]
#[ignore = "a measurement"]
fn cost() {
    let book = Rulebook::default();
    for (name, list) in [("everyday", EVERYDAY), ("harmful", HARMFUL)] {
        let mut times: Vec<Duration> = list
            .lines()
            .map(|line| timed(&command(line), &book))
            .collect();
        times.sort();
        println!(
            "{name}: p50 {:?} p90 {:?} p99 {:?} max {:?}",
            times[times.len() / 2],
            times[times.len() * 9 / 10],
            times[times.len() * 99 / 100],
            times[times.len() - 1]
        );
    }
    let mut worst: Vec<(Duration, Duration, &str, String)> = hostile(LENGTH_CAP)
        .into_iter()
        .map(|(name, whole)| {
            let half = whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned();
            let rule = classify(&command(&whole), &book).rule;
            (
                timed(&command(&whole), &book),
                timed(&command(&half), &book),
                name,
                rule,
            )
        })
        .collect();
    worst.sort_by(|a, b| b.cmp(a));
    println!("the whole, a half:");
    for (whole, half, name, rule) in worst {
        println!("{whole:>12.1?} {half:>12.1?}  {name} ({rule})");
    }
}

/// The longest texts get a verdict, and none of them is allowed without words.
#[test]
fn hostile_texts_are_judged() {
    for (name, text) in hostile(LENGTH_CAP) {
        assert!(text.len() <= LENGTH_CAP + 1, "{name}");
        let verdict = classify(&command(&text), &Rulebook::default());
        assert!(!verdict.rule.is_empty(), "{name}");
    }
}
