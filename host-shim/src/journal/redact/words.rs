//! The words of a command line, with the place of every character.
//!
//! Follows the quoting rules of POSIX (XCU 2.2) closely enough to know what a
//! program would be handed, and tolerates what is no shell at all: a quote
//! that never ends is taken for an apostrophe. It decides nothing; the policy
//! has its own, strict scanner.
//!
//! Invariant: every byte of a word is traced to the bytes it came from.

/// One word or operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// First byte in the text, quotes included.
    pub(super) start: usize,
    /// Byte after the last, quotes included.
    pub(super) end: usize,
    /// The word as a program would see it.
    pub(super) text: String,
    /// For every byte of `text` the bytes it came from.
    origin: Vec<(usize, usize)>,
    /// Whether it separates commands.
    pub(super) operator: bool,
    /// Whether an opening bracket follows at once, as behind the name of a function.
    pub(super) called: bool,
}

impl Word {
    /// Whether its first character is a quote.
    pub(super) fn opens_quoted(&self) -> bool {
        self.origin
            .first()
            .is_some_and(|first| first.0 > self.start)
    }

    /// The place in the original text of `text[from..to]`.
    pub(super) fn place(&self, from: usize, to: usize) -> Option<(usize, usize)> {
        let start = self.origin.get(from)?.0;
        let end = self.origin.get(to.checked_sub(1)?)?.1;
        (start < end).then_some((start, end))
    }
}

/// Cuts a text into words and operators.
pub(super) fn split(text: &str) -> Vec<Word> {
    Scanner::new(text, false).run()
}

/// As [`split`], for what stands between two single quotes: a quote in there is
/// written `'\''`, which ends the quoted text, gives one and begins it again.
pub(super) fn split_quoted(text: &str) -> Vec<Word> {
    Scanner::new(text, true).run()
}

/// How a quote is written between single quotes.
const BROKEN: [&str; 2] = [r"'\''", "'\"'\"'"];

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    words: Vec<Word>,
    open: Option<Word>,
    /// Whether all of it stands between single quotes.
    quoted: bool,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, quoted: bool) -> Self {
        Self {
            text,
            at: 0,
            words: Vec::new(),
            open: None,
            quoted,
        }
    }

    fn run(mut self) -> Vec<Word> {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' => {
                    self.close();
                    self.at += 1;
                }
                '\'' => {
                    let rest = &self.text[self.at..];
                    let broken = BROKEN.into_iter().find(|it| rest.starts_with(it));
                    match broken.filter(|_| self.quoted) {
                        Some(quote) => self.single(quote),
                        None => self.single("'"),
                    }
                }
                '"' => self.double(),
                '\\' => self.escaped(),
                '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' | '`' => self.operator(c),
                '$' if self.text[self.at..].starts_with("$(") => self.operator('$'),
                _ => self.take(c),
            }
        }
        self.close();
        self.words
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn word(&mut self) -> &mut Word {
        let at = self.at;
        self.open.get_or_insert_with(|| Word {
            start: at,
            end: at,
            text: String::new(),
            origin: Vec::new(),
            operator: false,
            called: false,
        })
    }

    fn close(&mut self) {
        self.words.extend(self.open.take());
    }

    fn take(&mut self, c: char) {
        let (start, end) = (self.at, self.at + c.len_utf8());
        self.push(c, start, end);
    }

    fn push(&mut self, c: char, start: usize, end: usize) {
        let word = self.word();
        word.text.push(c);
        word.origin
            .extend(std::iter::repeat_n((start, end), c.len_utf8()));
        word.end = end;
        self.at = end;
    }

    fn operator(&mut self, c: char) {
        if let Some(word) = &mut self.open {
            word.called = c == '(';
        }
        self.close();
        let rest = &self.text[self.at..];
        let length = if c == '$' {
            2
        } else {
            rest.len() - rest.trim_start_matches(c).len()
        };
        self.words.push(Word {
            start: self.at,
            end: self.at + length,
            text: rest[..length].to_owned(),
            origin: Vec::new(),
            operator: true,
            called: false,
        });
        self.at += length;
    }

    fn escaped(&mut self) {
        let rest = &self.text[self.at + 1..];
        match rest.chars().next() {
            // A backslash before a newline joins two lines.
            Some('\n') => self.at += 2,
            Some(c) => {
                let (start, end) = (self.at, self.at + 1 + c.len_utf8());
                self.push(c, start, end);
            }
            None => self.take('\\'),
        }
    }

    fn single(&mut self, quote: &str) {
        let from = self.at + quote.len();
        let Some(length) = self.text[from..].find(quote) else {
            return self.take('\'');
        };
        self.word();
        let inner = &self.text[from..from + length];
        for (offset, c) in inner.char_indices() {
            self.push(c, from + offset, from + offset + c.len_utf8());
        }
        self.finish_quote(from + length + quote.len());
    }

    fn double(&mut self) {
        let from = self.at + 1;
        let mut pieces = Vec::new();
        let mut chars = self.text[from..].char_indices().peekable();
        let close = loop {
            match chars.next() {
                None => return self.take('"'),
                Some((offset, '"')) => break from + offset,
                Some((offset, '\\')) => match chars.peek().copied() {
                    Some((_, c @ ('"' | '\\' | '$' | '`'))) => {
                        chars.next();
                        pieces.push((c, from + offset, from + offset + 2));
                    }
                    _ => pieces.push(('\\', from + offset, from + offset + 1)),
                },
                Some((offset, c)) => {
                    pieces.push((c, from + offset, from + offset + c.len_utf8()));
                }
            }
        };
        self.word();
        for (c, start, end) in pieces {
            self.push(c, start, end);
        }
        self.finish_quote(close + 1);
    }

    fn finish_quote(&mut self, end: usize) {
        let word = self.word();
        word.end = end;
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::{split, split_quoted};

    #[test]
    fn words_are_what_a_program_sees() {
        let table: [(&str, &[&str]); 9] = [
            ("a b", &["a", "b"]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            (r#"-p'a'"b"c\ d"#, &["-pabc d"]),
            ("can't stop", &["can't", "stop"]),
            ("a;b&&c|d", &["a", ";", "b", "&&", "c", "|", "d"]),
            ("x <<< 'y z'", &["x", "<<<", "y z"]),
            ("a\\\nb", &["ab"]),
            (r#""a\"b""#, &["a\"b"]),
            ("", &[]),
        ];
        for (text, expected) in table {
            let words = split(text);
            let found: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_quote_between_quotes_is_one() {
        for text in [r"a '\''b c'\'' d", "a '\"'\"'b c'\"'\"' d"] {
            let words = split_quoted(text);
            let found: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(found, ["a", "b c", "d"], "{text}");
        }
    }

    #[test]
    fn every_character_has_a_place() {
        let text = r#"--password="x y" é"#;
        let words = split(text);
        let value = words[0].text.find('=').map(|at| at + 1).unwrap_or_default();
        let (start, end) = words[0]
            .place(value, words[0].text.len())
            .unwrap_or_default();
        assert_eq!(&text[start..end], "x y");
    }
}
