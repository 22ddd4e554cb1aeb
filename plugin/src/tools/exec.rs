//! `remote_exec`: one command on one server.
//!
//! Invariant: the command reaches the host as the model wrote it, and at most one
//! is run in a call. Whether it may run is not looked at.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::report::Report;
use super::{Definition, schema, servers_property, text};
use crate::bindings::openshell::host::effects::{self, Action, ExecSpec, Operation};

/// Default and largest time-out, in ms.
const TIMEOUT_DEFAULT: u64 = 60_000;
const TIMEOUT_MAX: u64 = 600_000;

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_exec",
        description: "Run one command; returns stdout, stderr, exitCode. Plain inspection \
                      commands (ls, cat, grep, ps, systemctl status) run at once; others, pipes \
                      and redirects included, ask the person. No terminal, empty stdin. For files \
                      prefer the other remote_* tools. Do not just repeat a timed-out command.",
        parameters: schema(
            json!({
                "server": servers_property(),
                "command": {"type": "string", "description": "For /bin/sh"},
                "cwd": {"type": "string", "description": "Absolute; default: login directory"},
                "timeout": {
                    "type": "integer", "maximum": TIMEOUT_MAX,
                    "description": "ms, default 60000",
                },
            }),
            &["server", "command"],
        ),
        read_only: false,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    // An empty or malformed command is the policy's to reject, with its reason.
    let command = arguments.string("command")?;
    let cwd = arguments.optional_path("cwd")?;
    let timeout = arguments.number("timeout", 1, TIMEOUT_MAX, TIMEOUT_DEFAULT)?;

    let action = Action::open(&server)?;
    let permit = action.permit(&Operation::Exec(ExecSpec {
        command,
        cwd,
        timeout_ms: timeout as u32,
    }))?;
    let result = effects::run(permit)?;

    let mut data = Map::new();
    data.insert("exitCode".to_owned(), json!(result.exit_code));
    if let Some(signal) = result.signal {
        data.insert("signal".to_owned(), json!(signal));
    }
    text::insert_output(&mut data, &result.output);
    Ok(Report::data(Value::Object(data)).with_message(result.note))
}
