//! Commands that search in the content of files.
//!
//! A recursive search reads every file below, so its operands are judged as trees;
//! `--include` limits which names count. Invariant: a pattern is never taken for a
//! path, nor a path for a pattern. Which of the files below are secret is left to
//! `paths`.

use super::super::lex::Word;
use super::super::paths::{Access, Shown, Tree};
use super::engine;
use super::spec::{
    Command, Kind, Operands, Outcome, Parsed, Refusal, Style, Touch, examples, refused,
};
use super::wording;

const PATTERN_OPTIONS: &[&str] = &["-e", "--regexp", "-f", "--file"];

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["grep", "egrep", "fgrep"],
        does: "searches in files",
        style: Style::Custom(grep),
        reads: Some(&GREP),
        allowed: examples![
            "grep -rn 'proxy_pass' /etc/nginx/conf.d",
            "grep -E 'a|b;c' /srv/log.txt",
            "grep -i error /var/log/syslog",
            "grep -c ^processor /proc/cpuinfo",
            "grep -A3 -B 2 foo /srv/a",
            "grep -- -x /srv/a",
            "grep -e a -e b /srv/a",
            "grep -rn --include='*.conf' listen /etc/apache2",
            "grep -rl foo /var/log/nginx",
            "grep -v '^#' /etc/fstab",
            "grep foo",
            "grep -P '\\d+' /srv/a",
            "grep -5 foo /srv/a",
            "grep --color=auto -oE '[0-9]+' /srv/a",
            "grep foo$ /srv/a",
            "grep foo /var/log/*.log",
            "grep -r --include=*.py import /srv/app",
            "grep -d skip foo /srv/a /srv/b",
            "grep -rn TODO /srv/app",
            "grep -R 'listen 443' /etc/nginx",
            "grep -rnE 'TODO|FIXME' /srv/app",
            "grep -ri upstream /etc/nginx",
            "grep -rl --exclude-dir=.git server_name /opt/app",
        ],
        asks: examples![
            "grep -r password /",
            "grep -r . /etc",
            "grep -r x /root",
            "grep -r x",
            "grep -R foo /home/deploy",
            "grep root /etc/shadow",
            "grep -rf /etc/shadow x",
            "grep -f /etc/shadow /srv/a",
            "grep -d recurse x /",
            "grep --directories=recurse x /etc",
            "grep -rn password /srv/app",
            "grep -rn -A9 TODO /srv/app",
            "grep -rz listen /srv/app",
            "grep -rv listen /srv/app",
            "grep -ri mailgun /srv/app",
            "grep -rn '' /srv/app",
            "grep -rn . /srv/app",
            "grep -rn TODO -e . /srv/app",
            "grep -rnE 'TODO|' /srv/app",
            "grep -rn MAILGUN /srv/app",
            "grep -5r TODO /srv/app",
            "grep '' ~/.ssh/id_rsa",
            "grep -r foo ~",
            "grep -r --include='*' foo /srv",
            "grep --recurs x /",
            "grep -r x /proc",
            "grep foo /srv/*",
            "grep -r --include='*.env' x /srv",
            "grep -r --include='.*' x /srv",
            "grep --exclude-from=/etc/shadow x y",
            "grep",
        ],
        ..Command::BARE
    },
    Command {
        names: &["zgrep", "zegrep", "zfgrep", "bzgrep", "xzgrep", "zstdgrep"],
        does: "searches in compressed files",
        flags: "cEFGhHilLnoqsvwx",
        long: "\
            --count --extended-regexp --fixed-strings --no-filename --with-filename --ignore-case \
            --files-with-matches --files-without-match --line-number --only-matching --quiet \
            --silent --no-messages --invert-match --word-regexp --line-regexp --version",
        values: &[
            ("--regexp", Kind::Text),
            ("--max-count", Kind::Number),
            ("--after-context", Kind::Number),
            ("--before-context", Kind::Number),
            ("--context", Kind::Number),
            ("-e", Kind::Text),
            ("-m", Kind::Number),
            ("-A", Kind::Number),
            ("-B", Kind::Number),
            ("-C", Kind::Number),
        ],
        operands: Operands::FirstThen {
            first: Kind::Text,
            unless: &["-e", "--regexp"],
            then: Kind::Read,
        },
        allowed: examples![
            "zgrep --count foo /srv/a.gz",
            "zgrep -i error /var/log/syslog.2.gz",
            "zgrep -c foo /var/log/*.gz",
        ],
        asks: examples!["zgrep -r x /", "zgrep -f x y", "zgrep . /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["rg"],
        does: "searches in files",
        style: Style::Custom(ripgrep),
        reads: Some(&RIPGREP),
        allowed: examples!["rg -n error /var/log", "rg -i 'a|b' /var/log/nginx -C2"],
        asks: examples![
            "rg --pre=/srv/x foo /srv",
            "rg foo",
            "rg foo /root",
            "rg -z foo /var/log",
            "rg --hostname-bin=x y /var/log",
            "rg -f x /var/log",
        ],
        ..Command::BARE
    },
];

const GREP: Command = Command {
    flags: "abcEFGhHiIlLnoPqrRsTvwxyzZU",
    long: "\
        --text --byte-offset --count --extended-regexp --fixed-strings --basic-regexp \
        --perl-regexp --no-filename --with-filename --ignore-case --no-ignore-case \
        --files-without-match --files-with-matches --line-number --only-matching --quiet \
        --silent --recursive --dereference-recursive --no-messages --initial-tab --invert-match \
        --word-regexp --line-regexp --null --null-data --binary --line-buffered \
        --no-group-separator --help --version",
    values: &[
        ("-e", Kind::Text),
        ("--regexp", Kind::Text),
        ("-f", Kind::Read),
        ("--file", Kind::Read),
        ("-m", Kind::Number),
        ("--max-count", Kind::Number),
        ("-A", Kind::Number),
        ("--after-context", Kind::Number),
        ("-B", Kind::Number),
        ("--before-context", Kind::Number),
        ("-C", Kind::Number),
        ("--include", Kind::Include),
        ("--exclude", Kind::Text),
        ("--exclude-dir", Kind::Text),
        ("--label", Kind::Text),
        ("-D", Kind::OneOf(&["skip"])),
        ("--devices", Kind::OneOf(&["skip"])),
        ("-d", Kind::OneOf(&["skip", "read", "recurse"])),
        ("--directories", Kind::OneOf(&["skip", "read", "recurse"])),
        ("--binary-files", Kind::Name),
        ("--group-separator", Kind::Text),
        ("--context", Kind::Number),
    ],
    optional: &[("--color", Kind::Name), ("--colour", Kind::Name)],
    number: true,
    refused: &[refused(
        "--exclude-from",
        "content",
        "reads patterns from a file",
    )],
    operands: Operands::FirstThen {
        first: Kind::Text,
        unless: PATTERN_OPTIONS,
        then: Kind::Read,
    },
    ..Command::BARE
};

const RIPGREP: Command = Command {
    flags: "cFhHiIlnNopqsSvwx",
    long: "--no-heading --heading --count --files-with-matches --no-config --version --stats",
    values: &[
        ("-A", Kind::Number),
        ("-B", Kind::Number),
        ("-C", Kind::Number),
        ("-m", Kind::Number),
        ("-e", Kind::Text),
        ("-t", Kind::Name),
        ("-T", Kind::Name),
        ("--type", Kind::Name),
        ("--glob", Kind::Text),
        ("-g", Kind::Text),
        ("-d", Kind::Number),
        ("--max-depth", Kind::Number),
        ("--color", Kind::Name),
    ],
    refused: &[
        refused("--pre", "exec", "runs a program for every file"),
        refused("--hostname-bin", "exec", "runs a program"),
        refused("-z", "exec", "runs decompressors"),
        refused("-f", "content", "reads patterns from a file"),
    ],
    operands: Operands::FirstThen {
        first: Kind::Text,
        unless: &["-e"],
        then: Kind::Read,
    },
    ..Command::BARE
};

/// Most directories, and patterns of names, of one recursive search: each pattern
/// is held against every name on the list of secrets.
const TREES_CAP: usize = 16;
const INCLUDES_CAP: usize = 16;

fn grep(words: &[Word]) -> Outcome {
    let (parsed, touched) = engine::read(&GREP, words)?;
    let recurses = parsed.has(&["-r", "-R", "--recursive", "--dereference-recursive"])
        || parsed
            .values(&["-d", "--directories"])
            .any(|action| action == "recurse");
    if !recurses {
        return Ok(touched);
    }
    let include: Vec<String> = parsed.values(&["--include"]).map(str::to_owned).collect();
    let unclear = [
        "-v",
        "--invert-match",
        "-z",
        "--null-data",
        "-f",
        "--file",
        "-A",
        "--after-context",
        "-B",
        "--before-context",
        "-C",
        "--context",
        "-0",
    ];
    let any_case = parsed.has(&["-i", "-y", "--ignore-case"]);
    let shown = shown(&parsed, PATTERN_OPTIONS, &unclear, any_case);
    let operands = parsed.operands.len() - usize::from(!parsed.has(PATTERN_OPTIONS));
    as_trees(touched, operands, include, shown)
}

fn ripgrep(words: &[Word]) -> Outcome {
    let (parsed, touched) = engine::read(&RIPGREP, words)?;
    let any_case = parsed.has(&["-i", "-S"]);
    let shown = shown(&parsed, &["-e"], &["-v", "-A", "-B", "-C"], any_case);
    let operands = parsed.operands.len() - usize::from(!parsed.has(&["-e"]));
    as_trees(touched, operands, Vec::new(), shown)
}

/// Which lines a search shows; with one of the `unclear` options they are not those
/// that match.
fn shown(parsed: &Parsed<'_>, options: &[&str], unclear: &[&str], any_case: bool) -> Shown {
    if parsed.has(unclear) {
        return Shown::Any;
    }
    let first = parsed.operands.first().filter(|_| !parsed.has(options));
    let first = first.map(|word| word.text.as_str());
    wording::shown(first.into_iter().chain(parsed.values(options)), any_case)
}

/// Turns reads into recursive ones; without operands the working directory is meant.
fn as_trees(touched: Vec<Touch>, operands: usize, include: Vec<String>, shown: Shown) -> Outcome {
    if touched.len() > TREES_CAP || include.len() > INCLUDES_CAP {
        return Err(Refusal::new(
            "many",
            format!(
                "more than {TREES_CAP} directories or {INCLUDES_CAP} patterns of names are too \
                 many to judge"
            ),
        ));
    }
    let access = Access::Tree(Tree::new(include, shown));
    let mut touched: Vec<Touch> = touched
        .into_iter()
        .map(|touch| Touch {
            access: access.clone(),
            ..touch
        })
        .collect();
    if operands == 0 {
        touched.push(Touch::new(&Word::literal("."), access));
    }
    Ok(touched)
}
