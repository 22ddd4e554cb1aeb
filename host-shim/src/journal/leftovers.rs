//! Temporary files that interrupted writes may have left on servers.
//!
//! The record of an attempt names the temporary file before it can exist. Where
//! the writer then died or lost its connection, a note of it is kept here, one
//! small file an action, until somebody who uses that server has looked. So the
//! usual write costs nothing, and a use of a server one look into a directory that
//! is mostly not there.
//!
//! Invariant: a note is on disk before the record that settles its action is
//! written. What it deliberately does not do: remove anything on a server.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// Folder of the notes, in the journal's directory.
const FOLDER: &str = "leftovers";

/// A temporary file that may be on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The action that wrote, a ULID.
    pub action: String,
    /// Logical server id.
    pub server: String,
    /// Fingerprint of the key that server proved to hold, where it is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Absolute path that was written to; the temporary file stands beside it.
    pub path: String,
    /// Name of the temporary file.
    pub temporary: String,
    /// Name of the directory it was staged in, where root was to put it in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging: Option<String>,
    /// When it was noted.
    pub since: Timestamp,
}

impl Leftover {
    /// What an entry with an operation says of a temporary file, if anything.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let operation = entry.operation.as_ref()?;
        Some(Self {
            action: entry.action.clone()?,
            server: entry.server.clone()?,
            host_key: operation.host_key.clone(),
            path: operation.path.clone()?,
            temporary: operation.temporary.clone()?,
            staging: operation.staging.clone(),
            since: Timestamp::now(),
        })
    }

    /// Whether it is about a server, known by its key rather than by its name.
    fn is_about(&self, server: &str, host_key: &str) -> bool {
        match &self.host_key {
            Some(known) => known == host_key,
            None => self.server == server,
        }
    }
}

/// Notes a temporary file, durably. A note of the same action is replaced.
pub(super) fn note(dir: &Path, leftover: &Leftover) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir.join(FOLDER))?;
    let text = serde_json::to_vec(leftover).map_err(io::Error::other)?;
    crate::replace::replace(&place(dir, &leftover.action), &text)
}

/// The notes about one server, oldest first.
pub(super) fn of_server(dir: &Path, server: &str, host_key: &str) -> io::Result<Vec<Leftover>> {
    let entries = match fs::read_dir(dir.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // The name of a note that is just being written is no action's.
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // What cannot be read names nothing that may be removed.
        if let Ok(leftover) = serde_json::from_slice::<Leftover>(&bytes)
            && leftover.is_about(server, host_key)
        {
            found.push(leftover);
        }
    }
    found.sort_by(|one, other| one.action.cmp(&other.action));
    Ok(found)
}

/// Forgets a note.
pub(super) fn forget(dir: &Path, action: &str) -> io::Result<()> {
    match fs::remove_file(place(dir, action)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn place(dir: &Path, action: &str) -> PathBuf {
    dir.join(FOLDER).join(format!("{action}.json"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    #[test]
    fn notes_are_kept_by_server_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(of_server(dir, "a", "k").unwrap(), []);
        let leftover = |action: &str, server: &str| Leftover {
            action: action.to_owned(),
            server: server.to_owned(),
            host_key: None,
            path: "/etc/hosts".to_owned(),
            temporary: ".openshell-0123456789abcdef.tmp".to_owned(),
            staging: (action == "2").then(|| ".openshell-stage-0".to_owned()),
            since: Timestamp::UNIX_EPOCH,
        };
        let (one, two, other) = (leftover("1", "a"), leftover("2", "a"), leftover("3", "b"));
        for leftover in [&two, &one, &other, &one] {
            note(dir, leftover).unwrap();
        }
        fs::write(dir.join(FOLDER).join("4.json"), "{\"action\":").unwrap();
        fs::write(dir.join(FOLDER).join(".1.json.openshell-new"), "{}").unwrap();
        assert_eq!(of_server(dir, "a", "k").unwrap(), [one, two.clone()]);
        forget(dir, "1").unwrap();
        forget(dir, "1").unwrap();
        assert_eq!(of_server(dir, "a", "k").unwrap(), [two]);
        assert_eq!(of_server(dir, "b", "k").unwrap(), [other]);
        // A server that is known by its key may have got another name.
        let keyed = Leftover {
            host_key: Some("k".to_owned()),
            ..leftover("5", "c")
        };
        note(dir, &keyed).unwrap();
        assert_eq!(of_server(dir, "renamed", "k").unwrap(), [keyed]);
        assert_eq!(of_server(dir, "c", "another").unwrap(), []);
    }
}
