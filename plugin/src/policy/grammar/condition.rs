//! `test` and `[`.
//!
//! Invariant: the words are held to known operators and plain operands: bash and
//! ksh evaluate some operands as arithmetic or as variable names, in which a
//! substitution runs although it was quoted. Nothing of a file but its metadata is
//! seen. Whether the answer is used for anything is not seen here.

use super::super::lex::Word;
use super::super::paths::Access;
use super::spec::{Outcome, Refusal, Touch, is_number};

const FILE: &[&str] = &[
    "-b", "-c", "-d", "-e", "-f", "-g", "-G", "-h", "-k", "-L", "-N", "-O", "-p", "-r", "-s", "-S",
    "-u", "-w", "-x",
];
const TEXT: &[&str] = &["-n", "-z"];
const COMPARE_TEXT: &[&str] = &["=", "==", "!="];
const COMPARE_NUMBERS: &[&str] = &["-eq", "-ne", "-gt", "-ge", "-lt", "-le"];
const COMPARE_FILES: &[&str] = &["-nt", "-ot", "-ef"];
const CONNECT: &[&str] = &["!", "-a", "-o", "(", ")"];

pub(super) fn bracket(words: &[Word]) -> Outcome {
    match words.split_last() {
        Some((last, words)) if last.text == "]" => test(words),
        _ => Err(Refusal::new("syntax", "`[` has no closing `]`")),
    }
}

pub(super) fn test(words: &[Word]) -> Outcome {
    let mut touched = Vec::new();
    let mut rest = words;
    loop {
        let texts: Vec<&str> = rest.iter().take(3).map(|word| word.text.as_str()).collect();
        let used = match texts.as_slice() {
            [] => return Ok(touched),
            [left, operator, right] if COMPARE_TEXT.contains(operator) => {
                plain(&rest[0])?;
                plain(&rest[2])?;
                operand(left)?;
                operand(right)?;
                3
            }
            [left, operator, right] if COMPARE_NUMBERS.contains(operator) => {
                if !is_integer(left) || !is_integer(right) {
                    return Err(Refusal::new(
                        "arithmetic",
                        "some shells evaluate an operand that is no plain number",
                    ));
                }
                3
            }
            [_, operator, _] if COMPARE_FILES.contains(operator) => {
                touched.extend([&rest[0], &rest[2]].map(|word| Touch::new(word, Access::Names)));
                3
            }
            [operator, _, ..] if FILE.contains(operator) => {
                if rest[1].glob {
                    return Err(Refusal::new(
                        "glob",
                        "a pattern could become more words than one",
                    ));
                }
                touched.push(Touch::new(&rest[1], Access::Names));
                2
            }
            [operator, text, ..] if TEXT.contains(operator) => {
                plain(&rest[1])?;
                operand(text)?;
                2
            }
            ["-t", descriptor, ..] if descriptor.bytes().all(|byte| byte.is_ascii_digit()) => 2,
            [connective, ..] if CONNECT.contains(connective) => 1,
            [text, ..] => {
                plain(&rest[0])?;
                operand(text)?;
                1
            }
        };
        rest = &rest[used..];
    }
}

fn is_integer(text: &str) -> bool {
    is_number(text)
        && text
            .trim_start_matches(['+', '-'])
            .bytes()
            .all(|byte| byte.is_ascii_digit())
}

fn plain(word: &Word) -> Result<(), Refusal> {
    if word.is_literal() {
        Ok(())
    } else {
        Err(Refusal::new(
            "glob",
            "only a shell knows what this pattern becomes",
        ))
    }
}

/// A text operand; one that looks like an operator might be read as one.
fn operand(text: &str) -> Result<(), Refusal> {
    if text.starts_with('-') && !is_number(text) {
        return Err(Refusal::new(
            "operator",
            format!("`{text}` is not an operator that every `test` has"),
        ));
    }
    Ok(())
}
