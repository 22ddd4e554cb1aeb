//! A question in words: the same for a terminal, a client's dialog, and a
//! question that is kept for later.
//!
//! Invariant: everything that came from a server, a caller or a guest is escaped
//! here or was before, so the text can be shown as it is. Colour and layout are
//! the business of whoever shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Matter, Place, Question, escape_line, fold};

/// What a person reads before they decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Tool the call came through.
    pub tool: String,
    /// What it wants to do, such as `run a command`.
    pub does: String,
    /// The accounts it would be done as, where they are not the login's.
    pub account: Option<String>,
    /// Logical server id, or how many servers it is about.
    pub server: String,
    /// What the id stands for: `user@host:port`; of several servers, their ids.
    pub address: String,
    /// Where the server's entry comes from, unless that is the operator's own list.
    pub scope: Option<String>,
    /// Labels of the server.
    pub labels: Vec<String>,
    /// The particulars, one a line.
    pub lines: Vec<String>,
    /// Unified diff of the change, where one was made.
    pub diff: Option<String>,
    /// Why it is not done unasked, in a sentence.
    pub reason: String,
}

impl Shown {
    /// Puts a question into words.
    #[must_use]
    pub fn of(question: &Question) -> Self {
        let (does, mut lines, diff) = match &question.matter {
            Matter::Command {
                shown, cwd, shell, ..
            } => {
                let command = shown.lines().map(|line| format!("$ {line}"));
                let place = cwd.iter().map(|cwd| format!("in {cwd}"));
                let shell = std::iter::once(format!("by {shell}"));
                (
                    "run a command",
                    command.chain(place).chain(shell).collect(),
                    None,
                )
            }
            Matter::Read { path, what } => ("read", vec![format!("{what} of {path}")], None),
            Matter::Write {
                path,
                change,
                not_atomic,
            } => {
                let mut lines = vec![format!("{path}: {}", change.summary)];
                if *not_atomic {
                    lines.push(
                        "NOT ATOMIC: a lost connection can leave half of the file".to_owned(),
                    );
                }
                ("write a file", lines, change.diff.clone())
            }
            Matter::Remove { path, change } => (
                "remove a file",
                vec![format!("{path}: {}", change.summary)],
                change.diff.clone(),
            ),
        };
        let count = question.fleet.len();
        let (server, address) = if count == 0 {
            (question.place.server.clone(), question.place.address())
        } else {
            lines.push(format!("on {count} servers:"));
            lines.extend(question.fleet.iter().map(Place::line));
            (format!("{count} servers"), question.place.server.clone())
        };
        if !question.besides.is_empty() {
            lines.push(format!(
                "and on {} where nobody has to agree: {}",
                question.besides.len(),
                fold(question.besides.iter().map(String::as_str))
            ));
        }
        Self {
            tool: question.tool.clone(),
            does: does.to_owned(),
            account: (!question.run_as.is_empty())
                .then(|| escape_line(&question.run_as.join(", "))),
            server,
            address,
            scope: (question.place.scope != "global").then(|| question.place.scope.to_owned()),
            labels: question.place.labels.clone(),
            lines,
            diff,
            reason: escape_line(&question.reason),
        }
    }

    /// The first line: what is asked for, and where.
    #[must_use]
    pub fn headline(&self) -> String {
        let account = match &self.account {
            Some(account) => format!(" as {account}"),
            None => String::new(),
        };
        let mut line = format!(
            "{} wants to {}{account} on {} ({})",
            self.tool, self.does, self.server, self.address
        );
        if let Some(scope) = &self.scope {
            line.push_str(&format!("  from the {scope}"));
        }
        if !self.labels.is_empty() {
            line.push_str(&format!("  {}", self.labels.join(" ")));
        }
        line
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.headline())?;
        for line in &self.lines {
            writeln!(formatter, "  {line}")?;
        }
        if let Some(diff) = &self.diff {
            writeln!(formatter, "{}", diff.trim_end_matches('\n'))?;
        }
        write!(formatter, "Why this asks: {}", self.reason)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::approvals::{describe_change, escape_text};

    pub(crate) fn question(matter: Matter) -> Question {
        Question {
            tool: "remote_exec".to_owned(),
            place: Place {
                server: "web-1".to_owned(),
                host: "web-1.example.org".to_owned(),
                port: 22,
                user: "deploy".to_owned(),
                labels: vec!["staging".to_owned()],
                scope: "global",
            },
            run_as: Vec::new(),
            matter,
            reason: "it writes".to_owned(),
            rule: "test".to_owned(),
            digest: "0".repeat(64),
            expires_ms: 600_000,
            presence: false,
            fleet: Vec::new(),
            besides: Vec::new(),
        }
    }

    pub(crate) fn command(text: &str) -> Question {
        question(Matter::Command {
            shown: escape_text(text),
            raw: text.to_owned(),
            cwd: None,
            timeout_ms: 60_000,
            simple: true,
            segments: vec![escape_line(text)],
            shell: "/bin/sh".to_owned(),
        })
    }

    #[test]
    fn a_question_says_everything() {
        assert_eq!(
            Shown::of(&command("touch /x\nrm /y")).to_string(),
            "remote_exec wants to run a command on web-1 (deploy@web-1.example.org:22)  staging\n  \
             $ touch /x\n  $ rm /y\n  by /bin/sh\nWhy this asks: it writes"
        );
        let mut write = question(Matter::Write {
            path: "/f".to_owned(),
            change: describe_change("web-1:/f", None, Some((b"a\n", 0o644))),
            not_atomic: true,
        });
        write.place.scope = "workspace";
        write.run_as = vec!["root".to_owned()];
        let text = Shown::of(&write).to_string();
        for part in [
            "write a file as root on web-1",
            "from the workspace",
            "/f: creates the file: 2 bytes, mode 0644",
            "NOT ATOMIC",
            "+a\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_question_about_several_servers_names_each_of_them() {
        let place = |server: &str, labels: &[&str]| Place {
            server: server.to_owned(),
            host: format!("{server}.example.org"),
            port: 22,
            user: "deploy".to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            scope: "global",
        };
        let mut asked = command("touch /x");
        asked.place.server = "web-[1-2]".to_owned();
        asked.place.labels = vec!["prod".to_owned()];
        asked.fleet = vec![place("web-1", &["prod"]), place("web-2", &[])];
        asked.besides = vec!["ci-1".to_owned(), "ci-2".to_owned()];
        assert_eq!(
            Shown::of(&asked).to_string(),
            "remote_exec wants to run a command on 2 servers (web-[1-2])  prod\n  $ touch /x\n  \
             by /bin/sh\n  on 2 servers:\n    web-1 (deploy@web-1.example.org:22)  prod\n    \
             web-2 (deploy@web-2.example.org:22)\n  and on 2 where nobody has to agree: \
             ci-[1-2]\nWhy this asks: it writes"
        );
    }

    #[test]
    fn a_reason_cannot_drive_a_terminal() {
        let mut asked = command("x");
        asked.reason = "a\u{1b}[2K\nb".to_owned();
        let text = Shown::of(&asked).to_string();
        assert!(text.ends_with("a⟦U+001B⟧[2K⟦U+000A⟧b"), "{text}");
    }
}
