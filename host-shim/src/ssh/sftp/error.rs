//! Why a file operation failed.
//!
//! Invariant: an error says whether the server's state may have changed only
//! where the operation could change it. It deliberately maps no error to
//! success, `SSH_FX_EOF` included, which the readers take out before.

use russh_sftp::client::error::Error as Raw;
use russh_sftp::protocol::StatusCode;

/// Characters kept of what a server says; an answer may be 256 KiB long.
const MAX_WORDS: usize = 300;

/// Why a file operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SftpError {
    /// `SSH_FX_NO_SUCH_FILE`: the path, or a directory on it, does not exist.
    #[error("{path}: no such file")]
    NoSuchFile {
        /// The path as it was sent.
        path: String,
    },
    /// `SSH_FX_PERMISSION_DENIED`.
    #[error("{path}: permission denied")]
    PermissionDenied {
        /// The path as it was sent.
        path: String,
    },
    /// `SSH_FX_FAILURE` and other codes; the server says little more.
    #[error("{path}: the server answered {message:?}")]
    Failure {
        /// The path as it was sent.
        path: String,
        /// The server's words.
        message: String,
    },
    /// It is a directory, a device, a pipe or a socket.
    #[error("{path}: not a regular file")]
    NotAFile {
        /// The path as it was sent.
        path: String,
    },
    /// It is not a directory.
    #[error("{path}: not a directory")]
    NotADirectory {
        /// The path as it was sent.
        path: String,
    },
    /// The file is larger than the caller wants to hold.
    #[error("{path}: {size} bytes are more than the {limit} allowed")]
    TooLarge {
        /// The path as it was sent.
        path: String,
        /// Size in bytes, at least.
        size: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The file is not what the write was made for; nothing was written.
    #[error("{path}: changed meanwhile ({found})")]
    Conflict {
        /// The path as it was sent.
        path: String,
        /// What was found instead.
        found: String,
    },
    /// Replacing the file as planned is impossible; nothing was written.
    #[error("{path}: cannot be replaced as planned: {reason}")]
    NotAsPlanned {
        /// The path as it was sent.
        path: String,
        /// Which step failed.
        reason: String,
    },
    /// The file may hold old, new or mixed content.
    #[error("{path}: the write may be incomplete: {reason}")]
    Incomplete {
        /// The path as it was sent.
        path: String,
        /// Which step failed.
        reason: String,
    },
    /// The write failed, and its temporary file could not be removed.
    #[error("{source}; the temporary file {temporary} may be left on the server")]
    LeftBehind {
        /// Absolute name of the temporary file.
        temporary: String,
        /// Why the write failed.
        source: Box<SftpError>,
    },
    /// A path that SFTP cannot carry, or that is not what the operation takes.
    #[error("{path:?}: {reason}")]
    InvalidPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server listed a name that no directory can hold; the listing is not used.
    #[error("{path}: the server lists the impossible name {name:?}")]
    HostileName {
        /// The directory.
        path: String,
        /// The name, or its beginning.
        name: String,
    },
    /// The directory lists more than anybody could use; the listing is not used.
    #[error("{path}: the server lists more than {limit}")]
    Endless {
        /// The directory.
        path: String,
        /// What is accepted.
        limit: &'static str,
    },
    /// The server offers no SFTP.
    #[error("no SFTP on this server: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// The channel or the connection ended, or the server stopped answering.
    #[error("the SFTP channel was lost{}", if *.changed { "; what was under way may have happened" } else { "" })]
    Lost {
        /// Whether the server's state may have been changed.
        changed: bool,
    },
}

impl SftpError {
    /// Gives an error of the library its path.
    pub(super) fn from_raw(error: Raw, path: &str) -> Self {
        let path = path.to_owned();
        match error {
            Raw::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => Self::NoSuchFile { path },
                StatusCode::PermissionDenied => Self::PermissionDenied { path },
                StatusCode::NoConnection | StatusCode::ConnectionLost => {
                    Self::Lost { changed: false }
                }
                code if status.error_message.is_empty() => Self::Failure {
                    path,
                    message: code.to_string(),
                },
                _ => Self::Failure {
                    path,
                    message: shortened(&status.error_message),
                },
            },
            Raw::Limited(message) => Self::Failure { path, message },
            // Everything else is the channel's end, or a server out of step.
            Raw::IO(_) | Raw::Timeout | Raw::UnexpectedPacket | Raw::UnexpectedBehavior(_) => {
                Self::Lost { changed: false }
            }
        }
    }
}

/// The beginning of a server's words.
pub(super) fn shortened(words: &str) -> String {
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_words_are_shortened_between_characters() {
        assert_eq!(shortened("as it is"), "as it is");
        let long = "\u{fc}".repeat(301);
        assert_eq!(shortened(&long), format!("{}...", "\u{fc}".repeat(300)));
        assert_eq!(shortened(&long[..600]), long[..600]);
    }
}
