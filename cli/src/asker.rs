//! Questions on the command line: at the terminal, or answered by a flag.
//!
//! Invariant: a question is put only after it is shown whole, and what was typed
//! before that is thrown away, so nothing that was in the buffer can answer it. What a question says, and what an
//! answer permits, is not decided here.

use std::io::{IsTerminal, Write};

use async_trait::async_trait;
use openshell_host::approvals::{Answer, Answerer, Asker, Question, Shown, agent_in_charge};
use openshell_host::registry::MasterKey;

use crate::keyboard;
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
        if !key.has_passphrase() {
            return Answer::Unanswered(
                "the operator wants the registry's passphrase for this server, and the \
                 registry's key was made without one: `openshell key rotate --passphrase` \
                 gives it one."
                    .to_owned(),
            );
        }
        let typed = tokio::task::spawn_blocking(|| {
            keyboard::secret("Registry passphrase, to show that you are there: ")
        });
        let typed = match typed.await {
            Ok(Ok(typed)) => typed,
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
    let mut terminal = anstream::stderr();
    let _ = writeln!(terminal, "\n{}", render(question));
    let _ = terminal.flush();
    match keyboard::line("Do it? Type yes or no: ") {
        Ok(None) => Answer::Unanswered("the terminal was closed.".to_owned()),
        Ok(Some(line)) if line == "yes" => Answer::Granted(Answerer::Person),
        Ok(Some(_)) => Answer::Rejected(Answerer::Person, None),
        Err(error) => Answer::Unanswered(format!("{error}.")),
    }
}

/// The question as text; everything untrusted in it is escaped already.
pub(crate) fn render(question: &Question) -> String {
    paint(&Shown::of(question))
}

/// A question in words, with colour.
pub(crate) fn paint(shown: &Shown) -> String {
    let account = match &shown.account {
        Some(account) => format!(" {YELLOW}as {account}{YELLOW:#}"),
        None => String::new(),
    };
    let mut text = format!(
        "{BOLD}{}{BOLD:#} wants to {}{account} on {BOLD}{}{BOLD:#} ({})",
        shown.tool, shown.does, shown.server, shown.address,
    );
    if let Some(scope) = &shown.scope {
        text.push_str(&format!("  {YELLOW}from the {scope}{YELLOW:#}"));
    }
    if !shown.labels.is_empty() {
        text.push_str(&format!("  {YELLOW}{}{YELLOW:#}", shown.labels.join(" ")));
    }
    text.push('\n');
    for line in &shown.lines {
        let line = match (line.strip_prefix("$ "), line.strip_prefix("NOT ATOMIC")) {
            (Some(command), _) => format!("{CYAN}${CYAN:#} {command}"),
            (None, Some(rest)) => format!("{YELLOW}NOT ATOMIC{YELLOW:#}{rest}"),
            (None, None) => line.clone(),
        };
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(diff) = &shown.diff {
        text.push_str(&colour_diff(diff));
    }
    text.push_str(&format!("Why this asks: {}", shown.reason));
    text
}
