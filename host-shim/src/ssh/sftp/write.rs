//! Replacing and creating files.
//!
//! Invariant: until the rename the target is untouched, and a failure leaves no
//! temporary file behind or says which one; the content is compared with
//! what was expected right before the change, and right after it what was written is
//! read back or, where it is large, told by its attributes ([`marked`]). SFTP version 3
//! has no compare-and-swap, so a change in between cannot be refused;
//! it is kept and reported. It deliberately changes no directory.

use std::time::Instant;

use futures::stream::{FuturesUnordered, StreamExt};
use russh_sftp::protocol::{FileAttributes, OpenFlags};
use sha2::{Digest, Sha256};

use super::attrs::{Attrs, FileKind};
use super::error::SftpError;
use super::flow::{Direction, Flow};
use super::handle::Handle;
use super::marked::{self, Mark, Marked};
use super::plan::{Expect, FileAccess, POSIX_RENAME, WriteKind, WritePlan, split};
use super::session::Sftp;
use super::temporary::Temporary;
use crate::fault::{self, Point};
use crate::ssh::error::SshError;

/// Write requests to begin with: short content is all under way at once.
const FIRST_DEPTH: usize = 16;

/// Largest content written or compared, in bytes; the operator sets a lower limit
/// for changes.
const MAX_CONTENT: u64 = 256 << 20;

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Whether the file was renamed into place.
    pub atomic: bool,
    /// SHA-256 of the content written, in lower-case hexadecimal.
    pub sha256: String,
    /// Whether the file did not exist before.
    pub created: bool,
    /// Content of somebody else that met ours.
    pub drift: Option<Drift>,
    /// Whether the server confirmed that the content is on its disk.
    pub synced: bool,
}

/// A change by somebody else between our last look and our next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It was there before the rename, and the rename replaced it.
    Overwritten(Vec<u8>),
    /// It came after, and is what the file holds now.
    Replaced(Vec<u8>),
    /// The file cannot be read back; the reason.
    Unreadable(String),
}

/// A file that is ready to be put in place.
struct Filled<'a> {
    /// Of its content, in lower-case hexadecimal.
    sha256: String,
    /// Whether its content is known to be on disk.
    synced: bool,
    /// Its mark, where it is large.
    marked: Option<Marked<'a>>,
}

/// A file that was put in the place of another, or of nothing.
struct Exchanged<'a> {
    new: Filled<'a>,
    /// The replaced file, still open so that it can be looked at once more, and how
    /// it was when it was compared.
    old: Option<(Handle<'a>, Attrs)>,
}

impl Sftp {
    /// Carries out a plan.
    ///
    /// # Errors
    /// [`SftpError::Conflict`] and [`SftpError::NotAsPlanned`] with nothing
    /// written; [`SftpError::Incomplete`] and [`SftpError::Lost`] with `changed`
    /// where something may have been; anything else before anything was.
    pub async fn write_atomic(&self, plan: &WritePlan) -> Result<WriteOutcome, SshError> {
        split(&plan.path)?;
        if plan.content.len() as u64 > MAX_CONTENT {
            return Err(SftpError::TooLarge {
                path: plan.path.clone(),
                size: plan.content.len() as u64,
                limit: MAX_CONTENT,
            }
            .into());
        }
        let outcome = match plan.kind {
            WriteKind::Atomic => self.replace(plan).await?,
            WriteKind::InPlace => self.rewrite(plan).await?,
        };
        Ok(outcome)
    }

    async fn replace(&self, plan: &WritePlan) -> Result<WriteOutcome, SftpError> {
        let temporary = Temporary::new(self, plan)?;
        let Exchanged { new, old } = match self.exchange(&temporary, plan).await {
            Ok(done) => done,
            Err(error) => return Err(temporary.remove_after(error).await),
        };
        fault::reach(Point::Renamed);
        let Filled {
            sha256,
            synced,
            marked,
        } = new;
        let written = marked.as_ref().map(Marked::written);
        let unchanged = match marked {
            Some(marked) => self.is_marked(marked, &plan.path).await,
            None => false,
        };
        let mut drift = match unchanged {
            true => None,
            false => self.read_back(plan, &sha256).await,
        };
        fault::reach(Point::ReadBack);
        if drift.is_none()
            && let (Some((old, then)), Expect::Sha256(expected)) = (old, &plan.expect)
        {
            let as_compared = match written {
                Some(written) => self.is_as_compared(&old, &then, written).await,
                None => false,
            };
            if !as_compared {
                drift = self.overwritten(&old, plan, expected).await;
            }
        }
        Ok(WriteOutcome {
            atomic: true,
            sha256,
            created: plan.expect == Expect::Absent,
            drift,
            synced,
        })
    }

    /// Everything up to the rename.
    async fn exchange(
        &self,
        temporary: &Temporary<'_>,
        plan: &WritePlan,
    ) -> Result<Exchanged<'_>, SftpError> {
        let new = self.fill(temporary, plan).await?;
        let old = self.compare(plan).await?;
        fault::reach(Point::Compared);
        self.rename(temporary, plan).await?;
        temporary.is_gone();
        Ok(Exchanged { new, old })
    }

    /// Writes the temporary file with the final owner and mode.
    async fn fill(
        &self,
        temporary: &Temporary<'_>,
        plan: &WritePlan,
    ) -> Result<Filled<'_>, SftpError> {
        let path = temporary.path();
        let as_planned = |error: SftpError, step: &str| match error {
            lost @ SftpError::Lost { .. } => lost,
            error => SftpError::NotAsPlanned {
                path: plan.path.clone(),
                reason: format!("{step}: {error}"),
            },
        };
        fault::reach(Point::TemporaryBefore);
        temporary.may_exist();
        let handle = self
            .open_raw(
                path,
                OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE,
                mode_only(0o600),
            )
            .await
            .inspect_err(|error| {
                if !matches!(error, SftpError::Lost { .. }) {
                    temporary.is_gone();
                }
            })
            .map_err(|error| match error {
                lost @ SftpError::Lost { .. } => lost,
                // Nothing was there to be kept, so there is no other plan.
                SftpError::PermissionDenied { .. } if plan.expect == Expect::Absent => {
                    SftpError::PermissionDenied {
                        path: plan.path.clone(),
                    }
                }
                error => as_planned(error, "creating a file beside it"),
            })?;
        fault::reach(Point::TemporaryOpened);
        let sha256 = self.push(&handle, path, &plan.content).await?;
        fault::reach(Point::DataWritten);
        let large = plan.content.len() as u64 >= marked::LEAST;
        let mut mark = None;
        if plan.owner.is_some() || large {
            let reply = self.ask(|raw| raw.fstat(handle.name.as_str())).await;
            let told = reply.map_err(|error| self.fail(error, path))?.attrs;
            let now = Attrs::from(&told);
            if large {
                mark = Mark::of(&told, plan)?;
            }
            if let Some((uid, gid)) = plan.owner.filter(|owner| *owner != (now.uid, now.gid)) {
                let attrs = FileAttributes {
                    uid: Some(uid),
                    gid: Some(gid),
                    ..FileAttributes::empty()
                };
                self.set(&handle, path, attrs)
                    .await
                    .map_err(|error| as_planned(error, "keeping owner and group"))?;
            }
        }
        // After the owner: changing that clears set-id bits. The server takes one after
        // the other, so nothing waits for the answers in between.
        let attrs = mark
            .as_ref()
            .map_or_else(FileAttributes::empty, Mark::times);
        let attrs = FileAttributes {
            permissions: Some(plan.mode & 0o7777),
            ..attrs
        };
        let set = self.set(&handle, path, attrs);
        let (set, synced) = futures::future::join(set, self.sync(&handle, path)).await;
        if let Err(error) = set {
            if mark.take().is_none() || matches!(error, SftpError::Lost { .. }) {
                return Err(as_planned(error, "setting the mode"));
            }
            // The server may not take times.
            self.set(&handle, path, mode_only(plan.mode))
                .await
                .map_err(|error| as_planned(error, "setting the mode"))?;
        }
        fault::reach(Point::ModeSet);
        let synced = synced?;
        fault::reach(Point::RemoteSynced);
        match mark {
            // Open for as long as it is marked.
            Some(mark) => Ok(Filled {
                sha256,
                synced,
                marked: Some(Marked::new(handle, mark)),
            }),
            None => {
                handle.close(path).await?;
                Ok(Filled {
                    sha256,
                    synced,
                    marked: None,
                })
            }
        }
    }

    /// Looks once more at what is about to be replaced.
    pub(super) async fn compare(
        &self,
        plan: &WritePlan,
    ) -> Result<Option<(Handle<'_>, Attrs)>, SftpError> {
        let conflict = |found: String| SftpError::Conflict {
            path: plan.path.clone(),
            found,
        };
        // A link put in place of a directory would lead the rename elsewhere.
        let (parent, _) = split(&plan.path)?;
        let looks = futures::future::join(self.realpath(parent), self.lstat_plain(&plan.path));
        let (resolved, now) = looks.await;
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(SshError::Sftp(error)) => return Err(error),
            Err(error) => return Err(conflict(error.to_string())),
        };
        if resolved != parent {
            return Err(conflict(format!("its directory is now {resolved}")));
        }
        match (&plan.expect, now?) {
            (Expect::Absent, None) => Ok(None),
            (Expect::Absent, Some(_)) => Err(conflict("it exists now".to_owned())),
            (Expect::Sha256(_), None) => Err(conflict("it is gone".to_owned())),
            (Expect::Sha256(_), Some(now)) if now.kind != FileKind::File => {
                Err(conflict("it is no regular file any more".to_owned()))
            }
            (Expect::Sha256(expected), Some(now)) => {
                if now.size > MAX_CONTENT {
                    return Err(conflict(format!("it has {} bytes now", now.size)));
                }
                let flags = OpenFlags::READ;
                let empty = FileAttributes::empty();
                let handle = self.open_raw(&plan.path, flags, empty).await?;
                let facts = self.facts(&handle, &plan.path);
                let hash = self.hash(&handle, &plan.path, now.size);
                let (attrs, found) = futures::future::join(facts, hash).await;
                let (attrs, found) = (attrs?, found?);
                if found != *expected {
                    return Err(conflict(format!("its SHA-256 is {found}")));
                }
                let now = FileAccess::from(&attrs);
                if let Some(found) = plan.found.filter(|found| *found != now) {
                    return Err(conflict(if found.mode == now.mode {
                        format!("its owner is {}:{} now", now.uid, now.gid)
                    } else {
                        format!("its mode is {:04o} now", now.mode)
                    }));
                }
                Ok(Some((handle, attrs)))
            }
        }
    }

    async fn rename(&self, temporary: &Temporary<'_>, plan: &WritePlan) -> Result<(), SftpError> {
        let changed = |error: SftpError| match error {
            SftpError::Lost { .. } => SftpError::Lost { changed: true },
            error => error,
        };
        fault::reach(Point::RenameBefore);
        if plan.expect == Expect::Absent {
            // SSH_FXP_RENAME fails if the new name exists: OpenSSH makes a hard
            // link, which is as exclusive as it gets.
            let request = self.ask(|raw| raw.rename(temporary.path(), plan.path.as_str()));
            let reply = fault::started(request, Point::RenameSent).await;
            return match reply.map_err(|error| changed(self.fail(error, &plan.path))) {
                Ok(_) => Ok(()),
                Err(SftpError::Failure { .. })
                    if matches!(self.lstat_plain(&plan.path).await, Ok(Some(_))) =>
                {
                    Err(SftpError::Conflict {
                        path: plan.path.clone(),
                        found: "it exists now".to_owned(),
                    })
                }
                Err(error) => Err(error),
            };
        }
        if !self.offers(POSIX_RENAME) {
            return Err(SftpError::NotAsPlanned {
                path: plan.path.clone(),
                reason: format!("the server does not offer {POSIX_RENAME}"),
            });
        }
        let names = [temporary.path(), plan.path.as_str()];
        let request = self.extended_status(POSIX_RENAME, &names, &plan.path);
        fault::started(request, Point::RenameSent)
            .await
            .map_err(changed)
    }

    /// What the file holds now, if it is not what was written.
    pub(super) async fn read_back(&self, plan: &WritePlan, sha256: &str) -> Option<Drift> {
        match self.read_whole_plain(&plan.path, MAX_CONTENT).await {
            Ok((content, _)) if hex_sha256(&content) == sha256 => None,
            Ok((content, _)) => Some(Drift::Replaced(content)),
            Err(error) => Some(Drift::Unreadable(error.to_string())),
        }
    }

    /// What the replaced file held, if it changed after it was compared.
    async fn overwritten(
        &self,
        old: &Handle<'_>,
        plan: &WritePlan,
        expected: &str,
    ) -> Option<Drift> {
        let size = plan.content.len() as u64;
        match self.hash(old, &plan.path, size).await {
            Ok(found) if found == *expected => return None,
            Ok(_) => {}
            Err(error) => return Some(Drift::Unreadable(error.to_string())),
        }
        let mut content = Vec::new();
        let take = |piece: &[u8]| content.extend_from_slice(piece);
        let read = self.pull(old, &plan.path, 0, MAX_CONTENT, size, take).await;
        Some(match read {
            Ok(()) => Drift::Overwritten(content),
            Err(error) => Drift::Unreadable(error.to_string()),
        })
    }

    /// SHA-256 of an open file, which is not held for that.
    async fn hash(&self, handle: &Handle<'_>, path: &str, size: u64) -> Result<String, SftpError> {
        let mut hash = Sha256::new();
        let take = |piece: &[u8]| hash.update(piece);
        self.pull(handle, path, 0, MAX_CONTENT + 1, size, take)
            .await?;
        Ok(hex(&hash.finalize()))
    }

    /// Writes content from the beginning of an open file, and returns its SHA-256,
    /// worked out while the content is on its way.
    pub(super) async fn push(
        &self,
        handle: &Handle<'_>,
        path: &str,
        content: &[u8],
    ) -> Result<String, SftpError> {
        let mut flow = Flow::new(self.limits(), Direction::Write, FIRST_DEPTH);
        let longest = usize::try_from(flow.chunk()).unwrap_or(usize::MAX);
        let mut pieces = content.chunks(longest);
        let mut offset = 0;
        let mut pending = FuturesUnordered::new();
        let mut hash = Sha256::new();
        let mut hashed = content.chunks(longest);
        loop {
            while pending.len() < flow.depth()
                && let Some(piece) = pieces.next()
            {
                let (name, at) = (handle.name.as_str(), offset);
                let request = self.ask(move |raw| raw.write(name, at, piece.to_vec()));
                let asked_at = Instant::now();
                pending.push(async move { (request.await, asked_at.elapsed()) });
                offset += piece.len() as u64;
            }
            let full = pending.len() >= flow.depth();
            let Some((reply, after)) = pending.next().await else {
                hashed.for_each(|piece| hash.update(piece));
                return Ok(hex(&hash.finalize()));
            };
            // One piece for each answer: the others are under way meanwhile.
            if let Some(piece) = hashed.next() {
                hash.update(piece);
            }
            reply.map_err(|error| self.fail(error, path))?;
            flow.answered(after, full);
            fault::reach(Point::DataPart);
        }
    }

    pub(super) async fn set(
        &self,
        handle: &Handle<'_>,
        path: &str,
        attrs: FileAttributes,
    ) -> Result<(), SftpError> {
        let reply = self
            .ask(|raw| raw.fsetstat(handle.name.as_str(), attrs))
            .await;
        reply.map_err(|error| self.fail(error, path)).map(|_| ())
    }

    /// `fsync@openssh.com` where it is offered; whether it was done.
    pub(super) async fn sync(&self, handle: &Handle<'_>, path: &str) -> Result<bool, SftpError> {
        if !self.offers("fsync@openssh.com") {
            return Ok(false);
        }
        fault::reach(Point::RemoteSyncBefore);
        let reply = self.ask(|raw| raw.fsync(handle.name.as_str())).await;
        reply.map_err(|error| self.fail(error, path)).map(|_| true)
    }
}

pub(super) fn mode_only(mode: u32) -> FileAttributes {
    FileAttributes {
        permissions: Some(mode & 0o7777),
        ..FileAttributes::empty()
    }
}

pub(super) fn hex_sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
