//! Handing the history to a git remote that the operator names.
//!
//! A remote on this machine is written to with libgit2; for any other the `git`
//! that is installed is asked, which knows the operator's ssh and credentials.
//! Branches only ever grow there: nothing is forced.
//!
//! What it deliberately does not do: decide what may leave. Sealed content
//! leaves sealed, whoever asks; what is readable and should not be is for the
//! caller to find first ([`Snapshots::readable`]).
//!
//! Invariant: a remote's branch is moved forward or left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::{ErrorCode, PushOptions, RemoteCallbacks, Repository};

use super::error::SnapshotError;
use super::history;
use super::names;
use super::objects::Objects;
use super::repository;
use super::store::Snapshots;

/// Where something was pushed to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The address it was pushed to, where a remote's name was given the one it
    /// stands for.
    pub url: String,
    /// `libgit2`, or `git` for the program.
    pub through: &'static str,
    /// The branches that are there now as they are here.
    pub branches: Vec<String>,
}

impl Snapshots {
    /// The files of which some kept state is readable, by server; of one server
    /// or all.
    ///
    /// # Errors
    /// [`SnapshotError`] where a branch or a commit cannot be read; what may leave
    /// is not known then.
    pub fn readable(
        &self,
        server: Option<&str>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, SnapshotError> {
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for revision in self.history(server, None)? {
            if !revision.sealed && !revision.removed {
                files
                    .entry(revision.server)
                    .or_default()
                    .insert(revision.path);
            }
        }
        Ok(files)
    }

    /// Pushes the branch of one server, or of all, to a remote: a URL, a path, or
    /// the name of a remote in the repository's configuration.
    ///
    /// # Errors
    /// `Push` with what the remote or `git` said; `NotFound` where nothing of the
    /// server is kept.
    pub fn push(&self, remote: &str, server: Option<&str>) -> Result<Pushed, SnapshotError> {
        let repo = repository::open(&self.shared.path)?;
        let branches = branches(&repo, server)?;
        let url = address(&repo, remote)?;
        let refspecs: Vec<String> = branches
            .iter()
            .map(|branch| format!("{branch}:{branch}"))
            .collect();
        let through = match local(&url) {
            Some(path) => {
                push_here(&repo, &path, &refspecs)?;
                "libgit2"
            }
            None => {
                push_with_git(&self.shared.path, &url, &refspecs)?;
                "git"
            }
        };
        Ok(Pushed {
            url,
            through,
            branches,
        })
    }
}

fn refused(remote: &str, reason: impl Into<String>) -> SnapshotError {
    SnapshotError::Push {
        remote: remote.to_owned(),
        reason: reason.into(),
    }
}

/// The branches of ours to push; a stranger's stay here.
fn branches(repo: &Objects, server: Option<&str>) -> Result<Vec<String>, SnapshotError> {
    let mut found = Vec::new();
    for branch in history::branches(repo, server)? {
        if names::server_of(&branch).is_some() && history::tip(repo, &branch)?.is_some() {
            found.push(branch);
        }
    }
    match (found.is_empty(), server) {
        (false, _) => Ok(found),
        (true, Some(server)) => Err(SnapshotError::NothingKept {
            what: format!("of server {server}"),
        }),
        (true, None) => Err(SnapshotError::NothingKept {
            what: "yet".to_owned(),
        }),
    }
}

/// The address a remote's name stands for; anything else is one already.
fn address(repo: &Objects, remote: &str) -> Result<String, SnapshotError> {
    if remote.is_empty() || remote.starts_with('-') {
        return Err(refused(remote, "that is no remote"));
    }
    match repo.git().find_remote(remote) {
        Ok(found) => match found.pushurl()?.or(found.url().ok()) {
            Some(url) => Ok(url.to_owned()),
            None => Err(refused(remote, "the remote has no address")),
        },
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
            Ok(remote.to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

/// The path of a repository on this machine.
fn local(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    let path = Path::new(path);
    (path.is_absolute() || path.is_dir()).then(|| path.to_owned())
}

fn push_here(repo: &Objects, path: &Path, refspecs: &[String]) -> Result<(), SnapshotError> {
    let shown = path.display().to_string();
    if !Repository::open(path).is_ok_and(|remote| remote.is_bare()) {
        return Err(refused(
            &shown,
            "it is not a bare repository; `git init --bare` makes one",
        ));
    }
    let mut remote = repo.git().remote_anonymous(&shown)?;
    let mut rejected = Vec::new();
    let mut callbacks = RemoteCallbacks::new();
    callbacks.push_update_reference(|branch, status| {
        if let Some(status) = status {
            rejected.push(format!("{branch}: {status}"));
        }
        Ok(())
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks);
    let pushed = remote.push(refspecs, Some(&mut options));
    drop(options);
    pushed.map_err(|error| refused(&shown, error.message()))?;
    if rejected.is_empty() {
        Ok(())
    } else {
        Err(refused(&shown, rejected.join("; ")))
    }
}

fn push_with_git(repository: &Path, url: &str, refspecs: &[String]) -> Result<(), SnapshotError> {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["push", "--quiet", "--atomic", "--", url])
        .args(refspecs)
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| refused(url, format!("the program git cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(refused(url, format!("git said: {}", said.trim())))
}
