//! Where this program keeps its files.
//!
//! Invariant: every directory it makes is closed to other users (0700) before
//! anything is put into it. Asking for a path touches nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::private_fs::{self, FileError, Warning};

/// Variable that replaces the platform's configuration directory.
const CONFIG_VARIABLE: &str = "OPENSHELL_CONFIG_DIR";
/// Variable that replaces the platform's data directory.
const DATA_VARIABLE: &str = "OPENSHELL_DATA_DIR";

/// The two directories of an installation and the names inside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// What the operator decides: register, host keys, policy.
    pub config_dir: PathBuf,
    /// What the program records: journal, snapshots, long output.
    pub data_dir: PathBuf,
}

/// Why the directories could not be determined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    /// A variable is set to something that names no fixed place.
    #[error("{variable} must be an absolute path, not {value:?}")]
    NotAbsolute {
        /// Name of the variable.
        variable: &'static str,
        /// Its value.
        value: OsString,
    },
    /// The platform does not say where this user's files belong.
    #[error("this user has no home directory; set {CONFIG_VARIABLE} and {DATA_VARIABLE}")]
    NoHome,
}

impl Paths {
    /// Takes two directories as they are.
    #[must_use]
    pub fn new(config_dir: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            config_dir: config_dir.into(),
            data_dir: data_dir.into(),
        }
    }

    /// Takes `OPENSHELL_CONFIG_DIR` and `OPENSHELL_DATA_DIR`, or the platform's
    /// directories for whichever is not set.
    ///
    /// # Errors
    /// [`PathsError`] when a variable is empty or relative, which would let the
    /// working directory choose the register, or when there is no home.
    pub fn from_env() -> Result<Self, PathsError> {
        Self::from_values(
            std::env::var_os(CONFIG_VARIABLE),
            std::env::var_os(DATA_VARIABLE),
        )
    }

    fn from_values(config: Option<OsString>, data: Option<OsString>) -> Result<Self, PathsError> {
        let absolute = |variable, value: OsString| {
            if Path::new(&value).is_absolute() {
                Ok(PathBuf::from(value))
            } else {
                Err(PathsError::NotAbsolute { variable, value })
            }
        };
        let config = config
            .map(|value| absolute(CONFIG_VARIABLE, value))
            .transpose()?;
        let data = data
            .map(|value| absolute(DATA_VARIABLE, value))
            .transpose()?;
        if let (Some(config_dir), Some(data_dir)) = (&config, &data) {
            return Ok(Self::new(config_dir, data_dir));
        }
        let platform =
            directories::ProjectDirs::from("", "", "openshell").ok_or(PathsError::NoHome)?;
        Ok(Self {
            config_dir: config.unwrap_or_else(|| platform.config_dir().to_owned()),
            data_dir: data.unwrap_or_else(|| platform.data_dir().to_owned()),
        })
    }

    /// The register of servers.
    #[must_use]
    pub fn registry_file(&self) -> PathBuf {
        self.config_dir.join("registry.json")
    }

    /// The register as it was before the last change.
    #[must_use]
    pub fn registry_backup(&self) -> PathBuf {
        self.config_dir.join("registry.json.bak")
    }

    /// The file whose lock serialises changes to the register.
    pub(super) fn registry_lock(&self) -> PathBuf {
        self.config_dir.join("registry.lock")
    }

    /// Which workspaces' lists of servers a person trusted.
    #[must_use]
    pub fn trusted_workspaces(&self) -> PathBuf {
        self.config_dir.join("trusted-workspaces.json")
    }

    /// Host keys, in the format of sshd(8).
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.config_dir.join("known_hosts")
    }

    /// The master key of a machine without a keychain, where a person had it made here
    /// and not elsewhere. It counts without being named.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.config_dir.join("master.key")
    }

    /// The operator's rules, a file that may be missing.
    #[must_use]
    pub fn policy_file(&self) -> PathBuf {
        self.config_dir.join("policy.toml")
    }

    /// The file whose presence stops everything.
    #[must_use]
    pub fn pause_file(&self) -> PathBuf {
        self.config_dir.join("paused")
    }

    /// The directory of the journal: its segments, its head, its locks.
    #[must_use]
    pub fn audit_dir(&self) -> PathBuf {
        self.data_dir.join("audit")
    }

    /// The object database that holds file content from before each change.
    #[must_use]
    pub fn snapshots_dir(&self) -> PathBuf {
        self.data_dir.join("snapshots")
    }

    /// Output too long for a result.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.data_dir.join("spool")
    }

    /// Questions that wait for a person, and their answers.
    #[must_use]
    pub fn pending_dir(&self) -> PathBuf {
        self.data_dir.join("pending")
    }

    /// Makes the configuration directory where it is missing (0700).
    ///
    /// # Errors
    /// As [`Paths::ensure`].
    pub fn ensure_config_dir(&self) -> Result<Vec<Warning>, FileError> {
        private_fs::ensure_dir(&self.config_dir).map(|warning| warning.into_iter().collect())
    }

    /// Makes the data directory and one directory in it where they are missing
    /// (0700), such as `paths.ensure(&paths.audit_dir())`.
    ///
    /// # Errors
    /// [`FileError`] when a directory cannot be made, is owned by another user,
    /// or is one that other users share, such as `/tmp`.
    pub fn ensure(&self, dir: &Path) -> Result<Vec<Warning>, FileError> {
        let outer = private_fs::ensure_dir(&self.data_dir)?;
        let inner = private_fs::ensure_dir(dir)?;
        Ok(outer.into_iter().chain(inner).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{CONFIG_VARIABLE, DATA_VARIABLE, Paths, PathsError};

    #[test]
    fn variables_replace_the_platform() {
        let paths = Paths::from_values(Some("/c".into()), Some("/d".into()));
        assert_eq!(paths, Ok(Paths::new("/c", "/d")));
    }

    #[test]
    fn values_that_name_no_fixed_place_are_refused() {
        for (config, data, variable, value) in [
            (Some(""), Some("/d"), CONFIG_VARIABLE, ""),
            (Some("c"), None, CONFIG_VARIABLE, "c"),
            (Some("/c"), Some("./d"), DATA_VARIABLE, "./d"),
        ] {
            assert_eq!(
                Paths::from_values(config.map(Into::into), data.map(Into::into)),
                Err(PathsError::NotAbsolute {
                    variable,
                    value: value.into()
                })
            );
        }
    }
}
