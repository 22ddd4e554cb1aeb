//! The server is killed in mid-transfer and started again; the helper stays.
//!
//! Invariant: the server comes back on the port and with the host key it had. The
//! helper is not restarted; that is the point.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::report::Report;
use super::rig::Rig;
use crate::bridge::Bridge;

const KIND: &str = "sshd killed in mid-transfer";

/// Kills and restarts the server so often under one bridge, each time a little
/// later in the transfer.
///
/// # Panics
/// When the fixtures cannot work.
#[must_use]
pub fn server_restarts(rounds: u64) -> Report {
    let mut report = Report::default();
    let mut rig = Rig::start();
    let mut bridge = Bridge::start(&mut rig.command(&["bridge"], &[]));
    let pid = bridge.pid();
    let old = "old\n".repeat(500_000);
    let new = "new\n".repeat(500_000);
    for round in 0..rounds {
        let name = format!("big{round}");
        let path = rig.path(&name);
        std::fs::write(&path, &old).expect("the rig's own directory");
        let (tool, arguments) = match round % 3 {
            0 => (
                "remote_write_file",
                json!({"server": "a", "path": path, "content": new}),
            ),
            1 => (
                "remote_exec",
                json!({
                    "server": "a",
                    "command": format!("cat {path} {path} {path} {path}; sleep 0.2; cat {path}"),
                }),
            ),
            _ => ("remote_read_file", json!({"server": "a", "path": path})),
        };
        report.tally(KIND).runs += 1;
        // The connection is there, so that the kill meets the transfer.
        let warm = json!({"server": "a", "path": path});
        bridge.call("remote_stat", &warm, None);
        let envelope = thread::scope(|scope| {
            let bridge = &mut bridge;
            let call = scope.spawn(move || bridge.call(tool, &arguments, None));
            thread::sleep(Duration::from_millis(15 * (round % 20)));
            rig.server.restart();
            call.join().expect("a client does not panic")
        });
        let mut broken = |what: String| {
            report.tally(KIND).broken += 1;
            report.find(format!("round {round}, {tool}: {what}"));
        };
        let Some(envelope) = envelope else {
            broken("the helper ended".to_owned());
            return report;
        };
        let after = bridge.call("remote_stat", &warm, None).unwrap_or_default();
        if after["status"] != "ok" {
            broken(format!("the next call does not work: {after}"));
        }
        let content = rig.content(&name).unwrap_or_default();
        let (is_old, is_new) = (content == old.as_bytes(), content == new.as_bytes());
        let said = envelope["status"].as_str().unwrap_or_default();
        let unknown = envelope["code"] == "OUTCOME_UNKNOWN";
        if tool == "remote_write_file" && said == "ok" && !is_new {
            broken(format!("it is reported as written and is not: {envelope}"));
        }
        if tool == "remote_write_file" && said == "error" && !unknown && is_new {
            broken(format!(
                "it is reported as failed and is written: {envelope}"
            ));
        }
        let strays = rig.remote_strays();
        if !strays.is_empty() {
            broken(format!("left behind: {strays:?}"));
        }
        if !is_old && !is_new {
            report.tally(KIND).torn += 1;
            report.find(format!("round {round}: torn"));
        }
        report.tally(KIND).unknown += u64::from(unknown);
    }
    if bridge.pid() != pid {
        report.tally(KIND).broken += 1;
    }
    bridge.finish();
    let verified = rig.run(&["audit", "verify"], &[]);
    if verified.status != 0 {
        report.tally(KIND).lost += 1;
        report.find(format!("the chain does not verify: {verified:?}"));
    }
    report
}
