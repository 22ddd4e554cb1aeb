//! What a repository can contain, and what it cannot do with it: each attempt to
//! get at a server, a credential or a permission is a test.
//!
//! Invariant under test: before a person trusted it a repository is read for
//! nothing but to be shown. Several workspaces at once are in
//! `identity_workspaces`.

use std::fs;
use std::path::PathBuf;

use openshell_tests::{Cli, Output, Sshd, SshdOptions, Terminal};
use serde_json::{Value, json};

use crate::cli_support::ended;

/// An installation and a project that lists a real server as `dev`.
struct Project {
    cli: Cli,
    server: Sshd,
    dir: PathBuf,
}

impl Project {
    fn new() -> Self {
        let cli = Cli::new();
        let dir = cli.files().join("project");
        fs::create_dir_all(dir.join(".openshell")).expect("the directory is ours");
        let server = Sshd::start(&SshdOptions::default());
        let project = Self { cli, server, dir };
        project.know_host();
        project.list(&json!([project.entry("dev")]));
        project
    }

    /// Puts the server's host key where the operator keeps such keys.
    fn know_host(&self) {
        let ssh = self.cli.home().join(".ssh");
        fs::create_dir_all(&ssh).expect("the home is ours");
        fs::copy(self.server.known_hosts_path(), ssh.join("known_hosts"))
            .expect("the home is ours");
    }

    fn entry(&self, id: &str) -> Value {
        json!({
            "id": id,
            "host": "127.0.0.1",
            "port": self.server.port(),
            "user": self.server.user(),
            "identity": self.server.client_key_path(),
        })
    }

    fn list(&self, servers: &Value) {
        self.write(
            "servers.json",
            &json!({"format": 1, "servers": servers}).to_string(),
        );
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(".openshell").join(name), text).expect("the directory is ours");
    }

    /// Runs the binary with the project as its working directory.
    fn run(&self, words: &[&str]) -> Output {
        let child = self
            .cli
            .command(words)
            .current_dir(&self.dir)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts");
        openshell_tests::finish(child)
    }

    fn call(&self, tool: &str, arguments: &Value) -> Output {
        self.run(&["call", tool, &arguments.to_string(), "--no"])
    }

    fn stat(&self, id: &str) -> Output {
        self.call("remote_stat", &json!({"server": id, "path": "/"}))
    }

    /// Trusts what is there now, by its hash.
    fn trust(&self) -> Output {
        let shown = self.run(&["trust", "--show", "--json"]);
        assert_eq!(shown.status, 0, "{shown:?}");
        let hash = shown.json()["sha256"].as_str().expect("text").to_owned();
        self.run(&["trust", "--sha256", &hash, "--json"])
    }

    fn listed(&self) -> Vec<(String, String)> {
        let answer = self.call("list_servers", &json!({}));
        assert_eq!(answer.status, 0, "{answer:?}");
        let answer = answer.json();
        let servers = answer["data"]["servers"]
            .as_array()
            .expect("an array")
            .iter();
        servers
            .map(|server| {
                let text = |field: &str| server[field].as_str().expect("text").to_owned();
                (text("id"), text("scope"))
            })
            .collect()
    }
}

fn pair(id: &str, scope: &str) -> (String, String) {
    (id.to_owned(), scope.to_owned())
}

#[test]
fn a_list_counts_once_a_person_trusted_it_and_until_it_changes() {
    let project = Project::new();
    assert!(project.listed().is_empty());
    let inert = project.stat("dev");
    ended(&inert, 1, "SERVER_NOT_FOUND");
    assert!(
        inert.stdout.contains("until a person has looked"),
        "{inert:?}"
    );
    // A model reads no command that would answer for its person.
    assert!(!inert.stdout.contains("openshell trust"), "{inert:?}");

    assert_eq!(project.trust().status, 0);
    assert_eq!(project.listed(), [pair("dev", "workspace")]);
    ended(&project.stat("dev"), 0, "");
    // Only there.
    let elsewhere = project
        .cli
        .call("remote_stat", &json!({"server": "dev", "path": "/"}), &[]);
    ended(&elsewhere, 1, "SERVER_NOT_FOUND");

    let mut entry = project.entry("dev");
    entry["labels"] = json!(["staging"]);
    project.list(&json!([entry]));
    ended(&project.stat("dev"), 1, "SERVER_NOT_FOUND");
    assert!(project.listed().is_empty());
    assert_eq!(project.trust().status, 0);
    ended(&project.stat("dev"), 0, "");
    assert_eq!(project.run(&["trust", "--revoke"]).status, 0);
    ended(&project.stat("dev"), 1, "SERVER_NOT_FOUND");
}

#[test]
fn a_person_sees_what_the_workspace_lists() {
    let project = Project::new();
    let dir = project.dir.display().to_string();
    for (answer, status) in [("no", 3), ("yes", 0)] {
        let Some(mut terminal) = Terminal::start(&project.cli, &["trust", &dir]) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains("dev"), "{shown}");
        assert!(shown.contains(&format!("127.0.0.1:{}", project.server.port())));
        terminal.type_line(answer);
        let output = terminal.finish();
        assert_eq!(output.status, status, "{output:?}");
        assert_eq!(project.listed().len(), usize::from(answer == "yes"));
    }
    let noted = project.cli.records().iter().any(|record| {
        let text = record["text"].as_str().unwrap_or_default();
        text.contains("are trusted (SHA-256")
    });
    assert!(noted, "the trust is on record");
}

#[test]
fn an_agent_cannot_trust_for_its_person() {
    let mut project = Project::new();
    let shown = project.run(&["trust", "--show", "--json"]).json();
    let hash = shown["sha256"].as_str().expect("text").to_owned();
    project.cli.set_env("OPENCODE", "1");
    let refused = project.run(&["trust", "--sha256", &hash, "--json"]);
    assert_eq!(refused.status, 3, "{refused:?}");
    assert_eq!(refused.code(), "PERSON_REQUIRED");
    project.cli.unset_env("OPENCODE");
    assert!(project.listed().is_empty());
    let other = project.run(&["trust", "--sha256", &"0".repeat(64)]);
    assert_eq!(other.status, 1, "{other:?}");
    let nobody = project.run(&["trust"]);
    assert_eq!(nobody.status, 3, "{nobody:?}");
}

/// An entry with the id of the operator's server never takes its place.
#[test]
fn an_id_is_not_redirected() {
    let project = Project::new();
    let real = Sshd::start(&SshdOptions::default());
    project.cli.enrol(&real, "prod");
    project.list(&json!([project.entry("prod"), project.entry("dev")]));
    let shown = project.run(&["trust", "--show", "--json"]).json();
    assert_eq!(shown["servers"][0]["shadows"], true, "{shown}");
    assert_eq!(project.trust().status, 0);
    assert_eq!(
        project.listed(),
        [pair("dev", "workspace"), pair("prod", "global")]
    );
    let before = project.server.connections_seen();
    ended(&project.stat("prod"), 0, "");
    assert_eq!(project.server.connections_seen(), before);
    // A server the operator registers later wins as well.
    project.cli.enrol(&real, "dev");
    ended(&project.stat("dev"), 0, "");
    assert_eq!(project.server.connections_seen(), before);
}

/// The way to the operator's server goes through the operator's servers only.
#[test]
fn the_way_to_a_registered_server_is_not_redirected() {
    let project = Project::new();
    let outer = Sshd::start(&SshdOptions::default());
    let inner = Sshd::start(&SshdOptions::default());
    project.cli.enrol(&outer, "bastion");
    project
        .cli
        .enrol_as(&inner, "inner", inner.user(), &["--jump", "bastion"]);
    project.list(&json!([project.entry("bastion")]));
    assert_eq!(project.trust().status, 0);
    let before = project.server.connections_seen();
    ended(&project.stat("inner"), 0, "");
    assert_eq!(project.server.connections_seen(), before);
}

#[test]
fn a_workspace_server_behind_a_registered_one() {
    let project = Project::new();
    let outer = Sshd::start(&SshdOptions::default());
    project.cli.enrol(&outer, "bastion");
    let mut entry = project.entry("dev");
    entry["jump"] = json!("bastion");
    project.list(&json!([entry]));
    assert_eq!(project.trust().status, 0);
    ended(&project.stat("dev"), 0, "");
    assert!(outer.connections_seen() > 0);
}

/// Trusting the list is not trusting a host: the key must be known already.
#[test]
fn a_host_key_is_never_taken_from_a_workspace() {
    let project = Project::new();
    fs::remove_file(project.cli.home().join(".ssh/known_hosts")).expect("just written");
    project.write(
        "known_hosts",
        &fs::read_to_string(project.server.known_hosts_path()).expect("written by the fixture"),
    );
    assert_eq!(project.trust().status, 0);
    ended(&project.stat("dev"), 1, "HOST_KEY_UNKNOWN");
}

#[test]
fn secrets_and_unknown_fields_are_refused_before_anybody_is_asked() {
    let project = Project::new();
    for (field, value) in [
        ("password", json!("hunter2")),
        ("passphrase", json!("hunter2")),
        ("proxyCommand", json!("sh -c id")),
        ("trusted", json!(true)),
        ("scope", json!("global")),
        ("socket", json!("/tmp/agent")),
    ] {
        let mut entry = project.entry("dev");
        entry[field] = value;
        project.list(&json!([entry]));
        let refused = project.run(&["trust", "--show"]);
        assert_eq!(refused.status, 1, "{field}: {refused:?}");
        assert!(refused.stderr.contains(field), "{field}: {refused:?}");
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    }
    // A list that makes no sense stops nothing of the operator's.
    project.cli.enrol(&project.server, "mine");
    ended(&project.stat("mine"), 0, "");
}

/// A key by a relative path is one of the workspace's own.
#[test]
fn a_link_to_a_key_outside_is_not_followed() {
    let project = Project::new();
    let mut entry = project.entry("dev");
    entry["identity"] = json!("key");
    project.list(&json!([entry]));
    let key = project.dir.join("key");
    std::os::unix::fs::symlink(project.server.client_key_path(), &key)
        .expect("the directory is ours");
    assert_eq!(project.trust().status, 0);
    ended(&project.stat("dev"), 1, "REGISTRY_RECORD_INVALID");
    fs::remove_file(&key).expect("just made");
    fs::copy(project.server.client_key_path(), &key).expect("the directory is ours");
    openshell_tests::secrets::note_private_key(&key);
    ended(&project.stat("dev"), 0, "");
}

/// A rule file of the repository does not allow anything.
#[test]
fn a_workspace_grants_itself_no_permission() {
    let project = Project::new();
    assert_eq!(project.trust().status, 0);
    let touch = json!({"server": "dev", "command": "touch /tmp/openshell-never"});
    ended(&project.call("remote_exec", &touch), 3, "APPROVAL_REJECTED");
    project.write(
        "policy.toml",
        "[[rule]]\nid = \"all\"\nargv = [\"touch\"]\ndecision = \"auto-allow\"\n\
         reason = \"please\"\nmatch = [\"touch x\"]\nnot_match = [\"ls\"]\n",
    );
    ended(&project.call("remote_exec", &touch), 3, "POLICY_UNREADABLE");
    // Nor does one without a mistake in it.
    let rule = "id = \"all\"\nprefix = [\"touch\"]\nreason = \"please\"\n\
                match = [\"touch x\"]\nnot_match = [\"ls\"]\n";
    for (text, word) in [
        (format!("[[rule]]\ndecision = \"allow\"\n{rule}"), "loosen"),
        (
            format!("[[rule]]\ndecision = \"ask\"\noverride = true\n{rule}"),
            "loosen",
        ),
        ("pipelines = \"each-stage\"\n".to_owned(), "loosen"),
    ] {
        project.write("policy.toml", &format!("format = 1\n{text}"));
        let refused = project.call("remote_exec", &touch);
        ended(&refused, 3, "POLICY_UNREADABLE");
        assert!(refused.stdout.contains(word), "{text}: {refused:?}");
    }
    // It may forbid.
    project.write(
        "policy.toml",
        &format!("format = 1\n[[rule]]\ndecision = \"reject\"\n{rule}"),
    );
    ended(&project.call("remote_exec", &touch), 3, "POLICY_REJECTED");
}

/// Files of a repository that look like the operator's own.
#[test]
fn a_repository_holds_no_register_key_or_pause_of_its_own() {
    let project = Project::new();
    project.cli.enrol(&project.server, "mine");
    for name in [
        "registry.json",
        "registry.json.bak",
        "known_hosts",
        "paused",
        "master.key",
    ] {
        project.write(name, "{\"format\": 1}");
        fs::write(project.dir.join(name), "{\"format\": 1}").expect("the directory is ours");
    }
    ended(&project.stat("mine"), 0, "");
    assert_eq!(project.listed(), [pair("mine", "global")]);
}

/// Nothing of the repository's is even looked at where the files of the program
/// itself are concerned.
#[test]
fn a_record_of_trust_inside_the_repository_means_nothing() {
    let project = Project::new();
    let shown = project.run(&["trust", "--show", "--json"]).json();
    let text = json!({
        "format": 1,
        "workspaces": [{
            "path": project.dir.canonicalize().expect("it is there"),
            "sha256": shown["sha256"],
            "since": "2026-01-01T00:00:00Z",
        }],
    });
    project.write("trusted-workspaces.json", &text.to_string());
    fs::write(
        project.dir.join("trusted-workspaces.json"),
        text.to_string(),
    )
    .expect("the directory is ours");
    ended(&project.stat("dev"), 1, "SERVER_NOT_FOUND");
}
