//! Looking back: which states of which files are kept.
//!
//! Invariant: the trailers of the commits say what they are about; a commit that is
//! not one of ours is skipped, so a person may commit to the branches without
//! breaking them. It reads commits and does not open contents.

use git2::Oid;
use jiff::Timestamp;

use super::error::SnapshotError;
use super::index::Index;
use super::message::{self, Kind, Message};
use super::names;
use super::objects::Objects;
use super::state::Metadata;

/// Digits of a commit id as people see it.
const SHORT: usize = 12;

/// One kept state of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The commit, shortened to 12 hexadecimal digits.
    pub id: String,
    /// When it was kept.
    pub time: Timestamp,
    /// How the state came about.
    pub kind: Kind,
    /// Name of the tool.
    pub tool: String,
    /// Identifier of the action, a ULID.
    pub action: String,
    /// The client's session, where it had one.
    pub session: Option<String>,
    /// Where the call came in: `bridge`, `mcp` or `cli`.
    pub door: Option<String>,
    /// Who agreed, as the journal says it.
    pub approved: Option<String>,
    /// The revision an undo brought back.
    pub restores: Option<String>,
    /// Logical server id.
    pub server: String,
    /// Absolute path on the server, every symbolic link followed.
    pub path: String,
    /// SHA-256 of the content in hex; none for absent or sealed content.
    pub sha256: Option<String>,
    /// Permission bits, owner and time; none where there is no file.
    pub metadata: Option<Metadata>,
    /// Size in bytes; none for absent or sealed content.
    pub size: Option<u64>,
    /// The account the change was made as, where that is not the login's.
    pub run_as: Option<String>,
    /// Whether there is no file in this state.
    pub removed: bool,
    /// Whether the content is sealed.
    pub sealed: bool,
}

#[cfg(test)]
impl Revision {
    /// One of server `a` in which there is no file, for tests of lists of them.
    pub(super) fn sample(id: &str, path: &str, kind: Kind) -> Self {
        Self {
            id: id.to_owned(),
            time: Timestamp::UNIX_EPOCH,
            kind,
            tool: String::new(),
            action: String::new(),
            session: None,
            door: None,
            approved: None,
            restores: None,
            server: "a".to_owned(),
            path: path.to_owned(),
            sha256: None,
            metadata: None,
            size: None,
            run_as: None,
            removed: true,
            sealed: false,
        }
    }
}

/// A commit of ours with its message.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: Oid,
    pub(super) message: Message,
    /// When it was kept, in seconds since 1970.
    pub(super) seconds: i64,
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
            session: message.session.clone(),
            door: message.door.clone(),
            approved: message.approved.clone(),
            restores: message.restores.clone(),
            server: message.server.clone(),
            path: message.path.clone(),
            sha256: message.content.as_ref().map(|content| content.1.clone()),
            metadata: message.metadata.clone(),
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
pub(super) fn tip(repo: &Objects, branch: &str) -> Result<Option<Oid>, git2::Error> {
    match repo.git().refname_to_id(branch) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A commit with its message; none where it is not one of ours.
pub(super) fn kept(repo: &Objects, id: Oid) -> Result<Option<Kept>, SnapshotError> {
    let commit = repo.commit(id)?;
    let message = std::str::from_utf8(commit.message_bytes())
        .ok()
        .and_then(message::parse);
    Ok(message.map(|message| Kept {
        id,
        message,
        seconds: commit.time().seconds(),
    }))
}

/// The newest kept state of a path, at or before a position on the branch.
pub(super) fn latest(
    repo: &Objects,
    index: &Index,
    path: &str,
    at: Option<usize>,
) -> Result<Option<Kept>, SnapshotError> {
    for (position, commit) in index.about(path) {
        if at.is_some_and(|at| position > at) {
            continue;
        }
        if let Some(kept) = kept(repo, commit)?
            && kept.message.path == path
        {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// The branches to look through: one server's, or all.
pub(super) fn branches(repo: &Objects, server: Option<&str>) -> Result<Vec<String>, SnapshotError> {
    if let Some(server) = server {
        return Ok(vec![names::reference(server)?]);
    }
    let mut all = Vec::new();
    for reference in repo.git().references_glob("refs/heads/*")? {
        let reference = reference?;
        if let Ok(name) = reference.name() {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}
