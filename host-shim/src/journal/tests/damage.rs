//! Damage: every changed byte, cut-off ends, torn writes.
//!
//! They prove that no change goes unnoticed and that what a crash leaves is told
//! from damage. Somebody who rewrites journal and head together is out of reach,
//! and not tried.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::{Durability, Filter, Journal, JournalError};
use super::{Scratch, intent, note, outcome, whole};

fn broken(dir: &Path) -> (PathBuf, u64, String) {
    let broken = Journal::verify(dir)
        .unwrap()
        .broken
        .expect("the journal was damaged");
    (broken.file, broken.line, broken.what)
}

fn add(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn every_changed_byte_is_noticed_and_its_line_named() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    for event in [intent("A", Some("k")), outcome("A"), note("ü")] {
        journal.append(event, Durability::Synced).await.unwrap();
    }
    drop(journal);
    assert_eq!(whole(&scratch.dir()), 3);
    for path in [scratch.current(), scratch.dir().join("head")] {
        let original = fs::read(&path).unwrap();
        for at in 0..original.len() {
            let line = 1 + original[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            let mut changed = original.clone();
            // A neighbouring character, the other case, another alphabet.
            changed[at] ^= [0x01, 0x20, 0x80][at % 3];
            fs::write(&path, &changed).unwrap();
            let found = broken(&scratch.dir());
            assert_eq!((&found.0, found.1), (&path, line), "byte {at}: {found:?}");
        }
        fs::write(&path, &original).unwrap();
    }
    assert_eq!(whole(&scratch.dir()), 3);
}

#[tokio::test]
async fn lines_that_are_moved_repeated_or_taken_out_are_noticed() {
    let scratch = Scratch::new();
    scratch.filled(5).await;
    let text = fs::read_to_string(scratch.current()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let cases: [(&str, Vec<&str>, u64); 5] = [
        ("taken out", [&lines[..2], &lines[3..]].concat(), 3),
        ("repeated", [&lines[..3], &lines[2..]].concat(), 4),
        (
            "swapped",
            [&lines[..1], &lines[2..3], &lines[1..2], &lines[3..]].concat(),
            2,
        ),
        ("first gone", lines[1..].to_vec(), 1),
        (
            "put in",
            [&lines[..2], &["{\"seq\":3}\n"][..], &lines[2..]].concat(),
            3,
        ),
    ];
    for (what, lines, line) in cases {
        fs::write(scratch.current(), lines.concat()).unwrap();
        let found = broken(&scratch.dir());
        assert_eq!((found.0, found.1), (scratch.current(), line), "{what}");
    }
}

#[tokio::test]
async fn a_cut_off_end_is_noticed_and_refused() {
    let scratch = Scratch::new();
    scratch.filled(4).await;
    let text = fs::read_to_string(scratch.current()).unwrap();
    for keep in 0..4 {
        let kept: String = text.split_inclusive('\n').take(keep).collect();
        fs::write(scratch.current(), kept).unwrap();
        let found = broken(&scratch.dir());
        assert_eq!((found.0, found.1), (scratch.current(), keep as u64 + 1));
        assert!(found.2.contains("4 records were written"), "{}", found.2);
        let refused = Journal::open(&scratch.dir(), scratch.redactor());
        assert!(
            matches!(refused, Err(JournalError::Truncated { expected: 4, found, .. }) if found == keep as u64),
            "{refused:?}"
        );
    }
    fs::remove_file(scratch.current()).unwrap();
    assert!(Journal::verify(&scratch.dir()).unwrap().broken.is_some());
    assert!(Journal::open(&scratch.dir(), scratch.redactor()).is_err());
}

#[tokio::test]
async fn a_missing_head_is_noticed_and_refused() {
    let scratch = Scratch::new();
    scratch.filled(2).await;
    fs::remove_file(scratch.dir().join("head")).unwrap();
    assert_eq!(broken(&scratch.dir()).0, scratch.dir().join("head"));
    let refused = Journal::open(&scratch.dir(), scratch.redactor());
    assert!(
        matches!(refused, Err(JournalError::Corrupt { line: 1, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_damaged_last_record_is_refused_when_it_is_opened() {
    let scratch = Scratch::new();
    scratch.filled(3).await;
    let original = fs::read(scratch.current()).unwrap();
    for back in [1, 2, 40, 100, 200] {
        let mut changed = original.clone();
        let at = changed.len() - back;
        changed[at] ^= 1;
        fs::write(scratch.current(), &changed).unwrap();
        let refused = Journal::open(&scratch.dir(), scratch.redactor());
        assert!(
            matches!(refused, Err(JournalError::Corrupt { line: 3, .. })),
            "{back}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn damage_while_it_is_open_stops_the_next_record() {
    let scratch = Scratch::new();
    let journal = scratch.open();
    journal.append(note("x"), Durability::Synced).await.unwrap();
    let whole_text = fs::read(scratch.current()).unwrap();
    fs::write(scratch.current(), &whole_text[..10]).unwrap();
    for _ in 0..2 {
        let refused = journal.append(note("y"), Durability::Synced).await;
        assert!(
            matches!(refused, Err(JournalError::Truncated { .. })),
            "{refused:?}"
        );
    }
    fs::remove_dir_all(scratch.dir()).unwrap();
    let refused = journal.append(note("y"), Durability::Synced).await;
    assert!(refused.is_err());
    assert!(
        !scratch.dir().exists(),
        "what was removed is not made again unseen"
    );
}

#[tokio::test]
async fn missing_segments_are_noticed() {
    let scratch = Scratch::new();
    let options = super::super::Options {
        segment_bytes: 1_500,
        ..Default::default()
    };
    let journal = Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    for _ in 0..30 {
        journal.append(note("x"), Durability::Synced).await.unwrap();
    }
    drop(journal);
    whole(&scratch.dir());
    let mut segments: Vec<PathBuf> = fs::read_dir(scratch.dir())
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    segments.sort();
    assert!(segments.len() > 3);
    for path in segments {
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        broken(&scratch.dir());
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(broken(&scratch.dir()).0, path);
        fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        assert_eq!(broken(&scratch.dir()).0, path);
        fs::write(&path, &bytes).unwrap();
    }
    whole(&scratch.dir());
}

#[tokio::test]
async fn a_torn_line_is_recorded_and_the_chain_goes_on() {
    let scratch = Scratch::new();
    scratch.filled(2).await;
    let torn = b"{\"v\":1,\"seq\":3,\"ts\":\"20";
    add(&scratch.current(), torn);
    let verification = Journal::verify(&scratch.dir()).unwrap();
    assert_eq!((verification.broken, verification.torn), (None, 0));
    assert!(verification.torn_end, "until it is recorded");
    let journal = scratch.open();
    assert_eq!(journal.mark(), 3);
    let verification = Journal::verify(&scratch.dir()).unwrap();
    assert_eq!((verification.broken, verification.torn), (None, 1));
    // The bytes themselves stay.
    let bytes = fs::read(scratch.current()).unwrap();
    assert!(bytes.windows(torn.len()).any(|window| window == torn));
    let records: Vec<_> = Journal::read(&scratch.dir(), Filter::default())
        .unwrap()
        .map(|record| record.unwrap())
        .collect();
    assert_eq!(records.len(), 3);
    let noted = records[2].entry.torn.as_ref().unwrap();
    assert_eq!(noted.bytes, torn.len() as u64 + 1);

    // Once more, with the journal open, and by another process.
    add(&scratch.current(), b"\0\0\0\n\0half");
    journal.append(note("x"), Durability::Synced).await.unwrap();
    let other = scratch.open();
    other.append(note("y"), Durability::Synced).await.unwrap();
    journal.append(note("z"), Durability::Synced).await.unwrap();
    let verification = Journal::verify(&scratch.dir()).unwrap();
    assert_eq!((verification.broken, verification.torn), (None, 2));
    assert_eq!(verification.records, 7);
    drop((journal, other));

    // What was torn cannot change later.
    let original = fs::read(scratch.current()).unwrap();
    let from = original
        .windows(torn.len())
        .position(|window| window == torn)
        .unwrap();
    for at in from..=from + torn.len() {
        let mut changed = original.clone();
        changed[at] ^= 1;
        fs::write(scratch.current(), &changed).unwrap();
        assert_eq!(broken(&scratch.dir()).1, 3);
    }
    let cut = [&original[..from], &original[from + torn.len() + 1..]].concat();
    fs::write(scratch.current(), cut).unwrap();
    assert_eq!(broken(&scratch.dir()).1, 3);
}

#[tokio::test]
async fn a_write_torn_anywhere_is_survived() {
    let scratch = Scratch::new();
    scratch.filled(2).await;
    let head = fs::read(scratch.dir().join("head")).unwrap();
    let before = fs::read(scratch.current()).unwrap();
    // What the next record would have been, without the head that vouches for it.
    scratch.filled(1).await;
    let after = fs::read(scratch.current()).unwrap();
    let lengths = (before.len()..after.len())
        .step_by(11)
        .chain(after.len() - 3..=after.len());
    for length in lengths {
        fs::write(scratch.current(), &after[..length]).unwrap();
        fs::write(scratch.dir().join("head"), &head).unwrap();
        let journal = scratch.open();
        journal
            .append(note("next"), Durability::Synced)
            .await
            .unwrap();
        drop(journal);
        let records = whole(&scratch.dir());
        let kept = length + 1 >= after.len();
        let torn = length > before.len() && !kept;
        assert_eq!(records, 3 + u64::from(kept) + u64::from(torn), "{length}");
    }
}

#[tokio::test]
async fn an_interrupted_repair_is_repaired() {
    let scratch = Scratch::new();
    scratch.filled(1).await;
    add(
        &scratch.current(),
        b"{\"v\":1,\n{\"v\":1,\"seq\":2,\"text\":\"the 9 by",
    );
    let journal = scratch.open();
    journal.append(note("x"), Durability::Synced).await.unwrap();
    let verification = Journal::verify(&scratch.dir()).unwrap();
    assert_eq!(
        (verification.broken, verification.torn, verification.records),
        (None, 1, 3)
    );
}

#[tokio::test]
async fn a_torn_end_is_no_damage_and_what_was_acknowledged_is_none() {
    let scratch = Scratch::new();
    scratch.filled(3).await;
    let original = fs::read(scratch.current()).unwrap();
    let read = || -> Result<Vec<u64>, JournalError> {
        let records = Journal::read(&scratch.dir(), Filter::default())?;
        records.map(|record| Ok(record?.entry.seq)).collect()
    };
    for torn in [&b"{\"v\":1,\"seq\":4"[..], b"{\"v\":1}\n\0\0\n\0", b"\n"] {
        fs::write(scratch.current(), [&original, torn].concat()).unwrap();
        let verification = Journal::verify(&scratch.dir()).unwrap();
        assert_eq!((verification.broken, verification.records), (None, 3));
        assert!(verification.torn_end);
        assert_eq!(read().unwrap(), [1, 2, 3]);
        let latest = Filter {
            latest: Some(2),
            ..Filter::default()
        };
        assert_eq!(Journal::read(&scratch.dir(), latest).unwrap().count(), 2);
        let mut out = Vec::new();
        let extent = Journal::export(&scratch.dir(), Filter::default(), &mut out).unwrap();
        assert_eq!(extent.records, 3);
        // What is vouched for cannot be torn.
        let cut = &original[..original.len() - 1];
        fs::write(scratch.current(), [cut, torn].concat()).unwrap();
        if torn != b"\n" {
            broken(&scratch.dir());
            assert!(read().is_err());
        }
    }
    fs::write(scratch.current(), &original).unwrap();
    assert!(!Journal::verify(&scratch.dir()).unwrap().torn_end);
}

#[tokio::test]
async fn a_segment_that_was_added_is_noticed_and_not_read() {
    let scratch = Scratch::new();
    let options = super::super::Options {
        segment_bytes: 1_500,
        ..Default::default()
    };
    let open = || Journal::open_with(&scratch.dir(), scratch.redactor(), options).unwrap();
    let journal = open();
    for _ in 0..12 {
        journal.append(note("x"), Durability::Synced).await.unwrap();
    }
    drop(journal);
    let count = whole(&scratch.dir());
    // A chain of its own, every record of which matches its hash.
    let other = Scratch::new();
    let forging = other.open();
    for event in [intent("FORGED", Some("forged")), outcome("FORGED")] {
        forging.append(event, Durability::Synced).await.unwrap();
    }
    drop(forging);
    let forged = fs::read(other.current()).unwrap();
    for first in [2, count + 1, 1_000_000] {
        let path = scratch.dir().join(format!("actions-{first:020}.jsonl"));
        assert!(!path.exists(), "{first}");
        fs::write(&path, &forged).unwrap();
        assert_eq!(
            broken(&scratch.dir()),
            (path.clone(), 1, {
                "it is no part of the chain: no record leads to it".to_owned()
            })
        );
        let seqs: Vec<u64> = Journal::read(&scratch.dir(), Filter::default())
            .unwrap()
            .map(|record| record.unwrap().entry.seq)
            .collect();
        assert_eq!(seqs, (1..=count).collect::<Vec<_>>(), "{first}");
        assert_eq!(Journal::show(&scratch.dir(), "FORGED").unwrap(), []);
        let mut out = Vec::new();
        Journal::export(&scratch.dir(), Filter::default(), &mut out).unwrap();
        assert!(!String::from_utf8(out).unwrap().contains("FORGED"));
        let tail = Journal::tail(&scratch.dir(), 2, Filter::default())
            .and_then(|mut tail| tail.next_records());
        assert_eq!(tail.unwrap().len() as u64, count - 2);
        let journal = open();
        assert_eq!(journal.find_key("forged").await.unwrap(), None);
        drop(journal);
        fs::remove_file(&path).unwrap();
    }
    // The chain goes on behind it, and what it continues is what it says.
    whole(&scratch.dir());
}
