//! The register as the rest of the program uses it.
//!
//! Invariant: a change happens under a lock shared by all processes, starts from
//! what is on disk at that moment, and lands whole or not at all. Reading takes no
//! lock: the file is only ever replaced in one step. It connects to nothing, and
//! does not ask whether a host exists.

use std::time::Duration;

use super::document::{self, Document};
use super::error::RegistryError;
use super::fields::FieldError;
use super::master_key::{KeyId, MasterKey, WrappedKey};
use super::material::AuthMaterial;
use super::paths::Paths;
use super::private_fs::{self, Warning};
use super::record::{NewServer, Record, RecordFault, Scope, ServerView};
use super::seal::SealError;
use super::server_id::ServerId;

/// How long a change waits for another process to finish its own.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// Most servers a connection goes through on its way.
const MAX_JUMPS: usize = 8;

/// Whether [`Registry::add`] made a record or replaced one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The id is new.
    Created,
    /// A record of that id was replaced.
    Replaced,
}

/// The register as it was read from disk.
///
/// It is a snapshot: what another process changes afterwards shows after the
/// next [`Registry::open`], which costs one small file read.
#[derive(Debug)]
pub struct Registry {
    paths: Paths,
    document: Option<Document>,
    warnings: Vec<Warning>,
}

impl Registry {
    /// Reads the register. An absent one is empty; nothing is created.
    ///
    /// # Errors
    /// [`RegistryError`] when the file or its directory belongs to another
    /// user, is not readable whole, or has a newer format.
    pub fn open(paths: &Paths) -> Result<Self, RegistryError> {
        private_fs::sweep(
            &paths.registry_lock(),
            &[
                paths.registry_file(),
                paths.registry_backup(),
                paths.trusted_workspaces(),
            ],
        );
        let loaded = document::load(paths)?;
        Ok(Self {
            paths: paths.clone(),
            document: loaded.document,
            warnings: loaded.warnings,
        })
    }

    /// Makes an empty register for a key, so that the key is settled before the
    /// first server is added. Does nothing where the register exists already
    /// with the same key.
    ///
    /// # Errors
    /// [`RegistryError::WrongKey`] when it exists with another key, or what
    /// [`Registry::open`] and writing can give.
    pub fn init(paths: &Paths, key: &MasterKey) -> Result<Self, RegistryError> {
        let mut registry = Self::open(paths)?;
        if registry.document.is_some() {
            registry.check_key(key)?;
            return Ok(registry);
        }
        registry.change(key, |_| Ok(()))?;
        Ok(registry)
    }

    /// A register of a document that stands on no disk.
    #[cfg(test)]
    pub(super) fn of(paths: &Paths, document: Document) -> Self {
        Self {
            paths: paths.clone(),
            document: Some(document),
            warnings: Vec::new(),
        }
    }

    /// What was put right while the register was read or changed.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn records(&self) -> &[Record] {
        self.document
            .as_ref()
            .map_or(&[], |document| &document.servers)
    }

    /// The servers in order of their ids. Needs no key, and so proves nothing.
    #[must_use]
    pub fn list(&self) -> Vec<ServerView> {
        let mut views: Vec<_> = self
            .records()
            .iter()
            .map(|r| r.view(Scope::Global))
            .collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// One record. Its plain fields are proven by [`Registry::unlock`] only.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when no record has this id.
    pub fn get(&self, id: &ServerId) -> Result<&Record, RegistryError> {
        find(self.records(), id)
    }

    /// Proves every plain field of a record and gives its credential out. What
    /// [`Registry::get`] returned from the same `Registry` is proven with it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::WrongKey`], or
    /// [`RegistryError::RecordInvalid`] when anything of the record was changed.
    pub fn unlock(&self, id: &ServerId, key: &MasterKey) -> Result<AuthMaterial, RegistryError> {
        let record = self.get(id)?;
        self.check_key(key)?;
        record
            .open(Scope::Global, &key.record_key())
            .map_err(|fault| invalid(id, fault))
    }

    /// The servers to connect through, the first hop first; empty for a server
    /// that is reached directly. Each of them must be unlocked by itself.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::JumpMissing`] or
    /// [`RegistryError::JumpTooLong`].
    pub fn jumps(&self, id: &ServerId) -> Result<Vec<&Record>, RegistryError> {
        jumps(self.records(), self.get(id)?)
    }

    /// Proves every record and every retired key, and tells which fail.
    ///
    /// # Errors
    /// [`RegistryError::WrongKey`]; what fails is part of the result.
    pub fn verify(&self, key: &MasterKey) -> Result<Vec<RegistryError>, RegistryError> {
        self.check_key(key)?;
        let records = self.records().iter();
        let retired = self.document.iter().flat_map(|document| &document.retired);
        Ok(records
            .filter_map(|record| self.unlock(&record.id, key).err())
            .chain(retired.filter_map(|wrapped| {
                wrapped
                    .open(key)
                    .err()
                    .map(|_| RegistryError::RetiredKeyInvalid {
                        id: wrapped.id.clone(),
                    })
            }))
            .collect())
    }

    /// Which key seals the register; none where there is no register yet.
    #[must_use]
    pub fn key_id(&self) -> Option<&KeyId> {
        self.document.as_ref().map(|document| &document.key.id)
    }

    /// Whether a rotation was cut off after the key file had been replaced, or
    /// before.
    #[must_use]
    pub fn rotation_pending(&self) -> bool {
        self.document
            .as_ref()
            .is_some_and(|document| document.next.is_some())
    }

    /// The keys given up by rotations, the latest first: what was sealed outside
    /// the register with one of them is opened with it still.
    ///
    /// # Errors
    /// [`RegistryError::WrongKey`] or [`RegistryError::RetiredKeyInvalid`].
    pub fn retired_keys(&self, key: &MasterKey) -> Result<Vec<MasterKey>, RegistryError> {
        self.check_key(key)?;
        let Some(document) = &self.document else {
            return Ok(Vec::new());
        };
        let open = |wrapped: &WrappedKey| {
            wrapped
                .open(key)
                .map_err(|_| RegistryError::RetiredKeyInvalid {
                    id: wrapped.id.clone(),
                })
        };
        document.retired.iter().rev().map(open).collect()
    }

    /// Registers a server. With `replace`, a record of the same id gives way.
    ///
    /// # Errors
    /// [`RegistryError::InvalidField`], [`RegistryError::AlreadyExists`],
    /// [`RegistryError::JumpMissing`], [`RegistryError::JumpTooLong`],
    /// [`RegistryError::WrongKey`], or what reading and writing can give.
    pub fn add(
        &mut self,
        server: NewServer,
        key: &MasterKey,
        replace: bool,
    ) -> Result<Added, RegistryError> {
        let record = Record::seal(server, Scope::Global, &key.record_key()).map_err(not_made)?;
        self.change(key, |document| {
            let known = document
                .servers
                .iter()
                .position(|other| other.id == record.id);
            let added = match known {
                Some(_) if !replace => {
                    return Err(RegistryError::AlreadyExists { id: record.id });
                }
                Some(index) => {
                    document.servers.remove(index);
                    Added::Replaced
                }
                None => Added::Created,
            };
            let id = record.id.clone();
            document.servers.push(record);
            document.servers.sort_by(|a, b| a.id.cmp(&b.id));
            jumps(&document.servers, find(&document.servers, &id)?)?;
            Ok(added)
        })
    }

    /// Removes a server. Its sealed record stays in the backup until the next
    /// change of the register.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::InUse`], or what reading
    /// and writing can give.
    pub fn remove(&mut self, id: &ServerId) -> Result<(), RegistryError> {
        let absent = || Err(RegistryError::NotFound { id: id.clone() });
        self.change_or(absent, |document| {
            find(&document.servers, id)?;
            let by: Vec<_> = document
                .servers
                .iter()
                .filter(|other| other.jump.as_ref() == Some(id))
                .map(|other| other.id.clone())
                .collect();
            if !by.is_empty() {
                return Err(RegistryError::InUse { id: id.clone(), by });
            }
            document.servers.retain(|other| other.id != *id);
            Ok(())
        })
    }

    /// Lets a server be used, or refuses every connection to it.
    ///
    /// # Errors
    /// As [`Registry::unlock`], or what reading and writing can give.
    pub fn set_disabled(
        &mut self,
        id: &ServerId,
        disabled: bool,
        key: &MasterKey,
    ) -> Result<(), RegistryError> {
        self.change(key, |document| {
            let changed = find(&document.servers, id)?
                .with_disabled(disabled, Scope::Global, &key.record_key())
                .map_err(|fault| invalid(id, fault))?;
            for record in &mut document.servers {
                if record.id == *id {
                    *record = changed.clone();
                }
            }
            Ok(())
        })
    }

    /// Refuses a key that is not the register's.
    fn check_key(&self, key: &MasterKey) -> Result<(), RegistryError> {
        match &self.document {
            Some(document) => check_key(document, key),
            None => Ok(()),
        }
    }

    /// Applies a change to what is on disk now. A register that does not exist
    /// is started for the key.
    fn change<T>(
        &mut self,
        key: &MasterKey,
        edit: impl FnOnce(&mut Document) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.change_or(
            || Ok(Document::new(key.header())),
            |document| {
                check_key(document, key)?;
                edit(document)
            },
        )
    }

    /// Applies a change to what is on disk now, or to what `absent` gives.
    fn change_or<T>(
        &mut self,
        absent: impl FnOnce() -> Result<Document, RegistryError>,
        edit: impl FnOnce(&mut Document) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.warnings.extend(self.paths.ensure_config_dir()?);
        let _lock = private_fs::lock(&self.paths.registry_lock(), LOCK_PATIENCE)?;
        let loaded = document::load(&self.paths)?;
        self.warnings.extend(loaded.warnings);
        let mut document = match loaded.document {
            Some(document) => document,
            None => absent()?,
        };
        let outcome = edit(&mut document)?;
        document::store(&self.paths, &document, &loaded.bytes)?;
        self.document = Some(document);
        Ok(outcome)
    }
}

/// Opens every record with one key and seals it with another. A record that is
/// not authentic ends it: rotating would make a forgery genuine.
pub(super) fn reseal(
    records: &[Record],
    from: &MasterKey,
    to: &MasterKey,
) -> Result<Vec<Record>, RegistryError> {
    let (from, to) = (from.record_key(), to.record_key());
    records
        .iter()
        .map(|record| {
            record
                .resealed(Scope::Global, &from, &to)
                .map_err(|fault| invalid(&record.id, fault))
        })
        .collect()
}

fn find<'a>(records: &'a [Record], id: &ServerId) -> Result<&'a Record, RegistryError> {
    records
        .iter()
        .find(|record| record.id == *id)
        .ok_or_else(|| RegistryError::NotFound { id: id.clone() })
}

fn jumps<'a>(records: &'a [Record], from: &'a Record) -> Result<Vec<&'a Record>, RegistryError> {
    let mut route = Vec::new();
    let mut here = from;
    while let Some(jump) = &here.jump {
        if route.len() == MAX_JUMPS {
            return Err(RegistryError::JumpTooLong {
                id: from.id.clone(),
                limit: MAX_JUMPS,
            });
        }
        here = find(records, jump).map_err(|_| RegistryError::JumpMissing {
            id: here.id.clone(),
            jump: jump.clone(),
        })?;
        route.push(here);
    }
    route.reverse();
    Ok(route)
}

fn check_key(document: &Document, key: &MasterKey) -> Result<(), RegistryError> {
    if document.key.id == *key.id() {
        Ok(())
    } else {
        Err(RegistryError::WrongKey {
            expected: document.key.id.clone(),
            found: key.id().clone(),
        })
    }
}

/// A fault in a record that stands in the register.
fn invalid(id: &ServerId, fault: RecordFault) -> RegistryError {
    let reason = match fault {
        RecordFault::Field(FieldError { field, reason }) => format!("{field} {reason}"),
        RecordFault::Seal(SealError::NoRandom) => return SealError::NoRandom.into(),
        RecordFault::Seal(error) => error.to_string(),
        RecordFault::Body => "its sealed part is not a credential of this version".to_owned(),
    };
    RegistryError::RecordInvalid {
        id: id.clone(),
        reason,
    }
}

/// A fault in a record that was about to be made.
fn not_made(fault: RecordFault) -> RegistryError {
    match fault {
        RecordFault::Field(FieldError { field, reason }) => {
            RegistryError::InvalidField { field, reason }
        }
        RecordFault::Seal(error) => error.into(),
        RecordFault::Body => SealError::NotSealed.into(),
    }
}
