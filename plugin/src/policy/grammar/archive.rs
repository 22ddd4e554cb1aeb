//! Listing archives, and looking into compressed files.
//!
//! Archivers extract, run programs and reach other hosts by option, so only the
//! plainest form of a listing is known here.
//!
//! Invariant: what passes writes no file and starts no program. The members
//! themselves are not judged, only the archive's path.

use super::super::lex::Word;
use super::super::paths::Access;
use super::super::types::shown;
use super::spec::{Command, Kind, Operands, Outcome, Refusal, Style, Touch, examples};

const READ: Operands = Operands::Any(Kind::Read);

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["tar"],
        does: "lists the members of an archive",
        style: Style::Custom(tar),
        allowed: examples![
            "tar tf /srv/a.tar",
            "tar -tzvf /srv/a.tar.gz",
            "tar -tf ./a.tar",
            "tar -t -f /srv/a.tar",
            "tar --list -f /srv/a.tar",
            "tar --list --file=/srv/a.tar",
            "tar -tf /srv/a.tar etc/passwd",
        ],
        asks: examples![
            "tar xf /srv/a.tar",
            "tar tf host:/a.tar",
            "tar tf a.tar --to-command=id",
            "tar -tf a.tar -I id",
            "tar cf a.tar /srv",
            "tar -tf a.tar --checkpoint-action=exec=id",
            "tar -tFf id a.tar",
            "tar --list --file=h:/a.tar",
            "tar --list a.tar",
            "tar tf /dev/sda",
            "tar -tf a.tar -x",
            "tar --list -f a.tar --use-compress-program=id",
        ],
        ..Command::BARE
    },
    Command {
        names: &["unzip"],
        does: "lists or tests the members of an archive",
        style: Style::Custom(unzip),
        allowed: examples![
            "unzip -l /srv/a.zip",
            "unzip -v ./a.zip",
            "unzip -Z1 a.zip",
            "unzip -lv a.zip",
            "unzip -t a.zip",
        ],
        asks: examples![
            "unzip a.zip",
            "unzip -p a.zip",
            "unzip -s a.zip",
            "unzip -lo a.zip",
            "unzip -l a.zip -d /x",
        ],
        ..Command::BARE
    },
    Command {
        names: &["zipinfo"],
        does: "lists the members of an archive",
        style: Style::Custom(zipinfo),
        allowed: examples!["zipinfo /srv/a.zip", "zipinfo -1 /srv/a.zip"],
        asks: examples!["zipinfo -x a.zip", "zipinfo a.zip b"],
        ..Command::BARE
    },
    Command {
        names: &["zcat", "gzcat", "bzcat", "xzcat", "lzcat", "zstdcat"],
        does: "prints compressed files",
        operands: READ,
        allowed: examples![
            "zcat /var/log/syslog.2.gz",
            "xzcat /srv/a.xz",
            "zcat /var/log/*.gz",
        ],
        asks: examples!["zcat -f /etc/shadow", "zcat /srv/.env.gz", "zcat --x y"],
        ..Command::BARE
    },
    Command {
        names: &[
            "gzip", "gunzip", "xz", "unxz", "zstd", "unzstd", "bzip2", "bunzip2",
        ],
        does: "lists, tests or prints compressed files",
        flags: "ltvqcdk",
        long: "--list --test --verbose --stdout --decompress --keep --quiet --version",
        operands: READ,
        check: Some(|parsed| {
            // The last of several modes counts, so that `-l -d` replaces the file.
            let prints = parsed.has(&["-c", "--stdout"]);
            let looks = parsed.has(&["-l", "-t", "--list", "--test"])
                && !parsed.has(&["-d", "--decompress"]);
            let version = parsed.has(&["--version"]) && parsed.operands.is_empty();
            (!prints && !looks && !version)
                .then(|| Refusal::new("replace", "without `-l`, `-t` or `-c` it replaces the file"))
        }),
        allowed: examples![
            "gzip -l /srv/a.gz",
            "gzip -tv /srv/a.gz",
            "xz --list /srv/a.xz",
            "gzip -dc /var/log/syslog.2.gz",
            "gunzip -c /srv/a.gz",
            "zstd -dc /srv/a.zst",
        ],
        asks: examples![
            "gunzip /srv/a.gz",
            "zstd -l -d /srv/a.zst",
            "xz -td /srv/a.xz",
            "bzip2 --version /srv/a",
            "gzip -dc /etc/shadow.gz",
            "zstd -dc a.zst -o b",
            "xz -dc --files=/srv/x",
            "bunzip2 -k a.bz2",
            "gzip /srv/a",
            "gzip -d /srv/a.gz",
            "xz -v /srv/a",
            "gzip -lk x -S y",
        ],
        ..Command::BARE
    },
];

/// `tar tf FILE MEMBER…`, with the letters in one word or two, or as long options.
pub(super) fn tar(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "form",
            "only `tar -tf FILE` is known to do nothing but list",
        )
    };
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let (file, members) = match texts.as_slice() {
        ["--list", "-f" | "--file", _, ..] => (words[2].clone(), &words[3..]),
        ["--list", file, ..] if file.starts_with("--file=") => {
            (Word::literal(&file[7..]), &words[2..])
        }
        [first, second, _, ..]
            if first.starts_with('-')
                && second.starts_with('-')
                && lists(&format!("{}{}", &first[1..], &second[1..])) =>
        {
            (words[2].clone(), &words[3..])
        }
        [letters, _, ..] if lists(letters.strip_prefix('-').unwrap_or(letters)) => {
            (words[1].clone(), &words[2..])
        }
        _ => return Err(form()),
    };
    if members
        .iter()
        .any(|word| word.text.starts_with('-') || !word.is_literal())
    {
        return Err(form());
    }
    // `host:file` is fetched by running a remote shell.
    if file.text.contains(':') || file.text.starts_with('-') || !file.is_literal() {
        return Err(Refusal::new(
            "remote",
            format!("{} could be a file on another host", shown(&file.text)),
        ));
    }
    Ok(vec![Touch::new(&file, Access::Content)])
}

/// Whether letters of `tar` list the archive whose name follows.
fn lists(letters: &str) -> bool {
    letters.contains('t')
        && letters.ends_with('f')
        && letters.matches('f').count() == 1
        && letters.chars().all(|c| "tvzjJaf".contains(c))
}

/// `unzip -l FILE` and its like.
pub(super) fn unzip(words: &[Word]) -> Outcome {
    members(
        words,
        &[
            "-l", "-v", "-Z", "-Z1", "-lq", "-ql", "-lv", "-vl", "-t", "-tq", "-qt", "-tqq",
        ],
        false,
    )
}

/// `zipinfo FILE` with one option or none.
pub(super) fn zipinfo(words: &[Word]) -> Outcome {
    members(
        words,
        &["-1", "-2", "-s", "-m", "-l", "-v", "-h", "-t"],
        true,
    )
}

fn members(words: &[Word], options: &[&str], bare: bool) -> Outcome {
    let file = match words {
        [option, file] if options.contains(&option.text.as_str()) => file,
        [file] if bare => file,
        _ => {
            return Err(Refusal::new(
                "form",
                "only one option that lists, and one file, are known to do nothing but list",
            ));
        }
    };
    if file.text.starts_with('-') || !file.is_literal() {
        return Err(Refusal::new("form", "the archive has no plain name"));
    }
    Ok(vec![Touch::new(file, Access::Content)])
}
