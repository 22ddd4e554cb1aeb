//! Snapshots: what every changed file was before and after, as git history.
//!
//! A bare repository whose object database is all that is used: one branch per
//! server, the remote path as the path in the tree, one commit per state of one
//! file. Any git reads it: `git log -p prod-a -- etc/nginx/nginx.conf`.
//!
//! Invariant: a state that was handed in and acknowledged is on disk, and what
//! is loaded again is byte for byte what was handed in, or an error.
//!
//! What it deliberately does not do: talk to servers, or decide which content is
//! secret.

mod capture;
mod error;
mod history;
mod index;
mod ledger;
mod message;
mod names;
mod objects;
mod pack;
mod push;
mod read;
mod repository;
mod seal;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod undoable;
mod verify;

pub use capture::SnapshotRef;
pub use error::SnapshotError;
pub use history::Revision;
pub use message::Kind;
pub use names::server_id;
pub use pack::{Packed, Stock};
pub use push::Pushed;
pub use state::{Change, FileState, Metadata, Sealer};
pub use store::{LARGEST, Snapshots};
pub use undoable::{Selection, Undoable};
pub use verify::{Fault, Verification};
