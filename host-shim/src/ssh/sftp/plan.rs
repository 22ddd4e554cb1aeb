//! What a write is to do, and whether it can be atomic.
//!
//! Invariant: the prediction is made without touching the server's files, and a
//! write that turns out otherwise fails instead of taking the other way. It
//! deliberately believes mode bits only: ACLs cannot be seen over SFTP, which is
//! why the prediction can be wrong, and why the write checks.

use std::fmt;

use super::attrs::{Attrs, FileKind};
use super::error::SftpError;
use super::session::Sftp;
use crate::ssh::account::Account;
use crate::ssh::error::SshError;

/// A write, decided in every detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePlan {
    /// Absolute name after every symbolic link was followed.
    pub path: String,
    /// The whole new content.
    pub content: Vec<u8>,
    /// Permission bits the file shall have, at most 0o7777.
    pub mode: u32,
    /// Owner and group the file shall have; none for those of the login.
    pub owner: Option<(u32, u32)>,
    /// Mode and owner the file must have now; none where that is no matter.
    pub found: Option<FileAccess>,
    /// What the file must be now.
    pub expect: Expect,
    /// The way that was predicted and agreed to.
    pub kind: WriteKind,
    /// What the new file is called until it is complete, by [`temporary_name`].
    ///
    /// [`temporary_name`]: super::temporary_name
    pub temporary: String,
}

/// Who may do what with a file, as far as its mode and owner say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// Permission bits with set-id and sticky bits, at most 0o7777.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

impl From<&Attrs> for FileAccess {
    fn from(attrs: &Attrs) -> Self {
        Self {
            mode: attrs.mode,
            uid: attrs.uid,
            gid: attrs.gid,
        }
    }
}

impl fmt::Display for FileAccess {
    /// As `stat -c '%a %u %g'` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o} {} {}", self.mode, self.uid, self.gid)
    }
}

/// The extension that renames over an existing file (OpenSSH `PROTOCOL` section
/// 4.3); `SSH_FXP_RENAME` of version 3 must not.
pub(super) const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// What a file must be for a write to go ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is nothing of this name.
    Absent,
    /// A regular file with this SHA-256, in lower-case hexadecimal.
    Sha256(String),
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// A complete file is renamed into place: readers see the old or the new.
    Atomic,
    /// The file is rewritten where it is: a crash or a reader in between may
    /// find a mixture. Owner, group and hard links stay.
    InPlace,
}

impl Sftp {
    /// Predicts how a resolved path can be written by an account, with the
    /// reason where it is not atomically.
    ///
    /// # Errors
    /// [`SftpError::NotAFile`] for anything but a regular file or nothing, or as
    /// the server answers.
    pub async fn write_plan_kind(
        &self,
        path: &str,
        account: &Account,
    ) -> Result<(WriteKind, Option<&'static str>), SshError> {
        let (parent, _) = split(path)?;
        let file = self.lstat_plain(path).await?;
        let directory = self.stat_plain(parent).await?;
        if directory.kind != FileKind::Directory {
            return Err(SftpError::NotADirectory {
                path: parent.to_owned(),
            }
            .into());
        }
        let Some(file) = file else {
            return Ok((WriteKind::Atomic, None));
        };
        if file.kind != FileKind::File {
            return Err(SftpError::NotAFile {
                path: path.to_owned(),
            }
            .into());
        }
        if !self.offers(POSIX_RENAME) {
            let reason = "the server cannot rename a file over another";
            return Ok((WriteKind::InPlace, Some(reason)));
        }
        Ok(match obstacle(&file, &directory, account) {
            Some(reason) => (WriteKind::InPlace, Some(reason)),
            None => (WriteKind::Atomic, None),
        })
    }
}

/// Why a file cannot be replaced by a new one with its owner and group.
fn obstacle(file: &Attrs, directory: &Attrs, account: &Account) -> Option<&'static str> {
    if account.uid == 0 {
        return None;
    }
    if file.uid != account.uid {
        return Some("the file belongs to another user, whom a new file could not be given to");
    }
    let in_group = file.gid == account.gid || account.groups.contains(&file.gid);
    if !in_group {
        return Some("the file belongs to a group that a new file could not be given to");
    }
    let bits = if directory.uid == account.uid {
        directory.mode >> 6
    } else if directory.gid == account.gid || account.groups.contains(&directory.gid) {
        directory.mode >> 3
    } else {
        directory.mode
    };
    if bits & 0o3 != 0o3 {
        return Some("its directory is not writable");
    }
    None
}

/// Parent and last component of an absolute path.
pub(super) fn split(path: &str) -> Result<(&str, &str), SftpError> {
    let invalid = |reason| SftpError::InvalidPath {
        path: path.to_owned(),
        reason,
    };
    super::session::checked(path)?;
    if !path.starts_with('/') {
        return Err(invalid("the path to write must be absolute"));
    }
    let (parent, name) = path
        .rsplit_once('/')
        .ok_or_else(|| invalid("the path to write must be absolute"))?;
    if matches!(name, "" | "." | "..") {
        return Err(invalid("the path to write must name a file"));
    }
    Ok((if parent.is_empty() { "/" } else { parent }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attrs(kind: FileKind, mode: u32, uid: u32, gid: u32) -> Attrs {
        Attrs {
            kind,
            size: 0,
            mode,
            mtime: 0,
            uid,
            gid,
            owner: None,
            group: None,
        }
    }

    #[test]
    fn what_stands_in_the_way_of_a_rename() {
        let root = Account {
            uid: 0,
            gid: 0,
            groups: vec![0],
        };
        let user = Account {
            uid: 7,
            gid: 7,
            groups: vec![7, 8],
        };
        let file = |uid, gid| attrs(FileKind::File, 0o644, uid, gid);
        let dir = |mode, uid, gid| attrs(FileKind::Directory, mode, uid, gid);
        let table = [
            (
                "root may everything",
                file(7, 7),
                dir(0o000, 1, 1),
                &root,
                true,
            ),
            (
                "own file, own directory",
                file(7, 7),
                dir(0o755, 7, 7),
                &user,
                true,
            ),
            (
                "own file, group directory",
                file(7, 8),
                dir(0o775, 0, 8),
                &user,
                true,
            ),
            (
                "own file, open directory",
                file(7, 7),
                dir(0o1777, 0, 0),
                &user,
                true,
            ),
            (
                "own file, closed directory",
                file(7, 7),
                dir(0o755, 0, 0),
                &user,
                false,
            ),
            (
                "own file, directory without x",
                file(7, 7),
                dir(0o666, 7, 7),
                &user,
                false,
            ),
            (
                "owner's bits count, not others'",
                file(7, 7),
                dir(0o077, 7, 7),
                &user,
                false,
            ),
            ("other owner", file(0, 7), dir(0o777, 7, 7), &user, false),
            ("other group", file(7, 0), dir(0o777, 7, 7), &user, false),
        ];
        for (name, file, directory, account, atomic) in table {
            assert_eq!(
                obstacle(&file, &directory, account).is_none(),
                atomic,
                "{name}"
            );
        }
    }

    #[test]
    fn paths_to_write() {
        assert_eq!(split("/a"), Ok(("/", "a")));
        assert_eq!(split("/a/b.c"), Ok(("/a", "b.c")));
        for path in ["", "a", "a/b", "/", "/a/", "/a/..", "/.", "/a\0"] {
            assert!(split(path).is_err(), "{path:?}");
        }
    }
}
