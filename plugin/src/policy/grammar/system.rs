//! Commands that show the state of the machine.
//!
//! Invariant: an operand that would be the new name, time or setting is refused,
//! and so is a setting that holds a key. What the machine answers is not looked at.

use super::spec::{
    Command, Kind, Operands, Refusal, Style, at_most, bounded, bounded_repeat, examples, is_name,
    is_number, refused,
};

const SET: &str = "changes the setting";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["uptime"],
        does: "shows load and running time",
        flags: "psrV",
        long: "--pretty --since --raw --help --version",
        allowed: examples!["uptime", "uptime -p", "/usr/bin/uptime"],
        asks: examples!["./uptime", "/tmp/uptime", "uptime x", "uptime --frob"],
        ..Command::BARE
    },
    Command {
        names: &["uname", "arch"],
        does: "names system and hardware",
        flags: "asnrvmpio",
        long: "\
            --all --kernel-name --nodename --kernel-release --kernel-version --machine \
            --processor --hardware-platform --operating-system --help --version",
        refused: &[refused("-S", "set", SET)],
        allowed: examples!["uname -a", "uname --kernel-release", "arch"],
        asks: examples!["uname -S x", "uname x"],
        ..Command::BARE
    },
    Command {
        names: &["hostname"],
        does: "shows the name of the host",
        flags: "adfiIsAyv",
        long: "\
            --alias --domain --fqdn --long --ip-address --all-ip-addresses --short --all-fqdns \
            --yp --nis --help --version",
        refused: &[
            refused("-F", "set", "sets the name from a file"),
            refused("-b", "set", "sets the name"),
        ],
        // An operand is the new name.
        allowed: examples!["hostname", "hostname -f", "hostname -I"],
        asks: examples!["hostname web-99", "hostname -F x", "hostname -b x"],
        ..Command::BARE
    },
    Command {
        names: &[
            "dnsdomainname",
            "tty",
            "logname",
            "users",
            "runlevel",
            "getenforce",
            "sestatus",
            "lsipc",
            "atq",
            "mailq",
            "hostid",
            "domainname",
            "nisdomainname",
            "virt-what",
        ],
        does: "shows one fact about the system",
        flags: "v",
        long: "--all --help --version",
        refused: &[refused("-F", "set", "sets the name from a file")],
        allowed: examples![
            "sestatus -v",
            "domainname",
            "runlevel",
            "getenforce",
            "mailq",
            "users",
        ],
        asks: examples![
            "users /etc/shadow",
            "dnsdomainname x",
            "mailq -q",
            "domainname -F x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["nproc"],
        does: "counts processors",
        long: "--all --help --version",
        values: &[("--ignore", Kind::Number)],
        allowed: examples!["nproc", "nproc --all", "nproc --ignore=1"],
        asks: examples!["nproc x", "nproc --frob"],
        ..Command::BARE
    },
    Command {
        names: &["date"],
        does: "shows the time",
        flags: "uR",
        long: "--utc --universal --rfc-email --help --version --iso-8601",
        values: &[
            ("-d", Kind::Text),
            ("--date", Kind::Text),
            ("-r", Kind::Names),
            ("--reference", Kind::Names),
            ("--rfc-3339", Kind::Name),
        ],
        optional: &[("-I", Kind::Name), ("--iso-8601", Kind::Name)],
        refused: &[
            refused("-s", "set", "sets the clock"),
            refused("--set", "set", "sets the clock"),
            refused(
                "-f",
                "content",
                "shows the lines of a file as invalid dates",
            ),
            refused(
                "--file",
                "content",
                "shows the lines of a file as invalid dates",
            ),
            refused("-v", "form", "is not the same in every version"),
        ],
        // Any other operand is the new time.
        operands: Operands::UpTo(1, Kind::Is(|text| text.starts_with('+'))),
        allowed: examples![
            "date",
            "date +%F",
            "date -u '+%Y-%m-%d %H:%M'",
            "date -d '2 days ago' +%s",
            "date -Iseconds",
            "date -r /srv/a",
        ],
        asks: examples![
            "date 0203040526",
            "date -s now",
            "date --set=now",
            "date --se now",
            "date -f /etc/shadow",
            "date -us now",
        ],
        ..Command::BARE
    },
    Command {
        names: &["cal", "ncal"],
        does: "shows a calendar",
        flags: "13yjmswhnbJ",
        operands: Operands::UpTo(3, Kind::Number),
        allowed: examples!["cal", "cal -3", "cal 2 2026"],
        asks: examples!["cal x"],
        ..Command::BARE
    },
    Command {
        names: &["free"],
        does: "shows memory",
        flags: "bkmgthlwvL",
        long: "\
            --bytes --kibi --mebi --gibi --kilo --mega --giga --human --si --lohi --total --wide \
            --line --committed --help --version",
        values: &[
            ("-c", Kind::Is(|text| at_most(text, 60))),
            ("-s", Kind::Is(|text| at_most(text, 60))),
        ],
        check: Some(|parsed| {
            let endless = parsed.has(&["-s"]) && !parsed.has(&["-c"]);
            endless.then(|| Refusal::new("endless", "`-s` without `-c` never ends"))
        }),
        allowed: examples!["free", "free -mt", "free -h --si", "free -m -s 1 -c 3"],
        asks: examples!["free -s 1", "free x"],
        ..Command::BARE
    },
    Command {
        names: &["vmstat"],
        does: "shows memory and processor use",
        flags: "afmnswtdDV",
        long: "\
            --active --forks --slabs --one-header --stats --disk --disk-sum --wide --timestamp \
            --version",
        values: &[
            ("-S", Kind::Name),
            ("--unit", Kind::Name),
            ("-p", Kind::Names),
        ],
        operands: Operands::UpTo(2, Kind::Number),
        check: Some(bounded_repeat),
        allowed: examples!["vmstat", "vmstat 1 5", "vmstat -s", "vmstat -w -S M 1 2"],
        asks: examples!["vmstat 1", "vmstat 1 100000"],
        ..Command::BARE
    },
    Command {
        names: &["iostat", "mpstat", "pidstat"],
        does: "shows processor and disk use",
        flags: "AcCdhHkmNntxyzuarsRlvwVUW",
        long: "--human --dec=0 --pretty",
        values: &[
            ("-P", Kind::Name),
            ("-p", Kind::Name),
            ("-I", Kind::Name),
            ("-G", Kind::Text),
            ("-g", Kind::Name),
            ("-j", Kind::Name),
            ("-o", Kind::OneOf(&["JSON"])),
        ],
        refused: &[refused("-e", "exec", "runs a program")],
        operands: Operands::Any(Kind::Is(is_name)),
        check: Some(|parsed| {
            let numbers: Vec<&str> = parsed
                .operands
                .iter()
                .map(|word| word.text.as_str())
                .filter(|word| is_number(word))
                .collect();
            bounded(&numbers)
        }),
        allowed: examples![
            "iostat",
            "iostat -xz 1 3",
            "mpstat -P ALL",
            "mpstat 1 1",
            "pidstat -u -p 1 1 2",
            "iostat -dx sda 1 2",
        ],
        asks: examples!["iostat 1", "pidstat -e sh -c id", "mpstat 1 9999"],
        ..Command::BARE
    },
    Command {
        names: &["sar"],
        does: "shows recorded statistics",
        flags: "AbBdFHhpqrRSuvVwWyzt",
        long: "--human --pretty",
        values: &[
            ("-n", Kind::Name),
            ("-P", Kind::Name),
            ("-s", Kind::Name),
            ("-e", Kind::Name),
            ("-i", Kind::Number),
            ("-f", Kind::Read),
            ("-I", Kind::Name),
            ("-m", Kind::Name),
        ],
        refused: &[refused("-o", "output", "writes a file")],
        operands: Operands::UpTo(3, Kind::Is(|text| text == "ALL" || is_number(text))),
        check: Some(|parsed| {
            // `ALL` belongs to a letter such as `-u`, and is no interval.
            let numbers: Vec<&str> = parsed
                .operands
                .iter()
                .map(|word| word.text.as_str())
                .filter(|text| *text != "ALL")
                .collect();
            bounded(&numbers)
        }),
        allowed: examples![
            "sar -u ALL",
            "sar -u ALL 1 3",
            "sar",
            "sar -u 1 3",
            "sar -n DEV 1 1",
            "sar -r -f /var/log/sysstat/sa01",
            "sar -q -s 10:00:00",
        ],
        asks: examples![
            "sar -o /srv/x 1 2",
            "sar -u 1",
            "sar -u ALL 1",
            "sar -f /etc/shadow"
        ],
        ..Command::BARE
    },
    Command {
        names: &["sysctl"],
        does: "shows kernel settings",
        // After a name, `--pattern=x` is an assignment in busybox.
        style: Style::OptionsFirst,
        flags: "aeNnbAX",
        long: "--all --names --values --ignore --binary --deprecated --help --version",
        values: &[("-r", Kind::Text), ("--pattern", Kind::Text)],
        refused: &[
            refused("-w", "set", SET),
            refused("--write", "set", SET),
            refused("-p", "set", "sets everything in a file"),
            refused("--load", "set", "sets everything in a file"),
            refused("--system", "set", "sets everything in the system's files"),
            refused("-f", "set", "sets everything in a file"),
        ],
        operands: Operands::Any(Kind::Is(is_setting)),
        allowed: examples![
            "sysctl -a",
            "sysctl net.ipv4.ip_forward",
            "sysctl -n vm.swappiness kernel.pid_max",
            "sysctl -ar tcp",
            "sysctl net/ipv4/ip_forward",
        ],
        asks: examples![
            "sysctl -w vm.swappiness=1",
            "sysctl vm.swappiness=1",
            "sysctl -p",
            "sysctl --system",
            "sysctl -nw a=b",
            "sysctl net.ipv6.conf.all.stable_secret",
            "sysctl --load=x",
            "sysctl vm.swappiness --pattern=x",
            "sysctl vm.swappiness -a",
            "sysctl /etc/shadow",
            "sysctl .etc.shadow",
            "sysctl net/../../etc/shadow",
        ],
        ..Command::BARE
    },
    Command {
        names: &["getconf"],
        does: "shows limits of the system",
        flags: "a",
        operands: Operands::UpTo(2, Kind::Names),
        allowed: examples!["getconf PAGESIZE", "getconf -a", "getconf NAME_MAX /"],
        asks: examples!["getconf -v x y"],
        ..Command::BARE
    },
    Command {
        names: &["locale"],
        does: "shows language settings",
        flags: "ackm",
        long: "--all-locales --charmaps --category-name --keyword-name --help --version",
        operands: Operands::Any(Kind::Name),
        allowed: examples!["locale", "locale -a", "locale -k LC_TIME"],
        asks: examples!["locale --frob"],
        ..Command::BARE
    },
];

/// A setting to be shown: no assignment, and not one that holds a key. busybox takes
/// a name that starts with a separator, or has two in a row, for a path from the root
/// and shows any file there.
fn is_setting(text: &str) -> bool {
    let separator = |c: char| matches!(c, '.' | '/');
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.split(separator).all(|part| !part.is_empty())
        && is_name(text)
        && !text.contains('=')
        && !text.ends_with("_secret")
        && !text.ends_with("fastopen_key")
}
