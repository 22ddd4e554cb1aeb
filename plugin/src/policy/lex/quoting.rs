//! Quotes, backslashes and `$`.
//!
//! Invariant: a quoted character is never special again, and whatever a shell would
//! replace is reported (POSIX.1-2024, XCU sections 2.2 and 2.6). Where a word ends
//! is not decided here.

use super::Lexer;

impl Lexer<'_> {
    pub(super) fn single_quoted(&mut self) {
        self.word();
        self.marks.quoted = true;
        self.at += 1;
        while let Some(c) = self.peek() {
            if c == '\'' {
                self.at += 1;
                return;
            }
            self.push_quoted(c);
        }
        self.malformed("a single quote is not closed");
    }

    pub(super) fn double_quoted(&mut self) {
        self.word();
        self.marks.quoted = true;
        self.at += 1;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    let next = self.rest().chars().nth(1);
                    match next {
                        Some('$' | '`' | '"' | '\\') => self.at += 1,
                        Some('\n') => {
                            self.opaque(
                                "scan.continuation",
                                "a backslash at the end of a line joins two lines",
                            );
                            self.at += 2;
                            continue;
                        }
                        _ => {}
                    }
                    if let Some(c) = self.peek() {
                        self.push_quoted(c);
                    }
                }
                '$' => {
                    // Before these a `$` is itself in every shell.
                    if !matches!(self.rest().chars().nth(1), None | Some('"' | ' ' | '|')) {
                        self.expansion();
                    }
                    self.push_quoted('$');
                }
                '`' => {
                    self.opaque("scan.substitution", "a backquote runs another command");
                    self.word().opaque = true;
                    self.push_quoted('`');
                }
                _ => self.push_quoted(c),
            }
        }
        self.malformed("a double quote is not closed");
    }

    pub(super) fn escaped(&mut self) {
        match self.rest().chars().nth(1) {
            None => {
                self.malformed("the command ends in a backslash");
                self.at += 1;
            }
            Some('\n') => {
                self.opaque(
                    "scan.continuation",
                    "a backslash at the end of a line joins two lines",
                );
                self.at += 2;
            }
            Some(c) => {
                self.word();
                self.at += 1;
                self.push_quoted(c);
            }
        }
    }

    fn expansion(&mut self) {
        let (rule, reason) = match self.rest().chars().nth(1) {
            Some('(') => ("scan.substitution", "`$(` runs another command"),
            Some('\'' | '"') => (
                "scan.quoting",
                "this kind of quoting is not the same in every shell",
            ),
            _ => (
                "scan.expansion",
                "only a shell on the server knows what this `$` stands for",
            ),
        };
        self.opaque(rule, reason);
        self.word().opaque = true;
    }

    pub(super) fn dollar(&mut self) {
        let next = self.rest().chars().nth(1);
        if matches!(next, None | Some(' ' | '\t' | '\n' | '|' | ';' | '&')) {
            self.push('$');
            return;
        }
        self.expansion();
        if next == Some('\'') {
            self.ansi_c_quoted();
        } else {
            self.push('$');
        }
    }

    /// Skips `$'…'`, whose escapes are not the same in every shell.
    fn ansi_c_quoted(&mut self) {
        self.at += 2;
        while let Some(c) = self.peek() {
            match c {
                '\'' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    if let Some(c) = self.peek() {
                        self.push_quoted(c);
                    }
                }
                _ => self.push_quoted(c),
            }
        }
    }
}
