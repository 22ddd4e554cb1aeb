//! `openshell server import`: takes servers over from `~/.ssh/config`.
//!
//! Invariant: what is going to be registered is shown and agreed to before anything
//! is; no host key is taken that neither a known_hosts file holds nor a person
//! compared; every directive that applies and is not honoured is listed. It does
//! not read the configuration itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use openshell_host::registry::{NewServer, Registry};
use openshell_host::ssh::HostKey;
use openshell_host::ssh::known_hosts::{self, KnownHosts};
use openshell_host::ssh_config::{Config, Surroundings, Unhonoured};
use serde_json::{Value, json};

use super::server::open;
use super::server_host_keys;
use super::server_plan::{Plan, Planned, Skipped, make};
use crate::consent::{at_terminal, confirm, require_person, require_terminal};
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{BOLD, DIM, Ui};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Names in the configuration; all that are named outright when absent
    hosts: Vec<String>,
    /// Read this file instead of ~/.ssh/config
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Only show what would be registered
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Register without asking; hosts without a known key are left out
    #[arg(long)]
    yes: bool,
    /// A word that policy rules can refer to, for every server (repeatable)
    #[arg(long = "label", value_name = "L")]
    labels: Vec<String>,
}

pub(crate) fn run(args: &ImportArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    if !args.dry_run {
        require_person(context, "server import")?;
        if !args.yes {
            require_terminal(
                "a person must agree to the servers",
                "Use --dry-run to see them, or --yes to take them.",
            )?;
        }
    }
    let surroundings = Surroundings::of_process()
        .ok_or_else(|| CliError::failed("this account has no home directory"))?;
    let file = match &args.config {
        Some(file) => std::path::absolute(file)?,
        None => surroundings.home.join(".ssh/config"),
    };
    let config =
        Config::read(&file, &surroundings).map_err(|error| CliError::failed(error.to_string()))?;
    let registry = open(context, ui)?;
    let own_files = context.supervisor()?.resources().known_hosts();
    let mut plan = make(&args.hosts, &config, &surroundings, &registry, &own_files)?;
    if !ui.json {
        show(ui, &plan);
    }
    if args.dry_run || plan.servers.is_empty() {
        return Ok(report(ui, "planned", &[], &plan));
    }
    if !args.yes {
        confirm(
            &format!("Register these {} servers?", plan.servers.len()),
            "nothing was registered",
        )?;
    }
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    let mut added = Vec::new();
    let servers = std::mem::take(&mut plan.servers);
    for planned in servers {
        let id = planned.id.clone();
        match register(planned, args, &key, context, ui) {
            Ok(()) => added.push(id.as_str().to_owned()),
            Err(error) => plan.skipped.push(Skipped {
                alias: id.as_str().to_owned(),
                reason: error.message,
            }),
        }
    }
    Ok(report(ui, "imported", &added, &plan))
}

fn register(
    planned: Planned,
    args: &ImportArgs,
    key: &openshell_host::registry::MasterKey,
    context: &Context,
    ui: Ui,
) -> Result<(), CliError> {
    let keys = host_keys(&planned, args, context, ui)?;
    let mut server = NewServer::new(
        planned.id.clone(),
        &planned.host,
        &planned.user,
        planned.auth,
    );
    server.port = planned.port;
    server.jump = planned.jump;
    server.labels.clone_from(&args.labels);
    Registry::open(context.paths())?.add(server, key, false)?;
    let own = context.paths().known_hosts();
    for host_key in &keys {
        known_hosts::append(&own, &planned.host, planned.port, host_key)?;
    }
    if !ui.json {
        ui.line(&format!("Server {} is registered.", planned.id));
    }
    Ok(())
}

/// The keys a file holds already; others are fetched, through the servers on the
/// way, and shown to a person.
fn host_keys(
    planned: &Planned,
    args: &ImportArgs,
    context: &Context,
    ui: Ui,
) -> Result<Vec<HostKey>, CliError> {
    if planned.known || !planned.keys.is_empty() {
        return Ok(planned.keys.clone());
    }
    if args.yes || !at_terminal() {
        return Err(CliError::failed(
            "no known_hosts file has its host key, and nobody was there to compare one",
        ));
    }
    let supervisor = context.supervisor()?;
    let jump = match &planned.jump {
        Some(id) => Some(
            context
                .runtime()
                .block_on(supervisor.target(id.as_str(), None))?,
        ),
        None => None,
    };
    let fetched = server_host_keys::fetch(context, &planned.host, planned.port, jump.as_ref())?;
    let known = KnownHosts::load(&supervisor.resources().known_hosts())?;
    server_host_keys::refuse_revoked(&known, &planned.host, planned.port, &fetched)?;
    ui.note(&format!(
        "{} ({} port {}) offers these host keys:",
        planned.id, planned.host, planned.port
    ));
    server_host_keys::show(ui, &fetched);
    server_host_keys::say_how_to_compare(ui);
    confirm(
        "Are they the server's own?",
        "the host key was not accepted",
    )?;
    Ok(fetched)
}

fn show(ui: Ui, plan: &Plan) {
    for planned in &plan.servers {
        let through = planned
            .jump
            .as_ref()
            .map(|jump| format!(" through {jump}"))
            .unwrap_or_default();
        ui.note(&format!(
            "{BOLD}{}{BOLD:#}  {}@{}:{}{through}  by {}",
            planned.id,
            planned.user,
            planned.host,
            planned.port,
            planned.auth_text()
        ));
        if planned.known {
            ui.note("    the host key is known");
        } else {
            ui.note("    the host key is not known yet");
        }
        for other in &planned.unhonoured {
            ui.note(&format!(
                "    {DIM}not honoured:{DIM:#} {}",
                sentence(other)
            ));
        }
    }
    for Skipped { alias, reason } in &plan.skipped {
        ui.warn(&format!("{alias} is left out: {reason}"));
    }
}

/// A directive that is not honoured, in one line.
pub(super) fn sentence(other: &Unhonoured) -> String {
    let reason = other
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    // What follows from the configuration as a whole stands in no one line.
    let place = if other.line > 0 {
        format!(" ({}, line {})", other.file.display(), other.line)
    } else {
        String::new()
    };
    format!("{} {}{place}{reason}", other.directive, other.value)
}

fn report(ui: Ui, action: &str, added: &[String], plan: &Plan) -> ExitCode {
    let failed = action == "imported" && !plan.skipped.is_empty();
    if ui.json {
        let servers: Vec<Value> = plan
            .servers
            .iter()
            .map(|planned| {
                json!({
                    "id": planned.id.as_str(),
                    "host": planned.host,
                    "port": planned.port,
                    "user": planned.user,
                    "jump": planned.jump.as_ref().map(|jump| jump.as_str().to_owned()),
                    "auth": planned.auth.kind().as_str(),
                    "hostKeyKnown": planned.known,
                })
            })
            .collect();
        ui.value(&json!({
            "status": if failed { "partial_failure" } else { "ok" },
            "action": action,
            "planned": servers,
            "added": added,
            "skipped": plan
                .skipped
                .iter()
                .map(|skipped| json!({"host": skipped.alias, "reason": skipped.reason}))
                .collect::<Vec<Value>>(),
            "notHonoured": plan
                .not_honoured
                .iter()
                .map(|(id, other)| {
                    json!({
                        "host": id,
                        "directive": other.directive,
                        "value": other.value,
                        "file": other.file,
                        "line": other.line,
                        "reason": other.reason,
                    })
                })
                .collect::<Vec<Value>>(),
        }));
    } else if action == "imported" {
        for Skipped { alias, reason } in &plan.skipped {
            ui.warn(&format!("{alias} was not registered: {reason}"));
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
