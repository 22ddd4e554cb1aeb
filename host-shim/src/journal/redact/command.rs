//! Secrets in the words of a command line.
//!
//! Looks at assignments and at options whose name announces a secret, and finds the
//! programs whose arguments are the business of `places`; what is fed to a program that
//! reads a password is the business of `stdin`. Commands inside quoted words are looked
//! into as well. A text that is no command line has no such words, so every text can be
//! given.
//!
//! Invariant: it only adds places; nothing that another net found is taken back.
//! What the words do when they run is not asked.

use super::clients::{KEYWORDS, NAMES_SECRETS, WRAPPERS, clients};
use super::names;
use super::places::{apply, push};
use super::spans::Span;
use super::stdin;
use super::words::{self, Word};

/// How deep commands in quotes are followed.
const DEPTH: u8 = 4;

/// Finds secrets by their place in a command line.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    scan(text, words::split(text), 0, DEPTH, out);
}

fn scan(text: &str, words: Vec<Word>, base: usize, depth: u8, out: &mut Vec<Span>) {
    let mut found = Vec::new();
    let commands = commands(&words);
    for command in &commands {
        command.look(&mut found);
    }
    stdin::fed(&words, &commands, &mut found);
    sent(&words, &mut found);
    out.extend(found.into_iter().map(|span| Span {
        start: span.start + base,
        end: span.end + base,
        ..span
    }));
    if depth == 0 {
        return;
    }
    for word in words.iter().filter(|word| !word.operator) {
        let raw = &text[word.start..word.end];
        let quoted = ['\'', '"']
            .iter()
            .any(|quote| raw.len() > 2 && raw.starts_with(*quote) && raw.ends_with(*quote));
        if quoted && word.text.contains(char::is_whitespace) {
            let inner = &raw[1..raw.len() - 1];
            let words = if raw.starts_with('\'') {
                words::split_quoted(inner)
            } else {
                words::split(inner)
            };
            scan(inner, words, base + word.start + 1, depth - 1, out);
        }
    }
}

/// The words between two operators.
pub(super) struct Command<'a> {
    pub(super) words: Vec<&'a Word>,
    /// Where its words begin and end in the list of all words.
    pub(super) first: usize,
    pub(super) after: usize,
}

/// Cuts the words at operators; redirections do not end a command.
fn commands(words: &[Word]) -> Vec<Command<'_>> {
    let mut commands = Vec::new();
    let mut command = Command {
        words: Vec::new(),
        first: 0,
        after: 0,
    };
    for (at, word) in words.iter().enumerate() {
        let redirection = word.operator && word.text.starts_with(['<', '>']);
        if word.operator && !redirection {
            command.after = at;
            let next = Command {
                words: Vec::new(),
                first: at + 1,
                after: at + 1,
            };
            commands.push(std::mem::replace(&mut command, next));
        } else if !word.operator {
            command.words.push(word);
        }
    }
    command.after = words.len();
    commands.push(command);
    commands
}

pub(super) fn basename(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

pub(super) fn assignment(text: &str) -> Option<(&str, usize)> {
    let (name, _) = text.split_once('=')?;
    let bare = name.trim_start_matches('-');
    plain(bare).then_some((name, name.len() + 1))
}

/// Whether a word can be the name of something.
fn plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl<'a> Command<'a> {
    fn look(&self, out: &mut Vec<Span>) {
        let programs = self.programs();
        self.announced(&programs, out);
        for (order, (at, name)) in programs.iter().enumerate() {
            let end = programs
                .get(order + 1)
                .map_or(self.words.len(), |(next, _)| *next);
            let arguments = &self.words[at + 1..end];
            for client in clients().filter(|client| client.names.contains(name)) {
                apply(client, arguments, out);
            }
        }
    }

    /// The programs the command runs: the first, and those named after one
    /// that runs others.
    fn programs(&self) -> Vec<(usize, &'a str)> {
        let mut programs = Vec::new();
        let mut wrapped = false;
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            let name = basename(&word.text);
            let starts = programs.is_empty() || wrapped;
            if programs.is_empty()
                && (KEYWORDS.contains(&word.text.as_str()) || assignment(&word.text).is_some())
            {
                at += 1;
                continue;
            }
            if matches!(word.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir") {
                wrapped = true;
            } else if wrapped && matches!(word.text.as_str(), "-u" | "-g" | "--user" | "--group") {
                // The user a command runs as is not the command.
                at += 1;
            } else if starts && !word.text.starts_with('-') {
                let known = clients().any(|client| client.names.contains(&name));
                if programs.is_empty() || known || WRAPPERS.contains(&name) {
                    programs.push((at, name));
                }
                if programs.len() == 1 {
                    wrapped = WRAPPERS.contains(&name);
                }
            }
            at += 1;
        }
        programs
    }

    /// Assignments and options whose name announces a secret.
    fn announced(&self, programs: &[(usize, &str)], out: &mut Vec<Span>) {
        let names_secrets = programs
            .iter()
            .any(|(_, name)| NAMES_SECRETS.contains(name));
        for (at, word) in self.words.iter().enumerate() {
            let bare = word.text.trim_start_matches('-');
            let option = bare.split('=').next().unwrap_or_default();
            if names_secrets && matches!(option, "secret" | "secret-add" | "secret-rm") {
                continue;
            }
            if let Some((name, value)) = assignment(&word.text) {
                let text = &word.text[value..];
                if names::asks(name) {
                    printed(word, value, out);
                }
                let Some(kind) = names::kind(name) else {
                    continue;
                };
                // A list of fields is taken apart elsewhere, as is a command.
                let list = !name.starts_with('-')
                    && ['&', ';']
                        .iter()
                        .any(|mark| text.split(*mark).skip(1).any(|part| part.contains('=')));
                let code = word.called || (word.opens_quoted() && self.is_code(at, programs));
                if !list && !code && !names::harmless(kind, text) {
                    push(word, value, word.text.len(), kind, out);
                }
            } else if word.text.starts_with('-')
                && names::asks(bare)
                && let Some(next) = self.words.get(at + 1)
            {
                printed(next, 0, out);
            } else if word.text.starts_with('-')
                && bare.len() > 1
                && plain(bare)
                && !names::is_switch(bare)
                && let Some(kind) = names::kind(bare)
                && let Some(next) = self.words.get(at + 1)
                && !option_like(&next.text)
                && !names::harmless(kind, &next.text)
            {
                push(next, 0, next.text.len(), kind, out);
            }
        }
    }

    /// Whether a word is a command line for another program.
    fn is_code(&self, at: usize, programs: &[(usize, &str)]) -> bool {
        let option = at
            .checked_sub(1)
            .and_then(|before| self.words.get(before))
            .is_some_and(|word| {
                word.text.starts_with('-')
                    && !word.text.starts_with("--")
                    && word.text.ends_with('c')
            });
        option
            || programs
                .iter()
                .any(|(_, name)| matches!(*name, "ssh" | "eval" | "watch" | "su"))
    }

    /// Whether it runs one of these programs, itself or through another.
    pub(super) fn runs(&self, wanted: &[&str]) -> bool {
        let programs = self.programs();
        let Some((first, name)) = programs.first() else {
            return false;
        };
        wanted.contains(name)
            || (WRAPPERS.contains(name)
                && self.words[first + 1..].iter().any(|word| {
                    wanted.contains(&basename(&word.text)) && !word.text.starts_with("/etc/")
                }))
    }

    pub(super) fn has(&self, wanted: &str) -> bool {
        self.words.iter().any(|word| word.text == wanted)
    }
}

/// What a value prints that is a command line to ask for a secret with.
fn printed(word: &Word, from: usize, out: &mut Vec<Span>) {
    let inner = words::split(&word.text[from..]);
    let Some((program, operands)) = inner.split_first() else {
        return;
    };
    if !matches!(basename(&program.text), "echo" | "printf") {
        return;
    }
    for operand in operands.iter().take_while(|word| !word.operator) {
        let names_none = option_like(&operand.text) || operand.text.starts_with('%');
        if !names_none
            && !names::harmless("password", &operand.text)
            && let Some((start, end)) = operand.place(0, operand.text.len())
        {
            push(word, from + start, from + end, "password", out);
        }
    }
}

/// What expect(1) is told to send where it waits for a prompt for a password.
fn sent(words: &[Word], out: &mut Vec<Span>) {
    // Without it the words are no script of this kind, but a text like any other.
    if !words.iter().any(|word| word.text == "expect") {
        return;
    }
    let (mut expects, mut asked) = (false, false);
    let mut rest = words.iter().filter(|word| !word.operator).peekable();
    while let Some(word) = rest.next() {
        match word.text.as_str() {
            "expect" => (expects, asked) = (true, false),
            "send" => {
                while rest.next_if(|next| next.text.starts_with('-')).is_some() {}
                if let Some(next) = rest.next().filter(|_| asked) {
                    let text = next.text.as_str();
                    let end = ["\\r", "\\n"]
                        .iter()
                        .fold(text, |text, end| text.strip_suffix(end).unwrap_or(text));
                    if !names::harmless("password", end) {
                        push(next, 0, end.len(), "password", out);
                    }
                }
                (expects, asked) = (false, false);
            }
            text => {
                let text = text.to_ascii_lowercase();
                asked |= expects && (text.contains("assw") || text.contains("assphrase"));
            }
        }
    }
}

pub(super) fn option_like(text: &str) -> bool {
    text.starts_with("--") || (text.len() == 2 && text.starts_with('-'))
}
