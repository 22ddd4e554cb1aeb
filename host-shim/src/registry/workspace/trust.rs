//! Which files of which workspaces a person trusted.
//!
//! Kept in the operator's own directory, where no repository reaches.
//!
//! Invariant: trust is in the bytes: any edit of a workspace's file, also one that
//! changes nothing of its meaning, needs trust again. What cannot be read means
//! that nothing is trusted, and is an error. What a file lists is not looked at.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{WorkspaceError, WorkspaceServers};
use crate::registry::paths::Paths;
use crate::registry::private_fs;

/// Largest file read, in bytes.
const SIZE_MAX: u64 = 4 * 1024 * 1024;
/// How long a change waits for another process to finish its own.
const PATIENCE: Duration = Duration::from_secs(10);
/// The one format.
const FORMAT: u64 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u64,
    workspaces: Vec<Trusted>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trusted {
    /// The folder, under its one name.
    path: String,
    /// SHA-256 of the file, in lower-case hex.
    sha256: String,
    /// When a person agreed (UTC).
    since: Timestamp,
}

/// Whether a person trusted exactly these bytes in this folder.
///
/// # Errors
/// [`WorkspaceError::Trust`] when the record of it cannot be read.
pub fn is_trusted(paths: &Paths, servers: &WorkspaceServers) -> Result<bool, WorkspaceError> {
    let name = name(&servers.root, paths)?;
    Ok(load(paths)?
        .workspaces
        .iter()
        .any(|trusted| trusted.path == name && trusted.sha256 == servers.sha256))
}

/// Records that a person trusts these bytes in this folder, in the place of what
/// was trusted there before.
///
/// # Errors
/// [`WorkspaceError::Trust`] when the record of it cannot be read or written, or
/// the folder's name is not UTF-8. Nothing more is trusted then.
pub fn trust(paths: &Paths, servers: &WorkspaceServers) -> Result<(), WorkspaceError> {
    let name = name(&servers.root, paths)?;
    change(paths, |document| {
        document.workspaces.retain(|trusted| trusted.path != name);
        document.workspaces.push(Trusted {
            path: name.clone(),
            sha256: servers.sha256.clone(),
            since: Timestamp::now(),
        });
    })
}

/// Takes the trust in a folder back; says whether there was any.
///
/// # Errors
/// [`WorkspaceError::Trust`] when the record of it cannot be read or written, or
/// the folder's name is not UTF-8.
pub fn revoke_trust(paths: &Paths, root: &Path) -> Result<bool, WorkspaceError> {
    let name = name(root, paths)?;
    if !load(paths)?.workspaces.iter().any(|old| old.path == name) {
        return Ok(false);
    }
    change(paths, |document| {
        document.workspaces.retain(|trusted| trusted.path != name);
    })?;
    Ok(true)
}

fn name(root: &Path, paths: &Paths) -> Result<String, WorkspaceError> {
    let named = root.to_str().map(str::to_owned);
    named.ok_or_else(|| failed(paths, "the folder's name is not UTF-8"))
}

fn failed(paths: &Paths, reason: impl ToString) -> WorkspaceError {
    WorkspaceError::Trust {
        path: paths.trusted_workspaces(),
        reason: reason.to_string(),
    }
}

fn load(paths: &Paths) -> Result<Document, WorkspaceError> {
    let refused = |error: &dyn ToString| failed(paths, error.to_string());
    let read = private_fs::read_own(&paths.trusted_workspaces(), SIZE_MAX);
    let Some((bytes, _)) = read.map_err(|error| refused(&error))? else {
        return Ok(Document {
            format: FORMAT,
            workspaces: Vec::new(),
        });
    };
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| refused(&error))?;
    if document.format != FORMAT {
        return Err(failed(
            paths,
            format!("format {} is not known", document.format),
        ));
    }
    Ok(document)
}

fn change(paths: &Paths, edit: impl FnOnce(&mut Document)) -> Result<(), WorkspaceError> {
    let refused = |error: &dyn ToString| failed(paths, error.to_string());
    paths.ensure_config_dir().map_err(|error| refused(&error))?;
    let _lock = private_fs::lock(&paths.registry_lock(), PATIENCE).map_err(|e| refused(&e))?;
    let mut document = load(paths)?;
    edit(&mut document);
    let mut bytes = serde_json::to_vec_pretty(&document).map_err(|error| refused(&error))?;
    bytes.push(b'\n');
    private_fs::replace(&paths.trusted_workspaces(), &bytes).map_err(|error| refused(&error))
}
