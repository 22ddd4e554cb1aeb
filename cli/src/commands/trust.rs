//! `openshell trust`: lets the servers that a workspace lists count.
//!
//! Invariant: what was shown is what is trusted, byte for byte: the hash of the
//! content that was read once and shown goes on record. Trust in a list is not
//! trust in its hosts: their keys must be known already.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use openshell_host::registry::{
    Registry, WorkspaceError, WorkspaceServer, WorkspaceServers, is_trusted, revoke_trust, trust,
};
use openshell_host::ssh::known_hosts::KnownHosts;
use serde_json::{Value, json};

use super::server::{describe, open};
use crate::consent::{confirm, record, require_person, require_terminal};
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{BOLD, Ui};
use openshell_host::approvals::escape_line;

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The workspace; the current directory when absent
    workspace: Option<PathBuf>,
    /// Trust exactly this content, by its SHA-256, without asking
    #[arg(long, value_name = "HEX", conflicts_with_all = ["show", "revoke"])]
    sha256: Option<String>,
    /// Only show what the workspace lists
    #[arg(long, conflicts_with = "revoke")]
    show: bool,
    /// Take the trust back
    #[arg(long)]
    revoke: bool,
}

pub(crate) fn run(args: &TrustArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let workspace = match &args.workspace {
        Some(workspace) => workspace.clone(),
        None => std::env::current_dir()?,
    };
    let workspace = workspace.canonicalize().map_err(|error| {
        CliError::failed(format!("{} cannot be read: {error}", workspace.display()))
    })?;
    if args.revoke {
        // Anybody may take trust away, an agent included.
        let was = revoke_trust(context.paths(), &workspace).map_err(failed)?;
        return Ok(report(
            ui,
            &workspace,
            None,
            if was { "revoked" } else { "was-not-trusted" },
            &[],
        ));
    }
    if !args.show {
        require_person(context, "trust")?;
    }
    let Some(file) = WorkspaceServers::read(&workspace).map_err(failed)? else {
        return Err(
            CliError::failed(format!("{} lists no servers", workspace.display()))
                .next("Servers of a workspace stand in .openshell/servers.json."),
        );
    };
    let servers = file.servers().map_err(failed)?;
    let registry = open(context, ui)?;
    let known = KnownHosts::load(&context.supervisor()?.resources().known_hosts())?;
    let listed: Vec<Value> = servers
        .iter()
        .map(|server| shown(server, &registry, &known))
        .collect();
    if !ui.json {
        show(ui, &file, &servers, &listed);
    }
    if is_trusted(context.paths(), &file).map_err(failed)? {
        return Ok(report(
            ui,
            &workspace,
            Some(&file),
            "trusted-already",
            &listed,
        ));
    }
    if args.show {
        return Ok(report(ui, &workspace, Some(&file), "not-trusted", &listed));
    }
    match &args.sha256 {
        Some(expected) if *expected == file.sha256() => {}
        Some(_) => {
            return Err(CliError::failed(format!(
                "the file has the SHA-256 {}, which is another content",
                file.sha256()
            ))
            .next("Look at it again with --show."));
        }
        None => {
            require_terminal(
                "a person must agree to the servers",
                "Look at them with --show, then name the content with --sha256 HEX.",
            )?;
            confirm(
                "Let these servers count in this workspace?",
                "the workspace was not trusted",
            )?;
        }
    }
    record(
        context,
        format!(
            "the servers of workspace {} are trusted (SHA-256 {})",
            escape_line(&workspace.display().to_string()),
            file.sha256()
        ),
    )?;
    trust(context.paths(), &file).map_err(failed)?;
    Ok(report(ui, &workspace, Some(&file), "trusted", &listed))
}

/// One entry as JSON, with what becomes of it.
fn shown(server: &WorkspaceServer, registry: &Registry, known: &KnownHosts) -> Value {
    let view = &server.view;
    let mut value = describe(view);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("created");
        fields.remove("disabled");
    }
    value["identity"] = json!(server.identity);
    value["shadows"] = json!(registry.get(&view.id).is_ok());
    value["hostKeyKnown"] = json!(
        !known.keys(&view.host, view.port).is_empty() || known.has_authority(&view.host, view.port)
    );
    value["problem"] = json!(server.login().err().map(|error| error.to_string()));
    value
}

fn show(ui: Ui, file: &WorkspaceServers, servers: &[WorkspaceServer], listed: &[Value]) {
    ui.note(&format!(
        "{} lists (SHA-256 {}):",
        escape_line(&file.path().display().to_string()),
        file.sha256()
    ));
    for (server, value) in servers.iter().zip(listed) {
        let view = &server.view;
        let login = match &server.identity {
            Some(path) => format!("key {}", escape_line(&path.display().to_string())),
            None => "the running ssh-agent".to_owned(),
        };
        let through = view
            .jump
            .as_ref()
            .map(|jump| format!(" through {jump}"))
            .unwrap_or_default();
        ui.note(&format!(
            "  {BOLD}{}{BOLD:#}  {}@{}:{}{through}  by {login}, commands by {}",
            view.id, view.user, view.host, view.port, view.shell
        ));
        if !view.labels.is_empty() {
            ui.note(&format!(
                "    labels, which decide what your rules say of it: {}",
                view.labels.join(" ")
            ));
        }
        if value["shadows"] == true {
            ui.warn(&format!(
                "{} is the id of a server of yours: this entry never counts",
                view.id
            ));
        }
        if value["hostKeyKnown"] == false {
            ui.note("    its host key is not known; it is refused until that is enrolled");
        }
        if let Some(problem) = value["problem"].as_str() {
            ui.warn(&escape_line(problem));
        }
    }
}

fn report(
    ui: Ui,
    workspace: &Path,
    file: Option<&WorkspaceServers>,
    action: &str,
    listed: &[Value],
) -> ExitCode {
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "workspace": workspace,
            "action": action,
            "sha256": file.map(WorkspaceServers::sha256),
            "servers": listed,
        }));
        return ExitCode::SUCCESS;
    }
    let name = escape_line(&workspace.display().to_string());
    ui.line(&match action {
        "trusted" => format!("The servers of {name} count, until the file changes."),
        "trusted-already" => format!("The servers of {name} count already."),
        "not-trusted" => format!("The servers of {name} do not count."),
        "revoked" => format!("The servers of {name} do not count any more."),
        _ => format!("The servers of {name} did not count."),
    });
    ExitCode::SUCCESS
}

fn failed(error: WorkspaceError) -> CliError {
    let next = error.next();
    CliError::failed(error.to_string()).next(next)
}
