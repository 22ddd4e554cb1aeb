//! `openshell key rotate`: a new master key, in the same kind of place or another.
//!
//! Invariant: it is for a person, and what it says was done is what the register
//! reports. The order of steps that makes a cut-off harmless is
//! `master_key::rotation`'s.

use std::process::ExitCode;

use openshell_host::registry::{KeyEnv, KeyHome, MasterKeySource, rotate};
use serde_json::json;

use super::key::{HomeArgs, name, name_file, new_passphrase, word};
use crate::consent::{record, require_person};
use crate::context::Context;
use crate::error::CliError;
use crate::keyboard;
use crate::ui::Ui;

pub(crate) fn run(args: HomeArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "key rotate")?;
    let env = KeyEnv::from_process();
    let present = MasterKeySource::of(context.paths(), &env)?;
    let file = args.file(context)?;
    let moves = file.is_some() || args.keychain || args.passphrase;
    let home = if let Some(file) = file {
        KeyHome::File(file)
    } else if args.keychain {
        KeyHome::Keychain
    } else if args.passphrase || present == MasterKeySource::Passphrase {
        let passphrase =
            new_passphrase(args.passphrase_file.as_deref(), "New registry passphrase")?;
        KeyHome::Passphrase(passphrase)
    } else {
        KeyHome::Same
    };
    record(context, "the master key is being rotated".to_owned())?;
    let ask = || keyboard::secret("Present registry passphrase: ");
    let rotated = rotate(context.paths(), &env.with_prompt(&ask), &home)?;
    record(
        context,
        format!(
            "the master key was rotated: {} by {}",
            rotated.former,
            rotated.key.id()
        ),
    )?;

    let source = match &home {
        KeyHome::Same => present.clone(),
        KeyHome::File(path) => MasterKeySource::File(path.clone()),
        KeyHome::Keychain => MasterKeySource::Keychain,
        KeyHome::Passphrase(_) => MasterKeySource::Passphrase,
    };
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "former": rotated.former.to_string(),
            "keyId": rotated.key.id().to_string(),
            "source": word(&source),
            "servers": rotated.servers,
            "resumed": rotated.resumed,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    if rotated.resumed {
        ui.note("A rotation that had been cut off was completed.");
    }
    ui.line(&format!(
        "Key {} seals {} servers now, and comes from {}.",
        rotated.key.id(),
        rotated.servers,
        name(&source)
    ));
    match (&present, &source) {
        (_, MasterKeySource::File(path)) if moves => name_file(context, path, ui),
        (
            MasterKeySource::File(former),
            MasterKeySource::Keychain | MasterKeySource::Passphrase,
        ) if *former != context.paths().key_file() => {
            ui.note("Unset OPENSHELL_MASTER_KEY_FILE: it names the key that was given up.");
        }
        _ => {}
    }
    ui.note("Recovery documents of the former key are of no use for this registry any more.");
    Ok(ExitCode::SUCCESS)
}
