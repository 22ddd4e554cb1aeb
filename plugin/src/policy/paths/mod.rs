//! Judges the files a request touches.
//!
//! Invariant: a path is judged as the absolute, normalised name it means from the
//! working or the login directory, and as the name its links lead to where the
//! host resolved it. What cannot be told from the text is asked about. Names and
//! metadata are free; content is not. The module opens nothing.

mod kernel;
mod pattern;
mod secrets;

use self::pattern::Component;
use super::types::{Finding, shown};

/// What a request does with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Looks at names and metadata only.
    Names,
    /// Reads the content of a file.
    Content,
    /// Reads the content of every file below, or of those with certain names.
    Tree {
        /// Patterns of file names; empty means all.
        include: Vec<String>,
    },
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
        Access::Names => kernel::leads_elsewhere(&name).then(|| {
            Finding::ask(
                "path.proc",
                format!("{} leads into the file system of a process", shown(path)),
            )
        }),
        Access::Content => content(path, &name, place),
        Access::Tree { include } => {
            content(path, &name, place).or_else(|| tree(path, &name, include, place))
        }
    }
}

/// Whether two paths could be a directory each, so that comparing them would
/// read everything below; judged by whether one is plainly a file.
pub(super) fn is_plainly_a_file(path: &str) -> bool {
    const TEXT: &[&str] = &[
        "c",
        "cfg",
        "cnf",
        "conf",
        "crt",
        "css",
        "csv",
        "go",
        "h",
        "html",
        "ini",
        "java",
        "js",
        "json",
        "list",
        "local",
        "log",
        "md",
        "php",
        "properties",
        "pub",
        "py",
        "rb",
        "repo",
        "rs",
        "rules",
        "service",
        "sh",
        "socket",
        "sql",
        "timer",
        "toml",
        "ts",
        "txt",
        "xml",
        "yaml",
        "yml",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.')
        .is_some_and(|(stem, suffix)| !stem.is_empty() && TEXT.contains(&suffix))
        || matches!(
            path.strip_prefix("/etc/"),
            Some("hosts" | "passwd" | "group" | "fstab" | "profile" | "crontab" | "services")
        )
        || path.starts_with("/proc/")
        || path == "-"
}

/// The absolute components of a path. Without a known login directory a stand-in
/// takes its place, which no pattern names.
fn normalise(
    path: &str,
    glob: bool,
    home: bool,
    access: &Access,
    place: &Place<'_>,
) -> Result<Vec<Component>, Finding> {
    let mut name: Vec<Component> = Vec::new();
    let mut base_is_known = true;
    let mut start_from = |base: Option<&str>, name: &mut Vec<Component>| match base {
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
    if path.len() > PATH_CAP || name.len() > COMPONENT_CAP || patterns.count() > 4 || long {
        return Err(Finding::ask(
            "path.length",
            format!(
                "{} is longer than any path a person would name",
                shown(path)
            ),
        ));
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

/// Names a file may be a copy of: the name itself and the name without the
/// suffixes that make it a copy.
fn originals(name: &[Component]) -> Vec<Vec<Component>> {
    let mut variants = vec![name.to_vec()];
    let Some((last, parents)) = name.split_last() else {
        return variants;
    };
    if last.wild {
        return variants;
    }
    let mut text = last.text.as_str();
    // An editor's swap file of `x` is `.x.swp`.
    if let Some(stem) = text
        .strip_prefix('.')
        .and_then(|text| text.strip_suffix(".swp"))
    {
        variants.push([parents, &[Component::new(stem, false)]].concat());
    }
    // A few suffixes in a row are a copy of a copy; more are a game.
    while variants.len() < 6
        && let Some(stem) = words(secrets::COPIES).find_map(|suffix| text.strip_suffix(suffix))
    {
        if stem.is_empty() {
            break;
        }
        variants.push([parents, &[Component::new(stem, false)]].concat());
        text = stem;
    }
    variants
}

fn content(path: &str, name: &[Component], place: &Place<'_>) -> Option<Finding> {
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
    if secrets::PUBLIC
        .iter()
        .any(|pattern| pattern::contains(pattern, name))
    {
        return None;
    }
    let wild = name.iter().any(|component| component.wild);
    let (last, parents) = name.split_last()?;
    let in_public_tree = wild && is_public_tree(parents);
    let of_sources =
        last.wild && !parents.iter().any(|part| part.wild) && is_source(parents, &last.text);
    originals(name).iter().find_map(|name| {
        let covers = |pattern: &str| {
            if (in_public_tree || of_sources) && !pattern.starts_with('/') {
                pattern::covers_by_intention(pattern, name)
            } else {
                pattern::covers(pattern, name)
            }
        };
        let kind = secrets::KINDS
            .iter()
            .find(|kind| kind.patterns().any(&covers))?;
        let verb = if wild { "could name" } else { "holds" };
        Some(Finding::ask(
            format!("path.secret.{}", kind.id),
            format!("{} {verb} {}", shown(path), kind.what),
        ))
    })
}

/// The operator may write `~/` for any login directory.
fn operator_pattern(pattern: &str) -> &str {
    pattern.strip_prefix("~/").unwrap_or(pattern)
}

fn is_public_tree(name: &[Component]) -> bool {
    // A glob says nothing about the tree it is in.
    let literal = name
        .iter()
        .position(|component| component.wild)
        .unwrap_or(name.len());
    secrets::PUBLIC_TREES
        .iter()
        .any(|tree| pattern::covers(tree, &name[..literal]))
}

fn tree(path: &str, root: &[Component], include: &[String], place: &Place<'_>) -> Option<Finding> {
    let first = root.first().map(|first| first.text.as_str());
    let is_made_up = matches!(first, None | Some("proc" | "sys" | "dev"));
    let is_home = words(secrets::HOMES).any(|home| pattern::leads_to(home, root))
        || matches!(root, [_, stand_in] if stand_in.text == STAND_IN);
    let built_in = || secrets::KINDS.iter().flat_map(secrets::Kind::patterns);
    let operator = || {
        place
            .secret_paths
            .iter()
            .map(|pattern| operator_pattern(pattern))
    };
    let is_above = |pattern: &str| pattern.starts_with('/') && pattern::reaches(pattern, root);
    if is_made_up || is_home || built_in().any(is_above) || operator().any(is_above) {
        return Some(Finding::ask(
            "path.recursive",
            format!(
                "reading everything below {} would read secrets too",
                shown(path)
            ),
        ));
    }
    let is_source = |include: &String| is_source(root, include);
    let is_source = !include.is_empty() && include.iter().all(is_source);
    let could_be_read = |pattern: &str| {
        let last = pattern.rsplit('/').next().unwrap_or(pattern);
        let named = |include: &String| pattern::could_name(last, &Component::new(include, true));
        !pattern.starts_with('/') && (include.is_empty() || include.iter().any(named))
    };
    let free = is_source || is_public_tree(root);
    (operator().any(could_be_read) || !free && built_in().any(could_be_read)).then(|| {
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

/// Whether a pattern of names in a directory is after program text or logs, or
/// after the system's configuration, which keeps its secrets in files of other
/// names; in an application `*.conf` may well be `redis.conf`.
fn is_source(directory: &[Component], names: &str) -> bool {
    let in_etc = matches!(directory, [etc, _, ..] if etc.text == "etc");
    let suffix = names.strip_prefix("*.").unwrap_or_default();
    words(secrets::SOURCES).any(|source| source == suffix) || in_etc && suffix == "conf"
}

/// The parts of a list that is written as one text.
fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split_ascii_whitespace()
}
