//! `openshell approvals`: the questions that wait for a person, and the person's
//! answers to them.
//!
//! Invariant: an answer is on record, durably, before it counts; it is for the
//! question as it was shown. Everything here is refused to an agent, showing
//! included: a diff can hold what the agent may not read. It carries nothing out:
//! the call that asked has to be made again.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use openshell_host::approvals::{
    Answer, Asker, Decision, PendingAsk, PendingError, PendingState, PendingStore,
};
use serde_json::{Value, json};

use crate::asker::{TerminalAsker, paint};
use crate::consent::{ask, at_terminal, record, require_person, require_terminal};
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::ui::{BOLD, DIM, Ui};

/// Characters of a question's name that are shown; more than a person confuses.
const NAME_SHOWN: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    command: Option<ApprovalsCommand>,
}

#[derive(Debug, Subcommand)]
enum ApprovalsCommand {
    /// List the questions that are kept
    List,
    /// Show one question whole
    Show {
        /// Its id, as `list` shows it
        id: String,
    },
    /// Let the call that asked go ahead, once
    Allow {
        /// Its id, as `list` shows it
        id: String,
        /// Do not ask again before
        #[arg(long)]
        yes: bool,
    },
    /// Say no
    Reject {
        /// Its id, as `list` shows it
        id: String,
        /// What the agent should do instead
        #[arg(long, value_name = "TEXT")]
        feedback: Option<String>,
    },
}

pub(crate) fn run(args: ApprovalsArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "approvals")?;
    let desk = Desk {
        store: PendingStore::new(context.paths()),
        context,
        ui,
    };
    match args.command {
        Some(ApprovalsCommand::List) => desk.list(),
        Some(ApprovalsCommand::Show { id }) => desk.show(&id),
        Some(ApprovalsCommand::Allow { id, yes }) => desk.allow(&id, yes),
        Some(ApprovalsCommand::Reject { id, feedback }) => desk.reject(&id, feedback),
        None if !ui.json && at_terminal() => desk.go_through(),
        None => desk.list(),
    }
}

/// Where a person sits and answers.
struct Desk<'a> {
    store: PendingStore,
    context: &'a Context,
    ui: Ui,
}

impl Desk<'_> {
    fn key(&self) -> Result<std::sync::Arc<openshell_host::registry::MasterKey>, CliError> {
        let resources = self.context.supervisor()?.resources();
        Ok(self.context.runtime().block_on(resources.master_key())?)
    }

    fn kept(&self) -> Result<Vec<PendingAsk>, CliError> {
        // Without any question there is nothing to unlock the registry for.
        if !self.context.paths().pending_dir().exists() {
            return Ok(Vec::new());
        }
        Ok(self.store.list(&*self.key()?)?)
    }

    fn list(&self) -> Result<ExitCode, CliError> {
        let kept = self.kept()?;
        if self.ui.json {
            let asks: Vec<Value> = kept.iter().map(described).collect();
            self.ui.value(&asks);
        } else if kept.is_empty() {
            self.ui.note("No question waits for an answer.");
        } else {
            let rows = kept
                .iter()
                .map(|ask| {
                    [
                        short(ask).to_owned(),
                        state(&ask.state).to_owned(),
                        left(ask),
                        ask.shown.headline(),
                        ask.shown.lines.first().cloned().unwrap_or_default(),
                    ]
                })
                .collect();
            self.ui
                .table(["id", "state", "expires", "question", ""], rows);
            let waits = |ask: &PendingAsk| ask.state == PendingState::Waiting;
            if kept.iter().any(waits) {
                self.ui
                    .note("`openshell approvals` puts them one by one, in a terminal.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, id: &str) -> Result<ExitCode, CliError> {
        let ask = self.find(id)?;
        if self.ui.json {
            self.ui.value(&described(&ask));
        } else {
            self.ui.line(&paint(&ask.shown));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn allow(&self, id: &str, yes: bool) -> Result<ExitCode, CliError> {
        let ask = self.waiting(id)?;
        if !yes {
            require_terminal(
                "a person must read the question",
                "Answer it in a terminal, or go ahead with --yes.",
            )?;
            self.put(&ask);
            if crate::consent::ask("Let it happen, once? Type yes or no: ")? != "yes" {
                return Err(
                    CliError::new(Kind::Denied, "it was not allowed; it still waits")
                        .next("`openshell approvals reject` says no for good."),
                );
            }
        }
        self.grant(&ask)?;
        Ok(self.answered(&ask, "allowed"))
    }

    fn reject(&self, id: &str, feedback: Option<String>) -> Result<ExitCode, CliError> {
        let ask = self.waiting(id)?;
        self.refuse(&ask, feedback)?;
        Ok(self.answered(&ask, "rejected"))
    }

    /// Puts every question that waits, one after the other.
    fn go_through(&self) -> Result<ExitCode, CliError> {
        let waiting: Vec<PendingAsk> = self
            .kept()?
            .into_iter()
            .filter(|ask| ask.state == PendingState::Waiting)
            .collect();
        if waiting.is_empty() {
            self.ui.note("No question waits for an answer.");
        }
        for question in &waiting {
            self.put(question);
            let word = loop {
                match ask("Let it happen, once? Type yes, no or later: ")?.as_str() {
                    "yes" => break "allowed",
                    "no" => break "rejected",
                    "later" => break "left",
                    _ => self.ui.note("That was none of the three."),
                }
            };
            match word {
                "allowed" => self.grant(question)?,
                "rejected" => {
                    let text = ask("What should be done instead? Enter leaves it open: ")?;
                    self.refuse(question, (!text.is_empty()).then_some(text))?;
                }
                _ => continue,
            }
            self.answered(question, word);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn find(&self, id: &str) -> Result<PendingAsk, CliError> {
        Ok(self.store.find(&*self.key()?, id)?)
    }

    fn waiting(&self, id: &str) -> Result<PendingAsk, CliError> {
        let ask = self.find(id)?;
        if ask.state == PendingState::Waiting {
            return Ok(ask);
        }
        Err(PendingError::Answered(short(&ask).to_owned()).into())
    }

    /// Shows a question whole, with who asks.
    fn put(&self, ask: &PendingAsk) {
        let origin = &ask.origin;
        let from = origin
            .client
            .as_deref()
            .unwrap_or("a client without a name");
        let place = match &origin.workspace {
            Some(folder) => format!(" in {folder}"),
            None => String::new(),
        };
        self.ui.note(&format!(
            "\n{BOLD}{}{BOLD:#} {DIM}from {from}{place}, by {}; expires in {}{DIM:#}\n{}",
            short(ask),
            origin.door,
            left(ask),
            paint(&ask.shown)
        ));
    }

    fn grant(&self, ask: &PendingAsk) -> Result<(), CliError> {
        let key = self.key()?;
        if ask.presence {
            require_terminal(
                "the operator wants the registry's passphrase for this server",
                "Answer in a terminal of your own.",
            )?;
            match self
                .context
                .runtime()
                .block_on(TerminalAsker.prove_presence(&key))
            {
                Answer::Granted(_) => {}
                Answer::Unanswered(why) => {
                    return Err(CliError::new(Kind::Denied, why).code("PRESENCE_REQUIRED"));
                }
                _ => {
                    return Err(CliError::new(Kind::Denied, "that is not the passphrase")
                        .code("PRESENCE_REQUIRED")
                        .next("Nothing was allowed; the question still waits."));
                }
            }
        }
        self.note(ask, "allowed")?;
        let presence = ask.presence;
        self.store
            .answer(&key, &ask.id, Decision::Grant { presence })?;
        Ok(())
    }

    fn refuse(&self, ask: &PendingAsk, feedback: Option<String>) -> Result<(), CliError> {
        let key = self.key()?;
        self.note(ask, "rejected")?;
        self.store
            .answer(&key, &ask.id, Decision::Reject(feedback))?;
        Ok(())
    }

    fn note(&self, ask: &PendingAsk, word: &str) -> Result<(), CliError> {
        record(
            self.context,
            format!(
                "a person {word}, out of band: {} (operation {})",
                ask.shown.headline(),
                ask.digest
            ),
        )
    }

    fn answered(&self, ask: &PendingAsk, word: &str) -> ExitCode {
        if self.ui.json {
            self.ui
                .value(&json!({"status": "ok", "id": ask.id, "action": word}));
        } else {
            self.ui.note(match word {
                "allowed" => "Allowed: the same call, made within ten minutes, goes ahead once.",
                _ => "Rejected: the same call is told so.",
            });
        }
        ExitCode::SUCCESS
    }
}

fn short(ask: &PendingAsk) -> &str {
    ask.id.get(..NAME_SHOWN).unwrap_or(&ask.id)
}

fn state(state: &PendingState) -> &'static str {
    match state {
        PendingState::Waiting => "waiting",
        PendingState::Granted { .. } => "allowed",
        PendingState::Rejected { .. } => "rejected",
    }
}

/// Time until it stops to count.
fn left(ask: &PendingAsk) -> String {
    let now = Timestamp::now().as_millisecond();
    let at = i64::try_from(ask.expires_ms()).unwrap_or(i64::MAX);
    let seconds = at.saturating_sub(now).max(0) / 1000;
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}

fn described(ask: &PendingAsk) -> Value {
    let time = |ms: u64| {
        i64::try_from(ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map(|at| at.to_string())
    };
    json!({
        "id": ask.id,
        "state": state(&ask.state),
        "tool": ask.shown.tool,
        "server": ask.shown.server,
        "address": ask.shown.address,
        "labels": ask.shown.labels,
        "question": ask.shown.to_string(),
        "diff": ask.shown.diff,
        "reason": ask.shown.reason,
        "presence": ask.presence,
        "digest": ask.digest,
        "door": ask.origin.door,
        "client": ask.origin.client,
        "workspace": ask.origin.workspace,
        "asked": time(ask.asked_ms),
        "expires": time(ask.expires_ms()),
    })
}

impl From<PendingError> for CliError {
    fn from(error: PendingError) -> Self {
        let (code, next) = match &error {
            PendingError::Unknown(_) => (
                "APPROVAL_NOT_FOUND",
                "`openshell approvals list` shows what is kept; questions expire after ten minutes.",
            ),
            PendingError::Ambiguous(_) => ("APPROVAL_NOT_FOUND", "Give more of the id."),
            PendingError::Answered(_) => (
                "APPROVAL_ANSWERED",
                "An answer stands; the call asks again when it was used or has expired.",
            ),
            _ => ("APPROVALS_UNAVAILABLE", ""),
        };
        Self::failed(error.to_string()).code(code).next(next)
    }
}
