//! Command lines that try the policy.
//!
//! Invariant: the seed and the number decide a command, whatever was made before
//! it. Most are built from the policy's own tables with values of every kind, right
//! and wrong; others are known commands with words changed, moved, quoted anew or
//! joined by shell syntax. It judges nothing.

#[path = "../../../plugin/src/policy/tests/hostile.rs"]
mod hostile;
mod pools;
mod random;
mod words;
mod writing;

use openshell_plugin::policy::{Tables, Value, tables};

use self::random::Random;

/// Commands that a person types all day, and must not be asked about.
pub const EVERYDAY: &str = include_str!("../../../plugin/src/policy/testdata/everyday.txt");
/// Commands that must not run unasked.
pub const HARMFUL: &str = include_str!("../../../plugin/src/policy/testdata/harmful.txt");
/// The public corpus: a JSON object with `id` and `command` a line.
pub const PUBLIC: &str = include_str!("../../../plugin/src/policy/testdata/public.jsonl");

/// Texts of at most `size` bytes, by name, that make some part of the policy work as
/// hard as it can.
#[must_use]
pub fn hostile_texts(size: usize) -> Vec<(&'static str, String)> {
    hostile::hostile(size)
}

/// A generator of command lines.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    tables: Tables,
    known: Vec<&'static str>,
}

impl Generator {
    /// A generator of the commands of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            tables: tables(),
            known: lines(EVERYDAY).chain(lines(HARMFUL)).collect(),
        }
    }

    /// The same with nothing but commands of these programs.
    #[must_use]
    pub fn only(seed: u64, programs: &[&str]) -> Self {
        let mut generator = Self::new(seed);
        generator
            .tables
            .commands
            .retain(|entry| entry.names.iter().any(|name| programs.contains(name)));
        for entry in &mut generator.tables.commands {
            entry.names.retain(|name| programs.contains(name));
        }
        generator.known.retain(|line| {
            let first = line.split_ascii_whitespace().next();
            first.is_some_and(|first| programs.contains(&first))
        });
        generator
    }

    /// Every command that is known to pass, as it stands.
    #[must_use]
    pub fn everyday(&self) -> Vec<String> {
        let examples = self.tables.commands.iter().flat_map(|entry| entry.allowed);
        let versions = self
            .tables
            .versions
            .iter()
            .flat_map(|(name, words)| words.iter().map(move |word| format!("{name} {word}")));
        let known = examples.copied().chain(lines(EVERYDAY)).map(str::to_owned);
        known.chain(versions).collect()
    }

    /// The `n`th command line.
    #[must_use]
    pub fn command(&self, n: u64) -> String {
        let mut random = Random::new(self.seed, n);
        let known = self.tables.commands.is_empty() || random.below(10) >= 6;
        let mut words = if known && !self.known.is_empty() {
            writing::split(random.choose::<&str>(&self.known))
        } else {
            self.table_words(&mut random)
        };
        for _ in 0..random.below(4).saturating_sub(1) {
            self.change(&mut words, &mut random);
        }
        writing::line(&words, &mut random)
    }

    fn table_words(&self, random: &mut Random) -> Vec<String> {
        let Some(entry) = self.entry(random) else {
            return Vec::new();
        };
        if entry.custom && (entry.values.is_empty() || random.one_in(3)) {
            let examples = [entry.allowed, entry.asks].concat();
            let mut words = writing::split(random.choose::<&str>(&examples));
            for _ in 0..random.below(3) {
                self.change(&mut words, random);
            }
            return words;
        }
        let name = *random.choose(&entry.names);
        words::command(entry, name, random)
    }

    fn entry(&self, random: &mut Random) -> Option<&openshell_plugin::policy::Entry> {
        (!self.tables.commands.is_empty()).then(|| random.choose(&self.tables.commands))
    }

    /// Changes one word of a command.
    fn change(&self, words: &mut Vec<String>, random: &mut Random) {
        let (false, Some(entry)) = (words.is_empty(), self.entry(random)) else {
            return;
        };
        let at = random.below(words.len());
        match random.below(9) {
            0 if words.len() > 1 => {
                words.remove(at);
            }
            1 => words.insert(at, words[at].clone()),
            2 => {
                let other = random.below(words.len());
                words.swap(at, other);
            }
            3 => words.insert(at + 1, words::value(entry, &Value::Metadata, random)),
            4 => words.insert(at + 1, words::value(entry, &Value::Text, random)),
            5 => {
                // An option of any other command.
                let mut options = Vec::new();
                words::option(entry, &mut options, random);
                words.splice(at + 1..at + 1, options);
            }
            6 => {
                let cut = random.below(words[at].chars().count() + 1);
                words[at] = words[at].chars().take(cut).collect();
            }
            7 => {
                let letter = char::from(b'A' + u8::try_from(random.below(58)).unwrap_or(0));
                let nth = random.below(4);
                let place = words[at].char_indices().map(|(place, _)| place).nth(nth);
                let place = place.unwrap_or(words[at].len());
                words[at].insert(place, letter);
            }
            _ => words[at] = words::value(entry, &Value::Metadata, random),
        }
    }
}

/// The commands of a list, without its comments.
#[must_use = "it only looks"]
pub fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with("# "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_number_decide_a_command() {
        let (one, same) = (Generator::new(7), Generator::new(7));
        let other = Generator::new(8);
        let mut differ = 0;
        for n in [0, 1, 2, 1000, 5, 1] {
            assert_eq!(one.command(n), same.command(n), "{n}");
            differ += usize::from(one.command(n) != other.command(n));
        }
        assert!(differ > 3, "the seed does not matter");
    }

    #[test]
    fn a_narrowed_generator_keeps_to_its_programs() {
        let generator = Generator::only(1, &["sort"]);
        let named = (0..200).filter(|n| generator.command(*n).contains("sort"));
        assert!(named.count() > 150);
    }

    /// Every entry of the tables comes up, and so does every option it leaves out.
    #[test]
    fn nothing_in_the_tables_is_forgotten() {
        let generator = Generator::new(3);
        let mut seen = std::collections::HashSet::new();
        for n in 0..200_000 {
            seen.extend(generator.command(n).split(' ').map(str::to_owned));
        }
        for entry in &generator.tables.commands {
            let known = entry.names.iter().any(|name| seen.contains(*name));
            assert!(known, "{:?} never came up", entry.names);
        }
    }
}
