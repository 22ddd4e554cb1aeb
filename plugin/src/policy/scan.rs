//! Decides whether a command line is one simple command, a pipeline, or more.
//!
//! Invariant: [`Shape::Simple`] and [`Shape::Pipeline`] hold exactly the words each
//! program would receive in every shell, apart from words marked as globs or as
//! starting in the login directory. Everything else is handed to a person. For
//! the sake of catastrophes and tightening rules the simple commands inside any
//! text are listed as well as they can be made out; nothing is ever allowed on
//! the strength of that list.

use super::lex::{Lexed, Token, Word, lex};
use super::types::Finding;

/// More words than any inspection needs.
const WORD_CAP: usize = 4096;

/// What a command line is.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) shape: Shape,
    /// Everything that was read, where the shape is [`Shape::Opaque`].
    tokens: Vec<Token>,
}

impl Scan {
    /// The simple commands in the text, as far as they can be made out.
    pub(super) fn commands(&self) -> Vec<Simple<'_>> {
        match &self.shape {
            Shape::Simple(words) => vec![Simple::of(words)],
            Shape::Pipeline(stages) => stages.iter().map(|words| Simple::of(words)).collect(),
            Shape::Opaque(_) => simple_commands(&self.tokens),
            Shape::Malformed(_) => Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(super) enum Shape {
    /// One program and its words.
    Simple(Vec<Word>),
    /// Programs joined by `|` and nothing else; at least two.
    Pipeline(Vec<Vec<Word>>),
    /// More than literal words.
    Opaque(Finding),
    /// Not a command at all.
    Malformed(Finding),
}

/// One simple command, for the search for catastrophes.
#[derive(Debug, Default)]
pub(super) struct Simple<'a> {
    pub(super) words: Vec<&'a Word>,
    /// Files that would be opened for writing.
    pub(super) written: Vec<&'a Word>,
}

impl<'a> Simple<'a> {
    pub(super) fn of(words: &'a [Word]) -> Self {
        Self {
            words: words.iter().collect(),
            written: Vec::new(),
        }
    }
}

/// First words with a meaning of their own in some shell.
const RESERVED: &[&str] = &[
    "!",
    "[[",
    "]]",
    "{",
    "}",
    "-",
    "builtin",
    "case",
    "command",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "end",
    "esac",
    "exec",
    "eval",
    "export",
    "fi",
    "for",
    "foreach",
    "function",
    "if",
    "in",
    "namespace",
    "nocorrect",
    "noglob",
    "repeat",
    "select",
    "then",
    "time",
    "typeset",
    "until",
    "while",
    "declare",
    "local",
    "readonly",
    "source",
    ".",
];

pub(super) fn scan(text: &str) -> Scan {
    if text.chars().all(|c| matches!(c, ' ' | '\t' | '\n')) {
        let finding = Finding::reject("scan.empty", "the command is empty");
        return Scan {
            shape: Shape::Malformed(finding),
            tokens: Vec::new(),
        };
    }
    let mut lexed = lex(text);
    let mut tokens = std::mem::take(&mut lexed.tokens);
    Scan {
        shape: shape(lexed, &mut tokens),
        tokens,
    }
}

/// Splits tokens into simple commands and the files they write.
fn simple_commands(tokens: &[Token]) -> Vec<Simple<'_>> {
    let mut commands = vec![Simple::default()];
    let mut redirection: Option<&str> = None;
    for token in tokens {
        match token {
            Token::Operator(
                operator @ ("<" | ">" | ">>" | ">|" | "<>" | ">&" | "<&" | "&>" | "&>>" | "<<"
                | "<<-" | "<<<"),
            ) => {
                redirection = Some(operator);
            }
            Token::Operator(_) => {
                redirection = None;
                commands.push(Simple::default());
            }
            Token::Word(word) => {
                let command = commands
                    .last_mut()
                    .expect("it starts with one element and only grows");
                match redirection.take() {
                    Some(operator) if operator.contains('>') => command.written.push(word),
                    Some(_) => {}
                    None => command.words.push(word),
                }
            }
        }
    }
    commands.retain(|command| !command.words.is_empty() || !command.written.is_empty());
    commands
}

/// Says what the text is; the words of a command are moved out of the tokens.
fn shape(lexed: Lexed, tokens: &mut Vec<Token>) -> Shape {
    if let Some(finding) = lexed.malformed {
        return Shape::Malformed(finding);
    }
    if let Some(finding) = lexed.opaque {
        return Shape::Opaque(finding);
    }
    // Line breaks around a command separate it from nothing.
    while tokens.last() == Some(&Token::Operator("\n")) {
        tokens.pop();
    }
    let start = tokens
        .iter()
        .take_while(|token| **token == Token::Operator("\n"))
        .count();
    let within = &tokens[start..];
    if within.len() > WORD_CAP {
        return Shape::Opaque(Finding::ask(
            "scan.words",
            format!("the command has more than {WORD_CAP} words"),
        ));
    }
    if let Some(operator) = stray_operator(within) {
        return Shape::Malformed(Finding::reject(
            "scan.malformed",
            format!("`{operator}` stands where no shell accepts it"),
        ));
    }
    let mut empty = true;
    for token in within {
        match token {
            Token::Word(word) if empty => {
                if let Some(finding) = command_word(word) {
                    return Shape::Opaque(finding);
                }
                empty = false;
            }
            Token::Word(_) => {}
            Token::Operator("|") => empty = true,
            Token::Operator(operator) => return Shape::Opaque(operator_finding(operator)),
        }
    }
    let mut stages = vec![Vec::new()];
    for token in tokens.drain(..).skip(start) {
        match token {
            Token::Word(word) => stages
                .last_mut()
                .expect("it starts with one element and only grows")
                .push(word),
            Token::Operator(_) => stages.push(Vec::new()),
        }
    }
    match stages.len() {
        1 => Shape::Simple(stages.pop().expect("there is one element")),
        _ => Shape::Pipeline(stages),
    }
}

/// The first operator that has nothing to join or to redirect to, or a parenthesis
/// without the other one.
///
/// Follows the grammar of POSIX.1-2024, XCU section 2.10, as far as operators alone
/// tell; what belongs to a `case` is left alone.
fn stray_operator(tokens: &[Token]) -> Option<&'static str> {
    let is_case = |token: &Token| matches!(token, Token::Word(word) if word.text == "case");
    let in_case = tokens.iter().any(is_case);
    // Whether a command could end here; after a redirection it could not.
    let mut complete = false;
    let mut redirects = None;
    let mut joins = None;
    let mut open = 0_u32;
    for token in tokens {
        let operator = match token {
            Token::Word(_) => {
                (complete, redirects, joins) = (true, None, None);
                continue;
            }
            Token::Operator(operator) => *operator,
        };
        // `<(` and `>(` are the process substitutions of some shells.
        if redirects.take().is_some() && operator != "(" {
            return Some(operator);
        }
        match operator {
            "\n" => complete = false,
            "(" => {
                open += 1;
                (complete, joins) = (false, None);
            }
            ")" if open == 0 && !in_case => return Some(operator),
            ")" => {
                open = open.saturating_sub(1);
                complete = true;
            }
            ";;" | ";&" | ";;&" if in_case => complete = false,
            ";;" | ";&" | ";;&" => return Some(operator),
            ";" | "&" | "&&" | "||" | "|" | "|&" => {
                if !complete && !in_case {
                    return Some(operator);
                }
                complete = false;
                joins = Some(operator).filter(|operator| operator.len() == 2 || *operator == "|");
            }
            _ => redirects = Some(operator),
        }
    }
    let unclosed = (open > 0 && !in_case).then_some("(");
    redirects.or(joins).or(unclosed)
}

fn operator_finding(operator: &str) -> Finding {
    match operator {
        "\n" => Finding::ask("scan.newline", "a line break separates commands"),
        "&" => Finding::ask(
            "scan.background",
            "`&` starts a command in the background and then another one",
        ),
        ";" | "&&" | "||" | ";;" | ";&" | ";;&" => Finding::ask(
            "scan.sequence",
            format!("`{operator}` joins several commands"),
        ),
        "(" | ")" => Finding::ask(
            "scan.group",
            "parentheses start a subshell or define a function",
        ),
        "<" => Finding::ask("scan.redirection", "`<` reads from a file"),
        "|&" => Finding::ask("scan.operator", "`|&` is not the same in every shell"),
        _ => Finding::ask("scan.redirection", format!("`{operator}` writes to a file")),
    }
}

/// What keeps a first word from naming a program.
fn command_word(word: &Word) -> Option<Finding> {
    if let Some((name, _)) = word.text.split_once('=')
        && !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '[' | ']'))
    {
        return Some(Finding::ask(
            "scan.assignment",
            "an assignment changes the environment of the command",
        ));
    }
    if word.glob || word.home {
        return Some(Finding::ask(
            "scan.command-word",
            "only the server knows which program this word stands for",
        ));
    }
    // `command -v` only looks a name up and is judged like a program.
    if RESERVED.contains(&word.text.as_str()) && word.text != "command" {
        return Some(Finding::ask(
            "scan.reserved",
            format!("`{}` is a word of the shell itself", word.text),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> String {
        match scan(text).shape {
            Shape::Simple(words) => format!("simple {}", words.len()),
            Shape::Pipeline(stages) => format!("pipeline {}", stages.len()),
            Shape::Opaque(finding) | Shape::Malformed(finding) => finding.rule,
        }
    }

    #[test]
    fn recognises_shapes() {
        let cases: &[(&str, &str)] = &[
            ("ls -l", "simple 2"),
            ("\n ls -l \n", "simple 2"),
            ("ps aux | grep x | head -3", "pipeline 3"),
            ("", "scan.empty"),
            (" \n\t", "scan.empty"),
            ("ls |", "scan.malformed"),
            ("| ls", "scan.malformed"),
            ("ls 'x", "scan.malformed"),
            ("ls\nrm x", "scan.newline"),
            ("ls & rm x", "scan.background"),
            ("ls; rm x", "scan.sequence"),
            ("ls && rm x", "scan.sequence"),
            ("(ls)", "scan.group"),
            ("f() (ls)", "scan.group"),
            ("ls > x", "scan.redirection"),
            ("ls 2>/dev/null", "scan.redirection"),
            ("ls &&", "scan.malformed"),
            ("&& ls", "scan.malformed"),
            ("ls || ; ls", "scan.malformed"),
            ("; ls", "scan.malformed"),
            ("ls;;", "scan.malformed"),
            ("ls & & ls", "scan.malformed"),
            ("ls >", "scan.malformed"),
            ("ls > > x", "scan.malformed"),
            ("(ls", "scan.malformed"),
            ("ls )", "scan.malformed"),
            ("&", "scan.malformed"),
            ("ls &&\nls", "scan.sequence"),
            ("ls;\nls", "scan.sequence"),
            ("(ls) > x", "scan.group"),
            ("(ls); ls &", "scan.group"),
            ("> x", "scan.redirection"),
            ("diff <(a) <(b)", "scan.redirection"),
            ("case x in a) ls;; esac", "scan.reserved"),
            ("cat < x", "scan.redirection"),
            ("A=b ls", "scan.assignment"),
            ("A+=b ls", "scan.assignment"),
            ("'A'=b", "scan.assignment"),
            ("/bin/l* x", "scan.command-word"),
            ("if x", "scan.reserved"),
            ("time ls", "scan.reserved"),
            ("ls | while x", "scan.reserved"),
            ("ls 'a # b'", "simple 2"),
            ("ls # b", "scan.comment"),
        ];
        for (text, expected) in cases {
            assert_eq!(rule(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn lists_the_commands_in_any_text() {
        let scan = scan("cd / && rm -rf $(echo x) > /dev/sda; echo `id`");
        let texts: Vec<String> = scan
            .commands()
            .iter()
            .map(|command| {
                let words: Vec<&str> = command
                    .words
                    .iter()
                    .map(|word| word.text.as_str())
                    .collect();
                let written: Vec<&str> = command
                    .written
                    .iter()
                    .map(|word| word.text.as_str())
                    .collect();
                format!("{} > {}", words.join(" "), written.join(" "))
            })
            .collect();
        assert_eq!(
            texts,
            [
                "cd / > ",
                "rm -rf $ > ",
                "echo x > ",
                " > /dev/sda",
                "echo > ",
                "id > "
            ]
        );
    }
}
