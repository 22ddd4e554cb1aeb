//! Which source the master key is taken from, and taking it.
//!
//! Invariant: the choice depends on the register, on variables the operator set and
//! on the key file a person had made in its usual place, never on what happened to be
//! reachable. A key file there that is unreadable is an error, not a missing one.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::keychain::{FIRST_ENTRY, Keychain, OsKeychain, entry_of};
use super::passphrase::{self, Kdf};
use super::{KeyError, MasterKey, Origin, file};
use crate::registry::document::{self, KeyHeader, StoredSource};
use crate::registry::paths::Paths;
use crate::registry::private_fs;
use crate::registry::seal;
use crate::registry::store::LOCK_PATIENCE;

/// Variable that names the key file.
const FILE_VARIABLE: &str = "OPENSHELL_MASTER_KEY_FILE";
/// Variable that names the passphrase file.
const PASSPHRASE_VARIABLE: &str = "OPENSHELL_PASSPHRASE_FILE";
/// How long the keychain may take, a dialog included.
pub(super) const KEYCHAIN_PATIENCE: Duration = Duration::from_secs(30);

/// Asks a person for the passphrase.
pub type PassphrasePrompt<'a> = &'a (dyn Fn() -> std::io::Result<SecretString> + Sync);

/// Where the master key is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// The keychain of the operating system.
    Keychain,
    /// A file.
    File(PathBuf),
    /// A passphrase.
    Passphrase,
}

/// What the surroundings offer for finding the key.
#[derive(Clone, Default)]
pub struct KeyEnv<'a> {
    /// Value of `OPENSHELL_MASTER_KEY_FILE`: an absolute path.
    pub key_file: Option<PathBuf>,
    /// Value of `OPENSHELL_PASSPHRASE_FILE`: an absolute path.
    pub passphrase_file: Option<PathBuf>,
    /// How to ask a person; absent where there is no terminal.
    pub prompt: Option<PassphrasePrompt<'a>>,
}

impl<'a> KeyEnv<'a> {
    /// Takes the two variables from the environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let path = |variable| std::env::var_os(variable).map(PathBuf::from);
        Self {
            key_file: path(FILE_VARIABLE),
            passphrase_file: path(PASSPHRASE_VARIABLE),
            prompt: None,
        }
    }

    /// Adds a way to ask a person.
    #[must_use]
    pub fn with_prompt(mut self, prompt: PassphrasePrompt<'a>) -> Self {
        self.prompt = Some(prompt);
        self
    }

    fn check(&self) -> Result<(), KeyError> {
        for (variable, path) in [
            (FILE_VARIABLE, &self.key_file),
            (PASSPHRASE_VARIABLE, &self.passphrase_file),
        ] {
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                return Err(KeyError::NotAbsolute { variable });
            }
        }
        Ok(())
    }

    /// Chooses the source: a named key file first, then what the register says,
    /// and for a register still to be made a named passphrase file, then the key file
    /// in its usual place, then the keychain.
    pub(super) fn choose(
        &self,
        paths: &Paths,
        header: Option<&KeyHeader>,
    ) -> Result<MasterKeySource, KeyError> {
        self.check()?;
        let usual = paths.key_file();
        let made_there = usual.symlink_metadata().is_ok();
        if let Some(path) = &self.key_file {
            return Ok(MasterKeySource::File(path.clone()));
        }
        match header.map(|header| header.source) {
            Some(StoredSource::File) if made_there => Ok(MasterKeySource::File(usual)),
            Some(StoredSource::File) => Err(KeyError::FileNotNamed),
            Some(StoredSource::Passphrase) => Ok(MasterKeySource::Passphrase),
            Some(StoredSource::Keychain) => Ok(MasterKeySource::Keychain),
            None if self.passphrase_file.is_some() => Ok(MasterKeySource::Passphrase),
            None if made_there => Ok(MasterKeySource::File(usual)),
            None => Ok(MasterKeySource::Keychain),
        }
    }

    fn passphrase(&self) -> Result<SecretString, KeyError> {
        match (&self.passphrase_file, self.prompt) {
            (Some(path), _) => passphrase::read(path),
            (None, Some(prompt)) => prompt().map_err(KeyError::Prompt),
            (None, None) => Err(KeyError::NoPassphrase),
        }
    }
}

impl MasterKeySource {
    /// Says where [`MasterKey::resolve`] would take the key from, without
    /// taking it.
    ///
    /// # Errors
    /// [`KeyError`] when the register cannot be read, or was made with a key
    /// file and none is named.
    pub fn of(paths: &Paths, env: &KeyEnv<'_>) -> Result<Self, KeyError> {
        let document = document::load(paths)?.document;
        env.choose(paths, document.as_ref().map(|document| &document.key))
    }

    /// Whether the source answers at all. Makes no key, and asks nobody for a
    /// passphrase; a locked keychain may ask to be unlocked.
    ///
    /// # Errors
    /// [`KeyError`] when there is no keychain or it cannot be read, or when the key
    /// file is not there or not a key.
    pub fn probe(&self) -> Result<(), KeyError> {
        match self {
            Self::Keychain => {
                let keychain = OsKeychain {
                    patience: KEYCHAIN_PATIENCE,
                };
                keychain.read(FIRST_ENTRY).map(drop)
            }
            Self::File(path) => file::read(path).map(drop),
            Self::Passphrase => Ok(()),
        }
    }
}

impl MasterKey {
    /// Finds the master key of the register, or makes one where there is
    /// neither a register nor a key.
    ///
    /// It blocks: reading the keychain can wait for a dialog (30 s at most),
    /// and deriving a key from a passphrase takes a noticeable time. Warnings
    /// about permissions are those of [`Registry::open`](crate::registry::Registry::open),
    /// to be called before this.
    ///
    /// # Errors
    /// [`KeyError`]; no other source is tried then.
    pub fn resolve(paths: &Paths, env: &KeyEnv<'_>) -> Result<Self, KeyError> {
        Self::resolve_with(
            paths,
            env,
            &OsKeychain {
                patience: KEYCHAIN_PATIENCE,
            },
        )
    }

    pub(super) fn resolve_with(
        paths: &Paths,
        env: &KeyEnv<'_>,
        keychain: &dyn Keychain,
    ) -> Result<Self, KeyError> {
        let document = document::load(paths)?.document;
        let header = document.as_ref().map(|document| &document.key);
        let (key, source_name) = match env.choose(paths, header)? {
            MasterKeySource::File(path) => {
                private_fs::sweep(&paths.registry_lock(), std::slice::from_ref(&path));
                (
                    Self::new(&file::read(&path)?, Origin::File),
                    "master key file",
                )
            }
            MasterKeySource::Passphrase => return from_passphrase(env, header),
            MasterKeySource::Keychain => (from_keychain(paths, keychain, header)?, "keychain"),
        };
        let Some(document) = &document else {
            return Ok(key);
        };
        if document.key.id == key.id {
            return Ok(key);
        }
        // A rotation was cut off between replacing the key file and sealing the
        // register: the key to come holds the key that still counts.
        if let Some(next) = &document.next
            && next.id == key.id
            && next.present.id == document.key.id
        {
            return Ok(next.present.open(&key)?);
        }
        Err(KeyError::WrongKey {
            source_name,
            expected: document.key.id.clone(),
            found: key.id,
        })
    }
}

fn from_passphrase(env: &KeyEnv<'_>, header: Option<&KeyHeader>) -> Result<MasterKey, KeyError> {
    let passphrase = env.passphrase()?;
    let Some(header) = header else {
        return MasterKey::from_new_passphrase(&passphrase);
    };
    // A passphrase register without parameters does not parse.
    let kdf: &Kdf = header.kdf.as_ref().ok_or(KeyError::WrongPassphrase)?;
    let key = MasterKey::new(&kdf.derive(&passphrase)?, Origin::Passphrase(kdf.clone()));
    if key.id == header.id {
        Ok(key)
    } else {
        Err(KeyError::WrongPassphrase)
    }
}

fn from_keychain(
    paths: &Paths,
    keychain: &dyn Keychain,
    header: Option<&KeyHeader>,
) -> Result<MasterKey, KeyError> {
    let take = |entry: &str| -> Result<Option<MasterKey>, KeyError> {
        let key = keychain.read(entry)?;
        Ok(key.map(|key| MasterKey::new(&key, Origin::Keychain)))
    };
    let first = take(FIRST_ENTRY)?;
    let missing = |header: &KeyHeader| KeyError::NotInKeychain {
        expected: header.id.clone(),
    };
    if let Some(header) = header {
        if let Some(key) = first.as_ref().filter(|key| key.id == header.id) {
            return Ok(key.copy());
        }
        // A key that took over from another has an entry of its own; where there
        // is none, the first is what was found, be it the wrong one.
        return take(&entry_of(&header.id))?
            .or(first)
            .ok_or_else(|| missing(header));
    }
    if let Some(key) = first {
        return Ok(key);
    }
    // Two processes that start together must not make two keys, so everything
    // is asked again under the lock a change of the register takes.
    let in_register = |error| KeyError::Registry(Box::new(error));
    paths
        .ensure_config_dir()
        .map_err(|error| in_register(error.into()))?;
    let _lock = private_fs::lock(&paths.registry_lock(), LOCK_PATIENCE)
        .map_err(|error| in_register(error.into()))?;
    if let Some(key) = take(FIRST_ENTRY)? {
        return Ok(key);
    }
    if let Some(document) = document::load(paths)?.document {
        return Err(missing(&document.key));
    }
    let key = seal::random::<32>()?;
    keychain.write(FIRST_ENTRY, &key)?;
    // A keychain that takes a key and does not keep it would lose the register.
    match keychain.read(FIRST_ENTRY)? {
        Some(kept) if kept == key => Ok(MasterKey::new(&key, Origin::Keychain)),
        _ => Err(KeyError::Keychain {
            reason: "it did not keep the key it was given".to_owned(),
        }),
    }
}
