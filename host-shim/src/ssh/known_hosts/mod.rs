//! Host keys, with the semantics of OpenSSH (`sshd(8)`, "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! Invariant: an offered key is known only if a line for this host holds the
//! very same bytes, or the authority that signed its certificate, and no line
//! revokes it. Any other key on a line for the host makes it changed, whatever
//! its type, so that offering another type is no way back to first use. It
//! deliberately never trusts on first use: enrolling a key is [`append`], by
//! somebody who has seen the fingerprint.

mod file;
mod line;
mod matcher;

pub use file::{append, remove, replace};
pub(crate) use line::glob;
pub use matcher::{KnownHosts, Verdict};
