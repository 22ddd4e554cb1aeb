//! Single calls: warm, cold, and those that open nothing on the server.
//!
//! Invariant: both sides of a line talk to the same server in turns. Calls at the
//! same time are measured in `crowd`, not here.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use openshell_tests::{Cli, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::Size;
use crate::helper::{Bridge, install};
use crate::measure::{Times, digits, in_turn, timed};
use crate::peers::{ControlMaster, Probe, cold_ssh};
use crate::table::{Goal, Row, Table};

/// Calls measured per line, after as many as `WARM_UP` that are not.
const CALLS: usize = 200;
const WARM_UP: usize = 20;
/// The same for lines that start a process each time.
const STARTS: usize = 20;

/// How the lines begin.
pub(crate) const LINES: &[&str] = &[EXEC_SSH, EXEC_BARE, STAT, READ, COLD, LISTED];
const EXEC_SSH: &str = "remote_exec of a no-op, beside ssh over ControlMaster";
const EXEC_BARE: &str = "remote_exec of a no-op, beside a bare channel";
const STAT: &str = "remote_stat, over the round trip";
const READ: &str = "remote_read_file of 4 KB, over the round trip";
const COLD: &str = "first result after a cold start, beside cold ssh";
const LISTED: &str = "tools listed after process start";

/// Measures every line about single calls.
pub(crate) fn measure(table: &mut Table, helper: &Path, probe: &Path, size: Size) {
    let sshd = Sshd::start(&SshdOptions::default());
    let scratch = sshd.dir().join("bench");
    std::fs::create_dir_all(&scratch).expect("the fixture's own folder");
    let cli = install(helper);
    cli.enrol(&sshd, "bench");
    let mut probe = Probe::start(probe, &sshd, &[], &scratch);
    let starts = size.of(STARTS, 3);
    table.lines(&[EXEC_SSH, EXEC_BARE, STAT, READ], |table| {
        warm(table, &sshd, &cli, &mut probe, &scratch, size);
    });
    table.lines(&[COLD], |table| cold(table, &sshd, &cli, starts));
    table.lines(&[LISTED], |table| listed(table, &cli, starts));
}

fn warm(table: &mut Table, sshd: &Sshd, cli: &Cli, probe: &mut Probe, scratch: &Path, size: Size) {
    let (warm_up, calls) = (size.of(WARM_UP, 2), size.of(CALLS, 10));
    let mut bridge = Bridge::start(cli);
    let master = ControlMaster::start(sshd, scratch);
    let exec = json!({"server": "bench", "command": "true"});
    let mut fsync = appender(cli);
    let times = in_turn(
        warm_up,
        calls,
        &mut [
            &mut || bridge.call("remote_exec", &exec),
            &mut || master.run("true"),
            &mut || probe.ask("bare"),
            &mut fsync,
        ],
    );
    let [ours, master, bare, fsync] = times.as_slice() else {
        return;
    };
    table.add(Row {
        what: EXEC_SSH.to_owned(),
        ours: ours.shown(),
        beside: format!("ssh {}", master.shown()),
        value: ours.median() / master.median(),
        unit: "x",
        goal: Goal::AtMost(0.35),
        reason: "the floor of a call is the server's fork and exec, and on this machine its \
                 processor is ours as well",
    });
    table.add(Row {
        what: EXEC_BARE.to_owned(),
        ours: ours.shown(),
        beside: format!(
            "bare russh channel {}; fsync {}",
            bare.shown(),
            fsync.shown()
        ),
        value: ours.median() / bare.median(),
        unit: "x",
        goal: Goal::AtMost(1.0),
        reason: "policy, a store of the component, the records and the proof of the shell cost \
                 more than the channel that was opened ahead saves; see profile.md",
    });

    table.part("a small append and its fsync", fsync.shown());
    let alone = in_turn(warm_up, calls, &mut [&mut || probe.ask("exec")]);
    table.part(
        "a no-op by our SSH alone, shell opened ahead",
        alone.first().map(Times::shown).unwrap_or_default(),
    );
    table.part("a no-op over a bare channel", bare.shown());
    table.part("a no-op by remote_exec, over the bridge", ours.shown());

    let file = scratch.join("four-kilobytes");
    std::fs::write(&file, vec![b'x'; 4096]).expect("the fixture's own folder");
    let stat = json!({"server": "bench", "path": file});
    let read = json!({"server": "bench", "path": file, "length": 4096});
    bridge.call("remote_stat", &stat);
    let before = sshd.log().matches("Starting session").count();
    for (tool, what, arguments) in [
        ("remote_stat", STAT, &stat),
        ("remote_read_file", READ, &read),
    ] {
        let times = in_turn(
            warm_up,
            calls,
            &mut [&mut || bridge.call(tool, arguments), &mut || {
                probe.ask("ping")
            }],
        );
        let [ours, ping] = times.as_slice() else {
            return;
        };
        table.add(Row {
            what: what.to_owned(),
            ours: ours.shown(),
            beside: format!(
                "round trip {}; 0 sessions opened on the server",
                ping.shown()
            ),
            value: ours.median() - ping.median(),
            unit: " ms",
            goal: Goal::AtMost(1.5),
            reason: "the path is resolved and judged before it is used, which is a round trip \
                     of its own",
        });
    }
    let spawned = sshd.log().matches("Starting session").count() - before;
    assert_eq!(spawned, 0, "a call about files opened a session");
}

/// What making a line of the journal durable costs on the disk it lies on; ms.
fn appender(cli: &Cli) -> impl FnMut() -> f64 {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(cli.dir().join("fsync"))
        .expect("the installation's own folder");
    move || {
        timed(|| {
            file.write_all(&[b'x'; 700]).expect("a writable disk");
            file.sync_data().expect("a disk that syncs");
        })
    }
}

fn cold(table: &mut Table, sshd: &Sshd, cli: &Cli, starts: usize) {
    let exec = json!({"server": "bench", "command": "true"});
    let times = in_turn(
        2,
        starts,
        &mut [
            &mut || {
                timed(|| {
                    Bridge::start(cli).call("remote_exec", &exec);
                })
            },
            &mut || cold_ssh(sshd, "true"),
        ],
    );
    let [ours, theirs] = times.as_slice() else {
        return;
    };
    table.add(Row {
        what: COLD.to_owned(),
        ours: ours.shown(),
        beside: format!("ssh {}", theirs.shown()),
        value: ours.median() / theirs.median(),
        unit: "x",
        goal: Goal::AtMost(1.1),
        reason: "opening the journal and the registry comes before the first connection",
    });
}

/// How soon a client that starts the helper knows its tools.
fn listed(table: &mut Table, cli: &Cli, starts: usize) {
    let mut times = Times::default();
    for round in 0..starts + 2 {
        let taken = timed(|| list_tools(cli));
        if round >= 2 {
            times.push(taken);
        }
    }
    table.add(Row {
        what: LISTED.to_owned(),
        ours: times.shown(),
        beside: format!("slowest {} ms", digits(times.quantile(1.0))),
        value: times.median(),
        unit: " ms",
        goal: Goal::AtMost(20.0),
        reason: "the process start itself took this long here",
    });
}

fn list_tools(cli: &Cli) {
    let mut child = cli
        .command(["mcp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the helper runs");
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let hello = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    });
    let frames = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}),
    ];
    for frame in frames {
        writeln!(input, "{frame}").expect("the helper reads");
    }
    loop {
        let mut line = String::new();
        output.read_line(&mut line).expect("the helper answers");
        let frame: Value = serde_json::from_str(&line).expect("an answer is JSON");
        if frame["id"] == 2 {
            assert!(frame["result"]["tools"].is_array(), "{frame}");
            break;
        }
    }
    drop(input);
    let _ = child.wait();
}
