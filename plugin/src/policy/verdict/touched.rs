//! The paths of a request: those a command touches, and those of the file tools.
//!
//! Invariant: a request of a file tool is judged by the requested and by the
//! resolved name; a write is never less than a question. Which names are secret is
//! not known here.

use super::super::catastrophe;
use super::super::grammar;
use super::super::lex::Word;
use super::super::paths::{self, Access};
use super::super::rules::Applicable;
use super::super::types::Finding;
use super::Judge;

/// Most paths, and patterns among them, of one command. The verdict's cost grows
/// with both, and no inspection by a person has as many.
const PATHS_CAP: usize = 128;
const PATTERNS_CAP: usize = 16;

impl Judge<'_> {
    pub(super) fn touched(&mut self, touched: &[grammar::Touch]) {
        let patterns = touched.iter().filter(|touch| touch.glob).count();
        if touched.len() > PATHS_CAP || patterns > PATTERNS_CAP {
            let reason = format!(
                "more than {PATHS_CAP} paths or {PATTERNS_CAP} patterns are too many to judge"
            );
            self.find("path", "", Finding::ask("path.many", reason));
            return;
        }
        for touch in touched {
            match paths::judge(
                &touch.path,
                touch.glob,
                touch.home,
                &touch.access,
                &self.place,
            ) {
                Some(finding) => self.find("path", &touch.path, finding),
                None => self.step(
                    "path",
                    &touch.path,
                    || "holds nothing known to be secret".to_owned(),
                    None,
                ),
            }
        }
    }

    /// Judges every word that could be a path, for a program whose words are not
    /// known by kind.
    pub(super) fn any_path(&mut self, words: &[Word]) {
        if words.len() > PATHS_CAP {
            let reason = format!("more than {PATHS_CAP} words are too many to judge");
            self.find("path", "", Finding::ask("path.many", reason));
            return;
        }
        for word in words.iter().skip(1) {
            let text = word.text.as_str();
            let candidates = [
                (!text.starts_with('-')).then_some(text),
                text.split_once('=').map(|(_, value)| value),
                text.find('/').map(|from| &text[from..]),
            ];
            let finding = candidates
                .into_iter()
                .flatten()
                .find_map(|path| paths::judge(path, false, false, &Access::Content, &self.place));
            if let Some(finding) = finding {
                self.find("path", text, finding);
            }
        }
    }

    /// Judges a request of a file tool; without an access it is a write.
    pub(super) fn path(&mut self, path: &str, access: Option<&Access>, rule: &str, does: &str) {
        if path.is_empty() {
            self.find(
                "preflight",
                path,
                Finding::reject("preflight.empty", "the path is empty"),
            );
            return;
        }
        if !self.preflight("path", path) || !self.directory() {
            return;
        }
        if path.contains(['\n', '\t']) {
            self.find(
                "preflight",
                path,
                Finding::ask("preflight.blank", "the path holds a tab or a line break"),
            );
        }
        let names = std::iter::once(path).chain(self.subject.resolved.as_deref());
        match access {
            Some(access) => {
                self.find(
                    "path",
                    path,
                    Finding::allow(rule, format!("it only {does}")),
                );
                for name in names {
                    let home = name == "~" || name.starts_with("~/");
                    match paths::judge(name, false, home, access, &self.place) {
                        Some(finding) => self.find("path", name, finding),
                        None => self.step(
                            "path",
                            name,
                            || "holds nothing known to be secret".to_owned(),
                            None,
                        ),
                    }
                }
            }
            None => {
                for name in names {
                    if let Some(finding) = catastrophe::find_in_write(name) {
                        self.find("path", name, finding);
                    }
                }
                self.find("path", path, Finding::ask(rule, format!("it {does}")));
            }
        }
        let rules = Applicable::new(&self.rulebook.rules, self.subject, false);
        if let Some(finding) = rules.for_path() {
            self.find("rule", path, finding);
        }
    }
}
