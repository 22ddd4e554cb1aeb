//! Many at once: callers of one helper, and processes on one journal.
//!
//! Invariant: what each caller did is counted on the server afterwards, not in the
//! answers alone. No fault is injected.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::report::Report;
use super::rig::Rig;
use crate::bridge::{Bridge, BridgeCall};

/// What a crowd did.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// What was counted.
    pub report: Report,
    /// Calls made.
    pub calls: usize,
    /// How long they took together.
    pub took: Duration,
}

impl Crowd {
    fn conclude(mut self, kind: &str, rig: &Rig, ran: usize) -> Self {
        let lines = rig.content("lines").unwrap_or_default();
        let mut lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
        lines.retain(|line| !line.is_empty());
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        let tally = self.report.tally(kind);
        tally.runs += self.calls as u64;
        tally.duplicated += (all - lines.len()) as u64;
        tally.lost += ran.abs_diff(lines.len()) as u64;
        if all != ran || lines.len() != ran {
            self.report.find(format!(
                "{kind}: {ran} commands left {all} lines, {} of them different",
                lines.len()
            ));
        }
        let verified = rig.run(&["audit", "verify"], &[]);
        if verified.status != 0 {
            self.report.tally(kind).lost += 1;
            self.report
                .find(format!("{kind}: the chain does not verify: {verified:?}"));
        }
        let rate = self.calls as f64 / self.took.as_secs_f64();
        self.report.remark(format!(
            "{kind}: {} calls in {:.1} s, {rate:.0} a second",
            self.calls,
            self.took.as_secs_f64()
        ));
        self
    }
}

/// One caller's share: commands that each leave a line, reads and writes between.
fn calls(rig: &Rig, who: usize, count: usize) -> Vec<BridgeCall> {
    (0..count)
        .map(|number| {
            let own = rig.path(&format!("own-{who}"));
            let (tool, arguments) = match number % 4 {
                0 | 1 => (
                    "remote_exec",
                    json!({
                        "server": "a",
                        "command": format!("echo {who}-{number} >> {}", rig.path("lines")),
                    }),
                ),
                2 => (
                    "remote_stat",
                    json!({"server": "a", "path": rig.path("lines")}),
                ),
                _ => (
                    "remote_write_file",
                    json!({"server": "a", "path": own, "content": format!("{number}\n")}),
                ),
            };
            BridgeCall::new(tool, arguments, Some(&format!("{who}-{number}")))
        })
        .collect()
}

fn commands(count: usize) -> usize {
    (0..count).filter(|number| number % 4 < 2).count()
}

/// So many callers at once on one server, through one bridge.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn callers(callers: usize, each: usize) -> Crowd {
    let kind = format!("{callers} callers of one helper");
    let rig = Rig::start();
    let mut bridge = Bridge::start(&mut rig.command(&["bridge"], &[]));
    // Each caller's calls follow one another, so round after round.
    let shares: Vec<Vec<BridgeCall>> = (0..callers).map(|who| calls(&rig, who, each)).collect();
    let rounds = (0..each).flat_map(|round| shares.iter().map(move |share| share[round].clone()));
    let all: Vec<BridgeCall> = rounds.collect();
    let names: Vec<String> = all.iter().map(|call| call.tool.clone()).collect();
    let began = Instant::now();
    let envelopes = bridge.calls(all, callers);
    let took = began.elapsed();
    bridge.finish();
    let mut report = Report::default();
    for (tool, envelope) in names.iter().zip(&envelopes) {
        let envelope = envelope.clone().unwrap_or_default();
        if envelope["status"] != "ok" {
            report.tally(&kind).broken += 1;
            report.find(format!("{kind}: {tool}: {envelope}"));
        }
    }
    let ran = callers * commands(each);
    Crowd {
        report,
        calls: envelopes.len(),
        took,
    }
    .conclude(&kind, &rig, ran)
}

/// So many processes at once on one journal, each with calls of its own.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn processes(processes: usize, each: usize) -> Crowd {
    let kind = format!("{processes} processes on one journal");
    let rig = Rig::start();
    let began = Instant::now();
    let results: Vec<_> = thread::scope(|scope| {
        let rig = &rig;
        let started: Vec<_> = (0..processes)
            .map(|who| {
                scope.spawn(move || {
                    let mut bridge = Bridge::start(&mut rig.command(&["bridge"], &[]));
                    let envelopes = bridge.calls(calls(rig, who, each), 2);
                    bridge.finish();
                    envelopes
                })
            })
            .collect();
        let done = started.into_iter().map(|process| process.join());
        done.flat_map(|envelopes| envelopes.expect("a client does not panic"))
            .collect()
    });
    let took = began.elapsed();
    let mut report = Report::default();
    for envelope in &results {
        let envelope = envelope.clone().unwrap_or_default();
        // Two writes of one caller may meet, and then one of them is told.
        if envelope["status"] != "ok" && envelope["code"] != "CONFLICT" {
            report.tally(&kind).broken += 1;
            report.find(format!("{kind}: {envelope}"));
        }
    }
    let ran = processes * commands(each);
    Crowd {
        report,
        calls: results.len(),
        took,
    }
    .conclude(&kind, &rig, ran)
}
