//! Commands behind sudo(8): refused, asked, or spared the question by a rule that
//! names them.
//!
//! They prove that root is named wherever a person is asked and in the record.
//! Where sudo is missing they say that they were skipped.

use openshell_tests::Terminal;
use serde_json::json;

use crate::cli_support::{ended, uptime};
use crate::sudo_support::Rig;

const ALL: &str = "(ALL) NOPASSWD: ALL";

#[test]
fn never_means_never() {
    let Some(rig) = Rig::start("never", Some(ALL)) else {
        return;
    };
    ended(&uptime(&rig.cli, "a"), 0, "");
    let connections = rig.server.connections_seen();
    for command in [
        "sudo -n id",
        "ls && sudo -n id",
        "sh -c 'sudo -n id'",
        "su -c id",
    ] {
        let refused = rig.exec(command, &["--yes"]);
        ended(&refused, 3, "POLICY_REJECTED");
        assert!(refused.stdout.contains("sudo = never"), "{refused:?}");
    }
    let path = rig.put("conf", b"old\n", 0o600, 0);
    ended(&rig.write(&path, "new\n", &["--yes"]), 3, "POLICY_REJECTED");
    let patch =
        json!({"server": "a", "path": path, "patch": "@@ -1 +1 @@\n-old\n+new\n", "sudo": true});
    let refused = rig.cli.call("remote_patch_file", &patch, &["--yes"]);
    ended(&refused, 3, "POLICY_REJECTED");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"old\n");
    assert_eq!(rig.server.connections_seen(), connections);
    // Nor does the server go on offering it.
    let listed = rig.cli.must("list_servers", &json!({}), &[]);
    assert!(listed["data"]["servers"][0]["sudo"].is_null(), "{listed}");
}

#[test]
fn a_question_names_the_account_and_so_does_the_record() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let listed = rig.cli.must("list_servers", &json!({}), &[]);
    assert_eq!(listed["data"]["servers"][0]["sudo"], "ask", "{listed}");
    for (command, account, answer) in [
        ("sudo -n id -u", "root", "no"),
        ("sudo -n id -u", "root", "yes"),
        ("cd / && sudo -n -u daemon id -u", "daemon", "yes"),
    ] {
        let arguments = json!({"server": "a", "command": command}).to_string();
        let Some(mut terminal) = Terminal::start(&rig.cli, &["call", "remote_exec", &arguments])
        else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains(&format!("as {account}")), "{shown}");
        terminal.type_line(answer);
        let output = terminal.finish();
        let expected = if answer == "yes" {
            (0, "")
        } else {
            (3, "APPROVAL_REJECTED")
        };
        ended(&output, expected.0, expected.1);
        if answer == "yes" {
            let uid = output.json()["data"]["stdout"]
                .as_str()
                .map(str::trim)
                .map(str::to_owned);
            let wanted = if account == "root" { "0" } else { "1" };
            assert_eq!(uid.as_deref(), Some(wanted), "{output:?}");
        }
    }
    let accounts = |event: &str| -> Vec<String> {
        let recorded = rig.recorded(event).into_iter();
        recorded
            .map(|operation| operation["as"].as_str().expect("text").to_owned())
            .collect()
    };
    assert_eq!(accounts("approval"), ["root", "root", "daemon"]);
    assert_eq!(accounts("attempt"), ["root", "daemon"]);
}

#[test]
fn what_could_ask_for_a_password_is_refused_with_the_way_out() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    for (command, hint) in [
        ("sudo id", "use `sudo -n`"),
        ("uptime; sudo id", "use `sudo -n`"),
        ("su -c id", "only `sudo -n`"),
        ("echo x | sudo -n -S id", "no place in a command"),
    ] {
        let refused = rig.exec(command, &["--yes"]);
        ended(&refused, 3, "POLICY_REJECTED");
        assert!(refused.stdout.contains(hint), "{command}: {refused:?}");
    }
}

#[test]
fn an_account_without_the_right_is_told_so() {
    let Some(rig) = Rig::start("ask", None) else {
        return;
    };
    let asked = rig.exec("sudo -n id", &["--yes"]).json();
    assert_eq!(asked["data"]["exitCode"], 1, "{asked}");
    let said = asked["data"]["stderr"].as_str().unwrap_or_default();
    assert!(said.contains("a password is required"), "{asked}");
}

/// The operator's word for a command by sudo, and for nothing else.
#[test]
fn only_a_rule_that_names_sudo_answers() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let rule = |id: &str, prefix: &str, example: &str| {
        format!(
            "[[rule]]\nid = {id:?}\nprefix = [{prefix}]\ndecision = \"allow\"\nreason = \"said \
             so\"\nmatch = [{example:?}]\nnot_match = [\"ls\"]\n"
        )
    };
    let text = format!(
        "format = 1\n{}{}",
        rule("who", "\"sudo\", \"-n\", \"id\"", "sudo -n id"),
        rule("env", "\"env\"", "env id")
    );
    std::fs::write(rig.cli.config_dir().join("policy.toml"), text).expect("ours to write");
    // Nobody is asked: `--no` would be the answer.
    let allowed = rig.exec("sudo -n id -u", &["--no"]);
    ended(&allowed, 0, "");
    assert_eq!(allowed.json()["data"]["stdout"], "0\n");
    ended(
        &rig.exec("sudo -n id; ls", &["--no"]),
        3,
        "APPROVAL_REJECTED",
    );
    ended(
        &rig.exec("env sudo -n id", &["--no"]),
        3,
        "APPROVAL_REJECTED",
    );
    ended(
        &rig.exec("sudo -n whoami", &["--no"]),
        3,
        "APPROVAL_REJECTED",
    );
    // It may change anything, so its outcome is the effect's own and on record.
    let attempts = rig.recorded("attempt");
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0]["as"], "root");
}

/// The login's account can neither end nor see what runs as root, so nobody says
/// that it is gone.
#[test]
fn a_time_out_does_not_vouch_for_what_runs_as_root() {
    let Some(rig) = Rig::start("ask", Some(ALL)) else {
        return;
    };
    let command = "sudo -n sh -c 'echo $$; exec sleep 300 </dev/null >/dev/null 2>&1'";
    let arguments = json!({"server": "a", "command": command, "timeout": 15_000});
    let ended_early = rig.cli.call("remote_exec", &arguments, &["--yes"]);
    ended(&ended_early, 1, "EXEC_TIMEOUT");
    let data = ended_early.json()["data"].take();
    let pid = data["stdout"]
        .as_str()
        .and_then(|text| text.trim().parse().ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        // It may have ended with its sudo.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    assert_eq!(data["process"], "may-run", "{ended_early:?}");
}
