//! Changes without a known outcome: across processes, segments and findings.
//!
//! They prove that a change stays listed until an outcome or a finding is on
//! record, also in later segments. How a finding comes about is not part of it.

use super::super::{
    Durability, EventKind, Filter, Finding, Journal, KeyStage, Options, Recovery, Settled,
    Settlement,
};
use super::{Scratch, attempt, attempt_of, context, intent, note, outcome, unknown_outcome, whole};
use crate::journal::Event;

fn settled(action: &str, finding: Finding) -> Event {
    Event::Settled(Settlement {
        context: context(action),
        settled: Settled {
            finding,
            by: "reconciliation".to_owned(),
            who: None,
            during: None,
            sha256: None,
            note: None,
        },
    })
}

async fn write(journal: &Journal, events: impl IntoIterator<Item = Event>) {
    for event in events {
        journal.append(event, Durability::Synced).await.unwrap();
    }
}

async fn unknown(journal: &Journal) -> Vec<String> {
    let unknown = journal.unknown().await.unwrap();
    unknown
        .into_iter()
        .map(|account| account.context.action)
        .collect()
}

#[tokio::test]
async fn what_can_have_changed_something_stays_until_it_is_settled() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let call = |action: &str, end: Event| [intent(action, Some(action)), attempt(action), end];
    write(&journal, call("fine", outcome("fine"))).await;
    write(&journal, call("lost", unknown_outcome("lost"))).await;
    write(&journal, call("gone", unknown_outcome("gone"))).await;
    write(&journal, call("runs", unknown_outcome("runs"))).await;
    // What only looks around has nothing to be settled.
    let looked = [
        intent("looked", None),
        attempt_of("looked", true),
        unknown_outcome("looked"),
    ];
    write(&journal, looked).await;
    for journal in [&journal, &scratch.open()] {
        assert_eq!(unknown(journal).await, ["lost", "gone", "runs"]);
    }
    write(
        &journal,
        [
            settled("gone", Finding::Gone),
            settled("runs", Finding::StillRunning),
        ],
    )
    .await;
    for journal in [&journal, &scratch.open()] {
        let unknown = journal.unknown().await.unwrap();
        let told: Vec<_> = unknown
            .iter()
            .map(|account| {
                (
                    account.context.action.as_str(),
                    account.found,
                    account.group,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("lost", None, Some(77)),
                ("runs", Some(Finding::StillRunning), Some(77)),
            ]
        );
        let stage = journal.find_key("gone").await.unwrap().unwrap().stage;
        assert!(
            matches!(&stage, KeyStage::Found(found) if found.finding == Finding::Gone),
            "{stage:?}"
        );
    }
    whole(&scratch.dir());
}

#[tokio::test]
async fn unsettled_changes_are_carried_from_segment_to_segment() {
    let scratch = Scratch::new();
    let options = Options {
        segment_bytes: 5_000,
        ..Options::default()
    };
    let open = || Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    let journal = open();
    let lost = [
        intent("lost", None),
        attempt("lost"),
        unknown_outcome("lost"),
    ];
    write(&journal, lost).await;
    // Attempted in one segment and lost in another.
    write(&journal, [intent("late", None), attempt("late")]).await;
    let fill = async |journal: &Journal| {
        let before = Journal::verify(&scratch.dir()).unwrap().segments;
        while Journal::verify(&scratch.dir()).unwrap().segments < before + 2 {
            write(journal, [note("x")]).await;
        }
    };
    fill(&journal).await;
    assert_eq!(unknown(&open()).await, ["lost"]);
    write(&journal, [unknown_outcome("late")]).await;
    fill(&journal).await;
    for journal in [&journal, &open()] {
        assert_eq!(unknown(journal).await, ["lost", "late"]);
    }
    write(&journal, [settled("lost", Finding::NotDone)]).await;
    fill(&journal).await;
    for journal in [&journal, &open()] {
        assert_eq!(unknown(journal).await, ["late"]);
    }
    whole(&scratch.dir());
}

#[tokio::test]
async fn the_dead_are_settled_by_what_they_could_have_changed() {
    let scratch = Scratch::new();
    let dying = scratch.open();
    write(
        &dying,
        [
            intent("announced", None),
            intent("looked", Some("k")),
            attempt_of("looked", true),
            intent("changed", None),
            attempt("changed"),
        ],
    )
    .await;
    let living = scratch.open();
    assert_eq!(living.recover().await.unwrap(), 0, "nobody is dead yet");
    drop(dying);
    assert_eq!(living.recover().await.unwrap(), 3);
    assert_eq!(living.recover().await.unwrap(), 0);
    let filter = Filter {
        event: Some(EventKind::Recovered),
        ..Filter::default()
    };
    let results: Vec<_> = Journal::read(&scratch.dir(), filter)
        .unwrap()
        .map(|record| record.unwrap().entry)
        .map(|entry| (entry.action.unwrap(), entry.recovered.unwrap().result))
        .collect();
    assert_eq!(
        results,
        [
            ("announced".to_owned(), Recovery::NotAttempted),
            ("looked".to_owned(), Recovery::Interrupted),
            ("changed".to_owned(), Recovery::Unknown),
        ]
    );
    assert_eq!(unknown(&living).await, ["changed"]);
    // Looking again is free, so its key is, too.
    write(&living, [intent("again", Some("k"))]).await;
}

#[tokio::test]
async fn an_idle_process_that_died_costs_no_reading() {
    let scratch = Scratch::new();
    let options = Options {
        segment_bytes: 4_000,
        ..Options::default()
    };
    let open = || Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    let idle = open();
    write(&idle, [intent("a", None), outcome("a")]).await;
    let owner = std::fs::read_dir(scratch.dir().join("owners"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let content = std::fs::read_to_string(&owner).unwrap();
    assert!(content.contains(r#""idle":"yes""#), "{content}");
    drop(idle);
    assert!(!owner.exists(), "it left properly");
    // As if it had been killed; that its segment can be done without shows that
    // nothing of it is read.
    std::fs::write(&owner, &content).unwrap();
    let journal = open();
    assert_eq!(journal.recovered(), 0);
    assert!(!owner.exists());
    // After a restart of the system it is not believed any more.
    let other = content.replace(r#""idle":"yes","boot":""#, r#""idle":"yes","boot":"x"#);
    assert_ne!(other, content);
    write(&journal, [intent("b", None)]).await;
    drop(journal);
    std::fs::write(&owner, other).unwrap();
    assert_eq!(open().recovered(), 1);
    whole(&scratch.dir());
}

/// Finishes the segment being written as a process does that is killed before it
/// begins the next.
fn cut_short(scratch: &Scratch) {
    let first = std::fs::read_to_string(scratch.current())
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|record| record["seq"].as_u64())
        .unwrap();
    let finished = scratch.dir().join(format!("actions-{first:020}.jsonl"));
    std::fs::rename(scratch.current(), finished).unwrap();
}

#[tokio::test]
async fn unsettled_changes_survive_an_interrupted_rotation() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    let lost = [
        intent("lost", Some("k")),
        attempt("lost"),
        unknown_outcome("lost"),
    ];
    write(&journal, lost).await;
    drop(journal);
    cut_short(&scratch);
    assert_eq!(unknown(&scratch.open()).await, ["lost"]);
    write(&scratch.open(), [note("x")]).await;
    // The next one is cut off after a note about torn bytes, before the accounts.
    cut_short(&scratch);
    std::fs::write(scratch.current(), "{\"v\":1,\"se").unwrap();
    drop(scratch.open());
    let text = std::fs::read_to_string(scratch.current()).unwrap();
    let noted: String = text.split_inclusive('\n').take(2).collect();
    assert!(noted.contains("\"torn\"") && !noted.contains("\"checkpoint\""));
    std::fs::write(scratch.current(), noted).unwrap();
    let head = |text: &str| text.split('"').nth(3).map(str::to_owned);
    let slots = std::fs::read_to_string(scratch.dir().join("head")).unwrap();
    let mut slots: Vec<&str> = slots.split_inclusive('\n').collect();
    slots.sort_by_key(|slot| head(slot));
    std::fs::write(scratch.dir().join("head"), [slots[0], slots[0]].concat()).unwrap();
    let journal = scratch.open();
    write(&journal, [note("y")]).await;
    drop(journal);
    for _ in 0..2 {
        let journal = scratch.open();
        assert_eq!(unknown(&journal).await, ["lost"]);
        let stage = journal.find_key("k").await.unwrap().unwrap().stage;
        assert!(matches!(stage, KeyStage::Settled(_)), "{stage:?}");
        write(&journal, [note("z")]).await;
        drop(journal);
        cut_short(&scratch);
    }
    write(&scratch.open(), [settled("lost", Finding::NotDone)]).await;
    assert_eq!(unknown(&scratch.open()).await, [""; 0]);
    whole(&scratch.dir());
}

#[tokio::test]
async fn an_unknown_outcome_is_found_in_the_records_of_its_action() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    for action in ["lost", "fine"] {
        write(&journal, [intent(action, None), attempt(action)]).await;
    }
    write(&journal, [unknown_outcome("lost"), outcome("fine")]).await;
    let found = |action: &str| {
        let found = Journal::unsettled(&scratch.dir(), action).unwrap();
        found.map(|account| (account.context, account.group))
    };
    assert_eq!(found("lost"), Some((context("lost"), Some(77))));
    assert_eq!((found("fine"), found("other")), (None, None));
    write(&journal, [settled("lost", Finding::Done)]).await;
    assert_eq!(found("lost"), None);
}
