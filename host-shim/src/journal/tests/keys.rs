//! Idempotency keys across stages, processes and segments.

use super::super::{Durability, Event, Journal, JournalError, KeyStage};
use super::{Scratch, attempt, conclusion, intent, note, outcome};

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
async fn keys_are_known_for_a_whole_segment() {
    let scratch = Scratch::new();
    let options = super::super::Options {
        segment_bytes: 4_000,
    };
    let journal = Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    journal
        .append(intent("A", Some("k")), Durability::Synced)
        .await
        .unwrap();
    let mut segments = 1;
    let mut known = 0;
    while segments < 4 {
        journal.append(note("x"), Durability::Synced).await.unwrap();
        if journal.find_key("k").await.unwrap().is_some() {
            known = segments;
        }
        segments = Journal::verify(&scratch.dir()).unwrap().segments;
    }
    assert_eq!(known, 2, "this segment and the next");
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
    for event in [intent("A", Some("a")), refused("A"), intent("A2", Some("a"))] {
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
