//! `openshell policy replay`: past commands under the present component and rules.
//!
//! Invariant: the verdict is a pure function, so a difference comes from the
//! component, the rules or the server's labels, and from nothing else. Commands of
//! which a part was redacted cannot be judged again and are counted. It runs none
//! of the commands.

use std::collections::BTreeMap;
use std::process::ExitCode;

use openshell_host::approvals::escape_line;
use openshell_host::contract::Rulebook;
use openshell_host::journal::{EventKind, Filter, Journal};
use openshell_host::registry::{Registry, Scope, ServerId};
use serde_json::json;

use super::policy::{subject, sudo, word};
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// How the journal marks what it left out.
const REDACTED: &str = "[redacted:";

/// A command on record.
struct Past {
    seq: u64,
    server: String,
    command: String,
    cwd: Option<String>,
    component: Option<String>,
    decision: Option<String>,
}

pub(super) fn run(context: &Context, rulebook: &Rulebook, ui: Ui) -> Result<ExitCode, CliError> {
    let (past, redacted) = collect(context)?;
    let registry = Registry::open(context.paths())?;
    let judge = context.supervisor()?.judge();
    let present = openshell_host::engine::Engine::component_digest();
    let (mut judged, mut changed) = (0_usize, Vec::new());
    for command in past {
        let Some(then) = &command.decision else {
            continue;
        };
        let mut asked = subject(command.command.clone(), command.cwd.clone());
        asked.server.clone_from(&command.server);
        if let Ok(id) = ServerId::new(command.server.as_str())
            && let Ok(record) = registry.get(&id)
        {
            let view = record.view(Scope::Global);
            asked.sudo = Some(sudo(view.sudo));
            asked.labels = view.labels;
        }
        let verdict = judge.classify(&asked, rulebook)?;
        judged += 1;
        if word(verdict.decision) != then {
            changed.push((command, verdict));
        }
    }
    if ui.json {
        let list: Vec<_> = changed
            .iter()
            .map(|(command, verdict)| {
                json!({
                    "seq": command.seq,
                    "server": command.server,
                    "command": command.command,
                    "then": command.decision,
                    "now": word(verdict.decision),
                    "rule": verdict.rule,
                    "reason": verdict.reason,
                    "sameComponent": command.component.as_deref() == Some(present),
                })
            })
            .collect();
        ui.value(&json!({"judged": judged, "redacted": redacted, "changed": list}));
        return Ok(ExitCode::SUCCESS);
    }
    if !changed.is_empty() {
        let rows = changed
            .iter()
            .map(|(command, verdict)| {
                [
                    command.seq.to_string(),
                    command.server.clone(),
                    command.decision.clone().unwrap_or_default(),
                    word(verdict.decision).to_owned(),
                    verdict.rule.clone(),
                    escape_line(&command.command),
                ]
            })
            .collect();
        ui.table(["seq", "server", "then", "now", "rule", "command"], rows);
    }
    ui.note(&format!(
        "{judged} commands judged again, {} would come out otherwise; {redacted} could not be \
         judged because a part of them is redacted.",
        changed.len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Reads the commands and what was decided on each.
fn collect(context: &Context) -> Result<(Vec<Past>, usize), CliError> {
    let mut commands: BTreeMap<String, Past> = BTreeMap::new();
    let mut redacted = 0;
    let filter = Filter {
        tool: Some("remote_exec".to_owned()),
        ..Filter::default()
    };
    for record in Journal::read(&context.paths().audit_dir(), filter)? {
        let entry = record?.entry;
        let Some(action) = entry.action.clone() else {
            continue;
        };
        if entry.event == EventKind::Intent {
            let arguments = entry.arguments.unwrap_or_default();
            let Some(command) = arguments["command"].as_str() else {
                continue;
            };
            if command.contains(REDACTED) {
                redacted += 1;
                continue;
            }
            let past = Past {
                seq: entry.seq,
                server: entry.server.unwrap_or_default(),
                command: command.to_owned(),
                cwd: arguments["cwd"].as_str().map(str::to_owned),
                component: entry.component,
                decision: None,
            };
            commands.insert(action, past);
        } else if let Some(past) = commands.get_mut(&action) {
            if let Some(verdict) = entry.verdict {
                past.decision = Some(verdict.decision);
            } else if entry
                .outcome
                .is_some_and(|outcome| outcome.code.as_deref() == Some("POLICY_REJECTED"))
            {
                past.decision = Some("reject".to_owned());
            }
        }
    }
    let mut past: Vec<Past> = commands.into_values().collect();
    past.sort_by_key(|past| past.seq);
    Ok((past, redacted))
}
