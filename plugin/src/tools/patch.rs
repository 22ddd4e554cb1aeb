//! Unified diffs as models write them, applied exactly or not at all.
//!
//! `diffy` finds where a hunk goes; this file makes its input well-formed
//! (recounted headers, the file's own line ends) and refuses what would succeed by
//! accident: no hunk at all, several files, a header without line numbers, a
//! new-file patch for a file that exists. There is no fuzz: context must match.
//! Invariant: what comes out is the file with every hunk applied at the place its
//! context names, or an error that names the first hunk that does not fit. It reads
//! and writes no file.

use super::report::Report;
use super::text::quoted;

/// A patch that was read and can be tried on a content.
pub(super) struct ParsedPatch {
    hunks: Vec<Hunk>,
    creates: bool,
}

/// The content after the patch, and what a reader should know about it.
#[derive(Debug)]
pub(super) struct Patched {
    pub(super) content: Vec<u8>,
    pub(super) remark: Option<String>,
}

struct Hunk {
    old_start: usize,
    lines: Vec<Line>,
}

/// One line of a hunk, without its line end.
struct Line {
    sign: u8,
    text: Vec<u8>,
    carriage_return: bool,
    /// Whether `\ No newline at end of file` follows.
    unended: bool,
}

fn failed(message: impl Into<String>, next: &str) -> Report {
    Report::error("PATCH_FAILED", message, next)
}

const RESEND: &str = "Read the file again and send a patch made from its present content.";
const FORMAT: &str =
    "Send one unified diff: hunks that begin with `@@ -line,count +line,count @@`.";

/// Reads a patch for one file.
pub(super) fn parse(text: &str) -> Result<ParsedPatch, Report> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut creates = false;
    let mut lines = text.split('\n').peekable();
    while let Some(raw) = lines.next() {
        // What follows the last newline is not a line.
        if raw.is_empty() && lines.peek().is_none() {
            break;
        }
        let (line, carriage_return) = match raw.strip_suffix('\r') {
            Some(line) => (line, true),
            None => (raw, false),
        };
        let count = hunks.len();
        if line.starts_with("@@") {
            hunks.push(header(line, count + 1)?);
        } else if let Some(hunk) = hunks.last_mut() {
            let next_file = line.starts_with("--- ")
                && lines.peek().is_some_and(|next| next.starts_with("+++ "));
            if next_file || line.starts_with("diff --git ") {
                return Err(failed(
                    "The patch changes more than one file.",
                    "Send one call for each file.",
                ));
            }
            body_line(hunk, line, carriage_return, count)?;
        } else if let Some(name) = line.strip_prefix("--- ") {
            creates = name.trim() == "/dev/null";
        } else if line
            .strip_prefix("+++ ")
            .is_some_and(|name| name.trim() == "/dev/null")
        {
            return Err(failed(
                "The patch deletes the file.",
                "Delete it with remote_exec, which asks the person.",
            ));
        }
    }
    // Blank lines at the end are what a model leaves after its patch, not context.
    for hunk in &mut hunks {
        while hunk.lines.last().is_some_and(|line| line.sign == b'?') {
            hunk.lines.pop();
        }
        for line in &mut hunk.lines {
            if line.sign == b'?' {
                line.sign = b' ';
            }
        }
    }
    if hunks.is_empty() {
        return Err(failed("The patch has no hunk.", FORMAT));
    }
    for (index, hunk) in hunks.iter().enumerate() {
        if hunk.lines.iter().all(|line| line.sign == b' ') {
            return Err(failed(
                format!("Hunk {} changes nothing.", index + 1),
                FORMAT,
            ));
        }
    }
    Ok(ParsedPatch { hunks, creates })
}

/// `@@ -l[,c] +l[,c] @@ …`; the counts are recomputed from the lines, because
/// models miscount them.
fn header(line: &str, number: usize) -> Result<Hunk, Report> {
    let bad = || {
        failed(
            format!(
                "Hunk {number} has a header without line numbers: {}.",
                quoted(line)
            ),
            FORMAT,
        )
    };
    let start = |word: Option<&str>, sign: char| {
        word.and_then(|word| word.strip_prefix(sign))
            .and_then(|range| range.split(',').next())
            .and_then(|line| line.parse::<usize>().ok())
            .ok_or_else(bad)
    };
    let mut words = line.trim_start_matches('@').split_whitespace();
    let old_start = start(words.next(), '-')?;
    // The new side's place follows from the old one; it must only be there.
    start(words.next(), '+')?;
    Ok(Hunk {
        old_start,
        lines: Vec::new(),
    })
}

fn body_line(
    hunk: &mut Hunk,
    line: &str,
    carriage_return: bool,
    number: usize,
) -> Result<(), Report> {
    if line.starts_with('\\') {
        if let Some(last) = hunk.lines.last_mut() {
            last.unended = true;
        }
        return Ok(());
    }
    let (sign, text) = match line.as_bytes() {
        // An empty line is a context line whose single space was trimmed away,
        // or no line at all when nothing but such lines follows.
        [] => (b'?', &[][..]),
        [sign @ (b' ' | b'+' | b'-'), text @ ..] => (*sign, text),
        _ => {
            return Err(failed(
                format!(
                    "Hunk {number} has a line that begins with none of ' ', '+', '-': {}.",
                    quoted(line)
                ),
                FORMAT,
            ));
        }
    };
    // A real line after trimmed ones makes them context.
    if sign != b'?' {
        for earlier in hunk.lines.iter_mut().rev() {
            if earlier.sign != b'?' {
                break;
            }
            earlier.sign = b' ';
        }
    }
    hunk.lines.push(Line {
        sign,
        text: text.to_vec(),
        carriage_return,
        unended: false,
    });
    Ok(())
}

/// How the lines of a file end.
#[derive(Clone, Copy, PartialEq)]
enum LineEnds {
    Lf,
    CrLf,
    Mixed,
}

fn line_ends(content: &[u8]) -> LineEnds {
    let (mut lf, mut crlf) = (0_usize, 0_usize);
    let mut previous = 0;
    for byte in content {
        if *byte == b'\n' {
            if previous == b'\r' {
                crlf += 1;
            } else {
                lf += 1;
            }
        }
        previous = *byte;
    }
    match (lf, crlf) {
        (_, 0) => LineEnds::Lf,
        (0, _) => LineEnds::CrLf,
        _ => LineEnds::Mixed,
    }
}

impl ParsedPatch {
    /// Whether the patch says that the file is new.
    pub(super) fn creates(&self) -> bool {
        self.creates || self.hunks.iter().all(|hunk| hunk.old_start == 0)
    }

    /// Applies every hunk, or names the first that does not fit.
    pub(super) fn apply(&self, path: &str, original: &[u8]) -> Result<Patched, Report> {
        if original.contains(&0) {
            return Err(Report::error(
                "BINARY_CONTENT",
                format!("{path} is binary; a text patch does not fit it."),
                "Replace it with remote_write_file and encoding base64.",
            ));
        }
        if !original.is_empty() && self.creates() {
            return Err(failed(
                format!("The patch creates {path}, but the file exists."),
                RESEND,
            ));
        }
        let ends = line_ends(original);
        let no_final_newline = !original.is_empty() && !original.ends_with(b"\n");
        let says_unended = self
            .hunks
            .iter()
            .any(|hunk| hunk.lines.iter().any(|line| line.unended));
        if no_final_newline && !says_unended {
            // Models leave the marker out. The file's missing final newline is
            // kept, which is what a patch that does not speak of it means.
            let end: &[u8] = if ends == LineEnds::CrLf {
                b"\r\n"
            } else {
                b"\n"
            };
            let ended = [original, end].concat();
            let mut content = self.apply_exactly(path, &ended, ends)?;
            if content.ends_with(end) {
                content.truncate(content.len() - end.len());
            }
            return Ok(Patched {
                content,
                remark: None,
            });
        }
        match self.apply_exactly(path, original, ends) {
            Ok(content) => Ok(Patched {
                content,
                remark: None,
            }),
            // The marker is there but the file does end in a newline: the text
            // fits, so the patch is right about all but the end.
            Err(error) if says_unended && !no_final_newline => {
                let without = self.without_markers();
                without
                    .apply_exactly(path, original, ends)
                    .map(|content| Patched {
                        content,
                        remark: Some(
                            "The file ends in a newline although the patch says it does not; \
                             the newline was kept."
                                .to_owned(),
                        ),
                    })
                    .map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    fn without_markers(&self) -> Self {
        let hunks = self
            .hunks
            .iter()
            .map(|hunk| Hunk {
                old_start: hunk.old_start,
                lines: hunk
                    .lines
                    .iter()
                    .map(|line| Line {
                        sign: line.sign,
                        text: line.text.clone(),
                        carriage_return: line.carriage_return,
                        unended: false,
                    })
                    .collect(),
            })
            .collect();
        Self {
            hunks,
            creates: self.creates,
        }
    }

    fn apply_exactly(
        &self,
        path: &str,
        original: &[u8],
        ends: LineEnds,
    ) -> Result<Vec<u8>, Report> {
        let mut content = original.to_vec();
        // Hunks are applied one by one so that the one that fails can be named;
        // `shift` is how far the earlier ones moved the rest of the file.
        let mut shift = 0_i64;
        for (index, hunk) in self.hunks.iter().enumerate() {
            let text = hunk.render(ends, shift);
            let misfit = || {
                failed(
                    format!(
                        "Hunk {} does not fit {path}: {}.",
                        index + 1,
                        hunk.summary()
                    ),
                    RESEND,
                )
            };
            let patch = diffy::Patch::from_bytes(&text).map_err(|_| misfit())?;
            content = diffy::apply_bytes(&content, &patch).map_err(|_| misfit())?;
            let count = |sign| hunk.lines.iter().filter(|line| line.sign == sign).count() as i64;
            shift += count(b'+') - count(b'-');
        }
        Ok(content)
    }
}

impl Hunk {
    /// The first line that must be found, for the message.
    fn summary(&self) -> String {
        self.lines
            .iter()
            .find(|line| line.sign != b'+')
            .map_or_else(
                || "it only adds lines".to_owned(),
                |line| {
                    format!(
                        "expected near line {}: {}",
                        self.old_start,
                        quoted(&String::from_utf8_lossy(&line.text))
                    )
                },
            )
    }

    /// The hunk as a well-formed patch of its own, in the file's line ends.
    fn render(&self, ends: LineEnds, shift: i64) -> Vec<u8> {
        let old = self.lines.iter().filter(|line| line.sign != b'+').count();
        let new = self.lines.iter().filter(|line| line.sign != b'-').count();
        let start = (self.old_start as i64 + shift).max(0);
        let mut text = format!("--- a\n+++ b\n@@ -{start},{old} +{start},{new} @@\n").into_bytes();
        for line in &self.lines {
            text.push(line.sign);
            text.extend_from_slice(&line.text);
            let carriage_return = match ends {
                LineEnds::Lf => false,
                LineEnds::CrLf => true,
                LineEnds::Mixed => line.carriage_return,
            };
            if carriage_return && !line.unended {
                text.push(b'\r');
            }
            text.push(b'\n');
            if line.unended {
                text.extend_from_slice(b"\\ No newline at end of file\n");
            }
        }
        text
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
