//! `openshell policy`: verdicts without doing anything, through the component.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use openshell_host::contract::{Decision, Request, Rulebook, Subject, Verdict};
use openshell_host::rules;
use serde::Deserialize;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{BOLD, DIM, GREEN, RED, Ui, YELLOW};
use openshell_host::approvals::escape_text;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what would happen to a command, and why
    Explain(ExplainArgs),
    /// Judge many commands: JSON lines {"id","command"} on stdin
    Check,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The command line
    command: String,
    /// Judge it for this registered server
    #[arg(long)]
    server: Option<String>,
    /// Judge it in this absolute directory
    #[arg(long)]
    cwd: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Line {
    id: serde_json::Value,
    command: String,
    #[serde(default)]
    cwd: Option<String>,
}

pub(crate) fn run(
    command: PolicyCommand,
    context: &Context,
    ui: Ui,
) -> Result<ExitCode, CliError> {
    let rulebook = rules::load(&context.paths().policy_file(), context.supervisor()?.judge())?;
    match command {
        PolicyCommand::Explain(args) => explain(args, context, &rulebook, ui),
        PolicyCommand::Check => check(context, &rulebook),
    }
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::AutoAllow => "auto-allow",
        Decision::ApprovalRequired => "approval-required",
        Decision::Reject => "reject",
    }
}

fn subject(command: String, cwd: Option<String>) -> Subject {
    Subject {
        request: Request::Command(command),
        server: String::new(),
        tool: "remote_exec".to_owned(),
        labels: Vec::new(),
        cwd,
        home: None,
        resolved: None,
    }
}

fn explain(
    args: ExplainArgs,
    context: &Context,
    rulebook: &Rulebook,
    ui: Ui,
) -> Result<ExitCode, CliError> {
    let mut subject = subject(args.command, args.cwd);
    if let Some(server) = args.server {
        let view = super::server::find(context, &server)?;
        subject.labels = view.labels;
        subject.server = server;
    }
    let (verdict, steps) = context.supervisor()?.judge().explain(&subject, rulebook)?;
    if ui.json {
        let steps: Vec<_> = steps
            .iter()
            .map(|step| {
                json!({
                    "phase": step.phase,
                    "item": step.item,
                    "finding": step.finding,
                    "decision": step.decision.map(word),
                })
            })
            .collect();
        ui.value(&json!({
            "decision": word(verdict.decision),
            "rule": verdict.rule,
            "reason": verdict.reason,
            "stages": verdict.stages,
            "steps": steps,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    for step in steps {
        let decision = step
            .decision
            .map(|decision| format!(" -> {}", word(decision)))
            .unwrap_or_default();
        ui.line(&format!(
            "{DIM}{:<9}{DIM:#} {}  {}{decision}",
            step.phase,
            escape_text(&step.item),
            escape_text(&step.finding),
        ));
    }
    ui.line(&conclusion(&verdict));
    Ok(ExitCode::SUCCESS)
}

fn conclusion(verdict: &Verdict) -> String {
    let style = match verdict.decision {
        Decision::AutoAllow => GREEN,
        Decision::ApprovalRequired => YELLOW,
        Decision::Reject => RED,
    };
    format!(
        "{style}{BOLD}{}{BOLD:#}{style:#} ({})  {}",
        word(verdict.decision),
        verdict.rule,
        escape_text(&verdict.reason)
    )
}

fn check(context: &Context, rulebook: &Rulebook) -> Result<ExitCode, CliError> {
    let judge = context.supervisor()?.judge();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|error| {
            CliError::usage(format!("line {} of the input: {error}", number + 1))
                .next("Each line is a JSON object with \"id\" and \"command\".")
        })?;
        let verdict = judge.classify(&subject(line.command, line.cwd), rulebook)?;
        let answer = json!({
            "id": line.id,
            "decision": word(verdict.decision),
            "rule": verdict.rule,
            "reason": verdict.reason,
        });
        writeln!(out, "{answer}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
