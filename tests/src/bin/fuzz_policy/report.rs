//! Counts what was tried and says what was found, with how to have it again.
//!
//! Invariant: the last line of a run has all counts, the seed and the number of
//! findings, which decides how the run ends. What a finding is was decided before.

use std::collections::{BTreeMap, BTreeSet};

use crate::attempt::Outcome;
use crate::options::Options;

/// What a run has come to so far.
pub(crate) struct Report {
    seed: u64,
    again: String,
    generated: u64,
    allowed: u64,
    executed: u64,
    findings: u64,
    slow: BTreeMap<String, u64>,
    allowed_shapes: BTreeSet<String>,
    executed_shapes: BTreeSet<String>,
    programs: BTreeSet<String>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let mut again = "cargo xtask fuzz policy".to_owned();
        if let Some(programs) = &options.programs {
            again.push_str(&format!(" --programs {}", programs.display()));
        }
        Self {
            seed: options.seed,
            again,
            generated: 0,
            allowed: 0,
            executed: 0,
            findings: 0,
            slow: BTreeMap::new(),
            allowed_shapes: BTreeSet::new(),
            executed_shapes: BTreeSet::new(),
            programs: BTreeSet::new(),
        }
    }

    /// Takes in what became of a command; says whether anything was found.
    /// `planted` are the programs of which everything was allowed.
    pub(crate) fn note(
        &mut self,
        n: Option<u64>,
        text: &str,
        planted: &[String],
        outcome: Outcome,
    ) -> bool {
        self.generated += 1;
        let Some(shape) = outcome.shape else {
            return false;
        };
        self.allowed += 1;
        self.executed += outcome.executed.len() as u64;
        if !outcome.executed.is_empty() {
            self.executed_shapes.insert(shape.clone());
        }
        self.programs.extend(outcome.executed);
        if outcome.slow {
            *self.slow.entry(shape.clone()).or_default() += 1;
        }
        self.allowed_shapes.insert(shape);
        if outcome.findings.is_empty() {
            return false;
        }
        self.findings += 1;
        println!("FINDING {}", serde_json::Value::from(text));
        for finding in outcome.findings {
            println!("    {finding}");
        }
        let again = match n {
            Some(n) => format!("--seed {} --only {n}", self.seed),
            None => format!("--command '{}'", text.replace('\'', r"'\''")),
        };
        let planted = match planted {
            [] => String::new(),
            programs => format!(" --plant {}", programs.join(",")),
        };
        println!("    again: {}{planted} {again}", self.again);
        true
    }

    /// Prints the counts; says whether nothing was found.
    pub(crate) fn finish(&self) -> bool {
        for (shape, count) in &self.slow {
            println!("slow {count}: {shape}");
        }
        println!(
            "{} generated, {} auto-allowed ({} shapes), {} executed ({} shapes, {} programs), {} \
             slow, {} findings, seed {}",
            self.generated,
            self.allowed,
            self.allowed_shapes.len(),
            self.executed,
            self.executed_shapes.len(),
            self.programs.len(),
            self.slow.values().sum::<u64>(),
            self.findings,
            self.seed,
        );
        self.findings == 0
    }
}
