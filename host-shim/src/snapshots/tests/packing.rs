//! Packing while others read and write.
//!
//! They prove that every state loads at any moment of packing. How much smaller the
//! store becomes is not asserted beyond the number of files.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{change, file, git, scratch};
use crate::snapshots::Snapshots;

fn fill(snapshots: &Snapshots, server: &str, count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|round| {
            let content = format!("{server} {round}\n{}", "same\n".repeat(40));
            let name = format!("/srv/{}/file", round % 5);
            let kept = snapshots
                .after(&crate::snapshots::Change {
                    server,
                    ..change(&name, file(content.as_bytes(), 0o644))
                })
                .unwrap();
            (kept.commit, content)
        })
        .collect()
}

fn loads(path: &Path, server: &str, kept: &[(String, String)]) {
    let snapshots = Snapshots::open(path, None).unwrap();
    for (round, (commit, content)) in kept.iter().enumerate() {
        let name = format!("/srv/{}/file", round % 5);
        let loaded = snapshots.load(server, &name, commit).unwrap();
        assert_eq!(loaded, file(content.as_bytes(), 0o644), "{name} {commit}");
    }
}

#[test]
fn packing_keeps_everything_in_fewer_files() {
    let (_dir, path, snapshots) = scratch();
    let kept = fill(&snapshots, "prod-a", 30);
    let packed = snapshots.pack().unwrap();
    assert!(
        packed.before.loose > 100 && packed.before.packs == 0,
        "{packed:?}"
    );
    assert_eq!((packed.after.loose, packed.after.packs), (0, 1));
    assert!(packed.after.bytes < packed.before.bytes, "{packed:?}");
    loads(&path, "prod-a", &kept);
    let more = fill(&snapshots, "prod-a", 5);
    let packed = snapshots.pack().unwrap();
    assert_eq!((packed.after.loose, packed.after.packs), (0, 1));
    loads(&path, "prod-a", &kept);
    loads(&path, "prod-a", &more);
    // Nothing to do.
    let idle = snapshots.pack().unwrap();
    assert_eq!(idle.before, idle.after);
    git(&path, &["fsck", "--strict", "--no-dangling"]);
    assert_eq!(git(&path, &["rev-list", "--count", "prod-a"]).trim(), "35");
}

#[test]
fn what_an_open_handle_knows_survives_packing_by_another() {
    let (_dir, path, snapshots) = scratch();
    let kept = fill(&snapshots, "prod-a", 12);
    let other = Snapshots::open(&path, None).unwrap();
    other.history(None, None).unwrap();
    snapshots.pack().unwrap();
    fill(&snapshots, "prod-a", 3);
    // The pack the other handle has just begun to use goes away again.
    other.load("prod-a", "/srv/0/file", &kept[0].0).unwrap();
    snapshots.pack().unwrap();
    for (commit, _) in &kept {
        other.load("prod-a", "/srv/4/file", commit).ok();
    }
    let found = other.load("prod-a", "/srv/3/file", &kept[8].0).unwrap();
    assert_eq!(found, file(kept[8].1.as_bytes(), 0o644));
    assert_eq!(other.history(None, None).unwrap().len(), 15);
}

#[test]
fn writers_and_readers_go_on_while_it_packs() {
    let (_dir, path, _) = scratch();
    let done = AtomicBool::new(false);
    let servers = ["w0", "w1", "w2"];
    let begin = Barrier::new(servers.len() + 1);
    let kept: Vec<_> = thread::scope(|scope| {
        let packer = scope.spawn(|| {
            let snapshots = Snapshots::open(&path, None).unwrap();
            begin.wait();
            while !done.load(Ordering::Relaxed) {
                snapshots.pack().unwrap();
            }
            snapshots.pack().unwrap().after
        });
        let writers: Vec<_> = servers
            .into_iter()
            .map(|server| {
                let snapshots = Snapshots::open(&path, None).unwrap();
                let begin = &begin;
                scope.spawn(move || {
                    begin.wait();
                    let kept = fill(&snapshots, server, 25);
                    let read = snapshots.history(Some(server), None).unwrap();
                    assert_eq!(read.len(), 25);
                    kept
                })
            })
            .collect();
        let kept = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(packer.join().unwrap().loose, 0);
        kept
    });
    for (server, kept) in servers.into_iter().zip(&kept) {
        loads(&path, server, kept);
    }
    git(&path, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn packs_that_somebody_keeps_and_large_contents_stay_as_they_are() {
    let (_dir, path, snapshots) = scratch();
    fill(&snapshots, "prod-a", 3);
    snapshots.pack().unwrap();
    let packs = path.join("objects/pack");
    let pack = fs::read_dir(&packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .unwrap();
    fs::write(pack.with_extension("keep"), b"").unwrap();
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..9 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    let large = snapshots
        .after(&change("/large", file(&noise, 0o644)))
        .unwrap();
    let packed = snapshots.pack().unwrap();
    assert_eq!(packed.after.loose, 1, "{packed:?}");
    assert!(pack.exists());
    let loaded = snapshots.load("prod-a", "/large", &large.commit).unwrap();
    assert_eq!(loaded, file(&noise, 0o644));
}

#[test]
fn one_packs_at_a_time_and_leftovers_of_the_dead_go() {
    let (_dir, path, snapshots) = scratch();
    fill(&snapshots, "prod-a", 2);
    let turn = fs::File::create(path.join("openshell-pack.lock")).unwrap();
    turn.lock().unwrap();
    assert!(snapshots.pack().unwrap().busy);
    drop(turn);
    // Ours, of whoever had the turn before; git's own, dead and alive.
    let ours = path.join("objects/pack/pack_git2_abcdef");
    let left = path.join("objects/pack/tmp_pack_abcdef");
    let fresh = path.join("objects/tmp_object_git2_ghijkl");
    for leftover in [&ours, &left, &fresh] {
        fs::write(leftover, b"half").unwrap();
    }
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    fs::File::options()
        .write(true)
        .open(&left)
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert!(!snapshots.pack().unwrap().busy);
    assert!(!ours.exists() && !left.exists() && fresh.exists());
}
