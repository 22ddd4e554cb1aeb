//! The repository with a guard before every object that is read.
//!
//! libgit2 (1.9) does not come back from a loose object whose file ends too early:
//! it asks zlib for more for ever. A file that a failing disk or a careless copy
//! cut short must be an error like any other damage, so each is inflated to its end
//! here before libgit2 sees it. Whether it holds what its name says is libgit2's
//! own check. Invariant: what is handed out lay in a file that was whole when it
//! was looked at, or in a pack. It deliberately repairs nothing.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use flate2::read::ZlibDecoder;
use git2::{Blob, Commit, ObjectType, Oid, Repository, Tree};

use super::error::SnapshotError;
use super::history;

/// A repository whose objects can be read.
pub(super) struct Objects {
    repo: Repository,
    /// Loose objects that were whole when they were looked at.
    whole: RefCell<HashSet<Oid>>,
}

impl Objects {
    pub(super) fn new(repo: Repository) -> Self {
        Self {
            repo,
            whole: RefCell::default(),
        }
    }

    /// The repository, for everything but reading objects.
    pub(super) fn git(&self) -> &Repository {
        &self.repo
    }

    pub(super) fn commit(&self, id: Oid) -> Result<Commit<'_>, SnapshotError> {
        self.guard(id)?;
        Ok(self.repo.find_commit(id)?)
    }

    pub(super) fn tree(&self, id: Oid) -> Result<Tree<'_>, SnapshotError> {
        self.guard(id)?;
        Ok(self.repo.find_tree(id)?)
    }

    pub(super) fn blob(&self, id: Oid) -> Result<Blob<'_>, SnapshotError> {
        self.guard(id)?;
        Ok(self.repo.find_blob(id)?)
    }

    /// What an object is.
    pub(super) fn kind(&self, id: Oid) -> Result<ObjectType, SnapshotError> {
        self.guard(id)?;
        Ok(self.repo.odb()?.read_header(id)?.1)
    }

    /// The file an object has for itself, unless it is in a pack.
    pub(super) fn loose(&self, id: Oid) -> PathBuf {
        let name = id.to_string();
        let objects = self.repo.path().join("objects");
        objects.join(&name[..2]).join(&name[2..])
    }

    /// Refuses an object whose file is not whole.
    ///
    /// # Errors
    /// `Corrupt`, or `Unavailable` where the file cannot be read at all.
    pub(super) fn guard(&self, id: Oid) -> Result<(), SnapshotError> {
        if self.whole.borrow().contains(&id) {
            return Ok(());
        }
        let path = self.loose(id);
        let file = match File::open(&path) {
            Ok(file) => file,
            // In a pack, or nowhere; libgit2 finds out.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(SnapshotError::io(&path, &error)),
        };
        match io::copy(&mut ZlibDecoder::new(file), &mut io::sink()) {
            Ok(_) => {
                self.whole.borrow_mut().insert(id);
                Ok(())
            }
            Err(error) => Err(SnapshotError::Corrupt {
                commit: history::short(id),
                what: format!("the file of the object is not whole ({error})"),
            }),
        }
    }
}
