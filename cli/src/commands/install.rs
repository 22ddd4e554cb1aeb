//! `openshell install`: registers the tools in OpenCode's own configuration.
//!
//! Invariant: comments, order and formatting of the configuration stay; doing it
//! again changes nothing; what was added is on record for `uninstall` before it is
//! there, and an entry of ours without a record gets one. What a configuration names is
//! not removed. A configuration that cannot be read is never written. An agent may look
//! (`--dry-run`) and may not act. What OpenCode makes of the entry is left to
//! `doctor`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use openshell_host::approvals::escape_text;
use serde_json::{Value, json};

use super::doctor::on_path;
use super::install_key::Key;
use super::install_withdrawal::{Withdrawal, withdrawal};
use crate::consent::require_person;
use crate::context::Context;
use crate::error::CliError;
use crate::install::{
    Adapter, Added, EditError, Entry, FileError, PACKAGE, PlacesError, Put, Receipt, ReceiptError,
    Section, fresh, global_documents, names_adapter, personal_documents, plugins, put, read,
    replace, target, value,
};
use crate::ui::{Ui, colour_diff};

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Register as an MCP server instead of as a plugin
    #[arg(long)]
    mcp: bool,
    /// Have OpenCode fetch the plugin from npm instead of using the copy in this program
    #[arg(
        long,
        value_name = "SPEC",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = concat!("openshell-opencode@", env!("CARGO_PKG_VERSION")),
        conflicts_with = "mcp"
    )]
    npm: Option<String>,
    /// The configuration file to change, instead of your global OpenCode configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Make a master key in a file as well, where there is no keychain to keep one
    #[arg(long)]
    key_file: bool,
}

/// What is to be done.
struct Plan {
    entry: Entry,
    config: PathBuf,
    old: Option<String>,
    new: String,
    /// The record of the addition, without its copy.
    added: Added,
    /// Whether it is on record already, just so.
    recorded: bool,
    /// The entry an earlier run put into another file.
    moved: Option<Withdrawal>,
}

impl Plan {
    fn changes(&self) -> bool {
        self.old.as_deref() != Some(&self.new)
    }
}

pub(crate) fn run(args: &InstallArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    if args.dry_run {
        let known = Receipt::peek(context.paths())?;
        return Ok(match plan(args, context, &known)? {
            Ok(plan) => preview(ui, &plan),
            Err(found) => by_hand(ui, &found),
        });
    }
    require_person(context, "install")?;
    let mut receipt = Receipt::open(context.paths())?;
    let plan = match plan(args, context, receipt.added()) {
        Ok(Ok(plan)) => plan,
        // Nothing of this run may stay.
        Ok(Err(found)) => {
            receipt.abandon()?;
            return Ok(by_hand(ui, &found));
        }
        Err(error) => {
            receipt.abandon()?;
            return Err(error);
        }
    };
    let outcome = carry_out(args, context, &mut receipt, &plan);
    let backup = receipt
        .added()
        .iter()
        .find(|added| added.section == plan.entry.section)
        .and_then(|added| added.backup.as_ref())
        .map(|name| receipt.backup(name));
    if outcome.is_err() {
        receipt.abandon()?;
    }
    let action = outcome?;
    let key = Key::look(context, args.key_file)?;
    report(ui, &plan, action, backup.as_deref(), &key);
    Ok(ExitCode::SUCCESS)
}

/// What is to be done; or where the tools are registered already by somebody
/// else's hand.
fn plan(
    args: &InstallArgs,
    context: &Context,
    known: &[Added],
) -> Result<Result<Plan, String>, CliError> {
    let entry = entry(args, context)?;
    let named = args.config.as_ref().map(std::path::absolute).transpose()?;
    let unrecorded = unrecorded(entry.section, named.as_deref(), context);
    let previous = known
        .iter()
        .find(|added| added.section == entry.section)
        .or(unrecorded.as_ref());
    let config = match named {
        Some(config) => config,
        None => default_config(entry.section, previous)?,
    };
    if let Some(found) = other_entry(&entry, &config, previous)? {
        return Ok(Err(found));
    }
    let old = read(&config)?;
    let here = previous.filter(|added| added.config == config);
    let kept = here.filter(|added| {
        old.as_deref()
            .is_some_and(|text| holds(text, added.section, &added.name))
    });
    let put = match &old {
        None => Put {
            text: fresh(&entry),
            made_section: true,
        },
        Some(text) => put(text, &entry, kept.map(|added| added.name.as_str()))
            .map_err(|error| cannot_edit(&config, &error))?,
    };
    let elsewhere = previous.filter(|added| added.config != config);
    let moved = elsewhere.map(withdrawal).transpose()?.flatten();
    // What was made for another entry of ours in the same file is ours as well.
    let same_file = |made: fn(&Added) -> bool| {
        known
            .iter()
            .any(|added| added.config == config && made(added))
    };
    let added = Added {
        section: entry.section,
        name: entry.name.clone(),
        made_section: kept.map_or(put.made_section, |added| added.made_section),
        made_file: old.is_none() || same_file(|added| added.made_file),
        made_dir: config.parent().is_some_and(|dir| !dir.exists())
            || same_file(|added| added.made_dir)
            || elsewhere
                .is_some_and(|added| added.made_dir && added.config.parent() == config.parent()),
        backup: kept.and_then(|added| added.backup.clone()),
        config: config.clone(),
    };
    Ok(Ok(Plan {
        recorded: known.contains(&added),
        entry,
        config,
        old,
        new: put.text,
        added,
        moved,
    }))
}

/// An entry of ours that nothing is on record about: the record was lost, or the
/// configuration came from another machine. Where there are several, the one that
/// counts most.
fn unrecorded(section: Section, named: Option<&Path>, context: &Context) -> Option<Added> {
    if section != Section::Plugin {
        return None;
    }
    let mut files = personal_documents();
    files.extend(named.map(Path::to_owned));
    Adapter::new(context.paths()).named_in(&files).pop()
}

fn entry(args: &InstallArgs, context: &Context) -> Result<Entry, CliError> {
    if let Some(spec) = &args.npm {
        if names_adapter(spec, Path::new("/")) && spec.starts_with(PACKAGE) {
            return Ok(Entry::plugin(spec, None));
        }
        return Err(CliError::usage(format!(
            "--npm={spec}: the plugin's package is {PACKAGE}, with an optional @version or @file:PATH"
        )));
    }
    let program = program()?;
    if args.mcp {
        return Ok(Entry::mcp(&program));
    }
    let dir = text_of(&Adapter::new(context.paths()).dir())?;
    Ok(Entry::plugin(&dir, Some(&program)))
}

/// The name of this program that lasts: the one on PATH where that is this program,
/// since a package manager's own directory may change with the version.
fn program() -> Result<String, CliError> {
    let this = std::env::current_exe()?.canonicalize()?;
    let found = on_path("openshell")
        .filter(|found| found.is_absolute())
        .filter(|found| found.canonicalize().is_ok_and(|real| real == this));
    text_of(&found.unwrap_or(this))
}

fn text_of(path: &Path) -> Result<String, CliError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        CliError::failed(format!("{} cannot be written as JSON", path.display()))
            .next("Move it to a path that is UTF-8.")
    })
}

/// Where the entry is, as long as it counts there, or where it would count.
fn default_config(section: Section, previous: Option<&Added>) -> Result<PathBuf, CliError> {
    let wanted = target(section)?;
    let elsewhere = previous.filter(|added| {
        !global_documents().contains(&added.config)
            && read(&added.config)
                .ok()
                .flatten()
                .is_some_and(|text| holds(&text, section, &added.name))
    });
    Ok(elsewhere.map_or(wanted, |added| added.config.clone()))
}

fn holds(text: &str, section: Section, name: &str) -> bool {
    value(text).is_ok_and(|config| match section {
        Section::Plugin => plugins(&config).iter().any(|(spec, _)| spec == name),
        Section::Mcp => !config["mcp"][name].is_null(),
    })
}

/// An entry for the tools that this verb did not make. A file that cannot be read
/// may hold one, so that is an error.
fn other_entry(
    entry: &Entry,
    config: &Path,
    previous: Option<&Added>,
) -> Result<Option<String>, CliError> {
    let mut files = global_documents();
    if !files.iter().any(|file| file == config) {
        files.push(config.to_owned());
    }
    for file in files {
        let Some(text) = read(&file)? else {
            continue;
        };
        let document = value(&text).map_err(|error| cannot_edit(&file, &error))?;
        let ours =
            |name: &str| previous.is_some_and(|added| added.config == file && added.name == name);
        let found = match entry.section {
            Section::Plugin => plugins(&document)
                .into_iter()
                .map(|(spec, _)| spec)
                .find(|spec| names_adapter(spec, &file) && !ours(spec)),
            Section::Mcp => (document["mcp"][&entry.name] == entry.value() && !ours(&entry.name))
                .then(|| entry.name.clone()),
        };
        if let Some(found) = found {
            return Ok(Some(format!("{found} in {}", file.display())));
        }
    }
    Ok(None)
}

/// Does it; says what was done.
fn carry_out(
    args: &InstallArgs,
    context: &Context,
    receipt: &mut Receipt,
    plan: &Plan,
) -> Result<&'static str, CliError> {
    let adapter = Adapter::new(context.paths());
    let uses_adapter = !args.mcp && args.npm.is_none();
    let wrote = uses_adapter && adapter.write()?;
    if let Some(moved) = &plan.moved {
        moved.carry_out()?;
        receipt.forget(moved.added.section)?;
    }
    if plan.changes() {
        let mut added = plan.added.clone();
        if let Some(old) = &plan.old {
            added.backup = Some(receipt.keep(&plan.config, old)?);
        }
        receipt.note(added)?;
        if let Some(dir) = plan.config.parent() {
            std::fs::create_dir_all(dir)
                .map_err(|error| CliError::failed(format!("{}: {error}", dir.display())))?;
        }
        replace(&plan.config, plan.old.as_deref(), Some(&plan.new))?;
    } else if !plan.recorded {
        receipt.note(plan.added.clone())?;
    }
    if !args.mcp {
        // What the entry named before is not needed any more.
        if uses_adapter {
            adapter.sweep(false)?;
        } else {
            adapter.sweep(true)?;
        }
    }
    Ok(match (plan.changes(), wrote) {
        (true, _) if plan.moved.is_some() => "moved",
        (true, _) => "added",
        (false, true) => "repaired",
        (false, false) => "unchanged",
    })
}

fn preview(ui: Ui, plan: &Plan) -> ExitCode {
    let mut diffs = Vec::new();
    if let Some(moved) = &plan.moved {
        diffs.push(moved.diff());
    }
    if plan.changes() {
        diffs.push(diff(&plan.config, plan.old.as_deref(), &plan.new));
    }
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "action": if diffs.is_empty() { "unchanged" } else { "dry-run" },
            "config": plan.config,
            "entry": plan.entry.value(),
            "diff": diffs.concat(),
        }));
    } else if diffs.is_empty() {
        ui.line("Nothing would be changed.");
    } else {
        ui.line(colour_diff(&escape_text(&diffs.concat())).trim_end());
    }
    ExitCode::SUCCESS
}

/// What becomes of a file, as a unified diff.
pub(super) fn diff(path: &Path, old: Option<&str>, new: &str) -> String {
    let name = path.display().to_string();
    diffy::DiffOptions::new()
        .set_original_filename(old.map_or_else(|| "/dev/null".to_owned(), |_| name.clone()))
        .set_modified_filename(name)
        .create_patch(old.unwrap_or_default(), new)
        .to_string()
}

fn by_hand(ui: Ui, found: &str) -> ExitCode {
    if ui.json {
        ui.value(&json!({"status": "ok", "action": "registered-by-hand", "found": found}));
    } else {
        ui.line(&format!(
            "Registered by hand already: {}. Nothing was changed.",
            escape_text(found)
        ));
    }
    ExitCode::SUCCESS
}

fn report(ui: Ui, plan: &Plan, action: &str, backup: Option<&Path>, key: &Key) {
    if ui.json {
        let entry: Value = plan.entry.value();
        ui.value(&json!({
            "status": "ok",
            "action": action,
            "config": plan.config,
            "section": plan.entry.section,
            "entry": entry,
            "backup": backup,
            "key": key.value(),
        }));
        return;
    }
    let config = escape_text(&plan.config.display().to_string());
    ui.line(&match action {
        "unchanged" => format!("Registered already in {config}."),
        "repaired" => format!("Registered already in {config}; the plugin's files were renewed."),
        _ => format!("Registered in {config}."),
    });
    key.say(ui);
    if action == "unchanged" {
        return;
    }
    if let Some(backup) = backup {
        let backup = escape_text(&backup.display().to_string());
        ui.line(&format!("The file as it was is kept as {backup}."));
    }
    ui.line("Restart OpenCode to load it. `openshell server add` registers a server.");
    ui.line("`openshell doctor` checks everything.");
}

/// Why a configuration is left alone.
pub(super) fn cannot_edit(config: &Path, error: &EditError) -> CliError {
    let next = match error {
        EditError::Unparsable { .. } | EditError::WrongKind { .. } | EditError::Twice(_) => {
            "Correct the file; nothing was changed."
        }
        EditError::Taken => "Rename or remove that entry; nothing was changed.",
        EditError::Astray => "Nothing was changed. Edit the file by hand, and report this.",
    };
    CliError::failed(format!("{}: {error}", config.display()))
        .code("CONFIG_UNREADABLE")
        .next(next)
}

impl From<ReceiptError> for CliError {
    fn from(error: ReceiptError) -> Self {
        let next = match &error {
            ReceiptError::Io { .. } => "Make it readable and writable for yourself.",
            ReceiptError::Unreadable { .. } => {
                "A newer openshell may have written it: use that one, or remove the entry and \
                 the file by hand."
            }
        };
        Self::failed(error.to_string()).next(next)
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        let next = match &error {
            FileError::Io { .. } => "Make the file readable and writable for yourself.",
            FileError::Changed(_) => "Run the command again.",
            FileError::NotText(_) => "Save the file as UTF-8.",
            FileError::NotAFile(_) | FileError::TooLong(_) => {
                "Put a configuration in its place, or take it away."
            }
        };
        Self::failed(error.to_string()).next(next)
    }
}

impl From<PlacesError> for CliError {
    fn from(error: PlacesError) -> Self {
        Self::failed(error.to_string()).next("Name the file with --config.")
    }
}
