//! Remote paths as paths in a tree, and server ids as branch names.
//!
//! Reversible and readable: a segment stays as it is unless git refuses it.
//! What git refuses, and the percent sign itself, is percent-encoded; an empty
//! segment is `%00`, since no path holds a NUL.
//!
//! Invariant: two paths never share a name in a tree, and none leaves it. Whether a
//! path exists is not asked.

use std::fmt::Write as _;

use super::error::SnapshotError;

/// Longest path, in bytes (PATH_MAX of Linux).
const LONGEST: usize = 4096;

/// The segments of an absolute remote path as names of tree entries.
pub(super) fn segments(path: &str) -> Result<Vec<String>, SnapshotError> {
    let refuse = |reason| {
        Err(SnapshotError::Name {
            name: path.to_owned(),
            reason,
        })
    };
    let Some(rest) = path.strip_prefix('/') else {
        return refuse("it is not an absolute path");
    };
    if path.contains('\0') {
        return refuse("it holds a NUL");
    }
    if rest.is_empty() {
        return refuse("it is the root directory");
    }
    if path.len() > LONGEST {
        return refuse("it is longer than 4096 bytes");
    }
    Ok(rest.split('/').map(segment).collect())
}

fn segment(name: &str) -> String {
    if name.is_empty() {
        return "%00".to_owned();
    }
    let hidden = refused(name);
    let mut out = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        if c == '%' || c.is_control() || (hidden && at == 0) {
            encode(c, &mut out);
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether git could take a segment for `.`, `..` or its own directory, on
/// this or another file system: HFS+ ignores some characters, NTFS ignores
/// trailing dots and blanks, knows streams and short names.
fn refused(name: &str) -> bool {
    let ascii: String = name
        .chars()
        .filter(char::is_ascii)
        .collect::<String>()
        .to_ascii_lowercase();
    let stem = ascii.split([':', '\\']).next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']);
    matches!(name, "." | "..") || stem == ".git" || stem.starts_with("git~") || stem.is_empty()
}

/// The id in the name a server's history is kept under: what a workspace's own
/// servers have behind it tells workspaces apart.
pub fn server_id(history: &str) -> &str {
    history.split('+').next().unwrap_or(history)
}

/// The full name of the branch that holds a server's files.
pub(super) fn reference(server: &str) -> Result<String, SnapshotError> {
    Ok(format!("refs/heads/{}", branch(server)?))
}

/// The server a branch belongs to; none for a branch somebody else made.
pub(super) fn server_of(reference: &str) -> Option<String> {
    let server = decoded(reference.strip_prefix("refs/heads/")?)?;
    (self::reference(&server).ok().as_deref() == Some(reference)).then_some(server)
}

/// A server id as the name of its branch, without `refs/heads/`
/// (git-check-ref-format).
pub(super) fn branch(server: &str) -> Result<String, SnapshotError> {
    if server.is_empty() || server.len() > 200 || server.contains('\0') {
        return Err(SnapshotError::Name {
            name: server.to_owned(),
            reason: "it is no server id",
        });
    }
    let last = server.len() - 1;
    let lock = server.ends_with(".lock");
    let mut out = String::new();
    for (at, c) in server.char_indices() {
        let plain = c.is_ascii_alphanumeric()
            || matches!(c, '_' | '+')
            || (c == '-' && at > 0)
            || (c == '.' && at > 0 && at < last && !server[..at].ends_with('.') && !lock);
        if plain {
            out.push(c);
        } else {
            encode(c, &mut out);
        }
    }
    Ok(out)
}

/// A value as one line of a trailer.
pub(super) fn line(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        // Readers trim a trailer's value, of any white space Unicode knows.
        let edge = c.is_whitespace() && (at == 0 || at + c.len_utf8() == value.len());
        if c == '%' || c.is_control() || edge || matches!(c, '\u{2028}' | '\u{2029}') {
            encode(c, &mut out);
        } else {
            out.push(c);
        }
    }
    out
}

fn encode(c: char, out: &mut String) {
    let mut bytes = [0; 4];
    for byte in c.encode_utf8(&mut bytes).bytes() {
        // Writing to a String cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Takes back the percent-encoding of [`line`]; none where it is not one.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use proptest::prelude::*;

    use super::{branch, decoded, line, segments};

    #[test]
    fn ordinary_paths_stay_readable() {
        assert_eq!(
            segments("/etc/nginx/nginx.conf").unwrap(),
            ["etc", "nginx", "nginx.conf"]
        );
        assert_eq!(segments("/srv/a b/é.txt").unwrap(), ["srv", "a b", "é.txt"]);
        assert_eq!(branch("prod-a").unwrap(), "prod-a");
        assert_eq!(branch("db.eu_1").unwrap(), "db.eu_1");
    }

    #[test]
    fn what_git_refuses_is_encoded() {
        for (path, expected) in [
            ("/a/../b", vec!["a", "%2E.", "b"]),
            ("/a/./b", vec!["a", "%2E", "b"]),
            ("/a//b", vec!["a", "%00", "b"]),
            ("/a/", vec!["a", "%00"]),
            ("/r/.git/config", vec!["r", "%2Egit", "config"]),
            ("/r/.GIT ", vec!["r", "%2EGIT "]),
            ("/r/git~1", vec!["r", "%67it~1"]),
            ("/r/.git::$INDEX", vec!["r", "%2Egit::$INDEX"]),
            ("/100%", vec!["100%25"]),
            ("/a\nb", vec!["a%0Ab"]),
        ] {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
        assert_eq!(branch("-x").unwrap(), "%2Dx");
        assert_eq!(branch("a/b").unwrap(), "a%2Fb");
        assert_eq!(branch("a..b").unwrap(), "a.%2Eb");
        assert_eq!(branch("a.lock").unwrap(), "a%2Elock");
        assert_eq!(branch("a.").unwrap(), "a%2E");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", "etc/passwd", "/", "~/x", "/a\0b"] {
            assert!(segments(path).is_err(), "{path:?}");
        }
    }

    proptest! {
        // Every case makes a repository of its own.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn git_takes_every_segment(path in "/[^\0]{1,40}") {
            let dir = tempfile::tempdir().unwrap();
            let repo = git2::Repository::init_bare(dir.path()).unwrap();
            let blob = repo.blob(b"").unwrap();
            let mut tree = repo.treebuilder(None).unwrap();
            for segment in segments(&path).unwrap() {
                tree.insert(&segment, blob, 0o100_644).unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn encoding_is_reversible(path in "/[^\0]{1,40}") {
            let whole: String = segments(&path)
                .unwrap()
                .iter()
                .map(|segment| format!("/{}", decoded(segment).unwrap().replace('\0', "")))
                .collect();
            prop_assert_eq!(whole, path);
        }

        #[test]
        fn lines_are_reversible(text in "[^\0]{0,40}") {
            let line = line(&text);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(line.trim(), line.as_str());
            prop_assert_eq!(decoded(&line).unwrap(), text);
        }

        #[test]
        fn branches_are_valid_names(server in "[^\0]{1,20}") {
            let name = format!("refs/heads/{}", branch(&server).unwrap());
            prop_assert!(git2::Reference::is_valid_name(&name), "{}", name);
            prop_assert_eq!(decoded(&branch(&server).unwrap()).unwrap(), server);
        }
    }
}
