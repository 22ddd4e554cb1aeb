//! Commands that show what is installed.
//!
//! Package tools take configuration by option, and configuration can name
//! programs to run; no such option is known here.

use super::spec::{Command, Kind, Operands, Parsed, Refusal, Style, examples, is_name, refused};

const CONFIG: &str = "replaces the configuration, which can name programs to run";
const OTHER_ROOT: &str = "looks into another tree";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["dpkg", "dpkg-query"],
        does: "shows installed packages",
        flags: "lsLSpWVC",
        long: "\
            --list --status --listfiles --search --print-avail --show --verify --audit \
            --get-selections --print-architecture --print-foreign-architectures --no-pager \
            --version --help",
        values: &[
            ("-f", Kind::Is(is_format)),
            ("--showformat", Kind::Is(is_format)),
        ],
        refused: &[
            refused("-i", "install", "installs a package"),
            refused("-r", "remove", "removes a package"),
            refused("-P", "remove", "removes a package"),
            refused("--admindir", "root", OTHER_ROOT),
            refused("--root", "root", OTHER_ROOT),
        ],
        operands: Operands::Any(Kind::Name),
        check: Some(|parsed| {
            (parsed.options.is_empty()).then(|| Refusal::new("form", "it names nothing to show"))
        }),
        allowed: examples![
            "dpkg -s bash",
            "dpkg -l",
            "dpkg -l 'nginx*'",
            "dpkg -L nginx",
            "dpkg -S /usr/bin/ls",
            "dpkg-query -W -f='${Version}' bash",
            "dpkg --get-selections",
            "dpkg --print-architecture",
            "dpkg -V nginx",
        ],
        asks: examples![
            "dpkg -i x.deb",
            "dpkg --configure -a",
            "dpkg -r x",
            "dpkg --purge x",
            "dpkg --root=/x -l",
            "dpkg --pre-invoke=id -l",
            "dpkg --set-selections",
            "dpkg -li x",
            "dpkg --admin=/x -l",
            "dpkg --unpack x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["rpm"],
        does: "shows installed packages",
        flags: "qailfcdRsgVv",
        long: "\
            --query --all --list --info --configfiles --docfiles --requires --provides \
            --changelog --scripts --last --whatprovides --whatrequires --conflicts --obsoletes \
            --file --state --verify --nodigest --nosignature --version --triggers --filesbypkg",
        values: &[
            ("--queryformat", Kind::Is(is_format)),
            ("--qf", Kind::Is(is_format)),
        ],
        refused: &[
            refused("-e", "remove", "removes a package"),
            refused("-U", "install", "installs a package"),
            refused(
                "-p",
                "network",
                "reads a package file, from the network even",
            ),
            refused("-E", "exec", "evaluates macros, which run programs"),
            refused("--eval", "exec", "evaluates macros, which run programs"),
            refused("--define", "exec", "defines macros, which run programs"),
            refused("--pipe", "exec", "runs a program"),
            refused("--rcfile", "config", CONFIG),
            refused("--macros", "config", CONFIG),
            refused("--root", "root", OTHER_ROOT),
            refused("--dbpath", "root", OTHER_ROOT),
        ],
        operands: Operands::Any(Kind::Name),
        check: Some(rpm),
        allowed: examples![
            "rpm -qa",
            "rpm -qi bash",
            "rpm -qf /usr/bin/ls",
            "rpm -ql nginx",
            "rpm -q --changelog nginx",
            "rpm -qa --last",
            r"rpm -q --qf '%{NAME}-%{VERSION}\n' bash",
            "rpm -V nginx",
            "rpm --version",
        ],
        asks: examples![
            "rpm -i x.rpm",
            "rpm -e x",
            "rpm --eval '%(id)'",
            "rpm -qa --pipe id",
            "rpm -qp http://x/y.rpm",
            "rpm -Uvh x.rpm",
            "rpm -a",
            "rpm -qa --define 'x %(id)'",
            "rpm --rebuilddb",
            "rpm -iq x.rpm",
            "rpm -qa --dbpath /x",
            "rpm -ivh x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["apt-cache"],
        does: "shows available packages",
        flags: "anfq",
        long: "\
            --names-only --full --all-versions --installed --recurse --no-all-versions --version",
        refused: &[
            refused("-c", "config", CONFIG),
            refused("--config-file", "config", CONFIG),
            refused("-o", "config", CONFIG),
            refused("--option", "config", CONFIG),
        ],
        operands: Operands::Phrases(&[
            "policy ...",
            "show|showpkg|showsrc|search|depends|rdepends|madison * ...",
            "stats|pkgnames|unmet ...",
        ]),
        allowed: examples![
            "apt-cache policy nginx",
            "apt-cache policy",
            "apt-cache search nginx",
            "apt-cache rdepends --installed libc6",
        ],
        asks: examples![
            "apt-cache gencaches",
            "apt-cache -o APT::x=y show a",
            "apt-cache -c x show a",
            "apt-cache dump",
        ],
        ..Command::BARE
    },
    Command {
        names: &["apt"],
        does: "shows packages",
        flags: "aq",
        long: "\
            --installed --upgradable --upgradeable --manual-installed --all-versions \
            --names-only --full --version",
        refused: &[
            refused("-c", "config", CONFIG),
            refused("-o", "config", CONFIG),
        ],
        operands: Operands::Phrases(&["", "list|policy ...", "show|search|depends|rdepends * ..."]),
        allowed: examples![
            "apt list --installed",
            "apt list --upgradable",
            "apt show nginx",
            "apt policy nginx",
        ],
        asks: examples![
            "apt install x",
            "apt update",
            "apt upgrade",
            "apt -o x=y list",
            "apt changelog x",
            "apt remove x",
            "apt list -o=x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["apt-mark"],
        does: "shows marks of packages",
        operands: Operands::Phrases(&["showhold|showmanual|showauto ..."]),
        allowed: examples!["apt-mark showhold"],
        asks: examples!["apt-mark hold x", "apt-mark"],
        ..Command::BARE
    },
    Command {
        names: &["apk"],
        does: "shows packages",
        flags: "vadLIWeq",
        long: "--installed --verbose --all --contents --who-owns --description --version",
        refused: &[
            refused("-p", "root", OTHER_ROOT),
            refused("--root", "root", OTHER_ROOT),
            refused("-X", "network", "asks another repository"),
            refused("-U", "network", "fetches the index"),
        ],
        operands: Operands::Phrases(&["info|list|policy ...", "stats", "version"]),
        allowed: examples![
            "apk info",
            "apk info -vv",
            "apk list --installed",
            "apk policy nginx",
            "apk info -L nginx",
        ],
        asks: examples![
            "apk add x",
            "apk del x",
            "apk update",
            "apk -X http://x info",
            "apk fix",
            "apk info --root /x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["dnf", "yum"],
        does: "shows packages",
        flags: "qvC",
        long: "--cacheonly --quiet --installed --available --all --version --showduplicates",
        refused: &[
            refused("-c", "config", CONFIG),
            refused("--config", "config", CONFIG),
            refused("--setopt", "config", CONFIG),
            refused("--installroot", "root", OTHER_ROOT),
            refused("-y", "confirm", "confirms what it asks"),
        ],
        operands: Operands::Phrases(&[
            "",
            "list ...",
            "info|provides|whatprovides|search * ...",
            "repolist",
            "repolist all|enabled|disabled",
            "history",
            "history list|info ...",
        ]),
        allowed: examples![
            "yum list installed",
            "dnf info nginx",
            "dnf repolist",
            "dnf history",
            "dnf -q list --installed",
            "yum history info 3",
        ],
        asks: examples![
            "yum install x",
            "dnf -y update",
            "dnf history undo 3",
            "dnf --installroot=/x list",
            "dnf clean all",
            "yum -c x list",
            "dnf makecache",
        ],
        ..Command::BARE
    },
    Command {
        names: &["pacman"],
        does: "shows installed packages",
        style: Style::Custom(|words| {
            let query = words.first().and_then(|word| word.text.strip_prefix("-Q"));
            let known =
                query.is_some_and(|letters| letters.chars().all(|c| "ilqseomdtnkcg".contains(c)));
            let names = words
                .iter()
                .skip(1)
                .all(|word| word.is_literal() && is_name(&word.text));
            if known && names {
                Ok(Vec::new())
            } else {
                Err(Refusal::new(
                    "form",
                    "only `pacman -Q` is known to only look",
                ))
            }
        }),
        allowed: examples![
            "pacman -Q",
            "pacman -Qi bash",
            "pacman -Qo /usr/bin/ls",
            "pacman -Qdt",
        ],
        asks: examples![
            "pacman -S x",
            "pacman -Syu",
            "pacman -R x",
            "pacman -Q --root /x",
            "pacman -Qu --config x",
            "pacman",
        ],
        ..Command::BARE
    },
    Command {
        names: &["snap", "flatpak"],
        does: "shows installed packages",
        long: "--all --version",
        operands: Operands::Phrases(&[
            "list ...",
            "version",
            "services ...",
            "connections|changes",
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
        flags: "qvV",
        long: "--user --local --version --disable-pip-version-check",
        values: &[("--format", Kind::OneOf(&["columns", "freeze", "json"]))],
        refused: &[
            refused("-o", "network", "asks the index"),
            refused("--outdated", "network", "asks the index"),
            refused("--python", "exec", "runs another interpreter"),
        ],
        operands: Operands::Phrases(&["", "list|freeze", "show * ..."]),
        allowed: examples![
            "pip list",
            "pip3 show requests",
            "pip freeze",
            "pip3 list --format=json",
        ],
        asks: examples![
            "pip install x",
            "pip list --outdated",
            "pip --python=/x list",
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
        names: &["update-alternatives"],
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
        names: &["lsb_release"],
        does: "describes the system",
        flags: "aidrcs",
        long: "--all --id --description --release --codename --short --version",
        allowed: examples!["lsb_release -a", "lsb_release -ds"],
        asks: examples!["lsb_release x"],
        ..Command::BARE
    },
];

/// A letter means something else unless the query comes first: `-i` installs.
fn rpm(parsed: &Parsed<'_>) -> Option<Refusal> {
    let queries = parsed.options.first().is_some_and(|(name, _)| {
        ["-q", "--query", "-V", "--verify", "--version"]
            .iter()
            .any(|option| name.is(option))
    });
    let location = parsed.operands.iter().any(|word| word.text.contains("://"));
    (!queries || location).then(|| {
        Refusal::new(
            "form",
            "only a query of installed packages, `-q` first, is known to only look",
        )
    })
}

/// An output format without anything that could be evaluated.
fn is_format(text: &str) -> bool {
    !text.contains("%(") && !text.contains("%{lua") && !text.contains("%!")
}
