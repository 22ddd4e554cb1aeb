//! The journal as a whole, in scratch directories. A second handle on the same
//! directory stands for a second process: its locks are its own.
//!
//! Invariant of the fixture: a scratch directory belongs to one test and goes with
//! it. Nothing here asserts what a single suite is about.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

mod damage;
mod exports;
mod keys;
mod leases;
mod processes;
mod recovery;
mod unsettled;
mod writing;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    Attempt, Conclusion, Context, Decided, Event, Intent, Journal, Note, Operation, Outcome,
    Redactor,
};

pub(super) struct Scratch {
    root: tempfile::TempDir,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.root.path().join("audit")
    }

    pub(super) fn current(&self) -> PathBuf {
        self.dir().join("actions.jsonl")
    }

    pub(super) fn redactor(&self) -> Redactor {
        Redactor::open(self.root.path()).unwrap()
    }

    pub(super) fn open(&self) -> Journal {
        Journal::open(&self.dir(), self.redactor()).unwrap()
    }

    /// Writes this many notes and closes the journal.
    pub(super) async fn filled(&self, notes: usize) {
        let journal = self.open();
        for at in 0..notes {
            journal
                .append(note(&format!("note {at}")), super::Durability::Synced)
                .await
                .unwrap();
        }
    }
}

pub(super) fn context(action: &str) -> Context {
    Context {
        action: action.to_owned(),
        session: Some("ses_1".to_owned()),
        door: "cli".to_owned(),
        tool: "remote_exec".to_owned(),
        server: Some("prod-a".to_owned()),
        scope: None,
        fanout: None,
    }
}

pub(super) fn intent(action: &str, key: Option<&str>) -> Event {
    Event::Intent(Intent {
        context: context(action),
        arguments: json!({"server": "prod-a", "command": "uptime"}),
        verdict: None,
        component: Some("c0ffee".to_owned()),
        key: key.map(str::to_owned),
        payload: key.map(|_| "feed".to_owned()),
    })
}

pub(super) fn attempt(action: &str) -> Event {
    attempt_of(action, false)
}

/// An attempt of a command that is known to change nothing, or not.
pub(super) fn attempt_of(action: &str, read_only: bool) -> Event {
    Event::Attempt(Attempt {
        context: context(action),
        verdict: Some(Decided {
            decision: "auto-allow".to_owned(),
            rule: "r".to_owned(),
            reason: "because".to_owned(),
        }),
        operation: Operation {
            kind: "exec".to_owned(),
            digest: "d1".to_owned(),
            read_only,
            ..Operation::default()
        },
    })
}

pub(super) fn conclusion() -> Conclusion {
    Conclusion {
        status: "ok".to_owned(),
        exit_code: Some(0),
        ..Conclusion::default()
    }
}

pub(super) fn outcome(action: &str) -> Event {
    Event::Outcome(Outcome {
        context: context(action),
        outcome: conclusion(),
        operation: None,
    })
}

pub(super) fn unknown_outcome(action: &str) -> Event {
    Event::Outcome(Outcome {
        context: context(action),
        outcome: Conclusion {
            status: "unknown".to_owned(),
            group: Some(77),
            ..Conclusion::default()
        },
        operation: None,
    })
}

pub(super) fn note(text: &str) -> Event {
    Event::Note(Note {
        context: None,
        text: text.to_owned(),
    })
}

/// Asserts that a journal is whole and returns how many records it has.
pub(super) fn whole(dir: &Path) -> u64 {
    let verification = Journal::verify(dir).unwrap();
    assert_eq!(verification.broken, None);
    assert_eq!(verification.records, verification.last_seq);
    verification.records
}
