//! What holds for every text, and the shells' own word on what is literal.

use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::super::lex::Word;
use super::super::scan::{Shape, scan};
use super::super::types::{Decision, Request, Rule, RuleOrigin, Rulebook};
use super::super::verdict::{classify, explain};
use super::{command, request};

/// Texts in which every character that means something to some shell is frequent.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        12 => "[a-z]{1,4}",
        4 => Just(" ".to_owned()),
        8 => proptest::sample::select(r#" '"\$`!#%^&*()-=+[]{};:<>?,./|~@_"#.chars().map(String::from).collect::<Vec<_>>()),
        1 => proptest::sample::select(vec!["\n".to_owned(), "\t".to_owned(), "é".to_owned(), "0".to_owned(), "2>".to_owned(), "=(".to_owned()]),
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Texts that look more like commands.
fn command_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "ls",
            "cat",
            "grep",
            "find",
            "rm",
            "-rf",
            "/",
            "/etc/shadow",
            "-exec",
            "systemctl",
            "status",
            "restart",
            "ps",
            "aux",
            "|",
            ";",
            "&&",
            "-n",
            "20",
            "'a b'",
            "\"x\"",
            "*.log",
            "~",
            ">",
            "/dev/null",
            "--",
            "-",
            "sort",
            "-o",
            "/srv/a",
            "ip",
            "addr",
            "del",
            "sudo",
        ])
        .prop_map(str::to_owned),
        hostile_text(),
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

fn rule() -> impl Strategy<Value = Rule> {
    let word = proptest::sample::select(vec![
        "ls",
        "cat",
        "grep",
        "find",
        "rm",
        "systemctl",
        "status",
        "-rf",
        "sort",
    ]);
    let prefix = proptest::collection::vec(
        proptest::collection::vec(word.prop_map(str::to_owned), 1..3),
        0..3,
    );
    let decision = proptest::sample::select(vec![
        Decision::AutoAllow,
        Decision::ApprovalRequired,
        Decision::Reject,
    ]);
    (prefix, decision, any::<bool>(), any::<bool>()).prop_map(
        |(prefix, decision, operator, overrides_catastrophe)| Rule {
            id: "generated".to_owned(),
            origin: if operator {
                RuleOrigin::Operator
            } else {
                RuleOrigin::Workspace
            },
            servers: Vec::new(),
            labels: Vec::new(),
            tools: Vec::new(),
            prefix,
            decision,
            reason: "generated".to_owned(),
            overrides_catastrophe,
        },
    )
}

fn rulebook() -> impl Strategy<Value = Rulebook> {
    (proptest::collection::vec(rule(), 0..4), any::<bool>()).prop_map(
        |(rules, pipelines_each_stage)| Rulebook {
            rules,
            pipelines_each_stage,
            secret_paths: Vec::new(),
        },
    )
}

/// Quotes a word so that every shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn every_text_gets_the_same_verdict_twice(text in prop_oneof![hostile_text(), command_text(), any::<String>()], book in rulebook()) {
        let subject = command(&text);
        let verdict = classify(&subject, &book);
        prop_assert_eq!(&verdict, &classify(&subject, &book));
        prop_assert_eq!(&verdict, &explain(&subject, &book).0);
        prop_assert!(!verdict.rule.is_empty() && !verdict.reason.is_empty());
    }

    /// A rule that tightens never loosens, whoever wrote it.
    #[test]
    fn tightening_is_monotone(text in command_text(), book in rulebook(), added in rule()) {
        let added = Rule {
            decision: added.decision.max(Decision::ApprovalRequired),
            overrides_catastrophe: false,
            origin: RuleOrigin::Workspace,
            ..added
        };
        let subject = command(&text);
        let before = classify(&subject, &book).decision;
        let mut tightened = book.clone();
        tightened.rules.push(added);
        prop_assert!(classify(&subject, &tightened).decision >= before);
    }

    /// A workspace cannot loosen anything.
    #[test]
    fn a_workspace_only_tightens(text in command_text(), book in rulebook(), added in rule()) {
        let subject = command(&text);
        let before = classify(&subject, &book).decision;
        let mut extended = book.clone();
        extended.rules.push(Rule { origin: RuleOrigin::Workspace, ..added });
        prop_assert!(classify(&subject, &extended).decision >= before);
    }

    /// Secrets of the operator never loosen.
    #[test]
    fn further_secrets_only_tighten(text in command_text(), secret in "[a-z*/~.]{1,8}") {
        let subject = command(&text);
        let book = Rulebook { secret_paths: vec![secret], ..Rulebook::default() };
        prop_assert!(classify(&subject, &book).decision >= classify(&subject, &Rulebook::default()).decision);
    }

    /// Only one command of known words is allowed, and its words are given.
    #[test]
    fn an_allowed_command_is_proven(text in prop_oneof![hostile_text(), command_text()]) {
        let verdict = classify(&command(&text), &Rulebook::default());
        if verdict.decision == Decision::AutoAllow {
            prop_assert_eq!(verdict.stages.len(), 1);
            prop_assert!(!verdict.stages[0].is_empty());
            if verdict.globs.is_empty() {
                let again = classify(&request(Request::Argv(verdict.stages[0].clone())), &Rulebook::default());
                prop_assert_eq!(again.decision, Decision::AutoAllow);
                prop_assert_eq!(again.stages, verdict.stages);
            }
        }
    }

    /// What is quoted comes back as it was.
    #[test]
    fn quoting_round_trips(words in proptest::collection::vec("[ -~]{0,12}", 1..6)) {
        let text = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        if let Shape::Simple(scanned) = scan(&text).shape {
            let scanned: Vec<String> = scanned.into_iter().map(|word| word.text).collect();
            prop_assert_eq!(scanned, words);
        } else {
            // Only a quoted first word that is no program's name may be held back.
            let first = &words[0];
            prop_assert!(first.is_empty() || first.contains('=') || scan(&quoted(first)).commands().len() == 1);
        }
    }
}

/// Shells with the arguments that make them read a script and nothing else.
const SHELLS: &[&[&str]] = &[
    &["sh"],
    &["dash"],
    &["bash", "--norc", "--noprofile"],
    &["busybox", "sh"],
    &["zsh", "-f"],
    &["ksh"],
    &["mksh"],
    &["yash"],
];

fn installed(shell: &[&str]) -> bool {
    let found = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-c")
        .arg(":")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// What a shell sees of each line: the words after the first, every one ended by a
/// character that occurs in none.
fn words_seen(shell: &[&str], lines: &[String]) -> Vec<String> {
    let mut script =
        "show() { for word do printf '%s\\001' \"$word\"; done; printf '\\002'; }\n".to_owned();
    for line in lines {
        script.push_str("show ");
        script.push_str(line);
        script.push('\n');
    }
    // An empty directory, so that an unnoticed pattern stays as it is.
    let directory = std::env::temp_dir().join(format!("openshell-oracle-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("script");
    std::fs::write(&path, script).unwrap();
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg(&path)
        .current_dir(&directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    output.split('\u{2}').map(str::to_owned).collect()
}

/// Every shell at hand sees exactly the words that the scanner calls literal.
#[test]
fn shells_agree_with_the_scanner() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    let texts = hostile_text();
    while lines.len() < 3000 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        // A word in front, so that none of the generated ones is the program.
        let Shape::Simple(words) = scan(&format!("show {text}")).shape else {
            continue;
        };
        if !words.iter().all(Word::is_literal) || text.contains('\n') {
            continue;
        }
        expected.push(
            words[1..]
                .iter()
                .map(|word| format!("{}\u{1}", word.text))
                .collect::<String>(),
        );
        lines.push(text);
    }
    let mut tried = 0;
    for shell in SHELLS.iter().filter(|shell| installed(shell)) {
        tried += 1;
        let seen = words_seen(shell, &lines);
        for ((line, expected), seen) in lines.iter().zip(&expected).zip(&seen) {
            assert_eq!(seen, expected, "{shell:?} reads {line:?} differently");
        }
        assert_eq!(seen.len(), lines.len() + 1, "{shell:?} stopped early");
    }
    assert!(tried > 0, "there is always a POSIX shell");
}
