//! The change a write would make, as a person sees it.
//!
//! Invariant: a diff is escaped line by line after it was made, so what is compared
//! is the real content. Content too large to compare in reasonable time is
//! described by sizes and hashes instead, and says so. Whether the content may be
//! shown at all is not asked here.

use super::escape::escape_text;

/// Bytes of old and new content together up to which a diff is made: the
/// algorithm is quadratic in the worst case.
const COMPARE_MAX: usize = 1024 * 1024;
/// Lines of old and new content together up to which a diff is made.
const COMPARE_LINES_MAX: usize = 20_000;
/// Lines before the first hunk; [`unified`] writes them.
const HEADERS: usize = 2;

/// What would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Unified diff, escaped; none for binary or very large content.
    pub diff: Option<String>,
    /// One sentence: what happens to content and mode.
    pub summary: String,
    /// Whether the file does not exist yet.
    pub created: bool,
    /// Lines added and removed, where a diff was made.
    pub lines: Option<(usize, usize)>,
}

/// Describes the change from the old state to the new one. `old` is none for a
/// file that does not exist, `new` for one that would be removed; modes are
/// permission bits.
pub fn describe_change(name: &str, old: Option<(&[u8], u32)>, new: Option<(&[u8], u32)>) -> Change {
    let old_text = text(old.map(|(content, _)| content));
    let new_text = text(new.map(|(content, _)| content));
    let made = match (old_text, new_text) {
        (Some(before), Some(after)) if comparable(before, after) => {
            Some(unified(name, before, after, old.is_none(), new.is_none()))
        }
        _ => None,
    };
    let lines = made.as_ref().map(|diff| {
        // The headers are told by their place: a line of the content may begin like them.
        let changed = || diff.lines().skip(HEADERS);
        let count = |sign: char| changed().filter(|line| line.starts_with(sign)).count();
        (count('+'), count('-'))
    });
    Change {
        summary: summary(old, new, made.is_some()),
        diff: made,
        created: old.is_none(),
        lines,
    }
}

fn text(content: Option<&[u8]>) -> Option<&str> {
    let content = content.unwrap_or_default();
    std::str::from_utf8(content)
        .ok()
        .filter(|text| !text.contains('\0'))
}

fn comparable(before: &str, after: &str) -> bool {
    before.len() + after.len() <= COMPARE_MAX
        && before.lines().count() + after.lines().count() <= COMPARE_LINES_MAX
}

fn unified(name: &str, before: &str, after: &str, created: bool, removed: bool) -> String {
    let patch = diffy::create_patch(before, after);
    let patch = patch.to_string();
    // The library's own two header lines name no file.
    let hunks = patch
        .split_once("\n+++ ")
        .and_then(|(_, rest)| rest.split_once('\n'))
        .map_or("", |(_, hunks)| hunks);
    let side = |absent: bool| if absent { "/dev/null" } else { name };
    format!(
        "--- {}\n+++ {}\n{}",
        side(created),
        side(removed),
        escape_text(hunks)
    )
}

fn summary(old: Option<(&[u8], u32)>, new: Option<(&[u8], u32)>, shown: bool) -> String {
    let what = match (old, new) {
        (None, Some((content, mode))) => {
            format!("creates the file: {} bytes, mode {mode:04o}", content.len())
        }
        (Some((content, mode)), None) => {
            format!("removes the file: {} bytes, mode {mode:04o}", content.len())
        }
        (Some((before, old_mode)), Some((after, new_mode))) => {
            let mode = if old_mode == new_mode {
                format!("mode stays {new_mode:04o}")
            } else {
                format!("mode {old_mode:04o} becomes {new_mode:04o}")
            };
            if before == after {
                format!("content stays as it is; {mode}")
            } else {
                format!("{} bytes become {}; {mode}", before.len(), after.len())
            }
        }
        (None, None) => "nothing".to_owned(),
    };
    let kind = if shown {
        ""
    } else if text(old.map(|old| old.0)).is_none() || text(new.map(|new| new.0)).is_none() {
        "; the content is binary, so there is no diff"
    } else {
        "; the content is too large to be compared line by line"
    };
    format!("{what}{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_described() {
        let change = describe_change("t:/f", Some((b"a\nb\n", 0o644)), Some((b"a\nc\n", 0o644)));
        assert_eq!(
            change.diff.as_deref(),
            Some("--- t:/f\n+++ t:/f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n")
        );
        assert_eq!(change.lines, Some((1, 1)));
        assert_eq!(change.summary, "4 bytes become 4; mode stays 0644");

        let change = describe_change("t:/f", None, Some((b"a\n", 0o600)));
        assert!(change.created);
        assert!(
            change
                .diff
                .expect("text")
                .starts_with("--- /dev/null\n+++ t:/f\n")
        );

        let change = describe_change("t:/f", Some((b"\0", 0o644)), Some((b"\x01", 0o755)));
        assert_eq!(change.diff, None);
        assert!(change.summary.contains("mode 0644 becomes 0755"));
        assert!(change.summary.contains("binary"));
    }

    #[test]
    fn lines_that_look_like_headers_are_counted() {
        let old = b"-- one\nb\n".as_slice();
        let new = b"++ two\n++ three\nb\n".as_slice();
        let change = describe_change("t:/f", Some((old, 0o644)), Some((new, 0o644)));
        assert_eq!(change.lines, Some((2, 1)), "{:?}", change.diff);
    }

    #[test]
    fn a_diff_cannot_drive_a_terminal() {
        let change = describe_change(
            "t:/f",
            None,
            Some(("a\u{1b}[31m\u{202e}\n".as_bytes(), 0o644)),
        );
        let diff = change.diff.expect("text");
        assert!(diff.contains("+a⟦U+001B⟧[31m⟦U+202E⟧"), "{diff}");
    }

    #[test]
    fn large_content_is_summarised() {
        let big = "x\n".repeat(COMPARE_LINES_MAX);
        let change = describe_change("t:/f", Some((big.as_bytes(), 0o644)), Some((b"y\n", 0o644)));
        assert_eq!(change.diff, None);
        assert!(change.summary.contains("too large"));
    }
}
