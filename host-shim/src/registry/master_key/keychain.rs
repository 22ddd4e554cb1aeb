//! The keychain of the operating system.
//!
//! Invariant: a call ends within its time-out even while the keychain waits for a
//! dialog nobody sees, and "there is no entry" is never concluded from a failure.
//! Error values of the library are turned into text here, as some of them print the
//! secret they could not decode. Which entry is the register's is not decided here.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use keyring::{Entry, Error};
use zeroize::Zeroizing;

use super::file::{decode, encode};
use super::{KeyError, KeyId};

/// Name of every entry.
const SERVICE: &str = "openshell";
/// Account of the entry that the first key gets.
pub(super) const FIRST_ENTRY: &str = "master-key";

/// Account of the entry for a key that took over from another. Entries are named
/// after their keys, so that a new one never overwrites one that is in use, here
/// or by a register in another directory.
pub(super) fn entry_of(id: &KeyId) -> String {
    format!("{FIRST_ENTRY}-{id}")
}

/// What a keychain does for us.
pub(super) trait Keychain {
    /// Reads a key; `None` only where the keychain says there is no entry.
    fn read(&self, account: &str) -> Result<Option<Zeroizing<[u8; 32]>>, KeyError>;
    /// Writes a key.
    fn write(&self, account: &str, key: &Zeroizing<[u8; 32]>) -> Result<(), KeyError>;
}

/// The keychain of this machine.
pub(super) struct OsKeychain {
    /// How long one call may take.
    pub(super) patience: Duration,
}

impl Keychain for OsKeychain {
    fn read(&self, account: &str) -> Result<Option<Zeroizing<[u8; 32]>>, KeyError> {
        let account = account.to_owned();
        within(self.patience, move || {
            let text = match entry(&account)?.get_password() {
                Ok(text) => Zeroizing::new(text),
                Err(Error::NoEntry) => return Ok(None),
                Err(error) => return Err(explain(error, &account)),
            };
            match decode(text.as_bytes()) {
                Some(key) => Ok(Some(key)),
                None => Err(KeyError::Keychain {
                    reason: format!("the entry {SERVICE}/{account} does not hold a key"),
                }),
            }
        })
    }

    fn write(&self, account: &str, key: &Zeroizing<[u8; 32]>) -> Result<(), KeyError> {
        let account = account.to_owned();
        let text = encode(key);
        within(self.patience, move || {
            entry(&account)?
                .set_password(&text)
                .map_err(|error| explain(error, &account))
        })
    }
}

fn entry(account: &str) -> Result<Entry, KeyError> {
    Entry::new(SERVICE, account).map_err(|error| explain(error, account))
}

/// Turns a library error into ours.
fn explain(error: Error, account: &str) -> KeyError {
    match error {
        Error::NoStorageAccess(cause) => KeyError::Locked {
            reason: cause.to_string(),
        },
        Error::NoDefaultStore => KeyError::NoKeychain {
            reason: match Entry::store_status() {
                Err(cause) => cause.to_string(),
                Ok(()) => "no store was set up".to_owned(),
            },
        },
        Error::Ambiguous(found) => KeyError::Keychain {
            reason: format!("{} entries are named {SERVICE}/{account}", found.len()),
        },
        other => KeyError::Keychain {
            reason: other.to_string(),
        },
    }
}

/// Runs a call in a thread of its own and waits for it, but not for ever. A
/// thread left behind ends with the process, or with the dialog it waits for.
fn within<T: Send + 'static>(
    patience: Duration,
    call: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
) -> Result<T, KeyError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("keychain".to_owned())
        .spawn(move || {
            // Nobody listens any more once the time is up.
            let _ = sender.send(call());
        })
        .map_err(|error| KeyError::Keychain {
            reason: error.to_string(),
        })?;
    match receiver.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(KeyError::KeychainTimedOut { waited: patience }),
        Err(RecvTimeoutError::Disconnected) => Err(KeyError::Keychain {
            reason: "the call stopped without an answer".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, within};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_call_that_never_returns_is_given_up() {
        let (release, held) = mpsc::channel::<()>();
        let outcome = within(Duration::from_millis(10), move || {
            let _ = held.recv();
            Ok(())
        });
        assert!(matches!(outcome, Err(KeyError::KeychainTimedOut { .. })));
        drop(release);
    }
}
