//! `rpm`, where it shows installed packages and package files.
//!
//! Its macros run programs and its letters mean something else in every mode, so
//! the query comes first and no option that defines or evaluates is known.
//! Invariant: the query stands first, and what is no package file by its name is
//! not opened as one. Signatures are not checked.

use super::super::lex::Word;
use super::super::paths::Access;
use super::engine;
use super::packages::is_format;
use super::spec::{
    Command, Kind, Operands, Outcome, Parsed, Refusal, Style, Touch, examples, refused,
};

const CONFIG: &str = "replaces the configuration, which can name programs to run";
const OTHER_ROOT: &str = "looks into another tree";

pub(super) const COMMANDS: &[Command] = &[Command {
    names: &["rpm"],
    does: "shows installed packages",
    style: Style::Custom(rpm_files),
    reads: Some(&RPM),
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
        "rpm -qpl /srv/a.rpm",
        "rpm -qip ./a.rpm",
        "rpm --querytags",
    ],
    asks: examples![
        "rpm -i x.rpm",
        "rpm -e x",
        "rpm --eval '%(id)'",
        "rpm -qa --pipe id",
        "rpm -qp http://x/y.rpm",
        "rpm -qp /etc/shadow",
        "rpm -q /etc/./shadow",
        "rpm -Vp x.rpm",
        "rpm -Uvh x.rpm",
        "rpm -a",
        "rpm -qa --define 'x %(id)'",
        "rpm --rebuilddb",
        "rpm -iq x.rpm",
        "rpm -qa --dbpath /x",
        "rpm -ivh x",
        "rpm -q --qf '%{lua:x}' y",
    ],
    ..Command::BARE
}];

const RPM: Command = Command {
    flags: "qailfcdRsgVvp",
    long: "\
        --query --all --list --info --configfiles --docfiles --requires --provides \
        --changelog --scripts --last --whatprovides --whatrequires --conflicts --obsoletes \
        --file --state --verify --nodigest --nosignature --version --triggers --filesbypkg --recommends --suggests --supplements \
        --enhances --whatconflicts --whatobsoletes --filetriggers --dump --package --nomtime \
        --nosize --nomode --nouser --nogroup --nolinkto --nofiles --nodeps --noconfig",
    values: &[
        ("--queryformat", Kind::Is(is_format)),
        ("--qf", Kind::Is(is_format)),
    ],
    refused: &[
        refused("-e", "remove", "removes a package"),
        refused("-U", "install", "installs a package"),
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
    ..Command::BARE
};

/// `rpm`, where `-p` reads package files. What is no package is taken for a list of
/// names and locations, so a file has to be called one.
fn rpm_files(words: &[Word]) -> Outcome {
    let (parsed, mut touched) = engine::read(&RPM, words)?;
    if !parsed.has(&["-p", "--package"]) {
        // Busybox opens what it is named as a package; with `-f` rpm asks who owns it.
        if !parsed.has(&["-f", "--file"]) {
            let paths = parsed
                .operands
                .iter()
                .filter(|word| word.text.contains('/'));
            touched.extend(paths.map(|word| Touch::new(word, Access::Content)));
        }
        return Ok(touched);
    }
    let package = |word: &&Word| word.is_literal() && word.text.ends_with(".rpm");
    if !parsed.operands.iter().all(package) || parsed.has(&["-V", "--verify"]) {
        return Err(Refusal::new(
            "network",
            "`-p` reads package files; only names that end in `.rpm` are known to be some",
        ));
    }
    let read = parsed.operands.iter();
    touched.extend(read.map(|word| Touch::new(word, Access::Content)));
    Ok(touched)
}

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
