//! `openshell server trust`: replaces a server's host keys after a planned change.
//!
//! Invariant: the old keys stay the trusted ones until a person has seen old and
//! new beside each other and agreed, or named the new ones; then the file holds
//! the new ones and none of the old, in one step. A key is never taken because
//! the server offers it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use openshell_host::ssh::HostKey;
use openshell_host::ssh::known_hosts::{self, KnownHosts};
use serde_json::{Value, json};

use super::server::find;
use super::server_host_keys::{describe, fetch, parse, refuse_revoked, say_how_to_compare, show};
use crate::consent::{confirm, record, require_person, require_terminal};
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Server id
    #[arg(add = super::completions::server_ids())]
    id: String,
    /// Accept exactly this key instead of asking the server: "TYPE BASE64"
    /// (repeatable)
    #[arg(long = "host-key", value_name = "KEY")]
    host_keys: Vec<String>,
}

pub(crate) fn run(args: &TrustArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "server trust")?;
    let server = find(context, &args.id)?;
    let given: Vec<HostKey> = args
        .host_keys
        .iter()
        .map(|text| parse(text))
        .collect::<Result<_, _>>()?;
    let files = context.supervisor()?.resources().known_hosts();
    let known = KnownHosts::load(&files)?;
    let old = known.keys(&server.host, server.port);

    let new = if given.is_empty() {
        require_terminal(
            "a person must compare the host keys",
            "Give the new key with --host-key \"TYPE BASE64\".",
        )?;
        // Host and route are claims until the record is proven.
        let target = context
            .runtime()
            .block_on(context.supervisor()?.target(server.id.as_str(), None))?;
        fetch(context, &target.host, target.port, target.jump.as_deref())?
    } else {
        given
    };
    refuse_revoked(&known, &server.host, server.port, &new)?;

    let own = context.paths().known_hosts();
    let in_own = KnownHosts::load(std::slice::from_ref(&own))?.keys(&server.host, server.port);
    if same(&in_own, &new) && same(&old, &new) {
        return Ok(report(
            ui,
            &args.id,
            "unchanged",
            &old,
            &new,
            &Vec::new(),
            &[],
        ));
    }
    if args.host_keys.is_empty() {
        ui.note(&format!("Known for {} port {}:", server.host, server.port));
        if old.is_empty() {
            ui.note("  nothing");
        }
        show(ui, &old);
        ui.note("The server offers now:");
        show(ui, &new);
        say_how_to_compare(ui);
        confirm(
            "Were the keys changed on purpose, and are these the server's own?",
            "the new host keys were not accepted",
        )?;
    }
    record(
        context,
        format!(
            "host keys of server {} replaced: {} by {}",
            server.id,
            list(&old),
            list(&new)
        ),
    )?;
    context
        .paths()
        .ensure_config_dir()
        .map_err(|error| CliError::failed(error.to_string()))?;
    known_hosts::replace(&own, &server.host, server.port, &new)?;

    let others: Vec<String> = super::server::open(context, ui)?
        .list()
        .into_iter()
        .filter(|other| other.id != server.id)
        .filter(|other| other.host.eq_ignore_ascii_case(&server.host) && other.port == server.port)
        .map(|other| other.id.as_str().to_owned())
        .collect();
    let remaining = elsewhere(&files, &server.host, server.port, &new)?;
    Ok(report(
        ui, &args.id, "replaced", &old, &new, &remaining, &others,
    ))
}

fn same(one: &[HostKey], other: &[HostKey]) -> bool {
    one.len() == other.len() && one.iter().all(|key| other.contains(key))
}

fn list(keys: &[HostKey]) -> String {
    if keys.is_empty() {
        return "none".to_owned();
    }
    let keys: Vec<String> = keys
        .iter()
        .map(|key| format!("{} {}", key.key_type(), key.fingerprint()))
        .collect();
    keys.join(", ")
}

/// Keys that are trusted still, each with the file that says so: lines of files
/// that are not ours, or that cover more than this host.
fn elsewhere(
    files: &[PathBuf],
    host: &str,
    port: u16,
    new: &[HostKey],
) -> Result<Vec<(PathBuf, HostKey)>, CliError> {
    let mut remaining = Vec::new();
    for file in files {
        let keys = KnownHosts::load(std::slice::from_ref(file))?.keys(host, port);
        let old = keys.into_iter().filter(|key| !new.contains(key));
        remaining.extend(old.map(|key| (file.clone(), key)));
    }
    Ok(remaining)
}

fn report(
    ui: Ui,
    id: &str,
    action: &str,
    old: &[HostKey],
    new: &[HostKey],
    remaining: &Vec<(PathBuf, HostKey)>,
    others: &[String],
) -> ExitCode {
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "id": id,
            "action": action,
            "old": old.iter().map(describe).collect::<Vec<Value>>(),
            "new": new.iter().map(describe).collect::<Vec<Value>>(),
            "stillTrusted": remaining
                .iter()
                .map(|(file, key)| {
                    let mut value = describe(key);
                    value["file"] = json!(file);
                    value
                })
                .collect::<Vec<Value>>(),
            "alsoFor": others,
        }));
        return ExitCode::SUCCESS;
    }
    if action == "unchanged" {
        ui.line(&format!("The host keys of server {id} are as they were."));
        return ExitCode::SUCCESS;
    }
    ui.line(&format!("Server {id} has new host keys: {}.", list(new)));
    for other in others {
        ui.note(&format!(
            "They count for server {other} too: it is the same host."
        ));
    }
    for (file, key) in remaining {
        ui.warn(&format!(
            "{} still lists the old key {} {}; take it out with `ssh-keygen -R`",
            file.display(),
            key.key_type(),
            key.fingerprint()
        ));
    }
    ExitCode::SUCCESS
}
