//! Commands that print or digest the content of files.
//!
//! Their file operands are judged as content. Options that name an output file,
//! a program to run or a list of further files are left out.

use super::super::types::shown;
use super::spec::{Command, Kind, Operands, Parsed, Refusal, Style, refused};

const READ: Operands = Operands::Any(Kind::Read);
const LIST: super::spec::Refused = refused(
    "--files0-from",
    "content",
    "reads the names of more files from a file",
);

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["cat"],
        does: "prints files",
        flags: "AbeEnstTuv",
        long: &[
            "--show-all",
            "--number-nonblank",
            "--show-ends",
            "--number",
            "--squeeze-blank",
            "--show-tabs",
            "--show-nonprinting",
            "--help",
            "--version",
        ],
        refused: &[refused("-l", "lock", "locks its output in some versions")],
        operands: READ,
        allowed: &[
            "cat /etc/debian_version",
            "cat -n /etc/nginx/nginx.conf",
            "cat /proc/cpuinfo /proc/meminfo",
            "cat",
            "cat -- -x",
            "cat ~/notes.md",
            "cat /var/log/*.log",
            "cat /root/.ssh/known_hosts",
            "cat /srv/app/.env.example",
            "cat 'a b'",
        ],
        asks: &[
            "cat /etc/shadow",
            "cat /etc/ssl/../shadow",
            "cat /etc/sh?dow",
            "cat /etc/*",
            "cat /srv/.env",
            "cat -l x",
            "cat /root/.ssh/id_rsa",
            "cat /proc/1/environ",
            "cat /dev/sda",
            "cat ~/.ssh/*",
            "cat .env",
            "cat /proc/*/environ",
            "cat /proc/1/root/etc/shadow",
            "cat ../../etc/shadow",
            "cat ~root/x",
            "cat /home/*/.bash_history",
            "cat /ETC/Shadow",
        ],
        ..Command::BARE
    },
    Command {
        names: &["head"],
        does: "prints the start of files",
        flags: "qvz",
        long: &[
            "--quiet",
            "--silent",
            "--verbose",
            "--zero-terminated",
            "--help",
            "--version",
        ],
        values: &[
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-c", Kind::Number),
            ("--bytes", Kind::Number),
        ],
        number: true,
        operands: READ,
        allowed: &[
            "head -20 /srv/a",
            "head -n -5 /srv/a /srv/b",
            "head -c 1k /srv/a",
            "head --lines=3 /etc/passwd",
        ],
        asks: &[
            "head -c 64 /dev/nvme0n1p1",
            "head -20x /srv/a",
            "head /etc/gshadow",
        ],
        ..Command::BARE
    },
    Command {
        names: &["tail"],
        does: "prints the end of files",
        flags: "qvzr",
        long: &[
            "--quiet",
            "--silent",
            "--verbose",
            "--zero-terminated",
            "--help",
            "--version",
        ],
        values: &[
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-c", Kind::Number),
            ("--bytes", Kind::Number),
        ],
        number: true,
        // An agent that follows a file waits for the time-out and learns no more.
        refused: &[
            refused("-f", "endless", "follows the file and never ends"),
            refused("-F", "endless", "follows the file and never ends"),
            refused("--follow", "endless", "follows the file and never ends"),
            refused("--retry", "endless", "waits for the file"),
        ],
        operands: READ,
        allowed: &[
            "tail -n 40 /var/log/cron.log",
            "tail -50 /var/log/syslog",
            "tail -n +5 /srv/a",
            "tail -c 100 /srv/a",
        ],
        asks: &[
            "tail -f /var/log/syslog",
            "tail -F x",
            "tail -20f x",
            "tail --follow=name x",
            "tail /root/.ssh/id_dsa",
        ],
        ..Command::BARE
    },
    Command {
        names: &["wc"],
        does: "counts lines, words and bytes",
        flags: "lwcmL",
        long: &[
            "--lines",
            "--words",
            "--bytes",
            "--chars",
            "--max-line-length",
            "--help",
            "--version",
        ],
        values: &[("--total", Kind::Name)],
        refused: &[LIST],
        operands: READ,
        allowed: &["wc -l /srv/a", "wc -lw /var/log/*.log"],
        asks: &["wc --files0-from=/etc/shadow", "wc /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["sort"],
        does: "sorts lines",
        flags: "bcCdfghiMmnrRsuVz",
        long: &[
            "--ignore-leading-blanks",
            "--dictionary-order",
            "--ignore-case",
            "--general-numeric-sort",
            "--human-numeric-sort",
            "--ignore-nonprinting",
            "--month-sort",
            "--numeric-sort",
            "--random-sort",
            "--reverse",
            "--version-sort",
            "--merge",
            "--stable",
            "--unique",
            "--zero-terminated",
            "--debug",
            "--help",
            "--version",
        ],
        values: &[
            ("-k", Kind::Text),
            ("--key", Kind::Text),
            ("-t", Kind::Text),
            ("--field-separator", Kind::Text),
            ("--parallel", Kind::Number),
            ("--sort", Kind::Name),
        ],
        optional: &[("--check", Kind::Name)],
        refused: &[
            refused("-o", "output", "writes the result into a file"),
            refused("--output", "output", "writes the result into a file"),
            refused("--compress-program", "exec", "runs a program"),
            refused("-T", "temporary", "writes temporary files there"),
            refused(
                "--temporary-directory",
                "temporary",
                "writes temporary files there",
            ),
            refused("--random-source", "content", "reads another file"),
            LIST,
        ],
        operands: READ,
        allowed: &[
            "sort -n /srv/ids.txt",
            "sort -t: -k3,3n /etc/passwd",
            "sort -rnk2 -u /srv/a",
            "sort --key=2 /srv/a",
            "sort",
        ],
        asks: &[
            "sort -o x x",
            "sort -uox x",
            "sort --compress-prog=x y",
            "sort --compress-program x y",
            "sort -T /srv x",
            "sort --outp=x y",
            "sort --files0-from=x",
            "sort x -o y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["uniq"],
        does: "drops or counts repeated lines",
        // A second operand is the output file, and `uniq a -c` has two in BSD.
        style: Style::OptionsFirst,
        flags: "cdDiuz",
        long: &[
            "--count",
            "--repeated",
            "--ignore-case",
            "--unique",
            "--zero-terminated",
            "--help",
            "--version",
        ],
        values: &[
            ("-f", Kind::Number),
            ("--skip-fields", Kind::Number),
            ("-s", Kind::Number),
            ("--skip-chars", Kind::Number),
            ("-w", Kind::Number),
            ("--check-chars", Kind::Number),
        ],
        optional: &[("--all-repeated", Kind::Name), ("--group", Kind::Name)],
        operands: Operands::UpTo(1, Kind::Read),
        allowed: &["uniq -c /srv/a", "uniq", "uniq -cd -f 2 /srv/a"],
        asks: &[
            "uniq /srv/a /srv/b",
            "uniq /srv/a -c",
            "uniq - /srv/b",
            "uniq -c /srv/*",
        ],
        ..Command::BARE
    },
    Command {
        names: &["cut"],
        does: "prints columns",
        flags: "nsz",
        long: &[
            "--complement",
            "--only-delimited",
            "--zero-terminated",
            "--help",
            "--version",
        ],
        values: &[
            ("-b", Kind::Number),
            ("-c", Kind::Number),
            ("-f", Kind::Number),
            ("-d", Kind::Text),
            ("--bytes", Kind::Number),
            ("--characters", Kind::Number),
            ("--fields", Kind::Number),
            ("--delimiter", Kind::Text),
            ("--output-delimiter", Kind::Text),
        ],
        operands: READ,
        allowed: &[
            "cut -d: -f1 /etc/passwd",
            "cut -c1-80 /srv/a",
            "cut -d ' ' -f 2- /srv/a",
            "cut -f -3 x",
        ],
        asks: &["cut -d: -f2 /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["tr"],
        does: "replaces characters of its input",
        flags: "cCdst",
        long: &[
            "--complement",
            "--delete",
            "--squeeze-repeats",
            "--truncate-set1",
            "--help",
            "--version",
        ],
        operands: Operands::UpTo(2, Kind::Text),
        allowed: &["tr a-z A-Z", r"tr -d '\r'", "tr -s ' '"],
        asks: &["tr a b c"],
        ..Command::BARE
    },
    Command {
        names: &["nl", "tac", "rev", "fold", "fmt", "expand", "unexpand"],
        does: "prints lines in another form",
        flags: "abcdeprsutziU",
        long: &[
            "--before",
            "--bytes",
            "--spaces",
            "--initial",
            "--all",
            "--first-only",
            "--help",
            "--version",
        ],
        values: &[
            ("-w", Kind::Number),
            ("--width", Kind::Number),
            ("--tabs", Kind::Number),
            ("--goal", Kind::Number),
            ("--separator", Kind::Text),
            ("-v", Kind::Number),
            ("--body-numbering", Kind::Name),
        ],
        optional: &[("-b", Kind::Name), ("-n", Kind::Name), ("-t", Kind::Number)],
        number: true,
        operands: READ,
        allowed: &[
            "nl -ba /srv/a",
            "tac /var/log/syslog",
            "fold -sw 80 /srv/a",
            "expand -t4 /srv/a",
            "rev /srv/a",
        ],
        asks: &["tac /etc/shadow", "nl --output=x y"],
        ..Command::BARE
    },
    Command {
        names: &["column"],
        does: "prints lines in columns",
        flags: "tnexJLRr",
        long: &[
            "--table",
            "--json",
            "--keep-empty-lines",
            "--fillrows",
            "--help",
            "--version",
        ],
        values: &[
            ("-s", Kind::Text),
            ("--separator", Kind::Text),
            ("-o", Kind::Text),
            ("--output-separator", Kind::Text),
            ("-c", Kind::Number),
            ("--output-width", Kind::Number),
            ("-N", Kind::Name),
            ("--table-columns", Kind::Name),
        ],
        operands: READ,
        allowed: &[
            "column -t -s: /etc/passwd",
            "column -ts , /srv/a.csv",
            "column -t",
        ],
        asks: &["column -s: /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["comm", "join", "paste"],
        does: "combines lines of files",
        flags: "123izs",
        long: &[
            "--check-order",
            "--nocheck-order",
            "--total",
            "--header",
            "--zero-terminated",
            "--ignore-case",
            "--serial",
        ],
        values: &[
            ("-t", Kind::Text),
            ("-d", Kind::Text),
            ("--delimiters", Kind::Text),
            ("-j", Kind::Number),
            ("-a", Kind::Number),
            ("-v", Kind::Number),
            ("-e", Kind::Text),
            ("--output-delimiter", Kind::Text),
        ],
        operands: READ,
        allowed: &[
            "comm -12 /srv/a /srv/b",
            "join -t: -j 1 /srv/a /srv/b",
            "paste -sd, /srv/a",
            "paste -d ' ' a b",
        ],
        asks: &["comm /etc/shadow /srv/b", "join -o 1.1 -x a b"],
        ..Command::BARE
    },
    Command {
        names: &["diff"],
        does: "compares files",
        flags: "abBcdeEfiNnpqrstTuwyZ",
        long: &[
            "--brief",
            "--report-identical-files",
            "--unified",
            "--context",
            "--side-by-side",
            "--recursive",
            "--new-file",
            "--ignore-case",
            "--ignore-all-space",
            "--ignore-space-change",
            "--ignore-blank-lines",
            "--text",
            "--minimal",
            "--strip-trailing-cr",
            "--suppress-common-lines",
            "--normal",
            "--left-column",
            "--help",
            "--version",
        ],
        values: &[
            ("-U", Kind::Number),
            ("-C", Kind::Number),
            ("-W", Kind::Number),
            ("--width", Kind::Number),
            ("-x", Kind::Text),
            ("--exclude", Kind::Text),
            ("-I", Kind::Text),
            ("--label", Kind::Text),
        ],
        optional: &[
            ("--color", Kind::Name),
            ("--unified", Kind::Number),
            ("--context", Kind::Number),
        ],
        refused: &[
            refused("-l", "pager", "runs `pr`"),
            refused("--paginate", "pager", "runs `pr`"),
            refused("--to-file", "content", "names another operand"),
            refused("--from-file", "content", "names another operand"),
            refused("-X", "content", "reads patterns from a file"),
            refused("-D", "form", "is not known to only look"),
        ],
        operands: Operands::UpTo(2, Kind::Read),
        check: Some(diff),
        allowed: &[
            "diff -u /srv/a.conf /srv/b.conf",
            "diff -q /srv/a /srv/b",
            "diff -rq /srv/a /srv/b",
            "diff /etc/hosts x",
        ],
        asks: &[
            "diff -r /srv/a /srv/b",
            "diff /srv/a /srv/b",
            "diff --to-file=x y",
            "diff -l a.txt b.txt",
            "diff /etc/shadow a.txt",
        ],
        ..Command::BARE
    },
    Command {
        names: &["cmp"],
        does: "compares files",
        flags: "bclszx",
        long: &[
            "--print-bytes",
            "--verbose",
            "--quiet",
            "--silent",
            "--help",
            "--version",
        ],
        values: &[
            ("-n", Kind::Number),
            ("--bytes", Kind::Number),
            ("-i", Kind::Number),
            ("--ignore-initial", Kind::Number),
        ],
        operands: Operands::UpTo(4, Kind::Read),
        allowed: &["cmp -s /srv/a /srv/b"],
        asks: &["cmp /etc/shadow /srv/b"],
        ..Command::BARE
    },
    Command {
        names: &[
            "md5sum",
            "sha1sum",
            "sha224sum",
            "sha256sum",
            "sha384sum",
            "sha512sum",
            "b2sum",
            "cksum",
            "sum",
            "shasum",
            "md5",
        ],
        does: "prints checksums",
        flags: "bctqswzr",
        long: &[
            "--binary",
            "--text",
            "--check",
            "--quiet",
            "--status",
            "--strict",
            "--warn",
            "--ignore-missing",
            "--tag",
            "--zero",
            "--help",
            "--version",
        ],
        values: &[
            ("-a", Kind::Name),
            ("--algorithm", Kind::Name),
            ("-l", Kind::Number),
            ("--length", Kind::Number),
        ],
        operands: READ,
        allowed: &[
            "md5sum /srv/a.tar",
            "sha256sum -c /srv/SHA256SUMS",
            "cksum /srv/a",
            "shasum -a 256 /srv/a",
        ],
        asks: &["sha256sum /etc/shadow", "md5sum --frob x"],
        ..Command::BARE
    },
    Command {
        names: &["od"],
        does: "prints bytes",
        flags: "abcdDefFhHiIlLoOsvxX",
        long: &["--output-duplicates", "--help", "--version"],
        values: &[
            ("-A", Kind::Name),
            ("--address-radix", Kind::Name),
            ("-j", Kind::Number),
            ("--skip-bytes", Kind::Number),
            ("-N", Kind::Number),
            ("--read-bytes", Kind::Number),
            ("-t", Kind::Name),
            ("--format", Kind::Name),
        ],
        operands: READ,
        allowed: &["od -A x -t x1z -N 64 /srv/a", "od -c /srv/a"],
        asks: &["od -c /dev/sda", "od /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["hexdump", "hd"],
        does: "prints bytes",
        flags: "bcCdovxX",
        long: &["--canonical", "--no-squeezing", "--help", "--version"],
        values: &[
            ("-n", Kind::Number),
            ("--length", Kind::Number),
            ("-s", Kind::Number),
            ("--skip", Kind::Number),
            ("-e", Kind::Text),
            ("--format", Kind::Text),
        ],
        refused: &[refused("-f", "content", "reads formats from a file")],
        operands: READ,
        allowed: &["hexdump -C -n 64 /srv/a", "hd /srv/a"],
        asks: &["hexdump -f /etc/shadow x", "hexdump -C /dev/sda"],
        ..Command::BARE
    },
    Command {
        names: &["xxd"],
        does: "prints bytes",
        style: Style::WholeWords,
        long: &["-a", "-b", "-e", "-i", "-p", "-ps", "-u", "-C", "-E", "-d"],
        values: &[
            ("-l", Kind::Number),
            ("-len", Kind::Number),
            ("-s", Kind::Number),
            ("-seek", Kind::Number),
            ("-c", Kind::Number),
            ("-cols", Kind::Number),
            ("-g", Kind::Number),
            ("-o", Kind::Number),
        ],
        refused: &[
            refused("-r", "reverse", "writes the bytes into a file"),
            refused("-revert", "reverse", "writes the bytes into a file"),
        ],
        operands: Operands::UpTo(1, Kind::Read),
        allowed: &["xxd -l 64 /srv/a", "xxd -p /srv/a"],
        asks: &[
            "xxd -r /srv/a",
            "xxd /srv/a /srv/b",
            "xxd -rev a",
            "xxd -pr a",
        ],
        ..Command::BARE
    },
    Command {
        names: &["strings"],
        does: "prints readable parts of files",
        flags: "afow",
        long: &[
            "--all",
            "--print-file-name",
            "--include-all-whitespace",
            "--help",
            "--version",
        ],
        values: &[
            ("-n", Kind::Number),
            ("--bytes", Kind::Number),
            ("-t", Kind::Name),
            ("--radix", Kind::Name),
            ("-e", Kind::Name),
            ("--encoding", Kind::Name),
            ("-s", Kind::Text),
        ],
        number: true,
        operands: READ,
        check: Some(no_response_file),
        allowed: &["strings -n 8 /usr/bin/ls", "strings -a ./core.bin"],
        asks: &[
            "strings @/etc/shadow",
            "strings -t @/etc/shadow x",
            "strings -n 8 /dev/mem",
        ],
        ..Command::BARE
    },
    Command {
        names: &["readelf", "nm", "size"],
        does: "describes a program file",
        flags: "aAhlSsedrnuVWCDg",
        long: &[
            "--file-header",
            "--program-headers",
            "--sections",
            "--symbols",
            "--dynamic",
            "--wide",
            "--demangle",
            "--version",
        ],
        operands: READ,
        check: Some(no_response_file),
        allowed: &[
            "readelf -hW /usr/bin/ls",
            "nm -D /usr/lib/libc.so.6",
            "readelf -d /usr/bin/ls",
        ],
        asks: &["readelf @x", "readelf -p .x y", "nm --plugin=x y"],
        ..Command::BARE
    },
    Command {
        names: &["base64", "base32"],
        does: "encodes or decodes",
        flags: "dD",
        long: &["--decode", "--help", "--version"],
        values: &[("-w", Kind::Number), ("--wrap", Kind::Number)],
        // `-i` is the input file and `-o` the output file on macOS.
        refused: &[
            refused("-i", "option", "is a file in some versions"),
            refused("-o", "output", "writes a file in some versions"),
        ],
        operands: Operands::UpTo(1, Kind::Read),
        allowed: &["base64 /srv/a", "base64 -d /srv/a.b64", "base64 -w0 /srv/a"],
        asks: &["base64 /etc/shadow", "base64 -i x -o y", "base64 a b"],
        ..Command::BARE
    },
    Command {
        names: &["zcat", "gzcat", "bzcat", "xzcat", "zstdcat", "lz4cat"],
        does: "prints compressed files",
        operands: READ,
        allowed: &[
            "zcat /var/log/syslog.2.gz",
            "xzcat /srv/a.xz",
            "zcat /var/log/*.gz",
        ],
        asks: &["zcat -f /etc/shadow", "zcat /srv/.env.gz", "zcat --x y"],
        ..Command::BARE
    },
    Command {
        names: &["gzip", "xz", "zstd", "bzip2"],
        does: "lists or tests compressed files",
        flags: "ltvq",
        long: &["--list", "--test", "--verbose", "--version"],
        operands: Operands::Any(Kind::Names),
        check: Some(|parsed| {
            let looks = parsed.has(&["-l", "-t", "--list", "--test", "--version"]);
            (!looks).then(|| Refusal::new("replace", "without `-l` or `-t` it replaces the file"))
        }),
        allowed: &[
            "gzip -l /srv/a.gz",
            "gzip -tv /srv/a.gz",
            "xz --list /srv/a.xz",
        ],
        asks: &[
            "gzip /srv/a",
            "gzip -d /srv/a.gz",
            "xz -v /srv/a",
            "gzip -lk x -S y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["jq"],
        does: "prints parts of JSON files",
        flags: "rcCSsenMaj",
        long: &[
            "--raw-output",
            "--compact-output",
            "--color-output",
            "--monochrome-output",
            "--sort-keys",
            "--slurp",
            "--exit-status",
            "--null-input",
            "--ascii-output",
            "--join-output",
            "--tab",
            "--version",
            "--help",
        ],
        values: &[("--indent", Kind::Number)],
        refused: &[
            refused("-f", "program", "reads the program from a file"),
            refused("--from-file", "program", "reads the program from a file"),
            refused("-L", "program", "loads modules from a directory"),
            refused("--rawfile", "content", "reads another file"),
            refused("--slurpfile", "content", "reads another file"),
        ],
        operands: Operands::FirstThen {
            first: Kind::Is(is_plain_filter),
            unless: &[],
            then: Kind::Read,
        },
        allowed: &[
            "jq . /srv/a.json",
            "jq -r '.a[] | select(.b > 1) | .c' /srv/a.json",
            "jq length /srv/a.json",
        ],
        asks: &[
            "jq env",
            "jq -n 'import \"a\" as $x; $x' x",
            "jq '$ENV' x",
            "jq --slurpfile a /etc/shadow . x",
            "jq . /srv/.env",
            "jq -f x",
            "jq 'include \"a\"; .' x",
            "jq 'input_filename' x",
            "jq",
        ],
        ..Command::BARE
    },
    Command {
        names: &["sed"],
        does: "prints chosen lines",
        style: Style::Custom(super::script::sed),
        allowed: &[
            "sed -n '10,20p' /srv/a",
            "sed -n 5p /srv/a",
            "sed -n '$p' x",
            "sed -n '/start/,/end/p' /srv/a",
            "sed -n '1,5p;10p' x",
            "sed -nE '/a|b/p' /srv/a",
        ],
        asks: &[
            "sed -i s/a/b/ /srv/a",
            "sed -n '3w /srv/o' /srv/i",
            "sed s/a/b/e x",
            "sed -n '1e id' x",
            "sed p x",
            "sed -n -f x y",
            "sed -n 1p -i x",
            "sed -n '/a/w x' y",
            "sed -n 'r /etc/shadow' x",
            "sed -n '1p' /etc/shadow",
            "sed -n '/[/]/p;1e/p' x",
            "sed -n 1p -s x",
            "sed -n p --in-place x",
            r"sed -n '\,a,p' x",
            r"sed -n '/a\/w x/p' y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["awk", "gawk", "mawk", "nawk"],
        does: "prints columns",
        style: Style::Custom(super::script::awk),
        allowed: &[
            "awk '{print $1}' /srv/a",
            "awk -F: '{print $1, $3}' /etc/passwd",
            "awk '{ print $NF }' /srv/a",
            "awk -F , '{print $2}' x",
            "awk '/error/ {print $1}' /srv/a",
            "awk '/error/' /srv/a",
            "awk 'NR==5' /srv/a",
            "awk 'END{print NR}' /srv/a",
        ],
        asks: &[
            "awk 'BEGIN{system(\"id\")}'",
            "awk '{print > \"x\"}' y",
            "awk '{print $1 | \"sh\"}' y",
            "awk -f x y",
            "awk '{getline}' x",
            "awk -v x=1 '{print x}' y",
            "awk '{print $1}' x=1 y",
            "awk '{print $1}' /inet/tcp/0/h/80",
            "awk '{print $1}' /etc/shadow",
            "awk -i inplace '{print $1}' x",
            "awk '/a/;system(\"id\") /{print $1}' x",
            "awk",
        ],
        ..Command::BARE
    },
    Command {
        names: &["openssl"],
        does: "shows a certificate or its own version",
        style: Style::Custom(super::script::openssl),
        allowed: &[
            "openssl version -a",
            "openssl x509 -in /srv/a.crt -noout -dates -subject",
            "openssl x509 -noout -text -in /srv/a.pem",
        ],
        asks: &[
            "openssl x509 -in a.crt -out b.crt",
            "openssl rsa -in a.key",
            "openssl s_client -connect a:443",
            "openssl x509 -in a.crt -noout -engine x",
            "openssl enc -in /etc/shadow",
            "openssl",
            "openssl x509 -in a.crt",
        ],
        ..Command::BARE
    },
];

/// Comparing two directories reads everything below, unless only names are shown.
fn diff(parsed: &Parsed<'_>) -> Option<Refusal> {
    if parsed.has(&["-q", "--brief"]) {
        return None;
    }
    if parsed.has(&["-r", "--recursive"]) {
        return Some(Refusal::new(
            "recursive",
            "`-r` shows the content of everything below; with `-q` it only names it",
        ));
    }
    let is_file = |path: &str| super::super::paths::is_plainly_a_file(path);
    if parsed.operands.iter().any(|word| is_file(&word.text)) {
        return None;
    }
    Some(Refusal::new(
        "directory",
        "if both are directories it shows every file in them; with `-q` it only names them",
    ))
}

/// Programs of binutils take `@file` for the words in that file.
fn no_response_file(parsed: &Parsed<'_>) -> Option<Refusal> {
    let values = parsed
        .options
        .iter()
        .filter_map(|(_, value)| value.as_ref());
    let word = parsed
        .operands
        .iter()
        .copied()
        .chain(values)
        .find(|word| word.text.starts_with('@'))?;
    Some(Refusal::new(
        "content",
        format!("{} is replaced by the content of a file", shown(&word.text)),
    ))
}

/// A jq filter that neither loads a file nor looks at the environment.
fn is_plain_filter(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "import",
        "include",
        "env",
        "ENV",
        "input_filename",
        "modulemeta",
        "get_search_list",
        "debug",
        "stderr",
    ];
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    !words.any(|word| WORDS.contains(&word))
}
