//! Matching a name against `*`, `?` and `[a-z]`.
//!
//! Invariant: linear in the name for every star of the pattern, and without
//! allocation. Braces and negated sets are no part of the syntax.

/// Whether case matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// For identifiers, where `Prod` is another than `prod`.
    Exact,
    /// For file names, because some file systems ignore case.
    Ignored,
}

/// Whether the whole name matches the pattern.
pub(super) fn matches(pattern: &str, name: &str, case: Case) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    // The classic greedy match with one point to come back to. Bytes suffice for
    // `*`; `?` takes the whole of a character of several bytes.
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(b'?') => {
                n += 1;
                while name.get(n).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    n += 1;
                }
                p += 1;
            }
            Some(b'[')
                if set_end(pattern, p)
                    .is_some_and(|end| in_set(&pattern[p + 1..end], name[n], case)) =>
            {
                p = set_end(pattern, p).map_or(pattern.len(), |end| end + 1);
                n += 1;
            }
            Some(byte) if fold(*byte, case) == fold(name[n], case) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    p = after;
                    n = from + 1;
                    retry = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

fn fold(byte: u8, case: Case) -> u8 {
    if case == Case::Ignored {
        byte.to_ascii_lowercase()
    } else {
        byte
    }
}

fn set_end(pattern: &[u8], open: usize) -> Option<usize> {
    pattern[open..]
        .iter()
        .position(|byte| *byte == b']')
        .map(|length| open + length)
}

/// Whether a byte is in a set such as `a-z_`.
fn in_set(set: &[u8], byte: u8, case: Case) -> bool {
    let folded = fold(byte, case);
    match set {
        [from, b'-', to, rest @ ..] => {
            (fold(*from, case)..=fold(*to, case)).contains(&folded) || in_set(rest, byte, case)
        }
        [one, rest @ ..] => fold(*one, case) == folded || in_set(rest, byte, case),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_names() {
        for (pattern, name, expected) in [
            ("shadow", "SHADOW", true),
            ("*.pem", "a.pem", true),
            ("*.pem", ".pem", true),
            ("*.pem", "a.pem.x", false),
            ("id_*_key", "id_a_b_key", true),
            ("a?c", "aéc", true),
            ("a[xy]c", "axc", true),
            ("core.[0-9]*", "core.12", true),
            ("core.[0-9]*", "core.js", false),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3d", false),
        ] {
            assert_eq!(
                matches(pattern, name, Case::Ignored),
                expected,
                "{pattern} {name}"
            );
        }
        assert!(
            !matches("prod-*", "Prod-1", Case::Exact) && matches("prod-*", "prod-1", Case::Exact)
        );
    }
}
