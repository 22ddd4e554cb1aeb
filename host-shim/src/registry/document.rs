//! The register as a file: its format, and reading and writing it whole.
//!
//! Invariant: a document that was read is complete and valid down to each
//! field, or there is no document. The format number is looked at first, so a
//! newer file is refused with a sentence instead of a parse error.
//!
//! It opens no sealed body.

use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::master_key::{Kdf, KeyId, NextKey, WrappedKey};
use super::paths::Paths;
use super::private_fs::{self, Warning};
use super::record::{Record, Sudo};

/// The newest format this version reads. A document is written in the lowest
/// format that holds it:
///
/// 1. the key's source and id, and the records;
/// 2. also the keys retired by rotations, and the key a rotation announced;
/// 3. also records that let sudo be used.
///
/// Unknown fields are refused, so new fields need a new number: a version that
/// knows only the first format says that the file is newer.
const FORMAT: u64 = 3;
/// Largest register read or written, in bytes.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// Where a register's master key comes from, as the register itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StoredSource {
    /// A file of the operator's.
    File,
    /// The keychain of the operating system.
    Keychain,
    /// A passphrase.
    Passphrase,
}

/// What a register says about its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyHeader {
    /// Where to look for the key.
    pub(super) source: StoredSource,
    /// Which key it is.
    pub(super) id: KeyId,
    /// How to make it from the passphrase; present for that source alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kdf: Option<Kdf>,
}

/// The whole register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    format: u64,
    /// About the key.
    pub(super) key: KeyHeader,
    /// The key a rotation is about to bring in; absent outside of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<NextKey>,
    /// The keys given up so far, the oldest first, under the present one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) retired: Vec<WrappedKey>,
    /// The records, in order of their ids.
    pub(super) servers: Vec<Record>,
}

/// Reads nothing but the format number.
#[derive(Deserialize)]
struct Probe {
    format: u64,
}

impl Document {
    /// An empty register for a key.
    pub(super) fn new(key: KeyHeader) -> Self {
        Self {
            format: 1,
            key,
            next: None,
            retired: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// Reads a document from bytes; `paths` serves the messages.
    pub(super) fn parse(paths: &Paths, bytes: &[u8]) -> Result<Self, RegistryError> {
        let path = paths.registry_file();
        let malformed = |reason: String| RegistryError::Malformed {
            path: path.clone(),
            reason,
        };
        let probe: Probe =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if probe.format > FORMAT {
            return Err(RegistryError::NewerFormat {
                path,
                found: probe.format,
                newest: FORMAT,
            });
        }
        if probe.format == 0 {
            return Err(malformed(format!("format {} never existed", probe.format)));
        }
        let document: Self =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let key = &document.key;
        if document.format == 1 && document.is_rotated() {
            return Err(malformed("format 1 has no rotated keys".to_owned()));
        }
        if document.format < 3 && document.has_sudo() {
            return Err(malformed(format!(
                "format {} does not say whether sudo may be used",
                document.format
            )));
        }
        if (key.source == StoredSource::Passphrase) != key.kdf.is_some() {
            return Err(malformed(
                "the key's source and its kdf do not fit".to_owned(),
            ));
        }
        if let Some(kdf) = &key.kdf {
            kdf.check().map_err(malformed)?;
        }
        for (index, record) in document.servers.iter().enumerate() {
            record
                .check()
                .map_err(|error| RegistryError::RecordInvalid {
                    id: record.id.clone(),
                    reason: format!("{} {}", error.field, error.reason),
                })?;
            if document.servers[..index]
                .iter()
                .any(|other| other.id == record.id)
            {
                return Err(RegistryError::Duplicate {
                    path,
                    id: record.id.clone(),
                });
            }
        }
        Ok(document)
    }

    fn is_rotated(&self) -> bool {
        self.next.is_some() || !self.retired.is_empty()
    }

    fn has_sudo(&self) -> bool {
        self.servers.iter().any(|record| record.sudo != Sudo::Never)
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self, paths: &Paths) -> Result<Vec<u8>, RegistryError> {
        let path = paths.registry_file();
        let written = Self {
            format: match (self.has_sudo(), self.is_rotated()) {
                (true, _) => 3,
                (false, true) => 2,
                (false, false) => 1,
            },
            ..self.clone()
        };
        let mut bytes =
            serde_json::to_vec_pretty(&written).map_err(|error| RegistryError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_SIZE {
            return Err(private_fs::FileError::TooLarge {
                path,
                limit: MAX_SIZE,
            }
            .into());
        }
        Ok(bytes)
    }
}

/// What stands on disk.
pub(super) struct Loaded {
    /// The register, if there is one.
    pub(super) document: Option<Document>,
    /// Its bytes, for the backup.
    pub(super) bytes: Vec<u8>,
    /// What had to be put right.
    pub(super) warnings: Vec<Warning>,
}

/// Reads the register.
pub(super) fn load(paths: &Paths) -> Result<Loaded, RegistryError> {
    let mut warnings = Vec::new();
    warnings.extend(private_fs::check_dir(&paths.config_dir)?);
    let file = paths.registry_file();
    let Some((bytes, warning)) = private_fs::read_own(&file, MAX_SIZE)? else {
        let backup = paths.registry_backup();
        // A register that vanished is not an empty one: an agent would be told
        // that its servers never existed, and a new key might be made.
        if std::fs::symlink_metadata(&backup).is_ok() {
            return Err(RegistryError::Missing { path: file, backup });
        }
        return Ok(Loaded {
            document: None,
            bytes: Vec::new(),
            warnings,
        });
    };
    warnings.extend(warning);
    let document = Document::parse(paths, &bytes)?;
    Ok(Loaded {
        document: Some(document),
        bytes: bytes.to_vec(),
        warnings,
    })
}

/// Writes the register, keeping what stood there before as the backup.
pub(super) fn store(
    paths: &Paths,
    document: &Document,
    previous: &[u8],
) -> Result<(), RegistryError> {
    let bytes = document.to_bytes(paths)?;
    if !previous.is_empty() {
        private_fs::replace(&paths.registry_backup(), previous)?;
    }
    private_fs::replace(&paths.registry_file(), &bytes)?;
    Ok(())
}

/// Makes the backup equal to the register, where nothing of the former content
/// may stay.
pub(super) fn overwrite_backup(paths: &Paths, document: &Document) -> Result<(), RegistryError> {
    private_fs::replace(&paths.registry_backup(), &document.to_bytes(paths)?)?;
    Ok(())
}
