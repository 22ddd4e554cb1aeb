//! How long a server is waited for.
//!
//! Invariant: a setting that is no number within its bounds is refused; nothing is
//! ever waited for without a limit. It deliberately says nothing of commands, whose
//! time is the call's.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Variable that replaces the limit for connecting, in ms.
const CONNECT_VARIABLE: &str = "OPENSHELL_CONNECT_TIMEOUT_MS";
/// Variable that replaces the limit for silence, in ms.
const SILENCE_VARIABLE: &str = "OPENSHELL_SILENCE_MS";
/// What either may be, in ms.
const BOUNDS: RangeInclusive<u64> = 200..=600_000;

/// The limits of waiting for servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// TCP, key exchange and login together.
    pub connect: Duration,
    /// How long a server may say nothing before the connection counts as lost.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(20),
        }
    }
}

/// A variable that sets no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} must be a number of milliseconds from {} to {}, not {value:?}", BOUNDS.start(), BOUNDS.end())]
pub struct InvalidPatience {
    /// Name of the variable.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
}

impl Patience {
    /// Takes `OPENSHELL_CONNECT_TIMEOUT_MS` and `OPENSHELL_SILENCE_MS`, or the
    /// default for whichever is not set.
    ///
    /// # Errors
    /// [`InvalidPatience`] for anything but a number within bounds.
    pub fn from_env() -> Result<Self, InvalidPatience> {
        let value =
            |variable| std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned());
        Self::from_values(value(CONNECT_VARIABLE), value(SILENCE_VARIABLE))
    }

    fn from_values(
        connect: Option<String>,
        silence: Option<String>,
    ) -> Result<Self, InvalidPatience> {
        let default = Self::default();
        Ok(Self {
            connect: limit(CONNECT_VARIABLE, connect, default.connect)?,
            silence: limit(SILENCE_VARIABLE, silence, default.silence)?,
        })
    }
}

fn limit(
    variable: &'static str,
    value: Option<String>,
    default: Duration,
) -> Result<Duration, InvalidPatience> {
    let Some(value) = value else {
        return Ok(default);
    };
    match value.parse() {
        Ok(number) if BOUNDS.contains(&number) => Ok(Duration::from_millis(number)),
        _ => Err(InvalidPatience { variable, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_within_bounds() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(Patience::from_values(None, None), Ok(Patience::default()));
        let short = Patience::from_values(some("200"), some("1500"));
        let expected = Patience {
            connect: Duration::from_millis(200),
            silence: Duration::from_millis(1500),
        };
        assert_eq!(short, Ok(expected));
        for text in ["", "0", "199", "600001", "-1", "2s", "1e3", " 500"] {
            let refused = Patience::from_values(None, some(text)).map_err(|error| error.variable);
            assert_eq!(refused, Err(SILENCE_VARIABLE), "{text:?}");
        }
    }
}
