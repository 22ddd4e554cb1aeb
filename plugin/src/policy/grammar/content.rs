//! Commands that compare, digest, dump or decode the content of files.
//!
//! Their file operands are judged as content, a digest included: it would confirm
//! a guess.

use super::super::types::shown;
use super::spec::{Command, Kind, Operands, Parsed, Refusal, Style, refused};

const READ: Operands = Operands::Any(Kind::Read);

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["diff"],
        does: "compares files",
        flags: "abBcdeEfiNnpqrstTuwyZ",
        long: "\
            --brief --report-identical-files --unified --context --side-by-side --recursive \
            --new-file --ignore-case --ignore-all-space --ignore-space-change \
            --ignore-blank-lines --text --minimal --strip-trailing-cr --suppress-common-lines \
            --normal --left-column --help --version",
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
        long: "--print-bytes --verbose --quiet --silent --help --version",
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
        long: "\
            --binary --text --check --quiet --status --strict --warn --ignore-missing --tag \
            --zero --help --version",
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
        long: "--output-duplicates --help --version",
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
        long: "--canonical --no-squeezing --help --version",
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
        long: "-a -b -e -i -p -ps -u -C -E -d",
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
        long: "--all --print-file-name --include-all-whitespace --help --version",
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
        long: "\
            --file-header --program-headers --sections --symbols --dynamic --wide --demangle \
            --version",
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
        long: "--decode --help --version",
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
        names: &["zcat", "gzcat", "bzcat", "xzcat", "zstdcat"],
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
        long: "--list --test --verbose --version",
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
        long: "\
            --raw-output --compact-output --color-output --monochrome-output --sort-keys --slurp \
            --exit-status --null-input --ascii-output --join-output --tab --version --help",
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
