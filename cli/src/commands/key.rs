//! `openshell key`: the master key the registry is sealed with.
//!
//! Invariant: a register that has a key is never given a second one beside it, and
//! no key reaches a terminal or an argument. How keys are made, kept and replaced
//! is not known here, only where.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use openshell_host::registry::{
    KeyEnv, MasterKey, MasterKeySource, Registry, create_key_file, read_passphrase_file,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::consent::{require_person, require_terminal};
use crate::context::Context;
use crate::error::CliError;
use crate::keyboard;
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a master key: in the system's keychain, in a file, or from a passphrase
    Init(HomeArgs),
    /// Say where the key comes from and whether it opens the registry
    Status,
    /// Make a new master key and seal everything with it
    Rotate(HomeArgs),
    /// Write the master key down, wrapped by a passphrase, to be kept elsewhere
    ExportRecovery(super::key_recovery::ExportArgs),
    /// Bring a lost master key back from what `export-recovery` wrote
    Import(super::key_recovery::ImportArgs),
}

/// Where a new key goes.
#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    /// Put it into a new file, for machines without a keychain; without a PATH into
    /// openshell's own configuration directory, where it is found by itself
    #[arg(long, value_name = "PATH", num_args = 0..=1, group = "home")]
    file: Option<Option<PathBuf>>,
    /// Put it into the system's keychain
    #[arg(long, group = "home")]
    pub(super) keychain: bool,
    /// Make it from a passphrase, asked for at the terminal
    #[arg(long, group = "home")]
    pub(super) passphrase: bool,
    /// Take the new passphrase from this file of mode 0600
    #[arg(long, value_name = "PATH", requires = "passphrase")]
    pub(super) passphrase_file: Option<PathBuf>,
}

impl HomeArgs {
    /// The file the key goes to, where that was asked for.
    pub(super) fn file(&self, context: &Context) -> std::io::Result<Option<PathBuf>> {
        match &self.file {
            None => Ok(None),
            Some(None) => Ok(Some(context.paths().key_file())),
            Some(Some(path)) => std::path::absolute(path).map(Some),
        }
    }
}

pub(crate) fn run(command: KeyCommand, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    match command {
        KeyCommand::Init(args) => init(args, context, ui),
        KeyCommand::Status => status(context, ui),
        KeyCommand::Rotate(args) => super::key_rotate::run(args, context, ui),
        KeyCommand::ExportRecovery(args) => super::key_recovery::export(&args, context, ui),
        KeyCommand::Import(args) => super::key_recovery::import(&args, context, ui),
    }
}

fn init(args: HomeArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "key init")?;
    if let Some(file) = args.file(context)? {
        if file == context.paths().key_file() {
            refuse_second(context)?;
        }
        make_key_file(context, &file)?;
        report_file(context, &file, ui);
        return Ok(ExitCode::SUCCESS);
    }
    if args.passphrase {
        refuse_second(context)?;
        let passphrase =
            new_passphrase(args.passphrase_file.as_deref(), "New registry passphrase")?;
        let key = MasterKey::from_new_passphrase(&passphrase)?;
        Registry::init(context.paths(), &key)?;
        context.use_key(key)?;
        return status(context, ui);
    }
    if args.keychain {
        let source = MasterKeySource::of(context.paths(), &KeyEnv::from_process())?;
        if source != MasterKeySource::Keychain {
            refuse_second(context)?;
            return Err(CliError::failed(format!(
                "the key would come from {}, not from the keychain",
                name(&source)
            ))
            .next("Unset OPENSHELL_MASTER_KEY_FILE and OPENSHELL_PASSPHRASE_FILE."));
        }
    }
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    Registry::init(context.paths(), &key)?;
    status(context, ui)
}

/// Makes a key file, and the folder it is in.
pub(super) fn make_key_file(context: &Context, file: &Path) -> Result<(), CliError> {
    if file == context.paths().key_file() {
        context
            .paths()
            .ensure_config_dir()
            .map_err(|error| CliError::failed(error.to_string()))?;
    } else if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    Ok(create_key_file(file)?)
}

fn report_file(context: &Context, file: &Path, ui: Ui) {
    if ui.json {
        ui.value(&json!({"status": "ok", "source": "file", "path": file}));
        return;
    }
    ui.line(&format!("A new master key is in {}.", file.display()));
    ui.note("Keep a copy in a safe place: without it the registry cannot be opened.");
    name_file(context, file, ui);
}

/// Says how a key file is named, where it has to be.
pub(super) fn name_file(context: &Context, file: &Path, ui: Ui) {
    if file != context.paths().key_file() {
        ui.note(&format!(
            "Use it with: export OPENSHELL_MASTER_KEY_FILE='{}'",
            file.display()
        ));
    }
}

/// A register has one key; another one takes over by rotation.
fn refuse_second(context: &Context) -> Result<(), CliError> {
    if Registry::open(context.paths())?.key_id().is_none() {
        return Ok(());
    }
    Err(
        CliError::failed("the registry has a master key already").next(
            "`openshell key rotate` gives it a new one, with --file, --keychain or --passphrase \
             from another source.",
        ),
    )
}

/// Takes a new passphrase from a file, or asks for it twice.
pub(super) fn new_passphrase(
    file: Option<&std::path::Path>,
    prompt: &str,
) -> Result<SecretString, CliError> {
    if let Some(file) = file {
        return Ok(read_passphrase_file(&std::path::absolute(file)?)?);
    }
    require_terminal(
        "a person must type the passphrase",
        "Give a file of mode 0600 with --passphrase-file PATH.",
    )?;
    let first = keyboard::secret(&format!("{prompt}: "))?;
    let second = keyboard::secret("Once more: ")?;
    if first.expose_secret() != second.expose_secret() {
        return Err(CliError::usage("the two passphrases differ"));
    }
    Ok(first)
}

/// A source in words.
pub(super) fn name(source: &MasterKeySource) -> String {
    match source {
        MasterKeySource::Keychain => "the system's keychain".to_owned(),
        MasterKeySource::File(path) => format!("the file {}", path.display()),
        MasterKeySource::Passphrase => "a passphrase".to_owned(),
    }
}

/// A source as programs read it.
pub(super) fn word(source: &MasterKeySource) -> &'static str {
    match source {
        MasterKeySource::Keychain => "keychain",
        MasterKeySource::File(_) => "file",
        MasterKeySource::Passphrase => "passphrase",
    }
}

fn status(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let source = MasterKeySource::of(context.paths(), &KeyEnv::from_process())?;
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    let registry = Registry::open(context.paths())?;
    let invalid: Vec<String> = registry
        .verify(&key)?
        .iter()
        .map(ToString::to_string)
        .collect();
    let retired: Vec<String> = registry
        .retired_keys(&key)
        .unwrap_or_default()
        .iter()
        .map(|key| key.id().to_string())
        .collect();
    if ui.json {
        ui.value(&json!({
            "status": if invalid.is_empty() { "ok" } else { "error" },
            "source": word(&source),
            "keyId": key.id().to_string(),
            "retired": retired,
            "rotationPending": registry.rotation_pending(),
            "invalid": invalid,
        }));
    } else {
        ui.line(&format!(
            "The master key {} comes from {}.",
            key.id(),
            name(&source)
        ));
        for id in &retired {
            ui.note(&format!("It keeps the retired key {id} for old snapshots."));
        }
        if registry.rotation_pending() {
            ui.warn("a rotation was cut off; `openshell key rotate` completes it");
        }
        for problem in &invalid {
            ui.warn(problem);
        }
    }
    Ok(if invalid.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
