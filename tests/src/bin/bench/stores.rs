//! What is kept: events of the journal and states of files.

use std::path::Path;
use std::process::Command;

use openshell_tests::{Sshd, SshdOptions};
use serde_json::Value;

use crate::measure::{Times, digits};
use crate::peers::Probe;
use crate::table::{Goal, Row, Table};

/// How long each side writes, in ms, and how often.
const SPAN_MS: u64 = 1_500;
const ROUNDS: usize = 5;

/// Measures every line about what is kept.
pub(crate) fn measure(table: &mut Table, probe: &Path, snapshots: &Path) {
    journal(table, probe);
    states(table, snapshots);
}

fn journal(table: &mut Table, probe: &Path) {
    let sshd = Sshd::start(&SshdOptions::default());
    let scratch = sshd.dir().join("bench");
    std::fs::create_dir_all(&scratch).expect("the fixture's own folder");
    let mut probe = Probe::start(probe, &sshd, &[], &scratch);
    let (mut ours, mut raw) = (Times::default(), Times::default());
    for round in 0..ROUNDS {
        let dir = scratch.join(format!("journal-{round}"));
        std::fs::create_dir_all(&dir).expect("the fixture's own folder");
        let dir = dir.display();
        ours.push(probe.ask(&format!("journal {dir} {SPAN_MS}")));
        raw.push(probe.ask(&format!("raw {dir} {SPAN_MS}")));
    }
    let shown = |rates: &Times| {
        format!(
            "{} ({}..{}) events/s",
            digits(rates.median()),
            digits(rates.quantile(0.25)),
            digits(rates.quantile(0.75))
        )
    };
    table.add(Row {
        what: "journal, 64 callers, every event durable".to_owned(),
        ours: shown(&ours),
        beside: String::new(),
        value: ours.median(),
        unit: " events/s",
        goal: Goal::AtLeast(2_000.0),
        reason: "the disk syncs too slowly for it",
    });
    table.add(Row {
        what: "journal, beside bare group commit".to_owned(),
        ours: shown(&ours),
        beside: format!("bare lines with shared fsync {}", shown(&raw)),
        value: ours.median() / raw.median(),
        unit: "x",
        goal: Goal::AtLeast(0.7),
        reason: "each event is redacted, chained by its hash and followed by the head file, \
                 which is a second fsync per group",
    });
}

/// One line of the example `snapshots`.
struct Line {
    name: String,
    median: f64,
    shown: String,
}

fn states(table: &mut Table, program: &Path) {
    let output = Command::new(program)
        .arg("--json")
        .output()
        .expect("the example runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Line> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| {
            let number = |name: &str| line[name].as_f64();
            Some(Line {
                name: line["name"].as_str()?.to_owned(),
                median: number("median")?,
                shown: format!(
                    "{} ms ({}..{})",
                    digits(number("median")?),
                    digits(number("low")?),
                    digits(number("high")?)
                ),
            })
        })
        .collect();
    let find = |name: &str| lines.iter().find(|line| line.name == name);
    for what in ["before, as last seen", "before, changed by others", "after"] {
        let at = |states: &str| find(&format!("{what}, {states} states"));
        let (Some(few), Some(many), Some(most)) = (at("10"), at("10000"), at("100000")) else {
            table.skip(what, "the example printed no such line");
            continue;
        };
        let slope = many.median.max(most.median) / few.median;
        table.add(Row {
            what: format!("snapshot {what}, slope to 100,000 states"),
            ours: format!("10,000: {}; 100,000: {}", many.shown, most.shown),
            beside: format!("10: {}", few.shown),
            value: slope,
            unit: "x",
            goal: Goal::AtMost(1.2),
            reason: "the machine's disk answered unevenly between the sizes",
        });
    }
    let Some(ours) = find("after, 10000 states") else {
        return;
    };
    let cases = [
        ("git add, git commit, no fsync", 10.0, "without fsync"),
        ("git add, git commit, fsync", 3.0, "with fsync"),
    ];
    for (name, goal, short) in cases {
        let Some(git) = find(name) else {
            table.skip(name, "the example printed no such line");
            continue;
        };
        table.add(Row {
            what: format!("snapshot after a change, beside git {short}"),
            ours: ours.shown.clone(),
            beside: format!("{name}: {}", git.shown),
            value: git.median / ours.median,
            unit: "x",
            goal: Goal::AtLeast(goal),
            reason: "a state is always made durable, with several fsyncs of its own",
        });
    }
}
