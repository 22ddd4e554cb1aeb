//! The journal as its files hold it, read without the code that writes it.
//!
//! Invariant: bytes that are no record are passed over and never repaired. Whether
//! the chain is whole is asked of `audit verify`, not found out here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Every byte of a journal's segments, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) bytes: Vec<u8>,
}

/// What is on record of one action.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorded {
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) key: Option<String>,
    pub(super) attempted: bool,
    /// `ok`, `partial_failure`, `error` or `unknown`.
    pub(super) outcome: Option<String>,
    /// Whether it is a command that itself says it failed.
    pub(super) failed: bool,
    /// What a later process concluded.
    pub(super) recovered: Option<String>,
}

impl Ledger {
    pub(super) fn read(audit: &Path) -> Self {
        let bytes = segments(audit)
            .iter()
            .flat_map(|path| fs::read(path).unwrap_or_default())
            .collect();
        Self { bytes }
    }

    /// The names of the directories content was staged in, or was to be.
    pub(super) fn staging(&self) -> Vec<String> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| {
                let record = serde_json::from_slice::<Value>(line).ok()?;
                Some(record["operation"]["staging"].as_str()?.to_owned())
            })
            .collect()
    }

    /// The actions begun from an offset on, in order of their ids.
    pub(super) fn actions_since(&self, offset: usize) -> BTreeMap<String, Recorded> {
        let mut actions: BTreeMap<String, Recorded> = BTreeMap::new();
        let tail = self.bytes.get(offset..).unwrap_or_default();
        for line in tail.split(|byte| *byte == b'\n') {
            // Torn bytes are no record.
            let Ok(record) = serde_json::from_slice::<Value>(line) else {
                continue;
            };
            let Some(id) = record["action"].as_str() else {
                continue;
            };
            if record["event"] == "intent" {
                let begun = Recorded {
                    id: id.to_owned(),
                    tool: record["tool"].as_str().unwrap_or_default().to_owned(),
                    key: record["key"].as_str().map(str::to_owned),
                    ..Recorded::default()
                };
                actions.insert(id.to_owned(), begun);
            }
            let Some(action) = actions.get_mut(id) else {
                continue;
            };
            match record["event"].as_str() {
                Some("attempt") => action.attempted = true,
                Some("outcome") => {
                    let outcome = &record["outcome"];
                    action.outcome = outcome["status"].as_str().map(str::to_owned);
                    action.failed = outcome["exit_code"].as_i64().is_some_and(|code| code != 0);
                }
                Some("recovered") => {
                    action.recovered = record["recovered"]["result"].as_str().map(str::to_owned);
                }
                _ => {}
            }
        }
        actions
    }
}

/// The segments, in order; the one being written comes last.
fn segments(audit: &Path) -> Vec<PathBuf> {
    let mut finished: Vec<PathBuf> = fs::read_dir(audit)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("actions-") && name.ends_with(".jsonl"))
        })
        .collect();
    finished.sort();
    finished.push(current(audit));
    finished
}

fn current(audit: &Path) -> PathBuf {
    audit.join("actions.jsonl")
}

/// Size of the segment being written, in bytes.
pub(super) fn current_size(audit: &Path) -> u64 {
    fs::metadata(current(audit)).map_or(0, |meta| meta.len())
}

/// Takes away what no fsync had covered, from some byte on, as a power cut may.
/// Returns how many bytes that was.
pub(super) fn cut_unsynced(audit: &Path, choice: u64) -> u64 {
    let Some(durable) = durable_end(audit) else {
        return 0;
    };
    let size = current_size(audit);
    if size <= durable {
        return 0;
    }
    let keep = durable + choice % (size - durable);
    // The system that comes up afterwards is another run of it, and what a process
    // says of itself without an fsync counts only within one.
    for entry in fs::read_dir(audit.join("owners"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if let Ok(mut owner) = serde_json::from_str::<Value>(&text) {
            owner["boot"] = Value::from("before the power cut");
            // One that is gone meanwhile says nothing any more.
            let _ = fs::write(entry.path(), owner.to_string());
        }
    }
    let file = fs::OpenOptions::new().write(true).open(current(audit));
    match file.and_then(|file| file.set_len(keep)) {
        Ok(()) => size - keep,
        Err(_) => 0,
    }
}

/// How far the head vouches for the segment being written; none where it speaks
/// of another segment.
fn durable_end(audit: &Path) -> Option<u64> {
    let text = fs::read_to_string(audit.join("head")).ok()?;
    let number = |slot: &Value, name: &str| slot[name].as_str()?.parse::<u64>().ok();
    let furthest = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|slot| {
            Some((
                number(&slot, "seq")?,
                number(&slot, "segment")?,
                number(&slot, "end")?,
            ))
        })
        .max()?;
    let (_, segment, end) = furthest;
    let finished = audit.join(format!("actions-{segment:020}.jsonl"));
    (!finished.exists()).then_some(end)
}
