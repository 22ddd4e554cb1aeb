//! Verbs that consent: refused where an agent is in charge, asked at a terminal,
//! put on record.
//!
//! An agent has a shell; without this it could say yes for its person.
//!
//! Invariant: whatever says yes passes through here first, and the refusal of an
//! agent is on record where there is a journal. What is agreed to is not looked at.

use std::io::IsTerminal;

use openshell_host::approvals::{AgentFound, agent_in_charge};
use openshell_host::journal::{Durability, Event, Note};

use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::keyboard;

/// Refuses `what` when an agent started this process, and puts that on record.
pub(crate) fn require_person(context: &Context, what: &str) -> Result<(), CliError> {
    match agent_in_charge() {
        None => Ok(()),
        Some(found) => Err(refuse(context, what, &found)),
    }
}

/// Puts a refusal on record and into words.
pub(crate) fn refuse(context: &Context, what: &str, found: &AgentFound) -> CliError {
    // The record is worth having, but its absence must not turn a refusal into
    // something else.
    if let Ok(supervisor) = context.supervisor()
        && let Ok(journal) = supervisor.resources().journal()
    {
        let note = Event::Note(Note {
            context: None,
            text: format!("refused `openshell {what}`: {found}"),
        });
        let _ = context
            .runtime()
            .block_on(journal.append(note, Durability::Synced));
    }
    CliError::new(
        Kind::Denied,
        format!("`openshell {what}` is for a person, and {found}."),
    )
    .code("PERSON_REQUIRED")
    .next("Ask the person to do it in a terminal of their own.")
}

/// Refuses where nobody can be asked. `what` is a clause saying what a person
/// must do, `instead` how to go on without one.
pub(crate) fn require_terminal(what: &str, instead: &str) -> Result<(), CliError> {
    if at_terminal() {
        return Ok(());
    }
    Err(CliError::new(Kind::Denied, format!("{what}, and stdin is not a terminal")).next(instead))
}

/// Whether somebody sees what is written and can answer.
pub(crate) fn at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Puts a question that only a typed `yes` answers; anything else is a refusal
/// with the given words.
pub(crate) fn confirm(question: &str, refused: &str) -> Result<(), CliError> {
    if ask(&format!("{question} Type yes or no: "))? == "yes" {
        Ok(())
    } else {
        Err(CliError::new(Kind::Denied, refused))
    }
}

/// Asks for one line at the controlling terminal. What was typed before the
/// question is thrown away, so that nothing left in the buffer can answer it.
pub(crate) fn ask(prompt: &str) -> Result<String, CliError> {
    keyboard::line(prompt)?.ok_or_else(|| CliError::new(Kind::Denied, "the terminal was closed"))
}

/// Puts a decision of a person on record, durably, before it takes effect.
pub(crate) fn record(context: &Context, text: String) -> Result<(), CliError> {
    let journal = context.supervisor()?.resources().journal()?;
    let note = Event::Note(Note {
        context: None,
        text,
    });
    context
        .runtime()
        .block_on(journal.append(note, Durability::Synced))?;
    Ok(())
}
