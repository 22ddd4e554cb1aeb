//! Looking at the place a file is to be written to, before anything is decided.
//!
//! Invariant: nothing here changes the server. A name is resolved through every
//! symbolic link once, and everything after goes by the resolved name.

use super::change::Present;
use super::digest::sha256;
use super::failure::failure;
use crate::engine::contract::{Base, Failure, FailureCode, WriteSpec};
use crate::ssh::{self, Sftp, SftpError, SshError};

/// Resolves the name a write goes to; the file itself may be missing, its
/// directory may not.
pub(super) async fn resolve(sftp: &Sftp, path: &str) -> Result<String, Failure> {
    if sftp.lstat(path).await.is_ok() {
        // A dangling link would be created at its target; OpenSSH resolves that.
        return Ok(sftp.realpath(path).await?);
    }
    let trimmed = path.trim_end_matches('/');
    let (directory, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
    if name.is_empty() || name == "." || name == ".." {
        return Err(failure(
            FailureCode::NotAFile,
            format!("{path} does not name a file."),
            "Give the path of a file.",
        ));
    }
    let directory = if directory.is_empty() { "/" } else { directory };
    match sftp.stat(directory).await {
        Ok(attrs) if attrs.kind == ssh::FileKind::Directory => {}
        Ok(_) => {
            return Err(failure(
                FailureCode::NotADirectory,
                format!("{directory} is not a directory."),
                "",
            ));
        }
        Err(error) => {
            return Err(match error {
                SshError::Sftp(SftpError::NoSuchFile { .. }) => failure(
                    FailureCode::FileNotFound,
                    format!("The directory {directory} does not exist."),
                    "Create it first with remote_exec.",
                ),
                other => other.into(),
            });
        }
    }
    let directory = sftp.realpath(directory).await?;
    Ok(format!("{}/{name}", directory.trim_end_matches('/')))
}

/// Reads a file as it is; none when there is none. `limit` in bytes.
pub(super) async fn present(
    sftp: &Sftp,
    path: &str,
    limit: u64,
) -> Result<Option<Present>, Failure> {
    let attrs = match sftp.stat(path).await {
        Ok(attrs) => attrs,
        Err(SshError::Sftp(SftpError::NoSuchFile { .. })) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if attrs.kind != ssh::FileKind::File {
        return Err(failure(
            FailureCode::NotAFile,
            format!("{path} is there and is not a regular file."),
            "Only regular files are written.",
        ));
    }
    check_size(&format!("{path} has"), attrs.size, limit)?;
    let (content, mut now) = sftp.read_whole(path, limit).await?;
    // An open file says no names; those of before hold where it still is theirs.
    if now.uid == attrs.uid {
        now.owner = now.owner.or(attrs.owner);
    }
    if now.gid == attrs.gid {
        now.group = now.group.or(attrs.group);
    }
    Ok(Some(Present {
        content,
        attrs: now,
    }))
}

/// Refuses what could not be kept: neither the old nor the new content of a
/// change may be larger than the limit. `what` begins the sentence.
pub(super) fn check_size(what: &str, bytes: u64, limit: u64) -> Result<(), Failure> {
    if bytes <= limit {
        return Ok(());
    }
    Err(failure(
        FailureCode::TooLarge,
        format!(
            "{what} {bytes} bytes; both sides of a change are kept, and that is done up to \
             {limit} bytes. Nothing was written."
        ),
        "Change it with a command through remote_exec, which cannot be undone here; the operator \
         can raise `largest` in policy.toml.",
    ))
}

/// Refuses a write whose caller saw another file than the one there is.
pub(super) fn check_base(spec: &WriteSpec, before: Option<&Present>) -> Result<(), Failure> {
    let conflict = |what: &str| {
        Err(failure(
            FailureCode::Conflict,
            format!("{} {what}; nothing was written.", spec.path),
            "Read the file again and decide anew.",
        ))
    };
    match (&spec.base, before) {
        (Base::Current, _) | (Base::Absent, None) => Ok(()),
        (Base::Absent, Some(_)) => conflict("exists by now"),
        (Base::Sha256(_), None) => conflict("is gone by now"),
        (Base::Sha256(expected), Some(present)) if *expected == sha256(&present.content) => Ok(()),
        (Base::Sha256(_), Some(_)) => conflict("has changed in the meantime"),
    }
}
