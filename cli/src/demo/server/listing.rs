//! Metadata as SFTP sends it, and the `ls -l` line that goes with a name.
//!
//! SFTP version 3 has no field for the names of owner and group; clients read them
//! from this line, so it has the columns OpenSSH gives it. Invariant: the line says
//! what the attributes beside it say. No account service is asked, only the two
//! local files.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use russh_sftp::protocol::FileAttributes;

/// After so many seconds a line shows the year instead of the time of day, as
/// ls(1) does (half a mean year).
const RECENT: i64 = 365 * 24 * 60 * 60 / 2;

/// Attributes of a file, type bits included.
pub(super) fn attributes(meta: &Metadata) -> FileAttributes {
    // The protocol has 32 bits for times.
    let time = |seconds: i64| u32::try_from(seconds).unwrap_or(0);
    FileAttributes {
        size: Some(meta.size()),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
        permissions: Some(meta.mode()),
        atime: Some(time(meta.atime())),
        mtime: Some(time(meta.mtime())),
        ..FileAttributes::empty()
    }
}

/// Names of users and groups of this machine.
pub(super) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Reads the local files; a name that is kept elsewhere shows as a number.
    pub(super) fn load() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            users: ids(&read("/etc/passwd")),
            groups: ids(&read("/etc/group")),
        }
    }

    /// The line for one name, as of `now` (seconds since 1970).
    pub(super) fn line(&self, name: &str, meta: &Metadata, now: i64) -> String {
        let named = |names: &HashMap<u32, String>, id: u32| {
            names.get(&id).cloned().unwrap_or_else(|| id.to_string())
        };
        format!(
            "{} {:>4} {:<8} {:<8} {:>8} {} {name}",
            mode(meta.mode()),
            meta.nlink(),
            named(&self.users, meta.uid()),
            named(&self.groups, meta.gid()),
            meta.size(),
            date(meta.mtime(), now),
        )
    }
}

/// Numbers and names of passwd(5) or group(5): the first and the third field.
fn ids(text: &str) -> HashMap<u32, String> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let id = fields.nth(1)?.parse().ok()?;
            Some((id, name.to_owned()))
        })
        .collect()
}

/// The ten characters of a mode, as ls(1) prints them.
fn mode(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o010_000 => 'p',
        0o140_000 => 's',
        0o020_000 => 'c',
        0o060_000 => 'b',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// A date of twelve characters, in UTC.
fn date(seconds: i64, now: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let recent = (now - RECENT..=now + 60).contains(&seconds);
    let form = if recent { "%b %e %H:%M" } else { "%b %e  %Y" };
    time.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::{date, ids, mode};

    #[test]
    fn modes_read_as_in_ls() {
        for (bits, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_640, "-rw-r-S---"),
            (0o010_000, "p---------"),
        ] {
            assert_eq!(mode(bits), text);
        }
    }

    #[test]
    fn dates_show_time_or_year() {
        let now = 1_700_000_000;
        assert_eq!(date(now, now), "Nov 14 22:13");
        assert_eq!(date(0, now), "Jan  1  1970");
    }

    #[test]
    fn ids_are_read_from_passwd_and_group() {
        let names = ids("root:x:0:0:root:/root:/bin/sh\nbroken\nbad:x:y:\nadm:x:4:syslog\n");
        assert_eq!(names.len(), 2);
        assert_eq!(names.get(&4).map(String::as_str), Some("adm"));
    }
}
