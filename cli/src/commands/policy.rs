//! `openshell policy`: verdicts without doing anything, through the component.
//!
//! Invariant: verdicts come from the embedded component with the rules that are in
//! force here, as a call's do. Nothing is run and no server is asked, so what only
//! a server knows of a path is not in them.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use openshell_host::approvals::escape_text;
use openshell_host::contract::{Decision, Request, Rulebook, Subject, Sudo, Verdict};
use openshell_host::registry;
use openshell_host::rules::{self, Mode, Rules};
use serde::Deserialize;
use serde_json::json;

use super::policy_replay;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{BOLD, DIM, GREEN, RED, Ui, YELLOW};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what would happen to a command, and why
    Explain(ExplainArgs),
    /// Judge many commands: JSON lines {"id","command"} on stdin
    Check(CheckArgs),
    /// Show the rules that are in force here
    Show,
    /// Run the examples of the rule file
    Test,
    /// Judge the journal's past commands again and show what would change
    Replay,
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

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Add the time each verdict took, as "ns"
    #[arg(long)]
    timed: bool,
}

#[derive(Debug, Deserialize)]
struct Line {
    id: serde_json::Value,
    command: String,
    #[serde(default)]
    cwd: Option<String>,
}

pub(crate) fn run(command: PolicyCommand, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    if let PolicyCommand::Test = command {
        return test(context, ui);
    }
    let workspace = std::env::current_dir().ok();
    let supervisor = context.supervisor()?;
    let rules = supervisor
        .resources()
        .rules(workspace.as_deref(), supervisor.judge())?;
    match command {
        PolicyCommand::Explain(args) => explain(args, context, &rules, ui),
        PolicyCommand::Check(args) => check(&args, context, &rules.rulebook),
        PolicyCommand::Show => show(context, &rules, ui),
        PolicyCommand::Replay => policy_replay::run(context, &rules.rulebook, ui),
        PolicyCommand::Test => Ok(ExitCode::SUCCESS),
    }
}

/// The word for a decision, as the journal and the JSON output spell it.
pub(super) fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::AutoAllow => "auto-allow",
        Decision::ApprovalRequired => "approval-required",
        Decision::Reject => "reject",
    }
}

/// A command to be judged, on no server in particular.
pub(super) fn subject(command: String, cwd: Option<String>) -> Subject {
    Subject {
        request: Request::Command(command),
        server: String::new(),
        tool: "remote_exec".to_owned(),
        labels: Vec::new(),
        cwd,
        home: None,
        resolved: None,
        sudo: None,
    }
}

/// What a registration says, in the policy's words.
pub(super) fn sudo(registered: registry::Sudo) -> Sudo {
    match registered {
        registry::Sudo::Never => Sudo::Never,
        registry::Sudo::Ask => Sudo::Ask,
    }
}

fn explain(
    args: ExplainArgs,
    context: &Context,
    rules: &Rules,
    ui: Ui,
) -> Result<ExitCode, CliError> {
    let mut subject = subject(args.command, args.cwd);
    let mut mode = Mode::Ask;
    if let Some(server) = args.server {
        let id = super::server_id(&server)?;
        let listed = super::server_layers::named(context, &id, ui)?;
        listed.require_effect()?;
        let view = listed.view;
        mode = rules.access_to(&server, &view.labels).0;
        subject.labels = view.labels;
        subject.sudo = Some(sudo(view.sudo));
        subject.server = server;
    }
    let judge = context.supervisor()?.judge();
    let (verdict, steps) = judge.explain(&subject, &rules.rulebook)?;
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
            "mode": mode_word(mode),
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
    match mode {
        Mode::Ask => {}
        Mode::ReadOnly => ui.note("The server is read-only: what would ask is refused."),
        Mode::Off => ui.note("The server is switched off: everything is refused."),
    }
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

fn check(args: &CheckArgs, context: &Context, rulebook: &Rulebook) -> Result<ExitCode, CliError> {
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
        let subject = subject(line.command, line.cwd);
        let started = Instant::now();
        let verdict = judge.classify(&subject, rulebook)?;
        let took = started.elapsed();
        let mut answer = json!({
            "id": line.id,
            "decision": word(verdict.decision),
            "rule": verdict.rule,
            "reason": verdict.reason,
        });
        if args.timed {
            answer["ns"] = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).into();
        }
        writeln!(out, "{answer}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Ask => "ask",
        Mode::ReadOnly => "read-only",
        Mode::Off => "off",
    }
}

fn show(context: &Context, rules: &Rules, ui: Ui) -> Result<ExitCode, CliError> {
    let book = &rules.rulebook;
    let origin = |rule: &openshell_host::contract::Rule| match rule.origin {
        openshell_host::contract::RuleOrigin::Operator => "operator",
        openshell_host::contract::RuleOrigin::Workspace => "workspace",
    };
    let confirm = |access: &rules::Access| match access.confirm {
        rules::Confirm::Answer => "answer",
        rules::Confirm::Presence => "presence",
    };
    if ui.json {
        let list: Vec<_> = book
            .rules
            .iter()
            .map(|rule| {
                json!({
                    "id": rule.id,
                    "origin": origin(rule),
                    "servers": rule.servers,
                    "labels": rule.labels,
                    "tools": rule.tools,
                    "prefix": rule.prefix,
                    "decision": word(rule.decision),
                    "reason": rule.reason,
                    "override": rule.overrides_catastrophe,
                })
            })
            .collect();
        let access: Vec<_> = rules
            .access
            .iter()
            .map(|access| {
                json!({
                    "for": access.written,
                    "mode": mode_word(access.mode),
                    "confirm": confirm(access),
                })
            })
            .collect();
        ui.value(&json!({
            "component": openshell_host::engine::Engine::component_digest(),
            "pipelines": if book.pipelines_each_stage { "each-stage" } else { "ask" },
            "secretPaths": book.secret_paths,
            "rules": list,
            "access": access,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    ui.note(&format!(
        "Component {}; operator's rules in {}.",
        openshell_host::engine::Engine::component_digest(),
        context.paths().policy_file().display()
    ));
    if book.pipelines_each_stage {
        ui.line("Pipelines of commands that are each safe run unasked.");
    }
    if !book.secret_paths.is_empty() {
        ui.line(&format!(
            "Further secret paths: {}",
            book.secret_paths.join(" ")
        ));
    }
    if book.rules.is_empty() && rules.access.is_empty() {
        ui.note("No rules: the policy's own verdicts stand.");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<[String; 5]> = book
        .rules
        .iter()
        .map(|rule| {
            let positions: Vec<String> = rule.prefix.iter().map(|words| words.join("|")).collect();
            [
                rule.id.clone(),
                origin(rule).to_owned(),
                word(rule.decision).to_owned(),
                [rule.servers.as_slice(), rule.labels.as_slice()]
                    .concat()
                    .join(" "),
                positions.join(" "),
            ]
        })
        .collect();
    rows.extend(rules.access.iter().map(|access| {
        [
            "access".to_owned(),
            String::new(),
            mode_word(access.mode).to_owned(),
            access.written.clone(),
            format!("confirm by {}", confirm(access)),
        ]
    }));
    ui.table(["rule", "origin", "decision", "for", "what"], rows);
    Ok(ExitCode::SUCCESS)
}

fn test(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let path = context.paths().policy_file();
    let Some(results) = rules::examples(&path, context.supervisor()?.judge())? else {
        return Err(CliError::failed(format!(
            "there is no rule file {}",
            path.display()
        )));
    };
    let failed = results
        .iter()
        .filter(|example| example.wanted != example.matches)
        .count();
    if ui.json {
        let list: Vec<_> = results
            .iter()
            .map(|example| {
                json!({
                    "rule": example.rule,
                    "command": example.command,
                    "wanted": example.wanted,
                    "matches": example.matches,
                })
            })
            .collect();
        ui.value(&json!({"failed": failed, "examples": list}));
    } else {
        for example in &results {
            let mark = if example.wanted == example.matches {
                format!("{GREEN}ok{GREEN:#}    ")
            } else {
                format!("{RED}failed{RED:#}")
            };
            let verb = if example.matches {
                "matches"
            } else {
                "does not match"
            };
            ui.line(&format!(
                "{mark} {} {verb} {}",
                example.rule,
                escape_text(&example.command)
            ));
        }
        ui.note(&format!("{} examples, {failed} failed", results.len()));
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
