//! Full disks: under the journal, the snapshots, the register, the remote files.
//!
//! A small file system in memory is filled to a few pages, and an operation run on
//! it: it is done, or it is refused and nothing happened. Then there is room again.
//! Invariant: no disk of the machine is filled. Media that fail in other ways are
//! not played.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::operation::{Case, Effect, Operation};
use super::report::Report;
use super::rig::Rig;
use super::verdict::{Fault, Judge};

/// Bytes of a page, which is what tmpfs gives out.
const PAGE: u64 = 4096;

/// A file system in memory, unmounted when it is dropped.
struct Small {
    place: PathBuf,
}

impl Small {
    /// Mounts one over a directory, whose files move into it; none where that is
    /// not permitted.
    fn over(place: &Path) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        fs::create_dir_all(place).ok()?;
        let aside = place.with_extension("aside");
        fs::create_dir(&aside).ok()?;
        let run = |program: &str, words: &[&std::ffi::OsStr]| {
            let ended = Command::new(program).args(words).output();
            ended.is_ok_and(|ended| ended.status.success())
        };
        let from = place.join(".");
        copy(&from, &aside);
        let options = "size=4m,mode=0700";
        let mounted = run(
            "mount",
            &[
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                options.as_ref(),
                "tmpfs".as_ref(),
                place.as_os_str(),
            ],
        );
        if !mounted {
            return None;
        }
        copy(&aside.join("."), place);
        Some(Self {
            place: place.to_owned(),
        })
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }

    /// Leaves so many pages free.
    fn fill(&self, pages: u64) {
        self.empty();
        let Ok(stat) = rustix::fs::statvfs(&self.place) else {
            return;
        };
        // The filler's own pages come from the same account.
        let free = stat.f_bavail * stat.f_frsize / PAGE;
        let size = free.saturating_sub(pages) * PAGE;
        let bytes = vec![b'x'; usize::try_from(size).unwrap_or(0)];
        fs::write(self.filler(), bytes).expect("there is room for it");
    }

    fn empty(&self) {
        let _ = fs::remove_file(self.filler());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
    }
}

/// What is counted, which directory is full, and what is tried there.
type Place = (&'static str, fn(&Rig) -> PathBuf, &'static [Operation]);

fn copy(from: &Path, to: &Path) {
    let _ = Command::new("cp").arg("-a").arg(from).arg(to).output();
}

/// Fills each disk in turn, leaving so many pages free in turn.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn disks(free: &[u64]) -> Report {
    let mut report = Report::default();
    let places: [Place; 4] = [
        (
            "disk full: journal",
            |rig| rig.cli.audit_dir(),
            &[Operation::Exec, Operation::WriteOld],
        ),
        (
            "disk full: snapshots",
            |rig| rig.cli.data_dir().join("snapshots"),
            &[Operation::WriteOld, Operation::Patch],
        ),
        (
            "disk full: register",
            |rig| rig.cli.config_dir(),
            &[Operation::ServerAdd, Operation::KeyRotate],
        ),
        (
            "disk full: remote files",
            |rig| rig.files.clone(),
            &[Operation::WriteOld, Operation::WriteNew, Operation::Exec],
        ),
    ];
    let mut number = 0;
    for (kind, place, operations) in places {
        let rig = Rig::start();
        let Some(small) = Small::over(&place(&rig)) else {
            report.remark(format!(
                "{kind}: no file system may be mounted here; the injected ENOSPC stands for it"
            ));
            continue;
        };
        for operation in operations {
            for &pages in free {
                number += 1;
                full(
                    &rig,
                    &small,
                    Case::new(*operation, number),
                    kind,
                    pages,
                    &mut report,
                );
            }
        }
    }
    report
}

fn full(rig: &Rig, small: &Small, case: Case, kind: &str, pages: u64, report: &mut Report) {
    let before = rig.ledger();
    case.prepare(rig);
    small.fill(pages);
    let ended = case.run(rig, &[]);
    let effect = case.effect(rig);
    small.empty();
    let fault = Fault {
        kind: kind.to_owned(),
        what: format!("{pages} pages free"),
    };
    // Refused means that nothing happened; done, that it did.
    let envelope = serde_json::from_str::<Value>(&ended.stdout).unwrap_or_default();
    let refused = envelope["status"] == "error" && envelope["code"] != "OUTCOME_UNKNOWN";
    let silent = ended.status != 0 && ended.stdout.is_empty() && ended.stderr.is_empty();
    if refused && effect == Effect::Present || silent {
        report.tally(kind).broken += 1;
        report.find(format!(
            "{:?}, {}: {effect:?} after {ended:?}",
            case.operation, fault.what
        ));
    }
    let mut judge = Judge {
        rig,
        case: &case,
        fault: &fault,
        report,
    };
    judge.judge(&before, &ended);
}
