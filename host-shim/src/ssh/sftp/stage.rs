//! A private place on the server for content on its way to somewhere else.
//!
//! Invariant: the directory did not exist before, belongs to the login's account
//! and is closed to others before anything is put into it. It deliberately lies in
//! `/tmp`, which root can read: a login directory on NFS may be closed to root.

use russh_sftp::protocol::FileAttributes;

use super::error::SftpError;
use super::plan::{Expect, WriteKind, WritePlan};
use super::session::Sftp;
use super::temporary::temporary_name;
use crate::ssh::error::SshError;

/// Where such directories are made.
const PARENT: &str = "/tmp";

/// Mode of the directory.
const PRIVATE: u32 = 0o700;

/// Content that was put aside. [`Sftp::unstage`] takes it away again.
#[derive(Debug)]
pub(in crate::ssh) struct Staged {
    directory: String,
    /// Absolute path of the file that holds the content.
    pub(in crate::ssh) file: String,
}

impl Sftp {
    /// Puts content aside.
    pub(in crate::ssh) async fn stage(&self, content: &[u8]) -> Result<Staged, SshError> {
        let mut bytes = [0; 12];
        getrandom::fill(&mut bytes).map_err(|error| SshError::Local(error.to_string()))?;
        let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let directory = format!("{PARENT}/.openshell-stage-{name}");
        let mode = FileAttributes {
            permissions: Some(PRIVATE),
            ..FileAttributes::empty()
        };
        // Fails where the name exists, whatever it is.
        self.raw()
            .mkdir(directory.as_str(), mode)
            .await
            .map_err(|error| self.fail(error, &directory))?;
        let staged = Staged {
            file: format!("{directory}/content"),
            directory,
        };
        match self.fill_stage(&staged, content).await {
            Ok(()) => Ok(staged),
            Err(error) => {
                self.unstage(&staged).await;
                Err(error)
            }
        }
    }

    async fn fill_stage(&self, staged: &Staged, content: &[u8]) -> Result<(), SshError> {
        let made = self.lstat_plain(&staged.directory).await?;
        // A server-side mask can only take bits away; any that are left to others
        // are none of our making.
        if made.is_none_or(|made| made.mode & 0o077 != 0) {
            return Err(SftpError::Failure {
                path: staged.directory.clone(),
                message: "a private directory did not come out private".to_owned(),
            }
            .into());
        }
        let plan = WritePlan {
            path: staged.file.clone(),
            content: content.to_vec(),
            mode: 0o600,
            owner: None,
            found: None,
            expect: Expect::Absent,
            kind: WriteKind::Atomic,
            temporary: temporary_name()?,
        };
        self.write_atomic(&plan).await.map(drop)
    }

    /// Takes staged content away. What cannot be removed stays private.
    pub(in crate::ssh) async fn unstage(&self, staged: &Staged) {
        // It may never have been written, and a lost channel removes nothing.
        let _ = self.remove(&staged.file).await;
        if let Err(error) = self.raw().rmdir(staged.directory.as_str()).await {
            let _ = self.fail(error, &staged.directory);
        }
    }
}
