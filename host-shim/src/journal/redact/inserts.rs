//! Secrets in rows that SQL writes: `INSERT INTO users(name, password) VALUES('b', '…')`.
//!
//! Invariant: the name of the column says which value it is, and only the text in its
//! place is taken. Rows without a list of columns say nothing and are left.

use super::fields::{QUOTES, closing};
use super::names;
use super::spans::Span;

/// How far rows are looked at, in bytes.
const LONGEST: usize = 4 * 1024;

/// Finds secrets among the values of rows; `lower` is the text in lower case.
pub(super) fn find(text: &str, lower: &str, out: &mut Vec<Span>) {
    let mut done = 0;
    for (at, _) in lower.match_indices("values") {
        if at < done {
            continue;
        }
        let head = lower[..at].trim_end();
        let Some(open) = head.strip_suffix(')').and_then(|head| head.rfind('(')) else {
            continue;
        };
        let begin = lower.floor_char_boundary(open.saturating_sub(256));
        let table = &lower[begin..open];
        if !table.contains("insert") && !table.contains("replace") {
            continue;
        }
        let columns: Vec<Option<&'static str>> = text[open + 1..head.len() - 1]
            .split(',')
            .map(|column| names::kind(column.trim_matches(|c: char| !c.is_ascii_alphanumeric())))
            .collect();
        if columns.iter().all(Option::is_none) {
            continue;
        }
        let end = text.floor_char_boundary(at + LONGEST);
        done = rows(&text[..end], at + "values".len(), &columns, out);
    }
}

/// The rows that begin at a place; gives where they end.
fn rows(text: &str, from: usize, columns: &[Option<&'static str>], out: &mut Vec<Span>) -> usize {
    let mut at = from;
    let (mut depth, mut column) = (0_usize, 0);
    let mut taken = false;
    while let Some(c) = text[at..].chars().next() {
        let quote = QUOTES
            .into_iter()
            .find(|quote| depth > 0 && text[at..].starts_with(quote));
        if let Some(quote) = quote {
            let start = at + quote.len();
            let Some(end) = literal(&text[start..], quote).map(|length| start + length) else {
                return at;
            };
            if let Some(kind) = columns.get(column).copied().flatten().filter(|_| !taken) {
                // In a call only the first text is it; the others are salts and names.
                taken = true;
                if !names::harmless(kind, &text[start..end]) {
                    out.push(Span::plain(start, end, kind));
                }
            }
            at = end + quote.len();
            continue;
        }
        match c {
            '(' => {
                if depth == 0 {
                    (column, taken) = (0, false);
                }
                depth += 1;
            }
            ')' if depth == 0 => return at,
            ')' => depth -= 1,
            ',' if depth == 1 => {
                column += 1;
                taken = false;
            }
            ',' => {}
            c if depth == 0 && !c.is_whitespace() => return at,
            _ => {}
        }
        at += c.len_utf8();
    }
    at
}

/// Length of a text in quotes, in which a quote may stand twice.
fn literal(inner: &str, quote: &str) -> Option<usize> {
    let mut at = closing(inner, quote)?;
    while quote.len() == 1 && inner[at + 1..].starts_with(quote) {
        at += 2 + closing(&inner[at + 2..], quote)?;
    }
    Some(at)
}
