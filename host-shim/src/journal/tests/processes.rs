//! Several real processes on one chain, killed in the middle of their work.
//!
//! The processes are this test binary again, told by a variable to write until
//! somebody kills them.
//!
//! Invariant: what a child said was durable is looked for in the file, so a lost
//! record fails the test. A loss of power cannot be played this way.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::super::{Durability, EventKind, Filter, Journal, Options, Redactor};
use super::{Scratch, attempt, intent, outcome, whole};

const ROOT: &str = "OPENSHELL_TEST_JOURNAL";

/// Says what is on disk, so that the parent can hold the journal to it.
#[tokio::test]
#[ignore = "runs as a child of the other test"]
async fn writer() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let options = Options {
        segment_bytes: 60_000,
        ..Default::default()
    };
    let redactor = Redactor::open(root).unwrap();
    let journal = Journal::open_with(&root.join("audit"), redactor, options).unwrap();
    for round in 0_u64.. {
        let action = format!("P{}R{round}", std::process::id());
        for event in [intent(&action, None), attempt(&action), outcome(&action)] {
            let receipt = journal.append(event, Durability::Synced).await.unwrap();
            println!("durable {}", receipt.hash);
        }
    }
}

fn spawn(root: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "journal::tests::processes::writer",
            "--ignored",
            "--nocapture",
        ])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// Reads what a child said; at most so many lines, where it still lives.
fn said(out: &mut BufReader<ChildStdout>, lines: usize) -> Vec<String> {
    out.lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("durable ").map(str::to_owned))
        .take(lines)
        .collect()
}

#[test]
fn killed_writers_lose_nothing_they_were_told_is_durable() {
    let scratch = Scratch::new();
    scratch.redactor();
    let mut durable = HashSet::new();
    for round in 0..3 {
        let mut children: Vec<_> = (0..3).map(|_| spawn(scratch.root.path())).collect();
        for (at, (child, out)) in children.iter_mut().enumerate() {
            durable.extend(said(out, 20 + 7 * at + round));
            child.kill().unwrap();
        }
        for (mut child, mut out) in children {
            child.wait().unwrap();
            durable.extend(said(&mut out, usize::MAX));
        }
    }
    let journal = scratch.open();
    whole(&scratch.dir());
    let mut unfinished = HashSet::new();
    for record in Journal::read(&scratch.dir(), Filter::default()).unwrap() {
        let record = record.unwrap();
        durable.remove(&record.hash);
        let Some(action) = record.entry.action else {
            continue;
        };
        match record.entry.event {
            EventKind::Intent => assert!(unfinished.insert(action)),
            EventKind::Outcome | EventKind::Recovered => assert!(unfinished.remove(&action)),
            _ => {}
        }
    }
    assert_eq!(
        durable,
        HashSet::new(),
        "records that were acknowledged and are gone"
    );
    assert_eq!(unfinished, HashSet::new(), "actions nobody settled");
    assert!(journal.mark() > 180);
}

const TASKS: u64 = 4;
const ROUNDS: u64 = 12;

/// Several callers at once, for so many rounds, mixing what is durable at once
/// with what is soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child of the other test"]
async fn busy_writer() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let options = Options {
        segment_bytes: 200_000,
        ..Default::default()
    };
    let redactor = Redactor::open(root).unwrap();
    let journal = Journal::open_with(&root.join("audit"), redactor, options).unwrap();
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let journal = journal.clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let action = format!("P{}T{task}R{round}", std::process::id());
                let durability = if task % 2 == 0 {
                    Durability::Synced
                } else {
                    Durability::Buffered
                };
                for event in [
                    intent(&action, Some(&action)),
                    attempt(&action),
                    outcome(&action),
                ] {
                    journal.append(event, durability).await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    println!("done");
}

#[test]
fn sixteen_processes_with_sixty_four_callers_share_one_journal() {
    const PROCESSES: u64 = 16;
    let scratch = Scratch::new();
    scratch.redactor();
    let begun = std::time::Instant::now();
    let children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "journal::tests::processes::busy_writer",
                    "--ignored",
                    "--nocapture",
                ])
                .env(ROOT, scratch.root.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("done"),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let seconds = begun.elapsed().as_secs_f64();
    let records = whole(&scratch.dir());
    let mut settled = HashSet::new();
    for record in Journal::read(&scratch.dir(), Filter::default()).unwrap() {
        let entry = record.unwrap().entry;
        if entry.event == EventKind::Outcome {
            assert!(settled.insert(entry.action.unwrap()));
        }
    }
    assert_eq!(settled.len() as u64, PROCESSES * TASKS * ROUNDS);
    println!(
        "{PROCESSES} processes, {} callers: {records} records in {seconds:.1} s, {:.0} a second",
        PROCESSES * TASKS,
        records as f64 / seconds
    );
}
