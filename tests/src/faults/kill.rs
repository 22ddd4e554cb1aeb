//! kill -9, and failing system calls, at every point of every operation.
//!
//! First each operation is run whole and the points it passes are noted; every
//! point there is must be among them. Then one operation after the other is run
//! again with one point armed. Two processes of one installation share everything
//! but the fault, so that a journal with a hundred interruptions is still one
//! journal. Invariant: what is left to chance follows from the seed. What a kill
//! left is judged in `verdict`, not here.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::binary::{FaultPoint, fault_points};
use super::ledger::{Ledger, cut_unsynced};
use super::operation::{Case, Effect, Operation};
use super::report::Report;
use super::rig::Rig;
use super::verdict::{Fault, Judge};

/// Runs after which an installation is replaced by a new one.
const RUNS_PER_RIG: u32 = 60;

/// Passings of one point that are told apart in a long run.
const PASSINGS: u64 = 16;

/// Runs after which it is said how many there were.
const PROGRESS: u64 = 250;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub enum Extent {
    /// So many points, evenly spread over the list.
    Sample(usize),
    /// Every point at least once, and more until the time is over.
    EveryPoint(Duration),
    /// Every passing of every point in every operation, and at least so many runs.
    AtLeast(u64),
}

/// A series of runs.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How much is done.
    pub extent: Extent,
    /// How many installations are broken at the same time.
    pub workers: usize,
    /// Decides what is left to chance; printed, so that a run can be repeated.
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Kill,
    /// A kill, and then the loss of a part of what no fsync had covered.
    PowerCut,
    Eio,
    Enospc,
}

#[derive(Debug, Clone)]
struct Target {
    operation: Operation,
    point: String,
    nth: u64,
    how: How,
}

impl Target {
    fn fault(&self) -> Fault {
        let area = self.point.split('.').next().unwrap_or_default();
        let kind = match self.how {
            How::Kill => format!("kill -9, {area}"),
            How::PowerCut => "kill -9, unsynced tail cut".to_owned(),
            How::Eio => "EIO from a system call".to_owned(),
            How::Enospc => "ENOSPC from a system call".to_owned(),
        };
        Fault {
            kind,
            what: format!("{:?} at {} passing {}", self.how, self.point, self.nth),
        }
    }

    fn setting(&self) -> String {
        let action = match self.how {
            How::Kill | How::PowerCut => "kill",
            How::Eio => "eio",
            How::Enospc => "enospc",
        };
        format!("{}:{}:{action}", self.point, self.nth)
    }
}

/// Runs a plan.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn kills(plan: Plan) -> Report {
    let mut report = Report::default();
    let points = fault_points();
    let operations = match plan.extent {
        // Tracing all of them would take most of the time of a sample.
        Extent::Sample(_) => vec![Operation::WriteOld, Operation::Exec, Operation::FirstUse],
        _ => Operation::ALL.to_vec(),
    };
    let passed = trace(&operations, plan.workers);
    if !matches!(plan.extent, Extent::Sample(_)) {
        for point in &points {
            if !passed
                .iter()
                .any(|(_, counts)| counts.contains_key(&point.name))
            {
                report.tally("coverage").broken += 1;
                report.find(format!("no operation ever passes {}", point.name));
            }
        }
    }
    let targets = targets(plan, &points, &passed);
    let until = match plan.extent {
        Extent::EveryPoint(time) => Some(Instant::now() + time),
        Extent::Sample(_) | Extent::AtLeast(_) => None,
    };
    let planned = targets.len();
    let shared = Shared {
        // Taken from the end.
        targets: Mutex::new(targets.into_iter().rev().collect()),
        number: AtomicU64::new(0),
        until,
        seed: plan.seed,
    };
    let reports: Vec<Report> = thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.workers.max(1))
            .map(|_| scope.spawn(|| work(&shared)))
            .collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.map(|report| report.expect("a worker does not panic"))
            .collect()
    });
    for more in reports {
        report.merge(more);
    }
    let left = shared.targets.lock().map_or(0, |targets| targets.len());
    report.remark(format!(
        "{} points, {} operations, seed {}: {} of {planned} planned runs",
        points.len(),
        operations.len(),
        plan.seed,
        planned - left
    ));
    report
}

/// How often each point is passed, by operation.
type Passed = Vec<(Operation, BTreeMap<String, u64>)>;

fn trace(operations: &[Operation], workers: usize) -> Passed {
    let queue = Mutex::new(operations.to_vec());
    let passed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                let mut rig: Option<Rig> = None;
                while let Some(operation) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                    if operation.is_fresh() {
                        let rig = Rig::bare();
                        keep(&passed, operation, traced(&rig, operation));
                    } else {
                        let rig = rig.get_or_insert_with(Rig::start);
                        keep(&passed, operation, traced(rig, operation));
                    }
                }
            });
        }
    });
    let mut passed = passed.into_inner().expect("no tracer panicked");
    passed.sort_by_key(|(operation, _)| *operation);
    passed
}

fn keep(passed: &Mutex<Passed>, operation: Operation, counts: BTreeMap<String, u64>) {
    passed
        .lock()
        .expect("no tracer panicked")
        .push((operation, counts));
}

fn traced(rig: &Rig, operation: Operation) -> BTreeMap<String, u64> {
    // Names that no counted run has.
    let case = Case::new(operation, 1_000_000 + operation as u64);
    case.prepare(rig);
    let file = rig.cli.dir().join(format!("trace-{operation:?}"));
    let name = file.display().to_string();
    let ended = case.run(rig, &[("OPENSHELL_FAULT_TRACE", &name)]);
    let effect = case.effect(rig);
    let works = match operation {
        Operation::Ask | Operation::Answer => effect == Effect::Absent,
        _ if operation.is_recovery() => true,
        _ => {
            !matches!(effect, Effect::Torn | Effect::Twice | Effect::Absent)
                || operation == Operation::Pack
        }
    };
    assert!(
        ended.status == operation.ends() && works,
        "{operation:?} does not even work without a fault: {effect:?} {ended:?}"
    );
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(&file).unwrap_or_default().lines() {
        *counts.entry(line.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// What is to be done, the most important first.
fn targets(plan: Plan, points: &[FaultPoint], passed: &Passed) -> Vec<Target> {
    let target = |operation, point: &str, nth, how| Target {
        operation,
        point: point.to_owned(),
        nth,
        how,
    };
    let mut chance = Chance(plan.seed);
    let mut every_point = Vec::new();
    let mut every_pair = Vec::new();
    let mut more = Vec::new();
    for point in points {
        let mut first = true;
        for (operation, counts) in passed {
            let Some(&count) = counts.get(&point.name) else {
                continue;
            };
            let list = if first {
                &mut every_point
            } else {
                &mut every_pair
            };
            list.push(target(*operation, &point.name, 1, How::Kill));
            if first && point.fails {
                list.push(target(*operation, &point.name, 1, How::Enospc));
                list.push(target(*operation, &point.name, 1, How::Eio));
            }
            first = false;
            let cuts = point.name.starts_with("journal.") || point.name.starts_with("supervisor.");
            if cuts {
                more.push(target(*operation, &point.name, count, How::PowerCut));
            }
            for nth in 2..=count.min(PASSINGS) {
                more.push(target(*operation, &point.name, nth, How::Kill));
                if point.fails {
                    more.push(target(*operation, &point.name, nth, How::Enospc));
                }
            }
        }
    }
    match plan.extent {
        Extent::Sample(size) => {
            let kills: Vec<Target> = every_point
                .into_iter()
                .filter(|target| target.how == How::Kill)
                .collect();
            let step = (kills.len() / size.max(1)).max(1);
            let offset = step / 2;
            kills.into_iter().skip(offset).step_by(step).collect()
        }
        Extent::EveryPoint(_) => {
            chance.shuffle(&mut every_pair);
            chance.shuffle(&mut more);
            // Every third of the later ones goes between, so that a short run sees
            // some of each.
            let mut mixed = every_point;
            let (mut pairs, mut rest) = (every_pair.into_iter(), more.into_iter());
            loop {
                let next: Vec<Target> = pairs
                    .by_ref()
                    .take(2)
                    .chain(rest.by_ref().take(1))
                    .collect();
                if next.is_empty() {
                    return mixed;
                }
                mixed.extend(next);
            }
        }
        Extent::AtLeast(least) => {
            let mut all = [every_point, every_pair, more].concat();
            let whole = all.clone();
            while (all.len() as u64) < least {
                let mut again = whole.clone();
                chance.shuffle(&mut again);
                all.extend(again);
            }
            all
        }
    }
}

/// What workers share.
struct Shared {
    targets: Mutex<Vec<Target>>,
    number: AtomicU64,
    until: Option<Instant>,
    seed: u64,
}

impl Shared {
    fn next(&self) -> Option<Target> {
        if self.until.is_some_and(|until| Instant::now() > until) {
            return None;
        }
        self.targets.lock().ok()?.pop()
    }
}

fn work(shared: &Shared) -> Report {
    let mut report = Report::default();
    let mut rig: Option<(Rig, Vec<Case>)> = None;
    let mut runs = 0;
    while let Some(target) = shared.next() {
        let number = shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(PROGRESS) {
            eprintln!("{number} runs");
        }
        let case = Case::new(target.operation, number);
        if target.operation.is_fresh() {
            hit(
                &Rig::bare(),
                &case,
                &target,
                shared.seed ^ number,
                &mut report,
            );
            continue;
        }
        let (own, cases) = rig.get_or_insert_with(|| (Rig::start(), Vec::new()));
        let held = hit(own, &case, &target, shared.seed ^ number, &mut report);
        cases.push(case);
        runs += 1;
        if !held || runs % RUNS_PER_RIG == 0 {
            // What a broken promise left would be found again in every later run.
            finish(rig.take(), &mut report);
        }
    }
    finish(rig, &mut report);
    report
}

fn hit(rig: &Rig, case: &Case, target: &Target, chance: u64, report: &mut Report) -> bool {
    let before: Ledger = rig.ledger();
    case.prepare(rig);
    let setting = target.setting();
    let ended = case.run(rig, &[("OPENSHELL_FAULT", &setting)]);
    let mut fault = target.fault();
    let dies = matches!(target.how, How::Kill | How::PowerCut);
    if dies && ended.status != -9 {
        // A point that is passed by chance, such as in a task in the background.
        "not reached again".clone_into(&mut fault.kind);
    }
    if target.how == How::PowerCut && ended.status == -9 {
        cut_unsynced(&rig.cli.audit_dir(), Chance(chance).next());
    }
    Judge {
        rig,
        case,
        fault: &fault,
        report,
    }
    .judge(&before, &ended)
}

/// Looks once more at everything an installation did: a request of a dead process
/// may have come late.
fn finish(rig: Option<(Rig, Vec<Case>)>, report: &mut Report) {
    let Some((rig, cases)) = rig else { return };
    for case in &cases {
        let late = case.effect(&rig);
        if matches!(late, Effect::Torn | Effect::Twice) {
            report.tally("afterwards").broken += 1;
            report.find(format!(
                "{:?} {}: {late:?} afterwards",
                case.operation, case.key
            ));
        }
    }
    let strays = rig.remote_strays();
    if !strays.is_empty() {
        report.tally("afterwards").broken += 1;
        report.find(format!("left behind afterwards: {strays:?}"));
    }
}

/// Numbers that look random and are the same for the same seed (xorshift64*).
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        let mut x = self.0 | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (index as u64 + 1)).unwrap_or(0);
            items.swap(index, other);
        }
    }
}
