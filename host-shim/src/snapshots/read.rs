//! Getting states back: lists of them, and one of them whole.
//!
//! Invariant: a state is given out only if content and metadata are what the commit
//! says. It never writes, and takes no turn.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::error::SnapshotError;
use super::history::{self, Kept, Revision};
use super::names;
use super::objects::Objects;
use super::seal;
use super::state::FileState;
use super::store::Snapshots;
use super::tree;
use crate::journal::sha256_hex;

/// Puts the branches together, newest first. Each keeps its own order, whatever the
/// clock was set to meanwhile: what a change followed does not depend on it.
fn merge(mut branches: Vec<VecDeque<Revision>>) -> Vec<Revision> {
    let mut all = Vec::new();
    loop {
        branches.retain(|branch| !branch.is_empty());
        let newest = branches
            .iter_mut()
            .rev()
            .max_by_key(|branch| branch.front().map(|revision| revision.time));
        match newest.and_then(VecDeque::pop_front) {
            Some(revision) => all.push(revision),
            None => return all,
        }
    }
}

impl Snapshots {
    /// What is kept, newest first: of one server or all, of one path or all.
    ///
    /// # Errors
    /// [`SnapshotError`] where a branch or one of its commits cannot be read.
    pub fn history(
        &self,
        server: Option<&str>,
        path: Option<&str>,
    ) -> Result<Vec<Revision>, SnapshotError> {
        let mut store = self.store();
        let mut kept_by = Vec::new();
        for branch in history::branches(&store.repo, server)? {
            let (repo, index, _) = store.branch(&branch)?;
            let commits: Vec<_> = match path {
                Some(path) => index.about(path).collect(),
                None => index.newest_first().collect(),
            };
            let mut revisions = VecDeque::new();
            for (_, commit) in commits {
                if let Some(kept) = history::kept(repo, commit)?
                    && path.is_none_or(|path| kept.message.path == path)
                {
                    revisions.push_back(kept.revision());
                }
            }
            kept_by.push(revisions);
        }
        Ok(merge(kept_by))
    }

    /// What a file was at a revision: the first digits of a commit on the
    /// server's branch, at least 4. Where that commit is about another file,
    /// the latest state before it counts.
    ///
    /// # Errors
    /// `NotFound` where there is no such revision or nothing was kept by then,
    /// `Corrupt` where it is not what was kept, `Seal` where it cannot be
    /// opened.
    pub fn load(
        &self,
        server: &str,
        path: &str,
        rev: &str,
    ) -> Result<FileState<'static>, SnapshotError> {
        let missing = || SnapshotError::NotFound {
            server: server.to_owned(),
            path: path.to_owned(),
            rev: rev.to_owned(),
        };
        let digits = rev.len() >= 4 && rev.len() <= 40;
        if !digits || !rev.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let mut store = self.store();
        let (repo, index, _) = store.branch(&names::reference(server)?)?;
        let at = index.position(rev).ok_or_else(missing)?;
        let kept = history::latest(repo, index, path, Some(at))?.ok_or_else(missing)?;
        self.state(repo, &kept)
    }

    /// The content and metadata of a kept state, checked.
    pub(super) fn state(
        &self,
        repo: &Objects,
        kept: &Kept,
    ) -> Result<FileState<'static>, SnapshotError> {
        let message = &kept.message;
        let Some(metadata) = message.metadata.clone() else {
            return Ok(FileState::Absent);
        };
        let corrupt = |what: &str| SnapshotError::Corrupt {
            commit: history::short(kept.id),
            what: what.to_owned(),
        };
        let root = repo.tree(repo.commit(kept.id)?.tree_id())?;
        let blob = tree::get(repo, &root, &names::segments(&message.path)?)?
            .ok_or_else(|| corrupt("the file is not in its tree"))?;
        let bytes = repo.blob(blob)?.content().to_vec();
        let content = if message.sealed {
            self.sealer(&message.path)?
                .open(
                    &seal::place(&message.server, &message.path),
                    seal::undress(&bytes),
                )
                .map_err(|reason| SnapshotError::Seal {
                    path: message.path.clone(),
                    reason,
                })?
        } else {
            bytes
        };
        let as_written = match &message.content {
            Some((_, sha256)) => *sha256 == sha256_hex(&content),
            None => message.sealed,
        };
        if !as_written {
            return Err(corrupt("its content does not match its hash"));
        }
        Ok(FileState::Present {
            content: Cow::Owned(content),
            metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::snapshots::Kind;

    #[test]
    fn branches_keep_their_order_when_the_clock_does_not() {
        let branch = |server: &str, seconds: &[i64]| -> VecDeque<Revision> {
            let revision = |&second: &i64| Revision {
                time: Timestamp::from_second(second).unwrap_or_default(),
                server: server.to_owned(),
                ..Revision::sample(&format!("{server}{second}"), "/f", Kind::After)
            };
            seconds.iter().map(revision).collect()
        };
        // The newest of `a` was kept after the clock was set back.
        let merged = merge(vec![branch("a", &[10, 50, 20]), branch("b", &[40, 20, 5])]);
        let ids: Vec<_> = merged.iter().map(|revision| revision.id.as_str()).collect();
        assert_eq!(ids, ["b40", "b20", "a10", "a50", "a20", "b5"]);
    }
}
