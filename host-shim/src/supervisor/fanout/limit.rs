//! How many servers of one call are worked on at the same time.
//!
//! Invariant: a setting that is no number within its bounds is refused. It does not
//! count or hold up anything itself.

use std::ops::RangeInclusive;

/// Variable that replaces the limit.
const VARIABLE: &str = "OPENSHELL_FANOUT";
/// What it may be.
const BOUNDS: RangeInclusive<usize> = 1..=256;

/// How many servers of one call are dialled or at work at a time. Those that wait
/// for a person, or for a server that is slow to answer, do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FanoutLimit(usize);

impl Default for FanoutLimit {
    fn default() -> Self {
        Self(32)
    }
}

/// The variable sets no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE} must be a number from {} to {}, not {value:?}", BOUNDS.start(), BOUNDS.end())]
pub struct InvalidFanoutLimit {
    /// Its value.
    pub value: String,
}

impl FanoutLimit {
    /// Takes `OPENSHELL_FANOUT`, or 32 where it is not set.
    ///
    /// # Errors
    /// [`InvalidFanoutLimit`] for anything but a number within bounds.
    pub fn from_env() -> Result<Self, InvalidFanoutLimit> {
        match std::env::var_os(VARIABLE) {
            None => Ok(Self::default()),
            Some(value) => Self::parse(&value.to_string_lossy()),
        }
    }

    fn parse(value: &str) -> Result<Self, InvalidFanoutLimit> {
        match value.parse() {
            Ok(number) if BOUNDS.contains(&number) => Ok(Self(number)),
            _ => Err(InvalidFanoutLimit {
                value: value.to_owned(),
            }),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_within_bounds() {
        for (text, limit) in [("1", 1), ("256", 256)] {
            assert_eq!(FanoutLimit::parse(text), Ok(FanoutLimit(limit)));
        }
        for text in ["", "0", "257", "-1", "many", " 8"] {
            assert!(FanoutLimit::parse(text).is_err(), "{text:?}");
        }
    }
}
