//! Small programs that a shell also has as builtins, and text generators.
//!
//! What is allowed here runs as a program and not as the builtin, whose `-v` or array
//! subscripts would evaluate text; `command`, `type`, `ulimit` and `umask`, which exist
//! in shells only, are asked of a bare `/bin/sh`. Invariant: output and time are bounded by
//! the words themselves. How a program is started is not decided here.

use super::super::lex::Word;
use super::super::paths::Access;
use super::spec::{
    Command, Kind, Operands, Outcome, Refusal, Style, Touch, at_most, examples, is_name, refused,
};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["echo"],
        does: "prints its words",
        style: Style::Custom(literal_words),
        allowed: examples![
            "echo",
            "echo hello world",
            "echo -n x",
            "echo 'rm -rf /'",
            "echo --- done ---",
        ],
        asks: examples!["echo $HOME", "echo *", "echo ~", "echo `id`", "echo a > b"],
        ..Command::BARE
    },
    Command {
        names: &["printf"],
        does: "prints its words",
        style: Style::Custom(|words| match words {
            [] => Err(Refusal::new("operand", "it has no format")),
            [first, ..] if first.text.starts_with('-') && first.text != "--" => Err(Refusal::new(
                "option",
                "`-v` assigns to a variable in some shells",
            )),
            // A shell's own `printf` computes a number, and a subscript may run a command.
            words if words.iter().skip(1).any(|word| subscripts(&word.text)) => Err(Refusal::new(
                "subscript",
                "some shells evaluate what is between the brackets",
            )),
            words => literal_words(words),
        }),
        allowed: examples![r"printf '%s\n' a b", "printf hello"],
        asks: examples![
            "printf -v x y",
            "printf",
            "printf %s *",
            "printf %d 'a[$(id)]'",
        ],
        ..Command::BARE
    },
    Command {
        names: &["true", "false"],
        does: "ends at once",
        operands: Operands::Any(Kind::Text),
        allowed: examples!["true", "false"],
        asks: examples!["true *"],
        ..Command::BARE
    },
    Command {
        names: &["sleep"],
        does: "waits",
        operands: Operands::UpTo(1, Kind::Is(is_pause)),
        check: Some(|parsed| {
            parsed
                .operands
                .is_empty()
                .then(|| Refusal::new("operand", "it has no duration"))
        }),
        allowed: examples!["sleep 5", "sleep 2s", "sleep 0.5", "sleep 1m"],
        asks: examples!["sleep 9999", "sleep 1h", "sleep infinity", "sleep"],
        ..Command::BARE
    },
    Command {
        names: &["seq"],
        does: "prints numbers",
        style: Style::Custom(seq),
        allowed: examples![
            "seq 10",
            "seq -w 1 2 10",
            "seq 10 -1 1",
            "seq 0.1 0.1 1",
            "seq -f '%03g' 5",
            "seq -s, 1 5",
        ],
        asks: examples![
            "seq inf",
            "seq 1 99999999999",
            "seq -f x y",
            "seq 0 0.0000001 1000",
            "seq 1 0 2",
            "seq -f '%999999999g' 1",
            "seq -f '%s' 1",
            "seq nan",
            "seq 1e9",
        ],
        ..Command::BARE
    },
    Command {
        names: &["factor"],
        does: "prints prime factors",
        operands: Operands::UpTo(1, Kind::Is(|text| at_most(text, u32::MAX))),
        allowed: examples!["factor 12"],
        asks: examples!["factor 170141183460469231731687303715884105727"],
        ..Command::BARE
    },
    Command {
        names: &["expr"],
        does: "computes",
        style: Style::Custom(literal_words),
        allowed: examples!["expr 1 + 2", r"expr 3 \* 4"],
        asks: examples!["expr 3 * 4"],
        ..Command::BARE
    },
    Command {
        names: &["numfmt"],
        does: "prints numbers in another form",
        long: "--version --grouping --help",
        values: &[
            ("--to", Kind::Name),
            ("--from", Kind::Name),
            ("--suffix", Kind::Name),
            ("--field", Kind::Name),
        ],
        operands: Operands::Any(Kind::Number),
        allowed: examples!["numfmt --to=iec 123456"],
        asks: examples!["numfmt --invalid=x y"],
        ..Command::BARE
    },
    Command {
        names: &["command"],
        does: "looks for a program",
        flags: "",
        style: Style::Custom(|words| match words {
            [option, names @ ..]
                if matches!(option.text.as_str(), "-v" | "-V") && !names.is_empty() =>
            {
                plain_names(names)
            }
            _ => Err(Refusal::new("exec", "without `-v` it runs its words")),
        }),
        allowed: examples!["command -v docker", "command -V ls"],
        asks: examples![
            "command ls",
            "command -p ls",
            "command -v",
            "command -v 'a[$(id)]'",
            "command -pv x",
            "command rm x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["type"],
        does: "looks for a program",
        style: Style::Custom(|words| match words {
            [option, names @ ..]
                if matches!(option.text.as_str(), "-a" | "-p" | "-t" | "-P")
                    && !names.is_empty() =>
            {
                plain_names(names)
            }
            names => plain_names(names),
        }),
        allowed: examples!["type ls", "type -a python3"],
        asks: examples!["type -x y", "type 'a b'"],
        ..Command::BARE
    },
    Command {
        names: &["ulimit", "umask"],
        does: "shows limits",
        style: Style::Custom(|words| match words {
            [] => Ok(Vec::new()),
            [option] if option.is_literal() && limit_letters(&option.text) => Ok(Vec::new()),
            _ => Err(Refusal::new("set", "with a value it sets the limit")),
        }),
        allowed: examples!["ulimit -a", "ulimit -n", "umask", "umask -S", "ulimit -Hn"],
        asks: examples![
            "ulimit -n 1024",
            "umask 022",
            "ulimit unlimited",
            "umask u=rwx",
        ],
        ..Command::BARE
    },
    Command {
        names: &["kill"],
        does: "lists signals",
        style: Style::Custom(|words| match words {
            [option] if matches!(option.text.as_str(), "-l" | "-L") => Ok(Vec::new()),
            [option, signal]
                if option.text == "-l" && is_name(&signal.text) && signal.is_literal() =>
            {
                Ok(Vec::new())
            }
            _ => Err(Refusal::new("signal", "it sends a signal")),
        }),
        allowed: examples!["kill -l", "kill -l 9"],
        asks: examples![
            "kill 1",
            "kill -9 1",
            "kill -0 1",
            "kill -l x y",
            "kill -HUP 1",
        ],
        ..Command::BARE
    },
    Command {
        names: &["mountpoint"],
        does: "tells whether a directory is a mount point",
        flags: "qdx",
        long: "--quiet --fs-devno --devno",
        operands: Operands::UpTo(1, Kind::Names),
        allowed: examples!["mountpoint -q /srv", "mountpoint /"],
        asks: examples!["mountpoint -f /srv"],
        ..Command::BARE
    },
    Command {
        names: &["visudo"],
        does: "checks the rules of sudo",
        flags: "cq",
        check: Some(|parsed| {
            (!parsed.has(&["-c"])).then(|| Refusal::new("edit", "without `-c` it edits the rules"))
        }),
        refused: &[
            refused("-f", "content", "shows the lines of another file"),
            refused("-x", "output", "writes a file"),
        ],
        allowed: examples!["visudo -c"],
        asks: examples!["visudo", "visudo -cf /etc/shadow", "visudo -x y"],
        ..Command::BARE
    },
    Command {
        names: &["bash", "sh"],
        does: "shows its own version, or checks the syntax of a script",
        style: Style::Custom(|words| match words {
            [option] if option.text == "--version" => Ok(Vec::new()),
            // A syntax error shows the line it is in.
            [option, file] if option.text == "-n" && is_name(&file.text) && !file.glob => {
                Ok(vec![Touch::new(file, Access::Content)])
            }
            _ => Err(Refusal::new(
                "exec",
                "it runs a program of its own language",
            )),
        }),
        allowed: examples!["bash --version", "bash -n /srv/deploy.sh", "sh -n ./x.sh"],
        asks: examples![
            "bash",
            "bash -c id",
            "sh x.sh",
            "bash -n -c id",
            "bash -n /etc/shadow",
            "bash -nc id",
            "bash --version -c id",
            "sh -n x y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["test"],
        does: "compares and looks for files",
        style: Style::Custom(super::condition::test),
        allowed: examples![
            "test -s /srv/app/pid",
            "test -d /etc -a -r /etc/passwd",
            "test 3 -gt 2",
            "test -n x",
            "test ! -e /x",
            "test a != b",
        ],
        asks: examples![
            "test -v 'v[$(id)]'",
            "test 'a[$(id)]' -eq 1",
            "test -R x",
            "test -t 'x[1]'",
            "test x -foo y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["["],
        does: "compares and looks for files",
        style: Style::Custom(super::condition::bracket),
        allowed: examples!["[ -f /etc/passwd ]", "[ a = b ]", "[ '(' -d /x ')' ]"],
        asks: examples!["[ -f /etc/passwd", "[ -v x ]"],
        ..Command::BARE
    },
];

/// Whether a word holds a subscript with an expansion in it.
fn subscripts(text: &str) -> bool {
    text.split_once('[')
        .is_some_and(|(_, rest)| rest.contains(['$', '`']))
}

/// A pause of at most a minute.
fn is_pause(text: &str) -> bool {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60.0),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    decimal(number).is_some_and(|seconds| (0.0..=60.0).contains(&(seconds * unit)))
}

/// A plain decimal number; no exponent, no infinity.
fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 10
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

/// `seq`, as long as it prints no more than a person would read.
fn seq(words: &[Word]) -> Outcome {
    const LINES: f64 = 100_000.0;
    let mut numbers = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let text = word.text.as_str();
        if !word.is_literal() {
            return Err(Refusal::new(
                "glob",
                "only a shell knows what this pattern becomes",
            ));
        }
        match text {
            "-w" | "--equal-width" => {}
            "-s" | "-f" => {
                let known = rest
                    .next()
                    .is_some_and(|value| text == "-s" || is_format(&value.text));
                if !known {
                    return Err(Refusal::new("value", "the option has no plain value"));
                }
            }
            _ if text.starts_with("-s") => {}
            _ => match decimal(text) {
                Some(number) => numbers.push(number),
                None => {
                    return Err(Refusal::new(
                        "value",
                        "it is not a plain number, or not an option known to only print",
                    ));
                }
            },
        }
    }
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1.0, 1.0, *last),
        [first, last] => (*first, 1.0, *last),
        [first, step, last] => (*first, *step, *last),
        _ => {
            return Err(Refusal::new(
                "operand",
                "it has too few numbers or too many",
            ));
        }
    };
    let lines: f64 = (last - first) / step;
    if lines < LINES && step != 0.0 {
        return Ok(Vec::new());
    }
    Err(Refusal::new(
        "endless",
        "it prints more than anyone would read",
    ))
}

/// `%g` and its like with a short width.
fn is_format(text: &str) -> bool {
    let Some((_, directive)) = text.split_once('%') else {
        return false;
    };
    let width = directive
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+' | ' ' | '#'))
        .unwrap_or(directive.len());
    width <= 5
        && directive[width..].starts_with(['g', 'f', 'e'])
        && !directive.contains('%')
        && text.len() <= 64
        && directive[..width]
            .split(|c: char| !c.is_ascii_digit())
            .all(|digits| digits.len() <= 3)
}

/// Words that are printed or compared and mean nothing else.
fn literal_words(words: &[Word]) -> Outcome {
    match words.iter().find(|word| !word.is_literal()) {
        Some(_) => Err(Refusal::new(
            "glob",
            "only a shell knows what this pattern becomes",
        )),
        None => Ok(Vec::new()),
    }
}

/// Names of programs: a subscript in one would be evaluated by some shells.
fn plain_names(words: &[Word]) -> Outcome {
    let plain = |text: &str| {
        is_name(text)
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._+-/".contains(c))
    };
    if !words.is_empty()
        && words
            .iter()
            .all(|word| word.is_literal() && plain(&word.text))
    {
        return Ok(Vec::new());
    }
    Err(Refusal::new(
        "value",
        "only plain names of programs are known to be harmless here",
    ))
}

fn limit_letters(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|letters| {
        !letters.is_empty() && letters.chars().all(|c| "aHScdefilmnpqrstuvxS".contains(c))
    })
}
