//! What was counted, as a table.
//!
//! Invariant: what was found is said at once and stays in the report. It decides
//! nothing about how a run ends.

use std::collections::BTreeMap;
use std::fmt;

/// What one kind of fault did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs in which the fault happened.
    pub runs: u64,
    /// Remote files that were neither old nor new.
    pub torn: u64,
    /// Journal records that were there and are not, and effects reported and absent.
    pub lost: u64,
    /// Effects that happened more than once.
    pub duplicated: u64,
    /// Actions whose outcome is honestly unknown.
    pub unknown: u64,
    /// Interrupted actions settled by a later process.
    pub recovered: u64,
    /// Every other broken promise.
    pub broken: u64,
}

/// Tallies by kind of fault, and what was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    tallies: BTreeMap<String, Tally>,
    findings: Vec<String>,
    remarks: Vec<String>,
}

impl Report {
    /// The tally of a kind of fault.
    pub fn tally(&mut self, kind: &str) -> &mut Tally {
        self.tallies.entry(kind.to_owned()).or_default()
    }

    /// Keeps what was found wrong, and says so at once: a long run may never come to
    /// its table. A broken promise is in the tally as well.
    pub fn find(&mut self, what: String) {
        eprintln!("BROKEN: {what}");
        self.findings.push(what);
    }

    /// Keeps something a reader wants to know.
    pub fn remark(&mut self, what: String) {
        self.remarks.push(what);
    }

    /// Takes over what another report counted.
    pub fn merge(&mut self, other: Self) {
        for (kind, more) in other.tallies {
            let tally = self.tally(&kind);
            tally.runs += more.runs;
            tally.torn += more.torn;
            tally.lost += more.lost;
            tally.duplicated += more.duplicated;
            tally.unknown += more.unknown;
            tally.recovered += more.recovered;
            tally.broken += more.broken;
        }
        self.findings.extend(other.findings);
        self.remarks.extend(other.remarks);
    }

    /// Everything that was found wrong.
    #[must_use]
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// How many runs were made, over all kinds.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.tallies.values().map(|tally| tally.runs).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>6} {:>5} {:>5} {:>10} {:>8} {:>10} {:>7}",
            "fault", "runs", "torn", "lost", "duplicated", "unknown", "recovered", "broken"
        )?;
        for (kind, tally) in &self.tallies {
            writeln!(
                f,
                "{kind:<34} {:>6} {:>5} {:>5} {:>10} {:>8} {:>10} {:>7}",
                tally.runs,
                tally.torn,
                tally.lost,
                tally.duplicated,
                tally.unknown,
                tally.recovered,
                tally.broken
            )?;
        }
        for remark in &self.remarks {
            writeln!(f, "{remark}")?;
        }
        for finding in &self.findings {
            writeln!(f, "BROKEN: {finding}")?;
        }
        Ok(())
    }
}
