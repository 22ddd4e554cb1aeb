//! `ps`.
//!
//! It reads the same letters in three styles, and in one of them `e` shows the
//! environment of every process: what could be read in more than one style is not
//! known here.

use super::super::lex::Word;
use super::spec::{Outcome, Refusal, is_name};

/// Option letters of BSD style that show what `ps` always shows.
const BSD_LETTERS: &str = "acfghjlmnrsuvwxHLSTXZ";
/// The same of UNIX style; `e` is "every process" there and not the environment.
/// (FreeBSD's `ps -e` shows environments; a Linux without `ps -ef` would be odd.)
const UNIX_LETTERS: &str = "AadefFHjlLmNPwyZcVM";
/// Options with a list of numbers or names.
const LISTS: &[&str] = &[
    "--pid", "--ppid", "--user", "--User", "--group", "--Group", "--tty", "--sid",
];
const LONG: &[&str] = &[
    "--forest",
    "--no-headers",
    "--no-heading",
    "--headers",
    "--deselect",
    "--help",
    "--info",
    "--version",
    "--cumulative",
];
const FORMATS: &[&str] = &["--format", "--sort"];

/// `ps`, in the styles of UNIX, BSD and GNU mixed.
pub(super) fn ps(words: &[Word]) -> Outcome {
    let environment = || {
        Refusal::new(
            "environment",
            "`e` shows the environment of every process, which usually holds passwords",
        )
    };
    // Where procps cannot read a line in UNIX style it reads it again in BSD style,
    // and `-e` becomes the environment. Lists are what it most often cannot read.
    let every = words.iter().any(|word| {
        word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('e')
    });
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if !word.is_literal() {
            return Err(Refusal::new(
                "glob",
                "only a shell knows what this pattern becomes",
            ));
        }
        let text = word.text.as_str();
        let mut value =
            |attached: Option<&str>, check: fn(&str) -> Result<(), Refusal>| match attached {
                Some(value) => check(value),
                None => rest.next().map_or_else(
                    || Err(Refusal::new("value", "the last option has no value")),
                    |word| check(&word.text),
                ),
            };
        if let Some(long) = text.strip_prefix("--") {
            let (name, attached) = match long.split_once('=') {
                Some((name, value)) => (&text[..name.len() + 2], Some(value)),
                None => (text, None),
            };
            match name {
                name if LISTS.contains(&name) => value(attached, list)?,
                name if FORMATS.contains(&name) => value(attached, format)?,
                name if LONG.contains(&name) && attached.is_none() => {}
                _ => {
                    return Err(Refusal::new(
                        "option",
                        format!("`{name}` is not known to only look"),
                    ));
                }
            }
        } else if let Some(letters) = text.strip_prefix('-') {
            if matches!(
                letters,
                "aux" | "auxw" | "auxww" | "auxf" | "ax" | "axu" | "axf" | "T"
            ) {
                continue;
            }
            let plain = letters.trim_start_matches(|c| UNIX_LETTERS.contains(c));
            let mut valued = plain.chars();
            match valued.next() {
                None => {}
                Some(
                    letter @ ('o' | 'O' | 'C' | 'p' | 'q' | 'u' | 'U' | 'g' | 'G' | 't' | 's'),
                ) => {
                    let attached = Some(valued.as_str()).filter(|value| !value.is_empty());
                    if !matches!(letter, 'o' | 'O')
                        && (every || attached.is_some() && letter != 'p')
                    {
                        return Err(Refusal::new(
                            "form",
                            "a list next to letters may be read as more letters",
                        ));
                    }
                    value(
                        attached,
                        if matches!(letter, 'o' | 'O') {
                            format
                        } else {
                            list
                        },
                    )?;
                }
                Some(letter) => {
                    return Err(Refusal::new(
                        "option",
                        format!("`-{letter}` is not known to only look"),
                    ));
                }
            }
        } else if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b',')
        {
            // A process number.
        } else {
            let plain = text.trim_start_matches(|c| BSD_LETTERS.contains(c));
            let mut valued = plain.chars();
            match valued.next() {
                None => {}
                Some('e') => return Err(environment()),
                Some(letter @ ('o' | 'O' | 'k' | 'p' | 'q' | 't' | 'U')) => {
                    let attached = Some(valued.as_str()).filter(|value| !value.is_empty());
                    value(
                        attached,
                        if matches!(letter, 'o' | 'O' | 'k') {
                            format
                        } else {
                            list
                        },
                    )?;
                }
                Some(letter) => {
                    return Err(Refusal::new(
                        "option",
                        format!("`{letter}` is not known to only look"),
                    ));
                }
            }
        }
    }
    Ok(Vec::new())
}

/// A list of output columns.
fn format(text: &str) -> Result<(), Refusal> {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, ',' | '=' | '%' | '_' | ':' | '-' | '+' | ' ' | '.')
    };
    let environment = text.split([',', ' ']).any(|column| {
        column
            .trim_start_matches(['+', '-'])
            .to_ascii_lowercase()
            .starts_with("env")
    });
    if environment {
        return Err(Refusal::new(
            "environment",
            "this column is the environment of a process, which usually holds passwords",
        ));
    }
    if text.chars().all(plain) {
        Ok(())
    } else {
        Err(Refusal::new("value", "the list of columns is not plain"))
    }
}

/// A list of numbers or names that cannot be taken for option letters.
fn list(text: &str) -> Result<(), Refusal> {
    let before_e = text.split_once('e').map(|(before, _)| before);
    if !is_name(text)
        || before_e.is_some_and(|before| before.chars().all(|c| BSD_LETTERS.contains(c)))
    {
        return Err(Refusal::new(
            "value",
            format!("`{text}` may be read as option letters, `e` for the environment among them"),
        ));
    }
    Ok(())
}
