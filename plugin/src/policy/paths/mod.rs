//! Judges the files a request touches.
//!
//! Invariant: a path is judged as the absolute, normalised name it means from the
//! working or the login directory, and as the name its links lead to where the
//! host resolved it. What cannot be told from the text is asked about. Names and
//! metadata are free; content is not. The module opens nothing.

mod index;
mod kernel;
mod pattern;
mod places;
mod secrets;

use self::pattern::Component;
#[cfg(any(test, feature = "tables"))]
pub(super) use self::places::{PUBLIC, PUBLIC_TREES};
#[cfg(any(test, feature = "tables"))]
pub(super) use self::secrets::{COPIES, KINDS};
use super::types::{Finding, shown};

/// What a request does with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Looks at names and metadata only.
    Names,
    /// Reads the content of a file.
    Content,
    /// Reads the content of files below.
    Tree(Tree),
}

/// What of the files below a directory is read and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    /// Patterns of file names; empty means all.
    include: Vec<String>,
    /// Whether a secret without a fixed place could be among those names.
    covers_secrets: bool,
    shown: Shown,
}

/// Which lines of the files that are read reach the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Any.
    Any,
    /// Those with a word that is not found beside secrets, in any case of letters.
    WordsAnyCase,
    /// Those with such a word in this very case, which is not that of variables.
    Words,
}

impl Tree {
    /// Files below, of which `include` are patterns of names; empty means all.
    pub(super) fn new(include: Vec<String>, shown: Shown) -> Self {
        let covers_secrets = include.is_empty()
            || index::ENTRIES
                .iter()
                .any(|entry| could_be_read(entry.text, &include));
        Self {
            include,
            covers_secrets,
            shown,
        }
    }
}

/// Where relative paths start, and what the operator calls secret.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    pub(super) cwd: Option<&'a str>,
    pub(super) home: Option<&'a str>,
    pub(super) secret_paths: &'a [String],
}

/// Longest path, in bytes; no Linux system call takes a longer one (`PATH_MAX`).
const PATH_CAP: usize = 4096;
/// Most components of a path, and longest pattern in bytes, that are worth judging.
const COMPONENT_CAP: usize = 32;
const GLOB_CAP: usize = 128;

/// Component for a login directory that is not known; preflight lets no such name in.
const STAND_IN: &str = "\u{1}";

/// Judges one path; `glob` says that pattern characters in it are active.
pub(super) fn judge(
    path: &str,
    glob: bool,
    home: bool,
    access: &Access,
    place: &Place<'_>,
) -> Option<Finding> {
    if path.is_empty() {
        return None;
    }
    let name = match normalise(path, glob, home, access, place) {
        Ok(name) => name,
        Err(finding) => return Some(finding),
    };
    match access {
        Access::Names => kernel::leads_elsewhere(&name, path.ends_with('/')).then(|| {
            Finding::ask(
                "path.proc",
                format!(
                    "{} leads into the file system of a process or of another machine",
                    shown(path)
                ),
            )
        }),
        Access::Content => content(path, &name, place),
        Access::Tree(below) => {
            content(path, &name, place).or_else(|| tree(path, &name, below, place))
        }
    }
}

/// Whether a path reads like the name of a directory with files of many kinds, such
/// as a login directory, a system directory or that of an application.
pub(super) fn is_like_directory(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some(last) = parts.last() else {
        return true;
    };
    let name: Vec<Component<'_>> = parts
        .iter()
        .map(|part| Component::new(part, false))
        .collect();
    let is_file = last.rsplit_once('.').is_some_and(|(stem, suffix)| {
        let texts = words(places::TEXTS).chain(words(places::SOURCES));
        !stem.is_empty()
            && texts
                .chain(words(places::SETTINGS))
                .any(|text| text == suffix)
    });
    if is_file || path.starts_with("/proc/") {
        return false;
    }
    if path.starts_with('/') && parts.len() == 2 && parts[0] == "etc" {
        // Nearly everything else there is a directory or has a suffix.
        return !words(places::ETC_FILES).any(|file| file == *last);
    }
    let first = last.split(['-', '_', '.']).next().unwrap_or(last);
    let first = first.trim_end_matches(|c: char| c.is_ascii_digit());
    path.ends_with('/')
        || path.starts_with('/') && (parts.len() < 2 || is_home(&name))
        || words(places::DIRECTORIES).any(|directory| directory == first)
        || last.starts_with(['.', '~'])
}

/// The absolute components of a path. Without a known login directory a stand-in
/// takes its place, which no pattern names.
fn normalise<'a>(
    path: &'a str,
    glob: bool,
    home: bool,
    access: &Access,
    place: &Place<'a>,
) -> Result<Vec<Component<'a>>, Finding> {
    if path.len() > PATH_CAP {
        return Err(too_long(path));
    }
    let mut name: Vec<Component<'a>> = Vec::with_capacity(COMPONENT_CAP);
    let mut base_is_known = true;
    let mut start_from = |base: Option<&'a str>, name: &mut Vec<Component<'a>>| match base {
        Some(base) => name.extend(
            base.split('/')
                .filter(|part| !part.is_empty() && *part != ".")
                .map(|part| Component::new(part, false)),
        ),
        None => {
            base_is_known = false;
            name.extend(["home", STAND_IN].map(|part| Component::new(part, false)));
        }
    };
    let rest = if home {
        start_from(place.home, &mut name);
        path.strip_prefix('~').unwrap_or(path)
    } else if path.starts_with('/') {
        path
    } else {
        start_from(place.cwd.or(place.home), &mut name);
        path
    };
    let mut named = false;
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                // The kernel follows a link before it goes up, and whether a name
                // is a link cannot be told from here.
                if *access != Access::Names && (named || !base_is_known) {
                    return Err(Finding::ask(
                        "path.parent",
                        format!(
                            "{} goes up from a directory that may be a link to another place",
                            shown(path)
                        ),
                    ));
                }
                name.pop();
            }
            part => {
                named = true;
                name.push(Component::new(part, glob));
            }
        }
    }
    let patterns = name.iter().filter(|part| part.wild);
    let long = patterns.clone().any(|part| part.text.len() > GLOB_CAP);
    if name.len() > COMPONENT_CAP || patterns.count() > 4 || long {
        return Err(too_long(path));
    }
    // Links that are the same on every system.
    if let [var, run, ..] = name.as_slice()
        && var.text == "var"
        && (run.text == "run" || run.text == "lock")
    {
        let tail = name.split_off(1);
        name = vec![Component::new("run", false)];
        name.extend(tail.into_iter().skip_while(|part| part.text == "run"));
    }
    Ok(name)
}

fn too_long(path: &str) -> Finding {
    Finding::ask(
        "path.length",
        format!(
            "{} is longer than any path a person would name",
            shown(path)
        ),
    )
}

/// Names that a file's last component may be a copy of: itself, and itself without
/// the suffixes that make it a copy.
fn originals(last: Component<'_>) -> impl Iterator<Item = &str> {
    // An editor's swap file of `x` is `.x.swp`.
    let swapped = last
        .text
        .strip_prefix('.')
        .and_then(|text| text.strip_suffix(".swp"))
        .filter(|_| !last.wild);
    // A few suffixes in a row are a copy of a copy; more are a game.
    let copied = std::iter::successors(Some(last.text), move |text| {
        let stem = words(secrets::COPIES).find_map(|suffix| text.strip_suffix(suffix));
        stem.filter(|stem| !last.wild && !stem.is_empty())
    });
    copied.take(6).chain(swapped)
}

fn content(path: &str, name: &[Component<'_>], place: &Place<'_>) -> Option<Finding> {
    if let Some(finding) = content_in_root(path, name, place) {
        return Some(finding);
    }
    // A system seen from outside: a container's, a backup's, or the host's own.
    let inner = another_root(name)?;
    let nowhere = Place::default();
    content_in_root(path, inner, &nowhere)
}

/// The name within another system's root, if the path leads there: below a directory
/// where such roots are mounted, or in an `etc` that is not this system's.
fn another_root<'n, 'a>(name: &'n [Component<'a>]) -> Option<&'n [Component<'a>]> {
    let at = |list: &'static str, from: usize| {
        let is_top = |part: &Component<'_>| words(list).any(|top| part.text == top);
        name.iter()
            .skip(from)
            .position(is_top)
            .map(|position| &name[position + from..])
    };
    let mounted = name
        .first()
        .is_some_and(|first| words(places::ROOTS).any(|root| first.text == root));
    if mounted {
        return at(places::TOPS, 1);
    }
    at("etc", 1)
}

fn content_in_root(path: &str, name: &[Component<'_>], place: &Place<'_>) -> Option<Finding> {
    if let Some(finding) = kernel::content(name) {
        return Some(Finding {
            reason: format!("{}: {}", shown(path), finding.reason),
            ..finding
        });
    }
    let operator = place
        .secret_paths
        .iter()
        .find(|pattern| pattern::covers(operator_pattern(pattern), name));
    if operator.is_some() {
        return Some(Finding::ask(
            "path.secret.operator",
            format!("{} is on the operator's list of secrets", shown(path)),
        ));
    }
    let wild = name.iter().any(|component| component.wild);
    let kind = if wild {
        kind_of_glob(name)
    } else {
        let last = *name.last()?;
        let mut originals = originals(last);
        // The name as it stands; a copy of it can differ in nothing but the last
        // component, so what the others are needs no second look.
        let mut name = name.to_vec();
        let itself = originals.next().and_then(|_| index::kind_of(&name));
        itself.or_else(|| {
            originals.find_map(|original| {
                *name.last_mut()? = Component::new(original, false);
                index::kind_of_last(&name)
            })
        })
    };
    let kind = &secrets::KINDS[kind?];
    let is_public = |pattern: &&str| pattern::contains(pattern, name);
    if places::PUBLIC.iter().any(is_public) {
        return None;
    }
    let verb = if wild { "could name" } else { "holds" };
    Some(Finding::ask(
        format!("path.secret.{}", kind.id),
        format!("{} {verb} {}", shown(path), kind.what),
    ))
}

/// The first kind of secret that a glob is after. What it comes to name is judged
/// again, name by name, so a glob that says what it wants is taken at its word.
fn kind_of_glob(name: &[Component<'_>]) -> Option<usize> {
    let (last, parents) = name.split_last()?;
    let means_what_it_says = !last.wild
        || last.text.strip_prefix("*.").is_some_and(|suffix| {
            words(places::SOURCES).any(|source| source == suffix)
                || words(places::TEXTS).any(|text| text == suffix)
        });
    let covers: fn(&str, &[Component<'_>]) -> bool = if is_public_tree(parents) {
        pattern::covers_by_intention
    } else if means_what_it_says && !is_home(parents) {
        pattern::covers_by_suffix
    } else {
        pattern::covers
    };
    // What has a fixed place is meant by whatever can name it there.
    let entry = index::ENTRIES.iter().find(|entry| {
        if entry.text.starts_with('/') {
            pattern::covers(entry.text, name)
        } else {
            covers(entry.text, name)
        }
    });
    entry.map(|entry| entry.kind)
}

/// The operator may write `~/` for any login directory.
fn operator_pattern(pattern: &str) -> &str {
    pattern.strip_prefix("~/").unwrap_or(pattern)
}

fn is_public_tree(name: &[Component<'_>]) -> bool {
    // A glob says nothing about the tree it is in.
    let literal = name
        .iter()
        .position(|component| component.wild)
        .unwrap_or(name.len());
    places::PUBLIC_TREES
        .iter()
        .any(|tree| pattern::covers(tree, &name[..literal]))
}

/// Whether a directory is, or is above, one whose owner keeps secrets right there.
fn is_home(name: &[Component<'_>]) -> bool {
    words(places::HOMES).any(|home| pattern::leads_to(home, name))
        || matches!(name, [_, stand_in] if stand_in.text == STAND_IN)
}

fn tree(path: &str, root: &[Component<'_>], below: &Tree, place: &Place<'_>) -> Option<Finding> {
    let first = root.first().map(|first| first.text);
    let is_made_up = matches!(first, None | Some("proc" | "sys" | "dev"));
    let built_in = || index::ENTRIES.iter().map(|entry| entry.text);
    let operator = || {
        place
            .secret_paths
            .iter()
            .map(|pattern| operator_pattern(pattern))
    };
    let is_above = |pattern: &str| pattern.starts_with('/') && pattern::reaches(pattern, root);
    // In the settings of one program even a file of secrets shows no line with them.
    let of_one_program = matches!(root, [etc, _, ..] if etc.text == "etc");
    let is_above_secrets =
        || !(of_one_program && below.shown != Shown::Any) && built_in().any(is_above);
    if is_made_up || is_home(root) || is_above_secrets() || operator().any(is_above) {
        return Some(Finding::ask(
            "path.recursive",
            format!(
                "reading everything below {} would read secrets too",
                shown(path)
            ),
        ));
    }
    let is_source = |include: &String| is_source(root, include);
    let is_source = !below.include.is_empty() && below.include.iter().all(is_source);
    let is_plain = match below.shown {
        Shown::Any => false,
        Shown::Words => true,
        // In capitals a word may be a variable in the settings of an application.
        Shown::WordsAnyCase => first == Some("etc") || first == Some("usr"),
    };
    let free = !below.covers_secrets || is_source || is_plain || is_public_tree(root);
    let is_operators = || operator().any(|pattern| could_be_read(pattern, &below.include));
    (is_operators() || !free).then(|| {
        Finding::ask(
            "path.recursive",
            format!(
                "files below {} may hold secrets; `--include` with the names that matter, \
                 such as '*.log', leaves them out",
                shown(path)
            ),
        )
    })
}

/// Whether a pattern without a fixed place could name one of the files that are read.
fn could_be_read(pattern: &str, include: &[String]) -> bool {
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    let named = |include: &String| pattern::could_name(last, &Component::new(include, true));
    !pattern.starts_with('/') && (include.is_empty() || include.iter().any(named))
}

/// Whether a pattern of names below a directory is after program text or logs, or
/// after the system's configuration, which keeps its secrets in files of other
/// names; in an application `*.conf` may well be `redis.conf`.
fn is_source(directory: &[Component<'_>], names: &str) -> bool {
    let in_etc = matches!(directory, [etc, _, ..] if etc.text == "etc");
    let suffix = names.strip_prefix("*.").unwrap_or_default();
    words(places::SOURCES).any(|source| source == suffix) || in_etc && suffix == "conf"
}

/// The parts of a list that is written as one text.
fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split_ascii_whitespace()
}
