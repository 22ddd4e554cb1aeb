//! Secrets that code hands to functions: `bcrypt('…')`, `auth=('bob', '…')`.
//!
//! Invariant: the name of the function says which argument it is, and only that one
//! is taken. Only texts that stand there in quotes are found; what a variable holds is not
//! in the record.

use super::fields::{QUOTES, closing, name_byte};
use super::names;
use super::spans::Span;

/// Functions whose first text is a secret, in lower case, without what they belong to.
#[rustfmt::skip]
const FIRST: [&str; 17] = [
    "bcrypt", "hashpw", "hashsync", "password_hash", "generate_password_hash", "make_password",
    "set_password", "setpassword", "hash_password", "hashpassword", "pbkdf2_hmac", "cryptpw",
    "crypt", "password_verify", "checkpw", "check_password", "verify_password",
];

/// Functions whose second text is one, after a name.
#[rustfmt::skip]
const SECOND: [&str; 7] = [
    "auth", "login", "httpbasicauth", "httpdigestauth", "changeuserpassword", "basic_auth",
    "basicauth",
];

/// How far before a call its owner is looked for, in bytes.
const CONTEXT: usize = 64;

/// What the classes of a hash call it.
const HASHING: [&str; 8] = [
    "hash",
    "hashsync",
    "encrypt",
    "verify",
    "compare",
    "comparesync",
    "using",
    "create",
];

/// Longest list of arguments that is looked at, in bytes.
const LONGEST: usize = 512;

/// Finds secrets among the arguments of calls.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for (open, _) in text.match_indices('(') {
        let head = text[..open].trim_end_matches([' ', '=']);
        let length = bytes[..head.len()]
            .iter()
            .rev()
            .take(64)
            .take_while(|byte| name_byte(**byte))
            .count();
        let whole = head[head.len() - length..].to_ascii_lowercase();
        let (of, name) = match whole.rsplit_once('.') {
            Some((_, name)) => (true, name),
            None => (false, whole.as_str()),
        };
        // `bcrypt.hash('…')`, `BCrypt::Password.create('…')`.
        let hashes = of && HASHING.contains(&name) && {
            let begin = text.floor_char_boundary(head.len().saturating_sub(CONTEXT));
            let context = text[begin..head.len()].to_ascii_lowercase();
            let owner = context.rfind('.').map_or("", |dot| &context[..dot]);
            let owner = owner
                .rsplit([' ', ';', ',', '='])
                .next()
                .unwrap_or_default();
            ["crypt", "argon2", "pbkdf2"]
                .iter()
                .any(|it| owner.contains(it))
        };
        let assigned = text[..open].ends_with('=') || text[..open].ends_with("= ");
        let number = if (hashes || FIRST.contains(&name)) && !assigned {
            // The first argument of this one is the name of a digest.
            1 + usize::from(name == "pbkdf2_hmac")
        } else if SECOND.contains(&name) && (of || assigned || name.len() > 5) {
            2
        } else {
            continue;
        };
        let end = text.floor_char_boundary(open + 1 + LONGEST);
        if let Some((start, end)) = argument(&text[..end], open + 1, number)
            && !names::harmless("password", &text[start..end])
        {
            out.push(Span::plain(start, end, "password"));
        }
    }
}

/// The argument with this number, counted from 1, where it is a text in quotes.
fn argument(text: &str, from: usize, number: usize) -> Option<(usize, usize)> {
    let mut at = from;
    for current in 1..=number {
        at += text[at..].len() - text[at..].trim_start().len();
        // `b'…'` and its like.
        let prefix = text[at..]
            .strip_prefix(['b', 'r', 'u', 'f', 'B'])
            .is_some_and(|rest| rest.starts_with(['"', '\'', '\\']));
        let quoted = at + usize::from(prefix);
        let quote = QUOTES
            .into_iter()
            .find(|quote| text[quoted..].starts_with(quote));
        let after = match quote {
            Some(quote) => {
                let start = quoted + quote.len();
                let end = start + closing(&text[start..], quote)?;
                if current == number {
                    return Some((start, end));
                }
                end + quote.len()
            }
            None => at,
        };
        let comma = after + text[after..].find([',', ')', '(', '\n'])?;
        if !text[comma..].starts_with(',') {
            return None;
        }
        at = comma + 1;
    }
    None
}
