//! Commands that list processes and what they have open.
//!
//! Invariant: environments and memory are not shown, and what repeats itself has a
//! count. Signals are no part of the table.

use super::super::types::shown;
use super::spec::{Command, Kind, Operands, Refusal, Style, at_most, examples, refused};

const UNIT: Kind = Kind::OneOf(&["k", "m", "g", "t", "p", "e"]);
const BOUNDED: Kind = Kind::Is(|text| at_most(text, 20));

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ps"],
        does: "lists processes",
        style: Style::Custom(super::ps::ps),
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
            "ps -eT",
            "ps -ef ww",
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
            "ps -ef -o pid,args x",
            "ps -eLfH",
            "ps -ef --deselect -o pid",
            "ps -eN",
            "ps axm r",
            "ps -mA r",
            "ps -eu x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["pgrep"],
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
        allowed: examples!["pgrep -fl java", "pgrep -u root sshd", "pgrep -c php-fpm",],
        asks: examples!["pgrep -F /etc/shadow", "pgrep --signal 9 x"],
        ..Command::BARE
    },
    Command {
        names: &["pidof"],
        does: "finds processes",
        // What it does not know it reports on the console of the machine.
        flags: "scnx",
        values: &[(
            "-o",
            Kind::Is(|text| {
                text == "%PPID"
                    || text.bytes().any(|digit| digit != b'0') && at_most(text, u32::MAX)
            }),
        )],
        operands: Operands::Any(Kind::Name),
        allowed: examples!["pidof nginx", "pidof -s sshd", "pidof -x script.sh"],
        asks: examples![
            "pidof --list x",
            "pidof -t x",
            "pidof -o x y",
            "pidof -o 0 y"
        ],
        ..Command::BARE
    },
    Command {
        names: &["pstree"],
        does: "shows processes as a tree",
        flags: "aAcghlnNpstTuUZV",
        values: &[("-H", Kind::Number)],
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
        flags: "bcHiSsh1M",
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
            ("-e", UNIT),
            ("-E", UNIT),
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
        names: &["fuser"],
        does: "shows who uses a file or a port",
        flags: "amMuv46",
        long: "--all --mount --user --verbose --ipv4 --ipv6 --version",
        values: &[("-n", Kind::OneOf(&["file", "tcp", "udp"]))],
        refused: &[
            refused("-k", "kill", "kills every process it finds"),
            refused("--kill", "kill", "kills every process it finds"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples!["fuser -v 80/tcp", "fuser -vm /srv", "fuser -n tcp 80"],
        asks: examples![
            "fuser -k 80/tcp",
            "fuser -mk /srv",
            "fuser -HUP /srv",
            "fuser --kil x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["iotop"],
        does: "shows the busiest processes by input and output",
        flags: "boPaktq",
        long: "--batch --only --processes --accumulated --version",
        values: &[
            ("-n", BOUNDED),
            ("-d", BOUNDED),
            ("-p", Kind::Name),
            ("-u", Kind::Name),
        ],
        check: Some(|parsed| {
            let bounded = parsed.has(&["-b", "--batch"]) && parsed.has(&["-n"]);
            (!bounded).then(|| Refusal::new("endless", "without `-b` and `-n` it never ends"))
        }),
        allowed: examples!["iotop -b -n 1", "iotop -bon1"],
        asks: examples!["iotop", "iotop -b"],
        ..Command::BARE
    },
    Command {
        names: &["slabtop"],
        does: "shows the kernel's memory",
        flags: "o",
        long: "--once --version",
        values: &[("-s", Kind::Name), ("--sort", Kind::Name)],
        check: Some(|parsed| {
            let once = parsed.has(&["-o", "--once", "--version"]);
            (!once).then(|| Refusal::new("endless", "without `-o` it never ends"))
        }),
        allowed: examples!["slabtop -o", "slabtop --once -s c"],
        asks: examples!["slabtop", "slabtop -d 1"],
        ..Command::BARE
    },
    Command {
        names: &["jps"],
        does: "lists Java processes",
        flags: "lq",
        allowed: examples!["jps", "jps -l"],
        asks: examples!["jps other.example", "jps -J-javaagent:x"],
        ..Command::BARE
    },
    Command {
        names: &["lsof"],
        does: "lists open files",
        flags: "abChlnNOPRtUvVwX",
        values: &[
            ("-p", Kind::Name),
            ("-u", Kind::Name),
            ("-c", Kind::Name),
            ("-d", Kind::Name),
            ("-g", Kind::Name),
        ],
        optional: &[
            ("-S", Kind::Number),
            ("-i", Kind::Name),
            ("-s", Kind::Name),
            ("-F", Kind::Name),
            ("-T", Kind::Name),
            ("-L", Kind::Number),
        ],
        refused: &[
            refused("-D", "cache", "writes a device cache file"),
            refused("-r", "endless", "repeats for ever"),
            refused("-k", "content", "reads another kernel name list"),
            refused("-m", "content", "reads kernel memory"),
        ],
        operands: Operands::Any(Kind::Names),
        check: Some(|parsed| {
            let plus = |text: &str| {
                text.starts_with('+') && !matches!(text.get(1..2), Some("D" | "d" | "L" | "c"))
            };
            let word = parsed.operands.iter().find(|word| plus(&word.text))?;
            Some(Refusal::new(
                "option",
                format!("{} is not known to only look", shown(&word.text)),
            ))
        }),
        allowed: examples![
            "lsof -i :80",
            "lsof -nP -iTCP -sTCP:LISTEN",
            "lsof -p 1234",
            "lsof -u www-data",
            "lsof +D /srv/app",
            "lsof +L1",
            "lsof /var/log/syslog",
            "lsof -t -i:8080",
        ],
        asks: examples![
            "lsof -r 5",
            "lsof -Db/x",
            "lsof -D b",
            "lsof +r 1",
            "lsof +m /x",
        ],
        ..Command::BARE
    },
];
