//! `server test`: every step on the way with what it found, and after a failure
//! nothing that was not tried is said to be well.
//!
//! Whether the times it prints are right is not checked.

use std::fs;

use openshell_tests::{Cli, Output, Port, Sshd, SshdOptions};
use serde_json::Value;

use crate::cli_support::Rig;
use crate::sudo_support;

fn steps(output: &Output) -> Vec<Value> {
    let answer = output.json();
    answer["steps"].as_array().expect("an array").clone()
}

/// (hop, step, state) of each.
fn states(output: &Output) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps(output)
        .iter()
        .map(|step| {
            (
                text(&step["hop"]),
                text(&step["step"]),
                text(&step["state"]),
            )
        })
        .collect()
}

#[track_caller]
fn named<'a>(steps: &'a [Value], name: &str) -> &'a Value {
    let found = steps.iter().find(|step| step["step"] == name);
    found.expect("the step is there")
}

#[test]
fn each_step_says_what_it_found() {
    let rig = Rig::start();
    let tested = rig.cli.run(["server", "test", "a", "--json"]);
    assert_eq!(tested.status, 0, "{tested:?}");
    let steps = steps(&tested);
    assert_eq!(
        named(&steps, "resolve")["data"]["addresses"][0],
        "127.0.0.1"
    );
    let address = format!("127.0.0.1:{}", rig.server.port());
    assert_eq!(named(&steps, "tcp")["data"]["address"], address.as_str());
    let key = &named(&steps, "host-key")["data"];
    assert_eq!(key["type"], "ssh-ed25519", "{key}");
    assert!(
        key["fingerprint"]
            .as_str()
            .is_some_and(|it| it.starts_with("SHA256:")),
        "{key}"
    );
    // The file and line are the ones the key was enrolled in.
    let file = key["vouchedBy"]["file"].as_str().expect("text");
    let line = key["vouchedBy"]["line"].as_u64().expect("a number");
    let content = fs::read_to_string(file).expect("it is there");
    let line = content.lines().nth(line as usize - 1).expect("it is there");
    assert!(line.contains(&rig.server.host_key_line()), "{line}");
    assert!(
        key["software"]
            .as_str()
            .is_some_and(|it| it.contains("OpenSSH")),
        "{key}"
    );
    let login = &named(&steps, "login")["data"];
    assert_eq!(login["method"], "publickey");
    let path = rig.server.client_key_path().display().to_string();
    let identity = login["identity"].as_str().expect("text");
    assert!(
        identity.contains("SHA256:") && identity.contains(&path),
        "{login}"
    );
    assert!(
        named(&steps, "exec")["data"]["system"]
            .as_str()
            .is_some_and(|it| !it.is_empty())
    );
    let sftp = &named(&steps, "sftp")["data"];
    assert_eq!(sftp["version"], 3);
    assert!(
        sftp["extensions"]
            .to_string()
            .contains("posix-rename@openssh.com"),
        "{sftp}"
    );
    assert!(
        sftp["limits"]["read"].as_u64().is_some_and(|it| it > 0),
        "{sftp}"
    );
    // The same for a person.
    let shown = rig.cli.run(["server", "test", "a"]);
    for part in [
        "connected to 127.0.0.1",
        "known by ",
        " line ",
        "by publickey",
        "version 3",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
}

#[test]
fn a_way_through_others_is_shown_host_by_host() {
    let rig = Rig::start();
    let middle = Sshd::start(&SshdOptions::default());
    let end = Sshd::start(&SshdOptions::default());
    rig.cli
        .enrol_as(&middle, "middle", middle.user(), &["--jump", "a"]);
    rig.cli
        .enrol_as(&end, "end", end.user(), &["--jump", "middle"]);
    let tested = rig.cli.run(["server", "test", "end", "--json"]);
    assert_eq!(tested.status, 0, "{tested:?}");
    let hops: Vec<_> = states(&tested)
        .into_iter()
        .filter(|(_, step, _)| step == "login")
        .map(|(hop, _, state)| (hop, state))
        .collect();
    let ok = |hop: &str| (hop.to_owned(), "ok".to_owned());
    assert_eq!(hops, [ok("a"), ok("middle"), ok("end")]);
    let steps = steps(&tested);
    let through: Vec<_> = steps
        .iter()
        .filter(|step| step["step"] == "tcp")
        .map(|step| step["data"]["through"].as_str())
        .collect();
    assert_eq!(through, [None, Some("a"), Some("middle")]);

    // Another key in the middle: the end is not even tried.
    let other = Sshd::start(&SshdOptions::default());
    let known = rig.cli.config_dir().join("known_hosts");
    let text = fs::read_to_string(&known).expect("ours");
    let text = text.replace(&middle.host_key_line(), &other.host_key_line());
    fs::write(&known, text).expect("ours");
    let logins = end.log().matches("Accepted ").count();
    let tested = rig.cli.run(["server", "test", "end", "--json"]);
    assert_eq!(tested.status, 1, "{tested:?}");
    let states = states(&tested);
    let state = |hop: &str, step: &str| {
        let found = states.iter().find(|it| it.0 == hop && it.1 == step);
        found.map(|it| it.2.as_str())
    };
    assert_eq!(state("a", "login"), Some("ok"));
    assert_eq!(state("middle", "tcp"), Some("ok"));
    assert_eq!(state("middle", "host-key"), Some("failed"));
    for (hop, step) in [
        ("middle", "login"),
        ("end", "tcp"),
        ("end", "exec"),
        ("end", "sftp"),
    ] {
        assert_eq!(state(hop, step), Some("not-tried"), "{hop} {step}");
    }
    assert_eq!(end.log().matches("Accepted ").count(), logins);
}

#[test]
fn what_fails_says_what_to_do() {
    let cli = Cli::new();
    let server = Sshd::start(&SshdOptions::default());
    cli.enrol_as(&server, "stranger", "nobody-here", &[]);
    let refused = cli.run(["server", "test", "stranger", "--json"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let login = named(&steps(&refused), "login").clone();
    assert_eq!(login["code"], "AUTH_FAILED", "{login}");
    assert!(
        login["next"].as_str().is_some_and(|next| !next.is_empty()),
        "{login}"
    );
    let shown = cli.run(["server", "test", "stranger"]);
    assert!(shown.stdout.contains("not tried"), "{shown:?}");
    assert!(!shown.stderr.is_empty(), "{shown:?}");

    let closed = Port::reserve();
    let port = closed.number().to_string();
    let key = server.host_key_line();
    let identity = server.client_key_path().display().to_string();
    let added = cli.run([
        "server",
        "add",
        "closed",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        "x",
        "--identity",
        &identity,
        "--host-key",
        &key,
    ]);
    assert_eq!(added.status, 0, "{added:?}");
    let refused = cli.run(["server", "test", "closed", "--json"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let found = states(&refused);
    let words: Vec<_> = found
        .iter()
        .map(|it| (it.1.as_str(), it.2.as_str()))
        .collect();
    assert_eq!(
        words,
        [
            ("registry", "ok"),
            ("resolve", "ok"),
            ("tcp", "failed"),
            ("host-key", "not-tried"),
            ("login", "not-tried"),
            ("exec", "not-tried"),
            ("sftp", "not-tried"),
        ]
    );
}

#[test]
fn whether_sudo_works_is_a_step_where_it_may_be_used() {
    let Some(rig) = sudo_support::Rig::start("ask", Some("(ALL) NOPASSWD: ALL")) else {
        return;
    };
    let tested = rig.cli.run(["server", "test", "a", "--json"]);
    assert_eq!(tested.status, 0, "{tested:?}");
    assert_eq!(named(&steps(&tested), "sudo")["state"], "ok");
    let Some(rig) = sudo_support::Rig::start("ask", None) else {
        return;
    };
    let tested = rig.cli.run(["server", "test", "a", "--json"]);
    assert_eq!(tested.status, 1, "{tested:?}");
    let sudo = named(&steps(&tested), "sudo").clone();
    assert_eq!(sudo["code"], "PERMISSION_DENIED", "{sudo}");
    assert!(
        sudo["detail"]
            .as_str()
            .is_some_and(|it| it.contains("password")),
        "{sudo}"
    );
}
