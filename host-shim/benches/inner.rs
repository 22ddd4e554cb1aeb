//! The inner loops of a call, without a server: the verdict, redaction, the diff of a
//! question, escaping.
//!
//! Invariant: the commands are those of the suites, each in its turn, so that no one of
//! them is measured from a warm branch predictor alone. What a whole call costs is
//! `cargo xtask bench`'s business.

use divan::{Bencher, black_box};
use openshell_host::approvals::{describe_change, escape_text};
use openshell_host::contract;
use openshell_host::engine::Engine;
use openshell_host::journal::Redactor;

/// One command a line, and comments.
const EVERYDAY: &str = include_str!("../../plugin/src/policy/testdata/everyday.txt");

fn main() {
    divan::main();
}

/// Everyday commands without end.
fn commands() -> impl FnMut() -> String {
    let said = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let mut endless = EVERYDAY.lines().filter(said).cycle();
    move || endless.next().unwrap_or_default().to_owned()
}

#[divan::bench]
fn verdict_through_the_component(bencher: Bencher) {
    let engine = Engine::embedded().expect("the component loads");
    let judge = engine.judge().expect("the component can be instantiated");
    let rules = contract::Rulebook {
        rules: Vec::new(),
        pipelines_each_stage: false,
        secret_paths: Vec::new(),
    };
    let mut next = commands();
    let subject = move || contract::Subject {
        request: contract::Request::Command(next()),
        server: "web-1".to_owned(),
        tool: "remote_exec".to_owned(),
        labels: Vec::new(),
        cwd: None,
        home: None,
        resolved: None,
        sudo: None,
    };
    bencher
        .with_inputs(subject)
        .bench_local_refs(|subject| judge.classify(subject, &rules));
}

#[divan::bench]
fn redaction_of_a_command(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("there is room for temporary files");
    let redactor = Redactor::open(dir.path()).expect("the directory is new");
    bencher
        .with_inputs(commands())
        .bench_local_refs(|command| redactor.text(command));
}

/// One line in the middle changes.
#[divan::bench(args = [10, 100, 1_000])]
fn diff_of_a_question(bencher: Bencher, lines: usize) {
    let text = |middle: &str| -> String {
        let line = |number: usize| match number == lines / 2 {
            true => format!("{middle}\n"),
            false => format!("setting.{number} = {number}\n"),
        };
        (0..lines).map(line).collect()
    };
    let (before, after) = (text("before"), text("after"));
    bencher.bench(|| {
        let was = Some((before.as_bytes(), 0o644));
        let is = Some((after.as_bytes(), 0o644));
        describe_change(black_box("web-1:/etc/app.conf"), was, is)
    });
}

#[divan::bench]
fn escaping_for_a_terminal(bencher: Bencher) {
    bencher
        .with_inputs(commands())
        .bench_local_refs(|command| escape_text(command).len());
}
