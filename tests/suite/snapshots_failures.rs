//! A snapshot store that cannot be used: nothing is changed on the server, and
//! what can mend itself does, without a restart of the helper.
//!
//! Invariant under test: no change of a file without its state from before. Loss of
//! single bits is tried beside the code.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli_support::{Rig, eventually};
use crate::snapshots_support::{Bridge, Disk, git_in, store};

/// Asserts that a call was refused before it did anything.
#[track_caller]
fn refused(rig: &Rig, envelope: &Value, content: &str) {
    assert_eq!(envelope["code"], "SNAPSHOT_UNAVAILABLE", "{envelope}");
    assert_eq!(envelope["execution"]["attempted"], false, "{envelope}");
    let next = envelope["next"].as_str().unwrap_or_default();
    assert!(!next.is_empty(), "it says what to do: {envelope}");
    assert_eq!(rig.content("file"), content.as_bytes());
    let action = &envelope["audit"]["action"];
    let records = rig.cli.records();
    let own: Vec<&Value> = records
        .iter()
        .filter(|record| record["action"] == *action)
        .collect();
    assert!(
        own.iter().any(|record| record["event"] == "outcome"),
        "{own:?}"
    );
    assert!(
        own.iter().all(|record| record["event"] != "attempt"),
        "{own:?}"
    );
}

#[track_caller]
fn written(rig: &Rig, envelope: &Value, content: &str) {
    assert_eq!(envelope["status"], "ok", "{envelope}");
    assert_eq!(envelope["audit"]["snapshotStatus"], "written", "{envelope}");
    assert_eq!(rig.content("file"), content.as_bytes());
    let verified = rig.cli.run(["snapshots", "verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
}

#[test]
fn a_store_that_cannot_be_written_stops_changes_until_it_can() {
    let rig = Rig::start();
    let path = rig.put("file", "0", 0o644);
    let mut bridge = Bridge::start(&rig);
    written(&rig, &bridge.write("s", &path, "1"), "1");
    let Some(disk) = Disk::read_only(&store(&rig.cli)) else {
        return;
    };
    let envelope = bridge.write("s", &path, "2");
    // It is as it was last seen, so the state before the change is kept already.
    assert_eq!(envelope["status"], "partial_failure", "{envelope}");
    fs::write(rig.files.join("file"), "theirs").expect("own file");
    refused(&rig, &bridge.write("s", &path, "3"), "theirs");
    let alone = rig.on(
        "remote_write_file",
        &path,
        serde_json::json!({"content": "3"}),
        &["--yes"],
    );
    refused(&rig, &alone.json(), "theirs");
    drop(disk);
    let envelope = bridge.write("s", &path, "3");
    assert_eq!(envelope["status"], "ok", "{envelope}");
    // What could not be kept was told then, and is no fault now.
    let verified = rig.cli.run(["snapshots", "verify", "--json"]).json();
    assert_eq!(verified["faults"], serde_json::json!([]), "{verified}");
    assert_eq!(verified["notKept"], 1, "{verified}");
}

/// The state that a change left and could not keep is kept by the next change of the
/// file, as the first one's and not as somebody else's.
#[test]
fn a_state_that_could_not_be_kept_is_kept_by_the_next_change() {
    let rig = Rig::start();
    let path = rig.put("file", "0", 0o644);
    let mut bridge = Bridge::start(&rig);
    written(&rig, &bridge.write("s", &path, "1"), "1");
    let Some(disk) = Disk::read_only(&store(&rig.cli)) else {
        return;
    };
    let partial = bridge.write("s", &path, "2");
    assert_eq!(partial["status"], "partial_failure", "{partial}");
    drop(disk);
    written(&rig, &bridge.write("s", &path, "3"), "3");
    let history = rig.cli.run(["history", "a", &path, "--json"]).json();
    let history = history.as_array().expect("an array");
    let kinds: Vec<&Value> = history.iter().map(|state| &state["kind"]).collect();
    assert_eq!(kinds, ["after", "after", "after", "before"], "{history:?}");
    let action = &partial["audit"]["action"];
    assert_eq!(&history[1]["action"], action, "{history:?}");
    let verified = rig.cli.run(["snapshots", "verify", "--json"]).json();
    assert_eq!(verified["notKept"], 0, "{verified}");
    let undone = rig.cli.run(["undo", "a", &path, "--yes", "--json"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    assert_eq!(rig.content("file"), b"2");
}

#[test]
fn a_full_disk_stops_changes_until_there_is_room() {
    let rig = Rig::start();
    let Some(disk) = Disk::mount(&store(&rig.cli), "2m") else {
        return;
    };
    let path = rig.put("file", "0", 0o644);
    let mut bridge = Bridge::start(&rig);
    written(&rig, &bridge.write("s", &path, "1"), "1");
    let filler = disk.fill();
    fs::write(rig.files.join("file"), "theirs").expect("own file");
    for _ in 0..3 {
        refused(&rig, &bridge.write("s", &path, "2"), "theirs");
    }
    fs::remove_file(filler).expect("own file");
    written(&rig, &bridge.write("s", &path, "2"), "2");
    // Content that never fits is refused before anything else, too.
    let mut state = 1_u64;
    let large: Vec<u8> = (0..4 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    fs::write(rig.files.join("file"), &large).expect("own file");
    let envelope = bridge.write("s", &path, "3");
    assert_eq!(envelope["code"], "SNAPSHOT_UNAVAILABLE", "{envelope}");
    assert!(rig.content("file") == large);
    git_in(&rig.cli, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_damaged_store_stops_changes_until_it_is_moved_away() {
    let rig = Rig::start();
    let path = rig.put("file", "0", 0o644);
    let mut bridge = Bridge::start(&rig);
    written(&rig, &bridge.write("s", &path, "1"), "1");
    let tip = git_in(&rig.cli, &["rev-parse", "a"]);
    let (folder, name) = tip.trim().split_at(2);
    let object = store(&rig.cli).join("objects").join(folder).join(name);
    fs::remove_file(&object).expect("own file");
    fs::write(&object, b"").expect("own directory");
    // A helper of its own: the one above may have read it before.
    let alone = rig.on(
        "remote_write_file",
        &path,
        serde_json::json!({"content": "2"}),
        &["--yes"],
    );
    let envelope = alone.json();
    refused(&rig, &envelope, "1");
    assert!(
        envelope["next"]
            .as_str()
            .unwrap_or_default()
            .contains("snapshots verify"),
        "{envelope}"
    );
    let verified = rig.cli.run(["snapshots", "verify"]);
    assert_eq!(verified.status, 1, "{verified:?}");
    assert!(
        verified.stdout.contains("the chain breaks here"),
        "{verified:?}"
    );
    fs::rename(
        store(&rig.cli),
        rig.cli.data_dir().join("snapshots.damaged"),
    )
    .expect("own");
    // The helper that was running goes on with the new one.
    written(&rig, &bridge.write("s", &path, "2"), "2");
    // A reference that a crash left empty.
    let branch = store(&rig.cli).join("refs/heads/a");
    fs::write(&branch, b"").expect("own file");
    let envelope = bridge.write("s", &path, "3");
    refused(&rig, &envelope, "2");
}

#[test]
fn a_lock_goes_with_the_process_that_held_it() {
    let rig = Rig::start();
    let path = rig.put("file", "0", 0o644);
    let mut bridge = Bridge::start(&rig);
    written(&rig, &bridge.write("s", &path, "1"), "1");
    let lock = store(&rig.cli).join("openshell.lock");
    let marker = rig.cli.dir().join("held");
    // As a process that is stopped in the middle of its turn.
    let holder = Command::new("flock")
        .arg(&lock)
        .args(["-c", &format!("touch {}; exec sleep 600", marker.display())])
        .stdin(Stdio::null())
        .spawn();
    let Ok(mut holder) = holder else {
        eprintln!("skipped: flock(1) is not installed");
        return;
    };
    eventually("the lock is held", || marker.exists());
    fs::write(rig.files.join("file"), "theirs").expect("own file");
    let envelope = bridge.write("s", &path, "2");
    refused(&rig, &envelope, "theirs");
    assert!(
        envelope["message"]
            .as_str()
            .unwrap_or_default()
            .contains("another process")
    );
    // The lock belongs to flock(1) and to what it runs.
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id()));
    for pid in child.unwrap_or_default().split_whitespace() {
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    holder.kill().expect("it is ours");
    holder.wait().expect("it ends");
    written(&rig, &bridge.write("s", &path, "2"), "2");
    // Locks of git itself that somebody died over.
    for left in ["refs/heads/a.lock", "HEAD.lock", "packed-refs.lock"] {
        fs::write(store(&rig.cli).join(left), b"").expect("own directory");
    }
    written(&rig, &bridge.write("s", &path, "3"), "3");
}
