//! Rule files that are taken and files that are refused, judged by the real
//! component.
//!
//! Invariant of the fixture: the judge is the embedded component, loaded once. The
//! rules' effect on a real server is not part of it.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

use std::sync::OnceLock;

use super::*;
use crate::engine::Engine;
use crate::engine::contract::{Request, Subject};

fn judge() -> &'static Judge {
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    JUDGE.get_or_init(|| Engine::embedded().unwrap().judge().unwrap())
}

/// A folder with an operator's file and a workspace's, each where it is given.
fn loaded(operator: Option<&str>, workspace: Option<&str>) -> Result<Rules, RulesError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    if let Some(text) = operator {
        std::fs::write(&file, text).unwrap();
    }
    if let Some(text) = workspace {
        std::fs::create_dir(folder.path().join(".openshell")).unwrap();
        std::fs::write(in_workspace(folder.path()), text).unwrap();
    }
    load(&file, Some(folder.path()), judge())
}

fn decision(rules: &Rules, server: &str, labels: &[&str], command: &str) -> Decision {
    let subject = Subject {
        request: Request::Command(command.to_owned()),
        server: server.to_owned(),
        tool: "remote_exec".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        cwd: None,
        home: None,
        resolved: None,
        sudo: None,
    };
    judge()
        .classify(&subject, &rules.rulebook)
        .unwrap()
        .decision
}

const PULL: &str = r#"
format = 1
[[rule]]
id = "pull"
servers = ["staging-*"]
prefix = ["git", ["pull", "fetch"]]
decision = "allow"
reason = "Staging is pulled by hand anyway."
match = ["git pull --ff-only", "git fetch origin"]
not_match = ["git push"]
"#;

#[test]
fn no_file_is_no_rule() {
    let rules = loaded(None, None).unwrap();
    assert!(rules.rulebook.rules.is_empty());
    assert_eq!(rules.access_to("any", &[]), (Mode::Ask, Confirm::Answer));
}

#[test]
fn a_rule_reaches_what_it_names_and_nothing_else() {
    let rules = loaded(Some(PULL), None).unwrap();
    let cases = [
        ("staging-1", "git pull", Decision::AutoAllow),
        ("prod-1", "git pull", Decision::ApprovalRequired),
        ("staging-1", "git push", Decision::ApprovalRequired),
        (
            "staging-1",
            "git pull; rm -rf /srv",
            Decision::ApprovalRequired,
        ),
        ("staging-1", "git pull $(id)", Decision::ApprovalRequired),
    ];
    for (server, command, expected) in cases {
        assert_eq!(
            decision(&rules, server, &[], command),
            expected,
            "{command}"
        );
    }
}

#[test]
fn a_workspace_tightens() {
    let tight = r#"
        format = 1
        secret_paths = ["/srv/customers/**"]
        [[rule]]
        id = "no-logs"
        labels = ["prod"]
        prefix = ["journalctl"]
        decision = "reject"
        reason = "Logs of production hold names."
        match = ["journalctl -u x"]
        [[access]]
        labels = ["prod"]
        mode = "read-only"
    "#;
    let rules = loaded(Some(PULL), Some(tight)).unwrap();
    assert_eq!(
        decision(&rules, "p", &["prod"], "journalctl -u cron"),
        Decision::Reject
    );
    assert_eq!(
        decision(&rules, "s", &[], "journalctl -u cron --no-pager"),
        Decision::AutoAllow
    );
    assert_eq!(
        decision(&rules, "s", &[], "cat /srv/customers/list"),
        Decision::ApprovalRequired
    );
    assert_eq!(rules.access_to("p", &["prod".to_owned()]).0, Mode::ReadOnly);
}

#[test]
fn a_workspace_cannot_loosen() {
    let pipelines = "format = 1\npipelines = \"each-stage\"\n";
    for text in [PULL, pipelines] {
        let error = loaded(None, Some(text)).unwrap_err();
        assert!(matches!(error, RulesError::Loosens { .. }), "{error}");
    }
}

#[test]
fn the_strictest_access_counts() {
    let text = r#"
        format = 1
        [[access]]
        labels = ["prod"]
        confirm = "presence"
        [[access]]
        servers = ["db-*"]
        mode = "off"
        [[access]]
        mode = "read-only"
    "#;
    let rules = loaded(Some(text), None).unwrap();
    let prod = ["prod".to_owned()];
    assert_eq!(
        rules.access_to("web-1", &[]),
        (Mode::ReadOnly, Confirm::Answer)
    );
    assert_eq!(
        rules.access_to("web-1", &prod),
        (Mode::ReadOnly, Confirm::Presence)
    );
    assert_eq!(
        rules.access_to("db-1", &prod),
        (Mode::Off, Confirm::Presence)
    );
}

#[test]
fn files_that_cannot_be_understood_whole_are_refused() {
    let rule = |more: &str| {
        format!(
            "format = 1\n[[rule]]\nid = \"r\"\nprefix = [\"git\"]\ndecision = \"ask\"\n\
             reason = \"x\"\nmatch = [\"git x\"]\n{more}\n"
        )
    };
    let cases = [
        ("", "format"),
        ("format = 2", "format 2"),
        ("format = 1\nallow_all = true", "allow_all"),
        ("format = 1\npipelines = \"yes\"", "pipelines"),
        (&rule("sudo = true"), "sudo"),
        (&rule("").replace("\"ask\"", "\"maybe\""), "maybe"),
        (&rule("").replace("decision = \"ask\"\n", ""), "decision"),
        (
            &rule("").replace("match = [\"git x\"]", "match = []"),
            "no `match`",
        ),
        (
            &rule("").replace("prefix = [\"git\"]", "prefix = []"),
            "empty `prefix`",
        ),
        (&rule("").replace("\"x\"", "\" \""), "no `reason`"),
        (&rule("not_match = [\"git pull\"]"), "git pull"),
        (&rule("").replace("git x", "hg x"), "hg x"),
        (
            &(rule("") + &rule("").replace("format = 1\n", "")),
            "used twice",
        ),
        ("format = 1\n[[access]]\nlabels = [\"prod\"]", "neither"),
        (
            "format = 1\n[[access]]\nservers = [\"[\"]\nmode = \"off\"",
            "no pattern of server ids",
        ),
    ];
    for (text, named) in cases {
        let error = loaded(Some(text), None).expect_err(text).to_string();
        assert!(error.contains(named), "{text}\n{error}");
    }
}

#[test]
fn a_directory_in_the_file_s_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), None, judge()).unwrap_err();
    assert!(matches!(error, RulesError::Unreadable { .. }), "{error}");
}

#[test]
fn the_largest_file_is_the_operators_to_set_and_a_workspaces_to_lower() {
    let file = |largest: &str| format!("format = 1\n[snapshots]\nlargest = \"{largest}\"\n");
    assert_eq!(loaded(None, None).unwrap().largest_file(), 32 << 20);
    for (text, bytes) in [
        ("64 MiB", 64 << 20),
        ("256MiB", 256 << 20),
        ("10 KiB", 10 << 10),
        ("1000", 1000),
        ("7 B", 7),
    ] {
        let rules = loaded(Some(&file(text)), None).unwrap();
        assert_eq!(rules.largest_file(), bytes, "{text}");
    }
    for text in [
        "",
        "0",
        "-1",
        "1 GB",
        "257 MiB",
        "lots",
        "1.5 MiB",
        "99999999999999999999",
    ] {
        let refused = loaded(Some(&file(text)), None);
        assert!(
            matches!(refused, Err(RulesError::Malformed { .. })),
            "{text}: {refused:?}"
        );
    }
    let unknown = loaded(Some("format = 1\n[snapshots]\nlargets = \"1 MiB\"\n"), None);
    assert!(matches!(unknown, Err(RulesError::Malformed { .. })));
    let lowered = loaded(Some(&file("64 MiB")), Some(&file("1 MiB"))).unwrap();
    assert_eq!(lowered.largest_file(), 1 << 20);
    for operator in [None, Some(file("1 MiB"))] {
        let raised = loaded(operator.as_deref(), Some(&file("33 MiB")));
        assert!(
            matches!(raised, Err(RulesError::Loosens { .. })),
            "{raised:?}"
        );
    }
}

#[test]
fn the_journals_limits_are_the_operators_alone() {
    let text = "format = 1\n[journal]\nsegment = \"64 MiB\"\nage = \"7 d\"\n";
    let rules = loaded(Some(text), None).unwrap();
    assert_eq!(rules.journal.options().segment_bytes, 64 << 20);
    assert_eq!(rules.journal.options().segment_age.as_secs(), 7 * 86_400);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.toml");
    assert_eq!(
        super::journal_limits(&path).unwrap(),
        JournalLimits::default()
    );
    std::fs::write(&path, text).unwrap();
    assert_eq!(super::journal_limits(&path).unwrap(), rules.journal);
    let refused = loaded(Some("format = 1\n[journal]\nage = \"soon\"\n"), None);
    assert!(matches!(refused, Err(RulesError::Malformed { .. })));
    let workspace = loaded(None, Some(text));
    assert!(
        matches!(workspace, Err(RulesError::Loosens { .. })),
        "{workspace:?}"
    );
}

#[test]
fn a_pattern_that_could_match_nothing_is_refused() {
    for (written, named) in [
        (r#"servers = ["staging-{a,b}"]"#, "'{'"),
        (r#"servers = ["!prod"]"#, "'!'"),
        (r#"servers = ["web-[1-"]"#, "web-[1-"),
        (r#"servers = ["web-[]"]"#, "web-[]"),
        (r#"servers = [""]"#, "sets such as"),
    ] {
        let text = PULL.replace(r#"servers = ["staging-*"]"#, written);
        let error = loaded(Some(&text), None).unwrap_err().to_string();
        assert!(error.contains(named), "{written}: {error}");
        let text = format!("format = 1\n[[access]]\n{written}\nmode = \"off\"\n");
        let error = loaded(Some(&text), None).unwrap_err().to_string();
        assert!(error.contains(named), "{written}: {error}");
    }
    for path in ["/srv/{a,b}", "!/srv", "", "/"] {
        let text = format!("format = 1\nsecret_paths = [{path:?}]\n");
        let error = loaded(Some(&text), None).unwrap_err().to_string();
        assert!(error.contains("secret paths"), "{path}: {error}");
    }
    let text = PULL.replace(
        r#"servers = ["staging-*"]"#,
        r#"servers = ["web-[0-9]?", "*.example"]"#,
    );
    assert!(loaded(Some(&text), None).is_ok());
}
