//! The operator's rules: reads `policy.toml` into the rulebook the policy takes.
//!
//! Invariant: a file that cannot be understood whole is refused, unknown fields
//! included, and so is a rule whose own examples do not come out as it says. An
//! absent file is an empty rulebook. What a rule means is decided by the policy
//! in the component, not here.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::contract::{Decision, Rule, RuleOrigin, Rulebook};
use crate::engine::{Judge, JudgeError};

/// Largest rule file, in bytes.
const SIZE_MAX: u64 = 1024 * 1024;

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default)]
    pipelines: Pipelines,
    #[serde(default)]
    secret_paths: Vec<String>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Pipelines {
    #[default]
    Ask,
    EachStage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    id: String,
    #[serde(default)]
    servers: Vec<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    tools: Vec<String>,
    prefix: Vec<Position>,
    decision: DecisionWord,
    reason: String,
    #[serde(default, rename = "override")]
    overrides: bool,
    /// Commands the rule must match, checked when the file is read.
    #[serde(rename = "match")]
    matches: Vec<String>,
    /// Commands it must not match.
    #[serde(default)]
    not_match: Vec<String>,
}

/// A word, or the words one position accepts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Position {
    One(String),
    Any(Vec<String>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DecisionWord {
    Allow,
    Ask,
    Reject,
}

/// An empty rulebook: the policy's own verdicts stand.
pub fn empty() -> Rulebook {
    Rulebook {
        rules: Vec::new(),
        pipelines_each_stage: false,
        secret_paths: Vec::new(),
    }
}

/// Reads the operator's rules and checks every example with the policy.
///
/// # Errors
/// [`RulesError`]; nothing may run then.
pub fn load(path: &Path, judge: &Judge) -> Result<Rulebook, RulesError> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(empty()),
        Err(source) => {
            return Err(RulesError::Unreadable {
                path: path.to_owned(),
                source,
            });
        }
    };
    let malformed = |reason: String| RulesError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let file: File = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if file.format != 1 {
        return Err(malformed(format!(
            "it has format {}, but this version reads format 1",
            file.format
        )));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(file.rules.len());
    for entry in file.rules {
        if rules.iter().any(|rule| rule.id == entry.id) {
            return Err(malformed(format!("rule id {:?} is used twice", entry.id)));
        }
        if entry.matches.is_empty() {
            return Err(malformed(format!("rule {:?} has no `match` example", entry.id)));
        }
        rules.push(rule(path, entry, judge)?);
    }
    Ok(Rulebook {
        rules,
        pipelines_each_stage: matches!(file.pipelines, Pipelines::EachStage),
        secret_paths: file.secret_paths,
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > SIZE_MAX {
        return Err(std::io::Error::other(format!(
            "it has {size} bytes, more than {SIZE_MAX}"
        )));
    }
    std::fs::read_to_string(path)
}

fn rule(path: &Path, entry: RuleEntry, judge: &Judge) -> Result<Rule, RulesError> {
    let prefix: Vec<Vec<String>> = entry
        .prefix
        .into_iter()
        .map(|position| match position {
            Position::One(word) => vec![word],
            Position::Any(words) => words,
        })
        .collect();
    if prefix.is_empty() || prefix.iter().any(Vec::is_empty) {
        return Err(RulesError::Malformed {
            path: path.to_owned(),
            reason: format!("rule {:?} has an empty `prefix`", entry.id),
        });
    }
    let rule = Rule {
        id: entry.id,
        origin: RuleOrigin::Operator,
        servers: entry.servers,
        labels: entry.labels,
        tools: entry.tools,
        prefix,
        decision: match entry.decision {
            DecisionWord::Allow => Decision::AutoAllow,
            DecisionWord::Ask => Decision::ApprovalRequired,
            DecisionWord::Reject => Decision::Reject,
        },
        reason: entry.reason,
        overrides_catastrophe: entry.overrides,
    };
    let examples = entry
        .matches
        .into_iter()
        .map(|example| (example, true))
        .chain(entry.not_match.into_iter().map(|example| (example, false)));
    for (example, wanted) in examples {
        if judge.rule_matches(&rule, &example)? != wanted {
            return Err(RulesError::Example {
                path: path.to_owned(),
                rule: rule.id,
                example,
                wanted,
            });
        }
    }
    Ok(rule)
}
