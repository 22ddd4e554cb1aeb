//! Commands that list processes, users and logins.

use super::super::lex::Word;
use super::spec::{
    Command, Kind, Operands, Outcome, Refusal, Style, at_most, examples, is_name, refused,
};

const BOUNDED: Kind = Kind::Is(|text| at_most(text, 20));

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ps"],
        does: "lists processes",
        style: Style::Custom(ps),
        allowed: examples![
            "ps",
            "ps aux",
            "ps -ef",
            "ps -eo pid,comm",
            "ps auxww",
            "ps -aux",
            "ps aux --sort=-%mem",
            "ps -fp 1",
            "ps -u www-data",
            "ps -eo pid,ppid,cmd --sort -rss",
            "ps -efH",
            "ps axjf",
            "ps -eLf",
            "ps -C nginx -o pid=,rss=",
            "ps -p 1,2 -o args",
            "ps --ppid 1",
            "ps -ejH",
            "ps 1",
            "ps -o pid,etime -p 1",
            "ps faux",
            "ps -eww -o pid",
            "ps -eLo pid,tid",
            "ps --forest -ef",
        ],
        asks: examples![
            "ps axe",
            "ps axeww",
            "ps e",
            "ps auxe",
            "ps -auxe",
            "ps eww 1",
            "ps -E",
            "ps -eo environ",
            "ps -eE",
            "ps -o pid,environ",
            "ps -u axe",
            "ps -xe -u user",
            "ps ewaux",
            "ps -eouser,environ",
            "ps --frob",
            "ps axo environ",
            "ps -U e",
            "ps e -ef",
            "ps -xe",
            "ps -eTf --forest",
            "ps -eu x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["pgrep", "pidof"],
        does: "finds processes",
        flags: "aclfinovwxsqhV",
        long: "\
            --list-name --list-full --full --count --newest --oldest --exact --ignore-case \
            --inverse",
        values: &[
            ("-u", Kind::Name),
            ("-U", Kind::Name),
            ("-P", Kind::Name),
            ("-g", Kind::Name),
            ("-G", Kind::Name),
            ("-t", Kind::Name),
            ("-d", Kind::Text),
            ("-s", Kind::Name),
            ("-r", Kind::Name),
            ("--euid", Kind::Name),
            ("--parent", Kind::Name),
        ],
        refused: &[
            refused("-F", "content", "reads a file"),
            refused("--pidfile", "content", "reads a file"),
        ],
        operands: Operands::Any(Kind::Text),
        allowed: examples![
            "pgrep -fl java",
            "pgrep -u root sshd",
            "pidof nginx",
            "pgrep -c php-fpm",
        ],
        asks: examples!["pgrep -F /etc/shadow", "pgrep --signal 9 x"],
        ..Command::BARE
    },
    Command {
        names: &["pstree"],
        does: "shows processes as a tree",
        flags: "aAcghlnNpstTuUZV",
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["pstree -ap", "pstree -p 1", "pstree root"],
        asks: examples!["pstree --frob"],
        ..Command::BARE
    },
    Command {
        names: &["pmap", "pwdx"],
        does: "shows the memory or directory of a process",
        flags: "xXdqpV",
        operands: Operands::Any(Kind::Number),
        allowed: examples!["pmap -x 1234", "pwdx 1"],
        asks: examples!["pmap -c 1", "pmap -N /srv/x 1"],
        ..Command::BARE
    },
    Command {
        names: &["top"],
        does: "shows the busiest processes",
        flags: "bcHiSsh1eEM",
        values: &[
            ("-n", BOUNDED),
            (
                "-d",
                Kind::Is(|text| {
                    text.parse::<f32>()
                        .is_ok_and(|seconds| (0.1..=20.0).contains(&seconds))
                }),
            ),
            (
                "-o",
                Kind::Is(|text| {
                    !text.is_empty()
                        && text
                            .chars()
                            .all(|c| c.is_ascii_alphanumeric() || "%+-_".contains(c))
                }),
            ),
            ("-p", Kind::Name),
            ("-u", Kind::Name),
            ("-U", Kind::Name),
            ("-w", Kind::Number),
        ],
        check: Some(|parsed| {
            let bounded = parsed.has(&["-b"]) && parsed.has(&["-n"]) || parsed.has(&["-h"]);
            (!bounded).then(|| Refusal::new("endless", "without `-b` and `-n` it never ends"))
        }),
        allowed: examples![
            "top -bn1",
            "top -b -n 1 -o %MEM",
            "top -b -n 2 -d 1 -p 1",
            "top -Hbn1",
        ],
        asks: examples![
            "top",
            "top -b",
            "top -n 1",
            "top -b -n 100000",
            "top -bn1 x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["w", "who"],
        does: "shows who is logged in",
        flags: "abdfhHiklmopqrstTuV",
        long: "\
            --all --boot --heading --login --count --runlevel --short --users --no-header --help \
            --version",
        // `who FILE` reads the file, and `w NAME` looks for a user.
        operands: Operands::UpTo(2, Kind::Is(|text| is_name(text) && !text.contains('/'))),
        allowed: examples!["w", "who", "who -b", "w -hs", "who am i", "w root"],
        asks: examples!["who /etc/shadow", "w --frob"],
        ..Command::BARE
    },
    Command {
        names: &["whoami", "groups", "id"],
        does: "shows users and groups",
        flags: "aGgnruzZp",
        long: "--group --groups --name --real --user --context --zero --help --version",
        operands: Operands::Any(Kind::Name),
        allowed: examples!["id", "id -un", "id www-data", "groups deploy", "whoami"],
        asks: examples!["id --frob"],
        ..Command::BARE
    },
    Command {
        names: &["last"],
        does: "shows past logins",
        flags: "adFiRwx",
        long: "--fulltimes --fullnames --hostlast --ip --nohostname --system --help --version",
        values: &[
            ("-n", Kind::Number),
            ("--limit", Kind::Number),
            ("-s", Kind::Text),
            ("--since", Kind::Text),
            ("-t", Kind::Text),
            ("--until", Kind::Text),
            ("-p", Kind::Text),
            ("--time-format", Kind::Name),
        ],
        number: true,
        refused: &[
            refused("-f", "content", "reads another file"),
            refused("--file", "content", "reads another file"),
        ],
        operands: Operands::Any(Kind::Name),
        allowed: examples![
            "last",
            "last -n 20",
            "last -10 root",
            "last reboot",
            "last -xF shutdown",
        ],
        asks: examples!["last -f /etc/shadow", "last --fil=x"],
        ..Command::BARE
    },
    Command {
        names: &["lastlog"],
        does: "shows last logins",
        long: "--help",
        values: &[
            ("-u", Kind::Name),
            ("--user", Kind::Name),
            ("-t", Kind::Number),
            ("--time", Kind::Number),
            ("-b", Kind::Number),
            ("--before", Kind::Number),
        ],
        refused: &[
            refused("-C", "clear", "clears the record"),
            refused("--clear", "clear", "clears the record"),
            refused("-S", "set", "sets the record"),
            refused("--set", "set", "sets the record"),
            refused("-R", "root", "looks into another tree"),
        ],
        allowed: examples!["lastlog", "lastlog -u root"],
        asks: examples![
            "lastlog -C -u root",
            "lastlog --cl -u root",
            "lastlog -S -u root",
        ],
        ..Command::BARE
    },
    Command {
        names: &["getent"],
        does: "shows entries of system databases",
        flags: "i",
        operands: Operands::Phrases(&[
            "passwd|group|services|protocols|rpc|networks|aliases|initgroups ...",
            "hosts|ahosts|ahostsv4|ahostsv6 ...",
        ]),
        allowed: examples![
            "getent passwd",
            "getent group docker",
            "getent hosts localhost",
            "getent services ssh",
        ],
        asks: examples![
            "getent shadow",
            "getent shadow root",
            "getent gshadow",
            "getent -s files shadow",
            "getent",
            "getent netgroup x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["crontab"],
        does: "shows scheduled jobs",
        flags: "l",
        values: &[("-u", Kind::Name)],
        refused: &[
            refused("-r", "delete", "deletes the table"),
            refused("-e", "edit", "edits the table"),
            refused("-i", "delete", "deletes the table"),
        ],
        check: Some(|parsed| {
            (!parsed.has(&["-l"]))
                .then(|| Refusal::new("replace", "without `-l` it replaces the table"))
        }),
        allowed: examples!["crontab -l", "crontab -l -u www-data", "crontab -u root -l"],
        asks: examples![
            "crontab",
            "crontab -r",
            "crontab x",
            "crontab -lr",
            "crontab -u root",
            "crontab -l x",
            "crontab -",
        ],
        ..Command::BARE
    },
    Command {
        names: &["chage"],
        does: "shows when a password expires",
        flags: "l",
        check: Some(|parsed| {
            (!parsed.has(&["-l"]))
                .then(|| Refusal::new("set", "without `-l` it changes the account"))
        }),
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["chage -l deploy"],
        asks: examples!["chage deploy", "chage -E 0 deploy", "chage -l -d 0 x"],
        ..Command::BARE
    },
];

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

fn ps(words: &[Word]) -> Outcome {
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
                "aux" | "auxw" | "auxww" | "auxf" | "ax" | "axu" | "axf"
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
