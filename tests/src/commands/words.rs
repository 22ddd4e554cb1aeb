//! Makes the words of a command from an entry of the policy's tables.
//!
//! Invariant: every name, option and kind of operand of an entry can come up, with
//! values that fit and values that do not, among them the options that the entry
//! leaves out on purpose: where the entry and a program disagree about which word
//! is a value, such a word does its deed.

use openshell_plugin::policy::{Entry, Operands, Value};

use super::pools::{NAMES, NUMBERS, PATHS, PATTERNS, TEXTS};
use super::random::Random;

/// A command by an entry whose words are not read by code of its own.
pub(super) fn command(entry: &Entry, name: &str, random: &mut Random) -> Vec<String> {
    let mut words = Vec::new();
    for _ in 0..random.below(4) {
        option(entry, &mut words, random);
    }
    let operands = operands(entry, random);
    // Options and operands mixed, as GNU allows.
    for operand in operands {
        let at = if random.one_in(4) {
            random.below(words.len() + 1)
        } else {
            words.len()
        };
        words.insert(at, operand);
    }
    if random.one_in(20) {
        words.insert(random.below(words.len() + 1), "--".to_owned());
    }
    let program = match random.below(30) {
        0 => format!("/usr/bin/{name}"),
        1 => format!("/bin/{name}"),
        2 => format!("/sbin/{name}"),
        3 => format!("./{name}"),
        4 => format!("/usr/bin/../bin/{name}"),
        _ => name.to_owned(),
    };
    words.insert(0, program);
    words
}

/// Adds an option of an entry, in one of the ways to write it.
pub(super) fn option(entry: &Entry, words: &mut Vec<String>, random: &mut Random) {
    let kinds = [
        (!entry.flags.is_empty(), 0),
        (!entry.long.is_empty(), 1),
        (!entry.values.is_empty(), 2),
        (!entry.optional.is_empty(), 3),
        (entry.number, 4),
        (!entry.refused.is_empty() && random.one_in(8), 5),
        (random.one_in(30), 6),
    ];
    let kinds: Vec<u32> = kinds
        .into_iter()
        .filter_map(|(there, kind)| there.then_some(kind))
        .collect();
    if kinds.is_empty() {
        return;
    }
    match *random.choose(&kinds) {
        0 => {
            let mut letters = cluster(entry, random);
            // The last letter may take the rest or the next word.
            if random.one_in(5)
                && let Some((letter, kind)) = short(&entry.values, random)
            {
                letters.push(letter);
                let value = value(entry, &kind, random);
                if random.one_in(2) {
                    words.push(format!("-{letters}{value}"));
                    return;
                }
                words.push(format!("-{letters}"));
                words.push(value);
                return;
            }
            words.push(format!("-{letters}"));
        }
        1 => {
            let option = *random.choose(&entry.long);
            words.push(abbreviated(option, random));
        }
        2 => {
            let (option, kind) = random.choose(&entry.values).clone();
            let value = value(entry, &kind, random);
            let option = abbreviated(option, random);
            match (option.starts_with("--"), random.below(6)) {
                (true, 0..=2) | (false, 0) => words.push(format!("{option}={value}")),
                (false, 1..=2) => words.push(format!("{option}{value}")),
                // The value is missing.
                (_, 3) if random.one_in(4) => words.push(option),
                _ => words.extend([option, value]),
            }
        }
        3 => {
            let (option, kind) = random.choose(&entry.optional).clone();
            let value = value(entry, &kind, random);
            match (option.starts_with("--"), random.below(5)) {
                (_, 0..=1) => words.push(option.to_owned()),
                (true, 2..=3) => words.push(format!("{option}={value}")),
                (false, 2..=3) => words.push(format!("{option}{value}")),
                _ => words.extend([option.to_owned(), value]),
            }
        }
        4 => words.push(format!("-{}", random.below(30))),
        5 => words.extend(refused(entry, random)),
        // No option of the entry at all, perhaps one of the program.
        _ => {
            let letter = char::from(
                b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0"[random.below(53)],
            );
            words.push(format!("-{}{letter}", cluster(entry, random)));
        }
    }
}

fn cluster(entry: &Entry, random: &mut Random) -> String {
    let count = if entry.flags.is_empty() {
        0
    } else {
        1 + random.below(3)
    };
    (0..count).map(|_| *random.choose(&entry.flags)).collect()
}

/// The letter and the kind of an option that is a letter.
fn short(values: &[(&'static str, Value)], random: &mut Random) -> Option<(char, Value)> {
    let short: Vec<(char, &Value)> = values
        .iter()
        .filter_map(|(option, kind)| {
            let mut chars = option.strip_prefix('-')?.chars();
            let letter = chars.next().filter(|letter| *letter != '-')?;
            chars.next().is_none().then_some((letter, kind))
        })
        .collect();
    if short.is_empty() {
        return None;
    }
    let (letter, kind) = *random.choose(&short);
    Some((letter, kind.clone()))
}

/// A long option, sometimes cut short as `getopt_long` allows.
fn abbreviated(option: &str, random: &mut Random) -> String {
    if option.starts_with("--") && option.len() > 5 && random.one_in(25) {
        let keep = 4 + random.below(option.len() - 4);
        return option.chars().take(keep).collect();
    }
    option.to_owned()
}

/// An option that the entry leaves out on purpose, perhaps with a value or in a
/// cluster.
fn refused(entry: &Entry, random: &mut Random) -> Vec<String> {
    let option = random.choose(&entry.refused).option;
    match (option.strip_prefix('-'), random.below(6)) {
        (_, 0) => vec![option.to_owned(), "new.out".to_owned()],
        (_, 1) => vec![format!("{option}=new.out")],
        (Some(letter), 2) if letter.len() == 1 => {
            vec![format!("-{}{letter}", cluster(entry, random))]
        }
        (Some(letter), 3) if letter.len() == 1 => vec![format!("-{letter}new.out")],
        (_, 4) => vec![abbreviated(option, random)],
        _ => vec![option.to_owned()],
    }
}

fn operands(entry: &Entry, random: &mut Random) -> Vec<String> {
    match &entry.operands {
        Operands::None if random.one_in(10) => vec![value(entry, &Value::Name, random)],
        Operands::None => Vec::new(),
        Operands::UpTo(count, kind) => {
            let count = random.below(count + 1) + usize::from(random.one_in(15));
            (0..count).map(|_| value(entry, kind, random)).collect()
        }
        Operands::Any(kind) => (0..random.below(4))
            .map(|_| value(entry, kind, random))
            .collect(),
        Operands::FirstThen(first, then) => {
            let mut operands = vec![value(entry, first, random)];
            operands.extend((0..random.below(3)).map(|_| value(entry, then, random)));
            operands
        }
        Operands::Phrases(phrases) => {
            let chosen: &str = random.choose::<&str>(phrases);
            phrase(entry, chosen, random)
        }
    }
}

fn phrase(entry: &Entry, phrase: &str, random: &mut Random) -> Vec<String> {
    let mut operands = Vec::new();
    for part in phrase.split_ascii_whitespace() {
        match part {
            "*" => operands.push(value(entry, &Value::Name, random)),
            "%" => operands.push(value(entry, &Value::Text, random)),
            "..." => {
                for _ in 0..random.below(3) {
                    operands.push(value(entry, &Value::Name, random));
                }
            }
            part => {
                let words: Vec<&str> = part.split('|').collect();
                operands.push((*random.choose(&words)).to_owned());
            }
        }
    }
    operands
}

/// A value of a kind, or sometimes of another.
pub(super) fn value(entry: &Entry, kind: &Value, random: &mut Random) -> String {
    if !entry.refused.is_empty() && random.one_in(20) {
        return refused(entry, random).swap_remove(0);
    }
    let any = [PATHS, TEXTS, NUMBERS, NAMES];
    let pool = match kind {
        _ if random.one_in(15) => *random.choose(&any),
        Value::Text => TEXTS,
        Value::Number => NUMBERS,
        Value::Name => NAMES,
        Value::Metadata | Value::Content => PATHS,
        Value::Pattern => PATTERNS,
        Value::OneOf(words) => return (*random.choose(words)).to_owned(),
        Value::Checked => *random.choose(&[NUMBERS, NAMES, TEXTS]),
    };
    (*random.choose(pool)).to_owned()
}
