//! Leases: one holder, in order, and the dead are settled before the next one.
//!
//! Invariant of the fixture: a process that dies here is a real one, killed with
//! SIGKILL. What the holder does meanwhile is made up.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::super::{Durability, EventKind, Filter, Journal, LeaseError, Redactor};
use super::{Scratch, attempt, intent};

const LONG: Duration = Duration::from_secs(60);
const ROOT: &str = "OPENSHELL_TEST_LEASE";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_is_one_holder_at_a_time_among_all_processes() {
    let scratch = Scratch::new();
    let handles = [scratch.open(), scratch.open(), scratch.open()];
    let inside = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for at in 0..24 {
        let journal = handles[at % handles.len()].clone();
        let inside = Arc::clone(&inside);
        tasks.push(tokio::spawn(async move {
            let lease = journal.lease("s", &format!("A{at}"), LONG).await.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
            drop(lease);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let left: Vec<_> = std::fs::read_dir(scratch.dir().join("leases"))
        .unwrap()
        .map(|item| item.unwrap().file_name())
        .collect();
    assert_eq!(left, ["queue"], "no ticket is left behind");
}

#[tokio::test]
async fn turns_come_in_the_order_of_asking() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open(), scratch.open());
    let first = one.lease("s", "A0", LONG).await.unwrap();
    let (order, mut turns) = tokio::sync::mpsc::unbounded_channel();
    for at in 1..=6 {
        let journal = if at % 2 == 0 {
            one.clone()
        } else {
            other.clone()
        };
        let order = order.clone();
        tokio::spawn(async move {
            let lease = journal.lease("s", "A", LONG).await.unwrap();
            order.send(at).unwrap();
            drop(lease);
        });
        // Drawn before the next one asks.
        let tickets = || {
            std::fs::read_dir(scratch.dir().join("leases"))
                .unwrap()
                .count()
        };
        while tickets() < at + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop(first);
    for at in 1..=6 {
        assert_eq!(turns.recv().await, Some(at));
    }
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_for_whom() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let held = journal.lease("s", "HOLDER", LONG).await.unwrap();
    let short = Duration::from_millis(30);
    let refused = journal.lease("s", "A", short).await;
    assert!(
        matches!(&refused, Err(LeaseError::Held { action, pid, .. })
            if action == "HOLDER" && *pid == std::process::id()),
        "{refused:?}"
    );
    drop(journal.lease("another", "A", short).await.unwrap());
    drop(held);
    drop(journal.lease("s", "A", short).await.unwrap());
}

/// Holds a lease in the middle of a change until somebody kills it.
#[tokio::test]
#[ignore = "runs as a child of the other test"]
async fn holder() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let journal = Journal::open(&root.join("audit"), Redactor::open(root).unwrap()).unwrap();
    let _lease = journal.lease("s", "DEAD", LONG).await.unwrap();
    for event in [intent("DEAD", None), attempt("DEAD")] {
        journal.append(event, Durability::Synced).await.unwrap();
    }
    println!("held");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_dead_holder_is_settled_before_the_next_one_comes() {
    let scratch = Scratch::new();
    // Opened while the holder lives, so that only the lease leads to recovery.
    let journal = scratch.open();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "journal::tests::leases::holder",
            "--ignored",
            "--nocapture",
        ])
        .env(ROOT, scratch.root.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let held = out.lines().map_while(Result::ok).any(|line| line == "held");
    assert!(held, "the child holds the lease");
    let refused = journal.lease("s", "A", Duration::from_millis(30)).await;
    assert!(
        matches!(&refused, Err(LeaseError::Held { action, .. }) if action == "DEAD"),
        "{refused:?}"
    );
    child.kill().unwrap();
    let lease = journal.lease("s", "A", LONG).await.unwrap();
    let filter = Filter {
        event: Some(EventKind::Recovered),
        ..Filter::default()
    };
    let recovered: Vec<_> = Journal::read(&scratch.dir(), filter)
        .unwrap()
        .map(|record| record.unwrap().entry.action.unwrap())
        .collect();
    assert_eq!(recovered, ["DEAD"]);
    assert_eq!(journal.unknown().await.unwrap().len(), 1);
    drop(lease);
    child.wait().unwrap();
}

/// A ticket for something nobody asks for again goes with its holder's actions; one
/// that is held, and one whose holder still has to be settled, stay.
#[tokio::test]
async fn tickets_of_the_dead_go_with_them() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let held = journal.lease("held", "A1", LONG).await.unwrap();
    let folder = scratch.dir().join("leases");
    let owner = journal.owner().to_owned();
    let names = |what: &str| format!("{what:0>32}-{:020}", 1);
    std::fs::write(folder.join(names("a")), "").unwrap();
    std::fs::write(
        folder.join(names("b")),
        r#"{"action":"A2","pid":1,"owner":"gone"}"#,
    )
    .unwrap();
    std::fs::write(
        folder.join(names("c")),
        format!(r#"{{"action":"A3","pid":1,"owner":"{owner}"}}"#),
    )
    .unwrap();
    super::super::lease::sweep(&scratch.dir()).unwrap();
    assert!(!folder.join(names("a")).exists());
    assert!(!folder.join(names("b")).exists());
    assert!(folder.join(names("c")).exists(), "it is not settled yet");
    // The queue, the one that is held, the one of the living.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
    drop(held);
}
