//! The register of servers, the key that seals it, and where both are kept.
//!
//! Invariant: a credential leaves this module only through
//! [`Registry::unlock`], as a type that cannot be printed or serialised, and
//! only after every plain field of its record was authenticated together with
//! it. What cannot be read whole is refused whole.
//!
//! It does not connect to servers and does not judge host keys. What a workspace
//! lists is kept apart: it holds no credential, and counts for nothing until a
//! person trusted it.

mod canonical;
mod document;
mod error;
mod fields;
mod hardening;
mod master_key;
mod material;
mod paths;
mod private_fs;
mod record;
mod seal;
mod server_id;
mod store;
mod workspace;

#[cfg(test)]
mod tests;

pub use error::RegistryError;
pub use hardening::disable_core_dumps;
pub use master_key::{
    KeyEnv, KeyError, KeyHome, KeyId, MasterKey, MasterKeySource, PassphrasePrompt, Recovery,
    Rotated, bring_back, create_key_file, read_passphrase_file, rotate,
};
pub use material::AuthMaterial;
pub use paths::{Paths, PathsError};
pub use private_fs::{FileError, Warning};
pub(crate) use private_fs::{lock as lock_file, read_own, replace as replace_file};
pub use record::{AuthKind, NewServer, Record, Scope, ServerView, Sudo};
pub use seal::SealError;
pub use server_id::{InvalidServerId, ServerId};
pub use store::{Added, Registry};
pub use workspace::{
    WorkspaceError, WorkspaceServer, WorkspaceServers, is_trusted, revoke_trust, trust,
};
