//! What verdicts say of themselves: derivations, reasons, and the parts of a text.
//!
//! They prove that a reason names its cause and that a derivation leaves out no
//! word. How a question looks to a person is not tried here.

use super::super::types::{Decision::ApprovalRequired, Rulebook};
use super::super::verdict::explain;
use super::{command, verdict};

#[test]
fn an_explanation_names_every_part() {
    let (verdict, steps) = explain(&command("cat /etc/shadow"), &Rulebook::default());
    assert_eq!(verdict.rule, "path.secret.passwords");
    let phases: Vec<&str> = steps.iter().map(|step| step.phase.as_str()).collect();
    assert_eq!(
        phases,
        [
            "preflight",
            "scan",
            "grammar",
            "grammar",
            "grammar",
            "path",
            "rule"
        ]
    );
    assert_eq!(steps[1].finding, "its words are `cat`, `/etc/shadow`");
    assert_eq!(steps[5].decision, Some(ApprovalRequired));

    let (_, steps) = explain(
        &command("sort -rk2 -o /srv/a '/srv/b c'"),
        &Rulebook::default(),
    );
    let read: Vec<(&str, &str)> = steps
        .iter()
        .filter(|step| step.phase == "grammar" && step.decision.is_none())
        .map(|step| (step.item.as_str(), step.finding.as_str()))
        .collect();
    assert_eq!(
        read,
        [
            ("sort", "is in the tables: it sorts lines"),
            ("-r", "is listed"),
            ("-k", "is listed; its value is `2`"),
            ("", "`-o` writes the result into a file"),
        ]
    );
}

#[test]
fn a_longer_text_is_taken_apart_for_the_question() {
    for (text, segments, why) in [
        ("ls -l", vec!["ls -l"], "changes nothing"),
        (
            "ls && cat '/srv/a b' | rm x; df",
            vec!["ls", "cat /srv/a b", "rm x", "df"],
            "`&&` joins several commands; in it, `rm` deletes files",
        ),
        (
            "ls; cat /etc/shadow",
            vec!["ls", "cat /etc/shadow"],
            "in it, `/etc/shadow` holds password hashes",
        ),
        (
            "df -h; ls > /srv/x",
            vec!["df -h", "ls > /srv/x"],
            "in it, `/srv/x` would be written",
        ),
        (
            "ps aux | grep x",
            vec!["ps aux", "grep x"],
            "a pipeline joins several commands",
        ),
        ("ls 'x", vec![], "not closed"),
    ] {
        let verdict = verdict(text);
        assert_eq!(verdict.segments, segments, "{text}");
        assert!(verdict.reason.contains(why), "{text}: {}", verdict.reason);
    }
}

#[test]
fn reasons_name_the_cause() {
    for (text, rule, words) in [
        ("ls {a,b}", "scan.brace", "brace"),
        (
            "find . -exec rm {} +",
            "grammar.find.exec",
            "`find -exec` runs a program for every file",
        ),
        ("sudo ls", "grammar.wrapper", "`sudo` runs another program"),
        (
            "kubectl get pods",
            "grammar.middleware",
            "`kubectl` reaches data or systems",
        ),
        (
            "frobnicate",
            "grammar.unknown",
            "`frobnicate` is not a command known to only look",
        ),
        (
            "cat /etc/shadow",
            "path.secret.passwords",
            "`/etc/shadow` holds password hashes",
        ),
        ("rm -rf /", "catastrophe.rm-root", "destroys the system"),
        ("ls\u{202e}", "preflight.bidi", "U+202E at byte 2"),
        (
            "/tmp/ls",
            "grammar.path",
            "not in a directory of the system",
        ),
    ] {
        let verdict = verdict(text);
        assert_eq!(verdict.rule, rule, "{text}");
        assert!(verdict.reason.contains(words), "{text}: {}", verdict.reason);
    }
}
