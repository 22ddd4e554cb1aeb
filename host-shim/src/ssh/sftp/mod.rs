//! Files on a server, over one long-lived SFTP channel (version 3).
//!
//! Invariant: nothing but regular files is opened, names that a server lists
//! are checked before they are used, and a file is replaced by renaming a
//! complete one over it, or not without saying so. It deliberately follows no
//! symbolic link by itself: callers resolve a path, have it judged, and pass
//! the resolved name.

mod answers;
mod attrs;
mod error;
mod flow;
mod handle;
mod in_place;
mod list;
mod marked;
mod plan;
mod read;
mod session;
mod stage;
mod temporary;
mod walk;
mod write;

pub use attrs::{Attrs, FileKind};
pub use error::SftpError;
pub use list::DirEntry;
pub use plan::{Expect, FileAccess, WriteKind, WritePlan};
pub use session::{Sftp, SftpLimits};
pub use stage::staging_name;
pub(in crate::ssh) use temporary::check_temporary;
pub use temporary::{Cleared, temporary_name};
pub use walk::{Walk, WalkEntry};
pub use write::{Drift, WriteOutcome};
