//! Commands that show the state of the network.
//!
//! Talking to other machines is left to a person, with one exception: a bounded
//! `ping`, which everyone who looks after servers needs. Invariant: apart from it,
//! and from names that are resolved on the way, nothing passes that talks to
//! another machine. Which hosts are pinged is not restricted.

use super::spec::{Command, Kind, Operands, Refusal, at_most, examples, is_name, refused};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ss"],
        does: "lists sockets",
        flags: "046aebHhilmMnOopqrsStTuVwxzZ",
        long: "\
            --all --listening --numeric --processes --tcp --udp --raw --unix --ipv4 --ipv6 \
            --extended --memory --info --options --summary --no-header --resolve --oneline \
            --help --version --packet --vsock --sctp --inet-sockopt --cgroup --context --threads \
            --tos",
        values: &[
            ("-f", Kind::Name),
            ("--family", Kind::Name),
            ("-A", Kind::Name),
            ("--query", Kind::Name),
            ("--socket", Kind::Name),
        ],
        refused: &[
            refused("-K", "kill", "closes the sockets it finds"),
            refused("--kill", "kill", "closes the sockets it finds"),
            refused("-D", "output", "writes a file"),
            refused("--diag", "output", "writes a file"),
            refused("-F", "content", "reads another file"),
            refused("--filter", "content", "reads another file"),
            refused("-E", "endless", "waits for events and never ends"),
            refused("--events", "endless", "waits for events and never ends"),
            refused("-N", "namespace", "enters another network namespace"),
            refused("--net", "namespace", "enters another network namespace"),
        ],
        operands: Operands::Any(Kind::Text),
        allowed: examples![
            "ss -ltn",
            "ss -tulpn",
            "ss -s",
            "ss state established '( dport = :443 )'",
            "ss -tan sport = :80",
            "ss --tcp --listening -n",
        ],
        asks: examples![
            "ss -K dst 10.0.0.1",
            "ss -tK",
            "ss --kill",
            "ss -D /srv/x",
            "ss -F /etc/shadow",
            "ss --kil",
            "ss -N x",
            "ss -E",
        ],
        ..Command::BARE
    },
    Command {
        names: &["netstat"],
        does: "lists sockets and routes",
        flags: "aegilnoprstuvWx46TMwF",
        long: "\
            --all --listening --numeric --programs --tcp --udp --route --interfaces --statistics \
            --inet --inet6 --extend --wide",
        refused: &[
            refused("-c", "endless", "repeats for ever"),
            refused("--continuous", "endless", "repeats for ever"),
            refused("-z", "clear", "clears counters in some versions"),
        ],
        allowed: examples![
            "netstat -tlnp",
            "netstat -rn",
            "netstat -s",
            "netstat -i",
            "netstat -antup",
        ],
        asks: examples!["netstat -c", "netstat -nc", "netstat -N x", "netstat -w 1"],
        ..Command::BARE
    },
    Command {
        names: &["ping", "ping6"],
        does: "sends a few test packets",
        flags: "46nqOvLUD",
        values: &[
            (
                "-c",
                Kind::Is(|text| at_most(text, 20) && !at_most(text, 0)),
            ),
            ("-W", Kind::Is(|text| at_most(text, 60))),
            ("-w", Kind::Is(|text| at_most(text, 60))),
            (
                "-i",
                Kind::Is(|text| {
                    text.parse::<f32>()
                        .is_ok_and(|seconds| (0.2..=10.0).contains(&seconds))
                }),
            ),
            ("-s", Kind::Is(|text| at_most(text, 1472))),
            ("-t", Kind::Is(|text| at_most(text, 255))),
            ("-I", Kind::Name),
            ("-M", Kind::OneOf(&["do", "want", "dont"])),
        ],
        refused: &[
            refused("-f", "flood", "floods the network"),
            refused("-b", "broadcast", "pings every host"),
            refused("-p", "payload", "chooses what is sent"),
            refused("-l", "flood", "sends without waiting"),
        ],
        operands: Operands::UpTo(1, Kind::Is(is_host)),
        check: Some(|parsed| {
            (!parsed.has(&["-c"])).then(|| Refusal::new("endless", "without `-c` it never ends"))
        }),
        allowed: examples![
            "ping -c 3 10.0.0.1",
            "ping -c1 -W 2 db.example",
            "ping -nc 2 ::1",
            "ping6 -c 1 ::1",
        ],
        asks: examples![
            "ping 10.0.0.1",
            "ping -c 100000 x",
            "ping -f -c 5 x",
            "ping -c 1 -p ff x",
            "ping -c 1 -i 0.001 x",
            "ping -c 1 a b",
            "ping -c 0 x",
            "ping -c 1 '$(id)'",
        ],
        ..Command::BARE
    },
    Command {
        names: &["wg"],
        does: "shows tunnels",
        // `dump` and `private-key` show keys.
        operands: Operands::Phrases(&[
            "",
            "show",
            "show *",
            "show * endpoints|latest-handshakes|transfer|allowed-ips|peers|listen-port|public-key",
        ]),
        allowed: examples!["wg", "wg show", "wg show wg0 latest-handshakes"],
        asks: examples![
            "wg show wg0 private-key",
            "wg show all dump",
            "wg showconf wg0",
            "wg set wg0 peer x remove",
            "wg genkey",
        ],
        ..Command::BARE
    },
    Command {
        names: &["conntrack"],
        does: "lists tracked connections",
        flags: "LCS",
        long: "--dump --count --stats --version",
        values: &[
            ("-p", Kind::Name),
            ("-s", Kind::Name),
            ("-d", Kind::Name),
            ("-f", Kind::Name),
            ("-o", Kind::Name),
            ("--dport", Kind::Name),
            ("--sport", Kind::Name),
            ("--state", Kind::Name),
        ],
        refused: &[
            refused("-D", "delete", "deletes entries"),
            refused("-F", "delete", "deletes entries"),
            refused("-z", "clear", "clears counters"),
            refused("-E", "endless", "waits for events and never ends"),
        ],
        check: Some(|parsed| {
            let lists = parsed.has(&[
                "-L",
                "-C",
                "-S",
                "--dump",
                "--count",
                "--stats",
                "--version",
            ]);
            (!lists).then(|| Refusal::new("form", "without `-L` it is not known to only look"))
        }),
        operands: Operands::UpTo(1, Kind::OneOf(&["conntrack", "expect"])),
        allowed: examples![
            "conntrack -L",
            "conntrack -C",
            "conntrack -L -p tcp --dport 443"
        ],
        asks: examples![
            "conntrack -D -p tcp",
            "conntrack -F",
            "conntrack -Lz",
            "conntrack -E"
        ],
        ..Command::BARE
    },
    Command {
        names: &["vnstat"],
        does: "shows recorded traffic",
        flags: "dmhsw5y",
        values: &[("-i", Kind::Name)],
        refused: &[
            refused("-l", "endless", "waits and never ends"),
            refused("-u", "output", "updates the record"),
        ],
        allowed: examples!["vnstat", "vnstat -d -i eth0"],
        asks: examples![
            "vnstat -l",
            "vnstat --remove -i eth0",
            "vnstat --config /etc/shadow"
        ],
        ..Command::BARE
    },
    Command {
        names: &["ipcalc"],
        does: "computes with addresses",
        flags: "bnm",
        operands: Operands::UpTo(2, Kind::Name),
        allowed: examples!["ipcalc 10.0.0.0/24"],
        asks: examples!["ipcalc -h 10.0.0.1"],
        ..Command::BARE
    },
    Command {
        names: &["rpcinfo", "showmount"],
        does: "shows what this host serves",
        flags: "psead",
        // An operand is another machine.
        allowed: examples!["rpcinfo -p", "showmount -e"],
        asks: examples!["rpcinfo -p db9.example", "showmount -e x", "rpcinfo -d 1 2"],
        ..Command::BARE
    },
    Command {
        names: &["exportfs"],
        does: "lists exported directories",
        flags: "vs",
        allowed: examples!["exportfs", "exportfs -v"],
        asks: examples!["exportfs -ra", "exportfs -u x:/srv", "exportfs x:/srv"],
        ..Command::BARE
    },
    Command {
        names: &["nfsstat", "smbstatus"],
        does: "shows what is shared",
        flags: "bcLmnprSsv",
        refused: &[refused("-z", "clear", "clears counters")],
        allowed: examples!["nfsstat -s", "smbstatus -b"],
        asks: examples!["nfsstat -z", "nfsstat -Z 1"],
        ..Command::BARE
    },
];

/// A name or an address of a host, perhaps with a zone.
fn is_host(text: &str) -> bool {
    is_name(text)
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".:-_%".contains(c))
}
