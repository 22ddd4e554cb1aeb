//! `openshell key export-recovery` and `import`: the master key as a document.
//!
//! Invariant: the key is written down only wrapped by a passphrase, and to a new
//! file or standard output. Servers and credentials are no part of the document.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use openshell_host::registry::{KeyHome, Recovery, bring_back, read_passphrase_file};
use serde_json::json;

use super::key::{name_file, new_passphrase};
use crate::consent::{record, require_person, require_terminal};
use crate::context::Context;
use crate::error::CliError;
use crate::keyboard;
use crate::ui::Ui;

/// Longest document read, in bytes.
const DOCUMENT_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Write to this new file instead of stdout
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Take the document's passphrase from this file of mode 0600
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The document; `-` reads it from stdin
    document: PathBuf,
    /// Put the key into this new file; without a PATH into openshell's own
    /// configuration directory, where it is found by itself
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        group = "to",
        required_unless_present = "keychain"
    )]
    file: Option<Option<PathBuf>>,
    /// Put the key into the system's keychain
    #[arg(long, group = "to")]
    keychain: bool,
    /// Take the document's passphrase from this file of mode 0600
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) fn export(args: &ExportArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "key export-recovery")?;
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    let passphrase = new_passphrase(
        args.passphrase_file.as_deref(),
        "Passphrase for the recovery document",
    )?;
    let document = Recovery::new(&key, &passphrase)?;
    record(
        context,
        format!("the master key {} was exported for recovery", key.id()),
    )?;
    match &args.out {
        Some(path) => {
            let path = std::path::absolute(path)?;
            document.write_new(&path)?;
            if ui.json {
                ui.value(&json!({"status": "ok", "keyId": key.id().to_string(), "path": path}));
            } else {
                ui.line(&format!("The recovery document is in {}.", path.display()));
            }
        }
        None => ui.line(document.to_text()?.trim_end()),
    }
    ui.note("Keep it away from this machine, and the passphrase away from it.");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn import(args: &ImportArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "key import")?;
    let document = Recovery::parse(&text(&args.document)?)?;
    let passphrase = match &args.passphrase_file {
        Some(file) => read_passphrase_file(&std::path::absolute(file)?)?,
        None => {
            require_terminal(
                "a person must type the passphrase",
                "Give a file of mode 0600 with --passphrase-file PATH.",
            )?;
            keyboard::secret("Passphrase of the recovery document: ")?
        }
    };
    let key = document.open(&passphrase)?;
    let home = match &args.file {
        Some(Some(file)) => KeyHome::File(std::path::absolute(file)?),
        Some(None) => KeyHome::File(context.paths().key_file()),
        None => KeyHome::Keychain,
    };
    record(
        context,
        format!("the master key {} is brought back", key.id()),
    )?;
    bring_back(context.paths(), &key, &home)?;
    if ui.json {
        ui.value(&json!({"status": "ok", "keyId": key.id().to_string()}));
        return Ok(ExitCode::SUCCESS);
    }
    ui.line(&format!("The master key {} is back.", key.id()));
    if let KeyHome::File(path) = &home {
        name_file(context, path, ui);
    }
    Ok(ExitCode::SUCCESS)
}

fn text(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(DOCUMENT_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(DOCUMENT_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
    Ok(text)
}
