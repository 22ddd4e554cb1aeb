//! `awk`.
//!
//! A program of awk can write files, run commands and read other files, so it is
//! taken apart into tokens, of which only those that compute, compare and print are
//! known. Invariant: what every version reads alike is all there is: no loop that
//! could go on for ever, no redirection, no text that grows with every line. The
//! files after the program are judged as content, elsewhere.

use super::super::lex::Word;
use super::script::{files, text_of};
use super::spec::{Outcome, Refusal};

/// Words of the language that do no more than compute, choose and print.
const KEYWORDS: &[&str] = &[
    "BEGIN", "END", "print", "printf", "if", "else", "next", "exit",
];
/// Functions of every version that take text and give text or a number.
const FUNCTIONS: &[&str] = &[
    "length", "substr", "index", "tolower", "toupper", "int", "match",
];
/// Variables that a program may look at.
const VARIABLES: &[&str] = &[
    "NR", "NF", "FNR", "FS", "OFS", "FILENAME", "RSTART", "RLENGTH",
];
/// Names that some version takes for a function or a word of the language.
const RESERVED: &str = "\
    adump and asort asorti atan2 bindtextdomain break case close compl continue cos dcgettext \
    dcngettext default delete do eval exp extension fflush for func function gensub getline gsub \
    include isarray isatty load log lshift mkbool mktime namespace nextfile or patsplit rand \
    reset return rshift sin split sprintf sqrt srand stopme strftime strtonum sub switch system \
    systime typeof utf8 while xor";

/// `awk [-F SEPARATOR] [-v NAME=VALUE] PROGRAM FILE…`
pub(super) fn awk(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "script",
            "only a program that just computes and prints is known to only look",
        )
    };
    let mut rest = words;
    loop {
        rest = match rest {
            [option, value, tail @ ..] if option.text == "-F" && value.is_literal() => tail,
            [option, value, tail @ ..] if option.text == "-v" && value.is_literal() => {
                let (name, _) = value.text.split_once('=').ok_or_else(form)?;
                if !is_variable(name) {
                    return Err(form());
                }
                tail
            }
            [option, tail @ ..] if option.text.starts_with("-F") && option.is_literal() => tail,
            [option, ..] if option.text.starts_with('-') => return Err(form()),
            _ => break,
        };
    }
    let (program, rest) = rest.split_first().ok_or_else(form)?;
    if !is_harmless(text_of(program).ok_or_else(form)?) {
        return Err(form());
    }
    for word in rest {
        // `a=b` assigns, and gawk opens a connection for `/inet/…`.
        if word.text.contains('=') || word.text.starts_with("/inet") {
            return Err(form());
        }
    }
    files(rest)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    /// A number, a text or a regular expression.
    Value(&'a str),
    Operator(&'a str),
}

/// Longest first.
const OPERATORS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "++", "--", "+=", "-=", "*=", "/=", "!~", "+", "-", "*",
    "/", "%", "<", ">", "!", "~", "?", ":", ",", ";", "(", ")", "{", "}", "[", "]", "$", "=",
];

fn is_harmless(program: &str) -> bool {
    if program.len() > 1024 {
        return false;
    }
    tokens(program).is_some_and(|tokens| !tokens.is_empty() && Checker::new(&tokens).check())
}

fn tokens(program: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = program;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(c) = rest.chars().next() else {
            return Some(tokens);
        };
        let length = if c.is_ascii_alphabetic() || c == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if c.is_ascii_digit() {
            rest.find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len())
        } else if c == '"' {
            quoted(rest, b'"')?
        } else if c == '/' && !divides(tokens.last())? {
            quoted(rest, b'/')?
        } else {
            OPERATORS
                .iter()
                .find(|operator| rest.starts_with(**operator))?
                .len()
        };
        let (text, after) = rest.split_at(length);
        tokens.push(match c {
            _ if c.is_ascii_alphabetic() || c == '_' => Token::Name(text),
            _ if c.is_ascii_digit() || length > 1 && matches!(c, '"' | '/') && text != "/=" => {
                Token::Value(text)
            }
            _ => Token::Operator(text),
        });
        rest = after;
    }
}

/// Whether a slash after the token divides, or else starts a regular expression;
/// none where that depends on more than the token.
fn divides(before: Option<&Token<'_>>) -> Option<bool> {
    match before {
        None => Some(false),
        Some(Token::Value(_) | Token::Operator("]")) => Some(true),
        Some(Token::Name(name)) => (is_variable(name) || VARIABLES.contains(name)).then_some(true),
        // A condition may end there, and a statement begin.
        Some(Token::Operator(")" | "$" | "++" | "--")) => None,
        Some(Token::Operator(_)) => Some(false),
    }
}

/// Length of a text or regular expression with its quotes, if there is nothing in
/// it about whose end two versions could disagree.
fn quoted(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' && matches!(bytes.get(at + 1), Some(b'n' | b't' | b'"')) => {
                at += 2;
            }
            b'\\'
                if quote == b'/'
                    && bytes
                        .get(at + 1)
                        .is_some_and(|byte| b".[]()*+?|^$\"".contains(byte)) =>
            {
                at += 2;
            }
            b'\\' => return None,
            // In a bracket some versions take a slash as itself.
            b'[' if quote == b'/' => {
                let set = text[at..].split(']').next()?;
                if set.len() + at == text.len() || set.contains(['/', '\\']) || set.len() < 2 {
                    return None;
                }
                at += set.len() + 1;
            }
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

struct Checker<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// Open parentheses and brackets, and open braces.
    parentheses: u32,
    braces: u32,
}

impl<'a> Checker<'a> {
    fn new(tokens: &'a [Token<'a>]) -> Self {
        Self {
            tokens,
            at: 0,
            parentheses: 0,
            braces: 0,
        }
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn is_next(&self, operator: &str) -> bool {
        self.peek(1) == Some(Token::Operator(operator))
    }

    fn check(mut self) -> bool {
        while let Some(token) = self.peek(0) {
            let known = match token {
                Token::Name(name) => self.name(name),
                Token::Value(text) => is_bounded(text),
                Token::Operator(operator) => self.operator(operator),
            };
            if !known {
                return false;
            }
            self.at += 1;
        }
        self.parentheses == 0 && self.braces == 0
    }

    fn name(&mut self, name: &str) -> bool {
        if KEYWORDS.contains(&name) {
            return name != "printf" || matches!(self.peek(1), Some(Token::Value(_)));
        }
        if FUNCTIONS.contains(&name) {
            // Without parentheses only `length` is known everywhere.
            return self.is_next("(") || name == "length";
        }
        if name == "for" {
            return self.for_in();
        }
        if name == "in" {
            return self.parentheses > 0;
        }
        if VARIABLES.contains(&name) {
            // Only separators may be set, and those to a plain text.
            let sets = ["=", "+=", "-=", "*=", "/=", "++", "--", "["];
            return !sets.iter().any(|operator| self.is_next(operator))
                || matches!(name, "FS" | "OFS") && self.is_next("=");
        }
        is_variable(name) && !self.is_next("(")
    }

    /// `for (NAME in NAME)`, which ends by itself.
    fn for_in(&mut self) -> bool {
        let (Some(Token::Name(one)), Some(Token::Name(all))) = (self.peek(2), self.peek(4)) else {
            return false;
        };
        let known = self.is_next("(")
            && self.peek(3) == Some(Token::Name("in"))
            && self.peek(5) == Some(Token::Operator(")"))
            && is_variable(one)
            && is_variable(all);
        self.at += 5;
        known
    }

    fn operator(&mut self, operator: &str) -> bool {
        match operator {
            "{" => {
                self.braces += 1;
                self.parentheses == 0
            }
            "}" => match self.braces.checked_sub(1) {
                Some(left) => {
                    self.braces = left;
                    self.parentheses == 0
                }
                None => false,
            },
            "(" | "[" => {
                self.parentheses += 1;
                true
            }
            ")" | "]" => match self.parentheses.checked_sub(1) {
                Some(left) => {
                    self.parentheses = left;
                    true
                }
                None => false,
            },
            // In an action it could be a redirection.
            ">" | ">=" => self.braces == 0 || self.parentheses > 0,
            // A field far out makes some versions reserve memory for it.
            "$" => match self.peek(1) {
                Some(Token::Value(number)) => {
                    number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit())
                }
                Some(Token::Name(name)) => name == "NF",
                Some(Token::Operator("(")) => {
                    let last = [
                        Token::Operator("("),
                        Token::Name("NF"),
                        Token::Operator("-"),
                    ];
                    self.tokens[self.at + 1..].starts_with(&last)
                        && matches!(self.peek(4), Some(Token::Value(number)) if number.len() <= 4)
                        && self.peek(5) == Some(Token::Operator(")"))
                }
                _ => false,
            },
            // Anything longer could make a text grow with every line.
            "=" => {
                let value = match self.peek(1) {
                    Some(Token::Operator("$")) => 2,
                    Some(Token::Value(_) | Token::Name(_)) => 1,
                    _ => return false,
                };
                let ends = [";", "}", ")"].map(Token::Operator);
                self.peek(value + 1)
                    .is_none_or(|token| ends.contains(&token))
            }
            _ => true,
        }
    }
}

/// A name that can only be a variable of the program's own.
fn is_variable(name: &str) -> bool {
    name.len() <= 24
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !KEYWORDS.contains(&name)
        && !FUNCTIONS.contains(&name)
        && !RESERVED.split_ascii_whitespace().any(|word| word == name)
}

/// Whether a text used as a format asks for no more than a line's width.
fn is_bounded(text: &str) -> bool {
    if !text.starts_with('"') {
        return true;
    }
    let mut directives = text.split('%').skip(1);
    directives.all(|directive| {
        let width = directive
            .find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+' | ' ' | '#'))
            .unwrap_or(directive.len());
        width <= 6
            && !directive[width..].starts_with(['*', '$'])
            && directive[..width]
                .split(|c: char| !c.is_ascii_digit())
                .all(|digits| digits.len() <= 3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_programs_that_only_print() {
        for program in [
            "{print $1}",
            "{print $1, $2}",
            "{print $1 \" \" $2}",
            "{ print $1 \"\\t\" $7 }",
            "$3 >= 1000 {print $1}",
            "$1 > 10",
            "NR>=10 && NR<=20",
            "{s+=$1} END {print s}",
            "{sum+=$1} END {print sum/NR}",
            "{print NR\": \"$0}",
            "{print length($0)}",
            "length > 80",
            "!seen[$0]++",
            "{a[$1]++} END {for (i in a) print i, a[i]}",
            "$9 ~ /^5/ {print $7}",
            "$9 ~ /^[45]0[0-9]/",
            "/error/ {c++} END {print c}",
            "{printf \"%s %5.1f\\n\", $1, $2}",
            "BEGIN {FS=\":\"} {print $1}",
            "{print substr($0, 1, 10)}",
            "{print $(NF-1)}",
            "{if ($3 > 5) print $1; else print $2}",
            "$1 == \"a\" || $2 != \"b\"",
            "{if ($1 > max) max = $1} END {print max}",
            "/a/ && !/b/",
            "/a\\.b/",
        ] {
            assert!(is_harmless(program), "{program}");
        }
    }

    #[test]
    fn knows_no_other_programs() {
        for program in [
            "",
            "BEGIN{system(\"id\")}",
            "BEGIN{system (\"id\")}",
            "{print > \"x\"}",
            "{print $1 >> \"x\"}",
            "{print $1 > $2}",
            "{if ($1) print > \"x\"}",
            "{print (1) > \"x\"}",
            "{print $1 | \"sh\"}",
            "{print $1 |& \"sh\"}",
            "\"id\" | getline",
            "{getline}",
            "{getline x < \"/etc/shadow\"}",
            "{while (1) print}",
            "BEGIN{for (;;) x++}",
            "BEGIN{for (i=0;i<9;i++) x++}",
            "BEGIN{do x++; while (1)}",
            "function f() {system(\"id\")} {f()}",
            "func f() {}",
            "@load \"filefuncs\"",
            "{@f()}",
            "@include \"x\"",
            "BEGIN{ARGV[1]=\"/etc/shadow\"}",
            "BEGIN{ENVIRON[\"x\"]}",
            "{print ENVIRON[\"PATH\"]}",
            "{s=s s}",
            "{s=s $0}",
            "{s = sprintf(\"%s%s\", s, s)}",
            "{NF=100000000}",
            "{$100000000=1}",
            "{print $x}",
            "{printf \"%1000000000d\", 1}",
            "{printf \"%*d\", $1, 1}",
            "{printf $1}",
            "{print} #x",
            "{print \"a\\x41\"}",
            "/a[/]system/",
            "/a\\/b/",
            "{print \"a",
            "{print $1",
            "print}",
            "{close(\"x\")}",
            "{fflush()}",
            "{x = y(1)}",
            "{gsub(/a/, \"&&\", s)}",
            "{split($0, a, \"\")}",
            "BEGIN{RS=\"\"}",
            "{ORS=\"x\"}",
            "{print strftime()}",
            "{print systime}",
            "a/b;system(\"id\")/c",
            "{print `id`}",
            "{print \\\n}",
            "{if (1) /\"/; system(\"id\") /\"/}",
            "{print /\"/; system(\"id\"); print /\"/}",
            "{x++ /\"/; system(\"id\") /\"/}",
            "{print (1) /\"/; system(\"id\") /\"/}",
            "length /\"/; system(\"id\") /\"/",
            "{exit /=\"/; system(\"id\") /\"/}",
        ] {
            assert!(!is_harmless(program), "{program}");
        }
    }
}
