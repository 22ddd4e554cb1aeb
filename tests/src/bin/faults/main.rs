//! Breaks openshell in every way the harness knows and prints what came of it.
//!
//! `faults [--long] [--seed N] [--only PART]`: bounded to a few minutes, or every passing of
//! every point and at least 2,000 kills. Ends with failure when a promise broke.
//!
//! Invariant: the table is printed whatever was found, and the exit code says
//! whether every promise held. What is broken, and how, is the harness's part.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openshell_tests::Sshd;
use openshell_tests::faults::{
    Extent, Plan, Report, Until, callers, connections_cut, disks, frozen_holders, kills, network,
    processes, server_restarts,
};

/// Kills in the long mode, at least.
const LONG_KILLS: u64 = 2_000;

fn main() -> ExitCode {
    let mut long = false;
    let mut seed = None;
    let mut only = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--long" => long = true,
            "--seed" => seed = words.next().and_then(|number| number.parse().ok()),
            "--only" => only = words.next(),
            _ => {
                eprintln!("usage: faults [--long] [--seed N] [--only PART]");
                return ExitCode::from(2);
            }
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = seed.unwrap_or_else(|| now.map_or(1, |now| now.as_secs()));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    println!("{}; seed {seed}", Sshd::version());

    let mut report = Report::default();
    let mut section = |what: &str, work: &dyn Fn() -> Report| {
        if only.as_deref().is_some_and(|only| !what.starts_with(only)) {
            return;
        }
        let began = std::time::Instant::now();
        let part = work();
        println!(
            "{what}: {} runs in {:.0} s, {} broken promises",
            part.runs(),
            began.elapsed().as_secs_f64(),
            part.findings().len()
        );
        report.merge(part);
    };
    let extent = if long {
        Extent::AtLeast(LONG_KILLS)
    } else {
        Extent::EveryPoint(minutes(4))
    };
    let plan = Plan {
        extent,
        workers: 3,
        seed,
    };
    section("kills", &|| kills(plan));
    section("connections cut at points", &|| {
        connections_cut(if long { 1 } else { 4 })
    });
    section("frozen holders of locks", &frozen_holders);
    section("network", &|| match long {
        true => network(24, Until::Over(minutes(25)), seed),
        false => network(6, Until::Over(minutes(2)), seed),
    });
    section("full disks", &|| {
        // None, and then as many as let an operation come so far.
        disks(&[0, 1, 2, 4, 12, 28])
    });
    section("server restarts", &|| {
        server_restarts(if long { 60 } else { 9 })
    });
    section("callers", &|| callers(64, if long { 40 } else { 8 }).report);
    section("processes", &|| {
        processes(16, if long { 100 } else { 20 }).report
    });

    println!("\n{report}");
    if report.findings().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
