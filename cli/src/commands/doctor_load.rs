//! Which tools OpenCode itself says it has.
//!
//! Invariant: OpenCode is started outside of the project, where it reads nothing but
//! the person's own configuration: it runs the plugins that it finds. What only a
//! project's configuration names is therefore not loaded, and that is said.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::doctor::Finding;
use super::doctor_opencode::Loaded;
use super::doctor_program;

/// How long OpenCode may take to load everything and list its tools; the first
/// time, it fetches packages.
const LIMIT: Duration = Duration::from_secs(90);

/// Has OpenCode load everything of the person's, and say which tools it has.
pub(super) fn check(program: &Path, entries: &[Loaded]) -> Finding {
    if !entries.iter().any(|entry| entry.everywhere) {
        return Finding::note(
            "tools",
            "only this project names the plugin, so OpenCode was not asked: it would run what \
             the project brought along",
            "Start OpenCode here where you trust the project, and ask it to list the servers.",
        );
    }
    let mut command = Command::new(program);
    command
        .args(["debug", "agent", "build"])
        // The directory is empty; those above it need not be.
        .env("OPENCODE_DISABLE_PROJECT_CONFIG", "1")
        .env("OPENCODE_DISABLE_AUTOUPDATE", "1");
    let Some(said) = doctor_program::output(command, LIMIT) else {
        return Finding::wrong(
            "tools",
            format!("OpenCode lists no tools within {} s", LIMIT.as_secs()),
            "`opencode debug agent build --print-logs` shows what keeps it.",
        );
    };
    let listed = serde_json::from_str::<Value>(&said.stdout).ok();
    let Some(tools) = listed.as_ref().and_then(|agent| agent["tools"].as_object()) else {
        return Finding::note(
            "tools",
            "OpenCode does not say which tools it loads",
            "Ask the agent to list the servers.",
        );
    };
    let missing: Vec<&str> = doctor_program::TOOLS
        .into_iter()
        .filter(|tool| !tools.contains_key(*tool))
        .collect();
    if missing.is_empty() {
        Finding::good("tools", "OpenCode loads all eight")
    } else {
        Finding::wrong(
            "tools",
            format!("OpenCode did not load {}", missing.join(", ")),
            "`opencode debug agent build --print-logs` shows why.",
        )
    }
}
