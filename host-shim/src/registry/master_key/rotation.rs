//! Giving the register another master key, or its key another home.
//!
//! A register and its key lie in different places, and no system replaces two
//! files in one step. The order of the steps makes up for it:
//!
//! 1. Every record is opened with the present key and sealed with the new one,
//!    in memory. What cannot be opened ends the rotation here.
//! 2. The new key is put where it is kept. A new file and a keychain entry named
//!    after the key leave the present key alone. Only a key file that is replaced
//!    in its place needs more: before that, the register announces the key to
//!    come, with the present key wrapped under it, so that either content of the
//!    file opens the register.
//! 3. The register is replaced in one step: new header, new records, and every
//!    former key wrapped under the new one, for what was sealed outside the
//!    register. Then its backup is overwritten, because its records are still
//!    sealed with the key that was given up.
//!
//! Invariant: cut off at any point, the key source opens the register: as it was
//! before step 3, as it is after. A passphrase needs no step 2, as its key is kept
//! nowhere. It does not seal snapshots or questions anew: their former key stays
//! with the register.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::keychain::{FIRST_ENTRY, Keychain, OsKeychain, entry_of};
use super::source::KEYCHAIN_PATIENCE;
use super::wrapped::{NextKey, WrappedKey};
use super::{KeyEnv, KeyError, KeyId, MasterKey, MasterKeySource, Origin, file};
use crate::fault::{self, Point};
use crate::registry::document::{self, Document};
use crate::registry::error::RegistryError;
use crate::registry::paths::Paths;
use crate::registry::private_fs::{self, Lock};
use crate::registry::seal;
use crate::registry::store::{LOCK_PATIENCE, reseal};

/// Where a key is to be kept.
pub enum KeyHome {
    /// Where it is kept now.
    Same,
    /// In a new file; where it is the present key file, in its place.
    File(PathBuf),
    /// In the keychain of the operating system.
    Keychain,
    /// In somebody's head: the key is made from this passphrase.
    Passphrase(SecretString),
}

/// What a rotation did.
#[derive(Debug)]
pub struct Rotated {
    /// The key that was given up.
    pub former: KeyId,
    /// The key that seals the register now.
    pub key: MasterKey,
    /// How many records were sealed anew.
    pub servers: usize,
    /// Whether an earlier rotation was finished, which had been cut off.
    pub resumed: bool,
}

/// Points at which a rotation can be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The register announces the key to come.
    Announced,
    /// The new key is where it is kept.
    Kept,
    /// The register is sealed with the new key.
    Sealed,
}

/// Makes a new master key, keeps it in `home` and seals the register with it.
/// Blocks like [`MasterKey::resolve`].
///
/// # Errors
/// [`KeyError`]; the register opens as before then.
pub fn rotate(paths: &Paths, env: &KeyEnv<'_>, home: &KeyHome) -> Result<Rotated, KeyError> {
    let keychain = OsKeychain {
        patience: KEYCHAIN_PATIENCE,
    };
    rotate_with(paths, env, home, &keychain, &|step| {
        fault::reach(match step {
            Step::Announced => Point::KeyAnnounced,
            Step::Kept => Point::KeyKept,
            Step::Sealed => Point::KeySealed,
        });
        Ok(())
    })
}

pub(super) fn rotate_with(
    paths: &Paths,
    env: &KeyEnv<'_>,
    home: &KeyHome,
    keychain: &dyn Keychain,
    reached: &dyn Fn(Step) -> Result<(), KeyError>,
) -> Result<Rotated, KeyError> {
    let present = MasterKey::resolve_with(paths, env, keychain)?;
    let (_lock, mut document, bytes) = locked(paths)?;
    require_key(&document, &present)?;
    let source = env.choose(paths, Some(&document.key))?;

    let mut resumed = false;
    let key = match destination(&source, home)? {
        Destination::InPlace(path) => {
            let held = MasterKey::new(&file::read(&path)?, Origin::File);
            if document
                .next
                .as_ref()
                .is_some_and(|next| next.id == held.id)
            {
                resumed = true;
                held
            } else {
                let key = MasterKey::new(&seal::random()?, Origin::File);
                document.next = Some(NextKey {
                    id: key.id.clone(),
                    present: WrappedKey::new(&present, &key)?,
                });
                // Proven before anything is written.
                reseal(&document.servers, &present, &key)?;
                document::store(paths, &document, &bytes)?;
                reached(Step::Announced)?;
                file::replace(&path, &key)?;
                reached(Step::Kept)?;
                key
            }
        }
        destination => {
            let key = match &destination {
                Destination::Passphrase(passphrase) => MasterKey::from_new_passphrase(passphrase)?,
                Destination::Keychain => MasterKey::new(&seal::random()?, Origin::Keychain),
                _ => MasterKey::new(&seal::random()?, Origin::File),
            };
            reseal(&document.servers, &present, &key)?;
            keep(&destination, &key, keychain)?;
            reached(Step::Kept)?;
            key
        }
    };
    document.servers = reseal(&document.servers, &present, &key)?;
    document.retired = retire(&document, &present, &key)?;
    document.key = key.header();
    document.next = None;
    document::store(paths, &document, &[])?;
    reached(Step::Sealed)?;
    document::overwrite_backup(paths, &document)?;
    Ok(Rotated {
        former: present.id,
        servers: document.servers.len(),
        key,
        resumed,
    })
}

/// Puts a key that was lost here back, from a recovery document: into a new file
/// or into the keychain. The register then says where its key is; nothing is
/// sealed anew.
///
/// # Errors
/// [`KeyError::WrongKey`] or [`KeyError::Retired`] when the register is sealed
/// with another key, [`KeyError::KeychainTaken`], or what writing can give.
pub fn bring_back(paths: &Paths, key: &MasterKey, home: &KeyHome) -> Result<(), KeyError> {
    let keychain = OsKeychain {
        patience: KEYCHAIN_PATIENCE,
    };
    bring_back_with(paths, key, home, &keychain)
}

pub(super) fn bring_back_with(
    paths: &Paths,
    key: &MasterKey,
    home: &KeyHome,
    keychain: &dyn Keychain,
) -> Result<(), KeyError> {
    let (destination, origin) = match home {
        KeyHome::File(path) => (Destination::NewFile(path.clone()), Origin::File),
        _ => (Destination::Keychain, Origin::Keychain),
    };
    let in_register = |error: RegistryError| KeyError::Registry(Box::new(error));
    paths
        .ensure_config_dir()
        .map_err(|error| in_register(error.into()))?;
    let _lock = lock(paths)?;
    let loaded = document::load(paths)?;
    let Some(mut document) = loaded.document else {
        // The first register will look for its key under the first entry.
        return match destination {
            Destination::Keychain => keep_first(key, keychain),
            other => keep(&other, key, keychain),
        };
    };
    if document.retired.iter().any(|retired| retired.id == key.id) {
        return Err(KeyError::Retired {
            expected: document.key.id,
            found: key.id.clone(),
        });
    }
    if document.key.id != key.id {
        return Err(KeyError::WrongKey {
            source_name: "recovery document",
            expected: document.key.id,
            found: key.id.clone(),
        });
    }
    keep(&destination, key, keychain)?;
    let header = MasterKey {
        origin,
        ..key.copy()
    }
    .header();
    if document.key != header {
        document.key = header;
        document::store(paths, &document, &loaded.bytes)?;
    }
    Ok(())
}

/// Where a key goes, once it is known where the present one is.
enum Destination {
    InPlace(PathBuf),
    NewFile(PathBuf),
    Keychain,
    Passphrase(SecretString),
}

fn destination(source: &MasterKeySource, home: &KeyHome) -> Result<Destination, KeyError> {
    Ok(match (home, source) {
        (KeyHome::Same, MasterKeySource::File(path)) => Destination::InPlace(path.clone()),
        (KeyHome::Same, MasterKeySource::Keychain) | (KeyHome::Keychain, _) => {
            Destination::Keychain
        }
        (KeyHome::Same, MasterKeySource::Passphrase) => return Err(KeyError::NoNewPassphrase),
        (KeyHome::File(path), MasterKeySource::File(present)) if same_file(path, present) => {
            Destination::InPlace(present.clone())
        }
        (KeyHome::File(path), _) => Destination::NewFile(path.clone()),
        (KeyHome::Passphrase(passphrase), _) => Destination::Passphrase(passphrase.clone()),
    })
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn keep(
    destination: &Destination,
    key: &MasterKey,
    keychain: &dyn Keychain,
) -> Result<(), KeyError> {
    match destination {
        Destination::InPlace(path) => file::replace(path, key),
        Destination::NewFile(path) => file::create(path, key),
        Destination::Keychain => keep_in(keychain, &entry_of(&key.id), key),
        Destination::Passphrase(_) => Ok(()),
    }
}

fn keep_first(key: &MasterKey, keychain: &dyn Keychain) -> Result<(), KeyError> {
    match keychain.read(FIRST_ENTRY)? {
        None => keep_in(keychain, FIRST_ENTRY, key),
        Some(held) if MasterKey::new(&held, Origin::Keychain).id == key.id => Ok(()),
        Some(held) => Err(KeyError::KeychainTaken {
            found: MasterKey::new(&held, Origin::Keychain).id,
        }),
    }
}

/// Writes an entry and reads it back: a keychain that takes a key and does not
/// keep it would lose the register.
fn keep_in(keychain: &dyn Keychain, entry: &str, key: &MasterKey) -> Result<(), KeyError> {
    keychain.write(entry, &key.plain())?;
    match keychain.read(entry)? {
        Some(kept) if MasterKey::new(&kept, Origin::Keychain).id == key.id => Ok(()),
        _ => Err(KeyError::Keychain {
            reason: "it did not keep the key it was given".to_owned(),
        }),
    }
}

/// Every key given up so far, wrapped under the new one.
fn retire(
    document: &Document,
    present: &MasterKey,
    key: &MasterKey,
) -> Result<Vec<WrappedKey>, KeyError> {
    let mut retired = Vec::with_capacity(document.retired.len() + 1);
    for former in &document.retired {
        let former = former
            .open(present)
            .map_err(|_| RegistryError::RetiredKeyInvalid {
                id: former.id.clone(),
            })?;
        retired.push(WrappedKey::new(&former, key)?);
    }
    retired.push(WrappedKey::new(present, key)?);
    Ok(retired)
}

fn lock(paths: &Paths) -> Result<Lock, KeyError> {
    private_fs::lock(&paths.registry_lock(), LOCK_PATIENCE)
        .map_err(|error| KeyError::Registry(Box::new(error.into())))
}

/// Takes the register's lock and reads what is on disk under it.
fn locked(paths: &Paths) -> Result<(Lock, Document, Vec<u8>), KeyError> {
    let absent = || KeyError::NoRegister {
        path: paths.registry_file(),
    };
    if !paths.config_dir.is_dir() {
        return Err(absent());
    }
    let lock = lock(paths)?;
    let loaded = document::load(paths)?;
    let document = loaded.document.ok_or_else(absent)?;
    Ok((lock, document, loaded.bytes))
}

/// Refuses where another process rotated between finding the key and the lock.
fn require_key(document: &Document, key: &MasterKey) -> Result<(), KeyError> {
    if document.key.id == key.id {
        return Ok(());
    }
    Err(RegistryError::WrongKey {
        expected: document.key.id.clone(),
        found: key.id.clone(),
    }
    .into())
}
