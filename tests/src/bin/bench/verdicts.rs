//! What a verdict through the component costs, as the helper itself measures it
//! with `policy check --timed`: the call into the component and back, without JSON.
//!
//! Each text is judged several times and its fastest time counts, because whatever
//! else the machine does only adds to it.
//!
//! Invariant: the texts are those of the suites. Whether a verdict is right is not
//! looked at.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use openshell_tests::{EVERYDAY, hostile_texts, lines};
use serde_json::{Value, json};

use crate::measure::{digits, quantile};
use crate::table::{Goal, Row, Table};

/// How often each text is judged.
const ROUNDS: usize = 7;
/// Longest text that is judged at all, in bytes.
const LENGTH_CAP: usize = 64 * 1024;
/// Families whose cost is shown by length: much of one thing, and one of much.
const SHOWN: [&str; 8] = [
    "words",
    "paths",
    "quotes",
    "escapes",
    "alternating quotes",
    "sequences",
    "find tests",
    "sed script",
];

/// How the lines begin.
pub(crate) const LINES: &[&str] = &["a verdict through the component"];

/// Adds the line about everyday commands.
pub(crate) fn measure(table: &mut Table, helper: &Path) {
    let everyday: Vec<String> = lines(EVERYDAY).map(str::to_owned).collect();
    let times = microseconds(helper, &everyday);
    let part = |part: f64| digits(quantile(&times, part));
    table.add(Row {
        what: "a verdict through the component".to_owned(),
        ours: format!("{} us ({}..{})", part(0.5), part(0.25), part(0.75)),
        beside: format!(
            "{} everyday commands, p99 {} us",
            everyday.len(),
            part(0.99)
        ),
        value: quantile(&times, 0.5),
        unit: " us",
        goal: Goal::AtMost(20.0),
        reason: "the tables of the grammar grew faster than the way through them",
    });
}

/// Measures in detail and prints.
pub(crate) fn print(helper: &Path) {
    let everyday: Vec<String> = lines(EVERYDAY).map(str::to_owned).collect();
    let times = microseconds(helper, &everyday);
    println!(
        "a verdict, {} everyday commands   p50 {:.1} us   p90 {:.1}   p99 {:.1}   max {:.1}",
        everyday.len(),
        quantile(&times, 0.5),
        quantile(&times, 0.9),
        quantile(&times, 0.99),
        quantile(&times, 1.0),
    );
    by_length(helper);
    hostile(helper);
}

/// Times by length of the text, in us, and in ns for each byte of the longest.
fn by_length(helper: &Path) {
    let sizes: Vec<usize> = (6..=16).map(|power| 1 << power).collect();
    let heads: Vec<String> = sizes
        .iter()
        .map(|size| match size {
            size if *size < 1024 => format!("{size} B"),
            size => format!("{} KiB", size >> 10),
        })
        .collect();
    let heads: String = heads.iter().map(|head| format!("{head:>9}")).collect();
    println!("us by length        {heads}   ns/B");
    for name in SHOWN {
        let texts: Vec<String> = sizes
            .iter()
            .filter_map(|size| {
                let family = hostile_texts(*size);
                let found = family.into_iter().find(|(other, _)| *other == name);
                found.map(|(_, text)| text)
            })
            .collect();
        let times = microseconds(helper, &texts);
        let last = times.last().copied().unwrap_or(f64::NAN);
        let shown: String = times.iter().map(|time| format!("{time:>9.1}")).collect();
        println!("{name:<20}{shown} {:>6.1}", last * 1e3 / LENGTH_CAP as f64);
    }
}

/// The hardest texts of the greatest length.
fn hostile(helper: &Path) {
    let (names, texts): (Vec<&str>, Vec<String>) = hostile_texts(LENGTH_CAP).into_iter().unzip();
    let times = microseconds(helper, &texts);
    let mut worst: Vec<(f64, &str)> = times.into_iter().zip(names).collect();
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    let over = worst.iter().filter(|(time, _)| *time > 5e3).count();
    println!(
        "a verdict, {} hostile texts of {} KiB   {over} over 5 ms; the longest:",
        worst.len(),
        LENGTH_CAP >> 10
    );
    for (time, name) in worst.iter().take(6) {
        println!("  {:6.2} ms  {name}", time / 1e3);
    }
}

/// The fastest time of each text, in us.
fn microseconds(helper: &Path, texts: &[String]) -> Vec<f64> {
    let rounds = (0..ROUNDS).flat_map(|_| texts.iter().enumerate());
    let input: String = rounds
        .map(|(id, text)| format!("{}\n", json!({"id": id, "command": text})))
        .collect();
    let mut child = Command::new(helper)
        .args(["policy", "check", "--timed"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the helper runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    writer
        .join()
        .expect("the writer does not panic")
        .expect("the helper reads everything");
    let mut fastest = vec![f64::INFINITY; texts.len()];
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(answer) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        let id = answer["id"]
            .as_u64()
            .and_then(|id| usize::try_from(id).ok());
        let time = answer["ns"].as_f64().expect("it was asked to measure") / 1e3;
        let place = id.and_then(|id| fastest.get_mut(id));
        let place = place.expect("an answer to a text");
        *place = place.min(time);
    }
    fastest
}
