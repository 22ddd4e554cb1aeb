//! The logical name of a server.
//!
//! Invariant: a [`ServerId`] can stand in a file name, a git branch, a pattern
//! and a question to a person without quoting, and never names anything but a
//! registered server. It says nothing about whether that server exists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest id, in characters (all of them ASCII).
const MAX_LEN: usize = 64;

/// Names a registered server: 1 to 64 characters of `[A-Za-z0-9._-]`.
///
/// The first character is a letter, a digit or `_`, so that an id is never read
/// as an option or a hidden file. Names beginning with `@`, such as `@local`,
/// stand for things that are no server and are refused with the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerId(String);

/// Says why a text is no server id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServerId {
    /// The text is empty.
    #[error("a server id cannot be empty")]
    Empty,
    /// The text is longer than 64 characters.
    #[error("a server id has at most 64 characters, this one has {length}")]
    TooLong {
        /// Length of the text in bytes.
        length: usize,
    },
    /// The name is kept for something that is not a server.
    #[error("{id:?} is reserved and cannot name a server")]
    Reserved {
        /// The refused text.
        id: String,
    },
    /// The text begins with `-` or `.`.
    #[error("server id {id:?} must not begin with {first:?}")]
    BadStart {
        /// The refused text.
        id: String,
        /// Its first character.
        first: char,
    },
    /// The text holds a character outside the set.
    #[error("server id {id:?} holds {found:?}; only A-Z a-z 0-9 . _ - are allowed")]
    BadCharacter {
        /// The refused text.
        id: String,
        /// The first character outside the set.
        found: char,
    },
}

impl ServerId {
    /// Checks a text and takes it as an id.
    ///
    /// # Errors
    /// [`InvalidServerId`] naming the first thing that is wrong with it.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidServerId> {
        let id = text.into();
        let Some(first) = id.chars().next() else {
            return Err(InvalidServerId::Empty);
        };
        if id.len() > MAX_LEN {
            return Err(InvalidServerId::TooLong { length: id.len() });
        }
        if first == '@' {
            return Err(InvalidServerId::Reserved { id });
        }
        if matches!(first, '-' | '.') {
            return Err(InvalidServerId::BadStart { id, first });
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(found) = id.chars().find(|c| !allowed(c)) {
            return Err(InvalidServerId::BadCharacter { id, found });
        }
        Ok(Self(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerId {
    type Err = InvalidServerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for ServerId {
    type Error = InvalidServerId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<ServerId> for String {
    fn from(id: ServerId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidServerId, ServerId};

    #[test]
    fn accepts_plain_names() {
        for id in ["a", "prod-a", "web.eu_1", "_x", "0", &"x".repeat(64)] {
            assert_eq!(ServerId::new(id).map(String::from), Ok(id.to_owned()));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let bad_char = |id: &str, found| InvalidServerId::BadCharacter {
            id: id.into(),
            found,
        };
        let table = [
            ("", InvalidServerId::Empty),
            (
                "@local",
                InvalidServerId::Reserved {
                    id: "@local".into(),
                },
            ),
            (
                "-a",
                InvalidServerId::BadStart {
                    id: "-a".into(),
                    first: '-',
                },
            ),
            (
                "..",
                InvalidServerId::BadStart {
                    id: "..".into(),
                    first: '.',
                },
            ),
            ("a b", bad_char("a b", ' ')),
            ("a/b", bad_char("a/b", '/')),
            ("a*", bad_char("a*", '*')),
            ("a\n", bad_char("a\n", '\n')),
            ("pr\u{043e}d", bad_char("pr\u{043e}d", '\u{043e}')),
        ];
        for (text, error) in table {
            assert_eq!(ServerId::new(text), Err(error), "{text:?}");
        }
        assert_eq!(
            ServerId::new("x".repeat(65)),
            Err(InvalidServerId::TooLong { length: 65 })
        );
    }
}
