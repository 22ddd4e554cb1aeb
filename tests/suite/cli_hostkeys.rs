//! Registering servers: whose host key is trusted, and by whom; and the rest of
//! `openshell server`.
//!
//! Invariant under test: no key is trusted that nobody vouched for. The forms of a
//! `known_hosts` line are in `identity_hosts`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use openshell_tests::{Cli, Port, Sshd, SshdOptions, Terminal, ssh_keygen};
use serde_json::{Value, json};

use crate::cli_support::{Rig, add, ended, ids, text, uptime};

/// The public half of a key made now: `TYPE BASE64`.
fn another_key(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    ssh_keygen(&path, "ed25519", "");
    let line = fs::read_to_string(path.with_extension("pub")).expect("just made");
    line.split(' ')
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

#[test]
fn a_host_key_that_is_not_the_enrolled_one_ends_everything() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let identity = text(&server.client_key_path());
    let other = another_key(cli.dir(), "other");
    let added = add(
        &cli,
        &server,
        "a",
        &["--identity", &identity, "--host-key", &other],
        "",
    );
    assert_eq!(added.status, 0, "{added:?}");
    let path = text(&cli.files().join("file"));
    for (tool, arguments) in [
        ("remote_exec", json!({"server": "a", "command": "uptime"})),
        (
            "remote_exec",
            json!({"server": "a", "command": format!("touch {path}")}),
        ),
        (
            "remote_write_file",
            json!({"server": "a", "path": path, "content": "x"}),
        ),
        (
            "remote_read_file",
            json!({"server": "a", "path": "/etc/hosts"}),
        ),
        ("remote_stat", json!({"server": "a", "path": "/"})),
        ("remote_list_dir", json!({"server": "a", "path": "/"})),
        (
            "remote_find",
            json!({"server": "a", "path": "/etc", "glob": "hosts"}),
        ),
    ] {
        let refused = cli.call(tool, &arguments, &["--yes"]);
        ended(&refused, 1, "HOST_KEY_CHANGED");
        assert_eq!(
            refused.json()["execution"]["attempted"],
            false,
            "{tool}: {refused:?}"
        );
    }
    let tested = cli.run(["server", "test", "a", "--json"]);
    assert_eq!(tested.status, 1, "{tested:?}");
    assert!(tested.stdout.contains("HOST_KEY_CHANGED"), "{tested:?}");
    assert!(
        !server.log().contains("Accepted "),
        "nobody logged in: {}",
        server.log()
    );
    assert!(!Path::new(&path).exists());

    // Enrolled anew by a person, it works.
    let flags = [
        "--identity",
        &identity,
        "--host-key",
        &server.host_key_line(),
        "--replace",
    ];
    let again = add(&cli, &server, "a", &flags, "");
    assert_eq!(again.status, 0, "{again:?}");
    ended(&uptime(&cli, "a"), 0, "");
}

#[test]
fn an_unknown_host_key_is_not_adopted() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    ended(&uptime(&cli, "a"), 0, "");
    let known_hosts = cli.config_dir().join("known_hosts");
    fs::remove_file(&known_hosts).expect("the installation's own file");
    ended(&uptime(&cli, "a"), 1, "HOST_KEY_UNKNOWN");
    assert!(!known_hosts.exists(), "nothing is trusted on first use");
    ended(&uptime(&cli, "a"), 1, "HOST_KEY_UNKNOWN");
    // A key of another host is no key of this one.
    let foreign = format!("[127.0.0.1]:1 {}\n", server.host_key_line());
    fs::write(&known_hosts, foreign).expect("the installation's own directory");
    ended(&uptime(&cli, "a"), 1, "HOST_KEY_UNKNOWN");
    // An unreadable file is no reason to trust.
    fs::remove_file(&known_hosts).expect("the installation's own file");
    fs::create_dir(&known_hosts).expect("the installation's own directory");
    let unreadable = uptime(&cli, "a");
    assert_eq!(unreadable.status, 1, "{unreadable:?}");
    assert_eq!(
        unreadable.json()["execution"]["attempted"],
        false,
        "{unreadable:?}"
    );
}

#[test]
fn known_hosts_files_are_adopted_plain_and_hashed() {
    let server = Sshd::start(&SshdOptions {
        host_key_types: vec!["ecdsa".to_owned(), "ed25519".to_owned()],
        ..SshdOptions::default()
    });
    let identity = text(&server.client_key_path());
    let plain = server.known_hosts_path();
    let hashed = server.dir().join("hashed");
    fs::copy(&plain, &hashed).expect("the fixture's directory");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&hashed)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen -H");
    let lines = fs::read_to_string(&hashed).expect("just made");
    assert!(lines.starts_with("|1|"), "{lines}");
    for file in [&plain, &hashed] {
        let cli = Cli::new();
        let flags = [
            "--identity",
            &identity,
            "--known-hosts",
            &text(file),
            "--json",
        ];
        let added = add(&cli, &server, "a", &flags, "");
        assert_eq!(added.status, 0, "{added:?}");
        assert_eq!(
            added.json()["hostKeys"].as_array().map(Vec::len),
            Some(2),
            "{added:?}"
        );
        ended(&uptime(&cli, "a"), 0, "");
    }
    assert_eq!(server.log().matches("Accepted publickey").count(), 2);
    // A file that does not know the host enrols nothing.
    let cli = Cli::new();
    let empty = cli.dir().join("empty");
    fs::write(
        &empty,
        format!("elsewhere.example {}\n", server.host_key_line()),
    )
    .expect("new");
    for file in [empty, cli.dir().join("absent"), cli.dir().to_owned()] {
        let flags = ["--identity", &identity, "--known-hosts", &text(&file)];
        let refused = add(&cli, &server, "a", &flags, "");
        assert_eq!(refused.status, 1, "{}: {refused:?}", file.display());
    }
    assert_eq!(ids(&cli), [""; 0]);
}

#[test]
fn adding_needs_a_key_that_somebody_vouched_for() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let identity = text(&server.client_key_path());
    let refused = add(&cli, &server, "a", &["--identity", &identity], "yes\n");
    assert_eq!(refused.status, 3, "{refused:?}");
    for key in [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "nonsense",
        "ssh-rsa !!!",
    ] {
        let flags = ["--identity", &identity, "--host-key", key];
        let odd = add(&cli, &server, "a", &flags, "");
        assert_eq!(odd.status, 2, "{key:?}: {odd:?}");
    }
    assert_eq!(ids(&cli), [""; 0]);
    assert_eq!(server.connections_seen(), 0);

    let port = server.port().to_string();
    let words = [
        "server",
        "add",
        "a",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        "root",
        "--identity",
        &identity,
    ];
    for (answer, status) in [("no", 3), ("y", 3), ("yes", 0)] {
        let Some(mut terminal) = Terminal::start(&cli, &words) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains(&fingerprint(&server)), "{shown}");
        terminal.type_line(answer);
        let output = terminal.finish();
        assert_eq!(output.status, status, "{answer}: {output:?}");
        assert_eq!(
            ids(&cli).len(),
            usize::from(status == 0),
            "{answer}: {output:?}"
        );
    }
    if server.user() == "root" {
        ended(&uptime(&cli, "a"), 0, "");
    }
}

/// `SHA256:…` of the server's key, by ssh-keygen.
fn fingerprint(server: &Sshd) -> String {
    let shown = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(server.dir().join("host_ed25519.pub"))
        .output()
        .expect("ssh-keygen is installed");
    let line = String::from_utf8(shown.stdout).expect("text");
    line.split(' ').nth(1).expect("the second word").to_owned()
}

#[test]
fn a_server_is_added_before_it_is_reachable() {
    let cli = Cli::new();
    let closed = Port::reserve();
    let port = closed.number();
    let key = another_key(cli.dir(), "host");
    let identity = cli.dir().join("identity");
    ssh_keygen(&identity, "ed25519", "");
    let port = port.to_string();
    let added = cli.run([
        "server",
        "add",
        "later",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        "u",
        "--identity",
        &text(&identity),
        "--host-key",
        &key,
        "--json",
    ]);
    assert_eq!(added.status, 0, "{added:?}");
    assert_eq!(added.json()["status"], "ok", "{added:?}");
    ended(&uptime(&cli, "later"), 1, "CONNECT_FAILED");
    let tested = cli.run(["server", "test", "later", "--json"]);
    assert_eq!(tested.status, 1, "{tested:?}");
    // The record of a call that reached nobody is complete all the same.
    let records = cli.records();
    let last = records.last().expect("the call is on record");
    assert_eq!(
        (&last["event"], &last["outcome"]["code"]),
        (&json!("outcome"), &json!("CONNECT_FAILED"))
    );
}

#[test]
fn servers_are_listed_shown_tested_and_removed() {
    let rig = Rig::start();
    rig.cli.enrol_as(
        &rig.server,
        "prod-b",
        rig.server.user(),
        &["--label", "prod", "--label", "web"],
    );
    assert_eq!(ids(&rig.cli), ["a", "prod-b"]);
    let alias = rig.cli.run(["server-registry", "list", "--json"]);
    assert_eq!(
        alias.json(),
        rig.cli.run(["server", "list", "--json"]).json()
    );
    let shown = rig.cli.run(["server", "show", "prod-b", "--json"]);
    assert_eq!(shown.status, 0, "{shown:?}");
    let shown = shown.json();
    assert_eq!(shown["labels"], json!(["prod", "web"]), "{shown}");
    assert_eq!(shown["auth"], "identity-file", "{shown}");
    assert_eq!(shown["port"], rig.server.port(), "{shown}");
    assert!(
        shown["hostKeys"]
            .to_string()
            .contains(&fingerprint(&rig.server)),
        "{shown}"
    );
    let tested = rig.cli.run(["server", "test", "a", "--json"]);
    assert_eq!(tested.status, 0, "{tested:?}");
    let tested = tested.json();
    let steps = tested["steps"].as_array().or_else(|| tested.as_array());
    let steps: Vec<&Value> = steps.expect("an array").iter().collect();
    let names: Vec<&Value> = steps.iter().map(|step| &step["step"]).collect();
    assert_eq!(
        names,
        [
            "registry", "resolve", "tcp", "host-key", "login", "exec", "sftp"
        ],
        "{tested}"
    );
    assert!(steps.iter().all(|step| step["ok"] == true), "{tested}");
    // The same id again is a mistake unless it was meant.
    let identity = text(&rig.server.client_key_path());
    let key = rig.server.host_key_line();
    let twice = add(
        &rig.cli,
        &rig.server,
        "a",
        &["--identity", &identity, "--host-key", &key],
        "",
    );
    assert_eq!(twice.status, 1, "{twice:?}");
    for odd in ["", "../a", "A B", "a/b", "@local"] {
        let flags = ["--identity", identity.as_str(), "--host-key", key.as_str()];
        let odd_id = add(&rig.cli, &rig.server, odd, &flags, "");
        assert_eq!(odd_id.status, 2, "{odd:?}: {odd_id:?}");
    }

    assert_eq!(rig.cli.run(["server", "disable", "a"]).status, 0);
    ended(&uptime(&rig.cli, "a"), 1, "SERVER_DISABLED");
    assert_eq!(rig.cli.run(["server", "enable", "a"]).status, 0);
    ended(&uptime(&rig.cli, "a"), 0, "");

    let removed = rig
        .cli
        .run(["server-registry", "remove", "prod-b", "--json"]);
    assert_eq!(removed.status, 0, "{removed:?}");
    assert_eq!(ids(&rig.cli), ["a"]);
    ended(&uptime(&rig.cli, "a"), 0, "");
    ended(&uptime(&rig.cli, "prod-b"), 1, "SERVER_NOT_FOUND");
    assert_eq!(rig.cli.run(["server", "remove", "a"]).status, 0);
    assert_eq!(ids(&rig.cli), [""; 0]);
    for verb in ["show", "test", "remove"] {
        let gone = rig.cli.run(["server", verb, "a", "--json"]);
        assert_eq!(gone.status, 1, "{verb}: {gone:?}");
        assert!(gone.stdout.contains("SERVER_NOT_FOUND"), "{verb}: {gone:?}");
    }
    let hosts = fs::read_to_string(rig.cli.config_dir().join("known_hosts")).unwrap_or_default();
    assert!(
        !hosts.contains(&rig.server.port().to_string()),
        "its key is forgotten: {hosts}"
    );
}
