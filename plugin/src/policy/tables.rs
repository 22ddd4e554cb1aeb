//! The tables of the policy as plain data, for its documentation and its fuzzer.
//!
//! Invariant: a copy of what the policy decides by, in the order of the tables. It
//! decides nothing, and the component is built without it.

use super::grammar::{self, Kind, Style};
use super::paths;

/// Everything the policy knows by name.
#[derive(Clone, Debug)]
pub struct Tables {
    /// What commands may be given.
    pub commands: Vec<Entry>,
    /// Programs with the single words that make them show their version.
    pub versions: Vec<(&'static str, Vec<&'static str>)>,
    /// Where secrets live.
    pub secrets: Vec<Secret>,
    /// Names that are public although they look like secrets.
    pub public: Vec<&'static str>,
    /// Trees that may be searched as a whole.
    pub public_trees: Vec<&'static str>,
    /// Suffixes of copies: a copy of a secret is one.
    pub copies: Vec<&'static str>,
}

/// One entry of the grammar.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Names of the commands with this entry.
    pub names: Vec<&'static str>,
    /// What they do, to follow the name.
    pub does: &'static str,
    /// Letters of options without a value.
    pub flags: Vec<char>,
    /// Whole options without a value.
    pub long: Vec<&'static str>,
    /// Options with a value.
    pub values: Vec<(&'static str, Value)>,
    /// Options whose value may be missing.
    pub optional: Vec<(&'static str, Value)>,
    /// Whether `-20` is an option.
    pub number: bool,
    /// Whether every option is a word of its own, whatever its dashes.
    pub whole_words: bool,
    /// Options left out on purpose.
    pub refused: Vec<Refused>,
    /// What may stand besides the options.
    pub operands: Operands,
    /// Whether code of its own reads the words, by the lists above or, where they are
    /// empty, by none.
    pub custom: bool,
    /// Whether options and operands are looked at together as well.
    pub checked: bool,
    /// Command lines that pass.
    pub allowed: &'static [&'static str],
    /// Command lines that do not.
    pub asks: &'static [&'static str],
}

/// An option left out on purpose.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The option.
    pub option: &'static str,
    /// Last part of the rule id.
    pub id: &'static str,
    /// What it does, to follow its name.
    pub why: &'static str,
}

/// What a value or an operand must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Any text.
    Text,
    /// A number, a range or a list of numbers, perhaps with a unit.
    Number,
    /// A name, which does not look like an option.
    Name,
    /// A path of which name and metadata are seen.
    Metadata,
    /// A path whose content is read.
    Content,
    /// A pattern of file names.
    Pattern,
    /// One of these words.
    OneOf(Vec<&'static str>),
    /// What a function of the entry accepts.
    Checked,
}

/// What may stand besides the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operands {
    /// Nothing.
    None,
    /// At most so many.
    UpTo(usize, Value),
    /// Any number.
    Any(Value),
    /// One of the first kind, then any number of the second.
    FirstThen(Value, Value),
    /// One of these sequences of words.
    Phrases(Vec<&'static str>),
}

/// A kind of secret.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Last part of the rule id.
    pub id: &'static str,
    /// What a reader would learn.
    pub what: &'static str,
    /// Patterns of its names.
    pub patterns: Vec<&'static str>,
}

/// A copy of everything the policy knows by name.
#[must_use]
pub fn tables() -> Tables {
    let commands = grammar::TABLES.iter().copied().flatten();
    Tables {
        commands: commands.map(entry).collect(),
        versions: grammar::VERSIONS
            .iter()
            .map(|(name, words)| (*name, words.to_vec()))
            .collect(),
        secrets: paths::KINDS
            .iter()
            .map(|kind| Secret {
                id: kind.id,
                what: kind.what,
                patterns: kind.patterns().collect(),
            })
            .collect(),
        public: paths::PUBLIC.to_vec(),
        public_trees: paths::PUBLIC_TREES.to_vec(),
        copies: paths::COPIES.split_ascii_whitespace().collect(),
    }
}

fn entry(command: &grammar::Command) -> Entry {
    let named = command;
    let command = command.reads.unwrap_or(command);
    let values = |values: &[(&'static str, Kind)]| {
        values
            .iter()
            .map(|(option, kind)| (*option, value(*kind)))
            .collect()
    };
    Entry {
        names: named.names.to_vec(),
        does: named.does,
        flags: command.flags.chars().collect(),
        long: command.long.split_ascii_whitespace().collect(),
        values: values(command.values),
        optional: values(command.optional),
        number: command.number,
        whole_words: matches!(command.style, Style::WholeWords | Style::WholeWordsFirst),
        refused: command
            .refused
            .iter()
            .map(|refused| Refused {
                option: refused.option,
                id: refused.id,
                why: refused.why,
            })
            .collect(),
        operands: match command.operands {
            grammar::Operands::None => Operands::None,
            grammar::Operands::UpTo(count, kind) => Operands::UpTo(count, value(kind)),
            grammar::Operands::Any(kind) => Operands::Any(value(kind)),
            grammar::Operands::FirstThen { first, then, .. } => {
                Operands::FirstThen(value(first), value(then))
            }
            grammar::Operands::Phrases(phrases) => Operands::Phrases(phrases.to_vec()),
        },
        custom: matches!(named.style, Style::Custom(_)),
        checked: command.check.is_some(),
        allowed: named.allowed,
        asks: named.asks,
    }
}

fn value(kind: Kind) -> Value {
    match kind {
        Kind::Text => Value::Text,
        Kind::Number => Value::Number,
        Kind::Name => Value::Name,
        Kind::Names => Value::Metadata,
        Kind::Read | Kind::Sniff => Value::Content,
        Kind::Include => Value::Pattern,
        Kind::OneOf(words) => Value::OneOf(words.to_vec()),
        Kind::Is(_) => Value::Checked,
    }
}
