//! A private place on the server for content on its way to somewhere else.
//!
//! Invariant: the directory did not exist before, belongs to the login's account
//! and is closed to others before anything is put into it. Its name is chosen
//! before, so that it can be put on record first, and nothing but a name of that
//! form is ever removed here. It deliberately lies in `/tmp`, which root can read: a
//! login directory on NFS may be closed to root.

use russh_sftp::protocol::FileAttributes;

use super::attrs::FileKind;
use super::error::SftpError;
use super::plan::{Expect, WriteKind, WritePlan};
use super::session::Sftp;
use super::temporary::{Cleared, check_temporary};
use crate::fault::{self, Point};
use crate::ssh::error::SshError;

/// Where such directories are made.
const PARENT: &str = "/tmp";

/// Mode of the directory.
const PRIVATE: u32 = 0o700;

const PREFIX: &str = ".openshell-stage-";
/// Hexadecimal digits after the prefix: 96 random bits.
const DIGITS: usize = 24;

/// Name of the file that holds the content.
const CONTENT: &str = "content";

/// Content that was put aside. [`Sftp::clear_staging`] takes it away again.
#[derive(Debug)]
pub(in crate::ssh) struct Staged {
    /// Absolute path of the file that holds the content.
    pub(in crate::ssh) file: String,
}

/// Chooses a name for a directory that content is staged in.
///
/// # Errors
/// [`SshError::Local`] when the system has no random bytes.
pub fn staging_name() -> Result<String, SshError> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes).map_err(|error| SshError::Local(error.to_string()))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

/// Absolute name of a directory that [`staging_name`] named.
fn place(name: &str) -> Result<String, SftpError> {
    let is_ours = name.strip_prefix(PREFIX).is_some_and(|digits| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digits.len() == DIGITS && digits.bytes().all(hex)
    });
    if !is_ours {
        return Err(SftpError::InvalidPath {
            path: name.to_owned(),
            reason: "it is not the name of a staging directory",
        });
    }
    Ok(format!("{PARENT}/{name}"))
}

impl Sftp {
    /// Puts content aside in a new directory; `temporary` is what the file there is
    /// called until it is complete. After an error something may be left of it.
    pub(in crate::ssh) async fn stage(
        &self,
        name: &str,
        temporary: &str,
        content: &[u8],
    ) -> Result<Staged, SshError> {
        let directory = place(name)?;
        let mode = FileAttributes {
            permissions: Some(PRIVATE),
            ..FileAttributes::empty()
        };
        fault::reach(Point::StageBefore);
        // Fails where the name exists, whatever it is.
        self.ask(|raw| raw.mkdir(directory.as_str(), mode))
            .await
            .map_err(|error| self.fail(error, &directory))?;
        fault::reach(Point::StageMade);
        let made = self.lstat_plain(&directory).await?;
        // A server-side mask can only take bits away; any that are left to others
        // are none of our making.
        if made.is_none_or(|made| made.mode & 0o077 != 0) {
            return Err(SftpError::Failure {
                path: directory,
                message: "a private directory did not come out private".to_owned(),
            }
            .into());
        }
        let file = format!("{directory}/{CONTENT}");
        let plan = WritePlan {
            path: file.clone(),
            content: content.to_vec(),
            mode: 0o600,
            owner: None,
            found: None,
            expect: Expect::Absent,
            kind: WriteKind::Atomic,
            temporary: temporary.to_owned(),
        };
        self.write_atomic(&plan).await?;
        fault::reach(Point::StageFilled);
        Ok(Staged { file })
    }

    /// Takes staged content away, by the names on record.
    ///
    /// # Errors
    /// [`SftpError::InvalidPath`] for names that are not of our form,
    /// [`SftpError::NotADirectory`] for anything but a private directory, or as the
    /// server answers.
    pub async fn clear_staging(&self, name: &str, temporary: &str) -> Result<Cleared, SshError> {
        let directory = place(name)?;
        check_temporary(temporary)?;
        match self.lstat_plain(&directory).await? {
            None => return Ok(Cleared::Absent),
            Some(found) if found.kind == FileKind::Directory && found.mode & 0o077 == 0 => {}
            Some(_) => return Err(SftpError::NotADirectory { path: directory }.into()),
        }
        for file in [CONTENT, temporary] {
            match self.remove(&format!("{directory}/{file}")).await {
                Ok(()) | Err(SshError::Sftp(SftpError::NoSuchFile { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        match self.ask(|raw| raw.rmdir(directory.as_str())).await {
            Ok(_) => Ok(Cleared::Removed),
            Err(error) => match self.fail(error, &directory) {
                // Somebody else was faster.
                SftpError::NoSuchFile { .. } => Ok(Cleared::Absent),
                error => Err(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    #[test]
    fn only_names_of_our_form_are_places() {
        let name = staging_name().unwrap();
        assert_eq!(place(&name).unwrap(), format!("/tmp/{name}"));
        for name in [
            "",
            ".openshell-stage-",
            ".openshell-stage-0123456789abcdef0123456",
            ".openshell-stage-0123456789ABCDEF01234567",
            ".openshell-stage-../../etc/0123456789abc",
            "x/.openshell-stage-0123456789abcdef01234567",
        ] {
            assert!(place(name).is_err(), "{name}");
        }
    }
}
