//! The journal taken out and watched: filters, tail, exports; and a journal that
//! cannot be written.
//!
//! They prove that a filter leaves nothing out unsaid and that a full disk refuses
//! instead of going on. Damage is tried in `cli_audit`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, is_root};

#[test]
fn records_are_chosen_by_time_and_outcome() {
    let rig = Rig::start();
    ended(&rig.exec("uptime", &[]), 0, "");
    ended(&rig.exec("touch /never", &[]), 3, "APPROVAL_REQUIRED");
    let list = |flags: &[&str]| -> Vec<Value> {
        let listed = rig.cli.run(["audit", "list", "--json"].iter().chain(flags));
        assert_eq!(listed.status, 0, "{listed:?}");
        listed.json().as_array().expect("an array").clone()
    };
    let all = list(&[]).len();
    assert_eq!(list(&["--since", "1h"]).len(), all);
    assert_eq!(list(&["--until", "1h"]).len(), 0);
    assert_eq!(
        list(&["--since", "2020-01-01", "--until", "2099-01-01"]).len(),
        all
    );
    assert_eq!(list(&["--since", "2099-01-01T00:00:00Z"]).len(), 0);
    let ok = list(&["--outcome", "ok"]);
    assert_eq!(ok.len(), 1, "{ok:?}");
    assert_eq!(ok[0]["outcome"]["status"], "ok");
    let refused = list(&["--outcome", "approval_required", "--tool", "remote_exec"]);
    assert_eq!(refused.len(), 1, "{refused:?}");
    let nonsense = rig.cli.run(["audit", "list", "--since", "yesterday"]);
    assert_eq!(nonsense.status, 2, "{nonsense:?}");
    assert!(nonsense.stderr.contains("yesterday"), "{nonsense:?}");
}

#[test]
fn a_tail_shows_what_is_there_and_what_comes() {
    let rig = Rig::start();
    ended(&rig.exec("uptime", &[]), 0, "");
    let mut child = rig.cli.start([
        "audit",
        "tail",
        "-n",
        "2",
        "--json",
        "--tool",
        "remote_exec",
    ]);
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut records =
        lines.map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"));
    let mut next = || records.next().expect("it goes on")["event"].clone();
    assert_eq!((next(), next()), (json!("attempt"), json!("outcome")));
    let path = rig.put("file", "x", 0o600);
    ended(&rig.on("remote_stat", &path, json!({}), &[]), 0, "");
    ended(&rig.exec("uptime", &[]), 0, "");
    assert_eq!(
        (next(), next(), next()),
        (json!("intent"), json!("attempt"), json!("outcome")),
        "and nothing of the other tool"
    );
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

#[test]
fn an_export_can_be_checked_elsewhere() {
    let rig = Rig::start();
    ended(&rig.exec("uptime", &[]), 0, "");
    ended(&rig.exec("touch /never", &[]), 3, "APPROVAL_REQUIRED");
    let export = |name: &str, flags: &[&str]| {
        let file = rig.cli.dir().join(name).display().to_string();
        let words = ["audit", "export", "--json", "--output", &file];
        let made = rig.cli.run(words.iter().chain(flags));
        assert_eq!(made.status, 0, "{made:?}");
        (file.clone(), made.json())
    };
    let check = |file: &str| rig.cli.run(["audit", "verify", "--json", "--export", file]);
    let (whole, extent) = export("whole", &[]);
    let journal = rig.cli.run(["audit", "verify", "--json"]).json();
    assert_eq!(extent["contiguous"], true, "{extent}");
    assert_eq!(extent["last_hash"], journal["lastHash"]);
    assert_eq!(extent["records"], journal["records"]);
    let checked = check(&whole);
    assert_eq!(checked.status, 0, "{checked:?}");
    assert!(checked.json()["proves"].to_string().contains("left out"));
    let (some, extent) = export("some", &["--outcome", "ok"]);
    assert_eq!(extent["records"], 1, "{extent}");
    assert_eq!(check(&some).status, 0);
    let (gaps, extent) = export("gaps", &["--outcome", "ok", "--tool", "remote_exec"]);
    assert_eq!(extent["records"], 1, "{extent}");
    assert_eq!(check(&gaps).status, 0);
    let text = fs::read_to_string(&whole).expect("it was written");
    fs::write(&whole, text.replacen("uptime", "reboot", 1)).expect("the test's own file");
    let changed = check(&whole);
    assert_eq!(changed.status, 1, "{changed:?}");
    assert_eq!(changed.json()["broken"]["line"], 2, "{changed:?}");
    let again = rig.cli.run(["audit", "export", "--output", &some]);
    assert_eq!(again.status, 1, "nothing is overwritten: {again:?}");
}

/// A file system of a given size in place of a directory.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(place: &std::path::Path, size: &str) -> Option<Self> {
        fs::create_dir_all(place).expect("the test's own directory");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "tmpfs",
            ])
            .arg(place)
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: a tmpfs cannot be mounted here");
        }
        mounted.then(|| Self(place.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_journal_refuses_and_recovers_when_there_is_room() {
    if !is_root("mounting") {
        return;
    }
    let rig = Rig::start();
    let audit = rig.cli.audit_dir();
    // What enrolment recorded is of no interest here.
    let _ = fs::remove_dir_all(&audit);
    let Some(_small) = Small::mount(&audit, "256k") else {
        return;
    };
    ended(&rig.exec("uptime", &[]), 0, "");
    let filler = audit.join("filler");
    // A write that fails half-way is what fills the last page.
    let mut bytes = vec![0_u8; 256 * 1024];
    while !bytes.is_empty() && fs::write(&filler, &bytes).is_err() {
        bytes.truncate(bytes.len() - 4096);
    }
    let connections = rig.server.connections_seen();
    let path = rig.put("file", "x\n", 0o644);
    for _ in 0..3 {
        let content = json!({"content": "y".repeat(3000)});
        let refused = rig.on("remote_write_file", &path, content, &["--yes"]);
        ended(&refused, 1, "JOURNAL_UNAVAILABLE");
        assert_eq!(refused.json()["execution"]["attempted"], false);
    }
    assert_eq!(rig.server.connections_seen(), connections);
    assert_eq!(rig.content("file"), b"x\n");
    fs::remove_file(&filler).expect("the test's own file");
    let written = rig.on(
        "remote_write_file",
        &path,
        json!({"content": "z\n"}),
        &["--yes"],
    );
    ended(&written, 0, "");
    let verified = rig.cli.run(["audit", "verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
}
