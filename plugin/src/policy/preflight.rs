//! The check every text passes before anything reads it.
//!
//! Invariant: what passes can be shown to a person as it is: no control, no
//! character that reorders or hides text, and no more than the length cap. A
//! space that only looks like one is not refused but asked about, because the
//! question shows it escaped and such characters occur in honest file names.
//! Tab and newline are shell syntax and left to the scanner.

use super::types::Finding;

/// Longest command or path, in bytes. A longer command belongs in a file.
pub(super) const LENGTH_CAP: usize = 64 * 1024;

/// Checks a text; `what` names it in the reason.
pub(super) fn check(what: &str, text: &str) -> Option<Finding> {
    if text.len() > LENGTH_CAP {
        return Some(Finding::reject(
            "preflight.length",
            format!(
                "the {what} has {} bytes; more than {LENGTH_CAP} cannot be shown",
                text.len()
            ),
        ));
    }
    // Printable ASCII is nearly everything there is.
    if text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n'))
    {
        return None;
    }
    let mut lookalike = None;
    for (at, c) in text.char_indices() {
        match classify(c) {
            Class::Plain => {}
            Class::Control => {
                return Some(refusal(
                    "preflight.control",
                    "is a control character",
                    what,
                    at,
                    c,
                ));
            }
            Class::Bidi => {
                return Some(refusal(
                    "preflight.bidi",
                    "changes the order in which text is shown",
                    what,
                    at,
                    c,
                ));
            }
            Class::Invisible => {
                return Some(refusal(
                    "preflight.invisible",
                    "is not visible",
                    what,
                    at,
                    c,
                ));
            }
            Class::LookalikeSpace => {
                lookalike.get_or_insert((at, c));
            }
        }
    }
    lookalike.map(|(at, c)| {
        Finding::ask(
            "preflight.space",
            format!(
                "U+{:04X} at byte {at} of the {what} looks like a space and is none",
                c as u32
            ),
        )
    })
}

fn refusal(rule: &str, finding: &str, what: &str, at: usize, c: char) -> Finding {
    Finding::reject(
        rule,
        format!("U+{:04X} at byte {at} of the {what} {finding}", c as u32),
    )
}

enum Class {
    Plain,
    Control,
    Bidi,
    Invisible,
    LookalikeSpace,
}

/// Sorts a character by what it does to a reader. The ranges follow the Unicode
/// properties `Cc`, `Bidi_Control`, `Default_Ignorable_Code_Point` and `Zs`.
fn classify(c: char) -> Class {
    match c {
        '\t' | '\n' => Class::Plain,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Class::Control,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Class::Bidi
        }
        // Line and paragraph separators end a line in many viewers.
        '\u{2028}' | '\u{2029}' => Class::Control,
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Class::Invisible,
        // Private use and non-characters have no agreed shape.
        '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fffe}'
        | '\u{ffff}'
        | '\u{f0000}'..='\u{10ffff}' => Class::Invisible,
        '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{2800}'
        | '\u{3000}' => Class::LookalikeSpace,
        _ => Class::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::Decision;
    use super::*;

    #[test]
    fn names_the_character_and_its_place() {
        let cases: &[(&str, &str, &str)] = &[
            ("ls \u{1b}[2K", "preflight.control", "U+001B at byte 3"),
            ("ls\rrm", "preflight.control", "U+000D at byte 2"),
            ("ls\0", "preflight.control", "U+0000 at byte 2"),
            ("ls\u{85}", "preflight.control", "U+0085 at byte 2"),
            ("cat é\u{202e}txt", "preflight.bidi", "U+202E at byte 6"),
            ("l\u{200b}s", "preflight.invisible", "U+200B at byte 1"),
            ("ls\u{e0041}", "preflight.invisible", "U+E0041 at byte 2"),
            ("uptime\u{a0}-p", "preflight.space", "U+00A0 at byte 6"),
            ("a\u{3000}\u{202e}", "preflight.bidi", "U+202E at byte 4"),
        ];
        for (text, rule, words) in cases {
            let found = check("command", text).expect("every case has something to find");
            let decision = match *rule {
                "preflight.space" => Decision::ApprovalRequired,
                _ => Decision::Reject,
            };
            assert_eq!(
                (found.decision, found.rule.as_str()),
                (decision, *rule),
                "{text:?}"
            );
            assert!(found.reason.contains(words), "{text:?}: {}", found.reason);
        }
        for text in ["ls -la", "grep 'größe' x\n\ty", "ls 文件"] {
            assert!(check("command", text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn caps_the_length() {
        assert!(check("command", &"a".repeat(LENGTH_CAP)).is_none());
        let found = check("command", &"a".repeat(LENGTH_CAP + 1)).expect("one byte too many");
        assert_eq!(found.rule, "preflight.length");
    }
}
