//! Writes words as some person or program would type them.
//!
//! Invariant: none that holds for the result: it is quoted well, badly or not at
//! all, with shell syntax in between, which is what the policy must cope with.

use super::pools::SYNTAX;
use super::random::Random;

/// Joins words to a command line.
pub(super) fn line(words: &[String], random: &mut Random) -> String {
    let mut text = String::new();
    if random.one_in(80) {
        text.push_str(random.choose::<&str>(&[" ", "\t", "\n", "A=b ", "exec ", "command ", "\\"]));
    }
    for (position, word) in words.iter().enumerate() {
        if position > 0 {
            text.push_str(random.choose::<&str>(&[
                " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", "  ", "\t",
            ]));
        }
        quoted(&mut text, word, random);
    }
    for _ in 0..[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2][random.below(12)] {
        splice(&mut text, random);
    }
    text
}

/// Adds a word the way some person would quote it, or does not quote it.
fn quoted(text: &mut String, word: &str, random: &mut Random) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+%@".contains(c);
    match random.below(16) {
        0 => single(text, word),
        1 => double(text, word),
        2 => {
            for c in word.chars() {
                if !plain(c) || random.one_in(4) {
                    text.push('\\');
                }
                text.push(c);
            }
        }
        // Each part in quotes of its own, or in none.
        3 => {
            let chars: Vec<char> = word.chars().collect();
            for part in chars.chunks(1 + random.below(4)) {
                let part: String = part.iter().collect();
                match random.below(3) {
                    0 => single(text, &part),
                    1 => double(text, &part),
                    _ => text.push_str(&part),
                }
            }
        }
        4..=6 => text.push_str(word),
        _ if !word.is_empty() && word.chars().all(plain) => text.push_str(word),
        // A pattern or a home directory works only without quotes.
        _ if word.contains(['*', '?', '['])
            && !word.contains(['\'', ' ', '\\'])
            && random.one_in(2) =>
        {
            text.push_str(word);
        }
        _ if word.starts_with('~') => text.push_str(word),
        _ => single(text, word),
    }
}

fn single(text: &mut String, word: &str) {
    text.push('\'');
    text.push_str(&word.replace('\'', r"'\''"));
    text.push('\'');
}

fn double(text: &mut String, word: &str) {
    text.push('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

/// Puts shell syntax somewhere.
fn splice(text: &mut String, random: &mut Random) {
    let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
    let place = if places.is_empty() || random.one_in(6) {
        text.len()
    } else {
        *random.choose(&places)
    };
    text.insert_str(place, random.choose::<&str>(SYNTAX));
}

/// The words of a known command, with the quotes around whole words taken off.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quote = None;
    let mut open = false;
    for c in text.chars() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                if !open {
                    words.push(String::new());
                }
                open = true;
            }
            (Some(closing), c) if c == closing => quote = None,
            (None, ' ' | '\t') => open = false,
            (_, c) => {
                if !open {
                    words.push(String::new());
                }
                open = true;
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words
}
