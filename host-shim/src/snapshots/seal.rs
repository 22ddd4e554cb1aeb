//! The form secret content has in the repository: a few words for whoever finds
//! it there, then the sealed bytes.
//!
//! The words are the same for every file and prove nothing; what follows them is
//! authenticated by the sealer, together with its place.
//! Invariant: undressing gives the very bytes that were dressed, and those of an
//! earlier version, which had no words. It holds no key.

use super::names;

/// What a person reads who opens a sealed file in a clone.
const WORDS: &[u8] = b"This file is secret, so openshell keeps its content sealed.\n\
What follows the empty line is encrypted (AES-256-GCM) under a key derived from\n\
the master key of the installation that wrote it; `openshell diff` and\n\
`openshell undo` open it there, and nothing opens it anywhere else.\n\n";

/// The mark sealed bytes begin with; a store of an earlier version has no words
/// before it.
const MARK: &[u8] = b"OSSEAL1\n";

/// What sealed content is bound to.
pub(super) fn place(server: &str, path: &str) -> String {
    format!("{}:{}", names::line(server), names::line(path))
}

/// Puts the words before sealed bytes.
pub(super) fn dress(sealed: &[u8]) -> Vec<u8> {
    [WORDS, sealed].concat()
}

/// The sealed bytes of a blob.
pub(super) fn undress(blob: &[u8]) -> &[u8] {
    blob.strip_prefix(WORDS).unwrap_or(blob)
}

/// Whether a blob has the form of sealed content.
pub(super) fn is_sealed(blob: &[u8]) -> bool {
    blob.starts_with(WORDS) || blob.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::{dress, is_sealed, undress};

    #[test]
    fn what_is_sealed_says_so() {
        let blob = dress(b"\x00\xff");
        assert_eq!(undress(&blob), b"\x00\xff");
        assert!(is_sealed(&blob) && is_sealed(b"OSSEAL1\nrest"));
        assert!(blob.starts_with(b"This file is secret"));
        // As earlier versions kept it.
        assert_eq!(undress(b"OSSEAL1\nrest"), b"OSSEAL1\nrest");
        assert!(!is_sealed(b"root:x:0:0") && !is_sealed(b""));
    }
}
