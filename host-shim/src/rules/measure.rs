//! Sizes and ages as an operator writes them, and the limits of the journal.
//!
//! Invariant: what cannot be understood is refused with the words that would be.
//! Only whole numbers count, so that nothing has to be rounded. It does not set a
//! default where nothing was said.

use std::time::Duration;

use serde::Deserialize;

use crate::journal::Options;

/// Smallest and largest size of a journal segment, in bytes: a process reads the one
/// being written when it starts.
const SEGMENT: (u64, u64) = (1 << 20, 256 << 20);

/// Shortest and longest age of a journal segment, in seconds.
const AGE: (u64, u64) = (HOUR, 3660 * DAY);

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// When a segment of the journal is finished, as the operator says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalLimits {
    /// Size from which it is, in bytes; none where nothing was said.
    pub segment: Option<u64>,
    /// Age from which it is, counted from its first record; none where nothing was
    /// said.
    pub age: Option<Duration>,
}

impl JournalLimits {
    /// The journal's options, with its own defaults where nothing was said.
    #[must_use]
    pub fn options(self) -> Options {
        let default = Options::default();
        Options {
            segment_bytes: self.segment.unwrap_or(default.segment_bytes),
            segment_age: self.age.unwrap_or(default.segment_age),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalEntry {
    /// Size from which a segment is finished, such as `64 MiB`.
    segment: Option<String>,
    /// Age from which it is, such as `7 d`.
    age: Option<String>,
}

impl JournalEntry {
    pub(super) fn limits(self) -> Result<JournalLimits, String> {
        let segment = self.segment.map(|text| {
            bytes(&text)
                .filter(|bytes| (SEGMENT.0..=SEGMENT.1).contains(bytes))
                .ok_or_else(|| {
                    format!(
                        "journal: `segment` is {text:?}; it must be a size such as \"64 MiB\", \
                         from {} to {} MiB",
                        SEGMENT.0 >> 20,
                        SEGMENT.1 >> 20
                    )
                })
        });
        let age = self.age.map(|text| {
            seconds(&text)
                .filter(|seconds| (AGE.0..=AGE.1).contains(seconds))
                .map(Duration::from_secs)
                .ok_or_else(|| {
                    format!(
                        "journal: `age` is {text:?}; it must be a time such as \"12 h\" or \
                         \"7 d\", from 1 h to {} d",
                        AGE.1 / DAY
                    )
                })
        });
        Ok(JournalLimits {
            segment: segment.transpose()?,
            age: age.transpose()?,
        })
    }
}

/// A number of bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    number(text, |unit| match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    })
}

/// A number of seconds.
fn seconds(text: &str) -> Option<u64> {
    number(text, |unit| match unit {
        "h" => Some(HOUR),
        "d" => Some(DAY),
        _ => None,
    })
}

fn number(text: &str, unit: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = unit(&text[digits.len()..])?;
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(segment: &str, age: &str) -> Result<JournalLimits, String> {
        JournalEntry {
            segment: Some(segment.to_owned()),
            age: Some(age.to_owned()),
        }
        .limits()
    }

    #[test]
    fn limits_are_sizes_and_times_within_bounds() {
        let expected = JournalLimits {
            segment: Some(64 << 20),
            age: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        };
        for (segment, age) in [("64 MiB", "7 d"), ("64MiB", "168h"), ("67108864", "168 h")] {
            assert_eq!(limits(segment, age), Ok(expected), "{segment} {age}");
        }
        let none = JournalEntry::default().limits();
        assert_eq!(none, Ok(JournalLimits::default()));
        assert_eq!(
            none.map(JournalLimits::options),
            Ok(Options::default()),
            "nothing was said"
        );
        for segment in ["", "MiB", "0", "1 KiB", "257 MiB", "64 MB", "-1", "1.5 MiB"] {
            let said = limits(segment, "7 d").expect_err(segment);
            assert!(said.contains(&format!("{segment:?}")), "{said}");
        }
        for age in [
            "",
            "d",
            "0 d",
            "30",
            "59 m",
            "3661 d",
            "99999999999999999999 d",
        ] {
            assert!(limits("64 MiB", age).is_err(), "{age}");
        }
    }
}
