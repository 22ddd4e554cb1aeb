//! One line of a configuration file: its keyword and its words.
//!
//! Quoting is that of OpenSSH 8.7 and later (`argv_split`): single and double
//! quotes, a backslash before a quote, a backslash or (outside quotes) a space,
//! and a comment after the words.
//!
//! Invariant: quotes that do not close are an error. Keywords are not looked up.

/// A line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// In lower case: keywords are case-insensitive.
    pub(super) keyword: String,
    /// Arguments, unquoted.
    pub(super) words: Vec<String>,
    /// Everything after the keyword, for directives that take the rest of a line.
    pub(super) rest: String,
}

/// Reads one line; none for an empty one or a comment.
pub(super) fn parse(text: &str) -> Result<Option<Line>, &'static str> {
    // A form feed may end a line, as ssh(1) allows.
    let text = text.trim_matches([' ', '\t', '\r', '\x0c']);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let end = text.find([' ', '\t', '=', '"']).unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    if keyword.is_empty() {
        return Err("no keyword");
    }
    // Keyword and arguments may be apart by white space and at most one `=`.
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let rest = rest.trim_start_matches([' ', '\t']);
    Ok(Some(Line {
        keyword: keyword.to_ascii_lowercase(),
        words: split(rest)?,
        rest: rest.to_owned(),
    }))
}

fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (_, '\\') => {
                let escaped = characters.peek().copied().filter(|next| {
                    matches!(next, '"' | '\'' | '\\') || (quote.is_none() && *next == ' ')
                });
                if escaped.is_some() {
                    characters.next();
                }
                word.get_or_insert_default().push(escaped.unwrap_or('\\'));
            }
            (Some(open), close) if open == close => quote = None,
            (Some(_), inside) => word.get_or_insert_default().push(inside),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, other) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keyword and words of a line.
    type Expected = Option<(&'static str, &'static [&'static str])>;

    #[test]
    fn lines() {
        let table: [(&str, Expected); 14] = [
            ("", None),
            ("  # Host a", None),
            ("Host a b", Some(("host", &["a", "b"]))),
            ("\tHostName=h", Some(("hostname", &["h"]))),
            ("Port = 22", Some(("port", &["22"]))),
            ("Port\t22\r", Some(("port", &["22"]))),
            (
                "IdentityFile \"~/a key\"",
                Some(("identityfile", &["~/a key"])),
            ),
            (
                "IdentityFile ~/a\\ key",
                Some(("identityfile", &["~/a key"])),
            ),
            (
                "IdentityFile 'a \"b\"'",
                Some(("identityfile", &["a \"b\""])),
            ),
            ("User me # as always", Some(("user", &["me"]))),
            ("User me#1", Some(("user", &["me#1"]))),
            ("User \"\"", Some(("user", &[""]))),
            (
                "IdentityFile C:\\keys",
                Some(("identityfile", &["C:\\keys"])),
            ),
            ("Compression", Some(("compression", &[]))),
        ];
        for (text, expected) in table {
            let parsed = parse(text)
                .map(|line| line.map(|line| (line.keyword, line.words)))
                .map_err(str::to_owned);
            let expected = expected.map(|(keyword, words)| {
                let words = words.iter().map(ToString::to_string).collect();
                (keyword.to_owned(), words)
            });
            assert_eq!(parsed, Ok(expected), "{text:?}");
        }
        for bad in ["User \"me", "= 3", "User 'me"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
