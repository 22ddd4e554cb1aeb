//! How many servers of one call are worked on at the same time, and how long the slow
//! ones are waited for.
//!
//! Invariant: a setting that is no number within its bounds is refused. It does not
//! count or hold up anything itself.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Variable that replaces the number of servers.
const SERVERS: &str = "OPENSHELL_FANOUT";
/// What it may be.
const SERVERS_BOUNDS: RangeInclusive<u64> = 1..=256;
/// Variable that replaces the time to get ready in, in ms.
const READY: &str = "OPENSHELL_FANOUT_READY_MS";
/// What it may be.
const READY_BOUNDS: RangeInclusive<u64> = 200..=600_000;

/// The limits of a call on several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FanoutLimit {
    servers: usize,
    ready: Duration,
}

impl Default for FanoutLimit {
    fn default() -> Self {
        Self {
            servers: 32,
            ready: Duration::from_secs(5),
        }
    }
}

/// A variable that sets no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} must be a number from {} to {}, not {value:?}", bounds.start(), bounds.end())]
pub struct InvalidFanoutLimit {
    /// Name of the variable.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub bounds: RangeInclusive<u64>,
}

impl FanoutLimit {
    /// Takes `OPENSHELL_FANOUT`, or 32 where it is not set, and
    /// `OPENSHELL_FANOUT_READY_MS`, or 5 s.
    ///
    /// # Errors
    /// [`InvalidFanoutLimit`] for anything but a number within bounds.
    pub fn from_env() -> Result<Self, InvalidFanoutLimit> {
        let value =
            |variable| std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned());
        Self::from_values(value(SERVERS), value(READY))
    }

    fn from_values(
        servers: Option<String>,
        ready: Option<String>,
    ) -> Result<Self, InvalidFanoutLimit> {
        let mut limit = Self::default();
        if let Some(servers) = number(SERVERS, servers, SERVERS_BOUNDS)? {
            limit.servers = usize::try_from(servers).unwrap_or(usize::MAX);
        }
        if let Some(ready) = number(READY, ready, READY_BOUNDS)? {
            limit.ready = Duration::from_millis(ready);
        }
        Ok(limit)
    }

    /// How many servers of one call are dialled or at work at a time. Those that wait
    /// for a person, or for a server that is slow to answer, do not count.
    #[must_use]
    pub fn servers(self) -> usize {
        self.servers
    }

    /// How long a server may take at least to get ready before the others go on
    /// without it.
    #[must_use]
    pub fn ready(self) -> Duration {
        self.ready
    }
}

fn number(
    variable: &'static str,
    value: Option<String>,
    bounds: RangeInclusive<u64>,
) -> Result<Option<u64>, InvalidFanoutLimit> {
    let Some(value) = value else { return Ok(None) };
    match value.parse() {
        Ok(number) if bounds.contains(&number) => Ok(Some(number)),
        _ => Err(InvalidFanoutLimit {
            variable,
            value,
            bounds,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_within_bounds() {
        let some = |text: &str| Some(text.to_owned());
        let limit = |servers, ready| Ok((servers, Duration::from_millis(ready)));
        for (servers, ready, expected) in [
            (None, None, limit(32, 5_000)),
            (some("1"), None, limit(1, 5_000)),
            (some("256"), some("60000"), limit(256, 60_000)),
        ] {
            let found = FanoutLimit::from_values(servers, ready);
            assert_eq!(
                found.map(|found| (found.servers(), found.ready())),
                expected
            );
        }
        for text in ["", "0", "257", "-1", "many", " 8"] {
            let refused = FanoutLimit::from_values(some(text), None);
            assert_eq!(refused.map_err(|error| error.variable), Err(SERVERS));
        }
        for text in ["", "199", "600001", "5s"] {
            let refused = FanoutLimit::from_values(None, some(text));
            assert_eq!(refused.map_err(|error| error.variable), Err(READY));
        }
    }
}
