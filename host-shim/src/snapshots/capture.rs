//! Keeping states: what a file was before a change, and what the change made of
//! it.
//!
//! Invariants: when a state is acknowledged, its content can be read back from the
//! disk and is what was handed in; the branch is moved by comparing it with what it
//! was, so that somebody who works on the repository with git at the same time is
//! noticed. Objects and references are fsynced. It does not look at servers; states
//! are handed to it.

use std::borrow::Cow;
use std::fs;
use std::thread;
use std::time::Duration;

use git2::{ErrorClass, ErrorCode, ObjectType, OdbLookupFlags, Oid, Signature};

use super::error::SnapshotError;
use super::history::{self, Kept};
use super::message::{self, Kind, Message};
use super::names;
use super::objects::Objects;
use super::seal;
use super::state::{Change, FileState, Sealer};
use super::store::Snapshots;
use super::tree;
use crate::fault::{self, Point};
use crate::journal::sha256_hex;

/// How often a branch that somebody else moved, or holds, is tried again.
const TRIES: u32 = 50;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(20);

/// Where a kept state is found again, and what was noticed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Whether the file had been changed by somebody else since it was last
    /// seen.
    pub drift: bool,
}

/// What the newest kept state of a file says about the file of now.
enum Known {
    /// It is that state.
    Still,
    /// It is that state, which has to be kept anew: it cannot be read back any more,
    /// or is secret now and was not, or the other way round.
    Anew,
    /// It is another.
    Changed,
}

/// A state on its way to becoming a commit.
struct Addition<'a> {
    change: &'a Change<'a>,
    kind: Kind,
    /// What was kept of the file before.
    prior: Option<&'a Message>,
}

impl Snapshots {
    /// Keeps a file as it is before a change; on disk when it returns. A file
    /// that is as it was last seen needs no new commit.
    ///
    /// # Errors
    /// [`SnapshotError`] where the state was not kept so that it can be read back;
    /// the change must not happen then.
    pub fn before(&self, change: &Change<'_>) -> Result<SnapshotRef, SnapshotError> {
        self.keep(change, |repo, last| {
            Ok(match last {
                None => Some(Kind::Before),
                Some(last) => match self.compare(repo, last, change)? {
                    Known::Still => None,
                    Known::Anew => Some(Kind::Before),
                    Known::Changed => Some(Kind::Drift),
                },
            })
        })
    }

    /// Keeps a file as a change left it.
    ///
    /// # Errors
    /// The change has happened; only its record here is missing.
    pub fn after(&self, change: &Change<'_>) -> Result<SnapshotRef, SnapshotError> {
        let kind = if change.undo { Kind::Undo } else { Kind::After };
        self.keep(change, |_, _| Ok(Some(kind)))
    }

    /// As [`Snapshots::after`], for a change that was interrupted: nothing is added
    /// where the newest of the file is not `before`, the commit of the state the
    /// change began with.
    ///
    /// # Errors
    /// As [`Snapshots::after`].
    pub fn after_unless_moved(
        &self,
        change: &Change<'_>,
        before: &str,
    ) -> Result<SnapshotRef, SnapshotError> {
        let kind = if change.undo { Kind::Undo } else { Kind::After };
        self.keep(change, |_, last| {
            Ok(last
                .is_some_and(|last| last.id.to_string() == before)
                .then_some(kind))
        })
    }

    /// Adds a commit of the kind that `decide` says; none where the newest is
    /// good enough.
    fn keep(
        &self,
        change: &Change<'_>,
        decide: impl Fn(&Objects, Option<&Kept>) -> Result<Option<Kind>, SnapshotError>,
    ) -> Result<SnapshotRef, SnapshotError> {
        self.check(change)?;
        let branch = names::reference(change.server)?;
        let mut store = self.store();
        let _guard = self.turn()?;
        for attempt in 0..TRIES {
            let (repo, index, tip) = store.branch(&branch)?;
            let last = history::latest(repo, index, change.path, None)?;
            let kind = match (decide(repo, last.as_ref())?, &last) {
                (Some(kind), _) => kind,
                (None, Some(last)) => {
                    return Ok(SnapshotRef {
                        commit: last.id.to_string(),
                        drift: false,
                    });
                }
                (None, None) => Kind::Before,
            };
            let addition = Addition {
                change,
                kind,
                prior: last.as_ref().map(|last| &last.message),
            };
            if let Some(commit) = self.commit(repo, &branch, tip, &addition, attempt)? {
                index.add(change.path, commit);
                // What the file lacks, the next process reads from the commits.
                let _ = index.save();
                return Ok(SnapshotRef {
                    commit: commit.to_string(),
                    drift: kind == Kind::Drift,
                });
            }
        }
        Err(SnapshotError::Contended {
            server: change.server.to_owned(),
        })
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

    pub(super) fn sealer(&self, path: &str) -> Result<&dyn Sealer, SnapshotError> {
        self.shared
            .sealer
            .as_deref()
            .ok_or_else(|| SnapshotError::Seal {
                path: path.to_owned(),
                reason: "there is no key to seal it with".to_owned(),
            })
    }

    /// Compares a file with what was last kept of it.
    fn compare(
        &self,
        repo: &Objects,
        last: &Kept,
        change: &Change<'_>,
    ) -> Result<Known, SnapshotError> {
        let message = &last.message;
        let content = match (&change.state, &message.metadata) {
            (FileState::Absent, None) => return Ok(Known::Still),
            (FileState::Present { content, metadata }, Some(kept)) if metadata.same_as(kept) => {
                content
            }
            _ => return Ok(Known::Changed),
        };
        if let Some((_, sha256)) = &message.content
            && *sha256 != sha256_hex(content)
        {
            return Ok(Known::Changed);
        }
        // To say that it is kept already is a promise that it can be had again.
        match self.state(repo, last) {
            Ok(FileState::Present { content: kept, .. }) if kept == *content => {
                let as_secret = change.secret == message.sealed;
                Ok(if as_secret { Known::Still } else { Known::Anew })
            }
            Ok(_) => Ok(Known::Changed),
            Err(SnapshotError::Corrupt { .. } | SnapshotError::Git(_)) => Ok(Known::Anew),
            Err(error) => Err(error),
        }
    }

    /// The object that holds a content.
    fn blob(
        &self,
        repo: &Objects,
        change: &Change<'_>,
    ) -> Result<Option<(Oid, u32)>, SnapshotError> {
        let FileState::Present { content, metadata } = &change.state else {
            return Ok(None);
        };
        let bytes = if change.secret {
            let place = seal::place(change.server, change.path);
            let sealed = self
                .sealer(change.path)?
                .seal(&place, content)
                .map_err(|reason| SnapshotError::Seal {
                    path: change.path.to_owned(),
                    reason,
                })?;
            Cow::Owned(seal::dress(&sealed))
        } else {
            Cow::Borrowed(content.as_ref())
        };
        Ok(Some((write_blob(repo, &bytes)?, metadata.mode)))
    }

    /// Adds a commit; none where the branch moved meanwhile.
    fn commit(
        &self,
        repo: &Objects,
        branch: &str,
        tip: Option<Oid>,
        addition: &Addition<'_>,
        attempt: u32,
    ) -> Result<Option<Oid>, SnapshotError> {
        let Addition {
            change,
            kind,
            prior,
        } = *addition;
        let refused = |error| SnapshotError::io(repo.git().path(), &error);
        fault::check(Point::SnapshotBefore).map_err(refused)?;
        let blob = self.blob(repo, change)?;
        fault::reach(Point::SnapshotBlob);
        let parent = tip.map(|tip| repo.commit(tip)).transpose()?;
        let before = parent.as_ref().map(|parent| repo.tree(parent.tree_id()));
        let before = before.transpose()?;
        let segments = names::segments(change.path)?;
        let root = match tree::put(repo, before.as_ref(), &segments, blob)? {
            Some(root) => root,
            None => repo.git().treebuilder(None)?.write()?,
        };
        fault::reach(Point::SnapshotTree);
        let author = Signature::now("openshell", "openshell@localhost")?;
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let text = message::compose(change, kind, prior);
        let commit =
            repo.git()
                .commit(None, &author, &author, &text, &repo.tree(root)?, &parents)?;
        fault::check(Point::SnapshotCommit).map_err(refused)?;
        let subject = text.lines().next().unwrap_or_default();
        let moved = match tip {
            Some(tip) => repo
                .git()
                .reference_matching(branch, commit, true, tip, subject),
            None => repo.git().reference(branch, commit, false, subject),
        };
        match moved.map(|_| commit) {
            Ok(commit) => {
                fault::reach(Point::SnapshotMoved);
                if tip.is_none() && repo.git().head().is_err() {
                    // Only so that git without a branch name shows something.
                    let _ = repo.git().set_head(branch);
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
                    let lock = repo.git().path().join(format!("{branch}.lock"));
                    fs::remove_file(&lock).map_err(|error| SnapshotError::io(&lock, &error))?;
                }
                thread::sleep(PAUSE);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes a content, or finds it intact: git takes an object of the same name
/// for the object, whatever a crash left in its file.
fn write_blob(repo: &Objects, bytes: &[u8]) -> Result<Oid, SnapshotError> {
    let odb = repo.git().odb()?;
    let id = Oid::hash_object(ObjectType::Blob, bytes)?;
    if odb.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
        let whole = repo.guard(id).is_ok();
        if whole && odb.read(id).is_ok_and(|object| object.data() == bytes) {
            return Ok(id);
        }
        // What is there is not what its name says; the content at hand is.
        fs::remove_file(repo.loose(id)).map_err(|_| SnapshotError::Corrupt {
            commit: history::short(id),
            what: "the object is damaged inside a pack".to_owned(),
        })?;
        odb.refresh()?;
    }
    Ok(odb.write(ObjectType::Blob, bytes)?)
}

fn held(error: &git2::Error) -> bool {
    error.code() == ErrorCode::Locked
        || (error.class() == ErrorClass::Os && error.message().contains(".lock"))
}
