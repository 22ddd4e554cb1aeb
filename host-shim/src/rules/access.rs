//! How far a server is open at all: `mode` and `confirm` per server or label.
//!
//! These are not verdicts on commands, so the host enforces them by itself, on top
//! of whatever the policy says. Invariant: several entries add up to the strictest.

use globset::GlobMatcher;
use serde::Deserialize;

/// What may be asked of a server. The order is the strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What the policy does not allow unasked is asked.
    #[default]
    Ask,
    /// What the policy does not allow unasked is refused.
    ReadOnly,
    /// Everything is refused.
    Off,
}

/// What it takes to agree. The order is the strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// An answer to the question, from wherever it was put.
    #[default]
    Answer,
    /// The registry's passphrase, typed at a terminal, for each grant.
    Presence,
}

/// One `[[access]]` entry of a rule file.
#[derive(Debug, Clone)]
pub struct Access {
    pub(super) servers: Vec<GlobMatcher>,
    pub(super) labels: Vec<String>,
    /// How far the servers it covers are open.
    pub mode: Mode,
    /// What it takes to agree.
    pub confirm: Confirm,
    /// The patterns and labels as they were written, for showing.
    pub written: String,
}

impl Access {
    /// Whether the entry speaks of a server: by its id and by its labels, where
    /// it names any.
    pub(super) fn covers(&self, server: &str, labels: &[String]) -> bool {
        let by_id =
            self.servers.is_empty() || self.servers.iter().any(|glob| glob.is_match(server));
        let by_label =
            self.labels.is_empty() || self.labels.iter().any(|label| labels.contains(label));
        by_id && by_label
    }
}
