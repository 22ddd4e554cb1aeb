//! Commands that show services, logs and sessions.
//!
//! None of these starts a pager: their output is no terminal, and the
//! environment they run in names none.

use super::spec::{Command, Kind, Operands, Parsed, Refusal, at_most, examples, is_name, refused};

const REMOTE: &str = "connects to another machine";
const OTHER_ROOT: &str = "looks into another tree or image";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["systemctl"],
        does: "shows the state of services",
        flags: "alqrh",
        long: "\
            --all --full --no-pager --no-legend --plain --quiet --failed --recursive --reverse \
            --after --before --user --system --value --show-types --with-dependencies \
            --no-ask-password --help --version",
        values: &[
            ("-t", Kind::Name),
            ("--type", Kind::Name),
            ("--state", Kind::Name),
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-o", Kind::Name),
            ("--output", Kind::Name),
            ("-p", Kind::Is(is_property)),
            ("--property", Kind::Is(is_property)),
            ("-P", Kind::Is(is_property)),
            ("--legend", Kind::Name),
            ("--timestamp", Kind::Name),
        ],
        refused: &[
            refused("-H", "remote", REMOTE),
            refused("--host", "remote", REMOTE),
            refused("-M", "remote", REMOTE),
            refused("--machine", "remote", REMOTE),
            refused("--root", "root", OTHER_ROOT),
            refused("--image", "root", OTHER_ROOT),
        ],
        operands: Operands::Phrases(&[
            "",
            "status|cat|is-active|is-enabled|is-failed|list-dependencies ...",
            "show ...",
            "list-units|list-unit-files|list-timers|list-sockets|list-jobs|list-paths|list-automounts ...",
            "is-system-running|get-default|list-machines|whoami",
        ]),
        check: Some(systemctl),
        allowed: examples![
            "systemctl",
            "systemctl status cron --no-pager",
            "systemctl is-active nginx sshd",
            "systemctl list-units --type=service",
            "systemctl --failed",
            "systemctl list-timers --all",
            "systemctl show nginx -p MainPID,ActiveState",
            "systemctl cat nginx",
            "systemctl list-unit-files --state=enabled",
            "systemctl -l status 'nginx*'",
            "systemctl show -p ActiveState --value nginx",
        ],
        asks: examples![
            "systemctl restart php-fpm",
            "systemctl status --host=ops@db9.example sshd",
            "systemctl -H a status x",
            "systemctl stop x",
            "systemctl daemon-reload",
            "systemctl show nginx",
            "systemctl show nginx -p Environment",
            "systemctl show nginx -p '*'",
            "systemctl show nginx -p 'Environ*'",
            "systemctl show-environment",
            "systemctl -M x status y",
            "systemctl status --hos=x y",
            "systemctl kill x",
            "systemctl enable x",
            "systemctl edit x",
            "systemctl --root=/x is-enabled y",
            "systemctl set-property x y=z",
            "systemctl reboot",
            "systemctl status -Hx y",
        ],
        ..Command::BARE
    },
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
            ("--output-fields", Kind::Name),
            ("-t", Kind::Name),
            ("--identifier", Kind::Name),
            ("-g", Kind::Text),
            ("--grep", Kind::Text),
            ("--case-sensitive", Kind::Name),
            ("-F", Kind::Name),
            ("--field", Kind::Name),
            ("-c", Kind::Name),
            ("--cursor", Kind::Name),
            ("--after-cursor", Kind::Name),
            ("--facility", Kind::Name),
            ("-T", Kind::Name),
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
            refused("-D", "root", OTHER_ROOT),
            refused("--directory", "root", OTHER_ROOT),
            refused("--file", "root", "reads other files"),
            refused("-i", "root", "reads other files"),
            refused("--root", "root", OTHER_ROOT),
            refused("--image", "root", OTHER_ROOT),
            refused("-M", "remote", "enters a container"),
            refused("--machine", "remote", "enters a container"),
        ],
        // A boot offset such as `-1`, after `-b`, is a number of lines to us.
        number: true,
        operands: Operands::Any(Kind::Name),
        allowed: examples![
            "journalctl -u cron -n 20 --no-pager",
            "journalctl -xe",
            "journalctl --since '1 hour ago' -p err",
            "journalctl -b -1",
            "journalctl -k",
            "journalctl _PID=1",
            "journalctl --disk-usage",
            "journalctl -u nginx.service -u php-fpm -o json",
            "journalctl --list-boots",
            "journalctl -n100 -r",
            "journalctl -b-1",
            "journalctl --boot=-1 -k",
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
        ],
        ..Command::BARE
    },
    Command {
        names: &["service"],
        does: "shows the state of a service",
        // This runs the service's own script, whose `status` only looks.
        operands: Operands::Phrases(&["", "* status"]),
        long: "--status-all --version --help",
        check: Some(|parsed| {
            let path = parsed
                .operands
                .first()
                .is_some_and(|word| word.text.contains('/'));
            path.then(|| Refusal::new("path", "the name of the service is a path"))
        }),
        allowed: examples!["service nginx status", "service --status-all"],
        asks: examples![
            "service nginx restart",
            "service ../x status",
            "service --full-restart x",
            "service nginx status x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["rc-service", "rc-status"],
        does: "shows the state of services",
        flags: "alrs",
        long: "--list --all --servicelist",
        operands: Operands::Phrases(&["", "* status"]),
        allowed: examples!["rc-service nginx status", "rc-status", "rc-status --all"],
        asks: examples!["rc-service nginx stop"],
        ..Command::BARE
    },
    Command {
        names: &["timedatectl", "hostnamectl", "localectl"],
        does: "shows a setting of the system",
        flags: "al",
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
        ]),
        allowed: examples![
            "timedatectl",
            "timedatectl status",
            "hostnamectl",
            "hostnamectl status",
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
        flags: "al",
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
        names: &["systemd-analyze"],
        does: "shows how long starting took",
        flags: "h",
        long: "--no-pager --user --system --version",
        operands: Operands::Phrases(&[
            "",
            "time|blame",
            "critical-chain ...",
            "timestamp|calendar|timespan %",
            "security ...",
            "dump|unit-paths|exit-status",
        ]),
        refused: &[
            refused("-H", "remote", REMOTE),
            refused("-M", "remote", REMOTE),
        ],
        allowed: examples![
            "systemd-analyze",
            "systemd-analyze blame",
            "systemd-analyze critical-chain nginx.service",
            "systemd-analyze calendar 'Mon *-*-* 00:00:00'",
            "systemd-analyze security nginx.service",
        ],
        asks: examples![
            "systemd-analyze log-level debug",
            "systemd-analyze -H x blame",
            "systemd-analyze cat-config x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["systemd-detect-virt", "systemd-cgls"],
        does: "describes the system",
        flags: "cvqral",
        long: "--container --vm --quiet --no-pager --all --list",
        allowed: examples!["systemd-detect-virt", "systemd-cgls --no-pager"],
        asks: examples!["systemd-cgls -M x"],
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
        names: &["fail2ban-client"],
        does: "shows what is banned",
        operands: Operands::Phrases(&["status ...", "ping|version"]),
        refused: &[
            refused("-c", "config", "reads another configuration"),
            refused("-s", "remote", REMOTE),
        ],
        allowed: examples!["fail2ban-client status", "fail2ban-client status sshd"],
        asks: examples![
            "fail2ban-client set sshd unbanip x",
            "fail2ban-client -c x status",
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
        names: &["systemd-cgtop"],
        does: "shows the busiest services",
        flags: "bptcmirk",
        long: "--batch --raw",
        values: &[
            ("-n", Kind::Is(|text| at_most(text, 20))),
            ("-d", Kind::Number),
        ],
        check: Some(|parsed| {
            (!parsed.has(&["-n"])).then(|| Refusal::new("endless", "without `-n` it never ends"))
        }),
        allowed: examples!["systemd-cgtop -n 1", "systemd-cgtop -b -n 1"],
        asks: examples!["systemd-cgtop", "systemd-cgtop -n 1 -M x"],
        ..Command::BARE
    },
    Command {
        names: &["systemd-path", "systemd-escape"],
        does: "prints names that systemd uses",
        flags: "pu",
        long: "--path --unescape --no-pager",
        operands: Operands::Any(Kind::Name),
        allowed: examples!["systemd-path", "systemd-escape -p /srv/app"],
        asks: examples!["systemd-path --frob"],
        ..Command::BARE
    },
    Command {
        names: &["machinectl"],
        does: "lists machines",
        long: "--no-pager --no-legend --all",
        refused: &[
            refused("-H", "remote", REMOTE),
            refused("-M", "remote", REMOTE),
        ],
        operands: Operands::Phrases(&["", "list|list-images"]),
        allowed: examples!["machinectl", "machinectl list"],
        asks: examples![
            "machinectl shell x",
            "machinectl start x",
            "machinectl -H x list"
        ],
        ..Command::BARE
    },
    Command {
        names: &["busctl"],
        does: "lists what is on the bus",
        long: "--no-pager --no-legend --acquired --system --user",
        refused: &[
            refused("-H", "remote", REMOTE),
            refused("-M", "remote", REMOTE),
        ],
        operands: Operands::Phrases(&["", "list"]),
        allowed: examples!["busctl", "busctl list --no-pager"],
        asks: examples![
            "busctl call a b c d",
            "busctl monitor",
            "busctl set-property a b c d"
        ],
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
        names: &["sv", "initctl"],
        does: "shows the state of a service",
        operands: Operands::Phrases(&["status ...", "list"]),
        allowed: examples!["sv status nginx", "initctl list"],
        asks: examples!["sv restart nginx", "initctl stop nginx", "sv -w 1 up x"],
        ..Command::BARE
    },
    Command {
        names: &["rc-update", "chkconfig"],
        does: "shows which services start with the machine",
        flags: "v",
        long: "--list",
        operands: Operands::Phrases(&["", "show ..."]),
        allowed: examples!["rc-update", "rc-update show -v", "chkconfig --list"],
        asks: examples![
            "rc-update add nginx",
            "chkconfig nginx on",
            "chkconfig --del nginx"
        ],
        ..Command::BARE
    },
    Command {
        names: &["postconf", "postqueue"],
        does: "shows settings or the queue of the mail server",
        flags: "ndp",
        operands: Operands::Any(Kind::Is(|text| {
            is_name(text) && !text.contains(['=', '/', '#'])
        })),
        refused: &[
            refused("-e", "set", "changes the setting"),
            refused("-X", "set", "removes the setting"),
            refused("-f", "flush", "sends what is waiting"),
            refused("-c", "config", "reads another configuration"),
        ],
        allowed: examples!["postconf -n", "postconf mail_version", "postqueue -p"],
        asks: examples![
            "postconf -e a=b",
            "postconf a=b",
            "postqueue -f",
            "postqueue -i x"
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
    Command {
        names: &["tuned-adm", "dkms", "kmod"],
        does: "shows one fact about the system",
        operands: Operands::Phrases(&["active|list|recommend|status"]),
        allowed: examples!["tuned-adm active", "dkms status", "kmod list"],
        asks: examples!["tuned-adm profile x", "dkms install x", "kmod load x"],
        ..Command::BARE
    },
];

/// A boot by its number, counted from either end, or by its id.
fn is_boot(text: &str) -> bool {
    text.strip_prefix(['-', '+'])
        .map_or(is_name(text), |digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// Options that belong after the request and mean nothing elsewhere.
fn chatty(parsed: &Parsed<'_>, options: &[&str]) -> Option<Refusal> {
    let alone = parsed.operands.is_empty() && parsed.has(options);
    alone.then(|| Refusal::new("interactive", "without a request it waits for commands"))
}

/// `show` without a choice of properties prints the environment of the service.
fn systemctl(parsed: &Parsed<'_>) -> Option<Refusal> {
    let shows = parsed
        .operands
        .first()
        .is_some_and(|word| word.text == "show");
    let chosen = parsed.has(&["-p", "--property", "-P"]);
    (shows && !chosen).then(|| {
        Refusal::new(
            "environment",
            "without `-p` it shows the environment of the service, which may hold passwords",
        )
    })
}

/// A list of properties without the environment.
fn is_property(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b',')
        && !text.is_empty()
        && !lower.contains("environ")
        && !lower.contains("credential")
}
