//! The names in a command, inside the sandbox: what its patterns stand for and
//! where its paths lead.
//!
//! Invariant: it finds what the host finds over SFTP before a command runs unasked
//! (`supervisor/names`), so that the fuzzer runs what would run. It judges nothing.

use std::fs;
use std::path::Path;

use crate::sandbox::Seen;

/// The login directory of the sandbox.
pub(crate) const HOME: &str = "/root";

/// Looks up the names in some words.
pub(crate) fn look(words: &[String], globs: &[usize], cwd: &str) -> Seen {
    let mut argv = Vec::new();
    for (position, word) in words.iter().enumerate() {
        if globs.contains(&position) {
            argv.extend(expand(&at_home(word), cwd));
        } else {
            argv.push(word.clone());
        }
    }
    let mut resolved = Vec::new();
    let mut words = argv.clone();
    for (position, word) in argv.iter().enumerate().skip(1) {
        for at in paths_in(word) {
            let Some(leads_to) = leads_to(&word[at..], cwd) else {
                continue;
            };
            let seen = format!("{}{leads_to}", &word[..at]);
            if words[position] == *word {
                words[position] = seen;
            } else {
                let mut other = argv.clone();
                other[position] = seen;
                resolved.push(other);
            }
        }
    }
    if words != argv {
        resolved.push(words);
    }
    Seen { resolved, argv }
}

fn at_home(word: &str) -> String {
    match word.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{HOME}{rest}"),
        _ => word.to_owned(),
    }
}

/// Where in a word the name of a file can begin.
fn paths_in(word: &str) -> Vec<usize> {
    let begins: Vec<usize> = if word.starts_with("--") {
        word.find('=').map(|at| at + 1).into_iter().collect()
    } else if word.starts_with('-') {
        word.char_indices().map(|(at, _)| at).skip(2).collect()
    } else if word.starts_with('+') {
        Vec::new()
    } else {
        vec![0]
    };
    let names_one = |at: &usize| !word[*at..].is_empty() && word[*at..].parse::<f64>().is_err();
    begins.into_iter().filter(names_one).collect()
}

/// Where a path leads, if that is not where it seems to.
fn leads_to(path: &str, cwd: &str) -> Option<String> {
    let full = Path::new(cwd).join(path);
    let real = fs::canonicalize(&full).ok()?;
    let kind = fs::metadata(&real).ok()?.file_type();
    let real = real.to_str()?.to_owned();
    let made_up = ["/dev/", "/proc/", "/sys/"];
    let ordinary = kind.is_file() || kind.is_dir();
    if !(ordinary || made_up.iter().any(|top| real.starts_with(top))) {
        return Some(format!("/dev/special{real}"));
    }
    (real != normal(full.to_str()?)).then_some(real)
}

fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Names that a pattern stands for, in order; itself where there is none.
fn expand(pattern: &str, cwd: &str) -> Vec<String> {
    let (mut found, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (vec![("/".to_owned(), "/".to_owned())], rest),
        None => (vec![(String::new(), format!("{cwd}/"))], pattern),
    };
    let parts: Vec<&str> = rest.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        let slash = if index + 1 == parts.len() { "" } else { "/" };
        let mut next = Vec::new();
        for (shown, place) in found {
            let step = |name: &str| {
                (
                    format!("{shown}{name}{slash}"),
                    format!("{place}{name}{slash}"),
                )
            };
            if !part.contains(['*', '?', '[']) {
                next.push(step(part));
                continue;
            }
            let entries = fs::read_dir(&place).into_iter().flatten().flatten();
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| !name.starts_with('.') || part.starts_with('.'))
                .filter(|name| matches(part, name))
                .collect();
            names.sort();
            next.extend(names.iter().map(|name| step(name)));
        }
        found = next;
    }
    let names: Vec<String> = found
        .into_iter()
        .filter(|(_, place)| fs::symlink_metadata(place).is_ok())
        .map(|(shown, _)| shown)
        .collect();
    if names.is_empty() {
        vec![pattern.to_owned()]
    } else {
        names
    }
}

/// Whether a name matches a pattern of `*`, `?` and sets.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let Some(first) = rest.next() else {
        return name.is_empty();
    };
    match first {
        '*' => {
            let mut tails = name.char_indices().map(|(at, _)| &name[at..]).chain([""]);
            tails.any(|tail| matches(rest.as_str(), tail))
        }
        '[' if rest.as_str().contains(']') => {
            let (set, after) = rest.as_str().split_once(']').unwrap_or_default();
            let mut chars = name.chars();
            chars.next().is_some_and(|c| in_set(set, c)) && matches(after, chars.as_str())
        }
        first => {
            let mut chars = name.chars();
            chars.next().is_some_and(|c| first == '?' || c == first)
                && matches(rest.as_str(), chars.as_str())
        }
    }
}

fn in_set(set: &str, c: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let ranges = set
        .windows(3)
        .any(|range| range[1] == '-' && (range[0]..=range[2]).contains(&c));
    ranges || set.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("a?c", "abc", true),
            ("[a-c]*", "bx", true),
            ("[a-c]*", "dx", false),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
