//! How bytes from a server become text for a model: decoding, cutting at
//! character boundaries, times and modes.
//!
//! Invariant: text is never repaired silently: what is not UTF-8 is either refused
//! by the caller or marked. Escaping for a terminal is done where something is
//! shown.

use serde_json::{Map, Value, json};

use crate::bindings::openshell::host::types::{Output, Printed};

/// Seconds since 1970 as RFC 3339 in UTC.
pub(crate) fn time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// Permission bits in octal, four digits.
pub(crate) fn mode(bits: u32) -> String {
    format!("{:04o}", bits & 0o7777)
}

/// Splits a piece of a UTF-8 file into what decodes: bytes to skip at the front
/// (a character begun before the piece) and the text. None when the piece is
/// not text. `first` and `last` say whether the piece touches the file's ends.
pub(crate) fn decode_piece(bytes: &[u8], first: bool, last: bool) -> Option<(usize, &str)> {
    let skip = if first {
        0
    } else {
        // A UTF-8 character has at most three continuation bytes (RFC 3629, section 3).
        bytes
            .iter()
            .take(3)
            .take_while(|byte| (0x80..0xC0).contains(*byte))
            .count()
    };
    let rest = &bytes[skip..];
    if rest.contains(&0) {
        return None;
    }
    match std::str::from_utf8(rest) {
        Ok(text) => Some((skip, text)),
        // `error_len` is none exactly when the bytes end inside a character.
        Err(error) if error.error_len().is_none() && !last => {
            std::str::from_utf8(&rest[..error.valid_up_to()])
                .ok()
                .map(|text| (skip, text))
        }
        Err(_) => None,
    }
}

/// How much of somebody else's text a sentence quotes, in characters.
const QUOTED_MAX: usize = 200;

/// A text in a sentence: its beginning, marked where that is not all of it.
pub(crate) fn clipped(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The same in quotation marks, with what cannot be seen escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", clipped(text))
}

/// Server name under which the helper itself keeps long output.
pub(crate) const LOCAL: &str = "@local";

/// Adds `stdout` and `stderr` of a command to a result, and how to read what was
/// left out: the arguments of a `remote_read_file`.
pub(crate) fn insert_output(data: &mut Map<String, Value>, output: &Output) {
    for (name, printed) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let (text, lossy) = printed_text(printed, &format!("{name}Rest"));
        data.insert(name.to_owned(), json!(text));
        if lossy {
            data.insert(format!("{name}NotUtf8"), json!(true));
        }
        if let Some(kept) = printed.kept.as_ref().filter(|_| left_out(printed) > 0) {
            data.insert(
                format!("{name}Rest"),
                json!({
                    "tool": "remote_read_file",
                    "arguments": {
                        "server": LOCAL,
                        "path": kept.id,
                        "offset": trim_end(&printed.head).len(),
                    },
                    "keptBytes": kept.bytes,
                }),
            );
        }
    }
}

fn left_out(printed: &Printed) -> u64 {
    let shown = (printed.head.len() + printed.tail.len()) as u64;
    printed.total.saturating_sub(shown)
}

/// Printed bytes as text, with a line that says what was left out and which field
/// of the result says how to read it.
fn printed_text(printed: &Printed, rest: &str) -> (String, bool) {
    let left_out = left_out(printed);
    if left_out == 0 {
        let mut whole = printed.head.clone();
        whole.extend_from_slice(&printed.tail);
        return lossy(&whole);
    }
    let (head, head_lossy) = lossy(trim_end(&printed.head));
    let (tail, tail_lossy) = lossy(trim_start(&printed.tail));
    let total = printed.total;
    let told = match printed.kept {
        Some(_) => format!("{left_out} of {total} bytes left out; {rest} says how to read them"),
        None => format!("{left_out} of {total} bytes left out"),
    };
    (
        format!("{head}\n[... {told} ...]\n{tail}"),
        head_lossy || tail_lossy,
    )
}

fn lossy(bytes: &[u8]) -> (String, bool) {
    let text = String::from_utf8_lossy(bytes);
    let changed = matches!(text, std::borrow::Cow::Owned(_));
    (text.into_owned(), changed)
}

/// Drops a character that the cut went through at the end.
fn trim_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

/// Drops a character that the cut went through at the front.
fn trim_start(bytes: &[u8]) -> &[u8] {
    let skip = bytes
        .iter()
        .take(3)
        .take_while(|byte| (0x80..0xC0).contains(*byte))
        .count();
    &bytes[skip..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::openshell::host::types::Kept;

    fn printed(head: &str, tail: &str, total: u64) -> Printed {
        Printed {
            head: head.as_bytes().to_vec(),
            tail: tail.as_bytes().to_vec(),
            total,
            kept: None,
        }
    }

    #[test]
    fn pieces_are_cut_between_characters() {
        let text = "añb€".as_bytes();
        let cases = [
            (text, true, true, Some((0, "añb€"))),
            (&text[..2], true, false, Some((0, "a"))),
            (&text[2..], false, true, Some((1, "b€"))),
            (&text[..text.len() - 1], true, false, Some((0, "añb"))),
            (&text[..text.len() - 1], true, true, None),
            (&b"a\0b"[..], true, true, None),
            (&b"\xff\xfe"[..], true, true, None),
        ];
        for (bytes, first, last, expected) in cases {
            assert_eq!(decode_piece(bytes, first, last), expected, "{bytes:?}");
        }
    }

    #[test]
    fn output_says_what_was_left_out() {
        let (text, lossy) = printed_text(&printed("one\n", "nine\n", 100), "stdoutRest");
        assert_eq!(text, "one\n\n[... 91 of 100 bytes left out ...]\nnine\n");
        assert!(!lossy);
        assert_eq!(printed_text(&printed("all", "", 3), "stdoutRest").0, "all");
    }

    #[test]
    fn sentences_quote_the_beginning_of_a_long_text() {
        assert_eq!(quoted("a\u{1b}\"b"), r#""a\u{1b}\"b""#);
        assert_eq!(clipped(&"é".repeat(200)), "é".repeat(200));
        let long = clipped(&"é".repeat(201));
        assert_eq!(long, format!("{}…", "é".repeat(200)));
    }

    #[test]
    fn reading_on_begins_with_the_character_that_was_cut_through() {
        let kept = Kept {
            id: "out-5".to_owned(),
            bytes: 90,
        };
        let whole = Printed {
            kept: Some(kept),
            ..printed("aé", "z", 100)
        };
        let cut = Printed {
            head: b"a\xc3".to_vec(),
            ..whole.clone()
        };
        for (printed, offset) in [(whole, 3), (cut, 1)] {
            let output = Output {
                stdout: printed,
                stderr: super::tests::printed("", "", 0),
                duration_ms: 1,
            };
            let mut data = Map::new();
            insert_output(&mut data, &output);
            assert_eq!(data["stdoutRest"]["arguments"]["offset"], offset);
        }
    }

    #[test]
    fn what_is_kept_is_told_with_how_to_read_it() {
        let kept = Kept {
            id: "out-5".to_owned(),
            bytes: 90,
        };
        let output = Output {
            stdout: Printed {
                kept: Some(kept),
                ..printed("one\n", "nine\n", 100)
            },
            stderr: printed("all", "", 3),
            duration_ms: 1,
        };
        let mut data = Map::new();
        insert_output(&mut data, &output);
        let expected = json!({
            "stdout": "one\n\n[... 91 of 100 bytes left out; stdoutRest says how to read them \
                       ...]\nnine\n",
            "stdoutRest": {
                "tool": "remote_read_file",
                "arguments": {"server": "@local", "path": "out-5", "offset": 4},
                "keptBytes": 90,
            },
            "stderr": "all",
        });
        assert_eq!(Value::Object(data), expected);
    }

    #[test]
    fn times_and_modes_read_well() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
        assert_eq!(mode(0o100_644), "0644");
    }
}
