//! Idempotency keys across stages, processes and segments.
//!
//! They prove that a key never lets a second action begin, with and without the
//! tables. What a repetition is told is the supervisor's, and not looked at.

use super::super::{Conclusion, Durability, Event, Journal, JournalError, KeyStage, Outcome};
use super::{Scratch, attempt, attempt_of, conclusion, context, intent, note, outcome};

#[tokio::test]
async fn a_key_tells_how_far_its_call_came() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    assert_eq!(journal.find_key("k").await.unwrap(), None);
    for (event, stage) in [
        (intent("A", Some("k")), KeyStage::Open),
        (attempt("A"), KeyStage::Attempted),
        (outcome("A"), KeyStage::Settled(conclusion())),
    ] {
        journal.append(event, Durability::Synced).await.unwrap();
        // Once from an index that is kept up to date, once from a new one.
        for journal in [&journal, &scratch.open()] {
            let state = journal.find_key("k").await.unwrap().unwrap();
            assert_eq!(state.stage, stage);
            assert_eq!(state.payload.as_deref(), Some("feed"));
            assert_eq!(state.action, "A");
        }
    }
    let operation = journal.find_key("k").await.unwrap().unwrap().operation;
    assert_eq!(operation.unwrap().kind, "exec");
}

#[tokio::test]
async fn a_key_is_taken_once_whoever_asks() {
    let scratch = Scratch::new();
    let one = scratch.open();
    let other = scratch.open();
    let (first, second, third) = tokio::join!(
        one.append(intent("A", Some("k")), Durability::Synced),
        one.append(intent("B", Some("k")), Durability::Synced),
        other.append(intent("C", Some("k")), Durability::Synced),
    );
    let taken = [&first, &second, &third]
        .iter()
        .filter(|result| matches!(result, Err(JournalError::Duplicate(_))))
        .count();
    assert_eq!(taken, 2, "{first:?} {second:?} {third:?}");
}

#[tokio::test]
async fn a_call_that_was_never_attempted_may_be_made_again() {
    let scratch = Scratch::new();
    let dying = scratch.open();
    for event in [intent("A", Some("a")), intent("B", Some("b")), attempt("B")] {
        dying.append(event, Durability::Synced).await.unwrap();
    }
    drop(dying);
    let journal = scratch.open();
    let stage = |state: Option<super::super::KeyState>| state.unwrap().stage;
    assert_eq!(
        stage(journal.find_key("a").await.unwrap()),
        KeyStage::NotAttempted
    );
    assert_eq!(
        stage(journal.find_key("b").await.unwrap()),
        KeyStage::Unknown
    );
    journal
        .append(intent("A2", Some("a")), Durability::Synced)
        .await
        .unwrap();
    let again = journal
        .append(intent("B2", Some("b")), Durability::Synced)
        .await;
    assert!(matches!(again, Err(JournalError::Duplicate(state)) if state.action == "B"));
    assert_eq!(journal.find_key("a").await.unwrap().unwrap().action, "A2");
}

#[tokio::test]
async fn a_call_that_looked_and_then_waits_for_a_person_may_be_made_again() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let waits = |action: &str| {
        Event::Outcome(Outcome {
            context: context(action),
            outcome: Conclusion {
                status: "error".to_owned(),
                code: Some("APPROVAL_REQUIRED".to_owned()),
                ..Conclusion::default()
            },
            operation: None,
        })
    };
    for (action, read_only, again) in [("A", true, true), ("B", false, false)] {
        for event in [
            intent(action, Some(action)),
            attempt_of(action, read_only),
            waits(action),
        ] {
            journal.append(event, Durability::Synced).await.unwrap();
        }
        for journal in [&journal, &scratch.open()] {
            let stage = journal.find_key(action).await.unwrap().unwrap().stage;
            assert_eq!(stage == KeyStage::NotAttempted, again, "{stage:?}");
        }
    }
}

#[tokio::test]
async fn keys_are_known_however_long_ago_they_were_used() {
    let scratch = Scratch::new();
    let options = super::super::Options {
        segment_bytes: 4_000,
        ..Default::default()
    };
    let open = || Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    let journal = open();
    for event in [intent("A", Some("k")), attempt("A")] {
        journal.append(event, Durability::Synced).await.unwrap();
    }
    let mut segments = 1;
    while segments < 5 {
        journal.append(note("x"), Durability::Synced).await.unwrap();
        segments = Journal::verify(&scratch.dir()).unwrap().segments;
    }
    journal
        .append(outcome("A"), Durability::Synced)
        .await
        .unwrap();
    let tables = || -> Vec<std::path::PathBuf> {
        std::fs::read_dir(scratch.dir())
            .unwrap()
            .map(|item| item.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "index"))
            .collect()
    };
    assert_eq!(tables().len(), 4, "one for each finished segment");
    let is_known = async |journal: &Journal| {
        let state = journal.find_key("k").await.unwrap().unwrap();
        assert_eq!(state.action, "A");
        assert_eq!(state.stage, KeyStage::Settled(conclusion()));
        let again = journal
            .append(intent("B", Some("k")), Durability::Synced)
            .await;
        assert!(
            matches!(again, Err(JournalError::Duplicate(_))),
            "{again:?}"
        );
        assert_eq!(journal.find_key("other").await.unwrap(), None);
    };
    is_known(&journal).await;
    is_known(&open()).await;
    // The tables are a convenience: without them, and with damaged ones, the
    // record itself is read.
    for (at, table) in tables().into_iter().enumerate() {
        match at % 2 {
            0 => std::fs::remove_file(table).unwrap(),
            _ => std::fs::write(table, b"rubbish").unwrap(),
        }
    }
    is_known(&open()).await;
    assert_eq!(tables().len(), 4, "they were made again");
}

#[tokio::test]
async fn a_key_is_claimed_once_within_one_write() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    // Handed over at once, so that they may well be written together.
    let mut calls = Vec::new();
    for at in 0..40 {
        let journal = journal.clone();
        let action = format!("A{at}");
        calls.push(tokio::spawn(async move {
            journal
                .append(intent(&action, Some("k")), Durability::Synced)
                .await
                .is_ok()
        }));
    }
    let mut granted = 0;
    for call in calls {
        granted += u32::from(call.await.unwrap());
    }
    assert_eq!(granted, 1);
}

#[tokio::test]
async fn a_call_that_waits_for_a_person_leaves_its_key_free() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let refused = |action: &str| {
        let Event::Outcome(mut ended) = outcome(action) else {
            unreachable!("an outcome is one");
        };
        ended.outcome.status = "error".to_owned();
        ended.outcome.code = Some("APPROVAL_REQUIRED".to_owned());
        Event::Outcome(ended)
    };
    for event in [
        intent("A", Some("a")),
        refused("A"),
        intent("A2", Some("a")),
    ] {
        journal.append(event, Durability::Synced).await.unwrap();
    }
    // Something was begun: whatever the code says, it is not begun again.
    for event in [intent("B", Some("b")), attempt("B"), refused("B")] {
        journal.append(event, Durability::Synced).await.unwrap();
    }
    for journal in [&journal, &scratch.open()] {
        let state = journal.find_key("a").await.unwrap().unwrap();
        assert_eq!((state.action.as_str(), state.stage), ("A2", KeyStage::Open));
        let state = journal.find_key("b").await.unwrap().unwrap();
        assert!(matches!(state.stage, KeyStage::Settled(_)), "{state:?}");
    }
    let again = journal
        .append(intent("B2", Some("b")), Durability::Synced)
        .await;
    assert!(matches!(again, Err(JournalError::Duplicate(_))));
}

#[tokio::test]
async fn a_key_that_was_left_free_is_free_for_the_same_call_only() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    for event in [intent("A", Some("k"))] {
        journal.append(event, Durability::Synced).await.unwrap();
    }
    drop(journal);
    // Its process is gone and nothing was attempted.
    let journal = scratch.open();
    let Event::Intent(mut other) = intent("B", Some("k")) else {
        unreachable!("an intent is one");
    };
    other.payload = Some("beef".to_owned());
    let refused = journal
        .append(Event::Intent(other), Durability::Synced)
        .await;
    assert!(
        matches!(&refused, Err(JournalError::Duplicate(state)) if state.action == "A"),
        "{refused:?}"
    );
    journal
        .append(intent("C", Some("k")), Durability::Synced)
        .await
        .unwrap();
}
