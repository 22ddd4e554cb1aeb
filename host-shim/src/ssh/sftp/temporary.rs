//! The temporary file of a write: its name, its removal, and what is left of it.
//!
//! Invariant: the name is chosen before the write begins, so that it can be put
//! on record first; whoever finds the file later knows whose it was. Nothing but
//! a name of this form is ever removed here. It deliberately looks for no
//! temporary files: only one that is on record is ours for sure.

use std::sync::atomic::{AtomicBool, Ordering};

use super::attrs::FileKind;
use super::error::SftpError;
use super::plan::{WritePlan, split};
use super::session::Sftp;
use crate::ssh::error::SshError;

const PREFIX: &str = ".openshell-";
const SUFFIX: &str = ".tmp";
/// Hexadecimal digits between prefix and suffix: 64 random bits.
const DIGITS: usize = 16;

/// Chooses a name for a temporary file, to stand in the directory of its target.
///
/// # Errors
/// [`SshError::Local`] when the system has no random bytes.
pub fn temporary_name() -> Result<String, SshError> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes).map_err(|error| SshError::Local(error.to_string()))?;
    let random = u64::from_be_bytes(bytes);
    Ok(format!("{PREFIX}{random:016x}{SUFFIX}"))
}

/// Whether a name is one that [`temporary_name`] gives.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|digits| {
            digits.len() == DIGITS
                && digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
}

/// What became of a temporary file that an interrupted write may have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// It was there and is removed.
    Removed,
    /// There is nothing of that name.
    Absent,
}

impl Sftp {
    /// Removes a temporary file beside a target, by its name on record.
    ///
    /// # Errors
    /// [`SftpError::InvalidPath`] for a name that is not of a temporary file or a
    /// target that is no absolute path, [`SftpError::NotAFile`], or as the server
    /// answers.
    pub async fn clear_temporary(&self, target: &str, name: &str) -> Result<Cleared, SshError> {
        let path = beside(target, name)?;
        match self.lstat_plain(&path).await? {
            None => return Ok(Cleared::Absent),
            Some(attrs) if attrs.kind == FileKind::File => {}
            Some(_) => return Err(SftpError::NotAFile { path }.into()),
        }
        match self.remove(&path).await {
            Ok(()) => Ok(Cleared::Removed),
            // Somebody else was faster.
            Err(SshError::Sftp(SftpError::NoSuchFile { .. })) => Ok(Cleared::Absent),
            Err(error) => Err(error),
        }
    }
}

/// Refuses a name that is not of a temporary file.
pub(in crate::ssh) fn check_temporary(name: &str) -> Result<(), SftpError> {
    if is_temporary(name) {
        return Ok(());
    }
    Err(SftpError::InvalidPath {
        path: name.to_owned(),
        reason: "it is not the name of a temporary file",
    })
}

/// Absolute name of a temporary file beside a target.
fn beside(target: &str, name: &str) -> Result<String, SftpError> {
    let (parent, _) = split(target)?;
    check_temporary(name)?;
    Ok(format!("{}/{name}", parent.trim_end_matches('/')))
}

/// The temporary file of a write under way. It is removed on drop as well, for
/// calls that are dropped half-way.
pub(super) struct Temporary<'a> {
    sftp: &'a Sftp,
    path: String,
    /// Whether it was asked for and neither renamed nor removed since.
    exists: AtomicBool,
}

impl<'a> Temporary<'a> {
    pub(super) fn new(sftp: &'a Sftp, plan: &WritePlan) -> Result<Self, SftpError> {
        Ok(Self {
            sftp,
            path: beside(&plan.path, &plan.temporary)?,
            exists: AtomicBool::new(false),
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Notes that it is about to be asked for: if the answer is lost, it may exist.
    pub(super) fn may_exist(&self) {
        self.exists.store(true, Ordering::Relaxed);
    }

    /// Notes that it was refused, or carries its final name now.
    pub(super) fn is_gone(&self) {
        self.exists.store(false, Ordering::Relaxed);
    }

    /// Removes it after an error, and returns the error; with the file's name
    /// where it may still be there.
    pub(super) async fn remove_after(&self, error: SftpError) -> SftpError {
        if !self.exists.swap(false, Ordering::Relaxed) {
            return error;
        }
        if self.sftp.is_alive() {
            let reply = self.sftp.ask(|raw| raw.remove(self.path.as_str())).await;
            match reply.map_err(|failed| self.sftp.fail(failed, &self.path)) {
                Ok(_) | Err(SftpError::NoSuchFile { .. }) => return error,
                Err(_) => {}
            }
        }
        SftpError::LeftBehind {
            temporary: self.path.clone(),
            source: Box::new(error),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.exists.swap(false, Ordering::Relaxed) {
            // The request is queued by the first poll; nobody needs the answer.
            use futures::FutureExt;
            let _ = self
                .sftp
                .ask(|raw| raw.remove(self.path.as_str()))
                .now_or_never();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    #[test]
    fn names_are_ours_and_stay_beside_the_target() {
        let name = temporary_name().unwrap();
        assert!(is_temporary(&name), "{name}");
        assert_ne!(name, temporary_name().unwrap());
        assert_eq!(beside("/etc/hosts", &name), Ok(format!("/etc/{name}")));
        assert_eq!(beside("/hosts", &name), Ok(format!("/{name}")));
        for other in [
            "",
            "hosts",
            "../.openshell-0123456789abcdef.tmp",
            ".openshell-0123456789abcdef.tmp/x",
            ".openshell-0123456789ABCDEF.tmp",
            ".openshell-0123456789abcde.tmp",
            ".openshell-.tmp",
        ] {
            assert!(beside("/etc/hosts", other).is_err(), "{other:?}");
        }
        assert!(beside("etc/hosts", &name).is_err());
    }
}
