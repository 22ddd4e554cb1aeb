//! Adding to and taking from a list of a JSON text without touching the rest.
//!
//! Invariant: taking away the item that was added last gives the text from before,
//! byte for byte. Comments, order, line ends and indentation stay as they are, and
//! a new item takes the form of the one before it. It knows brackets, commas and
//! comments, and deliberately nothing of what an item means.

use std::ops::Range;

use jsonc_parser::tokens::{Token, TokenAndRange};

/// Text to put where a range of the original is; positions are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    at: Range<usize>,
    with: String,
}

impl Splice {
    pub(super) fn new(at: Range<usize>, with: impl Into<String>) -> Self {
        Self {
            at,
            with: with.into(),
        }
    }

    fn insert(at: usize, with: impl Into<String>) -> Self {
        Self::new(at..at, with)
    }

    fn remove(at: Range<usize>) -> Self {
        Self::new(at, "")
    }
}

/// The text with every splice in its place. They must stand in order.
pub(super) fn apply(text: &str, splices: &[Splice]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for Splice { at, with } in splices {
        out.push_str(&text[done..at.start]);
        out.push_str(with);
        done = at.end;
    }
    out.push_str(&text[done..]);
    out
}

/// The items of one array or object.
pub(super) struct List<'a> {
    text: &'a str,
    tokens: &'a [TokenAndRange<'a>],
    /// Behind the opening bracket.
    open: usize,
    /// Before the closing bracket.
    close: usize,
    items: Vec<Range<usize>>,
}

impl<'a> List<'a> {
    /// `whole` is the list with its brackets; `tokens` are those of the whole text,
    /// comments included.
    pub(super) fn new(
        text: &'a str,
        tokens: &'a [TokenAndRange<'a>],
        whole: Range<usize>,
        items: Vec<Range<usize>>,
    ) -> Self {
        Self {
            text,
            tokens,
            open: whole.start + 1,
            close: whole.end - 1,
            items,
        }
    }

    /// Puts an item behind the others.
    pub(super) fn append(&self, item: &str) -> Vec<Splice> {
        let Some(last) = self.items.last() else {
            return self.first(item);
        };
        let comma = self.comma(last.end..self.close);
        let behind = comma.map_or(last.end, |comma| comma + 1);
        let (at, lead) = match self.line_of(last.start) {
            // A comment behind the last item is about that one and stays there.
            Some(line) => (
                self.behind_comments(behind),
                self.text[line..last.start].to_owned(),
            ),
            None => (behind, " ".to_owned()),
        };
        match comma {
            Some(_) => vec![Splice::insert(at, format!("{lead}{item},"))],
            None => vec![
                Splice::insert(last.end, ","),
                Splice::insert(at, format!("{lead}{item}")),
            ],
        }
    }

    fn first(&self, item: &str) -> Vec<Splice> {
        if !self.text[self.open..self.close].contains('\n') {
            return vec![Splice::insert(self.open, item)];
        }
        let at = self
            .tokens_in(self.open..self.close)
            .last()
            .map_or(self.open, |comment| comment.range.end);
        let line = self.text[..self.close].rfind('\n').map_or(0, |at| at + 1);
        let outer = blank(&self.text[line..self.close]);
        let lead = format!("{}{outer}{}", newline(self.text), self.unit());
        vec![Splice::insert(at, format!("{lead}{item}"))]
    }

    /// Takes an item out, with the comma that goes with it.
    pub(super) fn remove(&self, index: usize) -> Vec<Splice> {
        let Some(item) = self.items.get(index) else {
            return Vec::new();
        };
        let before = index.checked_sub(1).map(|index| &self.items[index]);
        let next = self
            .items
            .get(index + 1)
            .map_or(self.close, |next| next.start);
        let own_line = self.line_of(item.start);
        let spaces = self.text[..item.start]
            .trim_end_matches([' ', '\t'])
            .len()
            .max(self.open);
        let start = match (own_line, before) {
            (Some(line), _) => line,
            (None, Some(_)) => spaces,
            (None, None) => item.start,
        };
        match (self.comma(item.end..next), before) {
            (Some(comma), _) => {
                let mut end = comma + 1;
                if own_line.is_none() && before.is_none() {
                    end += self.text[end..].len() - self.text[end..].trim_start_matches(' ').len();
                }
                vec![Splice::remove(start..item.end), Splice::remove(comma..end)]
            }
            (None, Some(before)) => {
                let comma = self.comma(before.end..item.start);
                comma
                    .map(|comma| Splice::remove(comma..comma + 1))
                    .into_iter()
                    .chain([Splice::remove(
                        start.max(comma.map_or(0, |comma| comma + 1))..item.end,
                    )])
                    .collect()
            }
            (None, None) => vec![Splice::remove(start..item.end)],
        }
    }

    /// Where the line break before an item is, when nothing else stands before the
    /// item on its line.
    fn line_of(&self, start: usize) -> Option<usize> {
        let lead = self.text[self.open..start].trim_end_matches([' ', '\t']);
        let lead = lead.strip_suffix('\n')?;
        Some(self.open + lead.strip_suffix('\r').unwrap_or(lead).len())
    }

    fn tokens_in(&self, range: Range<usize>) -> impl Iterator<Item = &TokenAndRange<'a>> {
        self.tokens
            .iter()
            .filter(move |token| token.range.start >= range.start && token.range.end <= range.end)
    }

    fn comma(&self, range: Range<usize>) -> Option<usize> {
        self.tokens_in(range)
            .find(|token| matches!(token.token, Token::Comma))
            .map(|token| token.range.start)
    }

    /// The end of the comments that follow on the same line.
    fn behind_comments(&self, from: usize) -> usize {
        let mut end = from;
        for token in self.tokens_in(from..self.close) {
            if self.text[end..token.range.start].contains('\n') {
                break;
            }
            end = token.range.end;
        }
        end
    }

    /// One step of indentation, as the first indented line of the text has it.
    fn unit(&self) -> &'a str {
        self.text
            .lines()
            .map(blank)
            .find(|lead| !lead.is_empty())
            .unwrap_or("  ")
    }
}

/// The spaces and tabs a line begins with.
fn blank(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// How the text ends its lines.
pub(super) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}
