//! Combines everything that speaks about a request into one verdict.
//!
//! Invariant: the verdict is the strictest of the findings; of equally strict ones
//! the first stands. An operator's rule takes the place of the grammar's finding
//! for literal words and of nothing else. The derivation is written down by the
//! same code that decides, so that `explain` cannot say anything else. It does not
//! put questions or enforce anything.

mod derivation;
mod touched;

use std::borrow::Borrow;

use super::lex::Word;
use super::paths::{Access, Place};
use super::privilege::{self, Privilege};
use super::rules::{Applicable, matches_words};
use super::scan::{Scan, Shape, Simple, scan};
use super::types::{Decision, Finding, Request, Rule, Rulebook, Step, Subject, Verdict, shown};
use super::{catastrophe, grammar, preflight};

/// Most segments of a text that are listed; a question shows no more lines.
const SEGMENTS_CAP: usize = 64;

/// Judges a request.
///
/// Total and deterministic: every request gets a verdict, and the same request in
/// the same circumstances gets the same one.
#[must_use]
pub fn classify(subject: &Subject, rulebook: &Rulebook) -> Verdict {
    Judge::new(subject, rulebook, false).judge().0
}

/// Judges a request and says how the verdict came about.
#[must_use]
pub fn explain(subject: &Subject, rulebook: &Rulebook) -> (Verdict, Vec<Step>) {
    Judge::new(subject, rulebook, true).judge()
}

/// Whether a rule's words are the first words of a command, for the examples in a
/// rule file. A text that is more than one command of literal words matches none;
/// servers, labels and tools are not looked at.
#[must_use]
pub fn rule_matches(rule: &Rule, command: &str) -> bool {
    match scan(command).shape {
        Shape::Simple(words) => words.iter().all(Word::is_literal) && matches_words(rule, &words),
        _ => false,
    }
}

struct Judge<'a> {
    subject: &'a Subject,
    rulebook: &'a Rulebook,
    place: Place<'a>,
    /// In order of precedence among equals.
    findings: Vec<Finding>,
    privilege: Privilege,
    steps: Option<Vec<Step>>,
    /// The simple commands that were made out.
    segments: Vec<String>,
}

impl<'a> Judge<'a> {
    fn new(subject: &'a Subject, rulebook: &'a Rulebook, explain: bool) -> Self {
        let absolute =
            |path: &'a Option<String>| path.as_deref().filter(|path| path.starts_with('/'));
        let place = Place {
            cwd: absolute(&subject.cwd),
            home: absolute(&subject.home),
            secret_paths: &rulebook.secret_paths,
        };
        Self {
            subject,
            rulebook,
            place,
            findings: Vec::new(),
            privilege: Privilege::default(),
            steps: explain.then(Vec::new),
            segments: Vec::new(),
        }
    }

    fn step(
        &mut self,
        phase: &str,
        item: &str,
        finding: impl FnOnce() -> String,
        decision: Option<Decision>,
    ) {
        if let Some(steps) = &mut self.steps {
            steps.push(Step {
                phase: phase.to_owned(),
                item: item.to_owned(),
                finding: finding(),
                decision,
            });
        }
    }

    fn find(&mut self, phase: &str, item: &str, finding: Finding) {
        self.step(
            phase,
            item,
            || format!("{}: {}", finding.rule, finding.reason),
            Some(finding.decision),
        );
        self.findings.push(finding);
    }

    fn judge(mut self) -> (Verdict, Vec<Step>) {
        let mut stages = Vec::new();
        match &self.subject.request {
            Request::Command(text) => {
                if self.preflight("command", text) && self.directory() {
                    stages = self.command(text);
                }
            }
            Request::Argv(words) => {
                let whole = words.join(" ");
                if self.preflight("command", &whole) && self.directory() {
                    stages = self.argv(words);
                }
            }
            Request::ReadPath(path) => {
                self.path(path, Some(&Access::Content), "path.read", "reads a file")
            }
            Request::ListPath(path) => self.path(
                path,
                Some(&Access::Names),
                "path.list",
                "lists names and metadata",
            ),
            Request::StatPath(path) => {
                self.path(path, Some(&Access::Names), "path.stat", "looks at metadata")
            }
            Request::WritePath(path) => self.path(path, None, "path.write", "changes a file"),
        }
        let mut verdict = self.verdict();
        for (stage, words) in stages.iter().enumerate() {
            for (position, word) in words.iter().enumerate() {
                if !word.is_literal() {
                    verdict.globs.push((index(stage), index(position)));
                }
            }
        }
        verdict.stages = stages
            .into_iter()
            .map(|words| words.into_iter().map(|word| word.text).collect())
            .collect();
        (verdict, self.steps.unwrap_or_default())
    }

    fn verdict(&mut self) -> Verdict {
        let mut strictest: Option<&Finding> = None;
        for finding in &self.findings {
            if strictest.is_none_or(|other| finding.decision > other.decision) {
                strictest = Some(finding);
            }
        }
        let finding = match strictest {
            Some(finding) => finding.clone(),
            // Nothing spoke for the request either, so a person should.
            None => Finding::ask("policy.silent", "nothing is known about this request"),
        };
        Verdict {
            decision: finding.decision,
            rule: finding.rule,
            reason: finding.reason,
            stages: Vec::new(),
            globs: Vec::new(),
            run_as: self.privilege.accounts(),
            segments: std::mem::take(&mut self.segments),
        }
    }

    /// Checks a text; says whether there is any use in reading on.
    fn preflight(&mut self, what: &str, text: &str) -> bool {
        let Some(finding) = preflight::check(what, text) else {
            self.step("preflight", what, || "shows as it is".to_owned(), None);
            return true;
        };
        let read_on = finding.decision < Decision::Reject;
        self.find("preflight", what, finding);
        read_on
    }

    /// Checks the directories that relative names start from.
    fn directory(&mut self) -> bool {
        let directories = [
            ("working directory", &self.subject.cwd),
            ("login directory", &self.subject.home),
        ];
        for (what, directory) in directories {
            let Some(directory) = directory.as_deref() else {
                continue;
            };
            if !self.preflight(what, directory) {
                return false;
            }
            if !directory.starts_with('/') {
                let finding = Finding::ask(
                    "path.directory",
                    format!("the {what} {} is not absolute", shown(directory)),
                );
                self.find("path", directory, finding);
            }
        }
        true
    }

    fn command(&mut self, text: &str) -> Vec<Vec<Word>> {
        let scan = scan(text);
        let catastrophe = catastrophe::find(text, &scan.commands());
        self.privilege = Privilege::of(&scan.commands());
        let rules = Applicable::new(&self.rulebook.rules, self.subject, true);
        self.segments = segments(&scan);
        let stages = match scan.shape {
            Shape::Malformed(finding) => {
                self.find("scan", text, finding);
                return Vec::new();
            }
            Shape::Opaque(ref finding) => {
                self.catastrophe(text, catastrophe);
                self.privileged(text);
                let mut finding = finding.clone();
                if let Some(why) = self.worst_of(&scan) {
                    finding.reason.push_str(&format!("; in it, {why}"));
                }
                self.find("scan", text, finding);
                for command in scan.commands() {
                    self.tighten(&rules, &command.words);
                }
                return Vec::new();
            }
            Shape::Simple(words) => vec![words],
            Shape::Pipeline(stages) => {
                self.catastrophe(text, catastrophe.clone());
                self.privileged(text);
                if self.rulebook.pipelines_each_stage {
                    self.step(
                        "scan",
                        text,
                        || "a pipeline; each stage is judged".to_owned(),
                        None,
                    );
                } else {
                    let finding =
                        Finding::ask("scan.pipeline", "a pipeline joins several commands");
                    self.find("scan", text, finding);
                }
                stages
            }
        };
        let stages: Vec<Vec<Word>> = stages
            .into_iter()
            .map(|words| words.into_iter().map(|word| self.settle(word)).collect())
            .collect();
        for words in &stages {
            self.show_words(words);
        }
        match stages.as_slice() {
            [words] => self.words(words, &rules, catastrophe),
            stages => {
                for words in stages {
                    self.stage(words, &rules);
                }
            }
        }
        stages
    }

    fn argv(&mut self, words: &[String]) -> Vec<Vec<Word>> {
        if words.first().is_none_or(String::is_empty) {
            self.find(
                "scan",
                "",
                Finding::reject("scan.empty", "the command is empty"),
            );
            return Vec::new();
        }
        if words.iter().any(|word| word.contains('\n')) {
            self.find(
                "scan",
                "",
                Finding::ask(
                    "scan.newline",
                    "a line break in a word makes one command look like two",
                ),
            );
        }
        let words: Vec<Word> = words.iter().map(|word| Word::literal(word)).collect();
        self.show_words(&words);
        let rules = Applicable::new(&self.rulebook.rules, self.subject, true);
        let catastrophe = catastrophe::find_in_words(&words);
        self.privilege = Privilege::of_words(&words);
        self.words(&words, &rules, catastrophe);
        vec![words]
    }

    /// Puts in what is known: the login directory for `~`, and `./` before a
    /// pattern, whose names could otherwise look like options.
    fn settle(&self, mut word: Word) -> Word {
        // `--include=*.rs` names no file; it reaches the program as it stands.
        if word.glob && word.text.starts_with('-') {
            word.glob = word.text.split_once('=').is_none_or(|(option, _)| {
                !matches!(option, "--include" | "--exclude" | "--exclude-dir")
            });
            return word;
        }
        if word.home
            && let Some(home) = self.place.home
            && !(word.glob && home.contains(['*', '?', '[', '\\']))
        {
            let rest = word.text.strip_prefix('~').unwrap_or_default();
            word.text = format!("{}{rest}", home.trim_end_matches('/'));
            if word.text.is_empty() {
                word.text.push('/');
            }
            word.home = false;
        }
        if word.glob && !word.home && !word.text.starts_with(['/', '.']) {
            word.text.insert_str(0, "./");
        }
        word
    }

    fn catastrophe(&mut self, item: &str, catastrophe: Option<Finding>) {
        if let Some(finding) = catastrophe {
            self.find("rule", item, finding);
        }
    }

    /// Notes that parts of the request run as another account.
    fn privileged(&mut self, item: &str) {
        if let Some(finding) = self.privilege.finding(self.subject.sudo) {
            self.find("sudo", item, finding);
        }
    }

    /// Judges one command that stands by itself.
    fn words(&mut self, words: &[Word], rules: &Applicable<'_>, catastrophe: Option<Finding>) {
        let item = words.first().map_or("", |word| word.text.as_str());
        let spoken = rules.operator(words);
        if !spoken
            .as_ref()
            .is_some_and(|spoken| spoken.overrides_catastrophe)
        {
            self.catastrophe(item, catastrophe);
        }
        let by = spoken.as_ref().map(|spoken| spoken.finding.decision);
        if let Some(finding) = self.privilege.finding(self.subject.sudo)
            && !privilege::is_lifted(&finding, words, by)
        {
            self.find("sudo", item, finding);
        }
        self.derive(words);
        let (finding, touched) = grammar::judge(words);
        let allowed = finding.decision == Decision::AutoAllow;
        match spoken {
            Some(spoken) => {
                self.step(
                    "grammar",
                    item,
                    || format!("{}: {}", finding.rule, finding.reason),
                    None,
                );
                let loosens = spoken.finding.decision == Decision::AutoAllow;
                self.find("rule", item, spoken.finding);
                if allowed {
                    self.touched(&touched);
                } else if loosens {
                    self.any_path(words);
                }
            }
            None => {
                self.find("grammar", item, finding);
                self.plainly_named(words);
                self.touched(&touched);
                let said = || "no rule of the operator speaks of it".to_owned();
                self.step("rule", item, said, None);
            }
        }
        self.tighten(rules, words);
    }

    /// Judges one command of a pipeline, where rules can only tighten.
    fn stage(&mut self, words: &[Word], rules: &Applicable<'_>) {
        let item = words.first().map_or("", |word| word.text.as_str());
        self.derive(words);
        let (finding, touched) = grammar::judge(words);
        self.find("grammar", item, finding);
        self.plainly_named(words);
        self.touched(&touched);
        self.tighten(rules, words);
    }

    /// Asks about a program whose name is quoted in part: people have no reason to, and
    /// in a question such a name is read as another.
    fn plainly_named(&mut self, words: &[Word]) {
        let text = matches!(self.subject.request, Request::Command(_));
        let Some(first) = words.first().filter(|first| text && !first.bare) else {
            return;
        };
        let finding = Finding::ask(
            "scan.quoted-name",
            format!("the name of the program, {}, is quoted", shown(&first.text)),
        );
        self.find("scan", &first.text, finding);
    }

    fn tighten(&mut self, rules: &Applicable<'_>, words: &[impl Borrow<Word>]) {
        let Some(first) = words.first() else {
            return;
        };
        if let Some(finding) = rules.tightest(words) {
            self.find("rule", &first.borrow().text, finding);
        }
    }
}

/// The simple commands in a text, for showing.
fn segments(scan: &Scan) -> Vec<String> {
    let shown = |command: &Simple<'_>| {
        let words = command.words.iter().map(|word| word.text.as_str());
        let written = command.written.iter().flat_map(|word| [">", &word.text]);
        words.chain(written).collect::<Vec<_>>().join(" ")
    };
    let commands = scan.commands();
    commands.iter().take(SEGMENTS_CAP).map(shown).collect()
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
