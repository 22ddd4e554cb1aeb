//! The form of a table entry: what a command may be given and stay read-only.
//!
//! Invariant: an entry lists what is allowed; what it does not list is asked
//! about. Options are exact, because GNU accepts abbreviations and an
//! abbreviation may mean something else tomorrow. An entry holds only what reads
//! and nothing more in the GNU, busybox and BSD versions of a command alike.

use super::super::lex::Word;
use super::super::paths::Access;

/// One command, or several with the same options.
pub(in super::super) struct Command {
    pub(in super::super) names: &'static [&'static str],
    /// What it does, to follow its name: "prints files".
    pub(in super::super) does: &'static str,
    pub(in super::super) style: Style,
    /// Letters of the options without a value.
    pub(in super::super) flags: &'static str,
    /// Whole options without a value, dashes included, separated by blanks.
    pub(in super::super) long: &'static str,
    /// Options with a value: the rest of the cluster, after `=`, or the next word.
    pub(in super::super) values: &'static [(&'static str, Kind)],
    /// Options whose value may be missing and never is the next word.
    pub(in super::super) optional: &'static [(&'static str, Kind)],
    /// Whether `-20` is an option.
    pub(in super::super) number: bool,
    /// Options that are left out on purpose, with the reason.
    pub(in super::super) refused: &'static [Refused],
    pub(in super::super) operands: Operands,
    /// What the options and operands must be together.
    pub(in super::super) check: Option<fn(&Parsed<'_>) -> Option<Refusal>>,
    /// The entry by which code of its own reads the options, for documentation and
    /// derivations.
    pub(in super::super) reads: Option<&'static Command>,
    /// Command lines that must pass.
    #[cfg_attr(
        not(any(test, feature = "tables")),
        expect(dead_code, reason = "only tests and tables look at examples")
    )]
    pub(in super::super) allowed: Examples,
    /// Command lines that must not.
    #[cfg_attr(
        not(any(test, feature = "tables")),
        expect(dead_code, reason = "only tests and tables look at examples")
    )]
    pub(in super::super) asks: Examples,
}

/// Command lines that tests run and the documentation shows; the component has no
/// use for them and does not hold them.
#[cfg(any(test, feature = "tables"))]
pub(in super::super) type Examples = &'static [&'static str];
#[cfg(not(any(test, feature = "tables")))]
pub(in super::super) struct Examples;

/// A list of examples.
#[cfg(any(test, feature = "tables"))]
macro_rules! examples {
    ($($text:literal),* $(,)?) => { &[$($text),*] };
}
#[cfg(not(any(test, feature = "tables")))]
macro_rules! examples {
    ($($text:literal),* $(,)?) => {
        $crate::policy::grammar::spec::Examples
    };
}
pub(super) use examples;

impl Command {
    /// The entry that allows nothing but the bare command.
    pub(super) const BARE: Self = Self {
        names: &[],
        does: "",
        style: Style::Gnu,
        flags: "",
        long: "",
        values: &[],
        optional: &[],
        number: false,
        refused: &[],
        operands: Operands::None,
        check: None,
        reads: None,
        allowed: examples![],
        asks: examples![],
    };
}

/// How a command reads its words.
#[derive(Clone, Copy)]
pub(in super::super) enum Style {
    /// Letters in clusters, long options, options and operands in any order.
    Gnu,
    /// The same, but options only before the first operand: where a word after it
    /// would be an operand in one implementation and an option in another.
    OptionsFirst,
    /// Every option is a word of its own, with one dash or two.
    WholeWords,
    /// The same, and only before the first operand.
    WholeWordsFirst,
    /// Something else.
    Custom(fn(&[Word]) -> Outcome),
}

/// What a value or an operand must be.
#[derive(Clone, Copy)]
pub(in super::super) enum Kind {
    /// Any text.
    Text,
    /// A number, perhaps with a sign and a unit, or a range or list of numbers.
    Number,
    /// A name, which does not look like an option.
    Name,
    /// A path of which only name and metadata are seen.
    Names,
    /// A path whose content is read; `-` is the empty standard input.
    Read,
    /// A path of which the first bytes are looked at and a word or two is shown; a
    /// pattern then is as good as the names.
    Sniff,
    /// A pattern of file names that limits a recursive read.
    Include,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// What the function accepts.
    Is(fn(&str) -> bool),
}

/// What may stand besides the options.
#[derive(Clone, Copy)]
pub(in super::super) enum Operands {
    /// Nothing.
    None,
    /// At most so many of a kind.
    UpTo(usize, Kind),
    /// Any number of a kind.
    Any(Kind),
    /// One first, unless one of the options stands for it, then any number.
    FirstThen {
        first: Kind,
        unless: &'static [&'static str],
        then: Kind,
    },
    /// One of these sequences: `a|b` is either word, `*` one name, `%` any one text
    /// that is no option, `...` any number of names.
    Phrases(&'static [&'static str]),
}

/// An option that is left out, and why.
pub(in super::super) struct Refused {
    pub(in super::super) option: &'static str,
    /// Last part of the rule id.
    pub(in super::super) id: &'static str,
    /// Follows the command's and the option's name: "writes a file".
    pub(in super::super) why: &'static str,
}

pub(super) const fn refused(option: &'static str, id: &'static str, why: &'static str) -> Refused {
    Refused { option, id, why }
}

/// A path that a command touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Touch {
    pub(in super::super) path: String,
    pub(in super::super) glob: bool,
    pub(in super::super) home: bool,
    pub(in super::super) access: Access,
}

impl Touch {
    pub(super) fn new(word: &Word, access: Access) -> Self {
        Self {
            path: word.text.clone(),
            glob: word.glob,
            home: word.home,
            access,
        }
    }
}

/// Why a command line is not in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Refusal {
    /// Last part of the rule id.
    pub(super) id: &'static str,
    /// A whole sentence.
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(id: &'static str, reason: impl Into<String>) -> Self {
        Self {
            id,
            reason: reason.into(),
        }
    }
}

/// The paths a command line touches, or why it is not allowed.
pub(in super::super) type Outcome = Result<Vec<Touch>, Refusal>;

/// The name of an option, without its value.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Name<'a> {
    /// A letter of a cluster.
    Letter(char),
    /// A whole option, dashes included.
    Long(&'a str),
}

impl Name<'_> {
    /// Whether it is the option as tables write it, such as `-a` or `--all`.
    pub(super) fn is(self, option: &str) -> bool {
        match self {
            Self::Letter(letter) => {
                let mut chars = option.chars();
                chars.next() == Some('-') && chars.next() == Some(letter) && chars.next().is_none()
            }
            Self::Long(name) => name == option,
        }
    }

    /// As tables write it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Letter(letter) => format!("-{letter}"),
            Self::Long(name) => name.to_owned(),
        }
    }
}

/// A command line sorted by its entry.
#[derive(Default)]
pub(in super::super) struct Parsed<'a> {
    pub(super) options: Vec<(Name<'a>, Option<Word>)>,
    pub(super) operands: Vec<&'a Word>,
}

impl Parsed<'_> {
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.options
            .iter()
            .any(|(name, _)| names.iter().any(|option| name.is(option)))
    }

    /// All values given by any of the names.
    pub(super) fn values<'s>(&'s self, names: &'s [&str]) -> impl Iterator<Item = &'s str> {
        let given = self
            .options
            .iter()
            .filter(|(name, _)| names.iter().any(|option| name.is(option)));
        given
            .filter_map(|(_, value)| value.as_ref())
            .map(|word| word.text.as_str())
    }
}

/// Whether a text is a plain number of at most `limit`.
pub(super) fn at_most(text: &str, limit: u32) -> bool {
    text.parse::<u32>().is_ok_and(|number| number <= limit)
}

/// Whether a text could be a name of a unit, device, user or package.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Whether a text is a number, perhaps with a sign, a fraction and a unit, or a
/// range or list of numbers.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 24
        && digits
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ',' | '-'))
}

/// An interval in seconds and a count: nothing, or both and bounded, because
/// without a count such a command never ends.
pub(super) fn bounded_repeat(parsed: &Parsed<'_>) -> Option<Refusal> {
    let words: Vec<&str> = parsed
        .operands
        .iter()
        .map(|word| word.text.as_str())
        .collect();
    bounded(&words)
}

/// As [`bounded_repeat`], for the words that are numbers.
pub(super) fn bounded(numbers: &[&str]) -> Option<Refusal> {
    const SECONDS: u32 = 600;
    let ends = match numbers {
        [] => true,
        [interval, count] => match (interval.parse::<u32>(), count.parse::<u32>()) {
            (Ok(interval), Ok(count)) => interval.max(1).saturating_mul(count) <= SECONDS,
            _ => false,
        },
        _ => false,
    };
    (!ends).then(|| {
        Refusal::new(
            "endless",
            format!("without an interval and a count that end within {SECONDS} s it may never end"),
        )
    })
}
