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
    /// Processes of it that run, at most 16 of them.
    pub left: Vec<LeftProcess>,
    /// Whether every process of the login account could be looked at.
    pub complete: bool,
    /// Whether the login account is root, which sees everybody's processes.
    pub root: bool,
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
            "left" => {
                let (pid, command) = rest.split_once(' ').unwrap_or((rest, ""));
                let Ok(pid) = pid.parse() else { continue };
                let command = command.trim();
                let known = survey.left.iter().any(|process| process.pid == pid);
                // What has no command line is no program: a thread of the kernel,
                // or a process that ended meanwhile.
                if command.is_empty() || known || survey.left.len() == NAMED {
                    continue;
                }
                survey.left.push(LeftProcess {
                    pid,
                    command: command.chars().take(COMMAND_LIMIT).collect(),
                });
            }
            _ => {}
        }
    }
    survey.left.sort_by_key(|process| process.pid);
    survey
}

#[cfg(test)]
mod tests {
    use super::{LeftProcess, Survey, read};

    #[test]
    fn lines_become_a_survey() {
        let lines = [
            "complete",
            "left 40 sleep 300",
            "left 12 sh -c x y",
            "left 40 sleep 300",
            "left 13  ",
            "left x y",
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
                left: vec![process(12, "sh -c x y"), process(40, "sleep 300")],
                complete: true,
                root: false,
            }
        );
    }
}
