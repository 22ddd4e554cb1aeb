//! Commands that show addresses, links, routes and network cards.
//!
//! The same programs change all of these; only the requests that show are known.
//! Invariant: what one version reads as showing and another as setting is refused.
//! Remote addresses are not resolved.

use super::super::lex::Word;
use super::spec::{Command, Kind, Operands, Outcome, Refusal, Style, examples, is_name, refused};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ip"],
        does: "shows addresses, links and routes",
        style: Style::Custom(ip),
        allowed: examples![
            "ip a",
            "ip addr",
            "ip -br link",
            "ip r",
            "ip route show table main",
            "ip -s link show eth0",
            "ip -4 addr show dev eth0",
            "ip route get 1.1.1.1",
            "ip neigh",
            "ip rule list",
            "ip -j -p addr",
            "ip -details link show type bridge",
            "ip netns list",
            "ip link ls up",
            "ip -6 route",
            "ip maddr show",
            "ip -c a",
            "ip addr show up",
            "ip route list default",
            "ip tunnel show",
            "ip -o -4 a",
            "ip netns",
            "ip a s",
            "ip r s",
            "ip r l",
            "ip addr help",
            "ip --brief addr",
            "ip netns identify 1",
            "ip tuntap list",
            "ip token",
        ],
        asks: examples![
            "ip addr del 10.1.1.1/24 dev eth1",
            "ip a d x",
            "ip link set eth0 down",
            "ip l s eth0 down",
            "ip -b /srv/x",
            "ip -batch x",
            "ip netns exec a id",
            "ip -n a addr",
            "ip -netns a addr",
            "ip route flush all",
            "ip monitor",
            "ip xfrm state",
            "ip",
            "ip a save",
            "ip route save",
            "ip addr showdump",
            "ip -force link",
            "ip link add x type bridge",
            "ip vrf exec a id",
            "ip --batch x",
            "ip --netns a addr",
            "ip netns pids -all",
            "ip tuntap add dev x mode tap",
            "ip tcp_metrics flush",
            "ip token set ::1 dev eth0",
            "ip -ba x",
            "ip macsec show",
            "ip addr restore",
        ],
        ..Command::BARE
    },
    Command {
        names: &["bridge"],
        does: "shows bridges",
        style: Style::WholeWords,
        long: "-s -d -j -p -c -o -statistics -details -json",
        operands: Operands::Phrases(&["link|fdb|vlan|mdb", "link|fdb|vlan|mdb show|list ..."]),
        allowed: examples!["bridge link", "bridge fdb show dev eth0"],
        asks: examples!["bridge fdb add x", "bridge -b x", "bridge monitor"],
        ..Command::BARE
    },
    Command {
        names: &["tc"],
        does: "shows traffic control",
        style: Style::WholeWords,
        long: "-s -d -j -p -statistics -details",
        operands: Operands::Phrases(&["qdisc|class|filter", "qdisc|class|filter show|list|ls ..."]),
        allowed: examples!["tc -s qdisc show dev eth0", "tc qdisc"],
        asks: examples!["tc qdisc add dev eth0 root tbf", "tc -b x", "tc -n a qdisc"],
        ..Command::BARE
    },
    Command {
        names: &["ifconfig"],
        does: "shows interfaces",
        // busybox knows `-a` only: it takes `-s` and `-v` for an interface, and what
        // follows for its address.
        flags: "a",
        // A second operand changes the interface.
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["ifconfig", "ifconfig -a", "ifconfig eth0"],
        asks: examples![
            "ifconfig eth0 down",
            "ifconfig eth0 10.0.0.1",
            "ifconfig -l x y",
            "ifconfig -s eth0",
        ],
        ..Command::BARE
    },
    Command {
        names: &["route"],
        does: "shows routes",
        flags: "46evnFV",
        values: &[("-A", Kind::Name)],
        refused: &[refused("-C", "form", "is not known to only look")],
        allowed: examples!["route", "route -n", "route -A inet6"],
        asks: examples!["route add default gw x", "route del x", "route flush"],
        ..Command::BARE
    },
    Command {
        names: &["arp"],
        does: "shows neighbours",
        flags: "aenvD",
        values: &[("-i", Kind::Name), ("-H", Kind::Name)],
        refused: &[
            refused("-d", "delete", "deletes an entry"),
            refused("-s", "set", "adds an entry"),
            refused("-f", "set", "adds entries from a file"),
        ],
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples!["arp", "arp -an", "arp -n -i eth0"],
        asks: examples!["arp -d x", "arp -s x y", "arp -f x", "arp -nd x"],
        ..Command::BARE
    },
    Command {
        names: &["ethtool"],
        does: "shows a network card",
        flags: "akgiSlcnTPmxu",
        long: "\
            --show-rxfh-indir --show-rxfh --show-ntuple --show-nfc --show-rxnfc --module-info \
            --show-priv-flags --show-tunnels --phy-statistics \
            --show-features --show-offload --show-ring --driver --statistics --show-channels \
            --show-coalesce --show-pause --show-time-stamping --version --show-permaddr \
            --show-fec --show-eee",
        refused: &[
            refused("-s", "set", "changes the card"),
            refused("-K", "set", "changes the card"),
            refused("-G", "set", "changes the card"),
            refused("-r", "restart", "restarts negotiation"),
            refused("-t", "test", "takes the card down for a test"),
            refused("-p", "identify", "blinks and waits"),
        ],
        operands: Operands::UpTo(1, Kind::Name),
        allowed: examples![
            "ethtool eth0",
            "ethtool -i eth0",
            "ethtool -S eth0",
            "ethtool -k eth0",
        ],
        asks: examples![
            "ethtool -s eth0 speed 100",
            "ethtool -K eth0 tso off",
            "ethtool -r eth0",
            "ethtool --set-ring eth0 rx 1",
            "ethtool -A eth0",
        ],
        ..Command::BARE
    },
    Command {
        names: &["nmcli"],
        does: "shows network settings",
        flags: "tp",
        long: "--terse --pretty --active --version",
        values: &[
            ("-f", Kind::Name),
            ("--fields", Kind::Name),
            ("-g", Kind::Name),
            ("-m", Kind::Name),
            ("-c", Kind::Name),
        ],
        refused: &[
            refused("-s", "secrets", "shows passwords"),
            refused("--show-secrets", "secrets", "shows passwords"),
            refused("-a", "interactive", "asks for passwords"),
        ],
        operands: Operands::Phrases(&[
            "",
            "general|g",
            "general|g status|hostname|permissions",
            "device|dev|d",
            "device|dev|d status",
            "device|dev|d show ...",
            "connection|con|c",
            "connection|con|c show ...",
            "radio|networking",
            "networking connectivity",
        ]),
        allowed: examples![
            "nmcli",
            "nmcli device status",
            "nmcli con show --active",
            "nmcli con show",
            "nmcli -t -f NAME,UUID con show",
            "nmcli dev show eth0",
        ],
        asks: examples![
            "nmcli con up x",
            "nmcli -s con show x",
            "nmcli con show --show-secrets x",
            "nmcli general hostname x",
            "nmcli radio wifi off",
        ],
        ..Command::BARE
    },
    Command {
        names: &["brctl"],
        does: "shows bridges",
        operands: Operands::Phrases(&["show ...", "showmacs|showstp *"]),
        allowed: examples!["brctl show"],
        asks: examples!["brctl addbr x"],
        ..Command::BARE
    },
    Command {
        names: &["mii-tool"],
        does: "shows a network card",
        flags: "vV",
        operands: Operands::Any(Kind::Name),
        refused: &[
            refused("-r", "restart", "restarts negotiation"),
            refused("-R", "restart", "resets the card"),
            refused("-F", "set", "changes the card"),
            refused("-w", "endless", "waits for changes"),
        ],
        allowed: examples!["mii-tool", "mii-tool -v eth0"],
        asks: examples!["mii-tool -R eth0", "mii-tool -w"],
        ..Command::BARE
    },
    Command {
        names: &["iw"],
        does: "shows wireless cards",
        operands: Operands::Phrases(&["dev|phy|list", "dev * info|link", "reg get"]),
        allowed: examples!["iw dev", "iw dev wlan0 link"],
        asks: examples![
            "iw dev wlan0 scan",
            "iw reg set DE",
            "iw dev wlan0 disconnect"
        ],
        ..Command::BARE
    },
];

/// Objects of `ip` with every spelling that names no other object.
const OBJECTS: &[&str] = &[
    "a",
    "addr",
    "address",
    "l",
    "link",
    "r",
    "ro",
    "route",
    "n",
    "neigh",
    "neighbor",
    "neighbour",
    "rule",
    "ru",
    "maddr",
    "maddress",
    "mroute",
    "tunnel",
    "netns",
    "addrlabel",
    "netconf",
    "ntable",
    "vrf",
    "nexthop",
    "token",
    "tuntap",
    "tcp_metrics",
];
const SHOWS: &[&str] = &["show", "list", "ls", "sh", "lst"];
const OPTIONS: &[&str] = &[
    "-4",
    "-6",
    "-0",
    "-s",
    "-stats",
    "-statistics",
    "-d",
    "-details",
    "-o",
    "-oneline",
    "-r",
    "-resolve",
    "-h",
    "-human",
    "-br",
    "-brief",
    "-j",
    "-json",
    "-p",
    "-pretty",
    "-c",
    "-color",
    "-c=never",
    "-color=never",
    "-V",
    "-Version",
    "-N",
    "-t",
    "-timestamp",
    "-iec",
    "-echo",
];

/// Whether a word is an option that only changes what is shown. A second dash makes no
/// difference (iproute2, `main`).
fn is_option(word: &str) -> bool {
    let single = word.strip_prefix('-').filter(|rest| rest.starts_with('-'));
    OPTIONS.contains(&single.unwrap_or(word))
}

/// One letter that these objects, in iproute2 and busybox alike, read as `show` or
/// `list` before anything else; for a link it is `set`.
fn abbreviates_show(object: &str, verb: &str) -> bool {
    match verb {
        "s" => matches!(
            object,
            "a" | "addr" | "address" | "r" | "ro" | "route" | "n" | "neigh" | "rule" | "ru"
        ),
        "l" => matches!(object, "a" | "addr" | "address" | "r" | "ro" | "route"),
        _ => false,
    }
}

/// `ip [options] OBJECT [show [selectors]]`, where nothing is abbreviated beyond
/// what has one meaning: `ip l s` is `ip link set`.
fn ip(words: &[Word]) -> Outcome {
    if words.iter().any(|word| !word.is_literal()) {
        return Err(Refusal::new(
            "glob",
            "only a shell knows what this pattern becomes",
        ));
    }
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let mut rest = texts.as_slice();
    loop {
        rest = match rest {
            [
                "-f" | "-family",
                "inet" | "inet6" | "link" | "bridge" | "mpls",
                tail @ ..,
            ] => tail,
            ["-V" | "-Version"] => return Ok(Vec::new()),
            [option, tail @ ..] if is_option(option) => tail,
            [option, ..] if option.starts_with('-') => {
                let (id, why) = match option.trim_start_matches('-') {
                    "b" | "ba" | "bat" | "batc" | "batch" => {
                        ("batch", "runs the commands in a file")
                    }
                    "n" | "net" | "netn" | "netns" | "a" | "all" => {
                        ("namespace", "enters another network namespace")
                    }
                    _ => ("option", "is not among the options known to only look"),
                };
                return Err(Refusal::new(id, format!("`{option}` {why}")));
            }
            _ => break,
        };
    }
    match rest {
        [] if texts.contains(&"-h") => Ok(Vec::new()),
        ["help"] => Ok(Vec::new()),
        [object, "help"] if OBJECTS.contains(object) => Ok(Vec::new()),
        [object] if OBJECTS.contains(object) => Ok(Vec::new()),
        [object, show, selectors @ ..]
            if OBJECTS.contains(object)
                && (SHOWS.contains(show) || abbreviates_show(object, show)) =>
        {
            match selectors.iter().all(|word| is_name(word)) {
                true => Ok(Vec::new()),
                false => Err(Refusal::new(
                    "option",
                    "an option after the request is not known to only look",
                )),
            }
        }
        ["netns", "identify" | "pids", name] if is_name(name) => Ok(Vec::new()),
        ["l2tp", "show", "tunnel" | "session"] => Ok(Vec::new()),
        ["r" | "ro" | "route", "get" | "g", selectors @ ..]
            if selectors.iter().all(|word| is_name(word)) =>
        {
            Ok(Vec::new())
        }
        [_, verb, ..] => Err(Refusal::new(
            "verb",
            format!("`{verb}` is not known to only look"),
        )),
        _ => Err(Refusal::new("verb", "it names nothing known to be shown")),
    }
}
