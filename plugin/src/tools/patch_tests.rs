//! Patches as models write them, against the text they are for.
//!
//! Invariant: what is applied is compared whole, and what is refused by its code and
//! words. No server is involved.

use super::*;

fn patched(original: &str, patch: &str) -> Result<String, String> {
    let apply = |patch: ParsedPatch| patch.apply("/f", original.as_bytes());
    parse(patch)
        .and_then(apply)
        .map(|patched| String::from_utf8(patched.content).expect("text"))
        .map_err(|report| {
            assert_eq!(report.code.as_deref(), Some("PATCH_FAILED"));
            report.message.expect("message")
        })
}

#[test]
fn a_refusal_quotes_the_beginning_of_a_long_line() {
    let long = "x".repeat(100_000);
    for patch in [
        format!("@@ {long}\n"),
        format!("@@ -1 +1 @@\n!{long}\n"),
        format!("@@ -1 +1 @@\n-{long}\n+b\n"),
    ] {
        let refused = patched("a\n", &patch).expect_err("it does not fit");
        assert!(
            refused.contains("xxx…") && refused.len() < 400,
            "{refused:.500}"
        );
    }
}

#[test]
fn patches_that_fit() {
    let cases = [
        // (what, original, patch, result)
        (
            "plain",
            "a\nb\nc\n",
            "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
            "a\nB\nc\n",
        ),
        (
            "names",
            "a\n",
            "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n",
            "b\n",
        ),
        (
            "git header",
            "a\n",
            "diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n",
            "b\n",
        ),
        (
            "wrong counts",
            "a\nb\nc\n",
            "@@ -1,9 +1,1 @@\n a\n-b\n+B\n c\n",
            "a\nB\nc\n",
        ),
        (
            "wrong place",
            "x\ny\na\nb\nc\n",
            "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
            "x\ny\na\nB\nc\n",
        ),
        (
            "trimmed blank context",
            "a\n\nc\n",
            "@@ -1,3 +1,3 @@\n a\n\n-c\n+C\n",
            "a\n\nC\n",
        ),
        (
            "blank after the patch",
            "a\nc\n",
            "@@ -1,2 +1,2 @@\n a\n-c\n+C\n\n\n",
            "a\nC\n",
        ),
        (
            "no newline at the end of the patch",
            "a\n",
            "@@ -1 +1 @@\n-a\n+b",
            "b\n",
        ),
        (
            "crlf file, lf patch",
            "a\r\nb\r\n",
            "@@ -1,2 +1,2 @@\n a\n-b\n+B\n",
            "a\r\nB\r\n",
        ),
        (
            "lf file, crlf patch",
            "a\nb\n",
            "@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+B\r\n",
            "a\nB\n",
        ),
        (
            "missing final newline kept",
            "a\nb",
            "@@ -1,2 +1,2 @@\n a\n-b\n+B\n",
            "a\nB",
        ),
        (
            "missing final newline far away",
            "a\nb\nc\nd",
            "@@ -1,2 +1,2 @@\n-a\n+A\n b\n",
            "A\nb\nc\nd",
        ),
        (
            "crlf without final newline",
            "a\r\nb",
            "@@ -1,2 +1,2 @@\n a\n-b\n+B\n",
            "a\r\nB",
        ),
        (
            "marker honoured",
            "a\nb",
            "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+B\n",
            "a\nB\n",
        ),
        (
            "marker on both",
            "b",
            "@@ -1 +1 @@\n-b\n\\ No newline at end of file\n+B\n\\ No newline at end of file\n",
            "B",
        ),
        (
            "new file",
            "",
            "--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n",
            "a\nb\n",
        ),
        (
            "several hunks",
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
            "@@ -1,2 +1,3 @@\n 1\n+1.5\n 2\n@@ -8,2 +9,2 @@\n 8\n-9\n+nine\n",
            "1\n1.5\n2\n3\n4\n5\n6\n7\n8\nnine\n",
        ),
        (
            "percent and backslash",
            "%s\\n\n",
            "@@ -1 +1 @@\n-%s\\n\n+%d\\\\t\n",
            "%d\\\\t\n",
        ),
        (
            "a removed line that looks like a header",
            "-- x\n",
            "@@ -1 +1 @@\n--- x\n+y\n",
            "y\n",
        ),
    ];
    for (what, original, patch, result) in cases {
        assert_eq!(patched(original, patch).as_deref(), Ok(result), "{what}");
    }
}

#[test]
fn patches_that_do_not() {
    let cases = [
        (
            "context differs",
            "a\nX\nc\n",
            "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
            "Hunk 1 does not fit /f: expected near line 1: \"a\"",
        ),
        (
            "second hunk",
            "1\n2\n3\n",
            "@@ -1 +1 @@\n-1\n+one\n@@ -3 +3 @@\n-9\n+x\n",
            "Hunk 2",
        ),
        ("no hunk", "a\n", "replace a by b", "no hunk"),
        ("bare header", "a\n", "@@\n-a\n+b\n", "without line numbers"),
        (
            "two files",
            "a\n",
            "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n",
            "more than one file",
        ),
        (
            "deletion",
            "a\n",
            "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
            "deletes",
        ),
        (
            "exists",
            "a\n",
            "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+b\n",
            "exists",
        ),
        (
            "nothing changes",
            "a\n",
            "@@ -1 +1 @@\n a\n",
            "changes nothing",
        ),
        (
            "garbage in the body",
            "a\n",
            "@@ -1 +1 @@\n-a\n+b\n*** end\n",
            "begins with none",
        ),
    ];
    for (what, original, patch, message) in cases {
        let error = patched(original, patch).expect_err(what);
        assert!(error.contains(message), "{what}: {error}");
    }
}
