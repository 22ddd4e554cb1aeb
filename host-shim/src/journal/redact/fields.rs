//! Secrets that a text itself names: fields, headers, URLs, SQL.
//!
//! Works on the bare text, whatever it is: a connection string, a query
//! string, YAML or JSON in a here-document, a header in a message.

use super::names;
use super::spans::Span;

/// Headers whose value is a credential, in lower case.
const HEADERS: [&str; 18] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-auth-key",
    "x-vault-token",
    "private-token",
    "job-token",
    "x-access-token",
    "x-amz-security-token",
    "x-csrf-token",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-functions-key",
];

/// Authentication schemes, which are kept (RFC 9110 section 11.4).
const SCHEMES: [&str; 9] = [
    "bearer ",
    "basic ",
    "token ",
    "digest ",
    "apikey ",
    "negotiate ",
    "aws4-hmac-sha256 ",
    "splunk ",
    "bot ",
];

/// Finds secrets that are named in the text.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    let lower = text.to_ascii_lowercase();
    fields(text, out);
    headers(text, &lower, out);
    bearers(text, &lower, out);
    urls(text, out);
    sql(text, &lower, out);
}

fn name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// `name=value`, `name: value`, `"name": "value"`, `name => 'value'`.
fn fields(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for (at, mark) in text.match_indices(['=', ':']) {
        let after = bytes.get(at + 1).copied();
        let colon = mark == ":";
        let no_field = (colon && (after == Some(b':') || text[at..].starts_with("://")))
            || (at > 0 && matches!(bytes[at - 1], b':' | b'=' | b'!' | b'<' | b'>'));
        if no_field {
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
        let Some(value) = Value::at(text, from) else {
            continue;
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
        }
    }
}

/// Whether more words follow on the line.
fn goes_on(rest: &str) -> bool {
    rest.strip_prefix([' ', '\t'])
        .is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_alphanumeric()))
}

/// Whether a word could hardly be a word of a language.
fn strong(value: &str) -> bool {
    let digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let sign = value[..value.len().saturating_sub(1)]
        .bytes()
        .any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'.' | b'/' | b'\''));
    value.len() >= 6 && letter && (digit || sign)
}

struct Name<'a> {
    text: &'a str,
    start: usize,
    spaced: bool,
}

impl<'a> Name<'a> {
    /// The name that ends before a mark, whatever quotes it.
    fn before(text: &'a str, mark: usize) -> Option<Self> {
        let head = text[..mark].trim_end_matches([' ', '\t']);
        let spaced = head.len() < mark;
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

impl Value {
    /// The value that begins at a place.
    fn at(text: &str, from: usize) -> Option<Self> {
        let rest = &text[from..];
        for quote in ["\\\"", "\\'", "\"", "'"] {
            let Some(inner) = rest.strip_prefix(quote) else {
                continue;
            };
            let start = from + quote.len();
            let end = closing(inner, quote)?;
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
fn closing(inner: &str, quote: &str) -> Option<usize> {
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
    if let Some(marker) = rest.strip_prefix(super::spans::MARKER) {
        return marker
            .find(']')
            .map_or(0, |end| super::spans::MARKER.len() + end + 1);
    }
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
    end
}

fn starts_field(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '"', '\'']);
    let name = rest.bytes().take_while(|byte| name_byte(*byte)).count();
    let after = rest[name..].trim_start_matches(['"', '\'', ' ']);
    rest.is_empty() || (name > 0 && after.starts_with(['=', ':']))
}

/// `Header: value`, to the end of the line or of the quotes around it.
fn headers(text: &str, lower: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for header in HEADERS {
        for (at, _) in lower.match_indices(header) {
            let inside = at > 0 && name_byte(bytes[at - 1]);
            let mut from = at + header.len();
            let own_quote = [r#"\""#, "\"", "'"]
                .into_iter()
                .find(|quote| text[from..].starts_with(quote));
            from += own_quote.map_or(0, str::len);
            from += text[from..].len() - text[from..].trim_start_matches(' ').len();
            if inside || !matches!(bytes.get(from), Some(b':')) {
                continue;
            }
            from += 1;
            let start = from + skip_blank(&text[from..]);
            let frame = text[..at]
                .chars()
                .next_back()
                .filter(|c| matches!(c, '"' | '\''));
            let opens = text[start..].starts_with(['"', '\'']);
            let end = start
                + match (own_quote, frame) {
                    (None, None) if opens => quoted_value(&text[start..]),
                    (None, Some(frame)) => until(&text[start..], &[frame, '\n']),
                    (Some(_), _) => quoted_value(&text[start..]),
                    (None, None) if start == from => {
                        until(&text[start..], &[' ', '\t', '\n', '"', '\''])
                    }
                    (None, None) if text[from..].starts_with('\\') => escaped_word(&text[start..]),
                    (None, None) => until(&text[start..], &['\n', '"']),
                };
            credential(text, lower, start, end, header, out);
        }
    }
}

fn skip_blank(rest: &str) -> usize {
    let bare = rest.trim_start_matches([' ', '\t', '\\']);
    rest.len() - bare.len()
}

fn until(rest: &str, stops: &[char]) -> usize {
    let stop = rest.find(stops).unwrap_or(rest.len());
    // An escaped line end is one, too.
    rest[..stop]
        .find("\\n")
        .or_else(|| rest[..stop].find("\\r"))
        .unwrap_or(stop)
}

/// The value of a header that is a JSON member.
fn quoted_value(rest: &str) -> usize {
    for quote in ["\\\"", "\"", "'"] {
        if let Some(inner) = rest.strip_prefix(quote) {
            return quote.len() + closing(inner, quote).unwrap_or(inner.len());
        }
    }
    until(rest, &[',', '}', '\n'])
}

/// A word in which blanks are escaped.
fn escaped_word(rest: &str) -> usize {
    let mut skip = false;
    for (at, c) in rest.char_indices() {
        if skip {
            skip = false;
        } else if c == '\\' {
            skip = true;
        } else if c.is_whitespace() {
            return at;
        }
    }
    rest.len()
}

fn credential(
    text: &str,
    lower: &str,
    start: usize,
    end: usize,
    header: &'static str,
    out: &mut Vec<Span>,
) {
    let quotes =
        text[start..end].len() - text[start..end].trim_start_matches(['"', '\'', '\\']).len();
    let mut start = start + quotes;
    let unescaped = lower[start..end].replace("\\ ", " ");
    if let Some(scheme) = SCHEMES.iter().find(|scheme| unescaped.starts_with(*scheme)) {
        start += scheme.len() - 1;
        start += skip_blank(&text[start..end]);
    }
    let value = text[start..end].trim_end();
    let kind = match header {
        "cookie" | "set-cookie" => "cookie",
        _ => "header",
    };
    if !names::harmless(kind, value) {
        out.push(Span::plain(start, start + value.len(), kind));
    }
}

/// `Bearer <token>` without its header.
fn bearers(text: &str, lower: &str, out: &mut Vec<Span>) {
    for scheme in ["bearer ", "bearer%20"] {
        for (at, _) in lower.match_indices(scheme) {
            let start = at + scheme.len();
            let length = text[start..]
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte))
                .count();
            let token = &text[start..start + length];
            if length >= 12 && strong(token) {
                out.push(Span::plain(start, start + length, "token"));
            }
        }
    }
}

/// The password in the user part of a URL (RFC 3986 section 3.2.1).
fn urls(text: &str, out: &mut Vec<Span>) {
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let rest = &text[from..];
        let blank = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|'))
            .unwrap_or(rest.len());
        let rest = &rest[..blank];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let user = match authority.rfind('@') {
            Some(user) => user,
            // A password with a slash that should have been encoded: what
            // looks like a port is no number.
            None => match (authority.split_once(':'), rest.rfind('@')) {
                (Some((_, port)), Some(user))
                    if !port.is_empty() && !port.bytes().all(|byte| byte.is_ascii_digit()) =>
                {
                    user
                }
                _ => continue,
            },
        };
        let info = &rest[..user];
        match info.split_once(':') {
            Some((name, password)) => {
                if !names::harmless("password", password) {
                    let start = from + name.len() + 1;
                    out.push(Span::plain(start, from + user, "password"));
                }
            }
            // A long user name with digits is a token.
            None if info.len() >= 20 && strong(info) => {
                out.push(Span::plain(from, from + user, "token"));
            }
            None => {}
        }
    }
}

/// Statements in which `password` is followed by one.
const STATEMENTS: [&str; 7] = [
    "alter user",
    "alter role",
    "create user",
    "create role",
    "set password",
    "identified",
    "alter login",
];

/// Passwords in SQL: `IDENTIFIED BY '…'`, `PASSWORD '…'`, `PASSWORD('…')`.
fn sql(text: &str, lower: &str, out: &mut Vec<Span>) {
    if !STATEMENTS.iter().any(|words| lower.contains(words)) {
        return;
    }
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
                " by" | " as" if !lower[..at].contains("identified with") => continue,
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
            for quote in ["'", "\\'", "\"", "\\\""] {
                if let Some(inner) = bare.strip_prefix(quote)
                    && let Some(end) = closing(inner, quote)
                {
                    let start = from + gap + quote.len();
                    if !names::harmless("password", &text[start..start + end]) {
                        out.push(Span::plain(start, start + end, "password"));
                    }
                }
            }
        }
    }
}
