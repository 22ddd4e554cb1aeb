//! Tells whether an agent, and not a person, is at the keyboard.
//!
//! An agent has a shell of the same user, so this cannot be a wall; it makes an
//! agent that answers for its person loud and hard instead of one flag away.
//! What it rests on: agents mark the environment of the commands they run, and
//! they are an ancestor of those commands.
//!
//! Invariant: what gave an agent away is named, so that it can be on record; the
//! search upwards ends at a process that cannot be read. It does not decide what is
//! refused because of it.

use std::fmt;

/// Variables that coding agents set for the commands they run. OpenCode sets the
/// first two; the others are set by other agents.
const MARKS: [&str; 5] = [
    "OPENCODE",
    "AGENT",
    "CLAUDECODE",
    "CODEX_SANDBOX",
    "CURSOR_AGENT",
];
/// Names under which agents run as a process.
const PROCESSES: [&str; 2] = ["opencode", "opencode-ai"];
/// Ancestors looked at; a chain is never this long on a sane system.
const ANCESTORS_MAX: usize = 64;

/// What gave an agent away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentFound {
    /// A variable of the environment.
    Variable(&'static str),
    /// An ancestor process, by name and process id.
    Ancestor(String, i32),
}

impl fmt::Display for AgentFound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(formatter, "the environment has {name} set"),
            Self::Ancestor(name, pid) => {
                write!(formatter, "the process {name} ({pid}) started this command")
            }
        }
    }
}

/// Looks for an agent above this process.
pub fn agent_in_charge() -> Option<AgentFound> {
    mark().or_else(|| ancestors().find_map(known_agent))
}

/// Looks for an agent that started this process through a shell of its own. The
/// plugin starts the helper directly and without the marks; a command the agent
/// runs has the marks, or something between the agent and itself.
pub fn agent_between() -> Option<AgentFound> {
    let mut above = ancestors().map(known_agent);
    match mark() {
        Some(found) => Some(found),
        None if above.next().flatten().is_some() => None,
        None => above.find_map(|found| found),
    }
}

fn mark() -> Option<AgentFound> {
    MARKS
        .iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        .map(|name| AgentFound::Variable(name))
}

/// The processes above this one, the parent first, by name and process id. Where
/// there is no `/proc` (not Linux) there are none, and the environment has to do.
fn ancestors() -> impl Iterator<Item = (String, i32)> {
    let mut next = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    std::iter::from_fn(move || {
        let pid = next.filter(|pid| *pid > 0)?;
        let (name, parent) = process(pid)?;
        next = (pid > 1).then_some(parent);
        Some((name, pid))
    })
    .take(ANCESTORS_MAX)
}

fn known_agent((name, pid): (String, i32)) -> Option<AgentFound> {
    PROCESSES
        .contains(&name.as_str())
        .then_some(AgentFound::Ancestor(name, pid))
}

/// Name and parent of a process, from `/proc/<pid>/status` (proc(5)).
fn process(pid: i32) -> Option<(String, i32)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    Some((field("Name:")?.to_owned(), field("PPid:")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_readable() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        if !std::path::Path::new("/proc/self/status").exists() {
            eprintln!("skipped: no /proc here");
            return;
        }
        let (_, parent) = process(pid).expect("the own process");
        let real = rustix::process::getppid().expect("a parent");
        assert_eq!(parent, real.as_raw_nonzero().get());
    }
}
