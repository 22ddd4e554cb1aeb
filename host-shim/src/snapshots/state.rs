//! What a file was: content, permission bits, owner, or nothing at all.
//!
//! Invariant: the types carry everything a commit needs, so nothing is asked of a
//! server later. They do no work.

use std::borrow::Cow;

/// What stands beside the content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with set-id and sticky bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970, UTC.
    pub mtime: u64,
    /// Name of the owner, where the server says it.
    pub owner: Option<String>,
    /// Name of the group, where the server says it.
    pub group: Option<String>,
}

/// The state of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState<'a> {
    /// There is no file.
    Absent,
    /// There is a regular file.
    Present {
        /// Its bytes.
        content: Cow<'a, [u8]>,
        /// The rest.
        metadata: Metadata,
    },
}

impl FileState<'_> {
    /// Whether two states are the same to an operator: content, permission
    /// bits and owner. The time of modification is not part of it, for writing
    /// the same content again changes it.
    #[must_use]
    pub fn same_as(&self, other: &FileState<'_>) -> bool {
        match (self, other) {
            (FileState::Absent, FileState::Absent) => true,
            (
                FileState::Present { content, metadata },
                FileState::Present {
                    content: other_content,
                    metadata: other_metadata,
                },
            ) => content == other_content && metadata.same_as(other_metadata),
            _ => false,
        }
    }
}

impl Metadata {
    pub(super) fn same_as(&self, other: &Metadata) -> bool {
        (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)
    }
}

/// A state to be kept, and what it has to do with which action.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// Logical server id.
    pub server: &'a str,
    /// Absolute path after every symbolic link was followed.
    pub path: &'a str,
    /// What the file is.
    pub state: FileState<'a>,
    /// Identifier of the action, a ULID.
    pub action: &'a str,
    /// Name of the tool.
    pub tool: &'a str,
    /// The client's session, where it has one.
    pub session: Option<&'a str>,
    /// Where the call came in: `bridge`, `mcp` or `cli`.
    pub door: &'a str,
    /// Who agreed to the action, as the journal says it; none where nobody did
    /// by then.
    pub approved: Option<&'a str>,
    /// Whether the policy calls the content secret; it is then sealed before
    /// it becomes an object.
    pub secret: bool,
    /// The account the change was made as, where that is not the login's.
    pub run_as: Option<&'a str>,
    /// Whether the change takes another one back.
    pub undo: bool,
    /// The revision an undo brings back.
    pub restores: Option<&'a str>,
}

/// Seals secret content before it is kept. `place` names the server and path
/// the content belongs to and has to be authenticated with it, so that one
/// sealed file cannot be passed off as another.
pub trait Sealer: Send + Sync {
    /// Encrypts and authenticates.
    ///
    /// # Errors
    /// One sentence saying why the key cannot be used.
    fn seal(&self, place: &str, content: &[u8]) -> Result<Vec<u8>, String>;

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// One sentence, where the key is another or the content was changed.
    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, String>;
}
