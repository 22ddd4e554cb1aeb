//! `openshell server`: the registered servers.
//!
//! Invariant: no credential is printed, in text or as JSON. What a record may hold
//! is not checked here but by the register.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use openshell_host::registry::{Registry, ServerId, ServerView};
use openshell_host::ssh::known_hosts::{self, KnownHosts};
use serde_json::{Value, json};

use super::server_layers::{self, Listed};
use crate::consent::require_person;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Register a server
    Add(super::server_add::AddArgs),
    /// List the registered servers
    List,
    /// Show one server
    Show(Named),
    /// Connect to a server and show each step
    Test(Named),
    /// Accept a server's new host keys after a planned change
    Trust(super::server_trust::TrustArgs),
    /// Take servers over from ~/.ssh/config
    Import(super::server_import::ImportArgs),
    /// Forget a server
    Remove(Named),
    /// Refuse every connection to a server
    Disable(Named),
    /// Let a disabled server be used again
    Enable(Named),
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Server id
    #[arg(add = super::completions::server_ids())]
    pub(crate) id: String,
}

pub(crate) fn run(command: ServerCommand, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    match command {
        ServerCommand::Add(args) => super::server_add::run(args, context, ui),
        ServerCommand::List => list(context, ui),
        ServerCommand::Show(named) => show(&named.id, context, ui),
        ServerCommand::Test(named) => super::server_test::run(&named.id, context, ui),
        ServerCommand::Trust(args) => super::server_trust::run(&args, context, ui),
        ServerCommand::Import(args) => super::server_import::run(&args, context, ui),
        ServerCommand::Remove(named) => remove(&named.id, context, ui),
        ServerCommand::Disable(named) => set_disabled(&named.id, true, context, ui),
        ServerCommand::Enable(named) => set_disabled(&named.id, false, context, ui),
    }
}

pub(crate) fn server_id(text: &str) -> Result<ServerId, CliError> {
    ServerId::new(text).map_err(|error| CliError::usage(format!("server id {text:?}: {error}")))
}

/// Finds a server by the id a person typed.
pub(super) fn find(context: &Context, id: &str) -> Result<ServerView, CliError> {
    let registry = open(context, Ui::new(false))?;
    let id = server_id(id)?;
    let record = registry.get(&id)?;
    Ok(record.view(openshell_host::registry::Scope::Global))
}

/// Opens the registry and says what was put right.
pub(super) fn open(context: &Context, ui: Ui) -> Result<Registry, CliError> {
    let registry = Registry::open(context.paths())?;
    for warning in registry.warnings() {
        ui.warn(&warning.to_string());
    }
    Ok(registry)
}

/// A server as JSON; never with a credential.
pub(super) fn describe(server: &ServerView) -> Value {
    json!({
        "id": server.id.as_str(),
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "labels": server.labels,
        "scope": server.scope.as_str(),
        "auth": server.auth.as_str(),
        "jump": server.jump.as_ref().map(ServerId::as_str),
        "shell": server.shell,
        "sudo": server.sudo.as_str(),
        "disabled": server.disabled,
        "created": server.created.to_string(),
    })
}

fn list(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let servers = server_layers::all(context, ui)?;
    if ui.json {
        let servers: Vec<_> = servers.iter().map(Listed::json).collect();
        ui.value(&servers);
    } else if servers.is_empty() {
        ui.note("No server is registered. `openshell server add --help` shows how to add one.");
    } else {
        let rows = servers
            .iter()
            .map(|listed| {
                let server = &listed.view;
                [
                    server.id.as_str().to_owned(),
                    format!("{}@{}:{}", server.user, server.host, server.port),
                    server.auth.as_str().to_owned(),
                    server.labels.join(" "),
                    server.scope.as_str().to_owned(),
                    listed.remark(),
                ]
            })
            .collect();
        ui.table(["id", "login", "auth", "labels", "scope", ""], rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(id: &str, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let listed = server_layers::named(context, &server_id(id)?, ui)?;
    let keys = known_keys(context, &listed.view)?;
    let mut value = listed.json();
    value["hostKeys"] = json!(keys);
    if ui.json {
        ui.value(&value);
        return Ok(ExitCode::SUCCESS);
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" "),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let names = [
        "id", "host", "port", "user", "auth", "jump", "labels", "scope", "shell", "sudo",
        "disabled", "created", "file", "inert", "hostKeys",
    ];
    let rows = names
        .iter()
        // What only an entry of a workspace says.
        .filter(|name| value.get(**name).is_some())
        .map(|name| [(*name).to_owned(), text(&value[*name])])
        .collect();
    ui.table(["field", "value"], rows);
    Ok(ExitCode::SUCCESS)
}

/// The host keys on file for a server, as `TYPE SHA256:…`.
fn known_keys(context: &Context, server: &ServerView) -> Result<Vec<String>, CliError> {
    let files = context.supervisor()?.resources().known_hosts();
    let known = KnownHosts::load(&files)?;
    Ok(known
        .keys(&server.host, server.port)
        .iter()
        .map(|key| format!("{} {}", key.key_type(), key.fingerprint()))
        .collect())
}

fn remove(id: &str, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "server remove")?;
    let server = find(context, id)?;
    let mut registry = open(context, ui)?;
    registry.remove(&server.id)?;
    let shared = registry
        .list()
        .iter()
        .any(|other| other.host == server.host && other.port == server.port);
    if !shared {
        // What was enrolled for this server alone is forgotten with it.
        known_hosts::remove(&context.paths().known_hosts(), &server.host, server.port)?;
    }
    report(ui, "removed", id);
    Ok(ExitCode::SUCCESS)
}

fn set_disabled(id: &str, disabled: bool, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    if !disabled {
        require_person(context, "server enable")?;
    }
    let id_checked = server_id(id)?;
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    open(context, ui)?.set_disabled(&id_checked, disabled, &key)?;
    report(ui, if disabled { "disabled" } else { "enabled" }, id);
    Ok(ExitCode::SUCCESS)
}

fn report(ui: Ui, what: &str, id: &str) {
    if ui.json {
        ui.value(&json!({"status": "ok", "id": id, "action": what}));
    } else {
        ui.line(&format!("Server {id} is {what}."));
    }
}
