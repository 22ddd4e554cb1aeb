//! Finding what a command left running: processes that carry its mark, and
//! processes that are still in its group or session.
//!
//! A process can leave its group and its session (`setsid`), and its parent, but
//! it takes its environment along; so each command is started with a variable
//! that no other has. Invariant: nothing is signalled here, and a survey that
//! could not look at environments says so. Processes that run as another user
//! are seen only by their group, or by root. It deliberately believes no name a
//! process gives itself: names are for people.

use std::time::Duration;

use crate::ssh::connection::Connection;
use crate::ssh::error::SshError;

use super::script;
use super::shell::Shell;

/// How long looking may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Most processes that are named.
const NAMED: usize = 16;

/// Longest command line that is kept, in characters.
const COMMAND_LIMIT: usize = 200;

/// A process a command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftProcess {
    /// Its process id on the server.
    pub pid: u32,
    /// Its command line as the server shows it, cut to 200 characters.
    pub command: String,
}

/// What was found of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Processes that carry its mark, at most 16 of them.
    pub marked: Vec<LeftProcess>,
    /// Processes in its group or session without the mark, at most 16 of them. Some
    /// time later the group's number may be another's.
    pub grouped: Vec<LeftProcess>,
    /// Whether every process of the login account could be looked at.
    pub complete: bool,
    /// Whether the login account is root, which sees everybody's processes.
    pub root: bool,
    /// How long the server, or the container it is, has been up; none where it does
    /// not say.
    pub up: Option<Duration>,
}

impl Survey {
    /// Everything that runs of a command that ended just now.
    pub(super) fn left(self) -> Vec<LeftProcess> {
        let mut left: Vec<_> = self.marked.into_iter().chain(self.grouped).collect();
        left.sort_by_key(|process| process.pid);
        left.truncate(NAMED);
        left
    }
}

impl Connection {
    /// Looks for what runs of a command that was started with a mark, and in a
    /// process group where that is known.
    ///
    /// # Errors
    /// [`SshError`] when nothing could be found out.
    pub async fn survey(&self, mark: &str, group: Option<u32>) -> Result<Survey, SshError> {
        let shell = Shell::obtain_now(self).await?;
        let text = script::survey(&shell.nonce, mark, group)?;
        let lines = shell.collect(text, LIMIT).await?;
        Ok(read(&lines))
    }
}

/// What the lines of the script mean.
fn read(lines: &[String]) -> Survey {
    let mut survey = Survey::default();
    for line in lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "complete" => survey.complete = true,
            "root" => survey.root = true,
            "up" => survey.up = rest.parse().ok().map(Duration::from_secs),
            "marked" | "grouped" => {
                let (pid, command) = rest.split_once(' ').unwrap_or((rest, ""));
                let Ok(pid) = pid.parse() else { continue };
                let command = command.trim();
                let mut all = survey.marked.iter().chain(&survey.grouped);
                let known = all.any(|process| process.pid == pid);
                let found = match word {
                    "marked" => &mut survey.marked,
                    _ => &mut survey.grouped,
                };
                // What has no command line is no program: a thread of the kernel,
                // or a process that ended meanwhile.
                if command.is_empty() || known || found.len() == NAMED {
                    continue;
                }
                found.push(LeftProcess {
                    pid,
                    command: command.chars().take(COMMAND_LIMIT).collect(),
                });
            }
            _ => {}
        }
    }
    for found in [&mut survey.marked, &mut survey.grouped] {
        found.sort_by_key(|process| process.pid);
    }
    survey
}

#[cfg(test)]
mod tests {
    use super::{Duration, LeftProcess, Survey, read};

    #[test]
    fn lines_become_a_survey() {
        let lines = [
            "complete",
            "up 77",
            "marked 40 sleep 300",
            "marked 12 sh -c x y",
            "grouped 40 sleep 300",
            "grouped 50 cron",
            "marked 13  ",
            "marked x y",
            "other",
        ]
        .map(str::to_owned);
        let process = |pid, command: &str| LeftProcess {
            pid,
            command: command.to_owned(),
        };
        assert_eq!(
            read(&lines),
            Survey {
                marked: vec![process(12, "sh -c x y"), process(40, "sleep 300")],
                grouped: vec![process(50, "cron")],
                complete: true,
                root: false,
                up: Some(Duration::from_secs(77)),
            }
        );
    }
}
