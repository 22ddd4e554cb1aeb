//! One result for a call on several servers: equal outcomes once, with the servers
//! they are of, as `clush -b` shows them.
//!
//! Invariant: every server is in exactly one group, and outcomes are put together
//! only where everything about them is equal before anything is cut. It runs
//! nothing and asks nobody.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cut::{cut, shares, size};
use crate::supervisor::digest::sha256;
use crate::supervisor::envelope::{Audit, Envelope, Execution, SnapshotStatus, Status};

/// Room for all outcomes together, in bytes of JSON: OpenCode cuts a result at
/// 51,200 bytes, and the names of the servers and the rest need some.
const ROOM: usize = 36 * 1024;
/// Most servers that a message names.
const NAMED_MAX: usize = 10;
/// Code of a call that failed on several servers in different ways.
const SERVERS_FAILED: &str = "SERVERS_FAILED";

/// What happened on one server, no longer than a result may be.
pub(super) struct Outcome {
    server: String,
    /// Tells outcomes apart, over everything.
    digest: String,
    envelope: Envelope,
}

impl Outcome {
    pub(super) fn new(server: String, mut envelope: Envelope) -> Self {
        let told = told(&envelope).to_string();
        if let Some(data) = &mut envelope.data {
            cut(data, ROOM);
        }
        Self {
            server,
            digest: sha256(told.as_bytes()),
            envelope,
        }
    }

    fn failed(&self) -> bool {
        self.envelope.status == Status::Error
    }
}

/// What a reader is told of one server's outcome.
fn told(envelope: &Envelope) -> Value {
    let mut told = Map::new();
    told.insert("status".to_owned(), json!(envelope.status));
    let texts = [
        ("code", &envelope.code),
        ("message", &envelope.message),
        ("next", &envelope.next),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            told.insert(name.to_owned(), json!(text));
        }
    }
    if envelope.replayed {
        told.insert("replayed".to_owned(), json!(true));
    }
    if !envelope.execution.left_running.is_empty() {
        let left = json!(envelope.execution.left_running);
        told.insert("leftRunning".to_owned(), left);
    }
    if let Some(data) = &envelope.data {
        told.insert("data".to_owned(), data.clone());
    }
    Value::Object(told)
}

/// Makes the result of the whole call. `fanout` is what its actions share in the
/// journal.
pub(super) fn gather(tool: &str, fanout: &str, mut outcomes: Vec<Outcome>) -> Envelope {
    outcomes.sort_by(|a, b| a.server.cmp(&b.server));
    let execution = execution(&outcomes);
    let audit = audit(&outcomes, fanout);
    let replayed = outcomes.iter().all(|outcome| outcome.envelope.replayed);
    let total = outcomes.len();
    let failed: Vec<&Outcome> = outcomes.iter().filter(|it| it.failed()).collect();
    let partly = outcomes
        .iter()
        .any(|outcome| outcome.envelope.status == Status::PartialFailure);
    let status = match failed.len() {
        0 if !partly => Status::Ok,
        count if count == total => Status::Error,
        _ => Status::PartialFailure,
    };
    let (code, message, next) = failure(&failed, total);
    let ok = total - failed.len();
    Envelope {
        status,
        tool: tool.to_owned(),
        server: None,
        code,
        message,
        next,
        data: Some(json!({
            "servers": total,
            "ok": ok,
            "failed": total - ok,
            "groups": groups(outcomes),
        })),
        replayed,
        execution,
        audit,
    }
}

/// Code, message and next step, where it failed on some.
fn failure(failed: &[&Outcome], total: usize) -> (Option<String>, Option<String>, Option<String>) {
    let Some(first) = failed.first() else {
        return (None, None, None);
    };
    let same = |of: fn(&Envelope) -> &Option<String>| {
        let first = of(&first.envelope);
        let all = failed.iter().all(|outcome| of(&outcome.envelope) == first);
        all.then(|| first.clone()).flatten()
    };
    let unknown = failed
        .iter()
        .map(|outcome| outcome.envelope.code.as_deref())
        .find(|code| *code == Some("OUTCOME_UNKNOWN"))
        .flatten();
    let code = unknown
        .map(str::to_owned)
        .or_else(|| same(|envelope| &envelope.code))
        .unwrap_or_else(|| SERVERS_FAILED.to_owned());
    let mut names: Vec<&str> = failed
        .iter()
        .take(NAMED_MAX)
        .map(|outcome| outcome.server.as_str())
        .collect();
    let more = format!("{} more", failed.len().saturating_sub(NAMED_MAX));
    if failed.len() > NAMED_MAX {
        names.push(&more);
    }
    let mut message = format!(
        "It failed on {} of {total} servers: {}.",
        failed.len(),
        names.join(", ")
    );
    if let Some(why) = same(|envelope| &envelope.message) {
        message.push_str(&format!(" {why}"));
    }
    let next = same(|envelope| &envelope.next)
        .unwrap_or_else(|| "`data.groups` says how, with what to do next.".to_owned());
    (Some(code), Some(message), Some(next))
}

/// Equal outcomes with their servers, the most common first.
fn groups(outcomes: Vec<Outcome>) -> Vec<Value> {
    let mut alike: BTreeMap<String, (Vec<String>, Envelope)> = BTreeMap::new();
    for outcome in outcomes {
        alike
            .entry(outcome.digest)
            .or_insert_with(|| (Vec::new(), outcome.envelope))
            .0
            .push(outcome.server);
    }
    let mut groups: Vec<(Vec<String>, Envelope)> = alike.into_values().collect();
    groups.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let sizes: Vec<usize> = groups
        .iter()
        .map(|(_, envelope)| envelope.data.as_ref().map_or(0, size))
        .collect();
    groups
        .into_iter()
        .zip(shares(&sizes, ROOM))
        .map(|((servers, mut envelope), share)| {
            if let Some(data) = &mut envelope.data {
                cut(data, share);
            }
            let mut group = told(&envelope);
            group["count"] = json!(servers.len());
            group["servers"] = json!(servers);
            group
        })
        .collect()
}

fn execution(outcomes: &[Outcome]) -> Execution {
    let each = || outcomes.iter().map(|outcome| &outcome.envelope.execution);
    let sum = |of: fn(&Execution) -> Option<u64>| each().filter_map(of).reduce(|a, b| a + b);
    let any = |of: fn(&Execution) -> Option<bool>| each().filter_map(of).reduce(|a, b| a || b);
    let exit_code = each().next().and_then(|first| first.exit_code);
    Execution {
        attempted: each().any(|execution| execution.attempted),
        completed: each().all(|execution| execution.completed),
        exit_code: exit_code.filter(|code| each().all(|it| it.exit_code == Some(*code))),
        stdout_bytes: sum(|execution| execution.stdout_bytes),
        stderr_bytes: sum(|execution| execution.stderr_bytes),
        stdout_truncated: any(|execution| execution.stdout_truncated),
        stderr_truncated: any(|execution| execution.stderr_truncated),
        duration_ms: each().filter_map(|execution| execution.duration_ms).max(),
        left_running: Vec::new(),
    }
}

fn audit(outcomes: &[Outcome], fanout: &str) -> Audit {
    let mut recorded = outcomes
        .iter()
        .map(|outcome| &outcome.envelope.audit)
        .filter(|audit| audit.action.is_some())
        .peekable();
    let any = recorded.peek().is_some();
    Audit {
        log_written: any && recorded.all(|audit| audit.log_written),
        snapshot_status: SnapshotStatus::NotApplicable,
        seq: outcomes
            .iter()
            .filter_map(|outcome| outcome.envelope.audit.seq)
            .max(),
        action: None,
        fanout: Some(fanout.to_owned()),
        settled: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(status: Status, code: Option<&str>, data: Value) -> Envelope {
        Envelope {
            status,
            tool: "remote_exec".to_owned(),
            server: None,
            code: code.map(str::to_owned),
            message: None,
            next: None,
            data: Some(data),
            replayed: false,
            execution: Execution {
                attempted: true,
                completed: status == Status::Ok,
                duration_ms: Some(3),
                ..Execution::default()
            },
            audit: Audit {
                log_written: true,
                seq: Some(7),
                action: Some("A".to_owned()),
                ..Audit::default()
            },
        }
    }

    fn ok(server: &str, stdout: &str) -> Outcome {
        let data = json!({"exitCode": 0, "stdout": stdout, "stderr": ""});
        Outcome::new(server.to_owned(), envelope(Status::Ok, None, data))
    }

    fn failed(server: &str, code: &str) -> Outcome {
        let failed = envelope(Status::Error, Some(code), Value::Null);
        Outcome::new(server.to_owned(), failed)
    }

    #[test]
    fn equal_outcomes_are_told_once() {
        let outcomes = vec![ok("c", "x\n"), ok("b", "y\n"), ok("a", "x\n")];
        let result = gather("remote_exec", "F", outcomes);
        assert_eq!(result.status, Status::Ok);
        assert_eq!((&result.code, &result.message), (&None, &None));
        let data = result.data.expect("data");
        assert_eq!(
            data,
            json!({"servers": 3, "ok": 3, "failed": 0, "groups": [
                {"servers": ["a", "c"], "count": 2, "status": "ok",
                 "data": {"exitCode": 0, "stdout": "x\n", "stderr": ""}},
                {"servers": ["b"], "count": 1, "status": "ok",
                 "data": {"exitCode": 0, "stdout": "y\n", "stderr": ""}},
            ]})
        );
        assert_eq!(result.audit.fanout.as_deref(), Some("F"));
        assert!(result.execution.completed && result.audit.log_written);
    }

    #[test]
    fn what_differs_in_the_middle_only_is_not_equal() {
        let long = |mark: &str| format!("{}{mark}{}", "a\n".repeat(40_000), "b\n".repeat(40_000));
        let result = gather(
            "remote_exec",
            "F",
            vec![ok("a", &long("1")), ok("b", &long("2"))],
        );
        let data = result.data.expect("data");
        assert_eq!(data["groups"].as_array().map(Vec::len), Some(2));
        assert!(size(&data) <= ROOM + 1_000, "{}", size(&data));
    }

    #[test]
    fn a_long_output_leaves_the_short_ones_whole() {
        let long = "z\n".repeat(60_000);
        let mut outcomes = vec![ok("a", &long)];
        outcomes.extend((0..20).map(|at| ok(&format!("s{at}"), &format!("{at}\n"))));
        let data = gather("remote_exec", "F", outcomes).data.expect("data");
        assert!(size(&data) <= 50_000, "{}", size(&data));
        for group in data["groups"].as_array().expect("groups") {
            let stdout = group["data"]["stdout"].as_str().expect("text");
            assert_eq!(stdout.contains("left out"), group["servers"][0] == "a");
        }
    }

    #[test]
    fn codes_say_what_failed() {
        let table = [
            (vec![ok("a", ""), ok("b", "")], Status::Ok, None),
            (
                vec![ok("a", ""), failed("b", "CONNECT_FAILED")],
                Status::PartialFailure,
                Some("CONNECT_FAILED"),
            ),
            (
                vec![failed("a", "CONNECT_FAILED"), failed("b", "AUTH_FAILED")],
                Status::Error,
                Some("SERVERS_FAILED"),
            ),
            (
                vec![
                    failed("a", "POLICY_REJECTED"),
                    failed("b", "POLICY_REJECTED"),
                ],
                Status::Error,
                Some("POLICY_REJECTED"),
            ),
            (
                vec![
                    ok("a", ""),
                    failed("b", "OUTCOME_UNKNOWN"),
                    failed("c", "AUTH_FAILED"),
                ],
                Status::PartialFailure,
                Some("OUTCOME_UNKNOWN"),
            ),
        ];
        for (outcomes, status, code) in table {
            let result = gather("remote_exec", "F", outcomes);
            assert_eq!((result.status, result.code.as_deref()), (status, code));
        }
    }

    #[test]
    fn a_message_names_the_servers_that_failed() {
        let outcomes = vec![ok("a", ""), failed("b", "X"), failed("c", "Y")];
        let message = gather("remote_exec", "F", outcomes).message.expect("one");
        assert_eq!(message, "It failed on 2 of 3 servers: b, c.");
        let many = (0..12).map(|at| failed(&format!("s{at:02}"), "X"));
        let message = gather("remote_exec", "F", many.collect()).message;
        let message = message.expect("one");
        assert!(message.ends_with("s08, s09, 2 more."), "{message}");
    }
}
