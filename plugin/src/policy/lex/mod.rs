//! Splits a command line into words and operators the way every shell would.
//!
//! Invariant: a word that carries no finding decodes to the same characters in
//! POSIX sh, dash, bash, ksh, zsh and busybox sh reading a script. Whatever they
//! could read differently, or only they can expand, is reported instead; the
//! lexer then goes on as well as it can, so that a catastrophe further on in the
//! text is still seen. It knows no commands and decides nothing.
//!
//! Quoting follows POSIX.1-2024, XCU section 2.2 (Quoting) and 2.3 (Token
//! Recognition).

mod quoting;

use super::types::Finding;

/// One word after quote removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The decoded characters.
    pub(super) text: String,
    /// Holds an unquoted `*`, `?` or bracket expression, and no quoted one.
    pub(super) glob: bool,
    /// Starts with an unquoted `~` that stands for the login directory.
    pub(super) home: bool,
    /// No character was quoted: only such a word can be a reserved one.
    pub(super) bare: bool,
    /// Holds something only a shell can evaluate; `text` is a rough rendering.
    pub(super) opaque: bool,
    /// Byte offset in the command line.
    pub(super) at: usize,
}

impl Word {
    /// A word that reaches the program as it stands.
    pub(super) fn literal(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// Whether the text is the final one.
    pub(super) fn is_literal(&self) -> bool {
        !self.glob && !self.home && !self.opaque
    }
}

/// A word or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// The operator as written, without the number of a redirection.
    Operator(&'static str),
}

/// What became of a command line.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    /// The first thing that is not the same in every shell, or not literal.
    pub(super) opaque: Option<Finding>,
    /// The text ends inside a quote.
    pub(super) malformed: Option<Finding>,
}

/// Most words and operators that are read. A person has no use for a text with
/// more, and nothing behind them is looked at.
const TOKENS_CAP: usize = 8192;

/// Longest first, so that `&&` is not read as two `&`.
const OPERATORS: &[&str] = &[
    "<<<", "<<-", "&>>", ";;&", "&&", "||", "|&", "&>", "<<", ">>", "<>", "<&", ">&", ">|", ";;",
    ";&", "|", "&", ";", "<", ">", "(", ")",
];

pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        text,
        at: 0,
        out: Lexed::default(),
        word: None,
        marks: Marks::default(),
    };
    lexer.run();
    lexer.out
}

/// What was seen in the word being read.
#[derive(Default)]
struct Marks {
    quoted: bool,
    /// A quoted character that would be a glob if it were not.
    quoted_glob: bool,
    star: bool,
    /// Byte offset in the decoded text of the first unquoted `[`.
    bracket: Option<usize>,
    closing: bool,
    bang: bool,
    brace: bool,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    out: Lexed,
    word: Option<Word>,
    marks: Marks,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The word being read; starts one where there is none.
    fn word(&mut self) -> &mut Word {
        let at = self.at;
        self.word.get_or_insert_with(|| Word {
            at,
            ..Word::default()
        })
    }

    fn is_word_start(&self) -> bool {
        self.word.is_none()
    }

    fn opaque(&mut self, rule: &str, reason: &str) {
        if self.out.opaque.is_none() {
            self.out.opaque = Some(Finding::ask(rule, format!("{reason} (byte {})", self.at)));
        }
    }

    fn malformed(&mut self, reason: &str) {
        // Inside a here-document, a substitution or a comment our idea of quotes
        // is not the shell's, so only a plain text can be called malformed.
        if self.out.opaque.is_none() {
            self.out.malformed = Some(Finding::reject(
                "scan.malformed",
                format!("{reason} (byte {})", self.at),
            ));
        }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => {
                    self.end_word();
                    self.at += 1;
                }
                '\n' => {
                    self.end_word();
                    self.out.tokens.push(Token::Operator("\n"));
                    self.at += 1;
                }
                '\'' => self.single_quoted(),
                '"' => self.double_quoted(),
                '\\' => self.escaped(),
                '$' => self.dollar(),
                '`' => {
                    self.opaque("scan.substitution", "a backquote runs another command");
                    self.end_word();
                    self.out.tokens.push(Token::Operator("`"));
                    self.at += 1;
                }
                '#' if self.is_word_start() => self.comment(),
                ';' | '&' | '|' | '<' | '>' | '(' | ')' => self.operator(),
                _ => self.plain(c),
            }
            if self.out.malformed.is_some() {
                return;
            }
            if self.out.tokens.len() > TOKENS_CAP {
                self.opaque("scan.words", "the text has too many words to judge");
                return;
            }
        }
        self.end_word();
    }

    fn push(&mut self, c: char) {
        self.word().text.push(c);
        self.at += c.len_utf8();
    }

    /// Takes a quoted character, which is never special again.
    fn push_quoted(&mut self, c: char) {
        if matches!(c, '*' | '?' | '[' | ']') {
            self.marks.quoted_glob = true;
        }
        self.marks.quoted = true;
        if c == '\n' {
            self.opaque(
                "scan.newline",
                "a quoted line break makes one command look like two",
            );
        }
        self.push(c);
    }

    fn comment(&mut self) {
        self.opaque(
            "scan.comment",
            "`#` starts a comment in some shells and a word in others",
        );
        self.at = self
            .rest()
            .find('\n')
            .map_or(self.text.len(), |length| self.at + length);
    }

    fn operator(&mut self) {
        let operator = OPERATORS
            .iter()
            .find(|operator| self.rest().starts_with(**operator));
        let operator = operator.expect("every single character that leads here is in the table");
        let redirects = operator.starts_with(['<', '>']);
        if redirects
            && let Some(word) = &self.word
            && !self.marks.quoted
            && word.text.bytes().all(|byte| byte.is_ascii_digit())
        {
            // `2>` names a file descriptor; the digits are no word.
            self.word = None;
        }
        self.end_word();
        if operator.starts_with("<<") {
            self.opaque(
                "scan.redirection",
                "a here-document feeds text to the command",
            );
        }
        self.out.tokens.push(Token::Operator(operator));
        self.at += operator.len();
    }

    fn plain(&mut self, c: char) {
        let start = self.is_word_start();
        match c {
            '*' | '?' => self.marks.star = true,
            '[' => {
                let at = self.word.as_ref().map_or(0, |word| word.text.len());
                self.marks.bracket.get_or_insert(at);
            }
            ']' => self.marks.closing = true,
            '!' => {
                // At the end of a word it is itself wherever no history is kept.
                let ends = matches!(
                    self.rest().chars().nth(1),
                    None | Some(' ' | '\t' | '\n' | '|' | ';')
                );
                self.marks.bang |= start || !ends;
            }
            '{' | '}' => self.marks.brace = true,
            '~' if start => {
                if matches!(
                    self.rest().chars().nth(1),
                    None | Some(' ' | '\t' | '\n' | '/' | '|' | ';' | '&')
                ) {
                    self.word().home = true;
                } else {
                    self.opaque(
                        "scan.tilde",
                        "only a shell on the server knows what this `~` stands for",
                    );
                    self.word().opaque = true;
                }
            }
            '~' if self
                .word
                .as_ref()
                .is_some_and(|word| word.text.ends_with(['=', ':'])) =>
            {
                self.opaque("scan.tilde", "some shells expand `~` here and some do not");
                self.word().opaque = true;
            }
            '=' if start
                && !matches!(self.rest().chars().nth(1), None | Some(' ' | '\t' | '\n')) =>
            {
                self.opaque(
                    "scan.equals",
                    "zsh replaces `=name` by the path of a program",
                );
            }
            _ => {}
        }
        self.push(c);
    }

    fn end_word(&mut self) {
        let marks = std::mem::take(&mut self.marks);
        let Some(mut word) = self.word.take() else {
            return;
        };
        word.bare = !marks.quoted;
        let first = !matches!(self.out.tokens.last(), Some(Token::Word(_)));
        if let Some(from) = marks.bracket {
            // `[` alone is a command; anything else is a pattern that every shell
            // reads alike only in its plainest form.
            if !(word.text == "[" && word.bare && first) {
                if plain_brackets(&word.text[from..]) {
                    word.glob = true;
                } else {
                    self.opaque(
                        "scan.bracket",
                        "this bracket is not read alike by every shell",
                    );
                    word.opaque = true;
                }
            }
        } else if marks.closing && word.text != "]" {
            self.opaque(
                "scan.bracket",
                "this bracket is not read alike by every shell",
            );
            word.opaque = true;
        }
        word.glob |= marks.star;
        if word.glob && (marks.quoted_glob || word.text.contains('\\')) {
            self.opaque(
                "scan.glob-mixed",
                "the word mixes quoted and unquoted pattern characters",
            );
            word.opaque = true;
        }
        if word.glob && word.text.contains("**") {
            self.opaque(
                "scan.glob-deep",
                "`**` reaches into subdirectories in some shells and not in others",
            );
            word.opaque = true;
        }
        if word.glob && word.text.starts_with('~') && !word.home {
            // Quoted here, but it would read as the login directory later on.
            self.opaque("scan.tilde", "the pattern starts with a quoted `~`");
            word.opaque = true;
        }
        // `{}` is itself everywhere; anything else some shells expand.
        if marks.brace && word.text != "{}" {
            self.opaque(
                "scan.brace",
                "a brace is expanded by some shells and not by others",
            );
            word.opaque = true;
        }
        if marks.bang && word.text != "!=" && (word.text != "!" || !word.bare || first) {
            self.opaque("scan.bang", "`!` is special in some shells");
            word.opaque |= word.text != "!";
        }
        self.out.tokens.push(Token::Word(word));
    }
}

/// Whether every bracket in a pattern is a non-empty set of letters, digits,
/// `.`, `_` and ranges of them, which no shell reads differently.
fn plain_brackets(mut pattern: &str) -> bool {
    while let Some(open) = pattern.find('[') {
        let (before, set) = (&pattern[..open], &pattern[open + 1..]);
        let Some(close) = set.find(']') else {
            return false;
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if before.contains(']') || close == 0 || !set[..close].chars().all(plain) {
            return false;
        }
        pattern = &set[close + 1..];
    }
    !pattern.contains(']')
}
