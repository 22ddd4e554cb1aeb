//! Settings in the environment that are a length of time.
//!
//! Invariant: a value that is no number within its bounds is refused, never
//! corrected. What a setting is for is said where it is read.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::CliError;

/// Takes a number of milliseconds from a variable; none where it is not set.
pub(crate) fn milliseconds(
    variable: &str,
    bounds: RangeInclusive<u64>,
) -> Result<Option<Duration>, CliError> {
    let Some(value) = std::env::var_os(variable) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    match value.parse() {
        Ok(ms) if bounds.contains(&ms) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(CliError::usage(format!(
            "{variable} must be a number of milliseconds from {} to {}, not {value:?}",
            bounds.start(),
            bounds.end()
        ))),
    }
}

/// How long what still runs may take to end once a client has gone, for a machine on
/// which that takes longer than it should.
pub(crate) fn farewell() -> Result<Option<Duration>, CliError> {
    milliseconds("OPENSHELL_FAREWELL_MS", 200..=600_000)
}
