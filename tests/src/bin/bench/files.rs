//! Files and trees beside OpenSSH's own programs.
//!
//! Invariant: the same bytes go the same way under the same delay. What a disk can
//! do is not taken out of the numbers.

use std::path::Path;
use std::time::Duration;

use openshell_tests::{Sshd, SshdOptions};
use serde_json::json;

use crate::helper::{Bridge, install};
use crate::measure::{Times, digits, in_turn};
use crate::peers::{ControlMaster, Probe, sftp};
use crate::table::{Goal, Row, Table};
use crate::{Size, delay};

/// Size of the file, in bytes.
const SIZE: usize = 100 << 20;
const ROUND_TRIPS_MS: [u64; 3] = [0, 20, 80];
const ROUNDS: usize = 5;

/// Directories and files in each, which are 10,000 entries together.
const FOLDERS: usize = 100;
const FILES_EACH: usize = 99;

/// How the lines begin.
pub(crate) const LINES: &[&str] = &[
    "100 MB read, 0 ms",
    "100 MB write, 0 ms",
    "100 MB read, 20 ms",
    "100 MB write, 20 ms",
    "100 MB read, 80 ms",
    "100 MB write, 80 ms",
    TREE,
];
const TREE: &str = "a tree of 10,000 entries, beside find over ssh";

/// Measures every line about files.
pub(crate) fn measure(table: &mut Table, helper: &Path, probe: &Path, size: Size) {
    let sshd = Sshd::start(&SshdOptions::default());
    let scratch = sshd.dir().join("bench");
    std::fs::create_dir_all(&scratch).expect("the fixture's own folder");
    transfers(table, &sshd, probe, &scratch, size);
    table.lines(&[TREE], |table| tree(table, &sshd, helper, &scratch, size));
}

fn transfers(table: &mut Table, sshd: &Sshd, probe: &Path, scratch: &Path, size: Size) {
    let (bytes, rounds) = (size.of(SIZE, SIZE / 25), size.of(ROUNDS, 1));
    let ports = ROUND_TRIPS_MS.map(|ms| match ms {
        0 => sshd.port(),
        ms => delay::start("127.0.0.1:0", sshd.port(), Duration::from_millis(ms)),
    });
    let mut probe = Probe::start(probe, sshd, &ports, scratch);
    let source = scratch.join("source");
    let content: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8).collect();
    std::fs::write(&source, &content).expect("room for 100 MB");
    let (source, target) = (source.display(), scratch.join("target"));
    for (ms, port) in ROUND_TRIPS_MS.into_iter().zip(ports) {
        table.lines(&[&format!("100 MB read, {ms} ms")], |table| {
            let times = in_turn(
                1,
                rounds,
                &mut [
                    &mut || probe.ask(&format!("get {port} {source}")),
                    &mut || sftp(sshd, port, &format!("get {source} /dev/null"), scratch),
                ],
            );
            row(table, "read", ms, &times, ("sftp get", bytes));
        });
        table.lines(&[&format!("100 MB write, {ms} ms")], |table| {
            let remove = || drop(std::fs::remove_file(&target));
            let times = in_turn(
                1,
                rounds,
                &mut [
                    &mut || {
                        remove();
                        probe.ask(&format!("put {port} {} {bytes}", target.display()))
                    },
                    &mut || {
                        remove();
                        let line = format!("put -f {source} {}", target.display());
                        sftp(sshd, port, &line, scratch)
                    },
                ],
            );
            row(table, "write", ms, &times, ("sftp put -f", bytes));
        });
    }
}

fn row(table: &mut Table, way: &str, ms: u64, times: &[Times], of: (&str, usize)) {
    let (theirs_name, bytes) = of;
    let [ours, theirs] = times else { return };
    let speed = |times: &Times| format!("{} MB/s", digits(bytes as f64 / 1e3 / times.median()));
    table.add(Row {
        what: format!("100 MB {way}, {ms} ms round trip, speed"),
        ours: format!("{}, {}", ours.shown(), speed(ours)),
        beside: format!("{theirs_name} {}, {}", theirs.shown(), speed(theirs)),
        value: theirs.median() / ours.median(),
        unit: "x",
        goal: Goal::AtLeast(1.0),
        reason: match way {
            "read" => "the server's processor is the limit and is the same machine's",
            _ => {
                "OpenSSH's server takes 2 MiB a round trip whatever the client does; besides its \
                 content a file costs the looks before and after the rename that keep it from \
                 replacing anybody's change, several round trips in all, and its hash"
            }
        },
    });
}

fn tree(table: &mut Table, sshd: &Sshd, helper: &Path, scratch: &Path, size: Size) {
    let root = scratch.join("tree");
    for folder in 0..size.of(FOLDERS, 10) {
        let folder = root.join(format!("d{folder:03}"));
        std::fs::create_dir_all(&folder).expect("the fixture's own folder");
        for file in 0..FILES_EACH {
            std::fs::write(folder.join(format!("f{file:03}.conf")), "").expect("just made");
        }
    }
    let cli = install(helper);
    cli.enrol(sshd, "bench");
    let mut bridge = Bridge::start(&cli);
    let master = ControlMaster::start(sshd, scratch);
    let list = json!({"server": "bench", "path": root, "recursive": true, "limit": 10_000});
    let find = format!("find {}", root.display());
    let times = in_turn(
        size.of(3, 1),
        size.of(20, 2),
        &mut [&mut || bridge.call("remote_list_dir", &list), &mut || {
            master.run(&find)
        }],
    );
    let [ours, theirs] = times.as_slice() else {
        return;
    };
    table.add(Row {
        what: TREE.to_owned(),
        ours: ours.shown(),
        beside: format!("find over ControlMaster {}", theirs.shown()),
        value: ours.median() / theirs.median(),
        unit: "x",
        goal: Goal::AtMost(1.0),
        reason: "SFTP sends every name with its attributes and an ls line, some 100 bytes an \
                 entry, and the result carries size, mode and owner of each; find prints names",
    });
}
