//! What holds for every text, request and rule.
//!
//! Invariant of the generators: every case of a request, a rule and a circumstance
//! can come. They hold no expectation of a single command.

use proptest::prelude::*;

use super::super::lex::Word;
use super::super::scan::{Shape, scan};
use super::super::types::{Decision, Request, Rule, RuleOrigin, Rulebook, Subject, Sudo};
use super::super::verdict::{classify, explain};
use super::{command, request};

/// Texts in which every character that means something to some shell is frequent.
pub(super) fn hostile_text() -> impl Strategy<Value = String> {
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
    let some = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        prop_oneof![3 => Just(Vec::new()), 1 => proptest::sample::subsequence(texts, 1..2)]
    };
    let conditions = (
        some(&["prod-*", "prod-a", "test-*"]),
        some(&["prod", "web"]),
        some(&["remote_exec", "remote_read_file", "remote_write_file"]),
    );
    (prefix, decision, conditions, any::<bool>(), any::<bool>()).prop_map(
        |(prefix, decision, (servers, labels, tools), operator, overrides_catastrophe)| Rule {
            id: "generated".to_owned(),
            origin: if operator {
                RuleOrigin::Operator
            } else {
                RuleOrigin::Workspace
            },
            servers,
            labels,
            tools,
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

/// Requests of every kind, in every circumstance.
fn subject() -> impl Strategy<Value = Subject> {
    let path = prop_oneof![
        hostile_text(),
        proptest::sample::select(vec![
            "/etc/passwd",
            "/etc/shadow",
            "/srv/app/.env",
            "~/.ssh/id_rsa",
            "../x",
            "/",
            "",
            "a b",
            "/proc/1/environ",
            "/dev/sda",
            "/srv/x.conf",
        ])
        .prop_map(str::to_owned),
    ];
    let words = proptest::collection::vec(prop_oneof![hostile_text(), "[a-z/.-]{0,8}"], 0..5);
    let request = prop_oneof![
        4 => command_text().prop_map(Request::Command),
        2 => hostile_text().prop_map(Request::Command),
        1 => any::<String>().prop_map(Request::Command),
        1 => words.prop_map(Request::Argv),
        1 => path.clone().prop_map(Request::ReadPath),
        1 => path.clone().prop_map(Request::ListPath),
        1 => path.clone().prop_map(Request::StatPath),
        1 => path.clone().prop_map(Request::WritePath),
    ];
    let directory = || {
        proptest::option::of(prop_oneof![
            Just("/srv/app".to_owned()),
            Just("/root/.ssh".to_owned()),
            Just("relative".to_owned()),
            hostile_text(),
        ])
    };
    let tool =
        proptest::sample::select(vec!["remote_exec", "remote_read_file", "remote_write_file"]);
    (
        request,
        directory(),
        directory(),
        proptest::option::of(path),
        tool,
        proptest::sample::select(vec![None, Some(Sudo::Never), Some(Sudo::Ask)]),
    )
        .prop_map(|(request, cwd, home, resolved, tool, sudo)| Subject {
            request,
            server: "prod-a".to_owned(),
            tool: tool.to_owned(),
            labels: vec!["prod".to_owned()],
            cwd,
            home,
            resolved,
            sudo,
        })
}

/// The ways to quote a word that every shell reads alike.
#[derive(Clone, Copy, Debug)]
enum Style {
    Single,
    Double,
    Backslashes,
    /// Each character by another one.
    Mixed,
}

/// Quotes a word so that every shell reads it back.
fn quoted_as(word: &str, style: Style) -> String {
    match style {
        Style::Single => quoted(word),
        Style::Double => {
            let mut text = "\"".to_owned();
            for c in word.chars() {
                if matches!(c, '"' | '\\' | '$' | '`') {
                    text.push('\\');
                }
                text.push(c);
            }
            text + "\""
        }
        Style::Backslashes if word.is_empty() => quoted(word),
        Style::Backslashes => word.chars().flat_map(|c| ['\\', c]).collect(),
        Style::Mixed if word.is_empty() => quoted(word),
        Style::Mixed => {
            let styles = [Style::Single, Style::Backslashes, Style::Double];
            let one = |(position, c): (usize, char)| {
                quoted_as(c.encode_utf8(&mut [0; 4]), styles[position % styles.len()])
            };
            word.chars().enumerate().map(one).collect()
        }
    }
}

/// Quotes a word as most programs do.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn every_request_gets_the_same_verdict_twice(subject in subject(), book in rulebook()) {
        let verdict = classify(&subject, &book);
        prop_assert_eq!(&verdict, &classify(&subject, &book));
        prop_assert_eq!(&verdict, &explain(&subject, &book).0);
        prop_assert!(!verdict.rule.is_empty() && !verdict.reason.is_empty());
        // What is left to the host lies within the words.
        for (stage, word) in &verdict.globs {
            prop_assert!((*word as usize) < verdict.stages[*stage as usize].len());
        }
    }

    /// A rule that tightens never loosens, whoever wrote it and whatever other rules
    /// there are. (One that says it overrides is no rule that tightens.)
    #[test]
    fn tightening_is_monotone(subject in subject(), book in rulebook(), added in rule()) {
        let added = Rule {
            decision: added.decision.max(Decision::ApprovalRequired),
            overrides_catastrophe: false,
            ..added
        };
        let before = classify(&subject, &book).decision;
        let mut tightened = book.clone();
        tightened.rules.push(added.clone());
        let after = classify(&subject, &tightened).decision;
        prop_assert!(after >= before, "{:?} after {:?} by {:?}", after, before, added);
        // Nor does it matter where in the list it stands.
        let mut turned = book.clone();
        turned.rules.insert(0, added);
        prop_assert_eq!(classify(&subject, &turned).decision, after);
    }

    /// A rule that forbids forbids: nothing it speaks of is left at less.
    #[test]
    fn a_rule_that_tightens_is_obeyed(words in proptest::collection::vec("[a-z]{1,6}", 1..4), book in rulebook(), decision in any::<bool>(), operator in any::<bool>()) {
        let decision = if decision { Decision::ApprovalRequired } else { Decision::Reject };
        let mut book = book;
        book.rules.push(Rule {
            id: "added".to_owned(),
            origin: if operator { RuleOrigin::Operator } else { RuleOrigin::Workspace },
            servers: Vec::new(),
            labels: Vec::new(),
            tools: Vec::new(),
            prefix: vec![vec![words[0].clone()]],
            decision,
            reason: "added".to_owned(),
            overrides_catastrophe: false,
        });
        let text = words.join(" ");
        for text in [text.clone(), format!("true; {text}"), format!("true | {text}")] {
            prop_assert!(classify(&command(&text), &book).decision >= decision, "{}", text);
        }
    }

    /// A workspace cannot loosen anything, not even with what it may not say.
    #[test]
    fn a_workspace_only_tightens(subject in subject(), book in rulebook(), added in rule()) {
        let before = classify(&subject, &book).decision;
        let mut extended = book.clone();
        extended.rules.push(Rule { origin: RuleOrigin::Workspace, ..added });
        prop_assert!(classify(&subject, &extended).decision >= before);
    }

    /// Secrets of the operator never loosen.
    #[test]
    fn further_secrets_only_tighten(subject in subject(), book in rulebook(), secret in "[a-z*/~.]{1,8}") {
        let before = classify(&subject, &book).decision;
        let mut book = book;
        book.secret_paths.push(secret);
        prop_assert!(classify(&subject, &book).decision >= before);
    }

    /// Only one command of known words is allowed, and its words are given.
    #[test]
    fn an_allowed_command_is_proven(text in prop_oneof![hostile_text(), command_text()]) {
        let verdict = classify(&command(&text), &Rulebook::default());
        if verdict.decision == Decision::AutoAllow {
            prop_assert_eq!(verdict.stages.len(), 1);
            prop_assert!(!verdict.stages[0].is_empty());
            if verdict.globs.is_empty() {
                let words = &verdict.stages[0];
                let again = classify(&request(Request::Argv(words.clone())), &Rulebook::default());
                prop_assert_eq!(again.decision, Decision::AutoAllow);
                prop_assert_eq!(&again.stages, &verdict.stages);
                // However they are quoted, they are the same words; a quoted name of a
                // program is asked about.
                let rest = words[1..].iter().map(|word| quoted(word));
                let plain = std::iter::once(words[0].clone());
                let text = plain.chain(rest).collect::<Vec<_>>().join(" ");
                let again = classify(&command(&text), &Rulebook::default());
                prop_assert_eq!((again.decision, again.stages), (Decision::AutoAllow, verdict.stages));
            }
        }
    }

    /// What is quoted comes back as it was, in every way to quote; where a way is not
    /// the same in every shell, the text is held back and never read differently.
    #[test]
    fn quoting_round_trips(
        words in proptest::collection::vec(
            (
                prop_oneof![3 => "[ -~]{0,12}", 1 => "[ -~äß€漢\u{1f600}]{0,6}"],
                proptest::sample::select(vec![Style::Single, Style::Double, Style::Backslashes, Style::Mixed]),
            ),
            0..6,
        ),
    ) {
        let mut text = "show".to_owned();
        for (word, style) in &words {
            text.push(' ');
            text.push_str(&quoted_as(word, *style));
        }
        let plainly = words.iter().all(|(_, style)| matches!(style, Style::Single));
        match scan(&text).shape {
            Shape::Simple(scanned) => {
                prop_assert!(scanned.iter().all(Word::is_literal), "{}", text);
                let scanned: Vec<&str> = scanned.iter().skip(1).map(|word| word.text.as_str()).collect();
                let words: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
                prop_assert_eq!(scanned, words);
            }
            // Double quotes hold `!` back, which some shells expand in them.
            _ => prop_assert!(!plainly, "{}", text),
        }
    }
}
