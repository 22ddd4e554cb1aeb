//! What a derivation says besides the findings: the words as they were decoded, how
//! each was read, and which command of a longer text would have been asked about.
//!
//! Invariant: nothing here decides. The words are read by the code that judges them.

use super::super::grammar;
use super::super::lex::Word;
use super::super::paths;
use super::super::scan::Scan;
use super::super::types::{Decision, shown};
use super::Judge;

/// Most commands of a text that are looked at for the sake of a reason.
const LOOKED_AT: usize = 8;

impl Judge<'_> {
    /// Notes the words of one command, as every shell would decode them.
    pub(super) fn show_words(&mut self, words: &[Word]) {
        if self.steps.is_none() {
            return;
        }
        let texts: Vec<String> = words
            .iter()
            .map(|word| match (word.glob, word.home) {
                (false, false) => shown(&word.text),
                (true, _) => format!("{} (a pattern, expanded by name)", shown(&word.text)),
                (false, true) => format!("{} (in the login directory)", shown(&word.text)),
            })
            .collect();
        let item = words.first().map_or("", |word| word.text.as_str());
        let finding = format!("its words are {}", texts.join(", "));
        self.step("scan", item, || finding, None);
    }

    /// Notes how each word of one command was read.
    pub(super) fn derive(&mut self, words: &[Word]) {
        if self.steps.is_none() {
            return;
        }
        for (item, finding) in grammar::derive(words) {
            self.step("grammar", &item, || finding, None);
        }
    }

    /// Why the first command of a text that would not run by itself would not.
    pub(super) fn worst_of(&self, scan: &Scan) -> Option<String> {
        let commands = scan.commands();
        if commands.len() < 2 {
            return None;
        }
        commands.iter().take(LOOKED_AT).find_map(|command| {
            if let Some(target) = command.written.first() {
                return Some(format!("{} would be written", shown(&target.text)));
            }
            if command.words.iter().any(|word| word.opaque) {
                return None;
            }
            let words: Vec<Word> = command.words.iter().map(|word| (*word).clone()).collect();
            let (finding, touched) = grammar::judge(&words);
            if finding.decision != Decision::AutoAllow {
                return Some(finding.reason);
            }
            touched.iter().take(LOOKED_AT).find_map(|touch| {
                let (path, glob, home) = (&touch.path, touch.glob, touch.home);
                let finding = paths::judge(path, glob, home, &touch.access, &self.place)?;
                Some(finding.reason)
            })
        })
    }
}
