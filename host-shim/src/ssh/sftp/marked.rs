//! Telling whether a large file still is the one that was written, without reading
//! it again.
//!
//! What SSH carried arrived whole (RFC 4253 section 6.4), so reading a new file back
//! tells only whether somebody else changed it at the same moment. SFTP version 3
//! has no file numbers and knows times to the second, which alone would miss a change
//! within that second. So the new file gets a time of modification some seconds in
//! the past for as long as the rename takes: whatever else is then under its name or
//! was written into it has another one. Its true time comes back right after.
//!
//! Invariant: only a file whose size, owner, mode and marked time are all as they
//! were set counts as unchanged; anything else is read whole. It deliberately leaves
//! short content alone, which is read back in one round trip.

use russh_sftp::protocol::FileAttributes;

use super::attrs::{Attrs, FileKind};
use super::error::SftpError;
use super::handle::Handle;
use super::plan::WritePlan;
use super::session::Sftp;

/// Content from which on a file is marked, in bytes.
pub(super) const LEAST: u64 = 1 << 20;

/// How far in the past the mark lies, in seconds: file systems that know times
/// badly know them to two (FAT).
const BACK: u32 = 10;

/// What a marked file looks like.
pub(super) struct Mark {
    attrs: Attrs,
    /// Its true times, in seconds since 1970.
    accessed: u32,
    modified: u32,
}

/// A file with a mark, open so that the mark can be taken away.
pub(super) struct Marked<'a> {
    handle: Handle<'a>,
    mark: Mark,
}

impl Mark {
    /// The mark for a file that is otherwise finished, from what the server says of
    /// it: everything must have arrived. None where the server knows no times.
    pub(super) fn of(told: &FileAttributes, plan: &WritePlan) -> Result<Option<Self>, SftpError> {
        let now = Attrs::from(told);
        let wrote = plan.content.len() as u64;
        if now.size != wrote {
            return Err(SftpError::NotAsPlanned {
                path: plan.path.clone(),
                reason: format!("the server kept {} of {wrote} bytes", now.size),
            });
        }
        let (Some(accessed), Some(modified)) = (told.atime, told.mtime) else {
            return Ok(None);
        };
        let (uid, gid) = plan.owner.unwrap_or((now.uid, now.gid));
        Ok(Some(Self {
            attrs: Attrs {
                mtime: u64::from(modified.saturating_sub(BACK)),
                mode: plan.mode & 0o7777,
                uid,
                gid,
                ..now
            },
            accessed,
            modified,
        }))
    }

    /// What sets it.
    pub(super) fn times(&self) -> FileAttributes {
        times(self.accessed, self.modified.saturating_sub(BACK))
    }
}

impl Sftp {
    /// Whether the file of this name is the marked one and holds what was written.
    /// Takes the mark away, unless a change by somebody else has done so.
    pub(super) async fn is_marked(&self, marked: Marked<'_>, path: &str) -> bool {
        let Marked { handle, mark } = marked;
        let now = self.lstat_plain(path).await;
        let unchanged = matches!(now, Ok(Some(now)) if same(&now, &mark.attrs));
        let stands = unchanged || {
            let now = self.ask(|raw| raw.fstat(handle.name.as_str())).await;
            now.is_ok_and(|now| Attrs::from(&now.attrs).mtime == mark.attrs.mtime)
        };
        // Where this fails the file's time is some seconds off, and nothing else.
        let back = times(mark.accessed, mark.modified);
        let restored = !stands || self.set(&handle, path, back).await.is_ok();
        unchanged && restored
    }

    /// Whether an open file that was compared before the change cannot have been
    /// changed since: it is as it was, and its time is not of the seconds in which a
    /// change could have left the same one. `written` is a time of the server from
    /// before the comparison.
    pub(super) async fn is_as_compared(
        &self,
        old: &Handle<'_>,
        then: &Attrs,
        written: u32,
    ) -> bool {
        let now = self.ask(|raw| raw.fstat(old.name.as_str())).await;
        let long_ago = then.mtime.saturating_add(2) < u64::from(written);
        long_ago && now.is_ok_and(|now| same(&Attrs::from(&now.attrs), then))
    }
}

impl<'a> Marked<'a> {
    pub(super) fn new(handle: Handle<'a>, mark: Mark) -> Self {
        Self { handle, mark }
    }

    /// When the last of its content was written, by the server's clock, in seconds
    /// since 1970.
    pub(super) fn written(&self) -> u32 {
        self.mark.modified
    }
}

fn same(now: &Attrs, then: &Attrs) -> bool {
    now.kind == FileKind::File
        && (now.size, now.mtime) == (then.size, then.mtime)
        && (now.uid, now.gid, now.mode) == (then.uid, then.gid, then.mode)
}

fn times(accessed: u32, modified: u32) -> FileAttributes {
    FileAttributes {
        atime: Some(accessed),
        mtime: Some(modified),
        ..FileAttributes::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_only_with_everything_the_same() {
        let then = Attrs::from(&FileAttributes {
            size: Some(7),
            uid: Some(1),
            gid: Some(2),
            permissions: Some(0o100_644),
            mtime: Some(90),
            ..FileAttributes::empty()
        });
        assert!(same(&then.clone(), &then));
        let others: [fn(&mut Attrs); 6] = [
            |now| now.size += 1,
            |now| now.mtime += u64::from(BACK),
            |now| now.uid += 1,
            |now| now.gid += 1,
            |now| now.mode = 0o600,
            |now| now.kind = FileKind::Symlink,
        ];
        for other in others {
            let mut now = then.clone();
            other(&mut now);
            assert!(!same(&now, &then), "{now:?}");
        }
    }
}
