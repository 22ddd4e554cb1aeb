//! How much room printed bytes take in a result, which is JSON.
//!
//! Invariant: what is counted is what the bytes become: text that is not UTF-8 is
//! shown as U+FFFD, and what JSON escapes (RFC 8259, section 7) takes the length of
//! its escape. It cuts nothing.

/// The length and the weight of each piece that is shown as one character, in order;
/// both in bytes.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk
            .valid()
            .chars()
            .map(|character| (character.len_utf8(), weight_of(character)));
        let invalid = chunk.invalid().len();
        let replaced = (invalid > 0).then_some((invalid, '\u{fffd}'.len_utf8()));
        valid.chain(replaced)
    })
}

fn weight_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\u{0}'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// What bytes weigh.
pub(super) fn weight(bytes: &[u8]) -> usize {
    pieces(bytes).map(|(_, weight)| weight).sum()
}

/// Length of the longest beginning that weighs no more than this.
pub(super) fn beginning(bytes: &[u8], most: usize) -> usize {
    fitting(pieces(bytes), most)
}

/// Length of the longest end that weighs no more than this.
pub(super) fn end(bytes: &[u8], most: usize) -> usize {
    let pieces: Vec<(usize, usize)> = pieces(bytes).collect();
    fitting(pieces.into_iter().rev(), most)
}

fn fitting(pieces: impl Iterator<Item = (usize, usize)>, most: usize) -> usize {
    let mut left = most;
    let mut length = 0;
    for (bytes, weight) in pieces {
        let Some(rest) = left.checked_sub(weight) else {
            break;
        };
        left = rest;
        length += bytes;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_weigh_what_they_become_as_json() {
        let all: Vec<u8> = (0..=255).collect();
        let table: [&[u8]; 6] = [
            b"plain",
            b"\x1b[2K\"\\\n\x7f",
            "é€𝄞".as_bytes(),
            b"\xff\xe2\x82",
            b"",
            &all,
        ];
        for bytes in table {
            let json = serde_json::json!(String::from_utf8_lossy(bytes)).to_string();
            assert_eq!(weight(bytes), json.len() - 2, "{bytes:?}");
        }
    }

    #[test]
    fn beginnings_and_ends_are_cut_between_characters() {
        let text = "a\u{1b}é€".as_bytes();
        let table = [
            (0, 0),
            (1, 1),
            (6, 1),
            (7, 2),
            (8, 2),
            (9, 4),
            (12, 7),
            (99, 7),
        ];
        for (most, length) in table {
            assert_eq!(beginning(text, most), length, "{most}");
        }
        for (most, length) in [(0, 0), (2, 0), (3, 3), (5, 5), (10, 5), (11, 6), (12, 7)] {
            assert_eq!(end(text, most), length, "{most}");
        }
    }
}
