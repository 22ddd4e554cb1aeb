//! The form of a rule file, and the check of its examples.
//!
//! Invariant: a file is taken whole or refused with the place of the first mistake;
//! an unknown field is a mistake. What a rule means for a command is the policy's
//! to say.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use rustix::fs::OFlags;
use serde::Deserialize;

use super::access::{Access, Confirm, Mode};
use super::measure::{self, JournalEntry};
use super::{Rules, RulesError};
use crate::engine::contract::{Decision, Rule, RuleOrigin, Rulebook};
use crate::engine::{Judge, JudgeError};
use crate::snapshots::LARGEST;

/// Largest rule file, in bytes.
const SIZE_MAX: u64 = 1024 * 1024;

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
    #[serde(default)]
    access: Vec<AccessEntry>,
    #[serde(default)]
    snapshots: SnapshotsEntry,
    #[serde(default)]
    journal: JournalEntry,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessEntry {
    #[serde(default)]
    servers: Vec<String>,
    #[serde(default)]
    labels: Vec<String>,
    mode: Option<Mode>,
    confirm: Option<Confirm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotsEntry {
    /// Largest file that is changed, such as `64 MiB`.
    largest: Option<String>,
}

/// A file that was read, with the examples still to be checked.
pub(super) struct Parsed {
    pub(super) rules: Rules,
    path: PathBuf,
    /// Index of the rule, the command, and whether the rule must match it.
    examples: Vec<(usize, String, bool)>,
}

/// How one example came out.
#[derive(Debug, Clone)]
pub struct ExampleResult {
    /// Id of the rule.
    pub rule: String,
    /// The command line of the example.
    pub command: String,
    /// Whether the rule says it matches.
    pub wanted: bool,
    /// Whether it does, as the policy says.
    pub matches: bool,
}

/// Reads a file; none when there is none.
pub(super) fn parse(path: &Path, origin: RuleOrigin) -> Result<Option<Parsed>, RulesError> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
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
    let secrets = file.secret_paths.iter().try_for_each(|path| secret(path));
    secrets.map_err(malformed)?;
    let mut rules: Vec<Rule> = Vec::with_capacity(file.rules.len());
    let mut examples = Vec::new();
    for entry in file.rules {
        if rules.iter().any(|rule| rule.id == entry.id) {
            return Err(malformed(format!("rule id {:?} is used twice", entry.id)));
        }
        if entry.matches.is_empty() {
            return Err(malformed(format!(
                "rule {:?} has no `match` example",
                entry.id
            )));
        }
        let index = rules.len();
        let of = |commands: &[String], wanted| {
            let commands = commands.to_vec();
            commands
                .into_iter()
                .map(move |command| (index, command, wanted))
        };
        examples.extend(of(&entry.matches, true));
        examples.extend(of(&entry.not_match, false));
        rules.push(rule(entry, origin).map_err(malformed)?);
    }
    let access: Result<Vec<Access>, String> = file.access.into_iter().map(access).collect();
    Ok(Some(Parsed {
        rules: Rules {
            rulebook: Rulebook {
                rules,
                pipelines_each_stage: matches!(file.pipelines, Pipelines::EachStage),
                secret_paths: file.secret_paths,
            },
            access: access.map_err(malformed)?,
            largest: file
                .snapshots
                .largest
                .map(|text| size(&text))
                .transpose()
                .map_err(malformed)?,
            journal: file.journal.limits().map_err(malformed)?,
        },
        path: path.to_owned(),
        examples,
    }))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // A workspace could hold a FIFO of that name, and opening it would never return.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let read = file.take(SIZE_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > SIZE_MAX {
        return Err(std::io::Error::other(format!(
            "it has more than {SIZE_MAX} bytes"
        )));
    }
    Ok(text)
}

fn rule(entry: RuleEntry, origin: RuleOrigin) -> Result<Rule, String> {
    let prefix: Vec<Vec<String>> = entry
        .prefix
        .into_iter()
        .map(|position| match position {
            Position::One(word) => vec![word],
            Position::Any(words) => words,
        })
        .collect();
    if prefix.is_empty() || prefix.iter().any(Vec::is_empty) {
        return Err(format!("rule {:?} has an empty `prefix`", entry.id));
    }
    entry.servers.iter().try_for_each(|glob| pattern(glob))?;
    if entry.reason.trim().is_empty() {
        return Err(format!("rule {:?} gives no `reason`", entry.id));
    }
    Ok(Rule {
        id: entry.id,
        origin,
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
    })
}

/// Checks a pattern of server ids: `*`, `?` and sets such as `[a-c]` are all there is,
/// and a sign that the matcher would take for itself could match no server.
fn pattern(glob: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.:@*?[]".contains(c);
    let sets = glob.split('[').skip(1).all(|set| {
        set.split_once(']')
            .is_some_and(|(set, _)| !set.is_empty() && !set.contains(['*', '?']))
    });
    let strange = glob.chars().find(|c| !known(*c));
    match strange {
        Some(c) => Err(format!(
            "{glob:?} is no pattern of server ids: {c:?} has no meaning in it; write one pattern \
             for each alternative"
        )),
        None if glob.is_empty() || !sets || glob.contains("**") => Err(format!(
            "{glob:?} is no pattern of server ids: `*`, `?` and sets such as `[a-c]` are all \
             there is"
        )),
        None => Ok(()),
    }
}

/// Checks a pattern of further secrets, which knows no braces and no negation.
fn secret(path: &str) -> Result<(), String> {
    if path.trim_matches('/').is_empty() || path.contains(['{', '}', '!', '^', '\\', '\n']) {
        return Err(format!(
            "{path:?} is no pattern of secret paths: `*`, `?`, `**` and sets such as `[0-9]` are \
             all there is"
        ));
    }
    Ok(())
}

fn access(entry: AccessEntry) -> Result<Access, String> {
    if entry.mode.is_none() && entry.confirm.is_none() {
        return Err("an [[access]] entry gives neither `mode` nor `confirm`".to_owned());
    }
    let written = [entry.servers.as_slice(), entry.labels.as_slice()]
        .concat()
        .join(" ");
    let servers: Result<Vec<_>, String> = entry
        .servers
        .iter()
        .map(|glob| {
            pattern(glob)?;
            GlobBuilder::new(glob)
                .build()
                .map(|glob| glob.compile_matcher())
                .map_err(|error| format!("{glob:?} is not a pattern: {}", error.kind()))
        })
        .collect();
    Ok(Access {
        servers: servers?,
        labels: entry.labels,
        mode: entry.mode.unwrap_or_default(),
        confirm: entry.confirm.unwrap_or_default(),
        written: if written.is_empty() {
            "every server".to_owned()
        } else {
            written
        },
    })
}

/// A number of bytes, as an operator writes it.
fn size(text: &str) -> Result<u64, String> {
    match measure::bytes(text) {
        Some(bytes @ 1..=LARGEST) => Ok(bytes),
        _ => Err(format!(
            "snapshots: `largest` is {text:?}; it must be a size such as \"64 MiB\", at most \
             {} MiB",
            LARGEST >> 20
        )),
    }
}

impl Parsed {
    /// Asks the policy about every example.
    fn run(&self, judge: &Judge) -> Result<Vec<ExampleResult>, JudgeError> {
        self.examples
            .iter()
            .filter_map(|(index, command, wanted)| {
                let rule = self.rules.rulebook.rules.get(*index)?;
                Some((rule, command, *wanted))
            })
            .map(|(rule, command, wanted)| {
                Ok(ExampleResult {
                    rule: rule.id.clone(),
                    command: command.clone(),
                    wanted,
                    matches: judge.rule_matches(rule, command)?,
                })
            })
            .collect()
    }

    /// Refuses a file with an example that does not come out.
    pub(super) fn check(&self, judge: &Judge) -> Result<(), RulesError> {
        match self
            .run(judge)?
            .into_iter()
            .find(|example| example.wanted != example.matches)
        {
            None => Ok(()),
            Some(example) => Err(RulesError::Example {
                path: self.path.clone(),
                rule: example.rule,
                example: example.command,
                wanted: example.wanted,
            }),
        }
    }
}

/// Runs every example of a rule file, for a person who is writing one; none when
/// there is no file.
///
/// # Errors
/// [`RulesError`] for anything but an example that does not come out.
pub fn examples(path: &Path, judge: &Judge) -> Result<Option<Vec<ExampleResult>>, RulesError> {
    match parse(path, RuleOrigin::Operator)? {
        None => Ok(None),
        Some(parsed) => Ok(Some(parsed.run(judge)?)),
    }
}
