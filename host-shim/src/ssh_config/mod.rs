//! What `ssh_config(5)` says about a host, for taking servers over from it.
//!
//! Invariant: reading runs nothing and asks nobody: `Match exec` is never
//! executed, names are not looked up, and whatever applies to a host and is not
//! honoured is part of the answer, with file and line. What cannot be read makes
//! the whole configuration unreadable.
//!
//! It is a reader of its own because the parsers there are leave `Match` and
//! tokens out, or pass over what they do not know. It deliberately does not
//! evaluate `canonical`, `final`, `tagged` and `localnetwork`, and knows no
//! option of a command line.

mod collect;
mod file;
mod host;
mod jump;
mod line;
mod resolve;
mod tokens;

pub use file::{Config, ConfigError};
pub use host::{HostConfig, Unhonoured};
pub use jump::Jump;
pub use tokens::Surroundings;
