//! Questions on the command line: at the terminal, or answered by a flag.
//!
//! Typed-ahead input is thrown away before a question is read, so nothing that
//! was in the buffer can answer it.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use async_trait::async_trait;
use openshell_host::approvals::{
    Answer, Answerer, Asker, Matter, Question, agent_in_charge, escape_line,
};
use openshell_host::registry::MasterKey;
use rustix::termios::{QueueSelector, tcflush};
use secrecy::SecretString;

use crate::ui::{BOLD, CYAN, YELLOW, colour_diff};

/// Answers every question the same way: `--yes` or `--no`.
pub(crate) struct FlagAsker {
    pub(crate) yes: bool,
}

#[async_trait]
impl Asker for FlagAsker {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, _question: &Question) -> Answer {
        if self.yes {
            Answer::Granted(Answerer::Flag)
        } else {
            Answer::Rejected(Answerer::Flag, None)
        }
    }
}

/// Asks the person at the controlling terminal.
pub(crate) struct TerminalAsker;

#[async_trait]
impl Asker for TerminalAsker {
    fn available(&self) -> Result<(), String> {
        if let Some(found) = agent_in_charge() {
            return Err(format!(
                "{found}, so nobody at a terminal can be trusted to be a person."
            ));
        }
        // Both ends have to be a terminal: with one of them redirected, whoever
        // reads the question is not whoever answers it.
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err("there is no terminal.".to_owned());
        }
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Answer {
        let question = question.clone();
        tokio::task::spawn_blocking(move || ask_at_terminal(&question))
            .await
            .unwrap_or_else(|error| Answer::Unanswered(error.to_string()))
    }

    async fn prove_presence(&self, key: &MasterKey) -> Answer {
        let typed = tokio::task::spawn_blocking(|| {
            rpassword::prompt_password("Registry passphrase, to show that you are there: ")
        });
        let typed = match typed.await {
            Ok(Ok(typed)) => SecretString::from(typed),
            Ok(Err(error)) => return Answer::Unanswered(format!("{error}.")),
            Err(error) => return Answer::Unanswered(format!("{error}.")),
        };
        match key.is_passphrase(&typed) {
            Ok(true) => Answer::Granted(Answerer::Person),
            Ok(false) => Answer::Rejected(Answerer::Person, None),
            Err(error) => Answer::Unanswered(format!("{error}.")),
        }
    }
}

fn ask_at_terminal(question: &Question) -> Answer {
    let unanswered = |error: std::io::Error| Answer::Unanswered(format!("{error}."));
    let mut terminal = anstream::stderr();
    let _ = write!(terminal, "\n{}\nDo it? Type yes or no: ", render(question));
    let _ = terminal.flush();
    let tty = match File::open("/dev/tty") {
        Ok(tty) => tty,
        Err(error) => return unanswered(error),
    };
    if let Err(error) = tcflush(&tty, QueueSelector::IFlush) {
        return unanswered(error.into());
    }
    let mut line = String::new();
    match BufReader::new(tty).read_line(&mut line) {
        Ok(0) => Answer::Unanswered("the terminal was closed.".to_owned()),
        Ok(_) if line.trim() == "yes" => Answer::Granted(Answerer::Person),
        Ok(_) => Answer::Rejected(Answerer::Person, None),
        Err(error) => unanswered(error),
    }
}

/// The question as text; everything untrusted in it is escaped already.
pub(crate) fn render(question: &Question) -> String {
    let labels = if question.labels.is_empty() {
        String::new()
    } else {
        format!("  {YELLOW}{}{YELLOW:#}", question.labels.join(" "))
    };
    let scope = if question.scope == "global" {
        String::new()
    } else {
        format!("  {YELLOW}from the {}{YELLOW:#}", question.scope)
    };
    let account = if question.run_as.is_empty() {
        String::new()
    } else {
        let accounts = escape_line(&question.run_as.join(", "));
        format!(" {YELLOW}as {accounts}{YELLOW:#}")
    };
    let mut text = format!(
        "{BOLD}{}{BOLD:#} wants to {}{account} on {BOLD}{}{BOLD:#} ({}@{}:{}){scope}{labels}\n",
        question.tool,
        verb(&question.matter),
        question.server,
        question.user,
        question.host,
        question.port,
    );
    match &question.matter {
        Matter::Command {
            shown, cwd, shell, ..
        } => {
            for line in shown.lines() {
                text.push_str(&format!("  {CYAN}${CYAN:#} {line}\n"));
            }
            if let Some(cwd) = cwd {
                text.push_str(&format!("  in {cwd}\n"));
            }
            text.push_str(&format!("  by {shell}\n"));
        }
        Matter::Read { path, what } => text.push_str(&format!("  {what} of {path}\n")),
        Matter::Write {
            path,
            change,
            not_atomic,
        } => {
            text.push_str(&format!("  {path}: {}\n", change.summary));
            if *not_atomic {
                text.push_str(&format!(
                    "  {YELLOW}NOT ATOMIC{YELLOW:#}: a lost connection can leave half of the file\n"
                ));
            }
            if let Some(diff) = &change.diff {
                text.push_str(&colour_diff(diff));
            }
        }
        Matter::Remove { path, change } => {
            text.push_str(&format!("  {path}: {}\n", change.summary));
            if let Some(diff) = &change.diff {
                text.push_str(&colour_diff(diff));
            }
        }
    }
    text.push_str(&format!("Why this asks: {}", question.reason));
    text
}

fn verb(matter: &Matter) -> &'static str {
    match matter {
        Matter::Command { .. } => "run a command",
        Matter::Read { .. } => "read",
        Matter::Write { .. } => "write a file",
        Matter::Remove { .. } => "remove a file",
    }
}
