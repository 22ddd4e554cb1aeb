//! Commands that list the rules of a firewall.
//!
//! Invariant: only listings pass; a word that could be a chain's new content or a
//! file to load is refused. Whether the account may list is for the server to say.

use super::spec::{Command, Kind, Operands, Refusal, examples, refused};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["iptables", "ip6tables", "iptables-legacy", "iptables-nft"],
        does: "lists firewall rules",
        flags: "nvxLSV",
        long: "--list --list-rules --numeric --verbose --exact --line-numbers --version",
        values: &[("-t", Kind::Name), ("--table", Kind::Name)],
        optional: &[("-w", Kind::Number)],
        refused: &[
            refused("-Z", "clear", "clears counters"),
            refused("-F", "delete", "deletes rules"),
            refused("-A", "set", "adds a rule"),
            refused("-D", "delete", "deletes a rule"),
            refused("-M", "exec", "runs another program to load modules"),
        ],
        // A chain after `-L`, and perhaps a number after `-S CHAIN`.
        operands: Operands::UpTo(2, Kind::Name),
        check: Some(|parsed| {
            let lists = parsed.has(&["-L", "--list", "-S", "--list-rules", "--version", "-V"]);
            (!lists).then(|| Refusal::new("form", "only listing is known to only look"))
        }),
        allowed: examples![
            "iptables -L -n -v",
            "iptables -nvL",
            "iptables -S",
            "iptables -t nat -L POSTROUTING -n --line-numbers",
            "ip6tables -L",
        ],
        asks: examples![
            "iptables -F",
            "iptables -L -Z",
            "iptables -A INPUT -j DROP",
            "iptables -nvLZ",
            "iptables -P INPUT DROP",
            "iptables",
        ],
        ..Command::BARE
    },
    Command {
        names: &["nft"],
        does: "lists firewall rules",
        flags: "anjsy",
        long: "--handle --json --stateless --numeric",
        refused: &[
            refused("-f", "set", "runs a file"),
            refused("-i", "interactive", "waits for commands"),
        ],
        operands: Operands::Phrases(&[
            "list ruleset|tables|chains|sets|maps ...",
            "list table|chain|set ...",
        ]),
        check: Some(|parsed| {
            let more = parsed
                .operands
                .iter()
                .any(|word| word.text.contains([';', '{', '}']));
            more.then(|| Refusal::new("form", "the request holds more than one command"))
        }),
        allowed: examples![
            "nft list ruleset",
            "nft -a list table inet filter",
            "nft list tables",
        ],
        asks: examples![
            "nft flush ruleset",
            "nft -f x",
            "nft list ruleset ';' flush ruleset",
            "nft 'list ruleset; flush ruleset'",
        ],
        ..Command::BARE
    },
    Command {
        names: &["ufw"],
        does: "shows the firewall",
        operands: Operands::Phrases(&["status", "status verbose|numbered", "version", "app list"]),
        allowed: examples!["ufw status", "ufw status verbose"],
        asks: examples![
            "ufw disable",
            "ufw allow 22",
            "ufw --force reset",
            "ufw show raw",
        ],
        ..Command::BARE
    },
    Command {
        names: &["firewall-cmd"],
        does: "shows the firewall",
        long: "\
            --state --list-all --list-all-zones --list-ports --list-services --list-rich-rules \
            --get-zones --get-default-zone --get-active-zones --get-services --permanent \
            --version",
        values: &[
            ("--zone", Kind::Name),
            ("--query-port", Kind::Name),
            ("--query-service", Kind::Name),
            ("--info-zone", Kind::Name),
            ("--info-service", Kind::Name),
            ("--get-zone-of-interface", Kind::Name),
        ],
        check: Some(|parsed| {
            let shows = parsed
                .options
                .iter()
                .any(|(name, _)| !name.is("--permanent") && !name.is("--zone"));
            (!shows).then(|| Refusal::new("form", "it names nothing to show"))
        }),
        allowed: examples![
            "firewall-cmd --state",
            "firewall-cmd --query-port=80/tcp",
            "firewall-cmd --list-all --zone=public",
        ],
        asks: examples![
            "firewall-cmd --reload",
            "firewall-cmd --add-port=1/tcp",
            "firewall-cmd --permanent",
        ],
        ..Command::BARE
    },
    Command {
        names: &["ipset"],
        does: "lists address sets",
        flags: "tn",
        long: "-terse -name",
        operands: Operands::Phrases(&["list ..."]),
        allowed: examples!["ipset list", "ipset list blocked"],
        asks: examples!["ipset flush", "ipset list -f x", "ipset save"],
        ..Command::BARE
    },
    Command {
        names: &["iptables-save", "ip6tables-save"],
        does: "prints firewall rules",
        flags: "cV",
        long: "--counters --version",
        values: &[("-t", Kind::Name), ("--table", Kind::Name)],
        refused: &[
            refused("-f", "output", "writes a file"),
            refused("--file", "output", "writes a file"),
            refused("-M", "exec", "runs another program to load modules"),
            refused("--modprobe", "exec", "runs another program to load modules"),
        ],
        allowed: examples!["iptables-save", "iptables-save -t nat -c"],
        asks: examples![
            "iptables-save -f /srv/x",
            "iptables-save -M /srv/x",
            "iptables-save x"
        ],
        ..Command::BARE
    },
];
