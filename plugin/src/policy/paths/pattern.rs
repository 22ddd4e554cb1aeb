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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component<'a> {
    pub(super) text: &'a str,
    /// Whether `*`, `?` and `[` in the text are pattern characters.
    pub(super) wild: bool,
}

impl<'a> Component<'a> {
    pub(super) fn new(text: &'a str, glob: bool) -> Self {
        Self {
            text,
            wild: glob && text.contains(['*', '?', '[']),
        }
    }
}

/// Whether the path is named by the pattern, or lies below what it names.
pub(super) fn covers(pattern: &str, path: &[Component<'_>]) -> bool {
    walk(pattern, path, End::Below, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// As [`covers`], for a pattern without a fixed place that starts where the path does.
pub(super) fn covers_here(pattern: &str, path: &[Component<'_>]) -> bool {
    let pattern = pattern.trim_end_matches('/');
    step(Some(pattern), path, End::Below, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// As [`covers`], for a glob in a place where secrets are not at home: only the
/// literal part of a glob is taken as its intention.
pub(super) fn covers_by_intention(pattern: &str, path: &[Component<'_>]) -> bool {
    walk(pattern, path, End::Below, &|pattern, component| {
        if component.wild {
            intends(pattern, component.text)
        } else {
            matches(pattern, component.text)
        }
    })
}

/// As [`covers`], where `*` and `*.suffix` are taken to be after names of no kind
/// in particular, and any other glob after all it can name.
pub(super) fn covers_by_suffix(pattern: &str, path: &[Component<'_>]) -> bool {
    walk(pattern, path, End::Below, &|pattern, component| {
        match component.text.strip_prefix('*') {
            Some(suffix) if component.wild && !suffix.contains(['*', '?', '[']) => {
                (suffix.is_empty() || suffix.starts_with('.')).then_some(suffix)
            }
            _ => None,
        }
        .map_or_else(
            || could_name(pattern, component),
            |suffix| !suffix.is_empty() && matches(pattern, suffix),
        )
    })
}

/// Whether the literal part of a glob, put together, is named by the pattern.
fn intends(pattern: &str, glob: &str) -> bool {
    let mut literal = [0; 128];
    let mut length = 0;
    for byte in glob.bytes() {
        if matches!(byte, b'*' | b'?' | b'[' | b']') {
            continue;
        }
        match literal.get_mut(length) {
            Some(place) => *place = byte,
            None => return true,
        }
        length += 1;
    }
    length > 0
        && std::str::from_utf8(&literal[..length]).is_ok_and(|literal| matches(pattern, literal))
}

/// Whether something at or below the path is named by the pattern.
pub(super) fn reaches(pattern: &str, path: &[Component<'_>]) -> bool {
    walk(pattern, path, End::Either, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// Whether the path is what the pattern names, or a directory above it.
pub(super) fn leads_to(pattern: &str, path: &[Component<'_>]) -> bool {
    walk(pattern, path, End::Above, &|pattern, component| {
        could_name(pattern, component)
    })
}

/// Whether everything the path can name is exactly what the pattern names.
pub(super) fn contains(pattern: &str, path: &[Component<'_>]) -> bool {
    walk(pattern, path, End::Exact, &|pattern, component| {
        if component.wild {
            always_names(pattern, component.text)
        } else {
            matches(pattern, component.text)
        }
    })
}

/// Whether a name matches one component of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    wildcard::matches(pattern, name, Case::Ignored)
}

/// Longest pattern of a list, in atoms, that [`intersects`] can hold against a
/// glob; a longer one is taken to match.
const ATOMS: usize = 63;

/// Whether some name matches both a pattern of a list and a glob of a request.
///
/// Runs the pattern as an automaton, one bit a state, over the atoms of the glob:
/// a `*` of the glob stands for any text and so reaches every later state.
pub(super) fn intersects(pattern: &str, glob: &str) -> bool {
    let hides = pattern.starts_with('.') && matches!(Atoms(glob).next(), Some(Atom::Many));
    if hides || cannot_meet(pattern, glob) {
        return false;
    }
    let mut states = [Atom::Many; ATOMS];
    let mut length = 0;
    for atom in Atoms(pattern) {
        match states.get_mut(length) {
            Some(state) => *state = atom,
            None => return true,
        }
        length += 1;
    }
    let states = &states[..length];
    // Past a `*` without taking a character.
    let close = |mut reached: u64| {
        for (at, state) in states.iter().enumerate() {
            if *state == Atom::Many && reached >> at & 1 == 1 {
                reached |= 1 << (at + 1);
            }
        }
        reached
    };
    let mut reached = close(1);
    for atom in Atoms(glob) {
        if atom == Atom::Many {
            let lowest = reached.trailing_zeros();
            reached |= !0 << lowest & (!0 >> (63 - length));
            continue;
        }
        let mut after = 0;
        let mut left = reached;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            match (states.get(at), atom) {
                (None, _) => {}
                (Some(Atom::Many), _) => after |= 1 << at,
                (Some(Atom::Literal(a)), Atom::Literal(b)) if !a.eq_ignore_ascii_case(&b) => {}
                (Some(_), _) => after |= 1 << (at + 1),
            }
        }
        reached = close(after);
        if reached == 0 {
            return false;
        }
    }
    reached >> length & 1 == 1
}

/// Whether the plain starts or the plain ends of two patterns differ.
fn cannot_meet(a: &str, b: &str) -> bool {
    let plain = |byte: &u8| !matches!(byte, b'*' | b'?' | b'[' | b']');
    let differ = |(a, b): (&u8, &u8)| (plain(a) && plain(b)).then_some(!a.eq_ignore_ascii_case(b));
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let starts = a.iter().zip(b).map_while(differ);
    let ends = a.iter().rev().zip(b.iter().rev()).map_while(differ);
    starts.chain(ends).any(|differs| differs)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Atom {
    Many,
    One,
    Literal(char),
}

/// Reads the atoms of a glob.
struct Atoms<'a>(&'a str);

impl Iterator for Atoms<'_> {
    type Item = Atom;

    fn next(&mut self) -> Option<Atom> {
        let c = self.0.chars().next()?;
        self.0 = &self.0[c.len_utf8()..];
        Some(match c {
            '*' => Atom::Many,
            '?' => Atom::One,
            '[' => match self.0.split_once(']') {
                Some((_, rest)) => {
                    self.0 = rest;
                    Atom::One
                }
                None => Atom::Literal('['),
            },
            c => Atom::Literal(c),
        })
    }
}

/// Whether a pattern component could name what a path component names.
///
/// `id_rsa*` and `*secret*` mean "names like this one"; against a glob they are
/// taken as that one name, or `*.txt` would be held for `id_rsa.txt`. Names that
/// a glob really expands to are judged again, one by one.
pub(super) fn could_name(pattern: &str, component: &Component<'_>) -> bool {
    if !component.wild {
        return matches(pattern, component.text);
    }
    let pattern = if pattern.len() > 1 && pattern.ends_with('*') {
        pattern.trim_matches('*')
    } else {
        pattern
    };
    intersects(pattern, component.text)
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
    path: &[Component<'_>],
    end: End,
    component: &dyn Fn(&str, &Component<'_>) -> bool,
) -> bool {
    let pattern = pattern.trim_end_matches('/');
    match pattern.strip_prefix('/') {
        Some(anchored) => step(Some(anchored), path, end, component),
        None => anywhere(Some(pattern), path, end, component),
    }
}

fn anywhere(
    rest: Option<&str>,
    path: &[Component<'_>],
    end: End,
    component: &dyn Fn(&str, &Component<'_>) -> bool,
) -> bool {
    // Where both end together, only one place has as many components as are left.
    if end == End::Exact && !rest.is_some_and(|rest| rest.contains("**")) {
        let count = rest.map_or(0, |rest| rest.split('/').count());
        let from = path.len().checked_sub(count);
        return from.is_some_and(|from| step(rest, &path[from..], end, component));
    }
    matches!(end, End::Above | End::Either)
        || (0..=path.len()).any(|from| step(rest, &path[from..], end, component))
}

fn step(
    rest: Option<&str>,
    path: &[Component<'_>],
    end: End,
    component: &dyn Fn(&str, &Component<'_>) -> bool,
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

    fn path(text: &str) -> Vec<Component<'_>> {
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
        assert!(contains("a/b", &path("/x/a/b")) && !contains("a/b", &path("/a/b/c")));
        assert!(contains("/a/**/b/c", &path("/a/x/b/c")) && !contains("/a/**/b", &path("/a/b/x")));
        assert!(!contains("a/b/c", &path("/b/c")));
        assert!(
            contains(".ssh/*.pub", &path("/root/.ssh/*.pub"))
                && !contains(".ssh/*.pub", &path("/root/.ssh/*"))
        );
    }
}
