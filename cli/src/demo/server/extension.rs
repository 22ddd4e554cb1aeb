//! The two extensions of SFTP version 3 that atomic writing needs, as
//! OpenSSH's PROTOCOL file, section 4, describes them.
//!
//! Invariant: a request is read whole or not at all. Which file it is about is not
//! judged here: paths are checked where they are used.

use std::collections::HashMap;

/// Replaces the target of a rename, as rename(2) does.
const POSIX_RENAME: &str = "posix-rename@openssh.com";
/// Makes the content of an open file durable.
const FSYNC: &str = "fsync@openssh.com";

/// A request of an extension.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// Rename, replacing the target.
    Rename {
        /// Present path.
        from: String,
        /// Path to be.
        to: String,
    },
    /// Make a file durable.
    Fsync {
        /// Handle of the file.
        handle: String,
    },
}

/// What the server says it can do, with version numbers.
pub(super) fn offered() -> HashMap<String, String> {
    [POSIX_RENAME, FSYNC]
        .into_iter()
        .map(|name| (name.to_owned(), "1".to_owned()))
        .collect()
}

impl Extension {
    /// Reads a request; `None` for an unknown name or malformed data.
    pub(super) fn parse(name: &str, data: &[u8]) -> Option<Self> {
        let mut rest = data;
        let request = match name {
            POSIX_RENAME => Self::Rename {
                from: text(&mut rest)?,
                to: text(&mut rest)?,
            },
            FSYNC => Self::Fsync {
                handle: text(&mut rest)?,
            },
            _ => return None,
        };
        rest.is_empty().then_some(request)
    }
}

/// Takes one string: 32 bits of length, big-endian, and its bytes (RFC 4251,
/// section 5).
fn text(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (bytes, after) = after.split_at_checked(length)?;
    *rest = after;
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::{Extension, FSYNC, POSIX_RENAME};

    #[test]
    fn requests_are_read_whole_or_not_at_all() {
        let rename = Some(Extension::Rename {
            from: "a".into(),
            to: "bc".into(),
        });
        assert_eq!(
            Extension::parse(POSIX_RENAME, b"\0\0\0\x01a\0\0\0\x02bc"),
            rename
        );
        let fsync = Some(Extension::Fsync { handle: "7".into() });
        assert_eq!(Extension::parse(FSYNC, b"\0\0\0\x017"), fsync);
        for (name, data) in [
            (FSYNC, &b""[..]),
            (FSYNC, b"\0\0\0\x02a"),
            (FSYNC, b"\0\0\0\x01ab"),
            (FSYNC, b"\0\0\0\x01\xff"),
            (POSIX_RENAME, b"\0\0\0\x01a"),
            (POSIX_RENAME, b"\xff\xff\xff\xffa"),
            ("limits@openssh.com", b""),
        ] {
            assert_eq!(Extension::parse(name, data), None, "{name} {data:?}");
        }
    }
}
