//! Places in a text that hold a secret, and the text without them.
//!
//! Invariant: what lies outside of the places is passed on byte for byte. Secrets
//! are not looked for here.

/// What every marker begins with.
const MARKER: &str = "[redacted:";

/// How many hexadecimal digits end a marker.
pub(super) const DIGITS: usize = 8;

/// Longest name of a kind, in bytes.
const LONGEST_KIND: usize = 24;

/// Length of the marker a text begins with: `[redacted:KIND:8 hex digits]` and
/// nothing else, since what passes for a marker is not looked at again.
pub(super) fn marker_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(MARKER)?;
    let kind = rest
        .bytes()
        .take(LONGEST_KIND)
        .take_while(|byte| byte.is_ascii_lowercase() || *byte == b'-')
        .count();
    let digits = rest[kind..].strip_prefix(':')?;
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let count = digits.bytes().take_while(hex).count();
    let whole = kind > 0 && count == DIGITS && digits[count..].starts_with(']');
    whole.then_some(MARKER.len() + kind + 1 + DIGITS + 1)
}

/// Length of all the markers a text begins with.
pub(super) fn markers_length(text: &str) -> usize {
    let mut length = 0;
    while let Some(next) = marker_length(&text[length..]) {
        length += next;
    }
    length
}

/// One secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
    /// Kind of secret, as the marker names it.
    pub(super) kind: &'static str,
    /// The secret as the program would see it, where quoting hides it.
    pub(super) secret: Option<String>,
}

impl Span {
    /// A secret that stands in the text as it is.
    pub(super) fn plain(start: usize, end: usize, kind: &'static str) -> Self {
        Self {
            start,
            end,
            kind,
            secret: None,
        }
    }
}

/// Replaces every span by its marker. Spans that overlap become one.
pub(super) fn render(
    text: &str,
    mut spans: Vec<Span>,
    marker: impl Fn(&str, &str) -> String,
) -> String {
    let kept = markers(text);
    spans.retain(|span| {
        span.start < span.end
            && text.is_char_boundary(span.start)
            && text.is_char_boundary(span.end)
    });
    let mut spans: Vec<Span> = spans
        .into_iter()
        .flat_map(|span| without(span, &kept))
        .collect();
    spans.sort_by(|one, other| {
        (one.start, std::cmp::Reverse(one.end)).cmp(&(other.start, std::cmp::Reverse(other.end)))
    });
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start < last.end => {
                if span.end > last.end {
                    last.end = span.end;
                    last.secret = None;
                }
            }
            _ => merged.push(span),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for span in merged {
        let raw = &text[span.start..span.end];
        out.push_str(&text[from..span.start]);
        out.push_str(&marker(span.kind, span.secret.as_deref().unwrap_or(raw)));
        from = span.end;
    }
    out.push_str(&text[from..]);
    out
}

/// A span without the markers in it. One that begins inside a marker was found in
/// the marker's own text, and is none.
fn without(span: Span, markers: &[(usize, usize)]) -> Vec<Span> {
    let first = markers.partition_point(|(_, end)| *end <= span.start);
    let within: Vec<(usize, usize)> = markers[first..]
        .iter()
        .copied()
        .take_while(|(start, _)| *start < span.end)
        .collect();
    if within.is_empty() {
        return vec![span];
    }
    let mut pieces = Vec::new();
    let mut from = span.start;
    for (start, end) in within {
        if start < span.start {
            return Vec::new();
        }
        if from < start {
            pieces.push(Span::plain(from, start, span.kind));
        }
        from = end;
    }
    if from < span.end {
        pieces.push(Span::plain(from, span.end, span.kind));
    }
    pieces
}

/// Where markers of an earlier pass stand.
fn markers(text: &str) -> Vec<(usize, usize)> {
    text.match_indices(MARKER)
        .filter_map(|(start, _)| Some((start, start + marker_length(&text[start..])?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Span, marker_length, render};

    #[test]
    fn only_the_exact_form_is_a_marker() {
        for text in [
            "[redacted:token:01234567]",
            "[redacted:private-key:89abcdef] x",
        ] {
            assert!(marker_length(text).is_some(), "{text}");
        }
        for text in [
            "[redacted:",
            "[redacted:]",
            "[redacted:token:0123456]",
            "[redacted:token:012345678]",
            "[redacted:token:0123456G]",
            "[redacted:token:0123456F]",
            "[redacted::01234567]",
            "[redacted:to ken:01234567]",
            "[redacted:token:01234567",
            "[redacted:é:01234567]",
            "x[redacted:token:01234567]",
        ] {
            assert_eq!(marker_length(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_loses_the_markers_in_it_and_nothing_else() {
        let marker = "[redacted:a:00000000]";
        let text = format!("x{marker}y");
        let whole = |start, end| {
            let spans = vec![Span::plain(start, end, "k")];
            render(&text, spans, |kind, secret| format!("<{kind} {secret}>"))
        };
        assert_eq!(whole(0, text.len()), format!("<k x>{marker}<k y>"));
        assert_eq!(whole(1, text.len()), format!("x{marker}<k y>"));
        assert_eq!(whole(1, 1 + marker.len()), text);
        assert_eq!(whole(3, text.len()), text, "it begins inside");
    }
}
