//! The list of secrets, taken apart when the program is compiled.
//!
//! Invariant: [`kind_of`] answers as trying every pattern of the list in turn
//! would. A pattern without wildcards is found by the hash of its text; one with
//! wildcards is tried only on a name that has its letters. It allocates nothing,
//! and how the list is written decides nothing here.

use super::pattern::{self, Component};
use super::secrets::KINDS;

/// One pattern of the list.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) text: &'static str,
    /// Position of its kind in [`KINDS`].
    pub(super) kind: usize,
    /// Holds no wildcard.
    plain: bool,
    /// Starts at the root.
    anchored: bool,
    /// Bit `n` is set if the `n`th letter of the alphabet occurs.
    letters: u32,
    /// The same of the first component.
    first: u32,
}

const COUNT: usize = count();
/// Slots of the hash table: a power of two, less than half of them in use.
const SLOTS: usize = 2048;
const FREE: u16 = u16::MAX;
const _: () = assert!(COUNT < SLOTS / 2);

pub(super) static ENTRIES: [Entry; COUNT] = entries();
/// Positions in [`ENTRIES`] of the plain patterns, by hash, with linear probing.
static TABLE: [u16; SLOTS] = table(&entries());
/// Most components of a plain pattern, and of any.
const DEPTH: usize = depth(&entries(), false);
const DEPTH_OF_ANY: usize = depth(&entries(), true);

const fn is_wild(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b']')
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n')
}

const fn count() -> usize {
    let mut count = 0;
    let mut kind = 0;
    while kind < KINDS.len() {
        let text = KINDS[kind].patterns.as_bytes();
        let mut at = 0;
        while at < text.len() {
            if !is_blank(text[at]) && (at == 0 || is_blank(text[at - 1])) {
                count += 1;
            }
            at += 1;
        }
        kind += 1;
    }
    count
}

const fn entries() -> [Entry; COUNT] {
    let mut entries = [Entry {
        text: "",
        kind: 0,
        plain: false,
        anchored: false,
        letters: 0,
        first: 0,
    }; COUNT];
    let mut next = 0;
    let mut kind = 0;
    while kind < KINDS.len() {
        let list = KINDS[kind].patterns;
        let bytes = list.as_bytes();
        let mut from = 0;
        while from < bytes.len() {
            if is_blank(bytes[from]) {
                from += 1;
                continue;
            }
            let mut to = from;
            let mut plain = true;
            let mut first = None;
            let mut letters = 0;
            let mut in_set = false;
            while to < bytes.len() && !is_blank(bytes[to]) {
                plain = plain && !is_wild(bytes[to]);
                if bytes[to] == b'/' && first.is_none() {
                    first = Some(letters);
                }
                in_set = (in_set || bytes[to] == b'[') && bytes[to] != b']';
                if !in_set {
                    letters |= letter(bytes[to]);
                }
                to += 1;
            }
            entries[next] = Entry {
                text: list.split_at(to).0.split_at(from).1,
                kind,
                plain,
                anchored: bytes[from] == b'/',
                letters,
                first: match first {
                    Some(first) => first,
                    None => letters,
                },
            };
            next += 1;
            from = to;
        }
        kind += 1;
    }
    entries
}

const fn table(entries: &[Entry; COUNT]) -> [u16; SLOTS] {
    let mut table = [FREE; SLOTS];
    let mut position = 0;
    while position < COUNT {
        if entries[position].plain {
            let text = entries[position].text.as_bytes();
            let mut hash = SEED;
            let mut at = 0;
            while at < text.len() {
                hash = mix(hash, text[at]);
                at += 1;
            }
            let mut slot = slot_of(hash);
            while table[slot] != FREE {
                slot = (slot + 1) % SLOTS;
            }
            table[slot] = position as u16;
        }
        position += 1;
    }
    table
}

const fn depth(entries: &[Entry; COUNT], of_any: bool) -> usize {
    let mut deepest = 0;
    let mut position = 0;
    while position < COUNT {
        let text = entries[position].text.as_bytes();
        let mut depth = 1;
        let mut at = 1;
        while at < text.len() {
            if text[at] == b'/' {
                depth += 1;
            }
            assert!(
                text[at] != b'*' || text[at - 1] != b'*',
                "a pattern of any depth has no greatest one"
            );
            at += 1;
        }
        if (of_any || entries[position].plain) && depth > deepest {
            deepest = depth;
        }
        position += 1;
    }
    deepest
}

const fn letter(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        byte @ b'a'..=b'z' => 1 << (byte - b'a'),
        _ => 0,
    }
}

/// Components of which the letters are noted one by one.
const LONGEST: usize = 40;

fn letters_of(text: &str) -> u32 {
    text.bytes().fold(0, |letters, byte| letters | letter(byte))
}

/// FNV-1a over the lower-case letters of a pattern.
const SEED: u32 = 0x811c_9dc5;

const fn mix(hash: u32, byte: u8) -> u32 {
    (hash ^ byte.to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193)
}

const fn slot_of(hash: u32) -> usize {
    (hash ^ hash >> 15) as usize % SLOTS
}

/// Position in [`KINDS`] of the first kind that covers a name without wildcards.
pub(super) fn kind_of(name: &[Component<'_>]) -> Option<usize> {
    kind_from(name, 0)
}

/// As [`kind_of`], of a name without whose last component nothing covers it.
pub(super) fn kind_of_last(name: &[Component<'_>]) -> Option<usize> {
    // A pattern that starts further up ends above the last component.
    kind_from(name, name.len().saturating_sub(DEPTH_OF_ANY))
}

/// The first kind of which a pattern starts at `from` or below it; an anchored one
/// starts at 0.
fn kind_from(name: &[Component<'_>], from: usize) -> Option<usize> {
    let below = &name[from..];
    let mut letters = [!0; LONGEST];
    for (letters, component) in letters.iter_mut().zip(below) {
        *letters = letters_of(component.text);
    }
    // A longer name may have any letter further down.
    let in_all = match below.len() {
        0..=LONGEST => letters[..below.len()].iter().fold(0, |all, one| all | one),
        _ => !0,
    };
    let covers = |entry: &Entry| {
        if entry.anchored || below.len() > LONGEST {
            return pattern::covers(entry.text, below);
        }
        (0..below.len()).any(|at| {
            entry.first & !letters[at] == 0 && pattern::covers_here(entry.text, &below[at..])
        })
    };
    // The entries stand in the order of their kinds.
    let wild = ENTRIES.iter().find(|entry| {
        !entry.plain
            && entry.letters & !in_all == 0
            && (from == 0 || !entry.anchored)
            && covers(entry)
    });
    let wild = wild.map(|entry| entry.kind);
    match (plain_kind_from(name, from), wild) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn plain_kind_from(name: &[Component<'_>], from: usize) -> Option<usize> {
    let mut first = None;
    let mut look_up = |hash: u32, here: &[Component<'_>]| {
        let mut slot = slot_of(hash);
        while TABLE[slot] != FREE {
            let entry = &ENTRIES[usize::from(TABLE[slot])];
            let covers = || match entry.anchored {
                true => pattern::covers(entry.text, name),
                false => pattern::covers_here(entry.text, here),
            };
            if first.is_none_or(|kind| entry.kind < kind) && covers() {
                first = Some(entry.kind);
            }
            slot = (slot + 1) % SLOTS;
        }
    };
    for from in from..name.len() {
        // An anchored pattern starts with a slash, and only at the root.
        let mut anchored = (from == 0).then_some(SEED);
        let mut floating = SEED;
        for (depth, component) in name[from..].iter().take(DEPTH).enumerate() {
            if depth > 0 {
                floating = mix(floating, b'/');
            }
            floating = component.text.bytes().fold(floating, mix);
            look_up(floating, &name[from..]);
            if let Some(hash) = &mut anchored {
                *hash = component.text.bytes().fold(mix(*hash, b'/'), mix);
                look_up(*hash, &name[from..]);
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(path: &str) -> Vec<Component<'_>> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(|part| Component::new(part, false))
            .collect()
    }

    /// The definition of [`kind_of`].
    fn tried_in_turn(name: &[Component<'_>]) -> Option<usize> {
        KINDS.iter().position(|kind| {
            kind.patterns()
                .any(|pattern| pattern::covers(pattern, name))
        })
    }

    #[test]
    fn holds_every_pattern_of_the_list() {
        let listed: Vec<&str> = KINDS.iter().flat_map(|kind| kind.patterns()).collect();
        let held: Vec<&str> = ENTRIES.iter().map(|entry| entry.text).collect();
        assert_eq!(held, listed);
        for entry in &ENTRIES {
            let text = entry
                .text
                .replace("[0-9]", "7")
                .replace("**", "x")
                .replace(['*', '?'], "x");
            let name = parts(&text);
            assert!(kind_of(&name).is_some(), "{text}");
            assert_eq!(kind_of(&name), tried_in_turn(&name), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn answers_as_the_list_does(
            pieces in proptest::collection::vec((0..COUNT, "[a-zA-Z._-]{0,2}", any::<bool>()), 1..4),
        ) {
            let path: String = pieces
                .iter()
                .map(|(position, noise, upper)| {
                    let text = ENTRIES[*position].text.replace("[0-9]", "7").replace('*', noise);
                    let text = if *upper { text.to_uppercase() } else { text };
                    format!("/{text}{}", if noise.len() == 2 { noise.as_str() } else { "" })
                })
                .collect();
            let name = parts(&path);
            prop_assert_eq!(kind_of(&name), tried_in_turn(&name), "{}", path);
        }

        /// A name that nothing covers without its last component is told by what is
        /// near its end.
        #[test]
        fn the_end_decides_where_the_rest_does_not(
            parents in proptest::collection::vec("[a-z]{1,3}", 0..12),
            position in 0..COUNT,
            noise in "[a-z._-]{0,2}",
        ) {
            let text = ENTRIES[position].text.replace("[0-9]", "7").replace('*', &noise);
            let path = format!("/{}/{text}", parents.join("/"));
            let name = parts(&path);
            if tried_in_turn(&name[..name.len() - 1]).is_none() {
                prop_assert_eq!(kind_of_last(&name), tried_in_turn(&name), "{}", path);
            }
        }
    }
}
