//! Verbs that consent, refused where an agent is in charge.
//!
//! An agent has a shell; without this it could say yes for its person.

use openshell_host::approvals::{AgentFound, agent_in_charge};
use openshell_host::journal::{Durability, Event, Note};

use crate::context::Context;
use crate::error::{CliError, Kind};

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
