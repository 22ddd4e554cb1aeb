//! `openshell uninstall`: takes back what `install` added, and nothing else.
//!
//! Invariant: only what is on record as added is removed, and an entry that names the
//! adapter's own place, which cannot be anybody else's and would name nothing. State (servers, rules,
//! record, history) goes only with `--purge`, after it was listed and a person
//! typed yes; what openshell does not know by name stays even then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use openshell_host::approvals::{escape_line, escape_text};
use openshell_host::registry::{KeyEnv, MasterKeySource, Paths};
use serde_json::json;

use super::install_withdrawal::withdrawal;
use super::key::name;
use crate::consent::{confirm, require_person, require_terminal};
use crate::context::Context;
use crate::error::CliError;
use crate::install::{Adapter, Added, Receipt, personal_documents};
use crate::ui::{Ui, colour_diff};

#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove servers, rules, the record and the history as well, after listing them
    #[arg(long, conflicts_with = "dry_run")]
    purge: bool,
}

pub(crate) fn run(args: &UninstallArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    if args.dry_run {
        let known = Receipt::peek(context.paths())?;
        return preview(ui, &with_unrecorded(context, &known));
    }
    require_person(context, "uninstall")?;
    if args.purge {
        // Nothing is half done when nobody can be asked.
        require_terminal(
            "a person must agree to the removal of all state",
            "Run it in a terminal, or without --purge.",
        )?;
    }
    let mut receipt = Receipt::open(context.paths())?;
    let mut changed = Vec::new();
    let mut missing = Vec::new();
    let mut known = with_unrecorded(context, receipt.added());
    known.reverse();
    for added in known {
        match withdrawal(&added)? {
            Some(withdrawal) => {
                withdrawal.carry_out()?;
                changed.push(added.config.clone());
            }
            None => missing.push(added.config.clone()),
        }
        receipt.forget(added.section)?;
    }
    Adapter::new(context.paths()).sweep(true)?;
    receipt.remove()?;
    report(ui, &changed, &missing);
    if args.purge {
        purge(context, ui)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is on record, and before it the entries that name the adapter's own place
/// and are not: nobody else has a reason to write one.
fn with_unrecorded(context: &Context, known: &[Added]) -> Vec<Added> {
    let is_known = |found: &Added| {
        known
            .iter()
            .any(|added| (&added.config, &added.name) == (&found.config, &found.name))
    };
    let mut all = Adapter::new(context.paths()).named_in(&personal_documents());
    all.retain(|found| !is_known(found));
    all.extend_from_slice(known);
    all
}

fn preview(ui: Ui, known: &[Added]) -> Result<ExitCode, CliError> {
    let mut diffs = String::new();
    for added in known.iter().rev() {
        if let Some(withdrawal) = withdrawal(added)? {
            diffs.push_str(&withdrawal.diff());
        }
    }
    if ui.json {
        let action = if diffs.is_empty() {
            "nothing"
        } else {
            "dry-run"
        };
        ui.value(&json!({"status": "ok", "action": action, "diff": diffs}));
    } else if diffs.is_empty() {
        ui.line("Nothing would be changed.");
    } else {
        ui.line(colour_diff(&escape_text(&diffs)).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn report(ui: Ui, changed: &[PathBuf], missing: &[PathBuf]) {
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "action": if changed.is_empty() { "nothing" } else { "removed" },
            "changed": changed,
            "missing": missing,
        }));
        return;
    }
    for config in changed {
        ui.line(&format!(
            "Removed from {}.",
            escape_line(&config.display().to_string())
        ));
    }
    for config in missing {
        ui.line(&format!(
            "{} did not name it any more.",
            escape_line(&config.display().to_string())
        ));
    }
    if changed.is_empty() && missing.is_empty() {
        ui.line("`openshell install` had added nothing.");
    }
    ui.line("The program itself stays; remove it the way it was installed.");
}

/// Names of state in the configuration directory.
const CONFIG_NAMES: [&str; 8] = [
    "registry.json",
    "registry.json.bak",
    "registry.lock",
    "known_hosts",
    "known_hosts.lock",
    "policy.toml",
    "trusted-workspaces.json",
    "paused",
];
/// Names of state in the data directory.
const DATA_NAMES: [&str; 6] = [
    "audit",
    "snapshots",
    "spool",
    "pending",
    "opencode",
    "redaction.key",
];
/// How the leftovers of an interrupted change end.
const UNFINISHED: &str = ".openshell-new";

/// Lists all state, asks, and removes it.
fn purge(context: &Context, ui: Ui) -> Result<(), CliError> {
    let paths = context.paths();
    let (state, others) = state(paths);
    if state.is_empty() {
        ui.line("There is no state.");
        return Ok(());
    }
    ui.note("This is removed for good, the record of what agents did included:");
    for path in &state {
        let (files, bytes) = weigh(path);
        ui.note(&format!(
            "  {}  ({files} files, {bytes} bytes)",
            escape_line(&path.display().to_string())
        ));
    }
    for path in &others {
        ui.note(&format!(
            "This is not openshell's and stays: {}",
            escape_line(&path.display().to_string())
        ));
    }
    if let Ok(source) = MasterKeySource::of(paths, &KeyEnv::from_process()) {
        ui.note(&format!(
            "The master key stays where it is: {}.",
            escape_line(&name(&source))
        ));
    }
    ui.note("End OpenCode and every other agent that uses openshell first.");
    confirm("Remove it?", "nothing of the state was removed")?;
    // The journal must not be written to after it is gone.
    context.close();
    for path in &state {
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
    }
    for dir in [&paths.config_dir, &paths.data_dir] {
        // Stays when something else is in there.
        let _ = fs::remove_dir(dir);
    }
    ui.line("All state was removed.");
    Ok(())
}

/// What is openshell's in its two directories, and what is not.
fn state(paths: &Paths) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let ours = |path: &Path, names: &[&str]| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        names.contains(&name.as_ref()) || (name.starts_with('.') && name.ends_with(UNFINISHED))
    };
    let list = |dir: &Path, names: &[&str]| -> (Vec<PathBuf>, Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        entries.into_iter().partition(|path| ours(path, names))
    };
    let (mut state, mut others) = list(&paths.config_dir, &CONFIG_NAMES);
    if paths.data_dir != paths.config_dir {
        let (more, strange) = list(&paths.data_dir, &DATA_NAMES);
        state.extend(more);
        others.extend(strange);
    }
    // Nor is the key removed: what was sealed with it may be kept elsewhere.
    others.retain(|path| *path != paths.key_file());
    (state, others)
}

/// Files below a path, and their bytes.
fn weigh(path: &Path) -> (u64, u64) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return (0, 0);
    };
    if !meta.is_dir() {
        return (1, meta.len());
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| {
        let (more, weight) = weigh(&entry.path());
        (files + more, bytes + weight)
    })
}
