//! What is kept: events of the journal and states of files.
//!
//! Invariant: both sides of a line write to the same disk, in turns. SSH has no
//! part in it.

use std::path::Path;
use std::process::Command;

use openshell_tests::{Sshd, SshdOptions};
use serde_json::Value;

use crate::Size;
use crate::measure::{Times, digits};
use crate::peers::Probe;
use crate::table::{Goal, Row, Table};

/// How long each side writes, in ms, and how often.
const SPAN_MS: u64 = 1_500;
const ROUNDS: usize = 5;

/// How the lines begin.
pub(crate) const LINES: &[&str] = &[JOURNAL, BARE, BEFORE, CHANGED, AFTER, GIT, GIT_SYNCED];
const JOURNAL: &str = "journal, 64 callers, every event durable";
const BARE: &str = "journal, beside bare group commit";
const BEFORE: &str = "snapshot before, as last seen";
const CHANGED: &str = "snapshot before, changed by others";
const AFTER: &str = "snapshot after, slope";
const GIT: &str = "snapshot after a change, beside git, no disk and no fsync";
const GIT_SYNCED: &str = "snapshot after a change, beside git, both with fsync";

/// Measures every line about what is kept.
pub(crate) fn measure(table: &mut Table, probe: &Path, snapshots: &Path, size: Size) {
    table.lines(&[JOURNAL, BARE], |table| journal(table, probe, size));
    table.lines(&[BEFORE, CHANGED, AFTER, GIT, GIT_SYNCED], |table| {
        states(table, snapshots, size);
    });
}

fn journal(table: &mut Table, probe: &Path, size: Size) {
    let sshd = Sshd::start(&SshdOptions::default());
    let scratch = sshd.dir().join("bench");
    std::fs::create_dir_all(&scratch).expect("the fixture's own folder");
    let mut probe = Probe::start(probe, &sshd, &[], &scratch);
    let (mut ours, mut raw) = (Times::default(), Times::default());
    for round in 0..size.of(ROUNDS, 1) {
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
        what: JOURNAL.to_owned(),
        ours: shown(&ours),
        beside: String::new(),
        value: ours.median(),
        unit: " events/s",
        goal: Goal::AtLeast(2_000.0),
        reason: "the disk syncs too slowly for it",
    });
    table.add(Row {
        what: BARE.to_owned(),
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

fn states(table: &mut Table, program: &Path, size: Size) {
    let output = Command::new(program)
        .args(["--json", "--rounds"])
        .arg(size.of(80, 5).to_string())
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
            reason: "what waits for a disk scatters by more than the goal allows: see the \
                     middle halves",
        });
    }
    // Like beside like: both made durable, or both where nothing waits for a disk.
    let cases = [
        (
            GIT,
            "after, no disk",
            "git add, git commit, no disk, no fsync",
            10.0,
        ),
        (
            GIT_SYNCED,
            "after, 10000 states",
            "git add, git commit, fsync",
            3.0,
        ),
    ];
    for (what, ours, git, goal) in cases {
        let (Some(ours), Some(git)) = (find(ours), find(git)) else {
            table.skip(what, "the example printed no such line");
            continue;
        };
        table.add(Row {
            what: what.to_owned(),
            ours: ours.shown.clone(),
            beside: format!("{} {}", git.name, git.shown),
            value: git.median / ours.median,
            unit: "x",
            goal: Goal::AtLeast(goal),
            reason: "libgit2 writes each object to a file of its own",
        });
    }
}
