//! Many servers and many calls at once, and what they take up.

use std::path::Path;
use std::time::Duration;

use openshell_tests::{Cli, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::delay;
use crate::helper::{Bridge, FLEET, enrol_at, install, memory};
use crate::measure::{Times, digits, quantile, timed};
use crate::peers::{ansible, clush, installed};
use crate::table::{Goal, Row, Table};

const SERVERS: usize = 200;
const CROWD_SERVERS: usize = 50;
const CROWD_CALLS: usize = 1_000;

/// Measures every line about many at once.
pub(crate) fn measure(table: &mut Table, helper: &Path) {
    let sshd = Sshd::start(&SshdOptions {
        extra_config: vec!["MaxStartups 1000".to_owned()],
        ..SshdOptions::default()
    });
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
    memory_rows(table, &cli);
    everywhere(table, &sshd, &cli, &hosts, port, &scratch);
}

fn calls(servers: usize, calls: usize, command: &str) -> Vec<(String, Value)> {
    (0..calls)
        .map(|number| {
            let server = format!("s{}", number % servers);
            let arguments = json!({"server": server, "command": command, "timeout": 120_000});
            ("remote_exec".to_owned(), arguments)
        })
        .collect()
}

fn memory_rows(table: &mut Table, cli: &Cli) {
    let mut bridge = Bridge::start(cli);
    let (idle, _) = memory(bridge.pid());
    table.add(Row {
        what: "memory, idle".to_owned(),
        ours: format!("{} MB resident", digits(idle / 1024.0)),
        beside: "after the first answer".to_owned(),
        value: idle / 1024.0,
        unit: " MB",
        goal: Goal::AtMost(15.0),
        reason: "the pages of the program itself count",
    });
    // The first call loads what every call shares.
    bridge.calls(&calls(1, 1, "true"), 0, || ());
    let (before, _) = memory(bridge.pid());
    bridge.calls(&calls(CROWD_SERVERS, CROWD_SERVERS, "true"), 0, || ());
    let (open, _) = memory(bridge.pid());
    let each = (open - before) / (CROWD_SERVERS - 1) as f64;
    table.add(Row {
        what: "memory, an open connection".to_owned(),
        ours: format!("{} KB of {CROWD_SERVERS}", digits(each)),
        beside: "resident, with a spare shell each".to_owned(),
        value: each,
        unit: " KB",
        goal: Goal::AtMost(300.0),
        reason: "what fifty calls at once took from the allocator is counted as well",
    });

    let pid = bridge.pid();
    let mut held = f64::NAN;
    let mut waits = Vec::new();
    let took = timed(|| {
        let crowd = calls(CROWD_SERVERS, CROWD_CALLS, "sleep 1");
        // Looked at when the first answers are there, so all have been taken in.
        waits = bridge.calls(&crowd, CROWD_CALLS - 20, || held = memory(pid).0);
    });
    let (_, most) = memory(pid);
    let each = (most - open) / CROWD_CALLS as f64;
    table.add(Row {
        what: "memory, a call in flight".to_owned(),
        ours: format!(
            "{} KB of {CROWD_CALLS} on {CROWD_SERVERS} servers, {} MB in all",
            digits(each),
            digits(held / 1024.0)
        ),
        beside: format!("the most it ever held: {} MB", digits(most / 1024.0)),
        value: each,
        unit: " KB",
        goal: Goal::AtMost(1024.0),
        reason: "each call has a store of its own",
    });
    // Twenty calls of a second each on seven places a server take three turns.
    let longest = quantile(&waits, 1.0) / 1e3;
    table.add(Row {
        what: "1,000 calls on 50 servers, longest wait".to_owned(),
        ours: format!(
            "longest {} s, median {} s, no error",
            digits(longest),
            digits(quantile(&waits, 0.5) / 1e3)
        ),
        beside: format!(
            "each sleeps 1 s, 20 a server; all took {} s",
            digits(took / 1e3)
        ),
        value: longest / (took / 1e3),
        unit: "x of the whole",
        goal: Goal::AtMost(1.0),
        reason: "a call waited longer than all took together",
    });
}

fn everywhere(
    table: &mut Table,
    sshd: &Sshd,
    cli: &Cli,
    hosts: &[String],
    port: u16,
    scratch: &Path,
) {
    const WHAT: &str = "uptime on 200 servers";
    let with_clush = installed("clush");
    let with_ansible = installed("ansible");
    if !with_clush {
        let why = "clush is not installed (Debian: clustershell)";
        table.skip(&format!("{WHAT}, beside clush -f 200"), why);
    }
    if !with_ansible {
        let why = "ansible is not installed (Debian: ansible-core)";
        table.skip(&format!("{WHAT}, beside ansible -f 200"), why);
    }
    let all = json!({"server": format!("label:{FLEET}"), "command": "uptime"});
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for _ in 0..3 {
        // Connections are dialled within the time, as theirs are.
        let mut bridge = Bridge::start(cli);
        ours.push(bridge.call("remote_exec", &all));
        drop(bridge);
        if with_clush {
            theirs.push(clush(sshd, hosts, port, "uptime"));
        }
    }
    if with_clush {
        table.add(Row {
            what: format!("{WHAT}, beside clush -f 200"),
            ours: ours.shown(),
            beside: format!("clush {}", theirs.shown()),
            value: ours.median() / theirs.median(),
            unit: "x",
            goal: Goal::AtMost(1.2),
            reason: "key exchanges on both sides share this machine's processors",
        });
    }
    if with_ansible {
        let theirs = ansible(sshd, hosts, port, "uptime", scratch);
        table.add(Row {
            what: format!("{WHAT}, beside ansible -f 200"),
            ours: ours.shown(),
            beside: format!("ansible {} ms, once", digits(theirs)),
            value: ours.median() / theirs,
            unit: "x",
            goal: Goal::AtMost(0.2),
            reason: "key exchanges on both sides share this machine's processors",
        });
    }
}
