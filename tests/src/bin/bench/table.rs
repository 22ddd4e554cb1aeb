//! The table: what was measured, beside what, and whether it meets its goal.
//!
//! Invariant: a goal that is not met is shown as not met, with the reason; a line
//! that could not be measured says why. It deliberately holds no absolute number
//! as a promise but those the goals name.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a value should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// What was measured of us.
    pub(crate) ours: String,
    /// What was measured of the other side, and which that is.
    pub(crate) beside: String,
    /// The number that counts, with its unit.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
    /// Why the goal is out of reach, where it was not met.
    pub(crate) reason: &'static str,
}

/// Everything of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    skipped: Vec<(String, String)>,
    /// Lines whose measurement broke off, each with the reason.
    failed: Vec<(String, String)>,
    profile: Vec<(String, String)>,
}

impl Row {
    pub(crate) fn met(&self) -> bool {
        self.score() >= 1.0
    }

    /// How many times better than the goal; below 1 it is not met.
    pub(crate) fn score(&self) -> f64 {
        match self.goal {
            Goal::AtMost(limit) => limit / self.value.max(f64::MIN_POSITIVE),
            Goal::AtLeast(limit) => self.value / limit,
        }
    }

    pub(crate) fn value_shown(&self) -> String {
        format!("{}{}", crate::measure::digits(self.value), self.unit)
    }

    pub(crate) fn goal_shown(&self) -> String {
        let (sign, limit) = match self.goal {
            Goal::AtMost(limit) => ("<=", limit),
            Goal::AtLeast(limit) => (">=", limit),
        };
        format!("{sign} {limit}{}", self.unit)
    }
}

impl Table {
    /// Adds a line and prints it.
    pub(crate) fn add(&mut self, row: Row) {
        let verdict = if row.met() { "met    " } else { "NOT MET" };
        println!(
            "{verdict} {:<46} {:>12}  goal {:<12} {} | {}",
            row.what,
            row.value_shown(),
            row.goal_shown(),
            row.ours,
            row.beside
        );
        if !row.met() {
            println!("        {}", row.reason);
        }
        self.rows.push(row);
    }

    /// Says that a line could not be measured.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        println!("skipped {what}: {why}");
        self.skipped.push((what.to_owned(), why.to_owned()));
    }

    /// Measures the lines that begin like these. Where the measurement breaks off,
    /// those still missing are not met, for that reason, and others go on.
    pub(crate) fn lines(&mut self, beginnings: &[&str], measure: impl FnOnce(&mut Self)) {
        let why = match catch_unwind(AssertUnwindSafe(|| measure(self))) {
            Ok(()) => "the measurement ended without it".to_owned(),
            Err(broken) => words(broken.as_ref()),
        };
        for beginning in beginnings {
            if self.has(beginning) {
                continue;
            }
            println!("NOT MET {beginning}: could not be measured: {why}");
            self.failed.push(((*beginning).to_owned(), why.clone()));
        }
    }

    fn has(&self, beginning: &str) -> bool {
        let rows = self.rows.iter().map(|row| &row.what);
        let others = self.skipped.iter().chain(&self.failed);
        rows.chain(others.map(|(what, _)| what))
            .any(|what| what.starts_with(beginning))
    }

    /// Adds a part of the time of a call, and prints it.
    pub(crate) fn part(&mut self, what: &str, taken: String) {
        println!("part    {what:<46} {taken}");
        self.profile.push((what.to_owned(), taken));
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The page, with what the machine was.
    pub(crate) fn markdown(&self, machine: &str) -> String {
        let mut page = format!(
            "# Benchmarks\n\n\
             Written by `cargo xtask bench`; run it to have your own. Every line is measured in \
             one run against the same `sshd` on loopback, its sides in turn, as the median with \
             the middle half. The ratios and slopes are what counts: absolute numbers differ \
             between machines.\n\n{machine}\n\n![How each line stands to its goal](benchmarks.svg)\n\n\
             | what | result | goal | | ours | beside |\n|---|---|---|---|---|---|\n"
        );
        for row in &self.rows {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} |",
                row.what,
                row.value_shown(),
                row.goal_shown().replace("<=", "≤").replace(">=", "≥"),
                if row.met() { "met" } else { "**not met**" },
                row.ours,
                row.beside
            );
        }
        for (what, _) in &self.failed {
            let _ = writeln!(page, "| {what} | | | **not met** | | |");
        }
        let missed: Vec<&Row> = self.rows.iter().filter(|row| !row.met()).collect();
        if !missed.is_empty() || !self.failed.is_empty() {
            page.push_str("\n## Not met, and why\n\n");
            for row in missed {
                let _ = writeln!(page, "- {}: {}", row.what, row.reason);
            }
            for (what, why) in &self.failed {
                let _ = writeln!(page, "- {what}: could not be measured: {why}");
            }
        }
        if !self.profile.is_empty() {
            page.push_str(
                "\n## Where the time of a call goes\n\nWhat a call consists of is \
                 in [profile.md](profile.md).\n\n| part | |\n|---|---|\n",
            );
            for (what, taken) in &self.profile {
                let _ = writeln!(page, "| {what} | {taken} |");
            }
        }
        if !self.skipped.is_empty() {
            page.push_str("\n## Not measured\n\n");
            for (what, why) in &self.skipped {
                let _ = writeln!(page, "- {what}: {why}");
            }
        }
        page
    }
}

/// What a measurement that broke off says of it, in one line.
fn words(broken: &(dyn Any + Send)) -> String {
    let text = broken
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| broken.downcast_ref::<&str>().copied())
        .unwrap_or("it says nothing of why");
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").chars().take(600).collect()
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a measurement that breaks off")]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_off_is_not_met_and_keeps_nothing_else_from_being_measured() {
        let mut table = Table::default();
        let row = |what: &str| Row {
            what: what.to_owned(),
            ours: "1 ms".to_owned(),
            beside: String::new(),
            value: 1.0,
            unit: " ms",
            goal: Goal::AtMost(2.0),
            reason: "",
        };
        table.lines(&["first", "second"], |table| {
            table.add(row("first line"));
            panic!("the server\nwent {}", "away");
        });
        table.lines(&["third", "fourth"], |table| table.add(row("third line")));
        let page = table.markdown("machine");
        for line in [
            "| first line | 1.00 ms | ≤ 2 ms | met | 1 ms |  |",
            "| second | | | **not met** | | |",
            "- second: could not be measured: the server went away",
            "| third line | 1.00 ms |",
            "- fourth: could not be measured: the measurement ended without it",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
