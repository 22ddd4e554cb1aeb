//! One directory.
//!
//! Invariant: a listing holds only names that can be one component of a path;
//! if a server sends another, or no end of names, the listing is refused as a
//! whole. It deliberately does not sort by anything but the bytes of the name.

use std::sync::Arc;

use russh_sftp::client::error::Error as Raw;
use russh_sftp::client::rawsession::RawSftpSession;
use russh_sftp::protocol::StatusCode;

use super::attrs::{Attrs, FileKind, names_in_longname};
use super::error::{SftpError, shortened};
use super::handle::Handle;
use super::session::{Sftp, checked};
use crate::ssh::error::SshError;

/// Entries read from one directory at most, bytes of their names, and bytes in
/// all: servers send an `ls -l` line with each. One entry costs some 150 bytes of
/// memory besides its name, and a walk reads 16 directories at once.
const MAX_ENTRIES: usize = 200_000;
const MAX_NAMES: usize = 16 << 20;
const MAX_BYTES: usize = 64 << 20;
const LIMITS: &str = "200,000 names, 16 MiB of names or 64 MiB in all";

/// Longest name used, in bytes. File systems allow 255 characters, which are
/// 1,020 bytes at most.
const MAX_NAME: usize = 1024;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// One path component.
    pub name: String,
    /// Whether the name is not UTF-8 on the server; it then cannot be opened.
    pub lossy: bool,
    /// Attributes of the name itself, links not followed.
    pub attrs: Attrs,
}

impl Sftp {
    /// Lists a directory in order of names, without `.` and `..`.
    ///
    /// # Errors
    /// [`SftpError::HostileName`] for a name that no directory can hold,
    /// [`SftpError::NotADirectory`], or as the server answers.
    pub async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SshError> {
        Ok(self.list_plain(path).await?)
    }

    pub(super) async fn list_plain(&self, path: &str) -> Result<Vec<DirEntry>, SftpError> {
        checked(path)?;
        let name = path.to_owned();
        let open = async move |raw: Arc<RawSftpSession>| raw.opendir(name).await;
        let handle = match Handle::opened(self, open).await {
            Ok(handle) => handle,
            Err(error) => {
                let error = self.fail(error, path);
                // OpenSSH answers ENOTDIR with SSH_FX_NO_SUCH_FILE or _FAILURE.
                let vague = matches!(
                    error,
                    SftpError::NoSuchFile { .. } | SftpError::Failure { .. }
                );
                if vague
                    && let Ok(attrs) = self.stat_plain(path).await
                    && attrs.kind != FileKind::Directory
                {
                    return Err(SftpError::NotADirectory {
                        path: path.to_owned(),
                    });
                }
                return Err(error);
            }
        };
        let result = self.entries(path, &handle.name).await;
        // Nobody answers on a channel that failed, and waiting for it takes long.
        if self.is_alive() {
            // The entries are what was asked for; a failed close takes nothing from them.
            let _ = handle.close(path).await;
        }
        result
    }

    async fn entries(&self, path: &str, handle: &str) -> Result<Vec<DirEntry>, SftpError> {
        let mut entries = Vec::new();
        let (mut names, mut bytes) = (0, 0);
        loop {
            let batch = match self.ask(|raw| raw.readdir(handle)).await {
                Ok(batch) => batch.files,
                Err(Raw::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(self.fail(error, path)),
            };
            if batch.is_empty() {
                // Nothing without an end: asking again could go on for ever.
                break;
            }
            for file in batch {
                if file.filename == "." || file.filename == ".." {
                    continue;
                }
                if !is_component(&file.filename) {
                    return Err(SftpError::HostileName {
                        path: path.to_owned(),
                        name: shortened(&file.filename),
                    });
                }
                names += file.filename.len();
                bytes += file.filename.len() + file.longname.len();
                if entries.len() == MAX_ENTRIES || names > MAX_NAMES || bytes > MAX_BYTES {
                    return Err(SftpError::Endless {
                        path: path.to_owned(),
                        limit: LIMITS,
                    });
                }
                let mut attrs = Attrs::from(&file.attrs);
                if let Some((owner, group)) = names_in_longname(&file.longname, &file.filename) {
                    attrs.owner = Some(owner);
                    attrs.group = Some(group);
                }
                entries.push(DirEntry {
                    // The library decodes names lossily.
                    lossy: file.filename.contains(char::REPLACEMENT_CHARACTER),
                    name: file.filename,
                    attrs,
                });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

/// Whether a name can be one component of a path.
fn is_component(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME, is_component};

    #[test]
    fn components() {
        for name in ["a", "...", " ", "a\nb", "-rf", "\u{fffd}"] {
            assert!(is_component(name), "{name:?}");
        }
        for name in ["", "/", "../x", "a/b", "a\0"] {
            assert!(!is_component(name), "{name:?}");
        }
        assert!(is_component(&"n".repeat(MAX_NAME)));
        assert!(!is_component(&"n".repeat(MAX_NAME + 1)));
    }
}
