//! `ps`.
//!
//! It reads the same letters in three styles, and in one of them `e` shows the
//! environment of every process: what could be read in more than one style is not
//! known here. Invariant: no line passes that any style reads as asking for
//! environments. Whose processes are shown does not matter.

use super::super::lex::Word;
use super::spec::{Outcome, Refusal, is_name};

/// Option letters of BSD style that show what `ps` always shows.
const BSD_LETTERS: &str = "acfghjlmnrsuvwxHLSTXZ";
/// The same of UNIX style; `e` is "every process" there and not the environment.
/// (FreeBSD's `ps -e` shows environments; a Linux without `ps -ef` would be odd.)
const UNIX_LETTERS: &str = "AadefFHjlLmNPTwyZcVM";
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
    let mut seen = Seen::default();
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
                name if FORMATS.contains(&name) => {
                    seen.columns |= name == "--format";
                    value(attached, format)?;
                }
                name if LONG.contains(&name) && attached.is_none() => {
                    seen.tree |= name == "--forest";
                    seen.inverted |= name == "--deselect";
                }
                _ => {
                    return Err(Refusal::new(
                        "option",
                        format!("`{name}` is not known to only look"),
                    ));
                }
            }
        } else if let Some(letters) = text.strip_prefix('-') {
            if letters.starts_with("ax") || letters.starts_with("aux") {
                // Not in UNIX style, since `x` is no option there.
                if letters.chars().all(|c| "auxwf".contains(c)) {
                    seen.bsd.push_str(letters);
                    continue;
                }
            }
            let plain = letters.trim_start_matches(|c| UNIX_LETTERS.contains(c));
            seen.unix.push_str(&letters[..letters.len() - plain.len()]);
            let mut valued = plain.chars();
            match valued.next() {
                None => {}
                Some(
                    letter @ ('o' | 'O' | 'C' | 'p' | 'q' | 'u' | 'U' | 'g' | 'G' | 't' | 's'),
                ) => {
                    let attached = Some(valued.as_str()).filter(|value| !value.is_empty());
                    let columns = matches!(letter, 'o' | 'O');
                    if !columns && (every || attached.is_some() && letter != 'p') {
                        return Err(Refusal::new(
                            "form",
                            "a list next to letters may be read as more letters",
                        ));
                    }
                    seen.columns |= columns;
                    value(attached, if columns { format } else { list })?;
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
            seen.processes = true;
        } else {
            let plain = text.trim_start_matches(|c| BSD_LETTERS.contains(c));
            seen.bsd.push_str(&text[..text.len() - plain.len()]);
            let mut valued = plain.chars();
            match valued.next() {
                None => {}
                Some('e') => return Err(environment()),
                Some(letter @ ('o' | 'O' | 'k' | 'p' | 'q' | 't' | 'U')) => {
                    let attached = Some(valued.as_str()).filter(|value| !value.is_empty());
                    let columns = matches!(letter, 'o' | 'O' | 'k');
                    seen.bsd.push(letter);
                    value(attached, if columns { format } else { list })?;
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
    seen.check()
}

/// What was asked for, in each style.
#[derive(Default)]
struct Seen {
    unix: String,
    bsd: String,
    /// `-o`, `-O` or `--format`.
    columns: bool,
    /// `--forest`.
    tree: bool,
    /// `--deselect`.
    inverted: bool,
    /// A number by itself.
    processes: bool,
}

impl Seen {
    fn check(&self) -> Outcome {
        let unix = |letters: &str| self.unix.contains(|c| letters.contains(c));
        let threads = self.unix.contains('m') || self.bsd.contains('m');
        if threads && (self.bsd.contains('r') || self.unix.contains('r')) {
            return Err(Refusal::new(
                "endless",
                "`m` together with `r` prints the same process for ever in some versions",
            ));
        }
        if !unix("e") {
            return Ok(Vec::new());
        }
        // Where procps cannot read a line in UNIX style it reads it again in BSD style,
        // and `-e` becomes the environment. That happens when two words ask for
        // different columns, or for threads as a tree, or mix the styles.
        let by_thread = unix("LT");
        let as_tree = self.tree || unix("H") || self.bsd.contains('f');
        let odd = self.bsd.contains(|c| !matches!(c, 'f' | 'h' | 'w'))
            || self.processes
            || self.inverted
            || unix("Nm")
            || self.columns && unix("fFjlyPZcM")
            || by_thread && as_tree
            || unix("L") && unix("T");
        if odd {
            Err(environment())
        } else {
            Ok(Vec::new())
        }
    }
}

fn environment() -> Refusal {
    Refusal::new(
        "environment",
        "`e` shows, or may be read as showing, the environment of every process, which usually \
         holds passwords",
    )
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
