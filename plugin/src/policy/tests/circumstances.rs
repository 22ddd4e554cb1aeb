//! Rules, circumstances, paths of the file tools, and what the host must expand.
//!
//! They prove that everything beside the text can tighten, and loosens only where
//! an operator wrote so. The grammar's own tables are tried in `corpus`.

use super::super::types::{Decision, Request, Rule, RuleOrigin, Rulebook, Subject};
use super::super::verdict::{classify, rule_matches};
use super::{command, request, verdict};

use Decision::{ApprovalRequired, AutoAllow, Reject};

fn rule(words: &str, decision: Decision) -> Rule {
    Rule {
        id: format!("rule:{words}"),
        origin: RuleOrigin::Operator,
        servers: Vec::new(),
        labels: Vec::new(),
        tools: Vec::new(),
        prefix: words
            .split_whitespace()
            .map(|word| word.split('|').map(str::to_owned).collect())
            .collect(),
        decision,
        reason: "because".to_owned(),
        overrides_catastrophe: false,
    }
}

fn book(rules: &[Rule]) -> Rulebook {
    Rulebook {
        rules: rules.to_vec(),
        ..Rulebook::default()
    }
}

fn decide(text: &str, rules: &[Rule]) -> Decision {
    classify(&command(text), &book(rules)).decision
}

#[test]
fn an_operator_rule_replaces_the_grammar_for_literal_words() {
    let rules = [
        rule("systemctl restart|reload nginx", AutoAllow),
        rule("git", AutoAllow),
        rule("git push", Reject),
    ];
    for (text, decision) in [
        ("systemctl restart nginx", AutoAllow),
        ("/usr/bin/systemctl reload nginx", AutoAllow),
        ("systemctl restart nginx mysql", AutoAllow),
        ("/tmp/systemctl restart nginx", ApprovalRequired),
        ("systemctl restart mysql", ApprovalRequired),
        ("systemctl restart nginx; id", ApprovalRequired),
        ("systemctl restart nginx $X", ApprovalRequired),
        ("systemctl restart nginx *", ApprovalRequired),
        ("systemctl restart nginx | cat", ApprovalRequired),
        ("git pull", AutoAllow),
        ("git push", Reject),
        ("git show HEAD:a", AutoAllow),
        // Paths still count.
        (
            "git diff --no-index /etc/shadow /dev/null",
            ApprovalRequired,
        ),
        ("git --git-dir=/root/.ssh x", ApprovalRequired),
        // So does a rule that forbids, anywhere in a text.
        ("ls && git push", Reject),
        ("ls | git push", Reject),
        ("echo $(git push)", Reject),
        ("/opt/git push", Reject),
    ] {
        assert_eq!(decide(text, &rules), decision, "{text}");
    }
}

#[test]
fn a_rule_can_tighten_what_the_grammar_allows() {
    assert_eq!(
        decide("ls", &[rule("ls", ApprovalRequired)]),
        ApprovalRequired
    );
    assert_eq!(decide("ls *", &[rule("ls", Reject)]), Reject);
    let workspace = |decision| Rule {
        origin: RuleOrigin::Workspace,
        ..rule("ls", decision)
    };
    assert_eq!(decide("ls", &[workspace(Reject)]), Reject);
    assert_eq!(
        decide(
            "touch x",
            &[Rule {
                origin: RuleOrigin::Workspace,
                ..rule("touch", AutoAllow)
            }]
        ),
        ApprovalRequired
    );
    // The strictest operator rule wins, and the workspace tightens further.
    assert_eq!(
        decide("ls", &[rule("ls", AutoAllow), rule("ls", ApprovalRequired)]),
        ApprovalRequired
    );
    assert_eq!(
        decide("ls", &[rule("ls", AutoAllow), workspace(ApprovalRequired)]),
        ApprovalRequired
    );
    // A rule without words says nothing about which program, so it cannot loosen.
    assert_eq!(decide("touch x", &[rule("", AutoAllow)]), ApprovalRequired);
    assert_eq!(decide("ls", &[rule("", Reject)]), Reject);
}

#[test]
fn a_rule_applies_where_it_says() {
    let touch = rule("touch", AutoAllow);
    let applies = |rule: Rule| decide("touch x", &[rule]) == AutoAllow;
    assert!(applies(Rule {
        servers: vec!["stage-*".to_owned(), "prod-*".to_owned()],
        ..touch.clone()
    }));
    assert!(!applies(Rule {
        servers: vec!["stage-*".to_owned()],
        ..touch.clone()
    }));
    assert!(!applies(Rule {
        servers: vec!["PROD-*".to_owned()],
        ..touch.clone()
    }));
    assert!(applies(Rule {
        labels: vec!["x".to_owned(), "prod".to_owned()],
        ..touch.clone()
    }));
    assert!(!applies(Rule {
        labels: vec!["x".to_owned()],
        ..touch.clone()
    }));
    assert!(applies(Rule {
        tools: vec!["remote_exec".to_owned()],
        ..touch.clone()
    }));
    assert!(!applies(Rule {
        tools: vec!["remote_read_file".to_owned()],
        ..touch
    }));
}

#[test]
fn only_an_explicit_override_lifts_a_catastrophe() {
    let mkfs = rule("mkfs.ext4", AutoAllow);
    assert_eq!(decide("mkfs.ext4 /dev/sdb", &[]), Reject);
    assert_eq!(
        decide("mkfs.ext4 /dev/sdb", std::slice::from_ref(&mkfs)),
        Reject
    );
    let explicit = Rule {
        overrides_catastrophe: true,
        decision: ApprovalRequired,
        ..mkfs
    };
    assert_eq!(
        decide("mkfs.ext4 /dev/sdb", std::slice::from_ref(&explicit)),
        ApprovalRequired
    );
    assert_eq!(
        decide("mkfs.ext4 /dev/sdb; ls", std::slice::from_ref(&explicit)),
        Reject
    );
    assert_eq!(
        decide(
            "mkfs.ext4 /dev/sdb",
            &[Rule {
                origin: RuleOrigin::Workspace,
                ..explicit
            }]
        ),
        Reject
    );
}

#[test]
fn rules_are_tried_on_examples() {
    let rule = rule("git pull|fetch", AutoAllow);
    for (text, matches) in [
        ("git pull", true),
        ("git fetch origin", true),
        ("'git' \"pull\"", true),
        ("git pull; rm -rf /", false),
        ("git push", false),
        ("git", false),
        ("git pull *", false),
        ("git $x", false),
    ] {
        assert_eq!(rule_matches(&rule, text), matches, "{text}");
    }
}

#[test]
fn pipelines_run_unasked_where_the_operator_said_so() {
    let opened = Rulebook {
        pipelines_each_stage: true,
        ..Rulebook::default()
    };
    for (text, decision) in [
        ("ps aux | grep cron | head -3", AutoAllow),
        ("cat /etc/passwd | cut -d: -f1 | sort -u", AutoAllow),
        ("cat /etc/shadow | wc -l", ApprovalRequired),
        ("ps aux | sh", ApprovalRequired),
        ("ps aux | tee x", ApprovalRequired),
        ("ls | xargs rm", ApprovalRequired),
        ("ls | rm -rf /", Reject),
        ("ls |& cat", ApprovalRequired),
        ("ls && ls", ApprovalRequired),
    ] {
        assert_eq!(
            classify(&command(text), &opened).decision,
            decision,
            "{text}"
        );
    }
    let shut = verdict("ps aux | grep x");
    assert_eq!(
        (shut.decision, shut.rule.as_str()),
        (ApprovalRequired, "scan.pipeline")
    );
    assert_eq!(shut.stages, [vec!["ps", "aux"], vec!["grep", "x"]]);
}

#[test]
fn words_that_the_host_expands_are_marked() {
    let found = verdict("ls -l /srv/*.txt *.log ~/x 'a*'");
    assert_eq!(found.decision, AutoAllow);
    assert_eq!(
        found.stages,
        [["ls", "-l", "/srv/*.txt", "./*.log", "~/x", "a*"]]
    );
    assert_eq!(found.globs, [(0, 2), (0, 3), (0, 4)]);
    let at_home = Subject {
        home: Some("/home/deploy".to_owned()),
        ..command("cat ~/x ~ ~/*.md")
    };
    let found = classify(&at_home, &Rulebook::default());
    assert_eq!(
        found.stages,
        [["cat", "/home/deploy/x", "/home/deploy", "/home/deploy/*.md"]]
    );
    assert_eq!(found.globs, [(0, 3)]);
    // An option of `grep` is no file name.
    assert!(
        verdict("grep -r --include=*.py x /srv/app")
            .globs
            .is_empty()
    );
}

#[test]
fn relative_paths_start_somewhere() {
    let from = |cwd: Option<&str>, home: Option<&str>, text: &str| {
        let subject = Subject {
            cwd: cwd.map(str::to_owned),
            home: home.map(str::to_owned),
            ..command(text)
        };
        classify(&subject, &Rulebook::default()).decision
    };
    assert_eq!(from(Some("/etc"), None, "cat shadow"), ApprovalRequired);
    assert_eq!(from(Some("/etc"), None, "cat hosts"), AutoAllow);
    assert_eq!(
        from(Some("/etc/nginx"), None, "cat ../shadow"),
        ApprovalRequired
    );
    assert_eq!(from(Some("/etc/nginx"), None, "cat ../hosts"), AutoAllow);
    assert_eq!(from(Some("/root/.ssh"), None, "cat id"), ApprovalRequired);
    assert_eq!(
        from(Some("/proc/1/root/etc"), None, "cat passwd"),
        ApprovalRequired
    );
    assert_eq!(from(Some("/proc/1"), None, "cat environ"), ApprovalRequired);
    assert_eq!(
        from(Some("/etc/nginx/conf.d"), None, "grep -r x ."),
        AutoAllow
    );
    assert_eq!(from(Some("/"), None, "grep -r x"), ApprovalRequired);
    assert_eq!(from(None, Some("/etc"), "cat shadow"), ApprovalRequired);
    assert_eq!(from(None, Some("/etc"), "cat ~/shadow"), ApprovalRequired);
    assert_eq!(from(Some("srv"), None, "ls"), ApprovalRequired);
    assert_eq!(from(Some("/srv/\u{202e}x"), None, "ls"), Reject);
}

#[test]
fn file_tools_are_judged_by_the_same_list() {
    let path = |request_of: fn(String) -> Request, path: &str| {
        classify(&request(request_of(path.to_owned())), &Rulebook::default()).decision
    };
    for (name, decision) in [
        ("/etc/hosts", AutoAllow),
        ("/etc/shadow", ApprovalRequired),
        ("~/.ssh/id_rsa", ApprovalRequired),
        ("/srv/*", AutoAllow),
        ("/dev/zero", ApprovalRequired),
        ("/etc/ssl/../shadow", ApprovalRequired),
        ("relative/.env", ApprovalRequired),
        ("", Reject),
        ("/srv/a\u{1b}[2K", Reject),
        ("/srv/a\nb", ApprovalRequired),
    ] {
        assert_eq!(path(Request::ReadPath, name), decision, "{name:?}");
    }
    for name in ["/root/.ssh", "/etc", "/proc/1/fd", "/"] {
        assert_eq!(path(Request::ListPath, name), AutoAllow, "{name}");
        assert_eq!(path(Request::StatPath, name), AutoAllow, "{name}");
    }
    assert_eq!(
        path(Request::ListPath, "/proc/1/root/etc"),
        ApprovalRequired
    );
    assert_eq!(path(Request::WritePath, "/srv/x"), ApprovalRequired);
    assert_eq!(path(Request::WritePath, "/dev/sda"), Reject);
    let link = Subject {
        resolved: Some("/etc/shadow".to_owned()),
        ..request(Request::ReadPath("/srv/link".to_owned()))
    };
    assert_eq!(
        classify(&link, &Rulebook::default()).decision,
        ApprovalRequired
    );
}

#[test]
fn rules_for_file_tools_name_the_tool_and_only_tighten() {
    let subject = Subject {
        tool: "remote_read_file".to_owned(),
        ..request(Request::ReadPath("/etc/hosts".to_owned()))
    };
    let decide = |rule: Rule| classify(&subject, &book(&[rule])).decision;
    let named = Rule {
        tools: vec!["remote_read_file".to_owned()],
        ..rule("", Reject)
    };
    assert_eq!(decide(named.clone()), Reject);
    assert_eq!(
        decide(Rule {
            tools: Vec::new(),
            ..named.clone()
        }),
        AutoAllow
    );
    let write = Subject {
        request: Request::WritePath("/srv/x".to_owned()),
        ..subject.clone()
    };
    let loosening = Rule {
        decision: AutoAllow,
        ..named
    };
    assert_eq!(
        classify(&write, &book(&[loosening])).decision,
        ApprovalRequired
    );
}

#[test]
fn the_operator_names_further_secrets() {
    let book = Rulebook {
        secret_paths: vec![
            "/srv/vault".to_owned(),
            "*.ledger".to_owned(),
            "~/notes".to_owned(),
        ],
        ..Rulebook::default()
    };
    for (text, decision) in [
        ("cat /srv/vault/a/b", ApprovalRequired),
        ("cat /srv/vaults", AutoAllow),
        ("cat /var/log/a.ledger", ApprovalRequired),
        ("grep -r x /var/log", ApprovalRequired),
        ("grep -r --include='*.log' x /var/log", AutoAllow),
        ("cat ~/notes/x", ApprovalRequired),
        ("cat ~/note", AutoAllow),
        ("ls /srv/vault", AutoAllow),
    ] {
        assert_eq!(classify(&command(text), &book).decision, decision, "{text}");
    }
}

#[test]
fn words_that_no_shell_reads_are_words() {
    let argv = |words: &[&str]| {
        classify(
            &request(Request::Argv(
                words.iter().map(|word| (*word).to_owned()).collect(),
            )),
            &Rulebook::default(),
        )
    };
    assert_eq!(argv(&["cat", "/srv/a;b", "$(id)", "*"]).decision, AutoAllow);
    assert_eq!(argv(&["cat", "/etc/shadow"]).decision, ApprovalRequired);
    assert_eq!(argv(&["rm", "-rf", "/"]).decision, Reject);
    assert_eq!(argv(&["cat", "a\nb"]).decision, ApprovalRequired);
    assert_eq!(argv(&["cat", "a\u{202e}b"]).decision, Reject);
    assert_eq!(argv(&[]).decision, Reject);
    assert_eq!(argv(&[""]).decision, Reject);
    assert_eq!(argv(&["a=b", "ls"]).decision, ApprovalRequired);
}
