//! Looking back: which states of which files are kept.
//!
//! The trailers of the commits are the index; a commit that is not one of ours
//! is skipped, so a person may commit to the branches without breaking them.

use git2::{Oid, Repository, Sort};
use jiff::Timestamp;

use super::error::SnapshotError;
use super::message::{self, Kind, Message};
use super::names;

/// Digits of a commit id as people see it.
const SHORT: usize = 12;

/// One kept state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The commit, shortened to 12 hexadecimal digits.
    pub id: String,
    /// When it was kept.
    pub time: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Name of the tool.
    pub tool: String,
    /// Identifier of the action, a ULID.
    pub action: String,
    /// Logical server id.
    pub server: String,
    /// Remote path.
    pub path: String,
    /// SHA-256 of the content in hex; none for absent or sealed content.
    pub sha256: Option<String>,
    /// Permission bits; none where there is no file.
    pub mode: Option<u32>,
    /// Size in bytes; none for absent or sealed content.
    pub size: Option<u64>,
    /// The account the change was made as, where that is not the login's.
    pub run_as: Option<String>,
    /// Whether there is no file in this state.
    pub removed: bool,
    /// Whether the content is sealed.
    pub sealed: bool,
}

/// A commit of ours with its message.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: Oid,
    pub(super) message: Message,
    seconds: i64,
}

impl Kept {
    pub(super) fn revision(&self) -> Revision {
        let message = &self.message;
        Revision {
            id: short(self.id),
            time: Timestamp::from_second(self.seconds).unwrap_or_default(),
            kind: message.kind,
            tool: message.tool.clone(),
            action: message.action.clone(),
            server: message.server.clone(),
            path: message.path.clone(),
            sha256: message.content.as_ref().map(|content| content.1.clone()),
            mode: message.metadata.as_ref().map(|metadata| metadata.mode),
            size: message.content.as_ref().map(|content| content.0),
            run_as: message.run_as.clone(),
            removed: message.metadata.is_none(),
            sealed: message.sealed,
        }
    }
}

/// A commit id as people see it.
pub(super) fn short(id: Oid) -> String {
    let mut text = id.to_string();
    text.truncate(SHORT);
    text
}

/// The tip of a server's branch.
pub(super) fn tip(repo: &Repository, branch: &str) -> Result<Option<Oid>, git2::Error> {
    match repo.refname_to_id(branch) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hands the kept states from a commit backwards to `each`, newest first,
/// until it has enough and returns true.
pub(super) fn walk(
    repo: &Repository,
    from: Oid,
    path: Option<&str>,
    mut each: impl FnMut(Kept) -> bool,
) -> Result<(), git2::Error> {
    let needle = path.map(|path| format!("\nPath: {}\n", names::line(path)));
    let mut walk = repo.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.push(from)?;
    for id in walk {
        let id = id?;
        let commit = repo.find_commit(id)?;
        let Ok(text) = std::str::from_utf8(commit.message_bytes()) else {
            continue;
        };
        if needle.as_ref().is_some_and(|needle| !text.contains(needle)) {
            continue;
        }
        let Some(message) = message::parse(text) else {
            continue;
        };
        if path.is_some_and(|path| path != message.path) {
            continue;
        }
        let seconds = commit.time().seconds();
        if each(Kept {
            id,
            message,
            seconds,
        }) {
            break;
        }
    }
    Ok(())
}

/// The latest kept state of a path at or before a commit.
pub(super) fn latest(
    repo: &Repository,
    from: Oid,
    path: &str,
) -> Result<Option<Kept>, git2::Error> {
    let mut found = None;
    walk(repo, from, Some(path), |kept| {
        found = Some(kept);
        true
    })?;
    Ok(found)
}

/// The branches to look through: one server's, or all.
pub(super) fn branches(
    repo: &Repository,
    server: Option<&str>,
) -> Result<Vec<String>, SnapshotError> {
    if let Some(server) = server {
        return Ok(vec![format!("refs/heads/{}", names::branch(server)?)]);
    }
    let mut all = Vec::new();
    for reference in repo.references_glob("refs/heads/*")? {
        let reference = reference?;
        if let Ok(name) = reference.name() {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}
