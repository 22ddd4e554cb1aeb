//! What the operator says about verdicts: `policy.toml` and, inside a workspace,
//! `.openshell/policy.toml`.
//!
//! Invariant: a file that cannot be understood whole is refused, unknown fields
//! included, and so is a rule whose own examples do not come out as it says. An
//! absent file says nothing. A workspace can only tighten. What a rule means is
//! decided by the policy in the component, not here.

mod access;
mod file;
mod measure;

use std::path::{Path, PathBuf};

pub use access::{Access, Confirm, Mode};
pub use file::{ExampleResult, examples};
pub use measure::JournalLimits;

use crate::engine::contract::{Decision, Rule, RuleOrigin, Rulebook};
use crate::engine::{Judge, JudgeError};

/// Name of the rule file inside a workspace.
const IN_WORKSPACE: &str = ".openshell/policy.toml";

/// Largest file that is changed unless the operator says otherwise, in bytes:
/// what it was before has to be kept.
const LARGEST: u64 = 32 * 1024 * 1024;

/// Why the rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what a rule file must be.
    #[error("{} is not a policy file: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where there is one.
        reason: String,
    },
    /// A workspace tries to allow something.
    #[error("{}: {what} would loosen the policy, and a workspace can only tighten it", path.display())]
    Loosens {
        /// The file.
        path: PathBuf,
        /// The rule or setting.
        what: String,
    },
    /// A rule's example contradicts the rule.
    #[error("{}: rule {rule:?} {} its example {example:?}", path.display(), if *.wanted { "does not match" } else { "matches" })]
    Example {
        /// The file.
        path: PathBuf,
        /// Id of the rule.
        rule: String,
        /// The example.
        example: String,
        /// Whether it stands under `match`.
        wanted: bool,
    },
    /// The policy could not be asked.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// Everything that was said: rules for the policy, and access for the host.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The rules the policy judges by, the operator's before the workspace's.
    pub rulebook: Rulebook,
    /// How far servers are open at all.
    pub access: Vec<Access>,
    /// Largest file that is changed, in bytes, where something was said.
    pub largest: Option<u64>,
    /// When a segment of the journal is finished; only the operator can say.
    pub journal: JournalLimits,
}

impl Rules {
    /// Nothing was said: the policy's own verdicts stand.
    pub fn empty() -> Self {
        Self {
            rulebook: Rulebook {
                rules: Vec::new(),
                pipelines_each_stage: false,
                secret_paths: Vec::new(),
            },
            access: Vec::new(),
            largest: None,
            journal: JournalLimits::default(),
        }
    }

    /// Largest file that is changed and whose states are kept, in bytes.
    pub fn largest_file(&self) -> u64 {
        self.largest.unwrap_or(LARGEST)
    }

    /// The strictest mode said for a server, and whether grants need presence.
    pub fn access_to(&self, server: &str, labels: &[String]) -> (Mode, Confirm) {
        self.access
            .iter()
            .filter(|access| access.covers(server, labels))
            .fold((Mode::Ask, Confirm::Answer), |(mode, confirm), access| {
                (mode.max(access.mode), confirm.max(access.confirm))
            })
    }
}

/// Where a workspace keeps its rules.
pub fn in_workspace(workspace: &Path) -> PathBuf {
    workspace.join(IN_WORKSPACE)
}

/// Reads the operator's rules and those of a workspace, and checks every example
/// with the policy.
///
/// # Errors
/// [`RulesError`] where a file cannot be understood whole, a workspace's would
/// loosen something, or an example comes out otherwise. Nothing may run then.
pub fn load(operator: &Path, workspace: Option<&Path>, judge: &Judge) -> Result<Rules, RulesError> {
    let mut rules = Rules::empty();
    if let Some(parsed) = file::parse(operator, RuleOrigin::Operator)? {
        parsed.check(judge)?;
        rules = parsed.rules;
    }
    let Some(path) = workspace.map(in_workspace) else {
        return Ok(rules);
    };
    // In the operator's own configuration folder the two are one file.
    if let Some(parsed) = file::parse(&path, RuleOrigin::Workspace)? {
        parsed.check(judge)?;
        require_tightening(&path, &parsed.rules, rules.largest_file())?;
        rules.largest = parsed.rules.largest.or(rules.largest);
        rules.rulebook.rules.extend(parsed.rules.rulebook.rules);
        rules
            .rulebook
            .secret_paths
            .extend(parsed.rules.rulebook.secret_paths);
        rules.access.extend(parsed.rules.access);
    }
    Ok(rules)
}

/// Reads what the operator says about the journal, and nothing else.
///
/// # Errors
/// [`RulesError`] for a file that cannot be understood whole; its examples are not
/// checked.
pub fn journal_limits(operator: &Path) -> Result<JournalLimits, RulesError> {
    let parsed = file::parse(operator, RuleOrigin::Operator)?;
    Ok(parsed.map_or_else(JournalLimits::default, |parsed| parsed.rules.journal))
}

fn require_tightening(path: &Path, rules: &Rules, largest: u64) -> Result<(), RulesError> {
    let loosens = |what: String| RulesError::Loosens {
        path: path.to_owned(),
        what,
    };
    if rules.rulebook.pipelines_each_stage {
        return Err(loosens("pipelines = \"each-stage\"".to_owned()));
    }
    if rules.largest.is_some_and(|wanted| wanted > largest) {
        return Err(loosens("`largest` of [snapshots]".to_owned()));
    }
    if rules.journal != JournalLimits::default() {
        return Err(loosens("[journal]".to_owned()));
    }
    let allows = |rule: &&Rule| rule.decision == Decision::AutoAllow || rule.overrides_catastrophe;
    match rules.rulebook.rules.iter().find(allows) {
        Some(rule) => Err(loosens(format!("rule {:?}", rule.id))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
