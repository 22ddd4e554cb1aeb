//! What a crash, a full disk or a stranger leaves behind.
//!
//! Invariant under test: damage is an error that names what is damaged, never
//! another content. Disks that lie about an fsync are not played.

use std::fs;
use std::path::Path;

use git2::{Oid, Repository};

use super::{change, file, git, scratch};
use crate::snapshots::{FileState, SnapshotError, Snapshots};

/// The file of a loose object.
fn object(repo: &Path, id: Oid) -> std::path::PathBuf {
    let name = id.to_string();
    repo.join("objects").join(&name[..2]).join(&name[2..])
}

fn blob_of(repo: &Path, commit: &str, path: &str) -> Oid {
    let repo = Repository::open_bare(repo).unwrap();
    let commit = repo.find_commit(Oid::from_str(commit).unwrap()).unwrap();
    commit
        .tree()
        .unwrap()
        .get_path(Path::new(path))
        .unwrap()
        .id()
}

#[test]
fn a_reference_lock_left_by_a_dead_process_is_cleared() {
    let (_dir, path, snapshots) = scratch();
    snapshots.after(&change("/a", file(b"1", 0o644))).unwrap();
    fs::write(path.join("refs/heads/prod-a.lock"), b"").unwrap();
    snapshots.after(&change("/a", file(b"2", 0o644))).unwrap();
    assert_eq!(snapshots.history(None, None).unwrap().len(), 2);
}

/// As a kill leaves it: in the middle of making the repository, and of moving a
/// branch.
#[test]
fn locks_left_by_a_dead_process_are_cleared_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshots.git");
    fs::create_dir_all(path.join("refs/heads")).unwrap();
    for name in ["config.lock", "HEAD.lock"] {
        fs::write(path.join(name), b"half").unwrap();
    }
    let snapshots = Snapshots::open(&path, None).unwrap();
    snapshots.after(&change("/a", file(b"1", 0o644))).unwrap();
    drop(snapshots);
    let left = ["config.lock", "HEAD.lock", "refs/heads/prod-a.lock"];
    for name in &left[1..] {
        fs::write(path.join(name), b"").unwrap();
    }
    let snapshots = Snapshots::open(&path, None).unwrap();
    assert_eq!(snapshots.history(None, None).unwrap().len(), 1);
    for name in left {
        assert!(!path.join(name).exists(), "{name}");
    }
}

#[test]
fn changed_content_is_noticed_when_it_is_loaded() {
    let (_dir, path, snapshots) = scratch();
    let kept = snapshots.after(&change("/a", file(b"one", 0o644))).unwrap();
    // A commit that says what the original says, about another content.
    let repo = git2::Repository::open_bare(&path).unwrap();
    let original = repo
        .find_commit(git2::Oid::from_str(&kept.commit).unwrap())
        .unwrap();
    let blob = repo.blob(b"two").unwrap();
    let mut builder = repo.treebuilder(None).unwrap();
    builder.insert("a", blob, 0o100_644).unwrap();
    let tree = repo.find_tree(builder.write().unwrap()).unwrap();
    let author = original.author();
    let message = original.message().unwrap();
    let forged = repo
        .commit(
            Some("refs/heads/prod-a"),
            &author,
            &author,
            message,
            &tree,
            &[&original],
        )
        .unwrap();
    let loaded = snapshots.load("prod-a", "/a", &forged.to_string());
    assert!(
        matches!(loaded, Err(SnapshotError::Corrupt { .. })),
        "{loaded:?}"
    );
}

#[test]
fn content_that_was_damaged_is_written_again_while_it_is_at_hand() {
    // The last is what libgit2 does not come back from: a stream that breaks off.
    for damage in [&b""[..], b"garbage", b"\x78\x01\x4b\xca\xc9\x4f\x52\x30"] {
        let (_dir, path, snapshots) = scratch();
        let kept = snapshots
            .before(&change("/a", file(b"one", 0o644)))
            .unwrap();
        let blob = object(&path, blob_of(&path, &kept.commit, "a"));
        // Objects are read-only to everybody.
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, damage).unwrap();
        // A handle that has not read it yet, as a new process.
        let snapshots = Snapshots::open(&path, None).unwrap();
        assert!(snapshots.load("prod-a", "/a", &kept.commit).is_err());
        let again = snapshots
            .before(&change("/a", file(b"one", 0o644)))
            .unwrap();
        assert!(again.commit != kept.commit && !again.drift);
        let loaded = snapshots.load("prod-a", "/a", &again.commit).unwrap();
        assert_eq!(loaded, file(b"one", 0o644));
        git(&path, &["fsck", "--strict", "--no-dangling"]);
    }
}

#[test]
fn a_branch_that_leads_nowhere_refuses() {
    for lost in ["commit", "tree"] {
        let (_dir, path, snapshots) = scratch();
        let kept = snapshots
            .after(&change("/d/a", file(b"one", 0o644)))
            .unwrap();
        let commit = Oid::from_str(&kept.commit).unwrap();
        let tree = Repository::open_bare(&path)
            .unwrap()
            .find_commit(commit)
            .unwrap()
            .tree_id();
        let id = if lost == "commit" { commit } else { tree };
        fs::remove_file(object(&path, id)).unwrap();
        let snapshots = Snapshots::open(&path, None).unwrap();
        let refused = snapshots.before(&change("/d/b", file(b"two", 0o644)));
        assert!(
            matches!(&refused, Err(error) if error.next().contains("snapshots verify")),
            "{lost}: {refused:?}"
        );
    }
}

#[test]
fn an_index_that_is_lost_or_wrong_changes_no_answer() {
    let (_dir, path, snapshots) = scratch();
    for round in 0..6_u8 {
        let name = if round % 2 == 0 { "/a" } else { "/b" };
        snapshots
            .after(&change(name, file(&[round], 0o644)))
            .unwrap();
    }
    let expected = snapshots.history(Some("prod-a"), Some("/a")).unwrap();
    let folder = path.join("openshell-index");
    let index = fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let good = fs::read(&index).unwrap();
    let mut flipped = good.clone();
    flipped[100] ^= 0x40;
    // Another branch's order: every commit is there, none where it belongs.
    let mut turned = good[..40].to_vec();
    turned.extend(good[40..].chunks(40).rev().flatten());
    for damaged in [&b""[..], &good[..good.len() - 7], &flipped, &turned] {
        fs::write(&index, damaged).unwrap();
        let snapshots = Snapshots::open(&path, None).unwrap();
        let listed = snapshots.history(Some("prod-a"), Some("/a")).unwrap();
        assert_eq!(listed, expected);
    }
    fs::remove_dir_all(&folder).unwrap();
    let snapshots = Snapshots::open(&path, None).unwrap();
    let known = snapshots.before(&change("/a", file(&[4], 0o644))).unwrap();
    assert_eq!(&known.commit[..12], expected[0].id);
}

#[test]
fn a_history_that_was_rewritten_is_followed() {
    let (_dir, path, snapshots) = scratch();
    let first = snapshots.after(&change("/a", file(b"1", 0o644))).unwrap();
    snapshots.after(&change("/a", file(b"2", 0o644))).unwrap();
    git(&path, &["update-ref", "refs/heads/prod-a", &first.commit]);
    assert_eq!(snapshots.history(None, None).unwrap().len(), 1);
    let drift = snapshots.before(&change("/a", file(b"2", 0o644))).unwrap();
    assert!(drift.drift);
    git(&path, &["update-ref", "-d", "refs/heads/prod-a"]);
    assert_eq!(snapshots.history(None, None).unwrap(), []);
    let anew = snapshots.before(&change("/a", FileState::Absent)).unwrap();
    assert!(!anew.drift);
}

#[test]
fn a_store_that_was_moved_away_is_noticed() {
    let (dir, path, snapshots) = scratch();
    assert!(snapshots.is_current());
    fs::rename(&path, dir.path().join("damaged.git")).unwrap();
    assert!(!snapshots.is_current());
    let anew = Snapshots::open(&path, None).unwrap();
    assert!(anew.is_current() && !snapshots.is_current());
}

#[test]
fn who_holds_the_store_is_named() {
    let error = SnapshotError::Busy {
        waited_ms: 10_000,
        holder: Some(4711),
    };
    assert!(error.to_string().contains("another process (4711)"));
}
