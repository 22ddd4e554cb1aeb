//! Servers that a workspace brings along: `.openshell/servers.json`.
//!
//! A repository can contain anything, so the file counts for nothing until a
//! person has trusted exactly these bytes in exactly this folder.
//!
//! Invariant: an untrusted file is hashed and not interpreted, except to show a
//! person what it lists; the bytes that were hashed are the ones interpreted
//! afterwards. No entry holds a secret, takes
//! the place of a server of the operator's, or reaches a key outside of its
//! workspace by a relative path.
//!
//! It stores no host key and no credential: host keys come from the operator's
//! known_hosts files, logins from a key file or the running agent.

mod file;
mod trust;

pub use file::{WorkspaceError, WorkspaceServer, WorkspaceServers};
pub use trust::{is_trusted, revoke_trust, trust};

#[cfg(test)]
mod tests;
