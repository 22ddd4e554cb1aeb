//! The operator's and the workspace's own rules.
//!
//! Invariant: a rule loosens a verdict only where an operator wrote it, the text
//! is one command of literal words, and the rule names at least the program.
//! Everything else a rule can do is tighten, and for that it is looked for in
//! every command that can be made out in the text.

use std::borrow::Borrow;

use super::grammar::program_name;
use super::lex::Word;
use super::types::{Decision, Finding, Rule, RuleOrigin, Subject};
use super::wildcard::{Case, matches};

/// Rules for a request, sorted out once.
pub(super) struct Applicable<'a> {
    rules: Vec<&'a Rule>,
}

/// What the operator's rules say about literal words.
pub(super) struct Spoken {
    pub(super) finding: Finding,
    pub(super) overrides_catastrophe: bool,
}

impl<'a> Applicable<'a> {
    /// The rules that apply to the server and the tool; `runs` says whether the
    /// request runs a command.
    pub(super) fn new(rules: &'a [Rule], subject: &Subject, runs: bool) -> Self {
        let applies = |rule: &&Rule| {
            let server = rule.servers.is_empty()
                || rule
                    .servers
                    .iter()
                    .any(|glob| matches(glob, &subject.server, Case::Exact));
            let label = rule.labels.is_empty()
                || rule
                    .labels
                    .iter()
                    .any(|label| subject.labels.contains(label));
            let tool = if rule.tools.is_empty() {
                runs
            } else {
                rule.tools.contains(&subject.tool)
            };
            server && label && tool
        };
        Self {
            rules: rules.iter().filter(applies).collect(),
        }
    }

    /// The strictest operator rule for one command of literal words.
    pub(super) fn operator(&self, words: &[Word]) -> Option<Spoken> {
        if !words.iter().all(Word::is_literal) {
            return None;
        }
        let speaks = |rule: &&&Rule| {
            // Words only loosen for the very program a shell would find by that name.
            let known = rule.decision != Decision::AutoAllow || names_program(rule, words);
            rule.origin == RuleOrigin::Operator && matches_words(rule, words) && known
        };
        let mut spoken: Option<&Rule> = None;
        for rule in self.rules.iter().filter(speaks) {
            if spoken.is_none_or(|strictest| rule.decision > strictest.decision) {
                spoken = Some(rule);
            }
        }
        spoken.map(|rule| Spoken {
            finding: finding(rule),
            overrides_catastrophe: rule.overrides_catastrophe,
        })
    }

    /// The strictest rule of anyone that would tighten; for any command in a text.
    pub(super) fn tightest(&self, words: &[impl Borrow<Word>]) -> Option<Finding> {
        self.strictest(|rule| matches_words(rule, words))
    }

    /// The strictest rule for a request that runs no command.
    pub(super) fn for_path(&self) -> Option<Finding> {
        self.strictest(|rule| rule.prefix.is_empty())
    }

    fn strictest(&self, speaks: impl Fn(&Rule) -> bool) -> Option<Finding> {
        let mut strictest: Option<&Rule> = None;
        for rule in self
            .rules
            .iter()
            .filter(|rule| rule.decision != Decision::AutoAllow && speaks(rule))
        {
            if strictest.is_none_or(|other| rule.decision > other.decision) {
                strictest = Some(rule);
            }
        }
        strictest.map(finding)
    }
}

fn finding(rule: &Rule) -> Finding {
    Finding {
        decision: rule.decision,
        rule: rule.id.clone(),
        reason: rule.reason.clone(),
    }
}

/// Whether the first words are the rule's. The program also matches by its last
/// path component, since a rule that forbids `rm` means `/bin/rm` too.
pub(super) fn matches_words(rule: &Rule, words: &[impl Borrow<Word>]) -> bool {
    if words.len() < rule.prefix.len() {
        return false;
    }
    rule.prefix
        .iter()
        .zip(words)
        .enumerate()
        .all(|(position, (accepted, word))| {
            let word: &Word = word.borrow();
            let name = if position == 0 {
                word.text.rsplit('/').next().unwrap_or(&word.text)
            } else {
                &word.text
            };
            word.is_literal()
                && accepted
                    .iter()
                    .any(|text| *text == word.text || text == name)
        })
}

/// Whether the rule's first word is the program itself: the same text, or its bare
/// name for a program in a system directory.
fn names_program(rule: &Rule, words: &[Word]) -> bool {
    let (Some(accepted), Some(program)) = (rule.prefix.first(), words.first()) else {
        return false;
    };
    let name = program_name(&program.text);
    accepted
        .iter()
        .any(|text| *text == program.text || name == Some(text.as_str()))
}
