//! Whether other users are kept out of openshell's directories, and whether the
//! clock can be believed.
//!
//! Invariant: only names, owners, modes and times are looked at, no content. It
//! does not change a mode; that is done where files are opened.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::geteuid;

use super::doctor::Finding;
use crate::context::Context;

/// This program did not exist before, in seconds since 1970: 2025-01-01.
const EARLIEST: u64 = 1_735_689_600;
/// How far in the future a file may have been written: clocks of file servers
/// differ a little.
const AHEAD: Duration = Duration::from_secs(120);

pub(super) fn check(context: &Context) -> Vec<Finding> {
    let paths = context.paths();
    let dirs = [&paths.config_dir, &paths.data_dir];
    let mut findings: Vec<Finding> = dirs
        .iter()
        .flat_map(|dir| std::iter::once((*dir).clone()).chain(children(dir)))
        .filter_map(|path| open_to_others(&path))
        .collect();
    if findings.is_empty() {
        findings.push(Finding::good("access", "yours alone"));
    }
    findings.push(clock(&paths.audit_dir()));
    findings
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// What lets other users at a file; a link counts as what it leads to.
fn open_to_others(path: &Path) -> Option<Finding> {
    let meta = path.metadata().ok()?;
    let shown = path.display();
    if meta.uid() != geteuid().as_raw() {
        return Some(Finding::wrong(
            "access",
            format!("{shown} belongs to the user with id {}", meta.uid()),
            "Run openshell as the user whose servers they are; `chown` gives it back.",
        ));
    }
    let mode = meta.mode() & 0o7777;
    // Rules may be kept where others read them, but nobody else may write them.
    let (allowed, fix) = if meta.is_dir() {
        (0o700, "chmod 700")
    } else {
        (0o755, "chmod go-w")
    };
    (mode & 0o777 & !allowed != 0).then(|| {
        Finding::wrong(
            "access",
            format!("{shown} has mode {mode:04o}, which lets other users at it"),
            &format!("`{fix} {shown}` closes it."),
        )
    })
}

/// Records and answers carry the time, and answers expire by it.
fn clock(audit: &Path) -> Finding {
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    if since.map_or(0, |since| since.as_secs()) < EARLIEST {
        return Finding::wrong(
            "clock",
            "it says a time before this program existed",
            "Set the clock, and let it be kept by NTP.",
        );
    }
    let newest = children(audit)
        .iter()
        .filter_map(|path| path.metadata().ok()?.modified().ok())
        .max();
    match newest.and_then(|newest| newest.duration_since(now).ok()) {
        Some(ahead) if ahead > AHEAD => Finding::wrong(
            "clock",
            format!(
                "the last record was written {} s in the future",
                ahead.as_secs()
            ),
            "The clock was set back, or was wrong then: set it, and let it be kept by NTP.",
        ),
        _ => Finding::good(
            "clock",
            jiff::Timestamp::now().strftime("%F %T UTC").to_string(),
        ),
    }
}
