//! The history as plain git sees it: cloned, read, pushed, checked, packed.
//!
//! They prove that no tool of ours is needed to read it, and that what is secret
//! leaves it sealed. Undoing from it is not their subject.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, text, unique};
use crate::snapshots_support::{Bridge, git, git_in, store};

fn action(rig: &Rig, path: &str) -> String {
    let listed = rig.cli.run(["history", "a", path, "--json"]).json();
    listed[0]["action"].as_str().expect("text").to_owned()
}

fn verify(rig: &Rig, status: i32) -> Value {
    let verified = rig.cli.run(["snapshots", "verify", "--json"]);
    assert_eq!(verified.status, status, "{verified:?}");
    verified.json()
}

#[test]
fn a_clone_reads_like_a_history_somebody_wrote() {
    let rig = Rig::start();
    let secret = unique("value-");
    let conf = rig.put("nginx.conf", "worker_processes 1;\nuser www;\n", 0o644);
    let fresh = rig.path("motd");
    let key = rig.put("id_rsa", format!("{secret}\n"), 0o600);
    let patch = "@@ -1 +1 @@\n-worker_processes 1;\n+worker_processes 4;\n";
    rig.data("remote_patch_file", &conf, json!({"patch": patch}));
    rig.data("remote_write_file", &fresh, json!({"content": "hello\n"}));
    rig.data(
        "remote_write_file",
        &conf,
        json!({"content": "worker_processes 4;\nuser www;\n", "mode": "0755"}),
    );
    fs::write(rig.files.join("nginx.conf"), "worker_processes 8;\n").expect("own file");
    rig.data(
        "remote_write_file",
        &conf,
        json!({"content": "worker_processes 8;\nuser www;\n"}),
    );
    ended(&rig.cli.run(["undo", "a", &conf, "--yes", "--json"]), 0, "");
    ended(
        &rig.cli.run(["undo", "a", &fresh, "--yes", "--json"]),
        0,
        "",
    );
    rig.data(
        "remote_write_file",
        &key,
        json!({"content": format!("{secret} new\n")}),
    );

    let clone = rig.cli.dir().join("clone");
    git(&["clone", "--quiet", &text(&store(&rig.cli)), &text(&clone)]);
    let at = |words: &[&str]| {
        let mut all = vec!["-C", clone.to_str().expect("UTF-8")];
        all.extend(words);
        git(&all)
    };
    at(&["checkout", "--quiet", "a"]);
    let subjects = at(&["log", "--reverse", "--format=%s", "a"]);
    println!("{subjects}");
    let target = git_in(&rig.cli, &["log", "--format=%H %s", "a"])
        .lines()
        .find(|line| line.contains("somebody else"))
        .map(|line| line[..12].to_owned())
        .expect("the change was found");
    let expected = [
        format!("a: record {conf} as found"),
        format!("a: edit {conf}"),
        format!("a: record that there is no {fresh}"),
        format!("a: create {fresh}"),
        format!("a: change the mode of {conf} to 0755"),
        format!("a: find {conf} changed by somebody else"),
        format!("a: edit {conf}"),
        format!("a: restore {conf} to {target}"),
        format!("a: undo the creation of {fresh}"),
        format!("a: record {key} as found"),
        format!("a: edit {key}"),
    ];
    assert_eq!(subjects.lines().collect::<Vec<_>>(), expected);

    let log = at(&["log", "-p", "a", "--", conf.trim_start_matches('/')]);
    println!("{log}");
    for part in [
        "-worker_processes 1;",
        "+worker_processes 4;",
        "old mode 100644",
        "new mode 100755",
        "Author: openshell <openshell@localhost>",
        "    Action: ",
        "    Door: cli",
        "    Approved: flag",
        "    Mode: 0755",
    ] {
        assert!(log.contains(part), "{part:?} is missing");
    }
    let trailers = at(&[
        "log",
        "-1",
        "--format=%(trailers:key=Action,valueonly)",
        "a",
        "--",
        conf.trim_start_matches('/'),
    ]);
    assert_eq!(trailers.trim(), action(&rig, &conf));

    // What is checked out is what the server has, but for what is secret.
    let checked_out = fs::read(clone.join(conf.trim_start_matches('/'))).expect("checked out");
    assert_eq!(checked_out, rig.content("nginx.conf"));
    let sealed = fs::read(clone.join(key.trim_start_matches('/'))).expect("checked out");
    assert!(sealed.starts_with(b"This file is secret, so openshell keeps its content sealed."));
    let everything = at(&["cat-file", "--batch-all-objects", "--batch", "--buffer"]);
    assert!(!everything.contains(&secret), "the secret is in the clone");
    at(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(verify(&rig, 0)["sealed"], 2);
}

fn bare(rig: &Rig, name: &str) -> String {
    let place = text(&rig.cli.dir().join(name));
    git(&["init", "--quiet", "--bare", &place]);
    place
}

fn push(rig: &Rig, words: &[&str]) -> openshell_tests::Output {
    rig.cli
        .run(["snapshots", "push", "--json"].iter().chain(words))
}

#[test]
fn the_history_is_pushed_where_the_operator_says() {
    let mut rig = Rig::start();
    let nothing = push(&rig, &["/nowhere"]);
    assert_eq!(nothing.status, 1, "{nothing:?}");
    let path = rig.put("file", "one\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "two\n"}));
    let remote = bare(&rig, "remote.git");
    let done = push(&rig, &[&remote]);
    ended(&done, 0, "");
    assert_eq!(done.json()["through"], "libgit2");
    assert_eq!(done.json()["branches"], json!(["refs/heads/a"]));
    let tip = |place: &str| git(&["--git-dir", place, "rev-parse", "refs/heads/a"]);
    let own = || git_in(&rig.cli, &["rev-parse", "refs/heads/a"]);
    assert_eq!(tip(&remote), own());
    // What is our own business stays here.
    let refs = git(&["--git-dir", &remote, "for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs.trim(), "refs/heads/a");
    let noted = rig.cli.records();
    assert!(noted.iter().any(|record| {
        record["event"] == "note"
            && record["text"]
                .as_str()
                .unwrap_or_default()
                .contains("pushed to")
    }));
    // By the name of a remote, and through git over ssh.
    git_in(&rig.cli, &["remote", "add", "team", &remote]);
    rig.data("remote_write_file", &path, json!({"content": "three\n"}));
    ended(&push(&rig, &["team", "--server", "a"]), 0, "");
    assert_eq!(tip(&remote), own());
    let over_ssh = bare(&rig, "over-ssh.git");
    rig.cli.set_env(
        "GIT_SSH_COMMAND",
        &format!(
            "ssh -F none -i {} -o UserKnownHostsFile={} -o BatchMode=yes",
            rig.server.client_key_path().display(),
            rig.server.known_hosts_path().display()
        ),
    );
    let url = format!(
        "ssh://{}@127.0.0.1:{}{over_ssh}",
        rig.server.user(),
        rig.server.port()
    );
    let done = push(&rig, &[&url]);
    ended(&done, 0, "");
    assert_eq!(done.json()["through"], "git");
    let own = git_in(&rig.cli, &["rev-parse", "refs/heads/a"]);
    assert_eq!(tip(&over_ssh), own);
    // Somebody pushed something else there: it is not overwritten.
    let other = git(&[
        "--git-dir",
        &remote,
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@y",
        "commit-tree",
        "-m",
        "theirs",
        "refs/heads/a^{tree}",
    ]);
    git(&[
        "--git-dir",
        &remote,
        "update-ref",
        "refs/heads/a",
        other.trim(),
    ]);
    git(&[
        "--git-dir",
        &over_ssh,
        "fetch",
        "--quiet",
        &remote,
        "+refs/heads/a:refs/heads/a",
    ]);
    for place in [remote.as_str(), url.as_str()] {
        let refused = push(&rig, &[place]);
        assert_eq!(refused.status, 1, "{refused:?}");
    }
    assert_eq!(tip(&remote), other);
    assert_eq!(tip(&over_ssh), other);
    for odd in ["", "--mirror", "/etc/hostname", "no-such-remote"] {
        let refused = rig.cli.run(["snapshots", "push", "--json", "--", odd]);
        assert_eq!(refused.status, 1, "{odd}: {refused:?}");
    }
    rig.cli.set_env("OPENCODE", "1");
    ended(&push(&rig, &[&remote]), 3, "PERSON_REQUIRED");
}

#[test]
fn what_became_secret_is_not_pushed_readable() {
    let rig = Rig::start();
    let path = rig.put("settings.ini", "password = hunter2\n", 0o600);
    rig.data(
        "remote_write_file",
        &path,
        json!({"content": "password = other\n"}),
    );
    let remote = bare(&rig, "remote.git");
    let policy = format!("format = 1\nsecret_paths = [{path:?}]\n");
    fs::write(rig.cli.config_dir().join("policy.toml"), policy).expect("own file");
    let refused = push(&rig, &[&remote]);
    ended(&refused, 3, "SECRET_READABLE");
    assert!(refused.stdout.contains("settings.ini"), "{refused:?}");
    let refs = git(&["--git-dir", &remote, "for-each-ref"]);
    assert_eq!(refs, "");
    // From here on it is sealed.
    rig.data(
        "remote_write_file",
        &path,
        json!({"content": "password = third\n"}),
    );
    let listed = rig.cli.run(["history", "a", &path, "--json"]).json();
    assert_eq!(
        (&listed[0]["sealed"], &listed[1]["sealed"]),
        (&json!(true), &json!(true))
    );
}

/// A branch's tip with something about it changed, by plain git.
fn forge(rig: &Rig, content: &str, message: Option<&str>) {
    let path = rig.path("file");
    let inside = path.trim_start_matches('/');
    let work = rig.cli.dir().join("work");
    let _ = fs::remove_dir_all(&work);
    git(&[
        "clone",
        "--quiet",
        "--branch",
        "a",
        &text(&store(&rig.cli)),
        &text(&work),
    ]);
    fs::write(work.join(inside), content).expect("own file");
    let message = message.map_or_else(
        || git_in(&rig.cli, &["log", "-1", "--format=%B", "a"]),
        str::to_owned,
    );
    // A commit of the second in which the journal begins may be older than the
    // journal, which is no fault; what is forged here came after it.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let later = later.duration_since(std::time::UNIX_EPOCH);
    let later = format!("@{} +0000", later.expect("after 1970").as_secs());
    let done = Command::new("git")
        .envs(["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].map(|name| (name, &later)))
        .arg("-C")
        .arg(&work)
        .args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@y",
            "commit",
            "--quiet",
            "-am",
        ])
        .arg(message)
        .status();
    assert!(done.is_ok_and(|status| status.success()));
    let place = text(&work);
    git(&[
        "-C",
        &place,
        "push",
        "--quiet",
        "origin",
        "HEAD:refs/heads/a",
    ]);
}

#[test]
fn what_was_tampered_with_is_named() {
    let rig = Rig::start();
    let path = rig.put("file", "one\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "two\n"}));
    rig.data(
        "remote_write_file",
        &rig.path("new"),
        json!({"content": "x\n"}),
    );
    let sound = verify(&rig, 0);
    assert_eq!(sound["servers"], json!([{"server": "a", "states": 4}]));
    assert_eq!(
        (&sound["compared"], &sound["faults"]),
        (&json!(2), &json!([]))
    );
    let tip = git_in(&rig.cli, &["rev-parse", "a"]);
    let back = || git_in(&rig.cli, &["update-ref", "refs/heads/a", tip.trim()]);
    let faults = |rig: &Rig| {
        let found = verify(rig, 1);
        let faults = found["faults"].as_array().expect("an array").clone();
        faults
            .iter()
            .map(|fault| fault["what"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
            .join("; ")
    };

    // A commit of a person's own is no fault.
    forge(&rig, "by hand\n", Some("tidy up"));
    assert_eq!(verify(&rig, 0)["foreign"], 1);
    back();
    // One that pretends to be ours is.
    forge(&rig, "forged\n", None);
    let told = faults(&rig);
    assert!(told.contains("besides its own file"), "{told}");
    back();
    let own = git_in(&rig.cli, &["log", "-1", "--format=%B", "a~2"]);
    forge(&rig, "forged\n", Some(own.trim_end()));
    assert!(
        faults(&rig).contains("does not match its hash"),
        "{}",
        faults(&rig)
    );
    let refused = rig.cli.run(["undo", "a", &path, "--yes", "--json"]);
    ended(&refused, 1, "SNAPSHOT_UNAVAILABLE");
    back();
    // A trailer with another hash fits its content and not the journal.
    let hash = own
        .lines()
        .find_map(|line| line.strip_prefix("Sha256: "))
        .expect("a hash");
    let honest = own
        .replace(hash, &sha256(b"forged\n"))
        .replace("Size: 4", "Size: 7");
    forge(&rig, "forged\n", Some(honest.trim_end()));
    let told = faults(&rig);
    assert!(told.contains("the journal has another hash"), "{told}");
    back();
    let unknown = own
        .lines()
        .map(|line| match line.strip_prefix("Action: ") {
            Some(_) => "Action: 01J00000000000000000000000".to_owned(),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n");
    forge(&rig, "two\n\n", Some(&unknown));
    assert!(
        faults(&rig).contains("not in the journal"),
        "{}",
        faults(&rig)
    );
    back();
    // What was taken off the end is missed.
    git_in(&rig.cli, &["update-ref", "refs/heads/a", "a~1"]);
    let told = faults(&rig);
    assert!(
        told.contains("the state it left behind is not kept"),
        "{told}"
    );
    back();
    verify(&rig, 0);
    // A damaged object.
    let blob = git_in(
        &rig.cli,
        &["rev-parse", &format!("a:{}", path.trim_start_matches('/'))],
    );
    let (folder, name) = blob.trim().split_at(2);
    let object = store(&rig.cli).join("objects").join(folder).join(name);
    let good = fs::read(&object).expect("a loose object");
    fs::remove_file(&object).expect("own file");
    fs::write(&object, &good[..good.len() / 2]).expect("own directory");
    assert!(!faults(&rig).is_empty());
    fs::write(&object, good).expect("own file");
    verify(&rig, 0);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn a_record_begun_anew_is_no_fault() {
    let rig = Rig::start();
    let path = rig.put("file", "one\n", 0o644);
    rig.data("remote_write_file", &path, json!({"content": "two\n"}));
    let away = |place: &Path| {
        let to = place.with_extension("old");
        fs::rename(place, to).expect("own directory");
    };
    away(&rig.cli.audit_dir());
    rig.data("remote_write_file", &path, json!({"content": "three\n"}));
    let found = verify(&rig, 0);
    assert_eq!(
        (&found["beforeJournal"], &found["compared"]),
        (&json!(2), &json!(1))
    );
    away(&store(&rig.cli));
    rig.data("remote_write_file", &path, json!({"content": "four\n"}));
    let found = verify(&rig, 0);
    assert_eq!(
        (&found["beforeStore"], &found["compared"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn packing_stops_no_call_and_loses_nothing() {
    let rig = Rig::start();
    let path = rig.put("file", "0\n", 0o644);
    let mut bridge = Bridge::start(&rig);
    let packer = std::thread::scope(|scope| {
        let packer = scope.spawn(|| {
            let mut outputs = Vec::new();
            for _ in 0..6 {
                outputs.push(rig.cli.run(["snapshots", "gc", "--json"]));
            }
            outputs
        });
        for round in 1..=25 {
            let envelope = bridge.write("s", &path, &format!("{round}\n"));
            assert_eq!(envelope["status"], "ok", "{envelope}");
            assert_eq!(envelope["audit"]["snapshotStatus"], "written", "{envelope}");
        }
        packer.join().expect("packing does not panic")
    });
    for output in packer {
        ended(&output, 0, "");
    }
    let last = rig.cli.run(["snapshots", "gc", "--json"]).json();
    assert_eq!(
        (&last["after"]["loose"], &last["after"]["packs"]),
        (&json!(0), &json!(1))
    );
    let idle = rig.cli.run(["snapshots", "gc", "--auto", "--json"]).json();
    assert_eq!(idle["done"], false);
    git_in(&rig.cli, &["fsck", "--strict", "--no-dangling"]);
    assert_eq!(verify(&rig, 0)["compared"], 25);
    ended(
        &rig.cli.run(["undo", "--session", "s", "--yes", "--json"]),
        0,
        "",
    );
    assert_eq!(rig.content("file"), b"0\n");
}
