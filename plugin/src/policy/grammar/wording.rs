//! Which search patterns can show no line that holds a secret, as far as words tell.
//!
//! Invariant: a pattern passes only if every line it can match holds a whole word
//! of three letters or more that is neither the name of a secret nor a part of one.
//! A search for `TODO` or `listen` then shows nothing of a forgotten settings file
//! that lies below, and a search for everything does not pass. What files are
//! searched is none of its business.

use super::super::paths::Shown;

/// Parts of the names under which settings hold secrets, in lower case.
const HUNTED: &[&str] = &[
    "access", "account", "admin", "amqp", "api", "auth", "aws", "azure", "bearer", "begin", "card",
    "client", "conn", "cookie", "cred", "crypt", "data", "dsn", "env", "export", "gcp", "github",
    "gitlab", "google", "hash", "iban", "jwt", "key", "kube", "login", "mail", "master", "mongo",
    "otp", "pass", "pgp", "postgres", "priv", "pwd", "rabbit", "redis", "rsa", "salt", "secret",
    "session", "slack", "smtp", "sql", "ssh", "stripe", "token", "twilio", "uri", "url", "user",
    "value", "vault",
];

/// Names whose parts would find them as well.
const FRAGMENTED: &[&str] = &[
    "apikey",
    "authorization",
    "bearer",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "private",
    "secret",
    "token",
];

/// Words of configuration files that hold a part of [`HUNTED`] and mean no secret.
const HARMLESS: &[&str] = &[
    "access_log",
    "client_max_body_size",
    "fastcgi_pass",
    "grpc_pass",
    "keepalive_timeout",
    "max_connections",
    "proxy_pass",
    "scgi_pass",
    "uwsgi_pass",
    "worker_connections",
];

/// Words in capitals that name no variable.
const CAPITALS: &[&str] = &[
    "BUG",
    "CMD",
    "COPY",
    "CRITICAL",
    "DEBUG",
    "DELETE",
    "DEPRECATED",
    "ERROR",
    "EXPOSE",
    "FATAL",
    "FIXME",
    "FROM",
    "GET",
    "HACK",
    "HEAD",
    "HTTP",
    "HTTPS",
    "INFO",
    "NOTE",
    "OOM",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "RUN",
    "SELECT",
    "TODO",
    "TRACE",
    "WARN",
    "WARNING",
    "XXX",
];

/// Operators of regular expressions between words that make none of them optional.
const BETWEEN: &[&str] = &[
    ".*", r"\s*", r"\s+", r"\s", r"\b", r"\<", r"\>", r"\.", r"\/", r"\-",
];

/// What the lines that match any of the patterns can hold.
pub(super) fn shown<'a>(patterns: impl Iterator<Item = &'a str>, any_case: bool) -> Shown {
    let mut count = 0;
    let plain = patterns
        .inspect(|_| count += 1)
        .flat_map(|pattern| pattern.split('|'))
        .all(|alternative| {
            is_plain(
                alternative.strip_suffix('\\').unwrap_or(alternative),
                any_case,
            )
        });
    match (plain && count > 0, any_case) {
        (false, _) => Shown::Any,
        (true, true) => Shown::WordsAnyCase,
        (true, false) => Shown::Words,
    }
}

/// Whether a pattern without alternatives holds a harmless word, and no other.
fn is_plain(pattern: &str, any_case: bool) -> bool {
    let mut rest = pattern.strip_prefix('^').unwrap_or(pattern);
    rest = rest.strip_suffix('$').unwrap_or(rest);
    let mut found = false;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_alphanumeric() || c == '_' {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            // A repetition would make the last letter optional.
            if after.starts_with(['*', '?', '+', '{', '\\']) && !is_between(after) {
                return false;
            }
            match judge(word, any_case) {
                Word::Harmless => found = true,
                Word::Number => {}
                Word::Hunted => return false,
            }
            rest = after;
        } else if let Some(operator) = BETWEEN.iter().find(|between| rest.starts_with(**between)) {
            rest = &rest[operator.len()..];
        } else if " /:,;@#<>=-.\"'%&!~".contains(c) {
            rest = &rest[1..];
            if rest.starts_with(['*', '?', '+', '{']) {
                return false;
            }
        } else {
            return false;
        }
    }
    found
}

fn is_between(text: &str) -> bool {
    BETWEEN.iter().any(|between| text.starts_with(between))
}

enum Word {
    Harmless,
    Number,
    Hunted,
}

fn judge(word: &str, any_case: bool) -> Word {
    if HARMLESS.contains(&word) {
        return Word::Harmless;
    }
    // Too short to find anything by itself; beside another word it only narrows.
    let short = word.len() < 3 && !word.bytes().any(|byte| byte.is_ascii_uppercase());
    if short || word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Word::Number;
    }
    let harmless = word.split('_').filter(|part| !part.is_empty()).all(|part| {
        let lower = part.to_ascii_lowercase();
        let capital = !part.bytes().any(|byte| byte.is_ascii_lowercase());
        part.len() >= 3
            && (any_case || !capital || CAPITALS.contains(&part))
            && !HUNTED.iter().any(|hunted| lower.contains(hunted))
            && !FRAGMENTED.iter().any(|name| name.contains(&lower))
    });
    if harmless && word.len() >= 3 && word.len() <= 64 {
        Word::Harmless
    } else {
        Word::Hunted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_words_from_hunts() {
        for (pattern, expected) in [
            ("TODO", Shown::Words),
            ("listen", Shown::Words),
            ("import os", Shown::Words),
            ("if x", Shown::Any),
            ("proxy_pass", Shown::Words),
            ("server_name example.org", Shown::Words),
            ("^listen 443", Shown::Words),
            ("TODO|FIXME", Shown::Words),
            (r"TODO\|FIXME", Shown::Words),
            ("listen.*443", Shown::Words),
            ("timeout = 30", Shown::Words),
            ("", Shown::Any),
            (".", Shown::Any),
            (".*", Shown::Any),
            ("=", Shown::Any),
            ("443", Shown::Any),
            ("a", Shown::Any),
            ("TODO|", Shown::Any),
            ("|x", Shown::Any),
            ("password", Shown::Any),
            ("PASSWORD", Shown::Any),
            ("P.SSWORD", Shown::Any),
            ("pas", Shown::Any),
            ("word", Shown::Any),
            ("sswor", Shown::Any),
            ("DB_HOST", Shown::Any),
            ("MAILGUN", Shown::Any),
            ("AKIA", Shown::Any),
            ("BEGIN", Shown::Any),
            ("-----", Shown::Any),
            ("listen*", Shown::Any),
            ("listen\\?", Shown::Any),
            ("(listen)?", Shown::Any),
            ("[a-z]", Shown::Any),
            ("apikey", Shown::Any),
            ("api_key", Shown::Any),
            ("secret", Shown::Any),
            ("x{0,3}", Shown::Any),
            ("listen\\{0,1\\}", Shown::Any),
            ("listen.*password", Shown::Any),
            ("postgres://", Shown::Any),
            ("mysql", Shown::Any),
        ] {
            assert_eq!(shown([pattern].into_iter(), false), expected, "{pattern}");
        }
        assert_eq!(shown(["TODO", ""].into_iter(), false), Shown::Any);
        assert_eq!(shown([].into_iter(), false), Shown::Any);
        assert_eq!(shown(["listen"].into_iter(), true), Shown::WordsAnyCase);
    }
}
