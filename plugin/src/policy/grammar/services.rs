//! Commands that show services and what systemd knows of them.
//!
//! None of these starts a pager: their output is no terminal, and the environment
//! they run in names none. Invariant: no verb that starts, stops or reloads passes,
//! nor one that prints a service's environment. Units are not looked up.

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
        operands: Operands::Any(Kind::Name),
        check: Some(|parsed| {
            let shows = parsed
                .operands
                .first()
                .is_none_or(|word| word.text == "show");
            let lists = parsed.has(&["--list"]) && parsed.operands.len() <= 1;
            (!shows && !lists)
                .then(|| Refusal::new("verb", "only `--list` and `show` are known to only look"))
        }),
        allowed: examples![
            "rc-update",
            "rc-update show -v",
            "chkconfig --list",
            "chkconfig --list nginx"
        ],
        asks: examples![
            "rc-update add nginx",
            "chkconfig nginx on",
            "chkconfig --list nginx on",
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
        names: &["tuned-adm", "dkms", "kmod"],
        does: "shows one fact about the system",
        operands: Operands::Phrases(&["active|list|recommend|status"]),
        allowed: examples!["tuned-adm active", "dkms status", "kmod list"],
        asks: examples!["tuned-adm profile x", "dkms install x", "kmod load x"],
        ..Command::BARE
    },
];

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
