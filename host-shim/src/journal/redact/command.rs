//! Secrets in the words of a command line.
//!
//! Looks at assignments, at options whose name announces a secret and at what
//! known programs take where; what is fed to a program that reads a password is the
//! business of `stdin`. Commands inside quoted words are looked into as well. A text
//! that is no command line has no such words, so every text can be given.
//!
//! Invariant: it only adds places; nothing that another net found is taken back.
//! What the words do when they run is not asked.

use super::clients::{CLIENTS, Client, Flag, Form, KEYWORDS, NAMES_SECRETS, Part, Spot, WRAPPERS};
use super::names;
use super::spans::Span;
use super::stdin;
use super::words::{self, Word};

/// How deep commands in quotes are followed.
const DEPTH: u8 = 4;

/// Finds secrets by their place in a command line.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    scan(text, 0, DEPTH, out);
}

fn scan(text: &str, base: usize, depth: u8, out: &mut Vec<Span>) {
    let words = words::split(text);
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
            scan(
                &raw[1..raw.len() - 1],
                base + word.start + 1,
                depth - 1,
                out,
            );
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

fn assignment(text: &str) -> Option<(&str, usize)> {
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
            for client in CLIENTS.iter().filter(|client| client.names.contains(name)) {
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
                let known = CLIENTS.iter().any(|client| client.names.contains(&name));
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
            if names_secrets && (bare == "secret" || bare.starts_with("secret=")) {
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
                let code = word.opens_quoted() && self.is_code(at, programs);
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

/// Whether a word is a drive of Windows.
fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
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

fn apply(client: &Client, arguments: &[&Word], out: &mut Vec<Span>) {
    let needed = client.needs.is_empty()
        || arguments
            .iter()
            .any(|word| client.needs.contains(&word.text.as_str()));
    if !needed {
        return;
    }
    let mut operands: Vec<&Word> = Vec::new();
    let mut letters = String::new();
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        at += 1;
        let next = arguments.get(at).copied();
        match taken(client, word, next) {
            Some((flag, Taken::Same(from))) => push_part(word, from, flag.part, "password", out),
            Some((flag, Taken::Next)) => {
                at += 1;
                if let Some(next) = next {
                    push_part(next, 0, flag.part, "password", out);
                }
            }
            None if word.text.starts_with('-') && word.text.len() > 1 => {
                if !word.text.starts_with("--") {
                    letters.push_str(&word.text[1..]);
                }
            }
            None if client.ends_at_operand => return,
            None => operands.push(word),
        }
    }
    for spot in client.spots {
        pick(*spot, &operands, &letters, out);
    }
}

enum Taken {
    /// The value begins at this byte of the word.
    Same(usize),
    /// The value is the next word.
    Next,
}

/// The option a word is, with the place of its value.
fn taken<'c>(client: &'c Client, word: &Word, next: Option<&Word>) -> Option<(&'c Flag, Taken)> {
    let text = word.text.as_str();
    let follows = next.is_some_and(|next| !option_like(&next.text));
    for flag in client.flags {
        if text == flag.name {
            if flag.form != Form::Attached && follows {
                return Some((flag, Taken::Next));
            }
            continue;
        }
        let long = flag.name.starts_with("--");
        if flag.form != Form::Next
            && let Some(rest) = text.strip_prefix(flag.name)
        {
            if !long {
                return Some((flag, Taken::Same(flag.name.len())));
            }
            if rest.starts_with('=') {
                return Some((flag, Taken::Same(flag.name.len() + 1)));
            }
        }
        // Several short options in one word, the last one with a value.
        let letter = flag.name.strip_prefix('-').filter(|rest| rest.len() == 1);
        if let (Some(letter), Some(cluster)) = (letter, text.strip_prefix('-'))
            && !client.cluster.is_empty()
            && let Some(at) = cluster.find(letter)
            && cluster[..at].chars().all(|c| client.cluster.contains(c))
        {
            let value = 1 + at + 1;
            if value < text.len() {
                return Some((flag, Taken::Same(value)));
            }
            if follows {
                return Some((flag, Taken::Next));
            }
        }
    }
    None
}

fn pick(spot: Spot, operands: &[&Word], letters: &str, out: &mut Vec<Span>) {
    let after = |wanted: &str| {
        operands
            .iter()
            .position(|word| word.text.eq_ignore_ascii_case(wanted))
            .map(|at| &operands[at + 1..])
            .unwrap_or_default()
    };
    match spot {
        Spot::Operand(number, part) => {
            if let Some(word) = operands.get(number - 1) {
                push_part(word, 0, part, "password", out);
            }
        }
        Spot::After(wanted, number) => {
            if let Some(word) = after(wanted).get(number - 1) {
                push_part(word, 0, Part::Whole, "password", out);
            }
        }
        Spot::Assigned(wanted) => {
            for word in after(wanted) {
                push_part(word, 0, Part::After('='), "secret", out);
            }
        }
        Spot::Named(wanted) => {
            for pair in after(wanted).windows(2) {
                if let Some(kind) = names::kind(&pair[0].text)
                    && !names::harmless(kind, &pair[1].text)
                {
                    push(pair[1], 0, pair[1].text.len(), kind, out);
                }
            }
        }
        Spot::Bare(wanted, from) => {
            const VERBS: [&str; 5] = ["add", "delete", "info", "password", "rename"];
            let bare = after(wanted).iter().filter(|word| {
                let text = word.text.as_str();
                let place = text.starts_with(['/', '\\']) || text == "*" || is_drive(text);
                !place && !VERBS.contains(&text)
            });
            for word in bare.skip(from - 1) {
                push_part(word, 0, Part::Whole, "password", out);
            }
        }
        Spot::LastWith(letter) => {
            if let Some(word) = operands.last().filter(|_| letters.contains(letter)) {
                push_part(word, 0, Part::Whole, "password", out);
            }
        }
    }
}

pub(super) fn push_part(
    word: &Word,
    from: usize,
    part: Part,
    kind: &'static str,
    out: &mut Vec<Span>,
) {
    let value = &word.text[from..];
    // `file:…` and its like say where the secret is.
    if names::harmless(kind, value) {
        return;
    }
    let range = match part {
        Part::Whole => Some((0, value.len())),
        Part::After(mark) => value
            .find(mark)
            .map(|at| (at + mark.len_utf8(), value.len())),
        Part::Last(mark) => value
            .rfind(mark)
            .map(|at| (at + mark.len_utf8(), value.len())),
        Part::Connect => value.find('/').filter(|at| *at > 0).map(|at| {
            let end = value.rfind('@').filter(|end| *end > at);
            (at + 1, end.unwrap_or(value.len()))
        }),
    };
    if let Some((start, end)) = range
        && !names::harmless(kind, &value[start..end])
    {
        push(word, from + start, from + end, kind, out);
    }
}

fn push(word: &Word, from: usize, to: usize, kind: &'static str, out: &mut Vec<Span>) {
    if let Some((start, end)) = word.place(from, to) {
        out.push(Span {
            start,
            end,
            kind,
            secret: Some(word.text[from..to].to_owned()),
        });
    }
}
