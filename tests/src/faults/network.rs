//! The network between helper and server: dropped, stalled, truncated, reset at a
//! byte, in either direction, at bytes spread over the whole of an operation.
//!
//! Invariant: operation, place and way of a disturbance follow from the seed. It
//! does not judge what came of one.

use std::time::{Duration, Instant};

use super::kill::Chance;
use super::operation::{Case, Operation};
use super::proxy::{Direction, Mischief, Proxy};
use super::report::Report;
use super::rig::Rig;
use super::verdict::{Fault, Judge};

const OPERATIONS: [Operation; 6] = [
    Operation::WriteOld,
    Operation::Exec,
    Operation::Patch,
    Operation::WriteNew,
    Operation::Read,
    Operation::List,
];

/// When to stop disturbing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After this long, counted from the first disturbance.
    Over(Duration),
    /// After so many disturbances, however long they take.
    Done(usize),
}

/// Disturbs every operation at `bytes` places of either direction, in every way, in
/// an order that chance decides, and stops when there were enough of them.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn network(bytes: u64, until: Until, seed: u64) -> Report {
    let mut report = Report::default();
    let mut rig = Rig::bare();
    let proxy = Proxy::start(rig.server.port());
    let key = rig.cli.key_file().display().to_string();
    rig.run(&["key", "init", "--file", &key], &[]);
    rig.run(&rig.add("a", proxy.port()), &[]);

    let mut number = 0;
    let mut plan = Vec::new();
    for operation in OPERATIONS {
        number += 1;
        let (up, down) = traffic(&rig, &proxy, &Case::new(operation, number));
        for place in 0..bytes {
            for mischief in Mischief::ALL {
                for (direction, total) in [(Direction::Up, up), (Direction::Down, down)] {
                    // The first and the last byte, and places in between.
                    let at = (total - 1) * place / (bytes - 1).max(1);
                    plan.push((operation, direction, at, mischief));
                }
            }
        }
    }
    // Short, so that a stalled connection does not hold up the others.
    rig.cli.set_env("OPENSHELL_SILENCE_MS", "2500");
    let mut chance = Chance(seed);
    chance.shuffle(&mut plan);
    let planned = plan.len();
    let begun = Instant::now();
    let mut done = 0;
    for (operation, direction, at, mischief) in plan {
        let enough = match until {
            Until::Over(time) => begun.elapsed() > time,
            Until::Done(runs) => done >= runs,
        };
        if enough {
            break;
        }
        number += 1;
        done += 1;
        let case = Case::new(operation, number);
        let before = rig.ledger();
        proxy.pass();
        case.prepare(&rig);
        proxy.set(direction, at, mischief);
        let ended = case.run(&rig, &[]);
        let struck = proxy.has_struck();
        proxy.pass();
        let fault = Fault {
            kind: if struck {
                format!("network: {mischief:?}").to_lowercase()
            } else {
                "not reached again".to_owned()
            },
            what: format!("{mischief:?} at byte {at} {direction:?}"),
        };
        let mut judge = Judge {
            rig: &rig,
            case: &case,
            fault: &fault,
            report: &mut report,
        };
        judge.judge(&before, &ended);
    }
    report.remark(format!(
        "network, seed {seed}: {done} of {planned} planned runs"
    ));
    report
}

/// Bytes an undisturbed run sends up and gets down.
fn traffic(rig: &Rig, proxy: &Proxy, case: &Case) -> (u64, u64) {
    proxy.pass();
    case.prepare(rig);
    proxy.pass();
    let ended = case.run(rig, &[]);
    assert_eq!(ended.status, 0, "{case:?} does not even work: {ended:?}");
    let (up, down) = proxy.seen();
    assert!(up > 1000 && down > 1000, "{up} {down}");
    (up, down)
}
