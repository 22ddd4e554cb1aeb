//! The connection is cut while the helper stands exactly at a point.
//!
//! The process is stopped there, the server's side is killed, and the process goes
//! on: what it does with a dead connection, and what it records of it, is what the
//! next use has to live with. Invariant: unlike after a kill, the helper itself
//! must end in good order. The network itself is not disturbed; `network` does
//! that.

use super::binary::fault_points;
use super::operation::{Case, Operation};
use super::report::Report;
use super::rig::{Rig, go_on, stands_still};
use super::verdict::{Fault, Judge};
use crate::cli::finish;

/// Where a sample is cut: what is under way is told apart by these.
const SAMPLE: [(Operation, &str); 4] = [
    (Operation::Exec, "ssh.exec.sent"),
    (Operation::WriteOld, "sftp.write.rename-sent"),
    (Operation::Patch, "sftp.write.data-confirmed"),
    (Operation::SudoWrite, "sudo.stage.filled"),
];

/// Cuts the connection at one point of each kind of operation.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn connections_cut_sample() -> Report {
    let mut report = Report::default();
    let rig = Rig::start();
    for (number, (operation, point)) in (1..).zip(SAMPLE) {
        cut(&rig, operation, point, number, &mut report);
    }
    report
}

/// Cuts the connection at points of the SSH side, every `step`th of them.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn connections_cut(step: usize) -> Report {
    let mut report = Report::default();
    let rig = Rig::start();
    let points: Vec<String> = fault_points()
        .into_iter()
        .map(|point| point.name)
        .filter(|name| {
            name.starts_with("ssh.channel.")
                || name.starts_with("ssh.exec.")
                || name.starts_with("sftp.")
                || name.starts_with("sudo.")
        })
        .collect();
    let pairs = points.iter().flat_map(|point| {
        // An undo passes the same points as a write, but for the removal.
        let operations = Operation::REMOTE.into_iter().filter(|operation| {
            *operation != Operation::UndoOld
                && (*operation != Operation::UndoNew || point.starts_with("sftp.remove."))
                && (*operation == Operation::SudoWrite) == point.starts_with("sudo.")
        });
        operations.map(move |operation| (operation, point))
    });
    for (number, (operation, point)) in (1..).zip(pairs.step_by(step.max(1))) {
        cut(&rig, operation, point, number, &mut report);
    }
    report
}

fn cut(rig: &Rig, operation: Operation, point: &str, number: u64, report: &mut Report) {
    let case = Case::new(operation, number);
    let before = rig.ledger();
    case.prepare(rig);
    let setting = format!("{point}:1:stop");
    let mut child = rig.spawn(&case.words(rig), &[("OPENSHELL_FAULT", &setting)]);
    if !stands_still(&mut child) {
        // The operation does not pass this point.
        finish(child);
        return;
    }
    rig.server.drop_connections();
    go_on(&child);
    let ended = finish(child);
    let fault = Fault {
        kind: "connection cut at a point".to_owned(),
        what: format!("cut at {point}"),
    };
    let mut judge = Judge {
        rig,
        case: &case,
        fault: &fault,
        report,
    };
    judge.judge(&before, &ended);
}
