//! Commands that show software other than the system's packages, and choices
//! between versions of it.
//!
//! Invariant: nothing is fetched, built or selected. What a manager's configuration
//! says is not read.

use super::spec::{Command, Kind, Operands, Refusal, examples, refused};

const OTHER_ROOT: &str = "looks into another tree";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["snap", "flatpak"],
        does: "shows installed packages",
        long: "--all --app --runtime --version",
        operands: Operands::Phrases(&[
            "list ...",
            "version",
            "services ...",
            "connections|changes|interfaces",
        ]),
        allowed: examples!["snap list", "snap services"],
        asks: examples![
            "snap install x",
            "snap refresh",
            "snap set x y=z",
            "flatpak run x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["pip", "pip3"],
        does: "shows installed packages",
        flags: "qvVf",
        long: "--files --user --local --version --disable-pip-version-check",
        values: &[("--format", Kind::OneOf(&["columns", "freeze", "json"]))],
        refused: &[
            refused("-o", "network", "asks the index"),
            refused("--outdated", "network", "asks the index"),
            refused("--python", "exec", "runs another interpreter"),
        ],
        operands: Operands::Phrases(&["", "list|freeze|check", "show * ..."]),
        check: Some(|parsed| {
            // Elsewhere `-f` is a place to look for packages.
            let shows = parsed
                .operands
                .first()
                .is_some_and(|word| word.text == "show");
            (parsed.has(&["-f"]) && !shows)
                .then(|| Refusal::new("network", "`-f` looks for packages elsewhere"))
        }),
        allowed: examples![
            "pip show -f requests",
            "pip check",
            "pip list",
            "pip3 show requests",
            "pip freeze",
            "pip3 list --format=json",
        ],
        asks: examples![
            "pip install x",
            "pip list --outdated",
            "pip --python=/x list",
            "pip list -f x",
            "pip uninstall x",
            "pip download x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["gem"],
        does: "shows installed packages",
        long: "--local --version",
        operands: Operands::Phrases(&["", "list ..."]),
        allowed: examples!["gem list", "gem list --local"],
        asks: examples!["gem install x", "gem list --remote"],
        ..Command::BARE
    },
    Command {
        names: &["update-alternatives", "alternatives"],
        does: "shows alternatives",
        long: "--get-selections --version",
        values: &[
            ("--display", Kind::Name),
            ("--query", Kind::Name),
            ("--list", Kind::Name),
        ],
        check: Some(|parsed| {
            parsed
                .options
                .is_empty()
                .then(|| Refusal::new("form", "it names nothing to show"))
        }),
        allowed: examples![
            "update-alternatives --display java",
            "update-alternatives --get-selections",
        ],
        asks: examples![
            "update-alternatives --set java x",
            "update-alternatives --config java",
            "update-alternatives --auto x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["whatis", "apropos"],
        does: "looks up what manual pages there are",
        flags: "adelrw",
        long: "--exact --and --long --regex --wildcard --help --version",
        values: &[("-s", Kind::Name), ("--sections", Kind::Name)],
        refused: &[
            refused("-M", "path", "searches other directories"),
            refused("-C", "config", "reads another configuration"),
        ],
        operands: Operands::Any(Kind::Name),
        allowed: examples!["whatis ls", "apropos -a copy file", "whatis -s 8 mount"],
        asks: examples!["whatis -C /etc/shadow ls", "apropos -M /x ls"],
        ..Command::BARE
    },
    Command {
        names: &["lsb_release"],
        does: "describes the system",
        flags: "aidrcs",
        long: "--all --id --description --release --codename --short --version",
        allowed: examples!["lsb_release -a", "lsb_release -ds"],
        asks: examples!["lsb_release x"],
        ..Command::BARE
    },
    Command {
        names: &["ldconfig"],
        does: "lists known libraries",
        flags: "p",
        long: "--print-cache --version",
        refused: &[
            refused("-v", "rebuild", "rebuilds the list"),
            refused("-r", "root", OTHER_ROOT),
        ],
        check: Some(|parsed| {
            (!parsed.has(&["-p", "--print-cache", "--version"]))
                .then(|| Refusal::new("rebuild", "without `-p` it rebuilds the list"))
        }),
        allowed: examples!["ldconfig -p"],
        asks: examples![
            "ldconfig",
            "ldconfig -pv",
            "ldconfig -p -C x",
            "ldconfig -p /srv"
        ],
        ..Command::BARE
    },
    Command {
        names: &["modprobe"],
        does: "shows what a kernel module needs",
        flags: "D",
        long: "--show-depends --showconfig --version",
        operands: Operands::UpTo(1, Kind::Name),
        check: Some(|parsed| {
            let shows = parsed.has(&["-D", "--show-depends", "--showconfig", "--version"]);
            (!shows).then(|| Refusal::new("load", "without `-D` it loads the module"))
        }),
        allowed: examples!["modprobe -D ext4", "modprobe --show-depends ext4"],
        asks: examples![
            "modprobe x",
            "modprobe -r x",
            "modprobe -D -C /srv/x y",
            "modprobe -Dr x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["grubby"],
        does: "describes boot entries",
        long: "--default-kernel --default-index --default-title",
        values: &[("--info", Kind::Name)],
        check: Some(|parsed| {
            parsed
                .options
                .is_empty()
                .then(|| Refusal::new("form", "it names nothing to show"))
        }),
        allowed: examples!["grubby --info=ALL", "grubby --default-kernel"],
        asks: examples![
            "grubby --set-default=x",
            "grubby --args=x --update-kernel=ALL"
        ],
        ..Command::BARE
    },
];
