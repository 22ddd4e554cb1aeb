//! What the server says about a file.
//!
//! Invariant: a kind or mode that the server did not send is not invented: such
//! a file counts as [`FileKind::Other`]. It deliberately knows nothing of ACLs,
//! extended attributes and links' counts, which SFTP version 3 cannot carry.

use russh_sftp::protocol::FileAttributes;

/// Kind of a file, from the type bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, pipe, socket, or unknown.
    Other,
}

/// Attributes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attrs {
    /// Kind.
    pub kind: FileKind,
    /// Size in bytes; 0 if unknown.
    pub size: u64,
    /// Permission bits with set-id and sticky bits, at most 0o7777.
    pub mode: u32,
    /// Time of the last modification, in seconds since 1970 UTC.
    pub mtime: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Name of the owner, where the server said it.
    pub owner: Option<String>,
    /// Name of the group, where the server said it.
    pub group: Option<String>,
}

/// Longest name of an owner or a group, in bytes: those of directory services
/// have a domain in front.
pub(super) const MAX_ACCOUNT: usize = 256;

/// Type bits of a POSIX mode.
const TYPE_MASK: u32 = 0o170_000;

impl From<&FileAttributes> for Attrs {
    fn from(raw: &FileAttributes) -> Self {
        let mode = raw.permissions.unwrap_or(0);
        let kind = match mode & TYPE_MASK {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Other,
        };
        Self {
            kind,
            size: raw.size.unwrap_or(0),
            mode: mode & 0o7777,
            mtime: u64::from(raw.mtime.unwrap_or(0)),
            uid: raw.uid.unwrap_or(u32::MAX),
            gid: raw.gid.unwrap_or(u32::MAX),
            owner: None,
            group: None,
        }
    }
}

/// Owner and group from the `ls -l` line that servers send with a name. It is
/// meant for people (draft-ietf-secsh-filexfer-02 section 7), so it counts only
/// if it has exactly the eight columns OpenSSH writes before the name.
pub(super) fn names_in_longname(longname: &str, name: &str) -> Option<(String, String)> {
    let columns: Vec<&str> = longname
        .strip_suffix(name)?
        .split_ascii_whitespace()
        .collect();
    let [permissions, _, owner, group, size, ..] = columns.as_slice() else {
        return None;
    };
    let shaped = columns.len() == 8
        && permissions.len() >= 10
        && size.bytes().all(|byte| byte.is_ascii_digit());
    // A number is what the server writes when it knows no name.
    let is_name = |word: &str| {
        word.len() <= MAX_ACCOUNT && !word.bytes().all(|byte| byte.is_ascii_digit()) && word != "?"
    };
    (shaped && is_name(owner) && is_name(group)).then(|| ((*owner).to_owned(), (*group).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_the_known_form_only() {
        let table = [
            (
                "-rw-r--r--    1 root     adm          1234 Jan  1 00:00 a b",
                "a b",
                Some(("root", "adm")),
            ),
            (
                "lrwxrwxrwx    1 root     root            7 Jan  1  2024 x",
                "x",
                Some(("root", "root")),
            ),
            (
                "-rw-r--r--    ? 0        0            1234 Jan  1 00:00 f",
                "f",
                None,
            ),
            (
                "-rw-r--r--    1 two words domain users 1 Jan  1 00:00 f",
                "f",
                None,
            ),
            ("anything else", "else", None),
            (
                "-rw-r--r--    1 root     adm          1234 Jan  1 00:00 f",
                "g",
                None,
            ),
            ("", "", None),
        ];
        for (longname, name, expected) in table {
            let expected =
                expected.map(|(owner, group): (&str, &str)| (owner.to_owned(), group.to_owned()));
            assert_eq!(names_in_longname(longname, name), expected, "{longname}");
        }
    }

    #[test]
    fn kinds_come_from_type_bits() {
        let table = [
            (Some(0o100_644), FileKind::File, 0o644),
            (Some(0o104_755), FileKind::File, 0o4755),
            (Some(0o041_777), FileKind::Directory, 0o1777),
            (Some(0o120_777), FileKind::Symlink, 0o777),
            (Some(0o020_600), FileKind::Other, 0o600),
            (Some(0o060_600), FileKind::Other, 0o600),
            (Some(0o010_600), FileKind::Other, 0o600),
            (Some(0o140_600), FileKind::Other, 0o600),
            (None, FileKind::Other, 0),
        ];
        for (permissions, kind, mode) in table {
            let raw = FileAttributes {
                permissions,
                ..FileAttributes::default()
            };
            let attrs = Attrs::from(&raw);
            assert_eq!((attrs.kind, attrs.mode), (kind, mode), "{permissions:?}");
        }
    }
}
