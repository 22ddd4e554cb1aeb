//! Checking that what is kept is what was kept: every object, every branch's
//! chain, and the trailers against the journal.
//!
//! Invariant: nothing is changed, and the first fault does not hide the next. A
//! fault is something that cannot be if nothing but openshell wrote here; what
//! has an innocent reason (a journal or a store that was begun anew, a state that
//! could not be kept and was told so) is counted apart. Changes that are made
//! meanwhile are none of this check's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use git2::{Commit, Oid, Tree};
use jiff::Timestamp;
use ulid::Ulid;

use super::error::SnapshotError;
use super::history::{self, Kept};
use super::ledger::{Ledger, Said};
use super::message::Kind;
use super::names;
use super::objects::Objects;
use super::repository;
use super::seal;
use super::store::Snapshots;
use super::tree::{self, DIRECTORY};
use crate::journal::sha256_hex;

/// Something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Logical server id, or the branch where it is nobody's.
    pub server: String,
    /// The commit, shortened, where it is about one.
    pub commit: Option<String>,
    /// The action, where it is about one.
    pub action: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// States of each server that are as they were kept.
    pub servers: Vec<(String, u64)>,
    /// Of all states, those whose content is sealed: their hash is known to
    /// nobody, so only their form was checked.
    pub sealed: u64,
    /// How many commits on the branches are not ours.
    pub foreign: u64,
    /// How many changes were compared with the journal.
    pub compared: u64,
    /// Changes from before the journal's first record.
    pub before_journal: u64,
    /// Changes in the journal from before the first state that is kept.
    pub before_store: u64,
    /// Changes whose outcome on record says that the state they left could not be
    /// kept.
    pub not_kept: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Snapshots {
    /// Checks everything that is kept, against the journal in a directory where
    /// one is given.
    ///
    /// # Errors
    /// Where the repository or the journal cannot be read at all; what is damaged
    /// in them is part of the result.
    pub fn verify(&self, journal: Option<&Path>) -> Result<Verification, SnapshotError> {
        self.verify_with(|| journal.map(Ledger::read).transpose())
    }

    /// As [`Snapshots::verify`], with a way to what the journal says.
    fn verify_with(
        &self,
        read: impl FnOnce() -> Result<Option<Ledger>, SnapshotError>,
    ) -> Result<Verification, SnapshotError> {
        // A handle of its own: a long check keeps no call waiting, and finds on
        // the disk what another handle may have in memory.
        let repo = repository::open(&self.shared.path)?;
        // The branches first: a state is kept before the journal says so, and what is
        // on record from here on may have kept a state that is not looked at.
        let since = Timestamp::now();
        let mut tips = Vec::new();
        for branch in history::branches(&repo, None)? {
            let tip = history::tip(&repo, &branch);
            tips.push((branch, tip));
        }
        let ledger = read()?;
        let mut check = Check {
            repo: &repo,
            ledger: ledger.as_ref(),
            found: Verification::default(),
            commits: HashSet::new(),
            after: HashSet::new(),
            begins: None,
            since,
        };
        for (branch, tip) in tips {
            check.branch(&branch, tip);
        }
        if let Some(ledger) = &ledger {
            check.missing(ledger);
        }
        Ok(check.found)
    }
}

struct Check<'a> {
    repo: &'a Objects,
    ledger: Option<&'a Ledger>,
    found: Verification,
    /// Every commit there is, in full.
    commits: HashSet<String>,
    /// Actions whose result is kept.
    after: HashSet<String>,
    /// When the first action of which a state is kept began.
    begins: Option<Timestamp>,
    /// When the branches were looked at.
    since: Timestamp,
}

/// When an action began: its id says it, to the millisecond (ULID).
fn began(action: &str) -> Option<Timestamp> {
    let ms = Ulid::from_string(action).ok()?.timestamp_ms();
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

impl Check<'_> {
    fn fault(
        &mut self,
        server: &str,
        kept: Option<&Kept>,
        id: Option<Oid>,
        what: impl Into<String>,
    ) {
        self.found.faults.push(Fault {
            server: server.to_owned(),
            commit: id.map(history::short),
            action: kept.map(|kept| kept.message.action.clone()),
            what: what.into(),
        });
    }

    /// Follows a branch from its tip to its beginning.
    fn branch(&mut self, branch: &str, tip: Result<Option<Oid>, git2::Error>) {
        let server = names::server_of(branch);
        let shown = server.clone().unwrap_or_else(|| branch.to_owned());
        let mut next = match tip {
            Ok(tip) => tip,
            Err(error) => {
                self.fault(&shown, None, None, error.message().to_owned());
                None
            }
        };
        let mut good = 0;
        while let Some(id) = next.take() {
            let commit = match self.repo.commit(id) {
                Ok(commit) => commit,
                Err(error) => {
                    let what = format!("the chain breaks here: {error}");
                    self.fault(&shown, None, Some(id), what);
                    break;
                }
            };
            if commit.parent_count() > 1 {
                self.fault(
                    &shown,
                    None,
                    Some(id),
                    "it joins branches, which no state does",
                );
            }
            let parent = commit.parent_ids().next();
            match history::kept(self.repo, id).unwrap_or_default() {
                None => self.found.foreign += 1,
                Some(kept) => {
                    if self.state(&shown, server.as_deref(), &commit, &kept) {
                        good += 1;
                    }
                }
            }
            next = parent;
        }
        self.found.servers.push((shown, good));
    }

    /// Checks one state; whether it is good.
    fn state(
        &mut self,
        shown: &str,
        server: Option<&str>,
        commit: &Commit<'_>,
        kept: &Kept,
    ) -> bool {
        let faults = self.found.faults.len();
        let id = Some(commit.id());
        self.commits.insert(commit.id().to_string());
        let time = Timestamp::from_second(kept.seconds).unwrap_or_default();
        let first = began(&kept.message.action).unwrap_or(time);
        self.begins = Some(self.begins.map_or(first, |begins| begins.min(first)));
        if server.is_some_and(|server| server != kept.message.server) {
            self.fault(
                shown,
                Some(kept),
                id,
                "it names another server than its branch",
            );
        }
        if let Err(what) = self.changes_only_its_path(commit, kept) {
            self.fault(shown, Some(kept), id, what);
        }
        match self.content(commit, kept) {
            Ok(sealed) => self.found.sealed += u64::from(sealed),
            Err(what) => self.fault(shown, Some(kept), id, what),
        }
        if let Some(ledger) = self.ledger {
            self.compare(shown, ledger, kept, time);
        }
        self.found.faults.len() == faults
    }

    /// A state is of one file: everything else is as in the commit before.
    fn changes_only_its_path(&self, commit: &Commit<'_>, kept: &Kept) -> Result<(), String> {
        let told = |error: SnapshotError| error.to_string();
        let tree = self.repo.tree(commit.tree_id()).map_err(told)?;
        let parent = commit.parent_ids().next();
        let before = parent
            .map(|parent| self.repo.tree(self.repo.commit(parent)?.tree_id()))
            .transpose()
            .map_err(told)?;
        let own = names::segments(&kept.message.path)
            .map_err(|error| error.to_string())?
            .join("/");
        let mut changed = Vec::new();
        differences(self.repo, before.as_ref(), Some(&tree), "", &mut changed).map_err(told)?;
        for (file, removed) in changed {
            // A file where a directory was, and the other way round, takes the old
            // entries away.
            let displaced = removed
                && (own.starts_with(&format!("{file}/")) || file.starts_with(&format!("{own}/")));
            if file != own && !displaced {
                return Err(format!("it changes {file} besides its own file"));
            }
        }
        Ok(())
    }

    /// The content is what the trailers say; whether it is sealed.
    fn content(&self, commit: &Commit<'_>, kept: &Kept) -> Result<bool, String> {
        let told = |error: SnapshotError| error.to_string();
        let message = &kept.message;
        let segments = names::segments(&message.path).map_err(|error| error.to_string())?;
        let root = self.repo.tree(commit.tree_id()).map_err(told)?;
        let blob = tree::get(self.repo, &root, &segments).map_err(told)?;
        let blob = match (blob, &message.metadata) {
            (Some(blob), Some(_)) => blob,
            (None, None) => return Ok(false),
            (Some(_), None) => return Err("there is a file where it says there is none".to_owned()),
            (None, Some(_)) => return Err("the file is not in its tree".to_owned()),
        };
        let blob = self.repo.blob(blob).map_err(told)?;
        if message.sealed {
            return if seal::is_sealed(blob.content()) {
                Ok(true)
            } else {
                Err("its content is said to be sealed and is not".to_owned())
            };
        }
        match &message.content {
            Some((size, sha256))
                if *size == blob.size() as u64 && *sha256 == sha256_hex(blob.content()) =>
            {
                Ok(false)
            }
            Some(_) => Err("its content does not match its hash".to_owned()),
            None => Err("it says neither that it is sealed nor what its hash is".to_owned()),
        }
    }

    /// Compares a state with what the journal says of its action.
    fn compare(&mut self, shown: &str, ledger: &Ledger, kept: &Kept, time: Timestamp) {
        let message = &kept.message;
        let id = Some(kept.id);
        // A commit's time is in whole seconds, and what it says of its action has to
        // agree with it.
        let older = ledger.begins.is_none_or(|begins| {
            time.as_second() <= begins.as_second()
                && began(&message.action).is_none_or(|began| began < begins)
        });
        let Some(said) = ledger.actions.get(&message.action) else {
            if older {
                self.found.before_journal += 1;
            } else {
                self.fault(shown, Some(kept), id, "its action is not in the journal");
            }
            return;
        };
        if said.server != names::server_id(&message.server) {
            let what = format!("the journal has its action on {}", said.server);
            self.fault(shown, Some(kept), id, what);
        }
        let sha256 = message.content.as_ref().map(|content| content.1.as_str());
        if matches!(message.kind, Kind::After | Kind::Undo) {
            self.after.insert(message.action.clone());
            self.found.compared += 1;
            if let Err(what) = result_matches(said, message.sealed, sha256, &message.path) {
                self.fault(shown, Some(kept), id, what);
            }
        } else if let Some(tried) = &said.attempt
            && tried.snapshot == Some(kept.id.to_string())
            && !message.sealed
            && tried.base_sha256.as_deref() != sha256
        {
            self.fault(
                shown,
                Some(kept),
                id,
                "the journal has another hash for what was there before",
            );
        }
    }

    /// Whether a record was written after the branches were looked at. The journal
    /// knows times to the millisecond, and a state is kept before its record.
    fn is_later(&self, time: Timestamp) -> bool {
        time.as_millisecond() >= self.since.as_millisecond()
    }

    /// Changes the journal has and the history has not.
    fn missing(&mut self, ledger: &Ledger) {
        let mut actions: HashMap<&str, &Said> = HashMap::new();
        actions.extend(ledger.actions.iter().map(|(id, said)| (id.as_str(), said)));
        let mut ids: Vec<&str> = actions.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some((said, tried)) = actions
                .get(id)
                .and_then(|said| said.attempt.as_ref().map(|tried| (*said, tried)))
            else {
                continue;
            };
            let known = self.begins.is_some_and(|begins| tried.time >= begins);
            let left = said
                .done
                .filter(|done| !self.is_later(done.time) && !self.after.contains(id));
            if left.is_some_and(|done| done.not_kept) {
                self.found.not_kept += 1;
            }
            let lacks = [
                (
                    left.is_some_and(|done| !done.not_kept),
                    "the state it left behind is not kept",
                ),
                (
                    !self.is_later(tried.time)
                        && tried
                            .snapshot
                            .as_ref()
                            .is_some_and(|commit| !self.commits.contains(commit)),
                    "the state from before it is not kept",
                ),
            ];
            for (_, what) in lacks.into_iter().filter(|(lacks, _)| *lacks) {
                if !known {
                    self.found.before_store += 1;
                    break;
                }
                self.found.faults.push(Fault {
                    server: said.server.clone(),
                    commit: None,
                    action: Some(id.to_owned()),
                    what: what.to_owned(),
                });
            }
        }
    }
}

/// The files in which two trees differ, and whether each is gone in the second.
fn differences(
    repo: &Objects,
    old: Option<&Tree<'_>>,
    new: Option<&Tree<'_>>,
    below: &str,
    found: &mut Vec<(String, bool)>,
) -> Result<(), SnapshotError> {
    let entries = |tree: Option<&Tree<'_>>| -> BTreeMap<Vec<u8>, (Oid, i32)> {
        tree.into_iter()
            .flat_map(Tree::iter)
            .map(|entry| (entry.name_bytes().to_vec(), (entry.id(), entry.filemode())))
            .collect()
    };
    let (old, new) = (entries(old), entries(new));
    let names: BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        if was == is {
            continue;
        }
        let path = format!("{below}{}", String::from_utf8_lossy(name));
        let tree = |entry: Option<&(Oid, i32)>| match entry {
            Some((id, DIRECTORY)) => repo.tree(*id).map(Some),
            _ => Ok(None),
        };
        let file =
            |entry: Option<&(Oid, i32)>| entry.copied().filter(|(_, mode)| *mode != DIRECTORY);
        if file(was) != file(is) {
            found.push((path.clone(), file(is).is_none()));
        }
        let (was, is) = (tree(was)?, tree(is)?);
        if was.is_some() || is.is_some() {
            differences(repo, was.as_ref(), is.as_ref(), &format!("{path}/"), found)?;
        }
    }
    Ok(())
}

/// Whether the journal has the change that a state is the result of.
fn result_matches(
    said: &Said,
    sealed: bool,
    sha256: Option<&str>,
    path: &str,
) -> Result<(), &'static str> {
    let Some(tried) = &said.attempt else {
        return Err("the journal has no attempt of its action");
    };
    if !sealed && tried.new_sha256.as_deref() != sha256 {
        return Err("the journal has another hash for what was written");
    }
    // The journal's own copy of a path can have something taken out of it.
    match &tried.path {
        Some(recorded) if recorded != path && !recorded.contains("[redacted") => {
            Err("the journal has another path for its action")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "tests/meanwhile.rs"]
mod tests;
