//! Commands that show what is installed.
//!
//! Package tools take configuration by option, and configuration can name programs
//! to run; no such option is known here. Invariant: nothing is fetched, installed
//! or evaluated. Other kinds of software have their tables in `software`.

use super::spec::{Command, Kind, Operands, Refusal, Style, examples, is_name, refused};

const CONFIG: &str = "replaces the configuration, which can name programs to run";
const OTHER_ROOT: &str = "looks into another tree";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["dpkg", "dpkg-query"],
        does: "shows installed packages",
        flags: "lsLSpWVCIc",
        long: "\
            --info --contents --compare-versions --list --status --listfiles --search --print-avail --show --verify --audit \
            --get-selections --field --control-list --control-path --print-architecture --print-foreign-architectures --no-pager \
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
            "dpkg -I /srv/a.deb",
            "dpkg -c /srv/a.deb",
            "dpkg --compare-versions 1.2 lt 1.10",
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
        flags: "aqv",
        long: "\
            --installed --upgradable --upgradeable --manual-installed --all-versions \
            --names-only --full --version",
        refused: &[
            refused("-c", "config", CONFIG),
            refused("-o", "config", CONFIG),
        ],
        operands: Operands::Phrases(&[
            "",
            "list|policy ...",
            "show|showsrc|search|depends|rdepends * ...",
        ]),
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
        flags: "vadLIWequxosrRPwti",
        values: &[("-l", Kind::Name), ("--limit", Kind::Name)],
        long: "--upgradable --upgradeable --available --exact --installed --verbose --all --contents --who-owns --description --size --depends --rdepends --provides --webpage --triggers \
            --install-if --rinstall-if --license --replaces --origin --manifest --version",
        refused: &[
            refused("-p", "root", OTHER_ROOT),
            refused("--root", "root", OTHER_ROOT),
            refused("-X", "network", "asks another repository"),
            refused("-U", "network", "fetches the index"),
        ],
        operands: Operands::Phrases(&[
            "",
            "info|list|policy|search|dot|version ...",
            "stats|audit",
        ]),
        allowed: examples![
            "apk info",
            "apk info -vv",
            "apk list --installed",
            "apk policy nginx",
            "apk search -v nginx",
            "apk list --upgradable",
            "apk --version",
            "apk info -L nginx",
            "apk info -R nginx",
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
        flags: "qvCli",
        long: "\
            --cacheonly --quiet --installed --available --all --version --showduplicates \
            --upgrades --updates --extras --obsoletes --recent --enabled --disabled --list --info \
            --requires --provides --depends --whatprovides --whatrequires --security --deplist \
            --conflicts --suggests --recommends --supplements --enhances --files --changelogs \
            --userinstalled --duplicates --leaves --unneeded --summary --bugfix --advisories \
            --srpm --hidden --noplugins",
        values: &[
            ("--qf", Kind::Is(is_format)),
            ("--queryformat", Kind::Is(is_format)),
            ("--arch", Kind::Name),
            ("--latest-limit", Kind::Number),
        ],
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
            "info|provides|whatprovides|search|deplist|changelog % ...",
            "check-update|repoinfo|updateinfo|repoquery ...",
            "group|groups|module|environment|advisory|repo list|info|summary",
            "group|groups|module|environment|advisory|repo list|info %",
            "groupinfo %",
            "grouplist|check|version",
            "repolist",
            "repolist all|enabled|disabled",
            "history",
            "history list|info|summary ...",
        ]),
        allowed: examples![
            "yum list installed",
            "dnf info nginx",
            "dnf repolist",
            "dnf history",
            "dnf -q list --installed",
            "yum history info 3",
            "dnf check-update",
            "dnf repoquery --requires nginx",
            "yum group list",
            "dnf group info 'Development Tools'",
            "dnf repoquery -l nginx",
            "dnf updateinfo list security",
        ],
        asks: examples![
            "yum install x",
            "dnf -y update",
            "dnf history undo 3",
            "dnf --installroot=/x list",
            "dnf clean all",
            "yum -c x list",
            "dnf makecache",
            "dnf repoquery --repofrompath=x,http://x y",
            "dnf group install x",
            "dnf module enable x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["pacman"],
        does: "shows installed packages",
        style: Style::Custom(|words| {
            let query = words.first().and_then(|word| word.text.strip_prefix("-Q"));
            let known =
                query.is_some_and(|letters| letters.chars().all(|c| "ilqseomdtnkcgu".contains(c)));
            // These look into the lists of the mirrors as they were last fetched.
            let search = words.first().is_some_and(|word| {
                ["-Ss", "-Si", "-Sii", "-Sl", "-Sg", "-Ssq", "-V"].contains(&word.text.as_str())
            });
            let names = words
                .iter()
                .skip(1)
                .all(|word| word.is_literal() && is_name(&word.text));
            if (known || search) && names {
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
            "pacman -Qu",
            "pacman -Ss nginx",
        ],
        asks: examples![
            "pacman -S x",
            "pacman -Syu",
            "pacman -Sy",
            "pacman -Ssy x",
            "pacman -R x",
            "pacman -Q --root /x",
            "pacman -Qu --config x",
            "pacman",
        ],
        ..Command::BARE
    },
    Command {
        names: &["dpkg-deb"],
        does: "describes a package file",
        flags: "Icf",
        long: "--info --contents --field --version",
        operands: Operands::Any(Kind::Names),
        refused: &[
            refused("-x", "unpack", "unpacks the package"),
            refused("-e", "unpack", "unpacks the package"),
            refused("-R", "unpack", "unpacks the package"),
            refused("-b", "build", "writes a package"),
        ],
        check: Some(|parsed| {
            parsed
                .options
                .is_empty()
                .then(|| Refusal::new("form", "it names nothing to show"))
        }),
        allowed: examples!["dpkg-deb -I /srv/a.deb", "dpkg-deb -c /srv/a.deb"],
        asks: examples![
            "dpkg-deb -x a.deb /srv",
            "dpkg-deb -b x",
            "dpkg-deb --fsys-tarfile a.deb"
        ],
        ..Command::BARE
    },
    Command {
        names: &["debsums"],
        does: "compares installed files with their packages",
        flags: "aceslx",
        long: "--all --changed --config --silent --list-missing --version",
        operands: Operands::Any(Kind::Name),
        refused: &[
            refused("-g", "output", "writes files"),
            refused("-r", "root", OTHER_ROOT),
        ],
        allowed: examples!["debsums -c", "debsums nginx"],
        asks: examples![
            "debsums -g nginx",
            "debsums --generate=missing",
            "debsums -r /x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["zypper"],
        does: "shows packages",
        flags: "isudtv",
        long: "--installed-only --details --no-refresh --version",
        operands: Operands::Phrases(&[
            "",
            "search|se|info|if|what-provides|wp * ...",
            "repos|lr|list-updates|lu|list-patches|lp|packages|pa|patches|products|pd|services|ls ...",
        ]),
        refused: &[
            refused("--root", "root", OTHER_ROOT),
            refused("-c", "config", CONFIG),
        ],
        allowed: examples![
            "zypper se nginx",
            "zypper lr -d",
            "zypper lu",
            "zypper info nginx"
        ],
        asks: examples![
            "zypper in x",
            "zypper rm x",
            "zypper ref",
            "zypper --root /x se y",
            "zypper up"
        ],
        ..Command::BARE
    },
];

/// An output format of plain text and `%{TAG}`; other forms are evaluated.
pub(super) fn is_format(text: &str) -> bool {
    !text.contains("%(")
        && !text.contains("%!")
        && !text.contains("%[")
        && !text.contains("${lua")
        && !text.contains("%{lua")
        && !text.contains("%{expand")
        && !text.contains("%{shell")
}
