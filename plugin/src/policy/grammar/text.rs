//! Commands that print the content of files.
//!
//! Their file operands are judged as content. Options that name an output file, a
//! program to run or a list of further files are left out. Invariant: what passes
//! ends by itself; following a growing file is refused. What is in the files is
//! judged by their names, elsewhere.

use super::super::lex::Word;
use super::super::types::shown;
use super::spec::{Command, Kind, Operands, Refusal, Style, examples, refused};

const READ: Operands = Operands::Any(Kind::Read);
const LIST: super::spec::Refused = refused(
    "--files0-from",
    "content",
    "reads the names of more files from a file",
);

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["cat"],
        does: "prints files",
        flags: "AbeEnstTuv",
        long: "\
            --show-all --number-nonblank --show-ends --number --squeeze-blank --show-tabs \
            --show-nonprinting --help --version",
        refused: &[refused("-l", "lock", "locks its output in some versions")],
        operands: READ,
        allowed: examples![
            "cat /etc/debian_version",
            "cat -n /etc/nginx/nginx.conf",
            "cat /proc/cpuinfo /proc/meminfo",
            "cat",
            "cat -- -x",
            "cat ~/notes.md",
            "cat /var/log/*.log",
            "cat /root/.ssh/known_hosts",
            "cat /srv/app/.env.example",
            "cat 'a b'",
        ],
        asks: examples![
            "cat /etc/shadow",
            "cat /etc/ssl/../shadow",
            "cat /etc/sh?dow",
            "cat /etc/*",
            "cat /srv/.env",
            "cat -l x",
            "cat /root/.ssh/id_rsa",
            "cat /proc/1/environ",
            "cat /dev/sda",
            "cat ~/.ssh/*",
            "cat .env",
            "cat /proc/*/environ",
            "cat /proc/1/root/etc/shadow",
            "cat ../../etc/shadow",
            "cat ~root/x",
            "cat /home/*/.bash_history",
            "cat /ETC/Shadow",
        ],
        ..Command::BARE
    },
    Command {
        names: &["head"],
        does: "prints the start of files",
        flags: "qvz",
        long: "--quiet --silent --verbose --zero-terminated --help --version",
        values: &[
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-c", Kind::Number),
            ("--bytes", Kind::Number),
        ],
        number: true,
        operands: READ,
        allowed: examples![
            "head -20 /srv/a",
            "head -n -5 /srv/a /srv/b",
            "head -c 1k /srv/a",
            "head --lines=3 /etc/passwd",
        ],
        asks: examples![
            "head -c 64 /dev/nvme0n1p1",
            "head -20x /srv/a",
            "head /etc/gshadow",
        ],
        ..Command::BARE
    },
    Command {
        names: &["tail"],
        does: "prints the end of files",
        flags: "qvzr",
        long: "--quiet --silent --verbose --zero-terminated --help --version",
        values: &[
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-c", Kind::Number),
            ("--bytes", Kind::Number),
        ],
        number: true,
        // An agent that follows a file waits for the time-out and learns no more.
        refused: &[
            refused("-f", "endless", "follows the file and never ends"),
            refused("-F", "endless", "follows the file and never ends"),
            refused("--follow", "endless", "follows the file and never ends"),
            refused("--retry", "endless", "waits for the file"),
        ],
        operands: READ,
        check: Some(|parsed| {
            // The form of 1988, which versions still take: `+5f` follows from line 5.
            let old = |word: &&&Word| {
                let letters = word.text.strip_prefix('+').unwrap_or_default();
                letters.contains(|c: char| !c.is_ascii_digit())
            };
            let found = parsed.operands.iter().find(old)?;
            Some(Refusal::new(
                "endless",
                format!(
                    "{} may mean to follow the file, which never ends",
                    shown(&found.text)
                ),
            ))
        }),
        allowed: examples![
            "tail -n 40 /var/log/cron.log",
            "tail -50 /var/log/syslog",
            "tail -n +5 /srv/a",
            "tail -c 100 /srv/a",
        ],
        asks: examples![
            "tail -f /var/log/syslog",
            "tail -F x",
            "tail -20f x",
            "tail +5f x",
            "tail --follow=name x",
            "tail /root/.ssh/id_dsa",
        ],
        ..Command::BARE
    },
    Command {
        names: &["wc"],
        does: "counts lines, words and bytes",
        flags: "lwcmL",
        long: "--lines --words --bytes --chars --max-line-length --help --version",
        values: &[("--total", Kind::Name)],
        refused: &[LIST],
        operands: READ,
        allowed: examples!["wc -l /srv/a", "wc -lw /var/log/*.log"],
        asks: examples!["wc --files0-from=/etc/shadow", "wc /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["sort"],
        does: "sorts lines",
        flags: "bcCdfghiMmnrRsuVz",
        long: "\
            --ignore-leading-blanks --dictionary-order --ignore-case --general-numeric-sort \
            --human-numeric-sort --ignore-nonprinting --month-sort --numeric-sort --random-sort \
            --reverse --version-sort --merge --stable --unique --zero-terminated --debug --help \
            --version",
        values: &[
            ("-k", Kind::Text),
            ("--key", Kind::Text),
            ("-t", Kind::Text),
            ("--field-separator", Kind::Text),
            ("--parallel", Kind::Number),
            ("--sort", Kind::Name),
            ("-S", Kind::Number),
            ("--buffer-size", Kind::Number),
        ],
        optional: &[("--check", Kind::Name)],
        refused: &[
            refused("-o", "output", "writes the result into a file"),
            refused("--output", "output", "writes the result into a file"),
            refused("--compress-program", "exec", "runs a program"),
            refused("-T", "temporary", "writes temporary files there"),
            refused(
                "--temporary-directory",
                "temporary",
                "writes temporary files there",
            ),
            refused("--random-source", "content", "reads another file"),
            LIST,
        ],
        operands: READ,
        allowed: examples![
            "sort -n /srv/ids.txt",
            "sort -t: -k3,3n /etc/passwd",
            "sort -rnk2 -u /srv/a",
            "sort --key=2 /srv/a",
            "sort",
        ],
        asks: examples![
            "sort -o x x",
            "sort -uox x",
            "sort --compress-prog=x y",
            "sort --compress-program x y",
            "sort -T /srv x",
            "sort --outp=x y",
            "sort --files0-from=x",
            "sort x -o y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["uniq"],
        does: "drops or counts repeated lines",
        // A second operand is the output file, and `uniq a -c` has two in BSD.
        style: Style::OptionsFirst,
        flags: "cdDiuz",
        long: "--count --repeated --ignore-case --unique --zero-terminated --help --version",
        values: &[
            ("-f", Kind::Number),
            ("--skip-fields", Kind::Number),
            ("-s", Kind::Number),
            ("--skip-chars", Kind::Number),
            ("-w", Kind::Number),
            ("--check-chars", Kind::Number),
        ],
        optional: &[("--all-repeated", Kind::Name), ("--group", Kind::Name)],
        operands: Operands::UpTo(1, Kind::Read),
        allowed: examples!["uniq -c /srv/a", "uniq", "uniq -cd -f 2 /srv/a"],
        asks: examples![
            "uniq /srv/a /srv/b",
            "uniq /srv/a -c",
            "uniq - /srv/b",
            "uniq -c /srv/*",
        ],
        ..Command::BARE
    },
    Command {
        names: &["cut"],
        does: "prints columns",
        flags: "nsz",
        long: "--complement --only-delimited --zero-terminated --help --version",
        values: &[
            ("-b", Kind::Number),
            ("-c", Kind::Number),
            ("-f", Kind::Number),
            ("-d", Kind::Text),
            ("--bytes", Kind::Number),
            ("--characters", Kind::Number),
            ("--fields", Kind::Number),
            ("--delimiter", Kind::Text),
            ("--output-delimiter", Kind::Text),
        ],
        operands: READ,
        allowed: examples![
            "cut -d: -f1 /etc/passwd",
            "cut -c1-80 /srv/a",
            "cut -d ' ' -f 2- /srv/a",
            "cut -f -3 x",
        ],
        asks: examples!["cut -d: -f2 /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["tr"],
        does: "replaces characters of its input",
        flags: "cCdst",
        long: "--complement --delete --squeeze-repeats --truncate-set1 --help --version",
        operands: Operands::UpTo(2, Kind::Text),
        allowed: examples!["tr a-z A-Z", r"tr -d '\r'", "tr -s ' '"],
        asks: examples!["tr a b c"],
        ..Command::BARE
    },
    Command {
        names: &["nl"],
        does: "numbers lines",
        flags: "p",
        long: "--no-renumber --help --version",
        values: &[
            ("-b", Kind::Text),
            ("--body-numbering", Kind::Text),
            ("-h", Kind::Text),
            ("-f", Kind::Text),
            ("-d", Kind::Text),
            ("-n", Kind::Name),
            ("-s", Kind::Text),
            ("--number-separator", Kind::Text),
            ("-v", Kind::Number),
            ("-i", Kind::Number),
            ("-l", Kind::Number),
            ("-w", Kind::Number),
            ("--number-width", Kind::Number),
        ],
        operands: READ,
        allowed: examples!["nl -ba /srv/a", "nl -w3 -s': ' /srv/a", "nl -b a /srv/a"],
        asks: examples!["nl /etc/shadow", "nl --output=x y"],
        ..Command::BARE
    },
    Command {
        names: &["tac"],
        does: "prints lines in reverse order",
        flags: "br",
        long: "--before --regex --help --version",
        values: &[("-s", Kind::Text), ("--separator", Kind::Text)],
        operands: READ,
        allowed: examples!["tac /var/log/syslog", "tac -s, /srv/a"],
        asks: examples!["tac /etc/shadow", "tac -x /srv/a"],
        ..Command::BARE
    },
    Command {
        names: &["rev", "fold", "fmt", "expand", "unexpand"],
        does: "prints lines in another form",
        flags: "abcdeprsuziU",
        long: "--bytes --spaces --initial --all --first-only --help --version",
        values: &[
            ("-w", Kind::Number),
            ("--width", Kind::Number),
            ("--tabs", Kind::Number),
            ("--goal", Kind::Number),
        ],
        optional: &[("-t", Kind::Number)],
        number: true,
        operands: READ,
        allowed: examples!["fold -sw 80 /srv/a", "expand -t4 /srv/a", "rev /srv/a",],
        asks: examples!["rev /etc/shadow", "fold --output=x y"],
        ..Command::BARE
    },
    Command {
        names: &["column"],
        does: "prints lines in columns",
        flags: "tnexJLRr",
        long: "--table --json --keep-empty-lines --fillrows --help --version",
        values: &[
            ("-s", Kind::Text),
            ("--separator", Kind::Text),
            ("-o", Kind::Text),
            ("--output-separator", Kind::Text),
            ("-c", Kind::Number),
            ("--output-width", Kind::Number),
            ("-N", Kind::Name),
            ("--table-columns", Kind::Name),
        ],
        operands: READ,
        allowed: examples![
            "column -t -s: /etc/passwd",
            "column -ts , /srv/a.csv",
            "column -t",
        ],
        asks: examples!["column -s: /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["join"],
        does: "combines lines of files",
        flags: "iz",
        long: "--check-order --nocheck-order --header --zero-terminated --ignore-case",
        values: &[
            ("-1", Kind::Number),
            ("-2", Kind::Number),
            ("-t", Kind::Text),
            ("-j", Kind::Number),
            ("-a", Kind::Number),
            ("-v", Kind::Number),
            ("-e", Kind::Text),
            // The columns to print; no file.
            ("-o", Kind::Name),
        ],
        operands: READ,
        allowed: examples![
            "join -t: -j 1 /srv/a /srv/b",
            "join -1 2 -2 1 /srv/a /srv/b",
            "join -o 1.1,2.2 /srv/a /srv/b",
        ],
        asks: examples!["join /etc/shadow /srv/b", "join -x a b"],
        ..Command::BARE
    },
    Command {
        names: &["comm", "paste"],
        does: "combines lines of files",
        flags: "123izs",
        long: "--check-order --nocheck-order --total --zero-terminated --serial",
        values: &[
            ("-d", Kind::Text),
            ("--delimiters", Kind::Text),
            ("--output-delimiter", Kind::Text),
        ],
        operands: READ,
        allowed: examples![
            "comm -12 /srv/a /srv/b",
            "paste -sd, /srv/a",
            "paste -d ' ' a b",
        ],
        asks: examples!["comm /etc/shadow /srv/b", "paste -x a b"],
        ..Command::BARE
    },
];
