//! Holds values and operands against what an entry says they must be.
//!
//! Invariant: a word that may be a path is noted to be judged, and any other has to
//! be literal and of its kind. Whether a path may be read is not decided here.

use super::super::super::lex::Word;
use super::super::super::paths::Access;
use super::super::super::types::shown;
use super::super::spec::{Kind, Operands, Refusal, Touch, is_name, is_number};
use super::Reader;

impl<'a> Reader<'a> {
    pub(super) fn operands(&mut self) -> Result<(), Refusal> {
        let operands = std::mem::take(&mut self.parsed.operands);
        let judged = self.judge_operands(&operands);
        self.parsed.operands = operands;
        judged
    }

    fn judge_operands(&mut self, operands: &[&'a Word]) -> Result<(), Refusal> {
        match self.command.operands {
            Operands::None => match operands.first() {
                Some(word) => Err(Refusal::new(
                    "operand",
                    format!("{} is one operand too many", shown(&word.text)),
                )),
                None => Ok(()),
            },
            Operands::UpTo(limit, kind) => {
                if operands.len() > limit {
                    return Err(Refusal::new(
                        "operand",
                        format!("{} is one operand too many", shown(&operands[limit].text)),
                    ));
                }
                if operands.iter().any(|word| word.glob) {
                    return Err(Refusal::new(
                        "glob",
                        "a pattern could become more operands than it may have",
                    ));
                }
                operands.iter().try_for_each(|word| self.accept(word, kind))
            }
            Operands::Any(kind) => operands.iter().try_for_each(|word| self.accept(word, kind)),
            Operands::FirstThen {
                first,
                unless,
                then,
            } => {
                let mut rest = operands.iter();
                if !self.parsed.has(unless) {
                    let word = rest
                        .next()
                        .ok_or_else(|| Refusal::new("operand", "it has too few operands"))?;
                    self.accept(word, first)?;
                }
                rest.try_for_each(|word| self.accept(word, then))
            }
            Operands::Phrases(phrases) => {
                if operands.iter().any(|word| !word.is_literal()) {
                    return Err(Refusal::new(
                        "glob",
                        "only a shell knows what this pattern becomes",
                    ));
                }
                let words: Vec<&str> = operands.iter().map(|word| word.text.as_str()).collect();
                if phrases.iter().any(|phrase| is_phrase(phrase, &words)) {
                    return Ok(());
                }
                Err(Refusal::new(
                    "verb",
                    format!(
                        "{} is not among the requests known to only look",
                        shown(&words.join(" "))
                    ),
                ))
            }
        }
    }

    /// Checks one value or operand and notes the path it names.
    pub(super) fn accept(&mut self, word: &Word, kind: Kind) -> Result<(), Refusal> {
        let access = match kind {
            Kind::Names => Some(Access::Names),
            Kind::Read => Some(Access::Content),
            Kind::Sniff if word.glob => Some(Access::Names),
            Kind::Sniff => Some(Access::Content),
            _ => None,
        };
        if let Some(access) = access {
            if word.text == "-" || word.text.is_empty() {
                return Ok(());
            }
            self.touched.push(Touch::new(word, access));
            return Ok(());
        }
        if word.glob || word.home {
            return Err(Refusal::new(
                "glob",
                format!("only a shell knows what {} becomes", shown(&word.text)),
            ));
        }
        let text = word.text.as_str();
        let fits = match kind {
            Kind::Text | Kind::Include | Kind::Names | Kind::Read | Kind::Sniff => true,
            Kind::Number => is_number(text),
            Kind::Name => is_name(text),
            Kind::OneOf(words) => words.contains(&text),
            Kind::Is(accepts) => accepts(text),
        };
        if fits {
            return Ok(());
        }
        Err(Refusal::new(
            "value",
            format!("{} is not a value known to be harmless here", shown(text)),
        ))
    }
}

fn is_phrase(phrase: &str, words: &[&str]) -> bool {
    let mut words = words.iter();
    for part in phrase.split_ascii_whitespace() {
        if part == "..." {
            return words.all(|word| is_name(word));
        }
        let Some(word) = words.next() else {
            return false;
        };
        let fits = if part == "*" {
            is_name(word)
        } else if part == "%" {
            !word.starts_with('-')
        } else {
            part.split('|').any(|option| option == *word)
        };
        if !fits {
            return false;
        }
    }
    words.next().is_none()
}
