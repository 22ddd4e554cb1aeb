//! The master key, as far as `openshell install` cares: that there will be one when
//! the first server is registered.
//!
//! Invariant: a key is made only where it was asked for and there is none, and no key
//! that exists is touched. It deliberately makes no register.

use std::path::PathBuf;

use openshell_host::approvals::escape_text;
use openshell_host::registry::{KeyEnv, MasterKeySource, Registry};
use serde_json::{Value, json};

use super::key::make_key_file;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Whether there is a master key for the first server to be sealed with.
pub(super) enum Key {
    /// There is, or the source of one answers.
    There,
    /// Made by this run.
    Made(PathBuf),
    /// Why not, and what to do.
    Missing(CliError),
}

impl Key {
    /// Looks, and makes a key file where that is wanted and there is no key.
    pub(super) fn look(context: &Context, make: bool) -> Result<Self, CliError> {
        if Registry::open(context.paths())?.key_id().is_some() {
            return Ok(Self::There);
        }
        let source = MasterKeySource::of(context.paths(), &KeyEnv::from_process())?;
        let Err(error) = source.probe() else {
            return Ok(Self::There);
        };
        if !make {
            return Ok(Self::Missing(error.into()));
        }
        let file = match source {
            MasterKeySource::File(named) => named,
            MasterKeySource::Keychain | MasterKeySource::Passphrase => context.paths().key_file(),
        };
        make_key_file(context, &file)?;
        Ok(Self::Made(file))
    }

    /// As programs read it.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::There => json!({"state": "ok"}),
            Self::Made(file) => json!({"state": "made", "path": file}),
            Self::Missing(error) => {
                json!({"state": "missing", "message": error.message, "next": error.next})
            }
        }
    }

    /// Tells a person what there is to tell.
    pub(super) fn say(&self, ui: Ui) {
        match self {
            Self::There => {}
            Self::Made(file) => {
                ui.line(&format!(
                    "A new master key is in {}. Keep a copy in a safe place.",
                    escape_text(&file.display().to_string())
                ));
            }
            Self::Missing(error) => ui.line(&format!(
                "There is no master key yet: {}. {}",
                error.message.trim_end_matches('.'),
                error.next.as_deref().unwrap_or_default()
            )),
        }
    }
}
