//! Recovery: what processes left unfinished when they died.
//!
//! They prove that each action is settled once, whoever recovers and however often.
//! No conclusion is ever a success.

use super::super::{Durability, EventKind, Filter, Journal, Recovery};
use super::{Scratch, attempt, context, intent, note, outcome, whole};

fn settled(scratch: &Scratch) -> Vec<(String, Recovery)> {
    let filter = Filter {
        event: Some(EventKind::Recovered),
        ..Filter::default()
    };
    Journal::read(&scratch.dir(), filter)
        .unwrap()
        .map(|record| record.unwrap().entry)
        .map(|entry| {
            assert_eq!(
                entry.context(),
                Some(context(&entry.action.clone().unwrap()))
            );
            (entry.action.unwrap(), entry.recovered.unwrap().result)
        })
        .collect()
}

#[tokio::test]
async fn actions_of_dead_processes_are_settled_once() {
    let scratch = Scratch::new();
    let dying = scratch.open();
    for event in [
        intent("announced", None),
        intent("attempted", None),
        attempt("attempted"),
        intent("finished", None),
        attempt("finished"),
        outcome("finished"),
    ] {
        dying.append(event, Durability::Synced).await.unwrap();
    }
    let living = scratch.open();
    living
        .append(intent("living", None), Durability::Synced)
        .await
        .unwrap();
    assert_eq!(living.recovered(), 0, "nobody is dead yet");
    // Closing releases the lock as death does, and settles nothing.
    drop(dying);
    let next = scratch.open();
    assert_eq!(next.recovered(), 2);
    assert_eq!(
        settled(&scratch),
        [
            ("announced".to_owned(), Recovery::NotAttempted),
            ("attempted".to_owned(), Recovery::Unknown),
        ]
    );
    assert_eq!(scratch.open().recovered(), 0);
    drop(living);
    assert_eq!(scratch.open().recovered(), 1);
    assert_eq!(settled(&scratch).len(), 3);
    whole(&scratch.dir());
}

#[tokio::test]
async fn recovery_that_was_interrupted_is_not_repeated() {
    let scratch = Scratch::new();
    let dying = scratch.open();
    dying
        .append(intent("a", None), Durability::Synced)
        .await
        .unwrap();
    drop(dying);
    let owners = scratch.dir().join("owners");
    let owner = std::fs::read_dir(&owners)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let content = std::fs::read(&owner).unwrap();
    assert_eq!(scratch.open().recovered(), 1);
    // As if the process that recovered had died before it removed the file.
    std::fs::write(&owner, content).unwrap();
    assert_eq!(scratch.open().recovered(), 0);
    assert!(!owner.exists());
}

#[tokio::test]
async fn a_damaged_owner_file_costs_nothing_but_time() {
    let scratch = Scratch::new();
    let dying = scratch.open();
    dying
        .append(intent("a", None), Durability::Synced)
        .await
        .unwrap();
    drop(dying);
    let owners = scratch.dir().join("owners");
    let owner = std::fs::read_dir(&owners)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&owner, b"{\"pid\":").unwrap();
    assert_eq!(scratch.open().recovered(), 1);
}

#[tokio::test]
async fn unfinished_actions_are_found_across_segments_and_a_moving_floor() {
    let scratch = Scratch::new();
    let options = super::super::Options {
        segment_bytes: 40_000,
        ..Default::default()
    };
    let dying = Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    for at in 0..1_500 {
        let action = format!("done{at}");
        dying
            .append(intent(&action, None), Durability::Buffered)
            .await
            .unwrap();
        dying
            .append(outcome(&action), Durability::Buffered)
            .await
            .unwrap();
    }
    dying
        .append(intent("open", None), Durability::Buffered)
        .await
        .unwrap();
    for _ in 0..1_200 {
        dying.append(note("x"), Durability::Buffered).await.unwrap();
    }
    dying
        .append(attempt("open"), Durability::Synced)
        .await
        .unwrap();
    drop(dying);
    let owners = scratch.dir().join("owners");
    let owner = std::fs::read_dir(&owners)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let floor = std::fs::read_to_string(owner).unwrap();
    assert!(
        !floor.contains("\"00000000000000000001\""),
        "the floor moved: {floor}"
    );
    assert_eq!(scratch.open().recovered(), 1);
    assert_eq!(settled(&scratch), [("open".to_owned(), Recovery::Unknown)]);
}

/// The outcome was in memory only, and so was what the owner said of it; or the whole
/// action was. Either way the journal opens and says what is true.
#[tokio::test]
async fn a_power_cut_takes_an_outcome_and_the_action_is_settled_after_all() {
    for keeps_the_intent in [true, false] {
        let scratch = Scratch::new();
        let dir = scratch.dir();
        let dying = scratch.open();
        let files = |dir: &std::path::Path| {
            let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
            (read("actions.jsonl"), read("head"))
        };
        let append = async |event, durability| dying.append(event, durability).await.unwrap();
        append(note("first"), Durability::Synced).await;
        let mut durable = files(&dir);
        append(intent("a", None), Durability::Synced).await;
        if keeps_the_intent {
            durable = files(&dir);
        }
        append(outcome("a"), Durability::Buffered).await;
        let owners = dir.join("owners");
        let owner = std::fs::read_dir(&owners).unwrap().next().unwrap().unwrap();
        let said = std::fs::read_to_string(owner.path()).unwrap();
        assert!(said.contains("\"idle\":\"yes\""), "{said}");
        drop(dying);
        // The system comes up again, with what was on disk.
        let mut said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["boot"] = "another".into();
        std::fs::write(owner.path(), said.to_string()).unwrap();
        std::fs::write(dir.join("actions.jsonl"), &durable.0).unwrap();
        std::fs::write(dir.join("head"), &durable.1).unwrap();
        let next = scratch.open();
        assert_eq!(next.recovered(), usize::from(keeps_the_intent));
        if keeps_the_intent {
            let expected = [("a".to_owned(), Recovery::NotAttempted)];
            assert_eq!(settled(&scratch), expected);
        }
        drop(next);
        whole(&dir);
    }
}
