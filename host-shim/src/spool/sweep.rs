//! Making room: what is too old goes, and of the rest the oldest.
//!
//! Invariant: nothing but files named like ours is touched. What cannot be removed
//! stays; the next sweep tries again.
//!
//! It does not look into any of them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::notes::is_note;
use super::{SpoolLimits, is_id, is_old};

/// Removes until everything together, with one more stream, is within the limits.
/// `but` is the file that is being written by the caller.
pub(super) fn make_room(dir: &Path, limits: &SpoolLimits, but: Option<&str>) {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_id(name) || is_note(name)) else {
            continue;
        };
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let written = metadata.modified().ok();
        if is_old(written, limits.age) {
            let _ = std::fs::remove_file(entry.path());
        } else if but != Some(name) {
            let written = written.unwrap_or(SystemTime::UNIX_EPOCH);
            files.push((written, metadata.len(), entry.path()));
        }
    }
    files.sort_unstable();
    let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
    let most = limits.total.saturating_sub(limits.stream);
    for (_, length, path) in files {
        if total <= most {
            return;
        }
        if std::fs::remove_file(path).is_ok() {
            total -= length;
        }
    }
}
