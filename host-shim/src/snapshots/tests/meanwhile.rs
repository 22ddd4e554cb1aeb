//! A check while changes are made, and after changes whose state could not be kept.
//!
//! Invariant under test: what is no fault is told as none, and what is one still is.
//! The journal is made up here; reading it is tried with the whole product.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

use std::borrow::Cow;

use ulid::Ulid;

use super::*;
use crate::snapshots::ledger::{Done, Tried};
use crate::snapshots::{Change, FileState, Metadata};

fn keep(snapshots: &Snapshots, action: &str, content: &[u8]) {
    let state = FileState::Present {
        content: Cow::Borrowed(content),
        metadata: Metadata {
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1,
            owner: None,
            group: None,
        },
    };
    let change = Change {
        server: "prod-a",
        path: "/a",
        state,
        action,
        tool: "remote_write_file",
        session: None,
        door: "cli",
        approved: None,
        secret: false,
        run_as: None,
        undo: false,
        restores: None,
    };
    snapshots.after(&change).unwrap();
}

/// What the journal says of a change that is over.
fn said(time: Timestamp, content: &[u8], not_kept: bool) -> Said {
    Said {
        server: "prod-a".to_owned(),
        attempt: Some(Tried {
            time,
            path: Some("/a".to_owned()),
            base_sha256: None,
            new_sha256: Some(sha256_hex(content)),
            snapshot: None,
        }),
        done: Some(Done { time, not_kept }),
    }
}

/// A while ago, and the ids of actions that began then.
fn begun() -> (Timestamp, Vec<String>) {
    let ms = Timestamp::now().as_millisecond() - 60_000;
    let id = |number| Ulid::from_parts(u64::try_from(ms).unwrap(), number).to_string();
    let begins = Timestamp::from_millisecond(ms).unwrap();
    (begins, (0..3).map(id).collect())
}

fn scratch() -> (tempfile::TempDir, Snapshots) {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(&dir.path().join("snapshots.git"), None).unwrap();
    (dir, snapshots)
}

#[test]
fn a_change_that_is_made_meanwhile_is_no_fault() {
    let (_dir, snapshots) = scratch();
    let (begins, actions) = begun();
    keep(&snapshots, &actions[0], b"0");
    let found = snapshots.verify_with(|| {
        let mut ledger = Ledger {
            begins: Some(begins),
            ..Ledger::default()
        };
        let mut note = |action: &String, said| ledger.actions.insert(action.clone(), said);
        note(&actions[0], said(begins, b"0", false));
        // One that the journal was read too early for, and one that has all it needs.
        keep(&snapshots, &actions[1], b"1");
        keep(&snapshots, &actions[2], b"2");
        note(&actions[2], said(Timestamp::now(), b"2", false));
        Ok(Some(ledger))
    });
    let found = found.unwrap();
    assert_eq!(found.faults, Vec::new());
    assert_eq!((found.compared, found.not_kept), (1, 0));
}

#[test]
fn a_state_that_could_not_be_kept_is_counted_apart() {
    let (_dir, snapshots) = scratch();
    let (begins, actions) = begun();
    keep(&snapshots, &actions[0], b"0");
    let found = snapshots.verify_with(|| {
        let mut ledger = Ledger {
            begins: Some(begins),
            ..Ledger::default()
        };
        let mut note = |action: &String, said| ledger.actions.insert(action.clone(), said);
        note(&actions[0], said(begins, b"0", false));
        note(&actions[1], said(begins, b"1", true));
        note(&actions[2], said(begins, b"2", false));
        Ok(Some(ledger))
    });
    let found = found.unwrap();
    assert_eq!(found.not_kept, 1);
    let faults: Vec<_> = found.faults.iter().map(|fault| &fault.action).collect();
    assert_eq!(faults, [&Some(actions[2].clone())]);
}
