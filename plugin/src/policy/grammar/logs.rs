//! Commands that show the logs of the system.
//!
//! None of these starts a pager: their output is no terminal, and the environment
//! they run in names none. Invariant: no environment of a process is shown and no
//! other root is looked into. Lines of a log are not searched for secrets.

use super::spec::{Command, Kind, Operands, Refusal, examples, is_name, refused};

const OTHER_ROOT: &str = "looks into another tree or image";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["journalctl"],
        does: "shows the journal",
        flags: "abeklmNqrxh",
        long: "\
            --all --boot --dmesg --catalog --reverse --quiet --utc --no-hostname --no-full \
            --full --no-pager --no-tail --pager-end --merge --list-boots --disk-usage --fields \
            --system --user --header --show-cursor --truncate-newline --verify --help --version",
        values: &[
            ("-u", Kind::Name),
            ("--unit", Kind::Name),
            ("--user-unit", Kind::Name),
            ("-p", Kind::Name),
            ("--priority", Kind::Name),
            ("-S", Kind::Text),
            ("--since", Kind::Text),
            ("-U", Kind::Text),
            ("--until", Kind::Text),
            ("-o", Kind::Name),
            ("--output", Kind::Name),
            ("--output-fields", FIELDS),
            ("-t", Kind::Name),
            ("--identifier", Kind::Name),
            ("-g", Kind::Text),
            ("--grep", Kind::Text),
            ("--case-sensitive", Kind::Name),
            ("-F", FIELDS),
            ("--field", FIELDS),
            ("-c", Kind::Name),
            ("--cursor", Kind::Name),
            ("--after-cursor", Kind::Name),
            ("--facility", Kind::Name),
            ("-T", Kind::Name),
            ("-D", Kind::Is(is_journal)),
            ("--directory", Kind::Is(is_journal)),
            ("-i", Kind::Is(is_journal)),
            ("--file", Kind::Is(is_journal)),
        ],
        optional: &[
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-b", Kind::Is(is_boot)),
            ("--boot", Kind::Is(is_boot)),
        ],
        refused: &[
            refused("-f", "endless", "waits for messages and never ends"),
            refused("--follow", "endless", "waits for messages and never ends"),
            refused("--vacuum-size", "delete", "deletes logs"),
            refused("--vacuum-time", "delete", "deletes logs"),
            refused("--vacuum-files", "delete", "deletes logs"),
            refused("--rotate", "rotate", "rotates the logs"),
            refused("--flush", "flush", "moves the logs to disk"),
            refused("--sync", "flush", "writes the logs to disk"),
            refused("--relinquish-var", "flush", "moves the logs to memory"),
            refused("--setup-keys", "keys", "makes new keys"),
            refused("--update-catalog", "output", "writes a file"),
            refused("--cursor-file", "output", "writes a file"),
            refused("--root", "root", OTHER_ROOT),
            refused("--image", "root", OTHER_ROOT),
            refused("-M", "remote", "enters a container"),
            refused("--machine", "remote", "enters a container"),
        ],
        // A boot offset such as `-1`, after `-b`, is a number of lines to us.
        number: true,
        operands: Operands::Any(Kind::Is(is_match)),
        allowed: examples![
            "journalctl -u cron -n 20 --no-pager",
            "journalctl -xe",
            "journalctl --since '1 hour ago' -p err",
            "journalctl -b -1",
            "journalctl -k",
            "journalctl _PID=1",
            "journalctl _EXE=/usr/sbin/sshd + _UID=0",
            "journalctl /usr/sbin/sshd -n 5",
            "journalctl --disk-usage",
            "journalctl -u nginx.service -u php-fpm -o json",
            "journalctl --list-boots",
            "journalctl -n100 -r",
            "journalctl -b-1",
            "journalctl --boot=-1 -k",
            "journalctl -D /var/log/journal -n 5",
        ],
        asks: examples![
            "journalctl --vacuum-size=1M",
            "journalctl --rotate",
            "journalctl -f",
            "journalctl -fu nginx",
            "journalctl --flush",
            "journalctl --vac=1",
            "journalctl --cursor-file=/srv/x",
            "journalctl -D /srv",
            "journalctl --file=/etc/shadow",
            "journalctl -D /var/log/journal/../../../srv",
            "journalctl -F COREDUMP_ENVIRON",
            "journalctl /srv/app/.env",
            "journalctl /usr/bin/../../root/.ssh/id_rsa",
        ],
        ..Command::BARE
    },
    Command {
        names: &["coredumpctl"],
        does: "lists crashes",
        flags: "rq1",
        long: "--no-pager --no-legend --reverse --quiet",
        values: &[
            ("-n", Kind::Number),
            ("-S", Kind::Text),
            ("--since", Kind::Text),
            ("-U", Kind::Text),
            ("--until", Kind::Text),
        ],
        operands: Operands::Phrases(&["", "list|info ..."]),
        refused: &[refused("-o", "output", "writes a file")],
        allowed: examples!["coredumpctl", "coredumpctl list", "coredumpctl info 1234"],
        asks: examples![
            "coredumpctl dump 1",
            "coredumpctl debug 1",
            "coredumpctl -o x list",
        ],
        ..Command::BARE
    },
    Command {
        names: &["logrotate"],
        does: "shows what it would rotate",
        flags: "dv",
        long: "--debug --verbose --version",
        check: Some(|parsed| {
            (!parsed.has(&["--version"]))
                .then(|| Refusal::new("rotate", "it rotates logs and runs their scripts"))
        }),
        allowed: examples!["logrotate --version"],
        asks: examples![
            "logrotate -f /etc/logrotate.conf",
            "logrotate -d /etc/logrotate.conf",
        ],
        ..Command::BARE
    },
    Command {
        names: &["dmesg"],
        does: "shows kernel messages",
        flags: "dehHJkPrStTuxV",
        long: "\
            --color --decode --facility --human --kernel --userspace --ctime --notime --nopager \
            --reltime --show-delta --raw --noescape --force-prefix --help --version --syslog \
            --json",
        values: &[
            ("-l", Kind::Name),
            ("--level", Kind::Name),
            ("-f", Kind::Name),
            ("--facility", Kind::Name),
            ("--since", Kind::Text),
            ("--until", Kind::Text),
            ("--time-format", Kind::Name),
            ("-s", Kind::Number),
            ("--buffer-size", Kind::Number),
        ],
        optional: &[("--color", Kind::Name), ("-L", Kind::Name)],
        check: Some(|parsed| {
            // It opens a pager, from which programs can be started, unless told not to.
            let pages = parsed.has(&["-H", "--human"]) && !parsed.has(&["-P", "--nopager"]);
            pages.then(|| Refusal::new("pager", "`--human` without `--nopager` opens a pager"))
        }),
        refused: &[
            refused("-C", "clear", "clears the messages"),
            refused("-c", "clear", "clears the messages"),
            refused("--clear", "clear", "clears the messages"),
            refused("--read-clear", "clear", "clears the messages"),
            refused("-n", "set", "changes what the console shows"),
            refused("--console-level", "set", "changes what the console shows"),
            refused("-D", "set", "switches the console off"),
            refused("--console-off", "set", "switches the console off"),
            refused("-E", "set", "switches the console on"),
            refused("--console-on", "set", "switches the console on"),
            refused("-F", "content", "reads another file"),
            refused("--file", "content", "reads another file"),
            refused("-w", "endless", "waits for messages and never ends"),
            refused("-W", "endless", "waits for messages and never ends"),
            refused("--follow", "endless", "waits for messages and never ends"),
        ],
        allowed: examples![
            "dmesg",
            "dmesg -T",
            "dmesg -Tl err,warn",
            "dmesg -HP",
            "dmesg --level=err --ctime",
        ],
        asks: examples![
            "dmesg -C",
            "dmesg -Tc",
            "dmesg -H",
            "dmesg --clear --time-format iso",
            "dmesg -n 1",
            "dmesg -w",
            "dmesg --read",
            "dmesg -F /etc/shadow",
        ],
        ..Command::BARE
    },
];

/// A match as `FIELD=VALUE`, the `+` between matches, or a program or device whose
/// messages are meant. An absolute path is opened, and its first line read where it
/// is a script (`journalctl(1)`, matches), so it may only lie where programs do.
fn is_match(text: &str) -> bool {
    let programs = [
        "/bin/",
        "/dev/",
        "/lib/",
        "/sbin/",
        "/usr/bin/",
        "/usr/lib/",
        "/usr/libexec/",
        "/usr/local/bin/",
        "/usr/local/sbin/",
        "/usr/sbin/",
    ];
    !text.starts_with(['-', '/'])
        || programs.iter().any(|place| text.starts_with(place)) && !text.contains("..")
}

/// Fields of an entry without the environment of a program that crashed.
const FIELDS: Kind = Kind::Is(|text| is_name(text) && !text.contains("ENVIRON"));

/// A place where this system keeps its own journal.
fn is_journal(text: &str) -> bool {
    ["/var/log/journal", "/run/log/journal"]
        .iter()
        .any(|directory| {
            text.strip_prefix(directory)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        && !text.contains("..")
}

/// A boot by its number, counted from either end, or by its id.
fn is_boot(text: &str) -> bool {
    text.strip_prefix(['-', '+'])
        .map_or(is_name(text), |digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}
