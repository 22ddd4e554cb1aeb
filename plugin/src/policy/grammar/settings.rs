//! Commands that show settings of the system, sessions and the clock.
//!
//! Most of these programs also change what they show. Only the verbs that show are
//! known. Invariant: an operand that could be a new value is refused. The values
//! shown are not judged.

use super::spec::{Command, Kind, Operands, Parsed, Refusal, examples, refused};

const REMOTE: &str = "connects to another machine";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["timedatectl", "hostnamectl", "localectl"],
        does: "shows a setting of the system",
        flags: "alj",
        long: "--no-pager --all --value --static --transient --pretty --full --help --version",
        values: &[
            ("-p", Kind::Name),
            ("--property", Kind::Name),
            ("--json", Kind::Name),
        ],
        refused: &[
            refused("-H", "remote", REMOTE),
            refused("--host", "remote", REMOTE),
            refused("-M", "remote", REMOTE),
            refused("--machine", "remote", REMOTE),
        ],
        operands: Operands::Phrases(&[
            "",
            "status",
            "show",
            "list-timezones",
            "timesync-status",
            "show-timesync",
            "list-locales",
            "list-keymaps",
            "hostname|icon-name|chassis|deployment|location",
        ]),
        allowed: examples![
            "timedatectl",
            "timedatectl status",
            "hostnamectl",
            "hostnamectl status",
            "hostnamectl hostname",
            "localectl list-locales",
            "timedatectl show -p Timezone --value",
        ],
        asks: examples![
            "timedatectl set-time x",
            "timedatectl set-ntp true",
            "hostnamectl set-hostname x",
            "hostnamectl hostname x",
            "timedatectl -H x status",
        ],
        ..Command::BARE
    },
    Command {
        names: &["loginctl"],
        does: "shows sessions",
        flags: "alj",
        long: "--no-pager --no-legend --all --full --value --help --version",
        values: &[
            ("-p", Kind::Name),
            ("--property", Kind::Name),
            ("-n", Kind::Number),
            ("-o", Kind::Name),
        ],
        refused: &[
            refused("-H", "remote", REMOTE),
            refused("-M", "remote", REMOTE),
        ],
        operands: Operands::Phrases(&[
            "",
            "list-sessions|list-users|list-seats",
            "session-status|show-session|user-status|show-user|seat-status|show-seat ...",
        ]),
        allowed: examples![
            "loginctl",
            "loginctl list-sessions",
            "loginctl show-user deploy",
            "loginctl session-status 3",
        ],
        asks: examples![
            "loginctl terminate-user x",
            "loginctl kill-session 3",
            "loginctl enable-linger x",
            "loginctl -H x list-users",
        ],
        ..Command::BARE
    },
    Command {
        names: &["networkctl", "resolvectl"],
        does: "shows network settings",
        flags: "als46",
        long: "--no-pager --no-legend --all --full --stats --help --version",
        // `resolvectl query` asks servers on the network.
        operands: Operands::Phrases(&[
            "",
            "list|status ...",
            "statistics|dns|domain|default-route",
        ]),
        allowed: examples![
            "networkctl",
            "networkctl status eth0",
            "resolvectl status",
            "resolvectl statistics",
        ],
        asks: examples![
            "resolvectl query x",
            "resolvectl flush-caches",
            "networkctl reload",
            "networkctl down eth0",
            "resolvectl dns eth0 1.1.1.1",
        ],
        ..Command::BARE
    },
    Command {
        names: &["chronyc"],
        does: "shows time synchronisation",
        flags: "nacv4",
        operands: Operands::Phrases(&[
            "tracking",
            "sources|sourcestats ...",
            "activity|rtcdata|selectdata|ntpdata|serverstats",
        ]),
        check: Some(|parsed| chatty(parsed, &["-v", "-a"])),
        refused: &[
            refused("-h", "remote", REMOTE),
            refused("-f", "content", "reads another file"),
        ],
        allowed: examples![
            "chronyc tracking",
            "chronyc sources -v",
            "chronyc -n sourcestats",
        ],
        asks: examples!["chronyc makestep", "chronyc -h x tracking", "chronyc"],
        ..Command::BARE
    },
    Command {
        names: &["ntpq"],
        does: "shows time synchronisation",
        flags: "np4w",
        check: Some(|parsed| {
            (!parsed.has(&["-p"]))
                .then(|| Refusal::new("interactive", "without `-p` it waits for commands"))
        }),
        allowed: examples!["ntpq -p", "ntpq -pn"],
        asks: examples!["ntpq", "ntpq -c 'rv' x", "ntpq -p other.example"],
        ..Command::BARE
    },
    Command {
        names: &["bootctl", "mokutil"],
        does: "describes how the machine starts",
        long: "--no-pager --sb-state --list-enrolled",
        operands: Operands::Phrases(&["", "status|list"]),
        allowed: examples!["bootctl", "bootctl status", "mokutil --sb-state"],
        asks: examples![
            "bootctl install",
            "mokutil --import x",
            "bootctl set-default x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["aa-status", "apparmor_status", "aa-enabled", "ntpstat"],
        does: "shows one fact about the system",
        long: "\
            --enabled --profiled --enforced --complaining --verbose --json --pretty-json --quiet",
        allowed: examples!["aa-status", "aa-status --json", "ntpstat"],
        asks: examples!["aa-status x"],
        ..Command::BARE
    },
];

/// Options that belong after the request and mean nothing elsewhere.
fn chatty(parsed: &Parsed<'_>, options: &[&str]) -> Option<Refusal> {
    let alone = parsed.operands.is_empty() && parsed.has(options);
    alone.then(|| Refusal::new("interactive", "without a request it waits for commands"))
}
