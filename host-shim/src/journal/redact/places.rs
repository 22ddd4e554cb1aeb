//! Where a known program takes secrets among its arguments: how an entry of the table
//! in `clients` is applied.
//!
//! Invariant: an option that takes a value takes that one word, so that it is never
//! counted as an operand. Which programs a command runs is `command`'s business.

use super::clients::{Client, Flag, Form, Part, Spot};
use super::command::{assignment, option_like};
use super::names;
use super::spans::Span;
use super::words::Word;

/// Whether a word is a drive of Windows.
fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
}

/// Finds the secrets among a program's arguments.
pub(super) fn apply(client: &Client, arguments: &[&Word], out: &mut Vec<Span>) {
    let needed = client.needs.is_empty()
        || arguments
            .iter()
            .any(|word| client.needs.contains(&word.text.as_str()));
    if !needed {
        return;
    }
    let mut operands: Vec<&Word> = Vec::new();
    let mut letters = String::new();
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        at += 1;
        let next = arguments.get(at).copied();
        match taken(client, word, next) {
            Some((flag, Taken::Same(from))) => push_part(word, from, flag.part, "password", out),
            Some((flag, Taken::Next)) => {
                at += 1;
                if let Some(next) = next {
                    push_part(next, 0, flag.part, "password", out);
                }
            }
            None if client.values.contains(&word.text.as_str()) => at += 1,
            None if word.text.starts_with('-') && word.text.len() > 1 => {
                if !word.text.starts_with("--") {
                    letters.push_str(&word.text[1..]);
                }
            }
            None if client.ends_at_operand => return,
            None => operands.push(word),
        }
    }
    for spot in client.spots {
        pick(*spot, &operands, &letters, out);
    }
}

enum Taken {
    /// The value begins at this byte of the word.
    Same(usize),
    /// The value is the next word.
    Next,
}

/// The option a word is, with the place of its value.
fn taken<'c>(client: &'c Client, word: &Word, next: Option<&Word>) -> Option<(&'c Flag, Taken)> {
    let text = word.text.as_str();
    let follows = next.is_some_and(|next| !option_like(&next.text));
    for flag in client.flags {
        if text == flag.name {
            if flag.form != Form::Attached && follows {
                return Some((flag, Taken::Next));
            }
            continue;
        }
        let long = flag.name.starts_with("--");
        if flag.form != Form::Next
            && let Some(rest) = text.strip_prefix(flag.name)
        {
            if !long {
                return Some((flag, Taken::Same(flag.name.len())));
            }
            if rest.starts_with('=') {
                return Some((flag, Taken::Same(flag.name.len() + 1)));
            }
        }
        // Several short options in one word, the last one with a value.
        let letter = flag.name.strip_prefix('-').filter(|rest| rest.len() == 1);
        if let (Some(letter), Some(cluster)) = (letter, text.strip_prefix('-'))
            && !client.cluster.is_empty()
            && let Some(at) = cluster.find(letter)
            && cluster[..at].chars().all(|c| client.cluster.contains(c))
        {
            let value = 1 + at + 1;
            if value < text.len() {
                return Some((flag, Taken::Same(value)));
            }
            if follows {
                return Some((flag, Taken::Next));
            }
        }
    }
    None
}

fn pick(spot: Spot, operands: &[&Word], letters: &str, out: &mut Vec<Span>) {
    let after = |wanted: &str| {
        operands
            .iter()
            .position(|word| word.text.eq_ignore_ascii_case(wanted))
            .map(|at| &operands[at + 1..])
            .unwrap_or_default()
    };
    match spot {
        Spot::Operand(number, part) => {
            if let Some(word) = operands.get(number - 1) {
                push_part(word, 0, part, "password", out);
            }
        }
        Spot::After(wanted, number) => {
            if let Some(word) = after(wanted).get(number - 1) {
                push_part(word, 0, Part::Whole, "password", out);
            }
        }
        Spot::Token(wanted) => {
            let first = after(wanted).first();
            if let Some(word) = first.filter(|word| assignment(&word.text).is_none()) {
                push_part(word, 0, Part::Whole, "token", out);
            }
        }
        Spot::Begins(wanted, mark) => {
            for word in after(wanted) {
                if word.text.starts_with(mark) {
                    push_part(word, 0, Part::After(mark), "password", out);
                }
            }
        }
        Spot::Assigned(wanted) => {
            for word in after(wanted) {
                push_part(word, 0, Part::After('='), "secret", out);
            }
        }
        Spot::Named(wanted) => {
            let after = if wanted.is_empty() {
                operands
            } else {
                after(wanted)
            };
            for pair in after.windows(2) {
                // Behind the name of a kind of key stands the next setting.
                let setting = pair[1].text.contains('.') && names::kind(&pair[1].text).is_some();
                if let Some(kind) = names::kind(&pair[0].text)
                    && !setting
                    && !names::harmless(kind, &pair[1].text)
                {
                    push(pair[1], 0, pair[1].text.len(), kind, out);
                }
            }
        }
        Spot::Bare(wanted, from) => {
            const VERBS: [&str; 5] = ["add", "delete", "info", "password", "rename"];
            let bare = after(wanted).iter().filter(|word| {
                let text = word.text.as_str();
                let place = text.starts_with(['/', '\\']) || text == "*" || is_drive(text);
                !place && !VERBS.contains(&text)
            });
            for word in bare.skip(from - 1) {
                push_part(word, 0, Part::Whole, "password", out);
            }
        }
        Spot::LastWith(letter) => {
            if let Some(word) = operands.last().filter(|_| letters.contains(letter)) {
                push_part(word, 0, Part::Whole, "password", out);
            }
        }
    }
}

/// Takes a part of a value for a secret, unless it is none all the same.
pub(super) fn push_part(
    word: &Word,
    from: usize,
    part: Part,
    kind: &'static str,
    out: &mut Vec<Span>,
) {
    let value = &word.text[from..];
    // `file:…` and its like say where the secret is.
    if names::harmless(kind, value) {
        return;
    }
    let range = match part {
        Part::Whole => Some((0, value.len())),
        Part::After(mark) => value
            .find(mark)
            .map(|at| (at + mark.len_utf8(), value.len())),
        Part::Last(mark) => value
            .rfind(mark)
            .map(|at| (at + mark.len_utf8(), value.len())),
        Part::Connect => value.find('/').filter(|at| *at > 0).map(|at| {
            let end = value.rfind('@').filter(|end| *end > at);
            (at + 1, end.unwrap_or(value.len()))
        }),
    };
    if let Some((start, end)) = range
        && !names::harmless(kind, &value[start..end])
    {
        push(word, from + start, from + end, kind, out);
    }
}

/// Takes a piece of a word for a secret.
pub(super) fn push(word: &Word, from: usize, to: usize, kind: &'static str, out: &mut Vec<Span>) {
    // Quotes that the program itself takes off are no part of the secret.
    let value = &word.text[from..to];
    let framed = ['"', '\'']
        .iter()
        .any(|quote| to - from > 2 && value.starts_with(*quote) && value.ends_with(*quote));
    let (from, to) = if framed {
        (from + 1, to - 1)
    } else {
        (from, to)
    };
    if let Some((start, end)) = word.place(from, to) {
        out.push(Span {
            start,
            end,
            kind,
            secret: Some(word.text[from..to].to_owned()),
        });
    }
}
