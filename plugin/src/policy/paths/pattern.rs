//! Matching of names and paths against patterns, where the path may be a pattern too.
//!
//! Invariant: a question of the form "could this glob name that file" is never
//! answered no where a shell would have expanded it so, except that `*` and `?`
//! do not match a leading dot. Case is ignored, because some file systems do. In
//! globs of a request bracket expressions count as "any one character".
//!
//! A path pattern is a list of components separated by `/`: `*` and `?` match
//! within one component, `**` stands for any number of components, and a pattern
//! that does not start with `/` matches at any depth.

use super::super::wildcard::{self, Case};

/// A component of a path, which may be a glob itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) text: String,
    /// Whether `*`, `?` and `[` in the text are pattern characters.
    pub(super) wild: bool,
}

impl Component {
    pub(super) fn new(text: &str, glob: bool) -> Self {
        Self {
            text: text.to_owned(),
            wild: glob && text.contains(['*', '?', '[']),
        }
    }
}

/// Whether the path is named by the pattern, or lies below what it names.
pub(super) fn covers(pattern: &str, path: &[Component]) -> bool {
    walk(pattern, path, End::Below, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// As [`covers`], for a glob in a place where secrets are not at home: only the
/// literal part of a glob is taken as its intention.
pub(super) fn covers_by_intention(pattern: &str, path: &[Component]) -> bool {
    walk(pattern, path, End::Below, &|pattern, component| {
        if component.wild {
            let literal: String = component
                .text
                .chars()
                .filter(|c| !matches!(c, '*' | '?' | '[' | ']'))
                .collect();
            !literal.is_empty() && matches(pattern, &literal)
        } else {
            matches(pattern, &component.text)
        }
    })
}

/// Whether something at or below the path is named by the pattern.
pub(super) fn reaches(pattern: &str, path: &[Component]) -> bool {
    walk(pattern, path, End::Either, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// Whether the path is what the pattern names, or a directory above it.
pub(super) fn leads_to(pattern: &str, path: &[Component]) -> bool {
    walk(pattern, path, End::Above, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// Whether everything the path can name is exactly what the pattern names.
pub(super) fn contains(pattern: &str, path: &[Component]) -> bool {
    walk(pattern, path, End::Exact, &|pattern, component| {
        if component.wild {
            always_names(pattern, &component.text)
        } else {
            matches(pattern, &component.text)
        }
    })
}

/// Whether a name matches one component of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    wildcard::matches(pattern, name, Case::Ignored)
}

/// Whether some name matches both globs.
pub(super) fn intersects(a: &str, b: &str) -> bool {
    let (a, b) = (atoms(a), atoms(b));
    if a.first() == Some(&Atom::Literal('.')) && matches!(b.first(), Some(Atom::Many | Atom::One)) {
        return false;
    }
    // possible[i][j]: whether a[i..] and b[j..] have a name in common.
    let width = b.len() + 1;
    let mut possible = vec![false; (a.len() + 1) * width];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            let at = |i: usize, j: usize| possible[i * width + j];
            let value = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some(Atom::Many), _) if at(i + 1, j) => true,
                (_, Some(Atom::Many)) if at(i, j + 1) => true,
                (Some(Atom::Many), Some(_)) => at(i, j + 1),
                (Some(_), Some(Atom::Many)) => at(i + 1, j),
                (Some(Atom::Literal(x)), Some(Atom::Literal(y))) => {
                    x.eq_ignore_ascii_case(y) && at(i + 1, j + 1)
                }
                (Some(_), Some(_)) => at(i + 1, j + 1),
                _ => false,
            };
            possible[i * width + j] = value;
        }
    }
    possible[0]
}

#[derive(PartialEq, Eq)]
enum Atom {
    Many,
    One,
    Literal(char),
}

fn atoms(glob: &str) -> Vec<Atom> {
    let mut atoms = Vec::with_capacity(glob.len());
    let mut rest = glob.chars();
    while let Some(c) = rest.next() {
        atoms.push(match c {
            '*' => Atom::Many,
            '?' => Atom::One,
            '[' if rest.as_str().contains(']') => {
                rest.by_ref().find(|c| *c == ']');
                Atom::One
            }
            c => Atom::Literal(c),
        });
    }
    atoms
}

/// Whether a pattern component could name what a path component names.
///
/// `id_rsa*` and `*secret*` mean "names like this one"; against a glob they are
/// taken as that one name, or `*.txt` would be held for `id_rsa.txt`. Names that
/// a glob really expands to are judged again, one by one.
pub(super) fn could_name(pattern: &str, component: &Component) -> bool {
    if !component.wild {
        return matches(pattern, &component.text);
    }
    let pattern = if pattern.len() > 1 && pattern.ends_with('*') {
        pattern.trim_matches('*')
    } else {
        pattern
    };
    intersects(pattern, &component.text)
}

/// Whether every name of a glob is named by the pattern, as far as suffixes tell.
fn always_names(pattern: &str, glob: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(suffix) if !suffix.contains(['*', '?', '[']) => {
            glob.strip_suffix(suffix)
                .is_some_and(|start| !start.ends_with('['))
                && !suffix.contains(']')
        }
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The pattern may end before the path does.
    Below,
    /// The path may end before the pattern does.
    Above,
    /// Either may end before the other.
    Either,
    /// Both end together.
    Exact,
}

fn walk(
    pattern: &str,
    path: &[Component],
    end: End,
    component: &dyn Fn(&str, &Component) -> bool,
) -> bool {
    let pattern = pattern.trim_end_matches('/');
    match pattern.strip_prefix('/') {
        Some(anchored) => step(Some(anchored), path, end, component),
        None => anywhere(Some(pattern), path, end, component),
    }
}

fn anywhere(
    rest: Option<&str>,
    path: &[Component],
    end: End,
    component: &dyn Fn(&str, &Component) -> bool,
) -> bool {
    matches!(end, End::Above | End::Either)
        || (0..=path.len()).any(|from| step(rest, &path[from..], end, component))
}

fn step(
    rest: Option<&str>,
    path: &[Component],
    end: End,
    component: &dyn Fn(&str, &Component) -> bool,
) -> bool {
    let Some(pattern) = rest else {
        return matches!(end, End::Below | End::Either) || path.is_empty();
    };
    if path.is_empty() && matches!(end, End::Above | End::Either) {
        return true;
    }
    let (first, rest) = match pattern.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pattern, None),
    };
    if first == "**" {
        return anywhere(rest, path, end, component);
    }
    match path.split_first() {
        Some((head, tail)) => component(first, head) && step(rest, tail, end, component),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Component> {
        text.split('/')
            .filter(|part| !part.is_empty())
            .map(|part| Component::new(part, true))
            .collect()
    }

    #[test]
    fn finds_common_names_of_two_globs() {
        for (a, b, expected) in [
            ("shadow", "sh?dow", true),
            ("shadow", "s*w", true),
            ("shadow", "[a-z]hadow", true),
            ("shadow", "*.conf", false),
            ("*.pem", "*.conf", false),
            ("*.pem", "a*", true),
            (".env", "*", false),
            (".env", ".e*", true),
            ("*_history", ".*", true),
        ] {
            assert_eq!(intersects(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn follows_components() {
        for (pattern, name, expected) in [
            ("/etc/shadow", "/etc/shadow", true),
            ("/etc/shadow", "/srv/etc/shadow", false),
            ("/etc/ssl/private", "/etc/ssl/private/a/b", true),
            (".ssh", "/home/a/.ssh/id", true),
            (".config/gh", "/home/a/.config/gh/hosts.yml", true),
            (".config/gh", "/home/a/.config/git/hosts.yml", false),
            ("/a/**/b", "/a/b", true),
            ("/a/**/b", "/a/x/y/b/c", true),
            ("/etc/*", "/etc", false),
        ] {
            assert_eq!(covers(pattern, &path(name)), expected, "{pattern} {name}");
        }
        assert!(reaches("/etc/shadow", &path("/etc")) && reaches("/etc/shadow", &path("/")));
        assert!(
            reaches("/etc/shadow", &path("/etc/shadow/x"))
                && !reaches("/etc/shadow", &path("/srv"))
        );
        assert!(reaches(".env", &path("/srv")));
        assert!(leads_to("/home/*", &path("/home")) && leads_to("/home/*", &path("/home/a")));
        assert!(!leads_to("/home/*", &path("/home/a/b")));
        assert!(contains("/etc/ssl/certs/**", &path("/etc/ssl/certs/a*")));
        assert!(
            contains(".ssh/*.pub", &path("/root/.ssh/*.pub"))
                && !contains(".ssh/*.pub", &path("/root/.ssh/*"))
        );
    }
}
