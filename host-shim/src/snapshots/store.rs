//! The repository: keeping states and getting them back.
//!
//! Processes take turns under a file lock; the branch is moved by comparing it
//! with what it was, so that somebody who works on the repository with git at
//! the same time is noticed, too. Objects and references are fsynced.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use git2::{ErrorClass, ErrorCode, Oid, Repository, Signature};

use super::error::SnapshotError;
use super::history::{self, Kept, Revision};
use super::message::{self, Kind};
use super::names;
use super::repository;
use super::state::{Change, FileState, Sealer};
use super::tree;
use crate::fault::{self, Point};
use crate::journal::{FileLock, LockGuard, sha256_hex};

/// Largest content kept unless another limit is given, in bytes.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// How often a branch that somebody else moved, or holds, is tried again.
const TRIES: u32 = 50;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(20);

/// A kept state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Whether the file had been changed by somebody else since it was last
    /// seen.
    pub drift: bool,
}

/// The snapshots of one data directory. Clones share the repository.
#[derive(Clone)]
pub struct Snapshots {
    shared: Arc<Shared>,
}

struct Shared {
    repo: Mutex<Repository>,
    lock: FileLock,
    max_bytes: u64,
    sealer: Option<Arc<dyn Sealer>>,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots")
            .field("max_bytes", &self.shared.max_bytes)
            .finish_non_exhaustive()
    }
}

impl Snapshots {
    /// Opens the repository, creating it with mode 0700. Contents of up to
    /// 32 MiB are kept; secret ones only where there is a sealer.
    ///
    /// # Errors
    /// `Unavailable` or `Git` where there is something else in its place.
    pub fn open(path: &Path, sealer: Option<Arc<dyn Sealer>>) -> Result<Self, SnapshotError> {
        Self::open_with(path, sealer, MAX_BYTES)
    }

    /// As [`Snapshots::open`], with another limit in bytes.
    ///
    /// # Errors
    /// As [`Snapshots::open`].
    pub fn open_with(
        path: &Path,
        sealer: Option<Arc<dyn Sealer>>,
        max_bytes: u64,
    ) -> Result<Self, SnapshotError> {
        let unusable = |error: io::Error| SnapshotError::io(path, &error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
        let lock = FileLock::create(&path.join("openshell.lock")).map_err(unusable)?;
        let repo = {
            let _guard = lock
                .exclusive()
                .map_err(|error| SnapshotError::lock(path, error))?;
            repository::open(path)?
        };
        Ok(Self {
            shared: Arc::new(Shared {
                repo: Mutex::new(repo),
                lock,
                max_bytes,
                sealer,
            }),
        })
    }

    /// Keeps a file as it is before a change; on disk when it returns. A file
    /// that is as it was last seen needs no new commit.
    ///
    /// # Errors
    /// In every case the change must not happen.
    pub fn before(&self, change: &Change<'_>) -> Result<SnapshotRef, SnapshotError> {
        self.check(change)?;
        // Threads first: within a process the file lock excludes nobody.
        let repo = self.repo();
        let _guard = self.turn(&repo)?;
        let branch = branch_of(change.server)?;
        for attempt in 0..TRIES {
            let tip = history::tip(&repo, &branch)?;
            let last = match tip {
                Some(tip) => history::latest(&repo, tip, change.path)?,
                None => None,
            };
            let kind = match &last {
                Some(last) if self.is_still(&repo, last, change)? => {
                    return Ok(SnapshotRef {
                        commit: last.id.to_string(),
                        drift: false,
                    });
                }
                Some(_) => Kind::Drift,
                None => Kind::Before,
            };
            if let Some(commit) = self.commit(&repo, &branch, tip, change, kind, attempt)? {
                return Ok(SnapshotRef {
                    commit: commit.to_string(),
                    drift: kind == Kind::Drift,
                });
            }
        }
        Err(contended(change))
    }

    /// Keeps a file as a change left it.
    ///
    /// # Errors
    /// The change has happened; only its record here is missing.
    pub fn after(&self, change: &Change<'_>) -> Result<SnapshotRef, SnapshotError> {
        self.check(change)?;
        // Threads first: within a process the file lock excludes nobody.
        let repo = self.repo();
        let _guard = self.turn(&repo)?;
        let branch = branch_of(change.server)?;
        let kind = if change.undo { Kind::Undo } else { Kind::After };
        for attempt in 0..TRIES {
            let tip = history::tip(&repo, &branch)?;
            if let Some(commit) = self.commit(&repo, &branch, tip, change, kind, attempt)? {
                return Ok(SnapshotRef {
                    commit: commit.to_string(),
                    drift: false,
                });
            }
        }
        Err(contended(change))
    }

    /// What is kept, newest first: of one server or all, of one path or all.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    pub fn history(
        &self,
        server: Option<&str>,
        path: Option<&str>,
    ) -> Result<Vec<Revision>, SnapshotError> {
        let repo = self.repo();
        let mut revisions = Vec::new();
        for branch in history::branches(&repo, server)? {
            if let Some(tip) = history::tip(&repo, &branch)? {
                history::walk(&repo, tip, path, |kept| {
                    revisions.push(kept.revision());
                    false
                })?;
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
        let repo = self.repo();
        let missing = || SnapshotError::NotFound {
            server: server.to_owned(),
            path: path.to_owned(),
            rev: rev.to_owned(),
        };
        let digits = rev.len() >= 4 && rev.len() <= 40;
        if !digits || !rev.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let tip = history::tip(&repo, &branch_of(server)?)?.ok_or_else(missing)?;
        let commit = match repo.find_commit_by_prefix(rev) {
            Ok(commit) => commit.id(),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::Ambiguous) => {
                return Err(missing());
            }
            Err(error) => return Err(error.into()),
        };
        if commit != tip && !repo.graph_descendant_of(tip, commit)? {
            return Err(missing());
        }
        let kept = history::latest(&repo, commit, path)?.ok_or_else(missing)?;
        self.state(&repo, &kept)
    }

    fn repo(&self) -> MutexGuard<'_, Repository> {
        // A repository holds no state of ours that a panic could leave half done.
        self.shared
            .repo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, repo: &Repository) -> Result<LockGuard<'_>, SnapshotError> {
        self.shared
            .lock
            .exclusive()
            .map_err(|error| SnapshotError::lock(repo.path(), error))
    }

    fn check(&self, change: &Change<'_>) -> Result<(), SnapshotError> {
        let FileState::Present { content, .. } = &change.state else {
            return Ok(());
        };
        let bytes = content.len() as u64;
        if bytes > self.shared.max_bytes {
            return Err(SnapshotError::TooLarge {
                path: change.path.to_owned(),
                bytes,
                limit: self.shared.max_bytes,
            });
        }
        if change.secret {
            self.sealer(change.path)?;
        }
        Ok(())
    }

    fn sealer(&self, path: &str) -> Result<&dyn Sealer, SnapshotError> {
        self.shared
            .sealer
            .as_deref()
            .ok_or_else(|| SnapshotError::Seal {
                path: path.to_owned(),
                reason: "there is no key to seal it with".to_owned(),
            })
    }

    /// Whether a file is what was last kept of it.
    fn is_still(
        &self,
        repo: &Repository,
        last: &Kept,
        change: &Change<'_>,
    ) -> Result<bool, SnapshotError> {
        let message = &last.message;
        match (&change.state, &message.metadata) {
            (FileState::Absent, None) => Ok(true),
            (FileState::Present { content, metadata }, Some(kept)) => {
                // What became secret since is kept again, sealed.
                if !metadata.same_as(kept) || change.secret != message.sealed {
                    return Ok(false);
                }
                match &message.content {
                    Some((_, sha256)) => Ok(*sha256 == sha256_hex(content)),
                    None => Ok(self.state(repo, last)?.same_as(&change.state)),
                }
            }
            _ => Ok(false),
        }
    }

    /// Adds a commit; none where the branch moved meanwhile.
    fn commit(
        &self,
        repo: &Repository,
        branch: &str,
        tip: Option<Oid>,
        change: &Change<'_>,
        kind: Kind,
        attempt: u32,
    ) -> Result<Option<Oid>, SnapshotError> {
        fault::check(Point::SnapshotBefore)
            .map_err(|error| SnapshotError::io(repo.path(), &error))?;
        let blob = match &change.state {
            FileState::Absent => None,
            FileState::Present { content, metadata } => {
                let bytes = if change.secret {
                    Cow::Owned(
                        self.sealer(change.path)?
                            .seal(&place(change.server, change.path), content)
                            .map_err(|reason| SnapshotError::Seal {
                                path: change.path.to_owned(),
                                reason,
                            })?,
                    )
                } else {
                    Cow::Borrowed(content.as_ref())
                };
                Some((repo.blob(&bytes)?, metadata.mode))
            }
        };
        fault::reach(Point::SnapshotBlob);
        let parent = tip.map(|tip| repo.find_commit(tip)).transpose()?;
        let before = parent.as_ref().map(git2::Commit::tree).transpose()?;
        let segments = names::segments(change.path)?;
        let root = match tree::put(repo, before.as_ref(), &segments, blob)? {
            Some(root) => root,
            None => repo.treebuilder(None)?.write()?,
        };
        fault::reach(Point::SnapshotTree);
        let author = Signature::now("openshell", "openshell@localhost")?;
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let text = message::compose(change, kind);
        let commit = repo.commit(
            None,
            &author,
            &author,
            &text,
            &repo.find_tree(root)?,
            &parents,
        )?;
        fault::check(Point::SnapshotCommit)
            .map_err(|error| SnapshotError::io(repo.path(), &error))?;
        let subject = text.lines().next().unwrap_or_default();
        let moved = match tip {
            Some(tip) => repo.reference_matching(branch, commit, true, tip, subject),
            None => repo.reference(branch, commit, false, subject),
        };
        match moved.map(|_| commit) {
            Ok(commit) => {
                fault::reach(Point::SnapshotMoved);
                if tip.is_none() && repo.head().is_err() {
                    // Only so that git without a branch name shows something.
                    let _ = repo.set_head(branch);
                }
                Ok(Some(commit))
            }
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists) => {
                Ok(None)
            }
            // Another git holds the reference; a moment is enough for it. One
            // that holds it longer died over it, as no other openshell can:
            // this one has the turn.
            Err(error) if held(&error) && attempt + 1 < TRIES => {
                if attempt + 2 == TRIES {
                    let lock = repo.path().join(format!("{branch}.lock"));
                    fs::remove_file(&lock).map_err(|error| SnapshotError::io(&lock, &error))?;
                }
                thread::sleep(PAUSE);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The content and metadata of a kept state, checked.
    fn state(&self, repo: &Repository, kept: &Kept) -> Result<FileState<'static>, SnapshotError> {
        let message = &kept.message;
        let Some(metadata) = message.metadata.clone() else {
            return Ok(FileState::Absent);
        };
        let corrupt = |what: &str| SnapshotError::Corrupt {
            commit: history::short(kept.id),
            what: what.to_owned(),
        };
        let root = repo.find_commit(kept.id)?.tree()?;
        let blob = tree::get(repo, &root, &names::segments(&message.path)?)?
            .ok_or_else(|| corrupt("the file is not in its tree"))?;
        let bytes = repo.find_blob(blob)?.content().to_vec();
        let content = if message.sealed {
            self.sealer(&message.path)?
                .open(&place(&message.server, &message.path), &bytes)
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

fn branch_of(server: &str) -> Result<String, SnapshotError> {
    Ok(format!("refs/heads/{}", names::branch(server)?))
}

/// What sealed content is bound to.
fn place(server: &str, path: &str) -> String {
    format!("{}:{}", names::line(server), names::line(path))
}

fn held(error: &git2::Error) -> bool {
    error.code() == ErrorCode::Locked
        || (error.class() == ErrorClass::Os && error.message().contains(".lock"))
}

fn contended(change: &Change<'_>) -> SnapshotError {
    SnapshotError::Contended {
        server: change.server.to_owned(),
    }
}
