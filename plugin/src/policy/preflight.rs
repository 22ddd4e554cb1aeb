//! The check every text passes before anything reads it.
//!
//! Invariant: what passes can be shown to a person as it is: no control, no
//! character that reorders or hides text, and no more than the length cap. A
//! space that only looks like one, and a letter or sign that is easily taken for one
//! of ASCII, is not refused but asked about, because the question shows it escaped
//! or by its number and such characters occur in honest file names.
//! Tab and newline are shell syntax and left to the scanner.

use super::types::Finding;
use super::unseen::{Unseen, unseen};

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
        if matches!(c, '\t' | '\n') {
            continue;
        }
        match unseen(c) {
            // One that stands for what could not be read is seen as that.
            None | Some(Unseen::Replacement) => {}
            Some(Unseen::Control) => {
                return Some(refusal(
                    "preflight.control",
                    "is a control character",
                    what,
                    at,
                    c,
                ));
            }
            Some(Unseen::Bidi) => {
                return Some(refusal(
                    "preflight.bidi",
                    "changes the order in which text is shown",
                    what,
                    at,
                    c,
                ));
            }
            Some(Unseen::Invisible) => {
                return Some(refusal(
                    "preflight.invisible",
                    "is not visible",
                    what,
                    at,
                    c,
                ));
            }
            Some(Unseen::Space) => {
                lookalike.get_or_insert((at, c));
            }
        }
    }
    if let Some((at, c)) = lookalike {
        let reason = format!(
            "U+{:04X} at byte {at} of the {what} looks like a space and is none",
            c as u32
        );
        return Some(Finding::ask("preflight.space", reason));
    }
    // Only a command is put before a person as a question about its signs.
    if what != "command" {
        return None;
    }
    let (at, c) = lookalike_of_ascii(text)?;
    let reason = format!(
        "U+{:04X} at byte {at} of the {what} is easily taken for a character of ASCII",
        c as u32
    );
    Some(Finding::ask("preflight.lookalike", reason))
}

/// The first sign that looks like one with a meaning in commands, or the first letter
/// of another alphabet in the midst of Latin ones. A word that is wholly in another
/// alphabet is a word of another language.
fn lookalike_of_ascii(text: &str) -> Option<(usize, char)> {
    let mut latin = false;
    let mut foreign = None;
    for (at, c) in text.char_indices() {
        if is_sign_like_ascii(c) {
            return Some((at, c));
        }
        if c.is_ascii_alphabetic() {
            latin = true;
        } else if is_letter_like_ascii(c) {
            foreign.get_or_insert((at, c));
        } else if !c.is_alphanumeric() {
            (latin, foreign) = (false, None);
        }
        if latin && foreign.is_some() {
            return foreign;
        }
    }
    None
}

/// Dashes, slashes, quotes, separators and whole alphabets whose shapes are those of
/// ASCII (Unicode TR 39, confusables).
fn is_sign_like_ascii(c: char) -> bool {
    matches!(c,
        '\u{b4}' | '\u{2b9}'..='\u{2bc}' | '\u{2c8}' | '\u{2d0}' | '\u{37e}' | '\u{387}'
        | '\u{55d}' | '\u{589}' | '\u{5be}' | '\u{5c0}' | '\u{5c3}' | '\u{5f3}' | '\u{5f4}'
        | '\u{1c0}' | '\u{1c3}' | '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201f}'
        | '\u{2024}'..='\u{2026}' | '\u{2032}'..='\u{2037}' | '\u{2039}' | '\u{203a}'
        | '\u{2041}' | '\u{2043}' | '\u{2044}' | '\u{2052}' | '\u{205a}'
        | '\u{2212}' | '\u{2215}'..='\u{2217}' | '\u{2223}' | '\u{2236}' | '\u{223c}'
        | '\u{2571}'..='\u{2573}' | '\u{27cb}' | '\u{27cd}' | '\u{2758}' | '\u{29f5}'
        | '\u{29f8}' | '\u{29f9}' | '\u{a789}' | '\u{fe10}'..='\u{fe19}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff01}'..='\u{ff5e}' | '\u{ffe8}'
        | '\u{1d400}'..='\u{1d7ff}'
    )
}

/// Letters of Greek, Coptic, Cyrillic, Armenian, Cherokee, Lisu and phonetic writing,
/// many of which have the shape of a Latin one.
fn is_letter_like_ascii(c: char) -> bool {
    matches!(c,
        '\u{250}'..='\u{2af}' | '\u{370}'..='\u{52f}' | '\u{531}'..='\u{58f}'
        | '\u{13a0}'..='\u{13ff}' | '\u{1c80}'..='\u{1c8f}' | '\u{1d00}'..='\u{1d7f}'
        | '\u{1f00}'..='\u{1fff}' | '\u{2c80}'..='\u{2cff}' | '\u{2de0}'..='\u{2dff}'
        | '\u{a4d0}'..='\u{a4ff}' | '\u{a640}'..='\u{a69f}' | '\u{ab70}'..='\u{abbf}'
    )
}

fn refusal(rule: &str, finding: &str, what: &str, at: usize, c: char) -> Finding {
    Finding::reject(
        rule,
        format!("U+{:04X} at byte {at} of the {what} {finding}", c as u32),
    )
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
            ("ls\u{1bca0}", "preflight.invisible", "U+1BCA0 at byte 2"),
            ("ls\u{fffc}", "preflight.invisible", "U+FFFC at byte 2"),
            ("ls\u{e1000}", "preflight.invisible", "U+E1000 at byte 2"),
            ("ls\u{1ffff}", "preflight.invisible", "U+1FFFF at byte 2"),
            ("uptime\u{a0}-p", "preflight.space", "U+00A0 at byte 6"),
            ("a\u{3000}\u{202e}", "preflight.bidi", "U+202E at byte 4"),
            (
                "cat /etc/sh\u{430}dow",
                "preflight.lookalike",
                "U+0430 at byte 11",
            ),
            ("\u{441}at x", "preflight.lookalike", "U+0441 at byte 0"),
            ("cat \u{2215}etc", "preflight.lookalike", "U+2215 at byte 4"),
            ("ls \u{2013}la", "preflight.lookalike", "U+2013 at byte 3"),
            (
                "echo \u{201c}x\u{201d}",
                "preflight.lookalike",
                "U+201C at byte 5",
            ),
            ("ls\u{37e} rm x", "preflight.lookalike", "U+037E at byte 2"),
            ("l\u{455} x", "preflight.lookalike", "U+0455 at byte 1"),
        ];
        for (text, rule, words) in cases {
            let found = check("command", text).expect("every case has something to find");
            let decision = match *rule {
                "preflight.space" | "preflight.lookalike" => Decision::ApprovalRequired,
                _ => Decision::Reject,
            };
            assert_eq!(
                (found.decision, found.rule.as_str()),
                (decision, *rule),
                "{text:?}"
            );
            assert!(found.reason.contains(words), "{text:?}: {}", found.reason);
        }
        for text in [
            "ls -la",
            "grep 'größe' x\n\ty",
            "ls 文件",
            "grep ошибка журнал.log",
            "cat αρχείο-1.txt",
            "ls naïve café",
            "ls caf\u{fffd}",
        ] {
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
