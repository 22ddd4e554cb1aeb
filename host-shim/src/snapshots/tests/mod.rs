//! The history against real git, in scratch repositories.
//!
//! Invariant of the fixture: each repository is a scratch directory of one test,
//! read with plain `git` as a stranger would. No server is involved.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

mod damage;
mod packing;

use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use super::{Change, FileState, Kind, Metadata, Revision, Sealer, SnapshotError, Snapshots};

fn file(content: &[u8], mode: u32) -> FileState<'_> {
    FileState::Present {
        content: Cow::Borrowed(content),
        metadata: Metadata {
            mode,
            uid: 33,
            gid: 44,
            mtime: 1_700_000_000,
            owner: Some("www-data".to_owned()),
            group: None,
        },
    }
}

fn change<'a>(path: &'a str, state: FileState<'a>) -> Change<'a> {
    Change {
        server: "prod-a",
        path,
        state,
        action: "01J00000000000000000000000",
        tool: "remote_write_file",
        session: Some("ses_1"),
        door: "cli",
        approved: Some("person"),
        secret: false,
        run_as: None,
        undo: false,
        restores: None,
    }
}

fn mode(revision: &Revision) -> Option<u32> {
    Some(revision.metadata.as_ref()?.mode)
}

fn git(repo: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["--no-pager", "--git-dir"])
        .arg(repo)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    assert_eq!(
        stderr, "",
        "git {arguments:?} should have nothing to complain of"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn scratch() -> (tempfile::TempDir, std::path::PathBuf, Snapshots) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshots.git");
    let snapshots = Snapshots::open(&path, None).unwrap();
    (dir, path, snapshots)
}

#[test]
fn plain_git_reads_the_history() {
    let (_dir, path, snapshots) = scratch();
    let conf = "/etc/nginx/nginx.conf";
    let before = snapshots
        .before(&change(conf, file(b"one\n", 0o644)))
        .unwrap();
    let after = snapshots
        .after(&change(conf, file(b"two\n", 0o600)))
        .unwrap();
    assert!(!before.drift && !after.drift);
    let log = git(
        &path,
        &["log", "-p", "prod-a", "--", "etc/nginx/nginx.conf"],
    );
    for expected in [
        "prod-a: record /etc/nginx/nginx.conf as found",
        "prod-a: edit /etc/nginx/nginx.conf",
        "-one",
        "+two",
        "Author: openshell <openshell@localhost>",
    ] {
        assert!(log.contains(expected), "{expected:?} in {log}");
    }
    let trailers = git(
        &path,
        &[
            "log",
            "-1",
            "--format=%(trailers:key=Mode,key=Uid,key=Action)",
            "prod-a",
        ],
    );
    assert_eq!(
        trailers.trim(),
        "Action: 01J00000000000000000000000\nMode: 0600\nUid: 33"
    );
    git(&path, &["fsck", "--strict", "--no-dangling"]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn every_state_comes_back_as_it_was() {
    let (_dir, _path, snapshots) = scratch();
    let every_byte: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let states = [
        ("/bin/x", file(&every_byte, 0o4755)),
        ("/bin/x", file(b"", 0o600)),
        ("/bin/x", FileState::Absent),
        ("/bin/x", file(b"a\r\nb", 0o755)),
    ];
    let mut kept = Vec::new();
    for (path, state) in &states {
        kept.push(
            snapshots
                .after(&change(path, state.clone()))
                .unwrap()
                .commit,
        );
    }
    for (commit, (path, state)) in kept.iter().zip(&states) {
        let loaded = snapshots.load("prod-a", path, &commit[..12]).unwrap();
        assert_eq!(loaded, *state);
    }
}

#[test]
fn names_git_refuses_and_files_that_become_directories() {
    let (_dir, path, snapshots) = scratch();
    let steps = [
        ("/a", "file"),
        ("/a/b", "below a file that was"),
        ("/a/b/c", "deeper"),
        ("/a", "a file again"),
        ("/r/.git/config", "git's own"),
        ("/r/../x", "dots"),
        ("/r//y", "empty"),
        ("/r/z/", "slash"),
        ("/new\nline \u{202e}", "controls"),
        ("/100%", "percent"),
    ];
    let mut kept = Vec::new();
    for (name, content) in steps {
        let reference = snapshots
            .before(&change(name, file(content.as_bytes(), 0o644)))
            .unwrap();
        kept.push((name, content, reference.commit));
    }
    for (name, content, commit) in kept {
        let loaded = snapshots.load("prod-a", name, &commit).unwrap();
        assert!(loaded.same_as(&file(content.as_bytes(), 0o644)), "{name:?}");
    }
    git(&path, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn drift_is_its_own_commit_and_what_is_known_is_not_kept_twice() {
    let (_dir, _path, snapshots) = scratch();
    let name = "/etc/motd";
    let first = snapshots.before(&change(name, FileState::Absent)).unwrap();
    let again = snapshots.before(&change(name, FileState::Absent)).unwrap();
    assert_eq!(first, again);
    let ours = snapshots
        .after(&change(name, file(b"ours", 0o644)))
        .unwrap();
    let known = snapshots
        .before(&change(name, file(b"ours", 0o644)))
        .unwrap();
    assert_eq!((known.commit, known.drift), (ours.commit, false));
    for (content, mode) in [(&b"theirs"[..], 0o644), (b"theirs", 0o600)] {
        let drift = snapshots
            .before(&change(name, file(content, mode)))
            .unwrap();
        assert!(drift.drift, "{mode:o}");
    }
    let undo = Change {
        undo: true,
        ..change(name, FileState::Absent)
    };
    snapshots.after(&undo).unwrap();
    let history = snapshots.history(Some("prod-a"), Some(name)).unwrap();
    let kinds: Vec<Kind> = history.iter().map(|revision| revision.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Undo,
            Kind::Drift,
            Kind::Drift,
            Kind::After,
            Kind::Before
        ]
    );
    assert!(history[0].removed && history[4].removed && !history[1].removed);
    assert_eq!((mode(&history[1]), history[1].size), (Some(0o600), Some(6)));
}

#[test]
fn histories_are_told_apart() {
    let (_dir, _path, snapshots) = scratch();
    snapshots.after(&change("/a", file(b"1", 0o644))).unwrap();
    let other = Change {
        server: "prod-b",
        ..change("/a", file(b"2", 0o644))
    };
    let kept = snapshots.after(&other).unwrap();
    snapshots.after(&change("/b", file(b"3", 0o644))).unwrap();
    assert_eq!(snapshots.history(None, None).unwrap().len(), 3);
    assert_eq!(snapshots.history(Some("prod-a"), None).unwrap().len(), 2);
    assert_eq!(snapshots.history(None, Some("/a")).unwrap().len(), 2);
    assert_eq!(snapshots.history(Some("prod-c"), None).unwrap(), []);
    for (server, path, rev) in [
        ("prod-a", "/a", kept.commit.as_str()),
        ("prod-b", "/b", kept.commit.as_str()),
        ("prod-b", "/a", "ffffffff"),
        ("prod-b", "/a", "abc"),
        ("prod-b", "/a", "main"),
        ("prod-c", "/a", "abcd"),
    ] {
        let found = snapshots.load(server, path, rev);
        assert!(
            matches!(found, Err(SnapshotError::NotFound { .. })),
            "{server} {path} {rev}: {found:?}"
        );
    }
}

/// Turns every bit over and remembers where it belongs.
struct Inverter;

impl Sealer for Inverter {
    fn seal(&self, place: &str, content: &[u8]) -> Result<Vec<u8>, String> {
        let inverted = content.iter().map(|byte| !byte);
        Ok(place.bytes().chain([0]).chain(inverted).collect())
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let prefix: Vec<u8> = place.bytes().chain([0]).collect();
        let inner = sealed
            .strip_prefix(prefix.as_slice())
            .ok_or("another place")?;
        Ok(inner.iter().map(|byte| !byte).collect())
    }
}

#[test]
fn secret_content_is_sealed_and_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshots.git");
    let snapshots = Snapshots::open(&path, Some(Arc::new(Inverter))).unwrap();
    let secret = |content| Change {
        secret: true,
        ..change("/etc/shadow", file(content, 0o600))
    };
    let kept = snapshots.before(&secret(b"root:hash")).unwrap();
    assert_eq!(snapshots.before(&secret(b"root:hash")).unwrap(), kept);
    assert!(snapshots.before(&secret(b"root:other")).unwrap().drift);
    let loaded = snapshots
        .load("prod-a", "/etc/shadow", &kept.commit)
        .unwrap();
    assert_eq!(loaded, file(b"root:hash", 0o600));
    let shown = git(&path, &["log", "-p", "--text", "prod-a"]);
    assert!(!shown.contains("root:hash") && shown.contains("Sealed: yes"));
    let revision = &snapshots.history(None, None).unwrap()[0];
    assert_eq!(
        (revision.sealed, &revision.sha256, revision.size),
        (true, &None, None)
    );

    let keyless = Snapshots::open(&path, None).unwrap();
    for result in [
        keyless.before(&secret(b"x")).map(|_| ()),
        keyless
            .load("prod-a", "/etc/shadow", &kept.commit)
            .map(|_| ()),
    ] {
        assert!(
            matches!(result, Err(SnapshotError::Seal { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshots.git");
    let snapshots = Snapshots::open_with(&path, None, 10).unwrap();
    let large = snapshots.before(&change("/a", file(b"01234567890", 0o644)));
    assert!(matches!(
        large,
        Err(SnapshotError::TooLarge {
            bytes: 11,
            limit: 10,
            ..
        })
    ));
    let relative = snapshots.before(&change("a", file(b"0", 0o644)));
    assert!(matches!(relative, Err(SnapshotError::Name { .. })));
    let file_in_place = dir.path().join("file");
    std::fs::write(&file_in_place, b"").unwrap();
    assert!(matches!(
        Snapshots::open(&file_in_place, None),
        Err(SnapshotError::Unavailable { .. })
    ));
}

#[test]
fn writers_of_several_processes_lose_nothing() {
    let (_dir, path, _snapshots) = scratch();
    // A handle of its own excludes the others exactly as a process does.
    thread::scope(|scope| {
        for writer in 0..4 {
            let snapshots = Snapshots::open(&path, None).unwrap();
            scope.spawn(move || {
                for round in 0..8 {
                    let name = format!("/w{writer}/f{round}");
                    snapshots.after(&change(&name, file(b"x", 0o644))).unwrap();
                }
            });
        }
    });
    let snapshots = Snapshots::open(&path, None).unwrap();
    assert_eq!(snapshots.history(Some("prod-a"), None).unwrap().len(), 32);
    let listed = git(&path, &["ls-tree", "-r", "--name-only", "prod-a"]);
    assert_eq!(listed.lines().count(), 32);
    git(&path, &["fsck", "--strict", "--no-dangling"]);
}
