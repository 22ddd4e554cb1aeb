//! A process that stands still while it holds a lock others need.
//!
//! Invariant: others must not wait for ever, and must not go on without the record:
//! they refuse, and nothing happened. Once the process is dead, everything works.
//!
//! Timing beyond that is not asserted.

use super::operation::{Case, Effect, Operation};
use super::report::Report;
use super::rig::{Rig, stands_still};
use super::verdict::{Fault, Judge};
use crate::cli::finish;

const KIND: &str = "frozen with a lock, then killed";

/// Where a process freezes over what, and what another one then tries.
const FREEZES: [(&str, Operation, Operation); 4] = [
    (
        "journal.sync.before-fsync",
        Operation::Exec,
        Operation::Exec,
    ),
    (
        "journal.lease.claimed",
        Operation::WriteOld,
        Operation::WriteNew,
    ),
    (
        "snapshots.commit.blob-written",
        Operation::WriteOld,
        Operation::WriteNew,
    ),
    (
        "file.replace.before-rename:2",
        Operation::ServerAdd,
        Operation::ServerAdd,
    ),
];

/// Freezes a process over each lock.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn frozen_holders() -> Report {
    let mut report = Report::default();
    let rig = Rig::start();
    for (number, (point, holding, trying)) in (1..).zip(FREEZES) {
        let (holder, other) = (
            Case::new(holding, 2 * number),
            Case::new(trying, 2 * number + 1),
        );
        let before = rig.ledger();
        holder.prepare(&rig);
        other.prepare(&rig);
        let setting = match point.split_once(':') {
            Some((name, nth)) => format!("{name}:{nth}:stop"),
            None => format!("{point}:1:stop"),
        };
        let mut child = rig.spawn(&holder.words(&rig), &[("OPENSHELL_FAULT", &setting)]);
        let still = stands_still(&mut child);
        let refused = rig.run(&other.words(&rig), &[]);
        let happened = other.effect(&rig);
        let _ = child.kill();
        let ended = finish(child);
        if !still || refused.status == 0 || matches!(happened, Effect::Present | Effect::Torn) {
            report.tally(KIND).broken += 1;
            report.find(format!(
                "{point}: frozen {still}, the other one {happened:?}: {refused:?}"
            ));
        }
        let fault = Fault {
            kind: KIND.to_owned(),
            what: format!("frozen at {point}"),
        };
        let mut judge = Judge {
            rig: &rig,
            case: &holder,
            fault: &fault,
            report: &mut report,
        };
        judge.judge(&before, &ended);
    }
    report
}
