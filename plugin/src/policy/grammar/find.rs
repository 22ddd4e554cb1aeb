//! `find`.
//!
//! Invariant: every word is a start, a known test with its argument, or a known
//! action without effect. Content is never seen, so starts are judged as names.
//! Where a start leads is not known here.

use super::super::lex::Word;
use super::super::paths::Access;
use super::super::types::shown;
use super::spec::{Outcome, Refusal, Touch};

/// Tests, actions and options without an argument.
const ALONE: &[&str] = &[
    "!",
    "(",
    ")",
    ",",
    "-a",
    "-and",
    "-daystart",
    "-depth",
    "-d",
    "-empty",
    "-executable",
    "-false",
    "-follow",
    "-ignore_readdir_race",
    "-ls",
    "-mount",
    "-noignore_readdir_race",
    "-nogroup",
    "-noleaf",
    "-not",
    "-nouser",
    "-nowarn",
    "-o",
    "-or",
    "-print",
    "-print0",
    "-prune",
    "-quit",
    "-readable",
    "-true",
    "-warn",
    "-writable",
    "-xdev",
];

/// Tests and options with one argument that is not a path.
const WITH_TEXT: &[&str] = &[
    "-amin",
    "-atime",
    "-cmin",
    "-context",
    "-ctime",
    "-fstype",
    "-gid",
    "-group",
    "-ilname",
    "-iname",
    "-inum",
    "-ipath",
    "-iregex",
    "-iwholename",
    "-links",
    "-lname",
    "-maxdepth",
    "-mindepth",
    "-mmin",
    "-mtime",
    "-name",
    "-path",
    "-perm",
    "-printf",
    "-regex",
    "-regextype",
    "-size",
    "-type",
    "-uid",
    "-used",
    "-user",
    "-wholename",
    "-xtype",
    "-Bmin",
    "-Btime",
    "-flags",
];

const REFUSED: &[(&str, &str, &str)] = &[
    ("-exec", "exec", "runs a program for every file"),
    ("-execdir", "exec", "runs a program for every file"),
    ("-ok", "exec", "runs a program for every file"),
    ("-okdir", "exec", "runs a program for every file"),
    ("-delete", "delete", "deletes every file it finds"),
    ("-fprint", "output", "writes a file"),
    ("-fprint0", "output", "writes a file"),
    ("-fprintf", "output", "writes a file"),
    ("-fls", "output", "writes a file"),
    (
        "-files0-from",
        "content",
        "shows the content of a file as missing names",
    ),
    ("-D", "debug", "is not the same in every version"),
];

pub(super) fn find(words: &[Word]) -> Outcome {
    let mut touched = Vec::new();
    let mut rest = words.iter().peekable();
    while rest
        .next_if(|word| {
            matches!(
                word.text.as_str(),
                "-H" | "-L" | "-P" | "-x" | "-O0" | "-O1" | "-O2" | "-O3"
            )
        })
        .is_some()
    {}
    while let Some(start) = rest.next_if(|word| !is_expression(&word.text)) {
        touched.push(Touch::new(start, Access::Names));
    }
    while let Some(word) = rest.next() {
        let text = word.text.as_str();
        if !word.is_literal() {
            return Err(Refusal::new(
                "glob",
                format!("only a shell knows what {} becomes", shown(text)),
            ));
        }
        if ALONE.contains(&text) {
            continue;
        }
        let touches = text.starts_with("-newer") && is_newer(text)
            || matches!(text, "-samefile" | "-anewer" | "-cnewer");
        if !touches && !WITH_TEXT.contains(&text) {
            return Err(refuse(text));
        }
        let Some(argument) = rest.next() else {
            return Err(Refusal::new("value", format!("`{text}` has no value")));
        };
        if !argument.is_literal() {
            return Err(Refusal::new(
                "glob",
                format!("only a shell knows what {} becomes", shown(&argument.text)),
            ));
        }
        if touches && !text.ends_with('t') {
            touched.push(Touch::new(argument, Access::Names));
        }
    }
    Ok(touched)
}

/// Whether a word ends the list of starts.
fn is_expression(text: &str) -> bool {
    text.starts_with('-') || matches!(text, "(" | ")" | "!" | ",")
}

/// `-newer` and `-newerXY`, where `Y` may be `t` for a time instead of a file.
fn is_newer(text: &str) -> bool {
    let letters = text.strip_prefix("-newer").unwrap_or_default().as_bytes();
    matches!(
        letters,
        [] | [b'a' | b'B' | b'c' | b'm', b'a' | b'B' | b'c' | b'm' | b't']
    )
}

fn refuse(text: &str) -> Refusal {
    match REFUSED.iter().find(|(option, _, _)| *option == text) {
        Some((_, id, why)) => Refusal::new(id, format!("`find {text}` {why}")),
        None if text.starts_with('-') => Refusal::new(
            "option",
            format!("{} is not among the tests known to only look", shown(text)),
        ),
        None => Refusal::new(
            "operand",
            format!("{} stands where a test should", shown(text)),
        ),
    }
}
