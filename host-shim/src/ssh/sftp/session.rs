//! The SFTP channel itself and the operations that are one request.
//!
//! Invariant: a channel that failed once is never used again. It deliberately
//! does not retry: the connection opens another channel on the next use.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::ChannelMsg;
use russh_sftp::client::rawsession::{Limits, RawSftpSession};
use russh_sftp::client::{Config, error::Error as Raw};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};

use super::answers::Answers;
use super::attrs::{Attrs, FileKind, MAX_ACCOUNT};
use super::error::SftpError;
use super::handle::Handle;
use crate::fault::{self, Point};
use crate::ssh::channel::{Activity, SessionChannel};
use crate::ssh::error::SshError;

/// How long a server may answer no request at all before the channel counts as lost,
/// in times that it may say nothing: some requests take a while, such as a `fsync`.
const SILENCES: u32 = 3;

/// Seconds after which the library gives a single request up, whatever else is
/// answered. Its clock starts when a request is queued, so deep pipelines on slow
/// links need room.
const REQUEST_LIMIT_SECS: u64 = 3600;

/// Largest packet accepted from a server, as in OpenSSH (`SFTP_MAX_MSG_LENGTH`).
const MAX_PACKET: u32 = 256 << 10;

/// Longest path sent: `PATH_MAX` of Linux.
const MAX_PATH: usize = 4096;

/// What a server says it takes at once (`limits@openssh.com`, OpenSSH `PROTOCOL`
/// section 4.8), in bytes; 0 where it sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SftpLimits {
    /// Longest packet.
    pub packet: u64,
    /// Longest read request.
    pub read: u64,
    /// Longest write request.
    pub write: u64,
    /// Open handles.
    pub handles: u64,
}

/// An open SFTP session.
pub struct Sftp {
    raw: Arc<RawSftpSession>,
    answers: Answers,
    limits: Option<SftpLimits>,
    extensions: HashMap<String, String>,
    dead: AtomicBool,
    activity: Activity,
}

impl std::fmt::Debug for Sftp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sftp")
            .field("extensions", &self.extensions)
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}

impl Sftp {
    /// Starts the subsystem in a fresh channel of a server that may say nothing for
    /// `silence`.
    pub(in crate::ssh) async fn open(
        mut channel: SessionChannel,
        activity: Activity,
        silence: Duration,
    ) -> Result<Self, SshError> {
        let unavailable = |reason: &str| SftpError::Unavailable {
            reason: reason.to_owned(),
        };
        channel.request_subsystem("sftp").await?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => {
                    return Err(unavailable("the subsystem is refused").into());
                }
                None | Some(ChannelMsg::Close) => {
                    return Err(unavailable("the channel was closed").into());
                }
                Some(_) => {}
            }
        }
        let config = Config {
            max_packet_len: MAX_PACKET,
            request_timeout_secs: REQUEST_LIMIT_SECS,
            ..Config::default()
        };
        let mut raw = RawSftpSession::new_with_config(channel.into_stream()?, config);
        let version = raw
            .init()
            .await
            .map_err(|_| unavailable("it does not answer as SFTP version 3 does"))?;
        if version.version != 3 {
            return Err(unavailable(&format!(
                "the server speaks SFTP version {}, not 3",
                version.version
            ))
            .into());
        }
        let mut said = None;
        if version.extensions.contains_key("limits@openssh.com")
            && let Ok(limits) = raw.limits().await
        {
            said = Some(SftpLimits {
                packet: limits.max_packet_len,
                read: limits.max_read_len,
                write: limits.max_write_len,
                handles: limits.max_open_handles,
            });
            raw.set_limits(Limits {
                // A handle is counted by the library only when it is closed by
                // the library; the server's own limit is far away from ours.
                open_handles: None,
                ..Limits::from(limits)
            });
        }
        fault::reach(Point::SftpOpened);
        Ok(Self {
            raw: Arc::new(raw),
            answers: Answers::new(silence * SILENCES),
            limits: said,
            extensions: version.extensions,
            dead: AtomicBool::new(false),
            activity,
        })
    }

    /// The extensions the server offers, in order of their names.
    #[must_use]
    pub fn extensions(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.extensions.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// What the server says it takes at once; none where it does not say.
    #[must_use]
    pub fn limits(&self) -> Option<SftpLimits> {
        self.limits
    }

    /// Whether the channel may still be used.
    pub(in crate::ssh) fn is_alive(&self) -> bool {
        !self.dead.load(Ordering::Relaxed)
    }

    /// Makes a request and waits for its answer.
    pub(super) fn ask<'a, T, F>(
        &'a self,
        request: impl FnOnce(&'a RawSftpSession) -> F,
    ) -> impl Future<Output = Result<T, Raw>>
    where
        F: Future<Output = Result<T, Raw>>,
    {
        self.activity.touch();
        // Every request goes through here, once.
        fault::reach(Point::SftpRequest);
        self.answers.wait(request(&self.raw))
    }

    /// The session, for a request that outlives its caller.
    pub(super) fn shared(&self) -> Arc<RawSftpSession> {
        Arc::clone(&self.raw)
    }

    /// Whether the server offers an extension (OpenSSH `PROTOCOL`, section 4).
    pub(super) fn offers(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension)
    }

    /// Maps an error, and retires the channel if it is one of the channel.
    pub(super) fn fail(&self, error: Raw, path: &str) -> SftpError {
        let error = SftpError::from_raw(error, path);
        if matches!(error, SftpError::Lost { .. }) {
            self.dead.store(true, Ordering::Relaxed);
        }
        error
    }

    /// `SSH_FXP_REALPATH`: the absolute name with every symbolic link followed.
    /// The last component may be missing.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn realpath(&self, path: &str) -> Result<String, SshError> {
        checked(path)?;
        let reply = self.ask(|raw| raw.realpath(path)).await;
        let mut name = reply.map_err(|error| self.fail(error, path))?;
        let resolved = name.files.pop().map(|file| file.filename);
        match resolved {
            Some(resolved) if is_canonical(&resolved) => Ok(resolved),
            _ => Err(SftpError::Failure {
                path: path.to_owned(),
                message: "no canonical name".to_owned(),
            }
            .into()),
        }
    }

    /// Attributes of the name itself, links not followed.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn lstat(&self, path: &str) -> Result<Attrs, SshError> {
        checked(path)?;
        let reply = self.ask(|raw| raw.lstat(path)).await;
        let raw = reply.map_err(|error| self.fail(error, path))?.attrs;
        Ok(self.with_names(Attrs::from(&raw)).await)
    }

    /// Attributes of what the name leads to, links followed.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn stat(&self, path: &str) -> Result<Attrs, SshError> {
        Ok(self.with_names(self.stat_plain(path).await?).await)
    }

    /// Kind of what the name leads to, links followed.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn kind(&self, path: &str) -> Result<FileKind, SshError> {
        Ok(self.stat_plain(path).await?.kind)
    }

    /// As [`Sftp::stat`], without looking up names.
    pub(super) async fn stat_plain(&self, path: &str) -> Result<Attrs, SftpError> {
        checked(path)?;
        let reply = self.ask(|raw| raw.stat(path)).await;
        let raw = reply.map_err(|error| self.fail(error, path))?.attrs;
        Ok(Attrs::from(&raw))
    }

    /// As [`Sftp::lstat`], without looking up names; none if there is nothing.
    pub(super) async fn lstat_plain(&self, path: &str) -> Result<Option<Attrs>, SftpError> {
        checked(path)?;
        match self.ask(|raw| raw.lstat(path)).await {
            Ok(reply) => Ok(Some(Attrs::from(&reply.attrs))),
            Err(error) => match self.fail(error, path) {
                SftpError::NoSuchFile { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Target of a symbolic link, as it is written in the link.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn readlink(&self, path: &str) -> Result<String, SshError> {
        checked(path)?;
        let reply = self.ask(|raw| raw.readlink(path)).await;
        let mut name = reply.map_err(|error| self.fail(error, path))?;
        let target = name.files.pop().map(|file| file.filename);
        target
            .filter(|target| checked(target).is_ok())
            .ok_or_else(|| {
                SftpError::Failure {
                    path: path.to_owned(),
                    message: "no target".to_owned(),
                }
                .into()
            })
    }

    /// Removes a file or a symbolic link, not a directory.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn remove(&self, path: &str) -> Result<(), SshError> {
        checked(path)?;
        fault::reach(Point::RemoveBefore);
        let reply = self.ask(|raw| raw.remove(path)).await;
        fault::reach(Point::Removed);
        match reply {
            Ok(_) => Ok(()),
            Err(error) => Err(match self.fail(error, path) {
                SftpError::Lost { .. } => SftpError::Lost { changed: true },
                other => other,
            }
            .into()),
        }
    }

    /// Opens a regular file for reading. Anything else is refused before it is
    /// opened, because opening a pipe would block the server's whole session.
    pub(super) async fn open_file(&self, path: &str) -> Result<(Handle<'_>, Attrs), SftpError> {
        let before = self.stat_plain(path).await?;
        if before.kind != FileKind::File {
            return Err(SftpError::NotAFile {
                path: path.to_owned(),
            });
        }
        let handle = self
            .open_raw(path, OpenFlags::READ, FileAttributes::empty())
            .await?;
        Ok((handle, before))
    }

    /// What an open file is, which has to be a regular one: it may be another by now
    /// than the one that was looked at before it was opened.
    pub(super) async fn facts(&self, handle: &Handle<'_>, path: &str) -> Result<Attrs, SftpError> {
        let reply = self.ask(|raw| raw.fstat(handle.name.as_str())).await;
        let attrs = Attrs::from(&reply.map_err(|error| self.fail(error, path))?.attrs);
        if attrs.kind != FileKind::File {
            return Err(SftpError::NotAFile {
                path: path.to_owned(),
            });
        }
        Ok(attrs)
    }

    pub(super) async fn open_raw(
        &self,
        path: &str,
        flags: OpenFlags,
        attrs: FileAttributes,
    ) -> Result<Handle<'_>, SftpError> {
        checked(path)?;
        let name = path.to_owned();
        let open = async move |raw: Arc<RawSftpSession>| raw.open(name, flags, attrs).await;
        let opened = Handle::opened(self, open).await;
        opened.map_err(|error| self.fail(error, path))
    }

    /// An extended request answered by a status.
    pub(super) async fn extended_status(
        &self,
        name: &str,
        strings: &[&str],
        path: &str,
    ) -> Result<(), SftpError> {
        let mut data = Vec::new();
        for string in strings {
            put_string(&mut data, string.as_bytes());
        }
        match self.ask(|raw| raw.extended(name, data)).await {
            Ok(Packet::Status(status)) if status.status_code == StatusCode::Ok => Ok(()),
            Ok(Packet::Status(status)) => Err(self.fail(Raw::Status(status), path)),
            Ok(_) => Err(self.fail(Raw::UnexpectedPacket, path)),
            Err(error) => Err(self.fail(error, path)),
        }
    }

    /// Fills in names by `users-groups-by-id@openssh.com` where it is offered.
    async fn with_names(&self, mut attrs: Attrs) -> Attrs {
        const EXTENSION: &str = "users-groups-by-id@openssh.com";
        if !self.offers(EXTENSION) {
            return attrs;
        }
        // Two strings of packed numbers; the reply is two strings of packed strings.
        let mut data = Vec::new();
        put_string(&mut data, &attrs.uid.to_be_bytes());
        put_string(&mut data, &attrs.gid.to_be_bytes());
        // Names are a courtesy: without them the numbers stand.
        if let Ok(Packet::ExtendedReply(reply)) =
            self.ask(|raw| raw.extended(EXTENSION, data)).await
            && let Some((users, rest)) = take_string(&reply.data)
            && let Some((groups, _)) = take_string(rest)
        {
            attrs.owner = take_string(users).and_then(|(name, _)| name_from(name));
            attrs.group = take_string(groups).and_then(|(name, _)| name_from(name));
        }
        attrs
    }
}

/// Whether an answer to `SSH_FXP_REALPATH` is what was asked for: an absolute
/// name without anything left to resolve.
fn is_canonical(path: &str) -> bool {
    checked(path).is_ok()
        && path.starts_with('/')
        && !path.split('/').any(|part| matches!(part, "." | ".."))
}

/// Refuses paths that cannot be meant.
pub(super) fn checked(path: &str) -> Result<(), SftpError> {
    let reason = if path.is_empty() {
        "a path must not be empty"
    } else if path.contains('\0') {
        "a path must not contain NUL"
    } else if path.len() > MAX_PATH {
        "a path must not be longer than 4096 bytes"
    } else {
        return Ok(());
    };
    Err(SftpError::InvalidPath {
        path: path.to_owned(),
        reason,
    })
}

fn put_string(data: &mut Vec<u8>, bytes: &[u8]) {
    // Paths and numbers are checked to be far below 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    data.extend_from_slice(&length.to_be_bytes());
    data.extend_from_slice(bytes);
}

fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn name_from(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    (!name.is_empty() && name.len() <= MAX_ACCOUNT).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{MAX_PATH, is_canonical};

    #[test]
    fn canonical_names() {
        for path in ["/", "/a", "/a/b.c", "/a/...", "/ \u{1b}"] {
            assert!(is_canonical(path), "{path:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for path in [
            "", ".", "a", "a/b", "/a/..", "/./a", "/a/../b", "/a\0", &long,
        ] {
            assert!(!is_canonical(path), "{path:?}");
        }
    }
}
