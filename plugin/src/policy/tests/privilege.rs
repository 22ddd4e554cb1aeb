//! What a registration says of sudo, and what rules can say of it.
//!
//! They prove that a registration without sudo rejects and that one with it asks.
//! Whether an account may use sudo is for the server, and not tried.

use super::super::types::{Decision, Rule, RuleOrigin, Rulebook, Subject, Sudo};
use super::super::verdict::classify;
use super::command;

use Decision::{ApprovalRequired, AutoAllow, Reject};

/// What the operator said about sudo decides before anything else does.
#[test]
fn sudo_is_what_the_registration_says() {
    let on = |text: &str, sudo| {
        let subject = Subject {
            sudo,
            ..command(text)
        };
        classify(&subject, &Rulebook::default())
    };
    let cases = [
        ("sudo -n id", None, ApprovalRequired, "grammar.wrapper"),
        ("sudo -n id", Some(Sudo::Ask), ApprovalRequired, "sudo.ask"),
        ("sudo -n id", Some(Sudo::Never), Reject, "sudo.never"),
        ("ls; su -c id", Some(Sudo::Never), Reject, "sudo.never"),
        (
            "ls | sudo -n tee x",
            Some(Sudo::Ask),
            ApprovalRequired,
            "sudo.ask",
        ),
        ("sudo id", Some(Sudo::Ask), Reject, "sudo.interactive"),
        (
            "sudo -n rm -rf /",
            Some(Sudo::Ask),
            Reject,
            "catastrophe.rm-root",
        ),
        ("uptime", Some(Sudo::Never), AutoAllow, "grammar.uptime"),
    ];
    for (text, sudo, decision, rule) in cases {
        let verdict = on(text, sudo);
        assert_eq!(
            (verdict.decision, verdict.rule.as_str()),
            (decision, rule),
            "{text}"
        );
    }
    assert_eq!(on("sudo -n -u www id", None).run_as, ["www"]);
}

/// Only a rule that names sudo speaks for what runs by it, and none for what a
/// registration refuses.
#[test]
fn rules_for_sudo_name_it() {
    let rule = |prefix: &[&str]| Rule {
        id: "mine".to_owned(),
        origin: RuleOrigin::Operator,
        servers: Vec::new(),
        labels: Vec::new(),
        tools: Vec::new(),
        prefix: prefix.iter().map(|word| vec![(*word).to_owned()]).collect(),
        decision: AutoAllow,
        reason: "said so".to_owned(),
        overrides_catastrophe: false,
    };
    let judged = |text: &str, prefix: &[&str], sudo| {
        let subject = Subject {
            sudo: Some(sudo),
            ..command(text)
        };
        let rulebook = Rulebook {
            rules: vec![rule(prefix)],
            ..Rulebook::default()
        };
        classify(&subject, &rulebook)
    };
    let restart = ["sudo", "-n", "systemctl", "restart"];
    let allowed = judged("sudo -n systemctl restart nginx", &restart, Sudo::Ask);
    assert_eq!(allowed.decision, AutoAllow);
    assert_eq!(allowed.run_as, ["root"]);
    for (text, prefix, sudo, decision) in [
        (
            "sudo -n systemctl restart x",
            &restart[..],
            Sudo::Never,
            Reject,
        ),
        (
            "sudo -n systemctl restart x",
            &["systemctl"],
            Sudo::Ask,
            ApprovalRequired,
        ),
        ("env sudo -n id", &["env"], Sudo::Ask, ApprovalRequired),
        ("sudo id", &["sudo"], Sudo::Ask, Reject),
        ("sudo -n id; ls", &["sudo"], Sudo::Ask, ApprovalRequired),
    ] {
        assert_eq!(judged(text, prefix, sudo).decision, decision, "{text}");
    }
}
