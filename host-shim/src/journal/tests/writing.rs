//! Appending: order, form, concurrency, segments.
//!
//! They prove what an append promises when it returns. Reading damaged files is the
//! subject of `damage`.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use super::super::chain::Chain;
use super::super::entry::Entry;
use super::super::head::{HEAD, HeadFile};
use super::super::{
    Answer, Approval, Decided, Durability, Event, EventKind, Filter, Intent, Journal, JournalError,
    Options,
};
use super::{Scratch, attempt, context, intent, note, outcome, unknown_outcome, whole};

#[tokio::test]
async fn a_call_is_recorded_in_order_and_read_back() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let approval = Event::Approval(Approval {
        context: context("A1"),
        verdict: Some(Decided {
            decision: "approval-required".to_owned(),
            rule: "scan.operators".to_owned(),
            reason: "more than one command".to_owned(),
        }),
        approval: Answer {
            answer: "granted".to_owned(),
            by: "person".to_owned(),
            rule: None,
            digest: "d1".to_owned(),
            question: None,
        },
        operation: None,
    });
    let events = [intent("A1", None), approval, attempt("A1"), outcome("A1")];
    for (seq, event) in (1..).zip(events) {
        let receipt = journal.append(event, Durability::Synced).await.unwrap();
        assert_eq!(receipt.seq, seq);
        assert_eq!(journal.mark(), seq);
    }
    journal
        .append(intent("A2", None), Durability::Buffered)
        .await
        .unwrap();
    let records = Journal::show(journal.dir(), "A1").unwrap();
    let kinds: Vec<EventKind> = records.iter().map(|record| record.entry.event).collect();
    assert_eq!(
        kinds,
        [
            EventKind::Intent,
            EventKind::Approval,
            EventKind::Attempt,
            EventKind::Outcome
        ]
    );
    assert_eq!(records[0].entry.context(), Some(context("A1")));
    assert_eq!(records[1].entry.prev, records[0].hash);
    assert!(
        records[0].raw.starts_with(r#"{"v":1,"seq":1,"ts":""#),
        "{}",
        records[0].raw
    );
    let time: jiff::Timestamp = records[0].entry.ts.parse().unwrap();
    assert_eq!(records[0].entry.ts.len(), "2025-01-01T00:00:00.000Z".len());
    assert!(time.as_second() > 0);
    let latest = Filter {
        latest: Some(2),
        ..Filter::default()
    };
    let seqs: Vec<u64> = Journal::read(journal.dir(), latest)
        .unwrap()
        .map(|record| record.unwrap().entry.seq)
        .collect();
    assert_eq!(seqs, [4, 5]);
    assert_eq!(whole(journal.dir()), 5);
}

#[tokio::test]
async fn files_are_their_owners_alone() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.dir()).unwrap();
    std::fs::write(scratch.current(), b"").unwrap();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(scratch.current(), std::fs::Permissions::from_mode(0o644)).unwrap();
    scratch.filled(1).await;
    assert_eq!(mode(&scratch.dir()), 0o700);
    for name in ["actions.jsonl", "head", "lock"] {
        assert_eq!(mode(&scratch.dir().join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn secrets_do_not_reach_the_file() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let password = ulid::Generator::new().generate().unwrap().to_string();
    let registered = ulid::Generator::new().generate().unwrap().to_string();
    journal
        .redactor()
        .register(&secrecy::SecretString::from(registered.clone()));
    let event = Event::Intent(Intent {
        context: super::super::Context {
            session: Some(format!("ses-{registered}")),
            ..context("A1")
        },
        arguments: serde_json::json!({
            "command": format!("mysql -p{password} -e 'select \"{registered}\"'"),
            "content": "the content of a file",
        }),
        verdict: Some(Decided {
            decision: "approval-required".to_owned(),
            rule: "r".to_owned(),
            reason: format!("PGPASSWORD={password} is set"),
        }),
        component: None,
        key: Some(format!("key-{registered}")),
        payload: None,
    });
    journal.append(event, Durability::Synced).await.unwrap();
    let text = std::fs::read_to_string(scratch.current()).unwrap();
    for secret in [&password, &registered, "the content of a file"] {
        assert!(!text.contains(secret), "{text}");
    }
    let found = journal
        .find_key(&format!("key-{registered}"))
        .await
        .unwrap();
    assert_eq!(found.unwrap().action, "A1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_of_several_processes_share_one_chain() {
    let scratch = Scratch::new();
    let handles: Vec<Journal> = (0..4).map(|_| scratch.open()).collect();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let journal = handles[task % handles.len()].clone();
            tokio::spawn(async move {
                let mut last = 0;
                for round in 0..20 {
                    let action = format!("T{task}R{round}");
                    let durability = if round % 3 == 0 {
                        Durability::Synced
                    } else {
                        Durability::Buffered
                    };
                    for event in [intent(&action, None), attempt(&action), outcome(&action)] {
                        let receipt = journal.append(event, durability).await.unwrap();
                        assert!(receipt.seq > last, "records of one caller are in its order");
                        last = receipt.seq;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(handles);
    assert_eq!(whole(&scratch.dir()), 16 * 20 * 3);
    let mut events: HashMap<String, Vec<EventKind>> = HashMap::new();
    for record in Journal::read(&scratch.dir(), Filter::default()).unwrap() {
        let entry = record.unwrap().entry;
        events
            .entry(entry.action.unwrap())
            .or_default()
            .push(entry.event);
    }
    assert_eq!(events.len(), 320);
    for (action, events) in events {
        assert_eq!(
            events,
            [EventKind::Intent, EventKind::Attempt, EventKind::Outcome],
            "{action}"
        );
    }
    let owners = std::fs::read_dir(scratch.dir().join("owners")).unwrap();
    assert_eq!(
        owners.count(),
        0,
        "owners with nothing unfinished leave nothing"
    );
}

#[tokio::test]
async fn closing_makes_everything_durable() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    for _ in 0..10 {
        journal
            .append(note("x"), Durability::Buffered)
            .await
            .unwrap();
    }
    drop(journal);
    let head = HeadFile::open(&scratch.dir().join(HEAD)).unwrap();
    assert_eq!(head.furthest().unwrap().unwrap().seq, 10);
}

#[tokio::test]
async fn segments_are_finished_and_followed() {
    let scratch = Scratch::new();
    let options = Options {
        segment_bytes: 2_000,
        ..Default::default()
    };
    let one = Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    let other = Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    for at in 0..40 {
        let journal = if at % 3 == 0 { &other } else { &one };
        journal.append(note("x"), Durability::Synced).await.unwrap();
    }
    let verification = Journal::verify(&scratch.dir()).unwrap();
    assert_eq!(verification.broken, None);
    assert!(verification.segments > 3, "{verification:?}");
    let checkpoints = Filter {
        event: Some(EventKind::Checkpoint),
        ..Filter::default()
    };
    let checkpoints: Vec<_> = Journal::read(&scratch.dir(), checkpoints)
        .unwrap()
        .map(|record| record.unwrap())
        .collect();
    assert_eq!(checkpoints.len() as u64, verification.segments - 1);
    for checkpoint in &checkpoints {
        assert_eq!(checkpoint.line, 1);
        let follows = &checkpoint.entry.segment.as_ref().unwrap().follows;
        assert!(scratch.dir().join(follows).is_file(), "{follows}");
    }
    drop((one, other));
    let again = scratch.open();
    assert_eq!(again.mark(), verification.last_seq);
    again.append(note("y"), Durability::Synced).await.unwrap();
    assert_eq!(whole(&scratch.dir()), verification.last_seq + 1);
}

#[test]
fn a_crash_between_two_segments_loses_nothing() {
    let scratch = Scratch::new();
    let mut chain = Chain::open(
        &scratch.dir(),
        "O".to_owned(),
        Options {
            segment_bytes: 1_000,
            ..Options::default()
        },
    )
    .unwrap();
    let entries = || vec![Entry::from(note("x")); 5];
    chain.append(entries(), true).unwrap();
    drop(chain);
    // Renamed, and nothing created in its place yet.
    std::fs::rename(
        scratch.current(),
        scratch.dir().join("actions-00000000000000000001.jsonl"),
    )
    .unwrap();
    assert_eq!(whole(&scratch.dir()), 5);
    let mut chain = Chain::open(&scratch.dir(), "P".to_owned(), Options::default()).unwrap();
    chain.append(entries(), true).unwrap();
    assert_eq!(whole(&scratch.dir()), 11);
}

#[test]
fn after_a_failed_fsync_nothing_more_is_written() {
    let scratch = Scratch::new();
    let mut chain = Chain::open(&scratch.dir(), "O".to_owned(), Options::default()).unwrap();
    let entries = || vec![Entry::from(note("x"))];
    chain.append(entries(), true).unwrap();
    chain.fail_next_sync = true;
    for _ in 0..2 {
        let failed = chain.append(entries(), true);
        assert!(
            matches!(failed, Err(JournalError::Stopped { .. })),
            "{failed:?}"
        );
    }
    drop(chain);
    let mut chain = Chain::open(&scratch.dir(), "O".to_owned(), Options::default()).unwrap();
    chain.append(entries(), true).unwrap();
    // The record whose fsync failed is in the file; nothing was built on it.
    assert_eq!(whole(&scratch.dir()), 3);
}

#[test]
fn a_record_that_is_too_long_is_refused_alone() {
    let scratch = Scratch::new();
    let mut chain = Chain::open(&scratch.dir(), "O".to_owned(), Options::default()).unwrap();
    let long = note(&"x".repeat(5 * 1024 * 1024));
    let entries = [long, note("y")].map(Entry::from).to_vec();
    let results = chain.append(entries, true).unwrap();
    assert!(
        matches!(results[0], Err(JournalError::TooLarge { .. })),
        "{results:?}"
    );
    assert_eq!(results[1].as_ref().unwrap().seq, 1);
    assert_eq!(whole(&scratch.dir()), 1);
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_take_its_record_back() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    {
        let mut append = Box::pin(journal.append(note("x"), Durability::Synced));
        // Polled once: the event is on its way.
        let _ = futures::poll!(append.as_mut());
    }
    journal.append(note("y"), Durability::Synced).await.unwrap();
    assert_eq!(whole(&scratch.dir()), 2);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_path() {
    let scratch = Scratch::new();
    let refused = |what: &str| match Journal::open(&scratch.dir(), scratch.redactor()) {
        Err(JournalError::Unavailable { path, reason }) => {
            assert!(!reason.is_empty());
            path
        }
        other => panic_with(what, &other),
    };
    std::fs::write(scratch.dir(), b"").unwrap();
    assert_eq!(refused("a file in place of the directory"), scratch.dir());
    assert!(Journal::verify(&scratch.dir()).is_err());
    assert!(Journal::read(&scratch.dir(), Filter::default()).is_err());
    std::fs::remove_file(scratch.dir()).unwrap();
    std::fs::create_dir_all(scratch.current()).unwrap();
    assert_eq!(
        refused("a directory in place of the file"),
        scratch.current()
    );
    std::fs::remove_dir(scratch.current()).unwrap();
    let elsewhere = scratch.dir().join("elsewhere");
    std::fs::write(&elsewhere, b"").unwrap();
    std::os::unix::fs::symlink(&elsewhere, scratch.current()).unwrap();
    assert_eq!(refused("a link in place of the file"), scratch.current());
}

#[expect(clippy::panic, reason = "a failed test should stop here")]
fn panic_with(what: &str, found: &Result<Journal, JournalError>) -> ! {
    panic!("{what} should be refused: {found:?}")
}

#[test]
fn a_journal_that_does_not_exist_is_empty_and_whole() {
    let scratch = Scratch::new();
    assert_eq!(whole(&scratch.dir()), 0);
    assert_eq!(
        Journal::read(&scratch.dir(), Filter::default())
            .unwrap()
            .count(),
        0
    );
    assert!(!scratch.dir().exists());
}

#[tokio::test]
async fn an_old_segment_is_finished_by_its_age() {
    let scratch = Scratch::new();
    let aged = |segment_age| Options {
        segment_age,
        ..Options::default()
    };
    let open = |options| Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    let day = std::time::Duration::from_secs(86_400);
    let journal = open(aged(day));
    for _ in 0..3 {
        journal.append(note("x"), Durability::Synced).await.unwrap();
    }
    drop(journal);
    assert_eq!(Journal::verify(&scratch.dir()).unwrap().segments, 1);
    let journal = open(aged(std::time::Duration::ZERO));
    journal.append(note("y"), Durability::Synced).await.unwrap();
    assert_eq!(Journal::verify(&scratch.dir()).unwrap().segments, 2);
    let records: Vec<Entry> = Journal::read(&scratch.dir(), Filter::default())
        .unwrap()
        .map(|record| record.unwrap().entry)
        .collect();
    let kinds: Vec<EventKind> = records.iter().map(|entry| entry.event).collect();
    assert_eq!(kinds[3..], [EventKind::Checkpoint, EventKind::Note]);
    assert_eq!(whole(&scratch.dir()), 5);
}

#[tokio::test]
async fn a_batch_hides_nothing_from_the_ledger() {
    let scratch = Scratch::new();
    let mut chain = Chain::open(&scratch.dir(), "o".to_owned(), Options::default()).unwrap();
    // Nothing was looked up yet when both arrive together.
    let batch = [attempt("A"), intent("B", Some("k")), unknown_outcome("A")];
    let batch = batch.into_iter().map(Entry::from).collect();
    for placed in chain.append(batch, true).unwrap() {
        placed.unwrap();
    }
    let unknown = chain.unknown().unwrap();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].context.action, "A");
}

/// How many outcomes of an action are on record, and the last number.
fn outcomes(scratch: &Scratch, action: &str) -> (usize, u64) {
    let records = Journal::show(&scratch.dir(), action).unwrap();
    let outcomes = records
        .iter()
        .filter(|record| record.entry.event == EventKind::Outcome);
    (outcomes.count(), whole(&scratch.dir()))
}

#[tokio::test]
async fn an_outcome_that_could_not_be_written_is_written_later() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let aside = scratch.dir().join("aside");
    for (action, by_the_next) in [("A", true), ("B", false)] {
        for event in [intent(action, None), attempt(action)] {
            journal.append(event, Durability::Synced).await.unwrap();
        }
        // As where the disk is full: nothing can be appended.
        std::fs::rename(scratch.current(), &aside).unwrap();
        for event in [outcome(action), note("lost")] {
            let refused = journal.append(event, Durability::Synced).await;
            assert!(refused.is_err(), "{refused:?}");
        }
        std::fs::rename(&aside, scratch.current()).unwrap();
        if by_the_next {
            let receipt = journal.append(note("x"), Durability::Synced).await.unwrap();
            assert_eq!(outcomes(&scratch, action), (1, receipt.seq));
            assert_eq!(receipt.seq, 4, "the outcome came before it");
        }
    }
    // The last handle waits for it, and nothing is left to be settled.
    drop(journal);
    assert_eq!(outcomes(&scratch, "B"), (1, 7));
    assert_eq!(scratch.open().recovered(), 0);
}

#[tokio::test]
async fn an_outcome_that_reached_the_file_is_not_written_again() {
    for reaches in [0, 40, usize::MAX] {
        let scratch = Scratch::new();
        let mut chain = Chain::open(&scratch.dir(), "o".to_owned(), Options::default()).unwrap();
        let begun = [intent("A", None), attempt("A")].map(Entry::from);
        chain.append(begun.to_vec(), true).unwrap();
        chain.fail_next_write = Some(reaches);
        let outcomes_owed = vec![Entry::from(outcome("A"))];
        assert!(chain.append(outcomes_owed.clone(), true).is_err());
        chain.owe(outcomes_owed);
        assert!(chain.owes());
        chain.append(vec![Entry::from(note("x"))], true).unwrap();
        assert!(!chain.owes());
        assert_eq!(chain.paid().len(), 1, "{reaches}");
        assert_eq!(outcomes(&scratch, "A").0, 1, "{reaches}");
    }
}
