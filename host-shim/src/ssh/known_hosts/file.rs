//! Changing a `known_hosts` file.
//!
//! Invariant: a reader sees the old file or the new one, never a part, and the
//! result has mode 0600; two writers take turns by a lock on the directory. It
//! deliberately touches no line it was not asked about, comments and order
//! included.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::line::{self, Marker, hosts_cover, stored_name};
use crate::ssh::error::SshError;
use crate::ssh::host_key::HostKey;

/// Adds a key for a host, unless that very line is there already. Creates the
/// file, but not its directory.
///
/// # Errors
/// [`SshError::KnownHostsUnreadable`] when the file cannot be read or replaced.
pub fn append(path: &Path, host: &str, port: u16, key: &HostKey) -> Result<(), SshError> {
    let name = writable_name(host, port)?;
    edit(path, |text| {
        let present = text.split('\n').any(|raw| {
            matches!(line::parse(raw), Ok(Some(found)) if found.marker == Marker::None
                && found.key == *key && found.hosts.split(',').any(|listed| listed == name))
        });
        if present {
            return None;
        }
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{name} {key}\n"));
        Some((1, text))
    })
    .map(|_| ())
}

/// Takes a host off every line that lists it by name or hash, like
/// `ssh-keygen -R`; lines with wildcards and marked lines stay. Returns how
/// many lines changed.
///
/// # Errors
/// [`SshError::KnownHostsUnreadable`] when the file cannot be read or replaced.
pub fn remove(path: &Path, host: &str, port: u16) -> Result<usize, SshError> {
    let name = stored_name(host, port);
    edit(path, |text| {
        let (changed, kept) = text_without(text, &name);
        (changed > 0).then_some((changed, kept))
    })
}

/// Puts these keys in the place of all others of a host, in one step: as
/// [`remove`] and [`append`], but no reader ever sees the host without a key.
/// Returns how many lines went.
///
/// # Errors
/// As [`append`].
pub fn replace(path: &Path, host: &str, port: u16, keys: &[HostKey]) -> Result<usize, SshError> {
    let name = writable_name(host, port)?;
    edit(path, |text| {
        let (changed, mut kept) = text_without(text, &name);
        if !kept.is_empty() && !kept.ends_with('\n') {
            kept.push('\n');
        }
        for key in keys {
            kept.push_str(&format!("{name} {key}\n"));
        }
        Some((changed, kept))
    })
}

/// The lines of a file without a host, and how many of them changed.
fn text_without(text: &str, name: &str) -> (usize, String) {
    let mut changed = 0;
    let mut kept = Vec::new();
    for raw in text.split('\n') {
        match without_host(raw, name) {
            Some(rest) => {
                changed += 1;
                kept.extend(rest);
            }
            None => kept.push(raw.to_owned()),
        }
    }
    (changed, kept.join("\n"))
}

/// The name of a host as a line lists it, provided it reads back as that name.
fn writable_name(host: &str, port: u16) -> Result<String, SshError> {
    let name = stored_name(host, port);
    let writable = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if writable && !name.contains([',', '*', '?', '!', '|', '#', '@']) {
        return Ok(name);
    }
    Err(SshError::InvalidRequest {
        reason: format!("{name:?} cannot be written into a known_hosts file as a host name"),
    })
}

/// Removes what an interrupted change left beside a file, unless somebody is
/// changing it now. Nothing depends on it, so nothing is reported.
pub(super) fn sweep(path: &Path) {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if !crate::replace::is_unfinished(&target) {
        return;
    }
    let directory = target.parent().map(File::open);
    if let Some(Ok(directory)) = directory
        && directory.try_lock().is_ok()
    {
        let _ = crate::replace::sweep(&target);
    }
}

/// The line without the host: none if it does not list it, nothing inside if
/// no other host remains.
fn without_host(raw: &str, name: &str) -> Option<Option<String>> {
    let parsed = line::parse(raw).ok().flatten()?;
    if parsed.marker != Marker::None {
        return None;
    }
    if parsed.hosts.starts_with('|') {
        return hosts_cover(&parsed.hosts, name).then_some(None);
    }
    let others: Vec<&str> = parsed
        .hosts
        .split(',')
        .filter(|listed| !listed.eq_ignore_ascii_case(name))
        .collect();
    if others.len() == parsed.hosts.split(',').count() {
        return None;
    }
    if others.is_empty() {
        return Some(None);
    }
    Some(Some(raw.replacen(&parsed.hosts, &others.join(","), 1)))
}

/// Replaces a file by what `change` makes of it, with how many lines that
/// changed; none leaves it alone.
fn edit(
    path: &Path,
    change: impl FnOnce(&str) -> Option<(usize, String)>,
) -> Result<usize, SshError> {
    let refused = |error: std::io::Error| SshError::KnownHostsUnreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    // A link is followed: replacing it would cut off whoever shares its target.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(refused(error)),
    };
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let lock = File::open(&directory).map_err(refused)?;
    lock.lock().map_err(refused)?;
    let text = match fs::read_to_string(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(refused(error)),
    };
    let Some(edited) = change(&text) else {
        return Ok(0);
    };
    let (lines, new) = edited;
    crate::replace::replace(&target, new.as_bytes()).map_err(refused)?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use std::os::unix::fs::PermissionsExt;

    use super::super::{KnownHosts, Verdict};
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn append_creates_completes_and_does_not_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let key = HostKey::parse(A).unwrap();
        append(&path, "Example.org", 2222, &key).unwrap();
        let once = fs::read_to_string(&path).unwrap();
        assert_eq!(once, format!("[example.org]:2222 {A}\n"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        append(&path, "example.org", 2222, &key).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), once);
        fs::write(&path, "# no newline").unwrap();
        append(&path, "example.org", 22, &key).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("# no newline\nexample.org {A}\n"));
        let known = KnownHosts::load(&[path]).unwrap();
        assert_eq!(known.check("example.org", 22, &key), Verdict::Known);
    }

    #[test]
    fn names_that_would_read_back_as_something_else_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let key = HostKey::parse(A).unwrap();
        for host in [
            "", "a b", "a,b", "*", "a\nb", "|1|x", "#a", "@revoked", "!a", "a?",
        ] {
            assert!(append(&path, host, 22, &key).is_err(), "{host:?}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn remove_takes_off_one_host_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let text = format!(
            "# kept\nh {A}\na,h,b {A} note\n[h]:22 {A}\n*h {A}\n@revoked h {A}\nother {A}\n"
        );
        fs::write(&path, text).unwrap();
        assert_eq!(remove(&path, "H", 22).unwrap(), 2);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("# kept\na,b {A} note\n[h]:22 {A}\n*h {A}\n@revoked h {A}\nother {A}\n")
        );
        assert_eq!(remove(&path, "h", 22).unwrap(), 0);
        assert_eq!(remove(&dir.path().join("none"), "h", 22).unwrap(), 0);
    }

    #[test]
    fn replacing_leaves_the_new_keys_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let b = A.replace("IJdD7y3a", "IJdD7y3b");
        let (old, new) = (HostKey::parse(A).unwrap(), HostKey::parse(&b).unwrap());
        fs::write(&path, format!("h,other {A}\nh {A}\n# kept")).unwrap();
        assert_eq!(
            replace(&path, "h", 22, std::slice::from_ref(&new)).unwrap(),
            2
        );
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("other {A}\n# kept\nh {b}\n")
        );
        let known = KnownHosts::load(&[path]).unwrap();
        assert_eq!(known.check("h", 22, &new), Verdict::Known);
        assert!(matches!(
            known.check("h", 22, &old),
            Verdict::Changed { .. }
        ));
        assert_eq!(known.check("other", 22, &old), Verdict::Known);
    }

    #[test]
    fn links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        let link = dir.path().join("link");
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        append(&link, "h", 22, &HostKey::parse(A).unwrap()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), format!("h {A}\n"));
    }
}
