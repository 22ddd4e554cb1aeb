//! Secrets that a text itself names: fields of all notations, and SQL.
//!
//! Works on the bare text, whatever it is: a connection string, a query
//! string, YAML or JSON in a here-document.
//!
//! Invariant: a name announces at most the value right behind it. Which names
//! announce one is `names`'s list.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::inserts;
use super::names;
use super::spans::{Span, markers_length};

/// Finds secrets that are named in the text.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    let lower = text.to_ascii_lowercase();
    fields(text, out);
    encoded(text, out);
    sql(text, &lower, out);
    inserts::find(text, &lower, out);
}

/// What can stand around a text, the longest first: a quote of the shell's that is
/// broken off for one quote comes before the quotes themselves.
pub(super) const QUOTES: [&str; 6] = [r"'\''", "'\"'\"'", "\\\"", "\\'", "\"", "'"];

/// Functions that fetch a value by a name, which is not the value.
#[rustfmt::skip]
const GETTERS: [&str; 24] = [
    "getenv", "get", "env", "environ", "input", "getpass", "prompt", "read", "open", "load",
    "lookup", "cat", "fetch", "config", "require", "required", "secret", "file", "var", "param",
    "option", "getattr", "readfile", "field",
];

/// Whether a byte can be part of a field's name.
pub(super) fn name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// `name=value`, `name: value`, `"name": "value"`, `name => 'value'`.
fn fields(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, mark) in text.match_indices(['=', ':']) {
        let after = bytes.get(at + 1).copied();
        let colon = mark == ":";
        let no_field = (colon && (after == Some(b':') || text[at..].starts_with("://")))
            || (at > 0 && matches!(bytes[at - 1], b':' | b'=' | b'!' | b'<' | b'>'));
        if no_field || at < done {
            continue;
        }
        let Some(name) = Name::before(text, at) else {
            continue;
        };
        // Options are a matter of the words of a command line.
        let option = name.text.starts_with('-');
        let Some(kind) = names::kind(name.text).filter(|_| !option) else {
            continue;
        };
        let mut from = at + 1;
        while matches!(bytes.get(from), Some(b'=' | b'>')) {
            from += 1;
        }
        let spaced = name.spaced || colon || from > at + 1;
        let gap = text[from..].len() - text[from..].trim_start_matches([' ', '\t']).len();
        if gap > 0 && !spaced {
            continue;
        }
        from += gap;
        let Some(value) = Value::at(text, from).filter(|it| it.quoted || !name.subscript) else {
            continue;
        };
        let value = match value.called(text) {
            Call::None => value,
            Call::Of(secret) => secret,
            Call::Other => continue,
        };
        if names::harmless(kind, &text[value.start..value.end]) {
            continue;
        }
        // In a sentence a colon announces a remark more often than a value.
        let sentence = (!name.starts_line(text) && (gap > 0 || name.follows_path(text)))
            || goes_on(&text[value.end..]);
        let remark = colon && !value.quoted && sentence && !strong(&text[value.start..value.end]);
        if !remark {
            out.push(Span::plain(value.start, value.end, kind));
            done = value.end;
        }
    }
}

/// Whether more words follow on the line.
pub(super) fn goes_on(rest: &str) -> bool {
    rest.strip_prefix([' ', '\t'])
        .is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_alphanumeric()))
}

/// Whether a word could hardly be a word of a language.
pub(super) fn strong(value: &str) -> bool {
    let digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    // In bytes, since the last character may have several.
    let sign = value.as_bytes()[..value.len().saturating_sub(1)]
        .iter()
        .any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'.' | b'/' | b'\''));
    value.len() >= 6 && letter && (digit || sign)
}

struct Name<'a> {
    text: &'a str,
    start: usize,
    spaced: bool,
    /// Whether it stands in brackets, which is code: only a text is a value then.
    subscript: bool,
}

impl<'a> Name<'a> {
    /// The name that ends before a mark, whatever quotes it.
    fn before(text: &'a str, mark: usize) -> Option<Self> {
        let head = text[..mark].trim_end_matches([' ', '\t']);
        let spaced = head.len() < mark;
        // `environ['NAME']`, where only a quote makes it a name.
        let inner = head
            .strip_suffix(']')
            .filter(|head| head.ends_with(['"', '\'']));
        let (head, subscript) = (inner.unwrap_or(head), inner.is_some());
        let bare = head
            .strip_suffix(['"', '\''])
            .map(|rest| rest.strip_suffix('\\').unwrap_or(rest));
        let head = bare.unwrap_or(head);
        let length = head
            .bytes()
            .rev()
            .take_while(|byte| name_byte(*byte))
            .count();
        let start = head.len() - length;
        // A closing quote that closes nothing near, or a variable.
        if length == 0 || text[..start].ends_with('$') || text[..start].ends_with("${") {
            return None;
        }
        Some(Self {
            text: &head[start..],
            start,
            spaced,
            subscript,
        })
    }

    /// Whether nothing but punctuation stands before it on its line.
    fn starts_line(&self, text: &str) -> bool {
        let before = text[..self.start].trim_end_matches([' ', '\t', '"', '\'', '\\', '-']);
        before.is_empty()
            || before.ends_with(['\n', '{', ',', '[', '(', ';', '|', '&', '?'])
            || (self.start >= 2 && text[..self.start].ends_with("\\n"))
    }

    fn follows_path(&self, text: &str) -> bool {
        text[..self.start].ends_with(['/', ':', '@'])
    }
}

struct Value {
    start: usize,
    end: usize,
    quoted: bool,
}

/// Whether a value is a call, `crypt('…', 'salt')`.
enum Call {
    None,
    /// With the text it is given.
    Of(Value),
    /// One that names no secret.
    Other,
}

impl Value {
    /// What a call without quotes around it is given first.
    fn called(&self, text: &str) -> Call {
        const DEEPEST: usize = 4;
        let bare = &text[self.start..self.end];
        let named = |name: &str| {
            let start = name
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            start && name.bytes().all(|b| name_byte(b) || b == b':')
        };
        let (head, rest) = match bare.find('(') {
            Some(at) => bare.split_at(at),
            // `bare_length` leaves a bracket out that opens nowhere in the value.
            None => return Call::None,
        };
        if self.quoted || !named(head) {
            return Call::None;
        }
        let name = head.rsplit(['.', ':']).next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let mut at = self.start + head.len();
        for _ in 0..DEEPEST {
            let Some(inner) = text[at..].strip_prefix('(') else {
                break;
            };
            let inner = inner.trim_start();
            at = text.len() - inner.len();
            // `b'…'` and its like.
            let from = at
                + usize::from(
                    inner
                        .strip_prefix(['b', 'r', 'u', 'N', 'E'])
                        .is_some_and(|rest| rest.starts_with(['"', '\'', '\\'])),
                );
            if let Some(value) = Self::at(text, from).filter(|value| value.quoted) {
                return if GETTERS.contains(&name.as_str()) {
                    Call::Other
                } else {
                    Call::Of(value)
                };
            }
            at += inner.bytes().take_while(|byte| name_byte(*byte)).count();
        }
        if rest == "()" {
            Call::Other
        } else {
            Call::None
        }
    }

    /// The value that begins at a place.
    fn at(text: &str, from: usize) -> Option<Self> {
        let rest = &text[from..];
        for quote in QUOTES {
            let Some(inner) = rest.strip_prefix(quote) else {
                continue;
            };
            let start = from + quote.len();
            let Some(end) = closing(inner, quote) else {
                // A broken-off quote may as well be an empty text and another.
                if quote.len() > 2 {
                    continue;
                }
                return None;
            };
            return (end > 0).then_some(Self {
                start,
                end: start + end,
                quoted: true,
            });
        }
        let length = bare_length(rest);
        (length > 0).then_some(Self {
            start: from,
            end: from + length,
            quoted: false,
        })
    }
}

/// Length of a quoted value. A quote that never closes, or whose value would
/// reach over a line, is no opening quote.
pub(super) fn closing(inner: &str, quote: &str) -> Option<usize> {
    let mut skip = false;
    for (at, c) in inner.char_indices() {
        if skip {
            skip = false;
        } else if inner[at..].starts_with(quote) {
            return Some(at);
        } else if c == '\\' && quote == "\"" {
            skip = true;
        } else if c == '\n' {
            return None;
        }
    }
    None
}

/// Length of a value without quotes: to the next blank, quote or separator.
fn bare_length(rest: &str) -> usize {
    // A reference may contain separators of its own.
    for (open, close) in [("$(", ')'), ("${", '}')] {
        if rest.starts_with(open)
            && let Some(end) = rest.find(close)
        {
            return end + 1;
        }
    }
    let markers = markers_length(rest);
    let rest = &rest[markers..];
    let stop = rest
        .char_indices()
        .find(|(at, c)| match c {
            '"' | '\'' | '`' | '&' | ';' | '|' | '<' | '>' => true,
            // A comma separates only where another field follows.
            ',' => starts_field(&rest[at + 1..]),
            '\\' => {
                let next = rest[at + 1..].chars().next();
                matches!(next, None | Some('"' | '\'' | 'n' | 'r' | 't'))
            }
            c => c.is_whitespace(),
        })
        .map_or(rest.len(), |(at, _)| at);
    let value = &rest[..stop];
    let mut end = value.len();
    for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
        if !value.contains(open) {
            end = end.min(value[..end].trim_end_matches([close, ',']).len());
        }
    }
    markers + end
}

fn starts_field(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '"', '\'']);
    let name = rest.bytes().take_while(|byte| name_byte(*byte)).count();
    let after = rest[name..].trim_start_matches(['"', '\'', ' ']);
    rest.is_empty() || (name > 0 && after.starts_with(['=', ':']))
}

/// `"auth": "…"` as clients of registries keep it: a name and a password in base64,
/// joined by a colon.
fn encoded(text: &str, out: &mut Vec<Span>) {
    for quote in ["\"", "\\\"", "'"] {
        let name = format!("{quote}auth{quote}");
        for (at, _) in text.match_indices(&name) {
            let rest = text[at + name.len()..].trim_start();
            let Some(rest) = rest.strip_prefix(':').map(str::trim_start) else {
                continue;
            };
            let Some(inner) = rest.strip_prefix(quote) else {
                continue;
            };
            let start = text.len() - inner.len();
            let Some(end) = closing(inner, quote) else {
                continue;
            };
            let pair = STANDARD.decode(&inner[..end]).unwrap_or_default();
            if pair.contains(&b':') {
                out.push(Span::plain(start, start + end, "secret"));
            }
        }
    }
}

/// Statements in which `password` is followed by one.
#[rustfmt::skip]
const STATEMENTS: [&str; 7] = [
    "alter user", "alter role", "create user", "create role", "set password", "identified",
    "alter login",
];

/// Passwords in SQL: `IDENTIFIED BY '…'`, `PASSWORD '…'`, `PASSWORD('…')`.
fn sql(text: &str, lower: &str, out: &mut Vec<Span>) {
    if !STATEMENTS.iter().any(|words| lower.contains(words)) {
        return;
    }
    let with = lower.find("identified with");
    for keyword in [
        "identified by",
        "password",
        "password for",
        " by",
        " as",
        "passwd",
    ] {
        for (at, _) in lower.match_indices(keyword) {
            let mut from = at + keyword.len();
            match keyword {
                // `IDENTIFIED WITH plugin BY '…'`, or AS.
                " by" | " as" if with.is_none_or(|with| with > at) => continue,
                // `SET PASSWORD FOR 'user'@'host' = '…'`.
                "password for" => match text[from..].find('=') {
                    Some(mark) => from += mark,
                    None => continue,
                },
                _ => {}
            }
            let bare = text[from..].trim_start_matches([' ', '\t', '\n', '(', '=']);
            let gap = text[from..].len() - bare.len();
            if gap == 0 {
                continue;
            }
            let opened = QUOTES.into_iter().find_map(|quote| {
                let inner = bare.strip_prefix(quote)?;
                Some((quote, closing(inner, quote)?))
            });
            if let Some((quote, end)) = opened {
                let start = from + gap + quote.len();
                if !names::harmless("password", &text[start..start + end]) {
                    out.push(Span::plain(start, start + end, "password"));
                }
            }
        }
    }
}
