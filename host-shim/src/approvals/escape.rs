//! Escaping of untrusted text for display.
//!
//! Invariant: injective. What cannot be seen becomes `⟦U+XXXX⟧`, and so does the
//! opening bracket of that notation itself, so no text can imitate an escape. It
//! does not shorten, and knows neither colour nor markup.

#[path = "../../../plugin/src/policy/unseen.rs"]
mod unseen;

use unseen::unseen;

/// Opens an escape; also escaped, which is what makes the mapping injective.
const OPEN: char = '⟦';

/// Escapes text that may have several lines; line feeds stay.
pub fn escape_text(text: &str) -> String {
    escape(text, true)
}

/// Escapes text that must stay on one line.
pub fn escape_line(text: &str) -> String {
    escape(text, false)
}

/// Escapes JSON so that a terminal shows it as it is: what cannot be seen becomes
/// `\uXXXX` (RFC 8259 section 7), which reads back as the same value. Only
/// strings can hold such characters, and white space between values stays.
pub fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || character == OPEN || !hidden(character) {
            shown.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    shown
}

fn escape(text: &str, line_feeds: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if (character == '\n' && line_feeds) || !hidden(character) {
            shown.push(character);
        } else {
            shown.push_str(&format!("{OPEN}U+{:04X}⟧", u32::from(character)));
        }
    }
    shown
}

/// Whether a terminal or a dialog shows a character as something else than itself:
/// by the list that the policy judges by, so that what it takes for unseen is never
/// shown as it is. A tab shows itself here.
fn hidden(character: char) -> bool {
    character == OPEN || (character != '\t' && unseen(character).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({
            "plain": "a b\tc é ⟦", "control": "\u{1b}[2J\u{9b}31m\u{7f}",
            "bidi": "\u{202e}", "tag": "\u{e0041}",
        });
        for json in [value.to_string(), format!("{value:#}")] {
            let shown = escape_json(&json);
            assert!(
                !shown.chars().any(|c| hidden(c) && c != '\n' && c != OPEN),
                "{shown}"
            );
            let read: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
            assert_eq!(read, value);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        let cases = [
            ("uptime", "uptime"),
            ("a\nb", "a\nb"),
            ("a\u{1b}[2Kb", "a⟦U+001B⟧[2Kb"),
            ("a\u{202e}b", "a⟦U+202E⟧b"),
            ("a\u{a0}b", "a⟦U+00A0⟧b"),
            ("a\u{200b}b", "a⟦U+200B⟧b"),
            ("a\u{1bca0}\u{1bca3}b", "a⟦U+1BCA0⟧⟦U+1BCA3⟧b"),
            ("a\u{fdd0}\u{1ffff}b", "a⟦U+FDD0⟧⟦U+1FFFF⟧b"),
            ("a\u{fffd}b", "a⟦U+FFFD⟧b"),
            ("⟦U+001B⟧", "⟦U+27E6⟧U+001B⟧"),
            ("é 日本 \\e", "é 日本 \\e"),
        ];
        for (text, shown) in cases {
            assert_eq!(escape_text(text), shown);
        }
        assert_eq!(escape_line("a\nb"), "a⟦U+000A⟧b");
    }

    proptest::proptest! {
        #[test]
        fn different_texts_look_different(a in ".{0,12}", b in ".{0,12}") {
            proptest::prop_assert_eq!(a == b, escape_line(&a) == escape_line(&b));
        }
    }
}
