//! Sorts the words of a command by its table entry.
//!
//! Invariant: every word is accounted for: an option of the entry, the value of
//! one, or an operand of the right kind. The first word that is not ends the
//! reading with a refusal. The engine knows no command by name.

mod operands;

use super::super::lex::Word;
use super::super::types::shown;
use super::spec::{Command, Kind, Name, Outcome, Parsed, Refusal, Style, Touch};

/// Judges the words after the command's name.
pub(super) fn judge(command: &Command, words: &[Word]) -> Outcome {
    if let Style::Custom(custom) = command.style {
        return custom(words);
    }
    Ok(read(command, words)?.1)
}

/// Sorts the words into options and operands, and says which paths they touch.
pub(super) fn read<'a>(
    command: &'a Command,
    words: &'a [Word],
) -> Result<(Parsed<'a>, Vec<Touch>), Refusal> {
    let mut reader = Reader {
        command,
        touched: Vec::new(),
        parsed: Parsed::default(),
    };
    reader.read(words)?;
    reader.operands()?;
    match command.check.and_then(|check| check(&reader.parsed)) {
        Some(refusal) => Err(refusal),
        None => Ok((reader.parsed, reader.touched)),
    }
}

/// How each word is read: the options up to the first that is not known, then the
/// operands.
pub(super) fn derive(command: &Command, words: &[Word]) -> Vec<(String, String)> {
    let mut reader = Reader {
        command,
        touched: Vec::new(),
        parsed: Parsed::default(),
    };
    let read = reader.read(words);
    let mut steps: Vec<(String, String)> = Vec::new();
    for (name, value) in &reader.parsed.options {
        let finding = match value {
            None => "is listed".to_owned(),
            Some(value) => format!("is listed; its value is {}", shown(&value.text)),
        };
        steps.push((name.text(), finding));
    }
    match read {
        Err(refusal) => steps.push((String::new(), refusal.reason)),
        Ok(()) => {
            let operands = reader.parsed.operands.iter();
            steps.extend(operands.map(|word| (word.text.clone(), "is an operand".to_owned())));
            let rest = reader.operands().err();
            let together = || command.check.and_then(|check| check(&reader.parsed));
            if let Some(refusal) = rest.or_else(together) {
                steps.push((String::new(), refusal.reason));
            }
        }
    }
    steps
}

/// Most options of one command; no person gives as many.
const OPTIONS_CAP: usize = 128;

struct Reader<'a> {
    command: &'a Command,
    touched: Vec<Touch>,
    parsed: Parsed<'a>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, words: &'a [Word]) -> Result<(), Refusal> {
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let text = word.text.as_str();
            if text == "--" {
                self.parsed.operands.extend(rest);
                return Ok(());
            }
            if !text.starts_with('-') || text == "-" {
                if matches!(
                    self.command.style,
                    Style::OptionsFirst | Style::WholeWordsFirst
                ) {
                    self.parsed.operands.push(word);
                    self.parsed.operands.extend(rest.by_ref());
                    if self
                        .parsed
                        .operands
                        .iter()
                        .any(|word| word.text.starts_with('-') && word.text != "-")
                    {
                        return Err(Refusal::new(
                            "order",
                            "an option after an operand is an operand in some versions",
                        ));
                    }
                    return Ok(());
                }
                self.parsed.operands.push(word);
                continue;
            }
            if word.glob || word.home {
                return Err(Refusal::new(
                    "glob",
                    format!("{} could become any option", shown(text)),
                ));
            }
            let whole = matches!(
                self.command.style,
                Style::WholeWords | Style::WholeWordsFirst
            );
            if text.starts_with("--") || whole {
                self.whole(text, &mut rest)?;
            } else {
                self.cluster(&text[1..], &mut rest)?;
            }
        }
        Ok(())
    }

    /// An option that is a word of its own.
    fn whole(
        &mut self,
        text: &'a str,
        rest: &mut std::slice::Iter<'a, Word>,
    ) -> Result<(), Refusal> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(Word::literal(value))),
            None => (text, None),
        };
        if let Some((_, kind)) = self
            .command
            .values
            .iter()
            .find(|(option, _)| *option == name)
        {
            let value = match attached {
                Some(value) => value,
                None => rest.next().ok_or_else(|| missing(name))?.clone(),
            };
            return self.option(Name::Long(name), Some((value, *kind)));
        }
        if let Some((_, kind)) = self
            .command
            .optional
            .iter()
            .find(|(option, _)| *option == name)
        {
            return self.option(Name::Long(name), attached.map(|value| (value, *kind)));
        }
        if attached.is_none() && is_listed(self.command.long, name) {
            return self.option(Name::Long(name), None);
        }
        // `-l64`, where `-l` takes a number.
        if let Some((letter, number)) = name.split_at_checked(2)
            && attached.is_none()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && let Some((option, kind)) = self
                .command
                .values
                .iter()
                .find(|(option, kind)| *option == letter && matches!(kind, Kind::Number))
        {
            return self.option(Name::Long(option), Some((Word::literal(number), *kind)));
        }
        Err(self.refuse(name))
    }

    /// Letters after one dash.
    fn cluster(
        &mut self,
        letters: &str,
        rest: &mut std::slice::Iter<'a, Word>,
    ) -> Result<(), Refusal> {
        if self.command.number && letters.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.option(
                Name::Long("-0"),
                Some((Word::literal(letters), Kind::Number)),
            );
        }
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let name = Name::Letter(letter);
            let attached = letters.as_str();
            if let Some((_, kind)) = self
                .command
                .values
                .iter()
                .find(|(option, _)| name.is(option))
            {
                let value = if attached.is_empty() {
                    rest.next().ok_or_else(|| missing(&name.text()))?.clone()
                } else {
                    Word::literal(attached)
                };
                return self.option(name, Some((value, *kind)));
            }
            if let Some((_, kind)) = self
                .command
                .optional
                .iter()
                .find(|(option, _)| name.is(option))
            {
                let value = (!attached.is_empty()).then(|| (Word::literal(attached), *kind));
                return self.option(name, value);
            }
            if self.command.flags.contains(letter) {
                self.option(name, None)?;
                continue;
            }
            return Err(self.refuse(&name.text()));
        }
        Ok(())
    }

    fn option(&mut self, name: Name<'a>, value: Option<(Word, Kind)>) -> Result<(), Refusal> {
        let value = match value {
            Some((word, kind)) => {
                self.accept(&word, kind)?;
                Some(word)
            }
            None => None,
        };
        if self.parsed.options.len() == OPTIONS_CAP {
            return Err(Refusal::new(
                "many",
                format!("more than {OPTIONS_CAP} options are too many to judge"),
            ));
        }
        self.parsed.options.push((name, value));
        Ok(())
    }

    fn refuse(&self, name: &str) -> Refusal {
        match self
            .command
            .refused
            .iter()
            .find(|refused| refused.option == name)
        {
            Some(refused) => Refusal::new(refused.id, format!("`{name}` {}", refused.why)),
            None => Refusal::new(
                "option",
                format!(
                    "{} is not among the options known to only look",
                    shown(name)
                ),
            ),
        }
    }
}

fn is_listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == name)
}

fn missing(name: &str) -> Refusal {
    Refusal::new("value", format!("`{name}` has no value"))
}

#[cfg(test)]
mod tests {
    use super::super::super::lex::{Token, lex};
    use super::super::spec::{Operands, refused};
    use super::*;

    const SAMPLE: Command = Command {
        flags: "ab",
        long: "--all",
        values: &[
            ("-n", Kind::Number),
            ("--lines", Kind::Number),
            ("-e", Kind::Text),
        ],
        optional: &[("--color", Kind::OneOf(&["auto"])), ("-w", Kind::Number)],
        number: true,
        refused: &[refused("-o", "output", "writes a file")],
        operands: Operands::Any(Kind::Read),
        ..Command::BARE
    };

    fn outcome(command: &Command, text: &str) -> String {
        let words: Vec<Word> = lex(text)
            .tokens
            .into_iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some(word),
                Token::Operator(_) => None,
            })
            .collect();
        match judge(command, &words) {
            Ok(touched) => touched
                .iter()
                .map(|touch| touch.path.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            Err(refusal) => format!("!{}", refusal.id),
        }
    }

    #[test]
    fn reads_options_and_operands() {
        for (text, expected) in [
            ("-ab x", "x"),
            ("x -a y", "x y"),
            ("-abn5 x", "x"),
            ("-n 5 x", "x"),
            ("--lines=5 --lines 6 x", "x"),
            ("-20 x", "x"),
            ("-e -a x", "x"),
            ("-- -o", "-o"),
            ("- x", "x"),
            ("--color x", "x"),
            ("--color=auto -w -w7 x", "x"),
            ("-o x", "!output"),
            ("-ao", "!output"),
            ("-c", "!option"),
            ("--al", "!option"),
            ("--all=1", "!option"),
            ("--line=5", "!option"),
            ("-n x", "!value"),
            ("-n", "!value"),
            ("--color=always", "!value"),
            ("-*", "!glob"),
            ("-e *", "!glob"),
        ] {
            assert_eq!(outcome(&SAMPLE, text), expected, "{text}");
        }
    }

    #[test]
    fn reads_phrases() {
        let command = Command {
            operands: Operands::Phrases(&["show", "a|b *", "c ..."]),
            ..Command::BARE
        };
        for (text, allowed) in [
            ("show", true),
            ("show x", false),
            ("a x", true),
            ("b x", true),
            ("b", false),
            ("c", true),
            ("c x y", true),
            ("d", false),
            ("", false),
            ("a *", false),
            ("a '*'", true),
            ("a 'x y'", false),
        ] {
            assert_eq!(outcome(&command, text).is_empty(), allowed, "{text}");
        }
    }
}
