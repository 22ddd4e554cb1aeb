//! Getting states back: lists of them, and one of them whole.

use std::borrow::Cow;

use super::error::SnapshotError;
use super::history::{self, Kept, Revision};
use super::names;
use super::objects::Objects;
use super::seal;
use super::state::FileState;
use super::store::Snapshots;
use super::tree;
use crate::journal::sha256_hex;

impl Snapshots {
    /// What is kept, newest first: of one server or all, of one path or all.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    pub fn history(
        &self,
        server: Option<&str>,
        path: Option<&str>,
    ) -> Result<Vec<Revision>, SnapshotError> {
        let mut store = self.store();
        let mut revisions = Vec::new();
        for branch in history::branches(&store.repo, server)? {
            let (repo, index, _) = store.branch(&branch)?;
            let commits: Vec<_> = match path {
                Some(path) => index.about(path).collect(),
                None => index.newest_first().collect(),
            };
            for (_, commit) in commits {
                if let Some(kept) = history::kept(repo, commit)?
                    && path.is_none_or(|path| kept.message.path == path)
                {
                    revisions.push(kept.revision());
                }
            }
        }
        // Stable: within one second a branch keeps its own order.
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.time));
        Ok(revisions)
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
