//! Commands that look at names, sizes and metadata of files.
//!
//! Invariant: none of these shows content, so their operands are judged as names
//! only. Following a link is the business of `paths`.

use super::spec::{Command, Kind, Operands, Style, examples, refused};

const SIZES: Kind = Kind::Number;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ls", "dir", "vdir"],
        does: "lists names and metadata",
        flags: "aAbBcCdDfFgGhHiklLmnNopqQrRsStuUvxXZ1",
        long: "\
            --all --almost-all --author --escape --ignore-backups --directory --dired --classify \
            --file-type --full-time --group-directories-first --no-group --human-readable --si \
            --dereference-command-line --inode --kibibytes --dereference --numeric-uid-gid \
            --literal --hide-control-chars --show-control-chars --quote-name --reverse \
            --recursive --size --context --zero --help --version",
        values: &[
            ("-I", Kind::Text),
            ("--ignore", Kind::Text),
            ("--hide", Kind::Text),
            ("-w", Kind::Number),
            ("--width", Kind::Number),
            ("-T", Kind::Number),
            ("--tabsize", Kind::Number),
            ("--block-size", Kind::Text),
            ("--format", Kind::Name),
            ("--indicator-style", Kind::Name),
            ("--quoting-style", Kind::Name),
            ("--sort", Kind::Name),
            ("--time", Kind::Name),
            ("--time-style", Kind::Text),
        ],
        optional: &[
            ("--color", Kind::Name),
            ("--hyperlink", Kind::Name),
            ("--classify", Kind::Name),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "ls",
            "ls -la /srv",
            "ls -lhtr --time-style=long-iso /var/log",
            "ls -1 --color=never",
            "ls -ld -- /etc",
            "ls -lR /etc/nginx",
            "ls /etc/*.conf",
            "ls --sort=size -l /var",
            "ls -la /root/.ssh",
        ],
        asks: examples!["ls --unknown", "ls --col", "ls $HOME", "ls -la > x"],
        ..Command::BARE
    },
    Command {
        names: &["stat"],
        does: "shows metadata of files",
        flags: "LftxlnqrsF",
        long: "--dereference --file-system --terse --help --version",
        // In BSD `-t` and `-f` take a format; the format then stands where GNU has
        // a path, and neither does any harm.
        values: &[
            ("-c", Kind::Text),
            ("--format", Kind::Text),
            ("--printf", Kind::Text),
            ("--cached", Kind::OneOf(&["always", "never", "default"])),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "stat /srv/app",
            "stat -c '%U:%G %a' /etc/shadow",
            "stat -Lf /",
            "stat --format=%s a b",
        ],
        asks: examples!["stat --frobnicate /x", "stat /proc/1/root/etc"],
        ..Command::BARE
    },
    Command {
        names: &["tree"],
        does: "lists names as a tree",
        flags: "adflxhpugsDiFqNQrctUvnCJXAS",
        long: "\
            --dirsfirst --filesfirst --noreport --inodes --device --si --du --prune --version \
            --help --gitignore --matchdirs --ignore-case",
        values: &[
            ("-L", Kind::Number),
            ("-P", Kind::Text),
            ("-I", Kind::Text),
            ("--filelimit", Kind::Number),
            ("--charset", Kind::Name),
            ("--timefmt", Kind::Text),
            ("--sort", Kind::Name),
        ],
        refused: &[
            refused("-o", "output", "writes the listing into a file"),
            refused(
                "-R",
                "output",
                "writes a page into every directory when HTML is on",
            ),
            refused(
                "--fromfile",
                "content",
                "reads names from a file and shows them",
            ),
            refused(
                "--fromtabfile",
                "content",
                "reads names from a file and shows them",
            ),
            refused("--gitfile", "content", "reads patterns from a file"),
            refused("--infofile", "content", "shows the content of a file"),
            refused("--info", "content", "shows the content of .info files"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "tree -L 2 /srv",
            "tree -a -I '.git|node_modules' /srv/app",
            "tree -fihD --du",
        ],
        asks: examples![
            "tree -o x",
            "tree -ao x",
            "tree -R -H . /",
            "tree --fromfile /etc/shadow",
            "tree --outp x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["du"],
        does: "adds up sizes",
        flags: "0abcDhHklLmPsSxA",
        long: "\
            --null --all --apparent-size --bytes --total --dereference-args --human-readable \
            --inodes --dereference --count-links --no-dereference --separate-dirs --si \
            --summarize --one-file-system --help --version",
        values: &[
            ("-d", Kind::Number),
            ("--max-depth", Kind::Number),
            ("-B", Kind::Name),
            ("--block-size", Kind::Name),
            ("-t", SIZES),
            ("--threshold", SIZES),
            ("--exclude", Kind::Text),
            ("--time-style", Kind::Text),
        ],
        optional: &[("--time", Kind::Name)],
        refused: &[
            refused(
                "--files0-from",
                "content",
                "shows the content of a file as missing names",
            ),
            refused("-X", "content", "reads patterns from a file"),
            refused("--exclude-from", "content", "reads patterns from a file"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "du -sh /srv",
            "du -xh --max-depth=1 /var",
            "du -ad1 -t 1G /",
            "du -sh /var/log/*",
            "du -csh ./a ./b",
            "du -sBM /srv",
        ],
        asks: examples![
            "du --files0-from=/etc/shadow",
            "du -X /etc/shadow",
            "du --files=x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["df"],
        does: "shows free space",
        flags: "ahHiklmPTn",
        long: "\
            --all --human-readable --si --inodes --local --no-sync --portability --print-type \
            --total --help --version",
        values: &[
            ("-B", Kind::Name),
            ("--block-size", Kind::Name),
            ("-t", Kind::Name),
            ("--type", Kind::Name),
            ("-x", Kind::Name),
            ("--exclude-type", Kind::Name),
        ],
        optional: &[("--output", Kind::Name)],
        refused: &[refused("--sync", "sync", "writes all caches to disk first")],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "df",
            "df -hP",
            "df -h /srv",
            "df -hT -x tmpfs -x devtmpfs",
            "df -i --output=target,ipcent",
            "df -BG /",
        ],
        asks: examples!["df --sync", "df --unknown"],
        ..Command::BARE
    },
    Command {
        names: &["readlink"],
        does: "shows where a link points",
        flags: "femnqsvz",
        long: "\
            --canonicalize --canonicalize-existing --canonicalize-missing --no-newline --quiet \
            --silent --verbose --zero --help --version",
        operands: Operands::Any(Kind::Names),
        allowed: examples!["readlink -f /usr/bin/java", "readlink /proc/1/exe"],
        asks: examples!["readlink -x /a"],
        ..Command::BARE
    },
    Command {
        names: &["realpath"],
        does: "shows the full name of a path",
        flags: "emLPqsz",
        long: "\
            --canonicalize-existing --canonicalize-missing --logical --physical --quiet --strip \
            --no-symlinks --zero --help --version",
        values: &[
            ("--relative-to", Kind::Names),
            ("--relative-base", Kind::Names),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "realpath .",
            "realpath -s /srv/../etc",
            "realpath --relative-to=/srv /srv/a",
        ],
        asks: examples!["realpath --rel=/x /y"],
        ..Command::BARE
    },
    Command {
        names: &["basename", "dirname", "pathchk"],
        does: "takes a path apart",
        flags: "azpP",
        long: "--multiple --zero --help --version",
        values: &[("-s", Kind::Text), ("--suffix", Kind::Text)],
        operands: Operands::Any(Kind::Names),
        allowed: examples!["basename /srv/a.txt .txt", "dirname /srv/a"],
        asks: examples!["basename --frob x"],
        ..Command::BARE
    },
    Command {
        names: &["namei"],
        does: "shows every step of a path",
        flags: "xmovlnZ",
        long: "--mountpoints --modes --owners --long --nosymlinks --vertical --help --version",
        operands: Operands::Any(Kind::Names),
        allowed: examples!["namei -l /srv/app/current"],
        asks: examples!["namei -q /x"],
        ..Command::BARE
    },
    Command {
        names: &["getfacl"],
        does: "shows access control lists",
        flags: "acdeEsRLPtpn",
        long: "--access --default --omit-header --recursive --absolute-names --numeric --tabular",
        operands: Operands::Any(Kind::Names),
        allowed: examples!["getfacl /srv/app", "getfacl -R -p /srv"],
        asks: examples!["getfacl --restore=x"],
        ..Command::BARE
    },
    Command {
        names: &["lsattr", "getcap"],
        does: "shows attributes of files",
        flags: "adRVlpvrn",
        operands: Operands::Any(Kind::Names),
        allowed: examples!["lsattr -d /etc", "getcap -r /usr/bin"],
        asks: examples!["lsattr --x", "getcap -h"],
        ..Command::BARE
    },
    Command {
        names: &["file"],
        does: "guesses the kind of files",
        flags: "bhiILNkrv0d",
        long: "\
            --brief --no-dereference --dereference --mime --mime-type --mime-encoding \
            --keep-going --no-pad --raw --print0 --version --extension --apple",
        values: &[
            ("-F", Kind::Text),
            ("--separator", Kind::Text),
            ("-e", Kind::Name),
            ("--exclude", Kind::Name),
        ],
        refused: &[
            refused("-p", "times", "sets the times of the files it looked at"),
            refused(
                "--preserve-date",
                "times",
                "sets the times of the files it looked at",
            ),
            refused("-C", "output", "writes a compiled magic file"),
            refused("--compile", "output", "writes a compiled magic file"),
            refused("-m", "magic", "reads another magic file"),
            refused("-f", "content", "shows the lines of a file as names"),
            refused("-s", "device", "reads from devices"),
            refused("-z", "decompress", "runs decompressors"),
            refused("-S", "sandbox", "switches off the sandbox"),
        ],
        operands: Operands::Any(Kind::Sniff),
        allowed: examples![
            "file /usr/bin/ls",
            "file -bi /srv/a.tar",
            "file --mime-type ./x",
            "file /srv/*",
        ],
        asks: examples![
            "file -C -m /srv/magic",
            "file -f /etc/shadow",
            "file -s /dev/sda",
            "file -bz x.gz",
            "file -p x",
            "file -bp x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["find"],
        does: "lists files by name and metadata",
        style: Style::Custom(super::find::find),
        allowed: examples![
            "find /srv -type f -mmin -5",
            "find . -maxdepth 2 -name '*.log' -size +100M",
            "find",
            "find /srv /var -ls",
            "find /srv ! -user root",
            r"find /srv \( -name a -o -name b \) -print0",
            "find -L /srv -newermt '2 days ago'",
            r"find /srv -printf '%s %p\n'",
            "find / -xdev -perm -4000 -type f",
            "find /srv -name '*.tmp' -prune -o -print",
            "find -P -O2 /srv -empty",
        ],
        asks: examples![
            "find . -exec rm {} +",
            "find . -ex\\ec rm '{}' +",
            "find . -delete",
            "find . -ok rm ';'",
            "find . -fprint x",
            "find . -fls x",
            "find . -fprintf x y",
            "find . -fprint0 x",
            "find . -execdir id ';'",
            "find . -okdir id ';'",
            "find -files0-from /etc/shadow",
            "find . -frobnicate",
            "find . -name",
            "find . -name x y",
            "find -D all .",
            "find . -nam x",
            "find . -name *",
        ],
        ..Command::BARE
    },
    Command {
        names: &["which", "whereis"],
        does: "looks for a program",
        flags: "asbmu",
        long: "--all --skip-dot --skip-tilde --show-dot --show-tilde --help --version",
        refused: &[
            refused("-B", "path", "searches other directories"),
            refused("-f", "path", "ends a list of directories"),
            refused("-i", "stdin", "reads aliases"),
        ],
        operands: Operands::Any(Kind::Name),
        allowed: examples!["which java", "which -a python3 python", "whereis -b nginx"],
        asks: examples!["which --read-alias x", "whereis -B /x -f y"],
        ..Command::BARE
    },
    Command {
        names: &["pwd"],
        does: "shows the working directory",
        flags: "LP",
        long: "--logical --physical",
        allowed: examples!["pwd", "pwd -P"],
        asks: examples!["pwd x"],
        ..Command::BARE
    },
    Command {
        names: &["locate", "mlocate", "plocate"],
        does: "looks names up in a list made earlier",
        flags: "AbceiPpqw0LHS",
        long: "\
            --all --basename --count --existing --ignore-case --null --quiet --statistics \
            --wholename --version --help",
        values: &[
            ("-l", Kind::Number),
            ("-n", Kind::Number),
            ("--limit", Kind::Number),
            ("-r", Kind::Text),
            ("--regexp", Kind::Text),
        ],
        refused: &[
            refused("-d", "content", "reads another list of names"),
            refused("--database", "content", "reads another list of names"),
        ],
        operands: Operands::Any(Kind::Text),
        allowed: examples![
            "locate nginx.conf",
            "locate -c -i readme",
            "plocate -l 10 '*.conf'",
        ],
        asks: examples!["locate -d /etc/shadow x", "locate --database=x y"],
        ..Command::BARE
    },
];
