//! One line of a `known_hosts` file.
//!
//! Invariant: a host is compared in the form OpenSSH stores it: lower case,
//! `[host]:port` unless the port is 22. It deliberately keeps key types that we
//! do not implement, since comparing bytes needs no implementation.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::ssh::host_key::{HostKey, decode_base64};

/// What the first word of a line may say about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// The key of a host.
    None,
    /// The key of an authority that signs host certificates.
    CertAuthority,
    /// A key that must not be accepted.
    Revoked,
}

/// A line that names a key.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) marker: Marker,
    pub(super) hosts: String,
    pub(super) key: HostKey,
}

/// A line that is neither empty, a comment nor a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Whether it was meant to take trust away or to give it to an authority.
    pub(super) marked: bool,
    pub(super) reason: &'static str,
}

/// Reads one line; none for an empty line or a comment.
pub(super) fn parse(text: &str) -> Result<Option<Line>, Malformed> {
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let mut first = words.next();
    let marker = match first {
        Some("@cert-authority") => Marker::CertAuthority,
        Some("@revoked") => Marker::Revoked,
        Some(word) if word.starts_with('@') => {
            return Err(Malformed {
                marked: true,
                reason: "unknown marker",
            });
        }
        _ => Marker::None,
    };
    let marked = marker != Marker::None;
    if marked {
        first = words.next();
    }
    let malformed = |reason| Malformed { marked, reason };
    let hosts = first.ok_or(malformed("no host names"))?;
    let key_type = words.next().ok_or(malformed("no key type"))?;
    let data = words.next().ok_or(malformed("no key"))?;
    let blob = decode_base64(data).ok_or(malformed("the key is not base64"))?;
    let key = HostKey::from_blob(blob).map_err(|_| malformed("the key is not a key"))?;
    if key.key_type() != key_type {
        return Err(malformed("the key is of another type than the line says"));
    }
    Ok(Some(Line {
        marker,
        hosts: hosts.to_owned(),
        key,
    }))
}

/// The form in which OpenSSH stores a host: `host`, or `[host]:port`.
pub(super) fn stored_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// Whether a list of host patterns, or one hashed name, covers a stored name.
pub(super) fn hosts_cover(hosts: &str, name: &str) -> bool {
    if hosts.starts_with('|') {
        return hashed_equals(hosts, name);
    }
    let mut covered = false;
    for pattern in hosts.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()) {
            if negated {
                // A negated match ends the list, whatever else matches.
                return false;
            }
            covered = true;
        }
    }
    covered
}

/// `|1|salt|hash` where the hash is HMAC-SHA1 over the stored name.
fn hashed_equals(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed
        .strip_prefix("|1|")
        .and_then(|rest| rest.split_once('|'))
    else {
        return false;
    };
    let (Some(salt), Some(hash)) = (decode_base64(salt), decode_base64(hash)) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else {
        return false;
    };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// `*` and `?` as in `ssh_config(5)` PATTERNS, over bytes, in linear space and
/// without backtracking further than the last `*`.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    p = after;
                    t = from + 1;
                    star = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_covered_as_openssh_covers_them() {
        let table = [
            ("example.org", "example.org", true),
            ("Example.ORG", "example.org", true),
            ("a,example.org,b", "example.org", true),
            ("*.example.org", "www.example.org", true),
            ("*.example.org", "example.org", false),
            ("10.0.0.?", "10.0.0.7", true),
            ("10.0.0.?", "10.0.0.17", false),
            ("*,!secret.example.org", "www.example.org", true),
            ("*,!secret.example.org", "secret.example.org", false),
            ("!secret.example.org,*", "secret.example.org", false),
            ("!secret.example.org", "www.example.org", false),
            ("[example.org]:2222", "[example.org]:2222", true),
            ("example.org", "[example.org]:2222", false),
            ("*", "[example.org]:2222", true),
            ("[*.example.org]:2222", "[a.example.org]:2222", true),
            ("", "example.org", false),
            // ssh-keygen -H made these from `example.org` and `[example.org]:2222`.
            ("|1|AAAA|AAAA", "example.org", false),
            ("|1|broken", "example.org", false),
            ("|2|AAAA|AAAA", "example.org", false),
        ];
        for (hosts, name, expected) in table {
            assert_eq!(hosts_cover(hosts, name), expected, "{hosts} {name}");
        }
    }

    #[test]
    fn globs_do_not_explode() {
        let text = "a".repeat(2000);
        let pattern = "a*".repeat(200) + "b";
        assert!(!glob(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn malformed_lines_say_whether_they_were_about_trust() {
        let table = [
            ("host", false),
            ("host ssh-ed25519", false),
            ("host ssh-ed25519 !!!", false),
            ("host 1024 35 1234567890", false),
            ("@revoked", true),
            ("@revoked host ssh-ed25519 !!!", true),
            ("@later host ssh-ed25519 AAAA", true),
        ];
        for (text, marked) in table {
            let refused = parse(text).err().map(|malformed| malformed.marked);
            assert_eq!(refused, Some(marked), "{text}");
        }
        for text in ["", "  ", "\t", "# host ssh-ed25519 AAAA", "  # x", "\r"] {
            assert!(matches!(parse(text), Ok(None)), "{text:?}");
        }
    }
}
