//! Many servers and many calls at once, and what they take up.
//!
//! Invariant: every call of a crowd must succeed, or the run ends. It does not
//! compare single calls.

use std::path::Path;
use std::time::Duration;

use openshell_tests::{Cli, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::helper::{Bridge, FLEET, enrol_at, install, memory, memory_at_rest};
use crate::measure::{Times, digits, quantile, timed};
use crate::peers::{ansible, clush, installed};
use crate::table::{Goal, Row, Table};
use crate::{Size, delay};

const SERVERS: usize = 200;
const CROWD_SERVERS: usize = 50;
const CROWD_CALLS: usize = 1_000;
/// Servers connected to at a time before anything is measured.
const BATCH: usize = 10;

/// Servers that may be left out by chance, of those.
const LOST_AT_MOST: f64 = 1.0 / 200.0;

/// How the lines begin.
pub(crate) const LINES: &[&str] = &[
    IDLE, CONNECTION, IN_FLIGHT, LONGEST, ANSWERED, CLUSH, ANSIBLE,
];
const IDLE: &str = "memory, idle";
const CONNECTION: &str = "memory, an open connection";
const IN_FLIGHT: &str = "memory, a call in flight";
const LONGEST: &str = "1,000 calls on 50 servers, longest wait";
const ANSWERED: &str = "uptime on 200 servers, answered";
const CLUSH: &str = "uptime on 200 servers, beside clush -f 200";
const ANSIBLE: &str = "uptime on 200 servers, beside ansible -f 200";

/// Measures every line about many at once.
pub(crate) fn measure(table: &mut Table, helper: &Path, size: Size) {
    let sshd = Sshd::start(&SshdOptions::default());
    let scratch = sshd.dir().join("bench");
    std::fs::create_dir_all(&scratch).expect("the fixture's own folder");
    // Each address is a server of its own to whoever connects.
    let mut port = 0;
    let hosts: Vec<String> = (0..SERVERS)
        .map(|number| format!("127.0.2.{}", number + 1))
        .collect();
    for host in &hosts {
        port = delay::start(&format!("{host}:{port}"), sshd.port(), Duration::ZERO);
    }
    let cli = install(helper);
    for (number, host) in hosts.iter().enumerate() {
        enrol_at(&cli, &sshd, &format!("s{number}"), host, port);
    }
    table.lines(&[IDLE, CONNECTION], |table| at_rest(table, &cli));
    table.lines(&[IN_FLIGHT, LONGEST], |table| in_flight(table, &cli, size));
    let fleet = Fleet {
        sshd: &sshd,
        hosts: &hosts,
        port,
        scratch: &scratch,
    };
    table.lines(&[ANSWERED, CLUSH, ANSIBLE], |table| {
        everywhere(table, &cli, &fleet, size);
    });
}

/// One `sshd` under many addresses.
struct Fleet<'a> {
    sshd: &'a Sshd,
    hosts: &'a [String],
    port: u16,
    scratch: &'a Path,
}

/// So many calls, on servers from `first` on in turn.
fn calls(first: usize, servers: usize, calls: usize, command: &str) -> Vec<(String, Value)> {
    (0..calls)
        .map(|number| {
            let server = format!("s{}", first + number % servers);
            let arguments = json!({"server": server, "command": command, "timeout": 120_000});
            ("remote_exec".to_owned(), arguments)
        })
        .collect()
}

fn megabytes(kilobytes: f64) -> f64 {
    kilobytes / 1024.0
}

fn at_rest(table: &mut Table, cli: &Cli) {
    let mut bridge = Bridge::start(cli);
    let idle = memory_at_rest(bridge.pid());
    table.add(Row {
        what: IDLE.to_owned(),
        ours: format!("{} MB resident", digits(megabytes(idle.resident))),
        beside: format!(
            "of which {} MB are no pages of the program's file",
            digits(megabytes(idle.own))
        ),
        value: megabytes(idle.resident),
        unit: " MB",
        goal: Goal::AtMost(15.0),
        reason: "the pages of the program's own file that were touched count as resident",
    });
    // What the first ones take is shared with all that follow: the crowd's own
    // share is what each further one adds.
    let half = CROWD_SERVERS / 2;
    let mut batch = |first: usize| {
        for at in (first..first + half).step_by(BATCH) {
            let count = BATCH.min(first + half - at);
            bridge.calls(&calls(at, count, count, "true"), 0, || ());
        }
        memory_at_rest(bridge.pid())
    };
    let (some, all) = (batch(0), batch(half));
    let each = (all.resident - some.resident) / half as f64;
    table.add(Row {
        what: CONNECTION.to_owned(),
        ours: format!(
            "{} KB; {} MB with {CROWD_SERVERS} open",
            digits(each),
            digits(megabytes(all.resident))
        ),
        beside: format!(
            "resident, what each of {half} added to {} MB with {half} open",
            digits(megabytes(some.resident))
        ),
        value: each,
        unit: " KB",
        goal: Goal::AtMost(300.0),
        reason: "the ciphers, the packet buffers and the task of each connection",
    });
}

fn in_flight(table: &mut Table, cli: &Cli, size: Size) {
    let crowd = size.of(CROWD_CALLS, 200);
    let mut bridge = Bridge::start(cli);
    for first in (0..CROWD_SERVERS).step_by(BATCH) {
        let count = BATCH.min(CROWD_SERVERS - first);
        bridge.calls(&calls(first, count, count, "true"), 0, || ());
    }
    let open = memory_at_rest(bridge.pid());
    let pid = bridge.pid();
    let mut held = f64::NAN;
    let mut waits = Vec::new();
    let took = timed(|| {
        let crowd = calls(0, CROWD_SERVERS, crowd, "sleep 1");
        // Looked at when the first answers are there, so all have been taken in.
        let missing = crowd.len() - 20;
        waits = bridge.calls(&crowd, missing, || held = memory(pid).resident);
    });
    let most = memory(pid).most;
    let each = (most - open.resident) / crowd as f64;
    table.add(Row {
        what: IN_FLIGHT.to_owned(),
        ours: format!(
            "{} KB of {crowd} on {CROWD_SERVERS} servers, {} MB in all",
            digits(each),
            digits(megabytes(held))
        ),
        beside: format!("the most it ever held: {} MB", digits(megabytes(most))),
        value: each,
        unit: " KB",
        goal: Goal::AtMost(1024.0),
        reason: "each call has a store of its own",
    });
    // Twenty calls of a second each on seven places a server take three turns.
    let longest = quantile(&waits, 1.0) / 1e3;
    table.add(Row {
        what: LONGEST.to_owned(),
        ours: format!(
            "longest {} s, median {} s, {} of {crowd} ok",
            digits(longest),
            digits(quantile(&waits, 0.5) / 1e3),
            waits.len()
        ),
        beside: format!(
            "each sleeps 1 s, {} a server; all took {} s",
            crowd / CROWD_SERVERS,
            digits(took / 1e3)
        ),
        value: longest / (took / 1e3),
        unit: "x of the whole",
        goal: Goal::AtMost(1.0),
        reason: "a call waited longer than all took together",
    });
}

fn everywhere(table: &mut Table, cli: &Cli, fleet: &Fleet, size: Size) {
    let Fleet {
        sshd,
        hosts,
        port,
        scratch,
    } = *fleet;
    let with_clush = installed("clush");
    let with_ansible = installed("ansible");
    if !with_clush {
        table.skip(CLUSH, "clush is not installed (Debian: clustershell)");
    }
    if !with_ansible {
        table.skip(ANSIBLE, "ansible is not installed (Debian: ansible-core)");
    }
    let all = json!({"server": format!("label:{FLEET}"), "command": "uptime"});
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    let mut lost = Vec::new();
    for _ in 0..size.of(3, 1) {
        // Connections are dialled within the time, as theirs are.
        let mut bridge = Bridge::start(cli);
        let (taken, answer) = bridge.ask("remote_exec", &all);
        drop(bridge);
        ours.push(taken);
        lost.push(unanswered(&answer["result"]["envelope"]));
        if with_clush {
            theirs.push(clush(sshd, hosts, port, "uptime"));
        }
    }
    let worst = lost.iter().max_by_key(|(count, _)| *count);
    let (most_lost, why) = worst.cloned().unwrap_or_default();
    table.add(Row {
        what: ANSWERED.to_owned(),
        ours: format!(
            "{} of {SERVERS} at worst, {}",
            SERVERS - most_lost,
            ours.shown()
        ),
        beside: match why.is_empty() {
            true => "with the ordinary limits of time".to_owned(),
            false => format!("the others: {why}"),
        },
        value: (SERVERS - most_lost) as f64 / SERVERS as f64 * 100.0,
        unit: " %",
        goal: Goal::AtLeast((1.0 - LOST_AT_MOST) * 100.0),
        reason: "servers did not answer within the ordinary limits of time; which and how, stands \
                 beside it",
    });
    // Whoever answers less is done sooner.
    let whole = most_lost as f64 <= SERVERS as f64 * LOST_AT_MOST;
    if with_clush && whole {
        table.add(Row {
            what: CLUSH.to_owned(),
            ours: ours.shown(),
            beside: format!("clush {}", theirs.shown()),
            value: ours.median() / theirs.median(),
            unit: "x",
            goal: Goal::AtMost(1.2),
            reason: "key exchanges on both sides share this machine's processors",
        });
    }
    if with_ansible && whole {
        let theirs = ansible(sshd, hosts, port, "uptime", scratch);
        table.add(Row {
            what: ANSIBLE.to_owned(),
            ours: ours.shown(),
            beside: format!("ansible {} ms, once", digits(theirs)),
            value: ours.median() / theirs,
            unit: "x",
            goal: Goal::AtMost(0.2),
            reason: "key exchanges on both sides share this machine's processors",
        });
    }
    assert!(whole, "{most_lost} of {SERVERS} servers were lost: {why}");
}

/// How many servers failed, and how many with which code.
fn unanswered(envelope: &Value) -> (usize, String) {
    let Some(groups) = envelope["data"]["groups"].as_array() else {
        return (SERVERS, envelope.to_string());
    };
    let failed = groups.iter().filter(|group| group["status"] != "ok");
    let mut count = 0;
    let told: Vec<String> = failed
        .map(|group| {
            let servers = group["count"].as_u64().unwrap_or(1);
            count += servers as usize;
            let message = group["message"].as_str().unwrap_or_default();
            format!("{servers} x {} ({message})", group["code"])
        })
        .collect();
    (count, told.join("; ").chars().take(400).collect())
}
