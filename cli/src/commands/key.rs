//! `openshell key`: the master key the registry is sealed with.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use openshell_host::registry::{KeyEnv, MasterKeySource, Registry, create_key_file};
use serde_json::json;

use crate::consent::require_person;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a master key: in the system's keychain, or in a file
    Init {
        /// Put it into a new file, for machines without a keychain
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Say where the key comes from and whether it opens the registry
    Status,
}

pub(crate) fn run(command: KeyCommand, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    match command {
        KeyCommand::Init { file } => init(file, context, ui),
        KeyCommand::Status => status(context, ui),
    }
}

fn init(file: Option<PathBuf>, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "key init")?;
    let Some(file) = file else {
        let key = context
            .runtime()
            .block_on(context.supervisor()?.resources().master_key())?;
        Registry::init(context.paths(), &key)?;
        return status(context, ui);
    };
    let file = std::path::absolute(&file)?;
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    create_key_file(&file)?;
    if ui.json {
        ui.value(&json!({"status": "ok", "source": "file", "path": file}));
    } else {
        ui.line(&format!("A new master key is in {}.", file.display()));
        ui.note("Keep a copy in a safe place: without it the registry cannot be opened.");
        ui.note(&format!(
            "Use it with: export OPENSHELL_MASTER_KEY_FILE='{}'",
            file.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn status(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let source = MasterKeySource::of(context.paths(), &KeyEnv::from_process())?;
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    let invalid: Vec<String> = Registry::open(context.paths())?
        .verify(&key)?
        .iter()
        .map(ToString::to_string)
        .collect();
    let name = match &source {
        MasterKeySource::Keychain => "the system's keychain".to_owned(),
        MasterKeySource::File(path) => format!("the file {}", path.display()),
        MasterKeySource::Passphrase => "a passphrase".to_owned(),
    };
    if ui.json {
        ui.value(&json!({
            "status": if invalid.is_empty() { "ok" } else { "error" },
            "source": match source {
                MasterKeySource::Keychain => "keychain",
                MasterKeySource::File(_) => "file",
                MasterKeySource::Passphrase => "passphrase",
            },
            "keyId": key.id().to_string(),
            "invalid": invalid,
        }));
    } else {
        ui.line(&format!("The master key {} comes from {name}.", key.id()));
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
