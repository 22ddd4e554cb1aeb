//! Taking an entry of ours out of a configuration again.
//!
//! Invariant: a file that was made for the entry goes with it as long as nobody put
//! anything else into it, and its directory as long as it is empty; everything else
//! stays to the byte. Whether the entry is ours is the business of who calls.

use std::fs;

use super::install::{cannot_edit, diff};
use crate::error::CliError;
use crate::install::{Added, FileError, is_bare, read, replace, take};

/// What becomes of one configuration file.
pub(super) struct Withdrawal {
    pub(super) added: Added,
    old: String,
    /// None when the file goes.
    new: Option<String>,
}

/// What taking an addition back makes of its file; none when it is not there.
pub(super) fn withdrawal(added: &Added) -> Result<Option<Withdrawal>, CliError> {
    let Some(old) = read(&added.config)? else {
        return Ok(None);
    };
    let left = take(&old, added.section, &added.name, added.made_section)
        .map_err(|error| cannot_edit(&added.config, &error))?;
    Ok(left.map(|left| Withdrawal {
        added: added.clone(),
        old,
        new: (!(added.made_file && is_bare(&left))).then_some(left),
    }))
}

impl Withdrawal {
    pub(super) fn carry_out(&self) -> Result<(), FileError> {
        let config = &self.added.config;
        replace(config, Some(&self.old), self.new.as_deref())?;
        if self.added.made_dir
            && self.new.is_none()
            && let Some(dir) = config.parent()
        {
            // OpenCode may have put something in there since.
            let _ = fs::remove_dir(dir);
        }
        Ok(())
    }

    pub(super) fn diff(&self) -> String {
        let new = self.new.as_deref().unwrap_or_default();
        diff(&self.added.config, Some(&self.old), new)
    }
}
