//! Secrets in what the web is made of: headers, bearer tokens, URLs.
//!
//! Invariant: the name of the header, the scheme and the host stay readable.
//! Whether a URL is valid does not matter.

use super::fields::{closing, name_byte, strong};
use super::names;
use super::spans::Span;

/// Headers whose value is a credential, in lower case.
#[rustfmt::skip]
const HEADERS: [&str; 18] = [
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
    "apikey", "x-auth-token", "x-auth-key", "x-vault-token", "private-token", "job-token",
    "x-access-token", "x-amz-security-token", "x-csrf-token", "x-goog-api-key",
    "ocp-apim-subscription-key", "x-functions-key",
];

/// Authentication schemes, which are kept (RFC 9110 section 11.4).
#[rustfmt::skip]
const SCHEMES: [&str; 9] = [
    "bearer ", "basic ", "token ", "digest ", "apikey ", "negotiate ", "aws4-hmac-sha256 ",
    "splunk ", "bot ",
];

/// How far a URL is looked at, in bytes.
const LONGEST_URL: usize = 2 * 1024;

/// Finds credentials of HTTP and of URLs.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    let lower = text.to_ascii_lowercase();
    headers(text, &lower, out);
    bearers(text, &lower, out);
    urls(text, out);
    connections(text, out);
}

/// `Header: value`, to the end of the line or of the quotes around it.
fn headers(text: &str, lower: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for header in HEADERS {
        let mut done = 0;
        for (at, _) in lower.match_indices(header) {
            let inside = at < done || (at > 0 && name_byte(bytes[at - 1]));
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
            done = end;
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

/// What stands behind the host, an address of IPv6 in brackets included.
fn port_of(authority: &str) -> Option<&str> {
    let host = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    match host {
        Some((_, behind)) => behind.strip_prefix(':'),
        None => authority.split_once(':').map(|(_, port)| port),
    }
}

/// Connection strings that are no URLs: `user:SECRET@tcp(host:port)/db`, and
/// `user:SECRET@host:port/db`.
fn connections(text: &str, out: &mut Vec<Span>) {
    const LONGEST: usize = 256;
    // Schemes of addresses that have no password.
    const OTHERS: [&str; 8] = [
        "mailto", "sip", "sips", "xmpp", "git", "ssh", "acct", "sha256",
    ];
    let stop = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ',' | ';');
    for (at, _) in text.match_indices('@') {
        let rest = &text[at + 1..];
        let host = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            .count();
        let driver = [
            "tcp(",
            "tcp6(",
            "unix(",
            "udp(",
            "cloudsql(",
            "cloudsql-mysql(",
        ]
        .iter()
        .any(|driver| rest.starts_with(driver));
        let port = rest[host..].strip_prefix(':').unwrap_or_default();
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        let served = host > 0 && (2..=5).contains(&digits) && port[digits..].starts_with('/');
        if !driver && !served {
            continue;
        }
        let before = &text[text.floor_char_boundary(at.saturating_sub(LONGEST))..at];
        let begin = before.rfind(stop).map_or(0, |stop| {
            stop + before[stop..].chars().next().map_or(0, char::len_utf8)
        });
        let info = &before[begin..];
        let Some((user, secret)) = info.split_once(':') else {
            continue;
        };
        let user = user.rsplit('=').next().unwrap_or_default();
        let plain = !user.is_empty() && user.bytes().all(name_byte);
        if plain
            && !secret.starts_with("//")
            && !OTHERS.contains(&user)
            && !names::harmless("password", secret)
        {
            out.push(Span::plain(at - secret.len(), at, "password"));
        }
    }
}

/// The password in the user part of a URL (RFC 3986 section 3.2.1).
fn urls(text: &str, out: &mut Vec<Span>) {
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let rest = &text[from..text.floor_char_boundary(from + LONGEST_URL)];
        let blank = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|'))
            .unwrap_or(rest.len());
        let rest = &rest[..blank];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let user = match authority.rfind('@') {
            Some(user) => user,
            // A password with a slash that should have been encoded: what
            // looks like a port is no number.
            None => match (port_of(authority), rest.rfind('@')) {
                (Some(port), Some(user))
                    if !port.is_empty()
                        && !port.bytes().all(|byte| byte.is_ascii_digit())
                        && !names::harmless("password", port) =>
                {
                    user
                }
                _ => continue,
            },
        };
        let info = &rest[..user];
        match info.split_once(':') {
            Some((name, password)) if !names::harmless("password", password) => {
                let start = from + name.len() + 1;
                out.push(Span::plain(start, from + user, "password"));
            }
            // A long user name with digits is a token.
            None if info.len() >= 20 && strong(info) => {
                out.push(Span::plain(from, from + user, "token"));
            }
            _ => {}
        }
    }
}
