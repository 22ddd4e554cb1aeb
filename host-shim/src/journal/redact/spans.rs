//! Places in a text that hold a secret, and the text without them.

/// What every marker begins with; a marker is never redacted again.
pub(super) const MARKER: &str = "[redacted:";

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
            && !kept
                .iter()
                .any(|(start, end)| span.start < *end && *start < span.end)
    });
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

/// Where markers of an earlier pass stand.
fn markers(text: &str) -> Vec<(usize, usize)> {
    text.match_indices(MARKER)
        .filter_map(|(start, _)| {
            let end = text[start..].find(']')? + start + 1;
            Some((start, end))
        })
        .collect()
}
