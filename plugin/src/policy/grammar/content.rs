//! Commands that compare, digest, dump or decode the content of files.
//!
//! Their file operands are judged as content, a digest included: it would confirm a
//! guess. Invariant: a second operand that some version takes for an output file is
//! refused. What the files hold is not known here.

use super::super::lex::Word;
use super::super::paths::{Access, is_like_directory};
use super::super::types::shown;
use super::engine;
use super::spec::{
    Command, Kind, Operands, Outcome, Parsed, Refusal, Style, Touch, examples, refused,
};

const READ: Operands = Operands::Any(Kind::Read);

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["diff"],
        does: "compares files",
        style: Style::Custom(diff),
        reads: Some(&DIFF),
        allowed: examples![
            "diff -u /srv/a.conf /srv/b.conf",
            "diff -q /srv/a /srv/b",
            "diff -rq /srv/a /srv/b",
            "diff /etc/hosts x",
            "diff /srv/a /srv/b",
            "diff -u a b",
            "diff -y --suppress-common-lines /srv/a.conf /srv/b.conf",
        ],
        asks: examples![
            "diff -r /srv/a /srv/b",
            "diff /srv/app /srv/app-old",
            "diff /etc /srv/etc",
            "diff . ..",
            "diff /root /home/x",
            "diff /srv/a/ /srv/b/",
            "diff /srv/opasswd /etc/security",
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
        allowed: examples!["cmp -s /srv/a /srv/b"],
        asks: examples!["cmp /etc/shadow /srv/b"],
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
        allowed: examples![
            "md5sum /srv/a.tar",
            "sha256sum -c /srv/SHA256SUMS",
            "cksum /srv/a",
            "shasum -a 256 /srv/a",
        ],
        asks: examples!["sha256sum /etc/shadow", "md5sum --frob x"],
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
            ("-S", Kind::Number),
        ],
        optional: &[("-w", Kind::Number), ("--width", Kind::Number)],
        operands: READ,
        allowed: examples![
            "od -w16 /srv/a",
            "od -A x -t x1z -N 64 /srv/a",
            "od -c /srv/a"
        ],
        asks: examples!["od -c /dev/sda", "od /etc/shadow"],
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
        allowed: examples!["hexdump -C -n 64 /srv/a", "hd /srv/a"],
        asks: examples!["hexdump -f /etc/shadow x", "hexdump -C /dev/sda"],
        ..Command::BARE
    },
    Command {
        names: &["xxd"],
        does: "prints bytes",
        // What follows the first operand is the output file, whatever it looks like.
        style: Style::WholeWordsFirst,
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
        allowed: examples!["xxd -l 64 /srv/a", "xxd -p /srv/a", "xxd -l64 /srv/a"],
        asks: examples![
            "xxd -r /srv/a",
            "xxd /srv/a /srv/b",
            "xxd /srv/a -p",
            "xxd /srv/a -l 64",
            "xxd - -p",
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
        allowed: examples!["strings -n 8 /usr/bin/ls", "strings -a ./core.bin"],
        asks: examples![
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
        allowed: examples![
            "readelf -hW /usr/bin/ls",
            "nm -D /usr/lib/libc.so.6",
            "readelf -d /usr/bin/ls",
        ],
        asks: examples!["readelf @x", "readelf -p .x y", "nm --plugin=x y"],
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
        allowed: examples!["base64 /srv/a", "base64 -d /srv/a.b64", "base64 -w0 /srv/a"],
        asks: examples!["base64 /etc/shadow", "base64 -i x -o y", "base64 a b"],
        ..Command::BARE
    },
];

const DIFF: Command = Command {
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
    ..Command::BARE
};

/// Two directories are compared file by file, and one with the file of the other's
/// name; what neither may be is a directory that holds secrets.
fn diff(words: &[Word]) -> Outcome {
    let (parsed, mut touched) = engine::read(&DIFF, words)?;
    if parsed.has(&["-q", "--brief"]) {
        return Ok(touched);
    }
    if parsed.has(&["-r", "--recursive"]) {
        return Err(Refusal::new(
            "recursive",
            "`-r` shows the content of everything below; with `-q` it only names it",
        ));
    }
    let is_directory = |word: &&Word| is_like_directory(&word.text);
    let [one, other] = parsed.operands.as_slice() else {
        return Ok(touched);
    };
    if is_directory(one) && is_directory(other) {
        return Err(Refusal::new(
            "directory",
            "if both are directories it shows every file in them; with `-q` it only names them",
        ));
    }
    for (directory, file) in [(one, other), (other, one)] {
        let name = file.text.rsplit('/').next().unwrap_or_default();
        touched.push(Touch {
            path: format!("{}/{name}", directory.text),
            ..Touch::new(directory, Access::Content)
        });
    }
    Ok(touched)
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
