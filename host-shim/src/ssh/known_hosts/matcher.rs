//! The verdict over an offered host key.
//!
//! Invariant: revocation is looked for in every file before trust is given, and
//! a line whose marker we cannot act upon makes its file unusable rather than
//! weaker. It deliberately does not use the DNS, addresses or SSHFP records.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file;
use super::line::{self, Marker, hosts_cover, stored_name};
use crate::ssh::error::SshError;
use crate::ssh::host_key::HostKey;

/// Lines of every configured file, in order.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    file: PathBuf,
    line: usize,
    content: line::Line,
}

/// What the files say about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the key of this host.
    Known,
    /// Nothing is known about this host.
    Unknown,
    /// Other keys are known for this host; the first of them is named.
    Changed {
        /// File with the known key.
        file: PathBuf,
        /// Line in that file, from 1.
        line: usize,
        /// The known key.
        old: HostKey,
    },
    /// The key is marked `@revoked`.
    Revoked {
        /// File with the revocation.
        file: PathBuf,
        /// Line in that file, from 1.
        line: usize,
    },
}

impl KnownHosts {
    /// Reads the files; a missing one counts as empty.
    ///
    /// # Errors
    /// [`SshError::KnownHostsUnreadable`] when a file cannot be read, or holds a
    /// marked line (`@revoked`, `@cert-authority`, unknown) that makes no sense.
    /// Other malformed lines are passed over, as OpenSSH does.
    pub fn load(files: &[PathBuf]) -> Result<Self, SshError> {
        let mut known = Self::default();
        for path in files {
            file::sweep(path);
            match fs::read(path) {
                Ok(bytes) => known.add(path, &bytes)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(SshError::KnownHostsUnreadable {
                        path: path.clone(),
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(known)
    }

    fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), SshError> {
        // Comments may be in any encoding; names and keys are ASCII.
        let text = String::from_utf8_lossy(bytes);
        for (index, raw) in text.split('\n').enumerate() {
            match line::parse(raw) {
                Ok(Some(content)) => self.entries.push(Entry {
                    file: path.to_owned(),
                    line: index + 1,
                    content,
                }),
                Ok(None) => {}
                Err(malformed) if malformed.marked => {
                    return Err(SshError::KnownHostsUnreadable {
                        path: path.to_owned(),
                        reason: format!("line {}: {}", index + 1, malformed.reason),
                    });
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Judges a plain key offered by a host.
    #[must_use]
    pub fn check(&self, host: &str, port: u16, key: &HostKey) -> Verdict {
        let exact = self.check_name(&stored_name(host, port), key);
        if exact == Verdict::Unknown && port != 22 {
            // ssh(1) then tries the name without the port, where only the same
            // key counts: a line for the standard port says nothing about others.
            let plain = self.check_name(&stored_name(host, 22), key);
            if !matches!(plain, Verdict::Changed { .. }) {
                return plain;
            }
        }
        exact
    }

    fn check_name(&self, name: &str, key: &HostKey) -> Verdict {
        if let Some(entry) = self.revocation(name, key) {
            return Verdict::Revoked {
                file: entry.file.clone(),
                line: entry.line,
            };
        }
        let mut other = None;
        for entry in self.covering(name, Marker::None) {
            if entry.content.key == *key {
                return Verdict::Known;
            }
            other.get_or_insert(entry);
        }
        match other {
            Some(entry) => Verdict::Changed {
                file: entry.file.clone(),
                line: entry.line,
                old: entry.content.key.clone(),
            },
            None => Verdict::Unknown,
        }
    }

    /// Judges the authority that signed a host's certificate. The certificate
    /// itself (dates, names, signature) is judged by the caller.
    #[must_use]
    pub fn check_authority(&self, host: &str, port: u16, key: &HostKey, ca: &HostKey) -> Verdict {
        for name in names(host, port) {
            for candidate in [key, ca] {
                if let Some(entry) = self.revocation(&name, candidate) {
                    return Verdict::Revoked {
                        file: entry.file.clone(),
                        line: entry.line,
                    };
                }
            }
        }
        let known = names(host, port).iter().any(|name| {
            self.covering(name, Marker::CertAuthority)
                .any(|entry| entry.content.key == *ca)
        });
        if known {
            Verdict::Known
        } else {
            Verdict::Unknown
        }
    }

    /// Where the key of a host stands: the file and the line, from 1.
    #[must_use]
    pub fn vouching(&self, host: &str, port: u16, key: &HostKey) -> Option<(&Path, usize)> {
        let names = names(host, port);
        let entry = self.entries.iter().find(|entry| {
            entry.content.marker == Marker::None
                && entry.content.key == *key
                && names
                    .iter()
                    .any(|name| hosts_cover(&entry.content.hosts, name))
        })?;
        Some((entry.file.as_path(), entry.line))
    }

    /// Where the authorities for a host stand: files and lines.
    #[must_use]
    pub fn authorities(&self, host: &str, port: u16) -> Vec<(&Path, usize)> {
        let mut found = Vec::new();
        for name in names(host, port) {
            for entry in self.entries.iter().filter(|entry| {
                entry.content.marker == Marker::CertAuthority
                    && hosts_cover(&entry.content.hosts, &name)
            }) {
                let place = (entry.file.as_path(), entry.line);
                if !found.contains(&place) {
                    found.push(place);
                }
            }
        }
        found
    }

    /// Types of the keys known for a host, in the order of the files: what to
    /// ask the server for first, as ssh(1) does.
    #[must_use]
    pub fn key_types(&self, host: &str, port: u16) -> Vec<String> {
        let mut types = Vec::new();
        for name in names(host, port) {
            for entry in self.covering(&name, Marker::None) {
                let key_type = entry.content.key.key_type();
                if !types.iter().any(|known| known == key_type) {
                    types.push(key_type.to_owned());
                }
            }
        }
        types
    }

    /// Keys known for a host, in the order of the files, for showing and for
    /// copying into another file. Revoked ones are left out.
    #[must_use]
    pub fn keys(&self, host: &str, port: u16) -> Vec<HostKey> {
        let mut keys: Vec<HostKey> = Vec::new();
        let own = stored_name(host, port);
        for entry in self.covering(&own, Marker::None) {
            let key = &entry.content.key;
            if !keys.contains(key) && self.revocation(&own, key).is_none() {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// Whether a certificate from this host could be accepted.
    #[must_use]
    pub fn has_authority(&self, host: &str, port: u16) -> bool {
        names(host, port)
            .iter()
            .any(|name| self.covering(name, Marker::CertAuthority).next().is_some())
    }

    fn covering<'a>(&'a self, name: &'a str, marker: Marker) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| {
            entry.content.marker == marker && hosts_cover(&entry.content.hosts, name)
        })
    }

    fn revocation<'a>(&'a self, name: &'a str, key: &HostKey) -> Option<&'a Entry> {
        self.covering(name, Marker::Revoked)
            .find(|entry| entry.content.key == *key)
    }
}

/// The names under which a host may be listed, the most specific first.
fn names(host: &str, port: u16) -> Vec<String> {
    let mut names = vec![stored_name(host, port)];
    if port != 22 {
        names.push(stored_name(host, 22));
    }
    names
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// A well-formed key of a type, told apart by one number.
    fn key(key_type: &str, number: u8) -> HostKey {
        let mut blob = u32::try_from(key_type.len())
            .unwrap()
            .to_be_bytes()
            .to_vec();
        blob.extend(key_type.as_bytes());
        blob.extend([0, 0, 0, 1, number]);
        HostKey::parse(&format!("{key_type} {}", STANDARD.encode(blob))).unwrap()
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add(Path::new("f"), text.as_bytes()).unwrap();
        known
    }

    fn changed(line: usize, old: &HostKey) -> Verdict {
        Verdict::Changed {
            file: "f".into(),
            line,
            old: old.clone(),
        }
    }

    fn revoked(line: usize) -> Verdict {
        Verdict::Revoked {
            file: "f".into(),
            line,
        }
    }

    #[test]
    fn verdicts() {
        let a = key("ssh-ed25519", 1);
        let b = key("ssh-ed25519", 2);
        let rsa = key("ssh-rsa", 3);
        let table = [
            ("nothing", String::new(), 22, Verdict::Unknown),
            ("known", format!("h {a}"), 22, Verdict::Known),
            (
                "comment",
                format!("h {a} me@here and more"),
                22,
                Verdict::Known,
            ),
            (
                "tabs",
                format!("h\t{}", a.to_string().replace(' ', "\t")),
                22,
                Verdict::Known,
            ),
            ("crlf", format!("h {a}\r\n"), 22, Verdict::Known),
            (
                "two keys of one type",
                format!("h {b}\nh {a}"),
                22,
                Verdict::Known,
            ),
            ("other key", format!("h {b}"), 22, changed(1, &b)),
            (
                "other type only",
                format!("# c\nh {rsa}"),
                22,
                changed(2, &rsa),
            ),
            ("other host", format!("i {a}"), 22, Verdict::Unknown),
            ("revoked", format!("h {a}\n@revoked h {a}"), 22, revoked(2)),
            (
                "revoked everywhere",
                format!("h {a}\n@revoked * {a}"),
                22,
                revoked(2),
            ),
            (
                "other revoked",
                format!("h {a}\n@revoked h {b}"),
                22,
                Verdict::Known,
            ),
            (
                "authority is no host key",
                format!("@cert-authority h {a}"),
                22,
                Verdict::Unknown,
            ),
            ("negated", format!("*,!h {a}"), 22, Verdict::Unknown),
            ("port", format!("[h]:2222 {a}"), 2222, Verdict::Known),
            ("other port", format!("[h]:2222 {a}"), 22, Verdict::Unknown),
            (
                "plain name, same key",
                format!("h {a}"),
                2222,
                Verdict::Known,
            ),
            (
                "plain name, other key",
                format!("h {b}"),
                2222,
                Verdict::Unknown,
            ),
            (
                "port line wins",
                format!("h {a}\n[h]:2222 {b}"),
                2222,
                changed(2, &b),
            ),
            (
                "revoked under plain name",
                format!("@revoked h {a}"),
                2222,
                revoked(1),
            ),
            (
                "garbage passed over",
                format!("h x\nh {a}"),
                22,
                Verdict::Known,
            ),
        ];
        for (name, text, port, expected) in table {
            assert_eq!(known(&text).check("H", port, &a), expected, "{name}");
        }
    }

    #[test]
    fn authorities() {
        let host = key("ssh-ed25519", 1);
        let ca = key("ssh-ed25519", 9);
        let table = [
            ("known", format!("@cert-authority *.x {ca}"), Verdict::Known),
            (
                "elsewhere",
                format!("@cert-authority *.y {ca}"),
                Verdict::Unknown,
            ),
            (
                "plain line is no authority",
                format!("*.x {ca}"),
                Verdict::Unknown,
            ),
            (
                "authority revoked",
                format!("@cert-authority *.x {ca}\n@revoked * {ca}"),
                revoked(2),
            ),
            (
                "key revoked",
                format!("@cert-authority *.x {ca}\n@revoked * {host}"),
                revoked(2),
            ),
        ];
        for (name, text, expected) in table {
            let verdict = known(&text).check_authority("a.x", 22, &host, &ca);
            assert_eq!(verdict, expected, "{name}");
        }
    }

    #[test]
    fn known_types_come_first() {
        let text = format!(
            "h {}\n[h]:22 {}\nh {}\nh {}",
            key("ssh-rsa", 1),
            key("ecdsa-sha2-nistp256", 1),
            key("ssh-ed25519", 1),
            key("ssh-rsa", 2)
        );
        assert_eq!(known(&text).key_types("h", 22), ["ssh-rsa", "ssh-ed25519"]);
    }

    #[test]
    fn a_broken_revocation_makes_the_file_unusable() {
        let mut empty = KnownHosts::default();
        let refused = empty.add(Path::new("f"), b"h x\n@revoked h ssh-ed25519 ???");
        assert!(
            matches!(refused, Err(SshError::KnownHostsUnreadable { ref reason, .. })
                if reason.starts_with("line 2")),
            "{refused:?}"
        );
    }
}
