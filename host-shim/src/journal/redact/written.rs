//! Secrets in what a command writes into files, whose lines name no field: the
//! directives of servers, `.netrc`, `.pgpass`, the replacements of sed.
//!
//! Invariant: every form is told by what stands before the value; a word alone is
//! never taken for a secret. Works on the bare text, so it makes no difference whether `echo`, `printf` or
//! a here-document holds the lines.

use super::fields::{QUOTES, closing, goes_on, name_byte, strong};
use super::names;
use super::spans::Span;

/// Directives whose value follows after blanks: Redis, OpenLDAP, SNMP.
#[rustfmt::skip]
const DIRECTIVES: [&str; 8] = [
    "requirepass", "masterauth", "bindpw", "rootpw", "rootbindpw", "rocommunity", "rwcommunity",
    "ldap_default_authtok",
];

/// Ports that PostgreSQL and its poolers listen on.
const PORTS: [&str; 4] = ["5432", "5433", "6432", "*"];

/// Finds secrets in lines that are written.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    let lower = text.to_ascii_lowercase();
    directives(text, &lower, out);
    netrc(text, &lower, out);
    pgpass(text, &lower, out);
    ipsec(text, &lower, out);
    acl(text, &lower, out);
    substitutions(text, out);
}

/// `requirepass SECRET` at the beginning of a line, of a quoted text, of a part of
/// sed's substitution, or behind `echo`.
fn directives(text: &str, lower: &str, out: &mut Vec<Span>) {
    for name in DIRECTIVES {
        for (at, _) in lower.match_indices(name) {
            let before = &lower[..at];
            let line = before.trim_end_matches([' ', '\t']);
            let echoed = line.len() < before.len() && line.ends_with("echo");
            let last = before.bytes().next_back();
            let begins = line.is_empty()
                || line.ends_with('\n')
                || before.ends_with("\\n")
                || echoed
                || last.is_some_and(|byte| byte.is_ascii_punctuation() && !b"-_.$".contains(&byte));
            if !begins {
                continue;
            }
            let from = at + name.len();
            let gap = blanks(&text[from..]);
            let quotes = text[from + gap..].len()
                - text[from + gap..]
                    .trim_start_matches(['"', '\'', '\\'])
                    .len();
            let start = from + gap + quotes;
            // What began the text ends it, too.
            let frame = last
                .filter(|byte| byte.is_ascii_punctuation())
                .map(char::from);
            let value = token(&text[start..], frame);
            // A sentence about the directive; who may use a community follows it.
            let sentence = goes_on(&text[start + value.len()..])
                && !name.ends_with("community")
                && !strong(value);
            if gap > 0 && !sentence && !is_pattern(value) && !names::harmless("password", value) {
                out.push(Span::plain(start, start + value.len(), "password"));
            }
        }
    }
}

/// `machine HOST login NAME password SECRET`, in any order, on one line or several.
fn netrc(text: &str, lower: &str, out: &mut Vec<Span>) {
    for (at, word) in ["machine", "default"]
        .iter()
        .flat_map(|word| lower.match_indices(word))
    {
        if at > 0
            && lower.as_bytes()[at - 1].is_ascii_alphanumeric()
            && !lower[..at].ends_with("\\n")
        {
            continue;
        }
        let mut from = at + word.len();
        if word == "machine" {
            let Some((_, end)) = next_token(text, from) else {
                continue;
            };
            from = end;
        }
        let (mut named, mut secret) = (false, None);
        while let Some((start, end)) = next_token(text, from) {
            let Some((value, after)) = next_token(text, end) else {
                break;
            };
            match &lower[start..end] {
                "login" => named = true,
                "account" => {}
                "password" => secret = Some((value, after)),
                _ => break,
            }
            from = after;
        }
        // Without a login the words are rather those of a sentence.
        if let Some((start, end)) = secret.filter(|_| named)
            && !names::harmless("password", &text[start..end])
        {
            out.push(Span::plain(start, end, "password"));
        }
    }
}

/// `host:port:database:user:SECRET`, where the text speaks of the file or the port
/// is one of PostgreSQL's. A colon in a field has a backslash before it.
fn pgpass(text: &str, lower: &str, out: &mut Vec<Span>) {
    let spoken_of = lower.contains("pgpass");
    let mut from = 0;
    while let Some((start, end)) = next_token(text, from) {
        from = end;
        let line = &text[start..end];
        let mut marks = Vec::new();
        let mut escaped = false;
        for (at, byte) in line.bytes().enumerate() {
            if byte == b':' && !escaped {
                marks.push(at);
            }
            escaped = byte == b'\\' && !escaped;
        }
        let [first, second, _, fourth] = marks[..] else {
            continue;
        };
        let port = &line[first + 1..second];
        let numbered =
            port == "*" || (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        let known = PORTS.contains(&port) && first > 0;
        let secret = &line[fourth + 1..];
        if ((spoken_of && numbered) || (known && strong(secret)))
            && !names::harmless("password", secret)
        {
            out.push(Span::plain(start + fourth + 1, end, "password"));
        }
    }
}

/// `: PSK "SECRET"` and its like, as ipsec.secrets(5) has them, and the passphrase
/// behind the file of a key.
fn ipsec(text: &str, lower: &str, out: &mut Vec<Span>) {
    const KINDS: [(&str, bool); 9] = [
        ("psk", false),
        ("eap", false),
        ("xauth", false),
        ("ntlm", false),
        ("pin", false),
        ("rsa", true),
        ("ecdsa", true),
        ("p12", true),
        ("pkcs8", true),
    ];
    for (at, _) in lower.match_indices(": ") {
        let from = at + 2 + blanks(&text[at + 2..]);
        let Some((kind, file)) = KINDS.iter().find(|(kind, _)| {
            lower[from..]
                .strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with([' ', '\t']))
        }) else {
            continue;
        };
        let mut start = from + kind.len();
        start += blanks(&text[start..]);
        if *file {
            let name = token(&text[start..], None);
            start += name.len();
            start += blanks(&text[start..]);
        }
        let quote = QUOTES
            .into_iter()
            .find(|quote| text[start..].starts_with(quote));
        let end = match quote {
            Some(quote) => {
                start += quote.len();
                closing(&text[start..], quote).map(|length| start + length)
            }
            // In hexadecimal digits or in base64.
            None if lower[start..].starts_with("0x") || lower[start..].starts_with("0s") => {
                Some(start + token(&text[start..], None).len())
            }
            None => None,
        };
        if let Some(end) = end
            && !names::harmless("password", &text[start..end])
        {
            out.push(Span::plain(start, end, "password"));
        }
    }
}

/// `user NAME on >SECRET ~* +@all`, a line of the users of Redis.
fn acl(text: &str, lower: &str, out: &mut Vec<Span>) {
    for (at, word) in lower.match_indices("user ") {
        let frame = lower[..at].chars().next_back();
        let newline = lower[..at].ends_with("\\n");
        if !newline && frame.is_some_and(|c| !matches!(c, '\n' | '"' | '\'')) {
            continue;
        }
        let mut from = at + word.len();
        let mut is_user = false;
        // What quotes the line ends it, too.
        let stop = |c: char| c == '\n' || (Some(c) == frame && !newline);
        let line = text[from..].find(stop).map_or(text.len(), |end| from + end);
        while let Some((start, end)) = next_token(&text[..line], from) {
            from = end;
            match &text[start..end] {
                "on" | "off" => is_user = true,
                rule if is_user && rule.starts_with(['>', '#']) && rule.len() > 1 => {
                    out.push(Span::plain(start + 1, end, "password"));
                }
                _ => {}
            }
        }
    }
}

/// What a substitution of sed or perl, `s/…/NAME=SECRET/`, puts in place.
fn substitutions(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, _) in text.match_indices('s') {
        let begins = at == 0
            || matches!(
                bytes[at - 1],
                b'\'' | b'"' | b' ' | b';' | b'{' | b'/' | b',' | b'\n'
            )
            || bytes[at - 1].is_ascii_digit();
        let Some(mark) = bytes.get(at + 1).filter(|byte| b"/|#,@!:%~".contains(byte)) else {
            continue;
        };
        if at < done || !begins {
            continue;
        }
        let Some(pattern) = part(bytes, at + 2, *mark) else {
            continue;
        };
        let Some(replacement) = part(bytes, pattern + 1, *mark) else {
            continue;
        };
        done = replacement;
        if is_pattern_with_name(&text[at + 2..pattern]) {
            replaced(text, pattern + 1, replacement, out);
        }
    }
}

/// Whether a pattern speaks of a field that holds a secret.
fn is_pattern_with_name(pattern: &str) -> bool {
    pattern
        .split(|c: char| !c.is_ascii() || !name_byte(c as u8))
        .any(|name| names::kind(name.trim_matches('.')).is_some())
}

/// The value behind the first name that announces a secret, to the end of the
/// replacement or of the quotes around it.
fn replaced(text: &str, from: usize, to: usize, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < to {
        let length = bytes[at..to].iter().take_while(|b| name_byte(**b)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let name = &text[at..at + length];
        at += length;
        let Some(kind) = names::kind(name) else {
            continue;
        };
        let rest = &text[at..to];
        let value = rest.trim_start_matches(['"', '\'', '\\', ' ', '\t']);
        let Some(value) = value.strip_prefix(['=', ':']) else {
            continue;
        };
        let value = value.trim_start_matches(['>', '"', '\'', '\\', ' ', '\t']);
        let start = to - value.len();
        let value = value.trim_end_matches(['"', '\'', '\\', ';', ',', ' ']);
        let group = value == "&" || (start > 0 && bytes[start - 1] == b'\\' && value.len() < 3);
        if !group && !is_pattern(value) && !names::harmless(kind, value) {
            out.push(Span::plain(start, start + value.len(), kind));
        }
        return;
    }
}

/// Where a part of a substitution ends: at the next mark that is not escaped, on
/// the same line.
fn part(bytes: &[u8], from: usize, mark: u8) -> Option<usize> {
    const LONGEST: usize = 1024;
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(from).take(LONGEST) {
        match byte {
            b'\n' => return None,
            byte if *byte == mark && !escaped => return Some(at),
            byte => escaped = *byte == b'\\' && !escaped,
        }
    }
    None
}

/// Whether a value stands for any value: a regular expression, or printf's `%s`.
fn is_pattern(value: &str) -> bool {
    [".*", ".+", "[^", "\\S", "(.", "\\(", "\\1", "\\2", "%s"]
        .iter()
        .any(|pattern| value.starts_with(pattern))
}

fn blanks(rest: &str) -> usize {
    rest.len() - rest.trim_start_matches([' ', '\t']).len()
}

/// The word a text begins with, which ends at a blank, a quote or the frame.
fn token(rest: &str, frame: Option<char>) -> &str {
    let end = rest
        .char_indices()
        .find(|(at, c)| {
            c.is_whitespace()
                || matches!(c, '"' | '\'' | '`' | ';')
                || Some(*c) == frame
                || (*c == '\\' && escape(&rest[*at..]) > 0)
        })
        .map_or(rest.len(), |(at, _)| at);
    &rest[..end]
}

/// Length of an escaped line end or tabulator, as printf(1) takes it, or of an
/// escaped quote; 0 for anything else.
fn escape(rest: &str) -> usize {
    let escaped = ["\\n", "\\r", "\\t", "\\\"", "\\'"];
    if escaped.iter().any(|it| rest.starts_with(it)) {
        2
    } else {
        0
    }
}

/// The next word from a place on, between blanks, quotes and escaped line ends.
fn next_token(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut start = from;
    loop {
        let rest = &text[start..];
        let c = rest.chars().next()?;
        if c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ';') {
            start += c.len_utf8();
        } else if escape(rest) > 0 {
            start += 2;
        } else {
            break;
        }
    }
    Some((start, start + token(&text[start..], None).len()))
}
