//! `jq`, without the files and variables its language can reach.
//!
//! Invariant: a filter passes only if it ends, loads nothing and shows nothing of
//! the environment. It does not look whether the filter fits the input.

use super::super::lex::Word;
use super::engine;
use super::spec::{Command, Kind, Operands, Outcome, Refusal, Style, examples, is_name, refused};

pub(super) const COMMANDS: &[Command] = &[Command {
    names: &["jq"],
    does: "prints parts of JSON files",
    style: Style::Custom(jq),
    reads: Some(&JQ),
    allowed: examples![
        "jq . /srv/a.json",
        "jq -r '.a[] | select(.b > 1) | .c' /srv/a.json",
        "jq length /srv/a.json",
        "jq --arg x 1 '.a == $x' /srv/a.json",
    ],
    asks: examples![
        "jq env",
        "jq -n 'import \"a\" as $x; $x' x",
        "jq '$ENV' x",
        "jq --slurpfile a /etc/shadow . x",
        "jq . /srv/.env",
        "jq -f x",
        "jq 'include \"a\"; .' x",
        "jq 'input_filename' x",
        "jq --arg a",
        "jq --arg -f x . y",
        "jq --args . /etc/shadow",
        "jq",
    ],
    ..Command::BARE
}];

const JQ: Command = Command {
    flags: "rcCSsenMaj",
    long: "\
        --raw-output --compact-output --color-output --monochrome-output --sort-keys --slurp \
        --exit-status --null-input --ascii-output --join-output --tab --version --help",
    values: &[("--indent", Kind::Number)],
    refused: &[
        refused("-f", "program", "reads the program from a file"),
        refused("--from-file", "program", "reads the program from a file"),
        refused("-L", "program", "loads modules from a directory"),
        refused("--rawfile", "content", "reads another file"),
        refused("--slurpfile", "content", "reads another file"),
    ],
    operands: Operands::FirstThen {
        first: Kind::Is(is_plain_filter),
        unless: &[],
        then: Kind::Read,
    },
    ..Command::BARE
};

/// `jq`, without the variables that `--arg NAME VALUE` sets.
fn jq(words: &[Word]) -> Outcome {
    let mut kept = Vec::with_capacity(words.len());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word.text != "--arg" && word.text != "--argjson" {
            kept.push(word.clone());
            continue;
        }
        let plain = |word: Option<&Word>| word.is_some_and(Word::is_literal);
        if !rest.next().is_some_and(|name| is_name(&name.text)) || !plain(rest.next()) {
            return Err(Refusal::new("value", "`--arg` has no name and value"));
        }
    }
    engine::judge(&JQ, &kept)
}

/// A jq filter that ends, loads no file and does not look at the environment.
fn is_plain_filter(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "import",
        "include",
        "env",
        "ENV",
        "input_filename",
        "modulemeta",
        "get_search_list",
        "debug",
        "stderr",
        // These can go on for ever, in some versions with an empty pattern.
        "def",
        "gsub",
        "infinite",
        "match",
        "range",
        "recurse",
        "repeat",
        "scan",
        "splits",
        "sub",
        "until",
        "while",
    ];
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    !words.any(|word| WORDS.contains(&word) || word.starts_with("__"))
}
