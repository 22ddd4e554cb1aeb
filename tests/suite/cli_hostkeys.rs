//! Registering servers: host keys, ways to log in, and what may be asked.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use openshell_tests::{Account, Cli, Output, Sshd, SshdOptions, Terminal, ssh_keygen};
use serde_json::{Value, json};

use crate::cli_support::{Rig, ended, eventually, is_root, text, unique};

/// `server add` for a fixture, with everything but the ways to trust and log in.
fn add(cli: &Cli, server: &Sshd, id: &str, flags: &[&str], stdin: &str) -> Output {
    add_as(cli, server, id, server.user(), flags, stdin)
}

fn add_as(cli: &Cli, server: &Sshd, id: &str, user: &str, flags: &[&str], stdin: &str) -> Output {
    let port = server.port().to_string();
    let fixed = [
        "server",
        "add",
        id,
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        user,
    ];
    cli.run_stdin(fixed.iter().chain(flags), stdin)
}

fn uptime(cli: &Cli, id: &str) -> Output {
    cli.call(
        "remote_exec",
        &json!({"server": id, "command": "uptime"}),
        &[],
    )
}

fn ids(cli: &Cli) -> Vec<String> {
    let listed = cli.run(["server", "list", "--json"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    let listed = listed.json();
    let servers = listed.as_array().expect("an array").iter();
    servers
        .map(|server| server["id"].as_str().expect("text").to_owned())
        .collect()
}

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
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback has a free port")
        .port();
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
    assert_eq!(names, ["registry", "connect", "exec", "sftp"], "{tested}");
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

#[test]
fn a_password_logs_in_and_is_never_an_argument() {
    if !is_root("an account with a password") {
        return;
    }
    let server = Sshd::start(&SshdOptions {
        password_auth: true,
        ..SshdOptions::default()
    });
    let home = server.dir().join("account");
    fs::create_dir(&home).expect("the fixture's directory");
    let Some(account) = Account::create("/bin/sh", &home) else {
        return;
    };
    let password = unique("pw-");
    account.set_password(&password);
    let cli = Cli::new();
    let key = server.host_key_line();
    let flags = ["--password-stdin", "--host-key", key.as_str()];
    let added = add_as(
        &cli,
        &server,
        "good",
        account.name(),
        &flags,
        &format!("{password}\n"),
    );
    assert_eq!(added.status, 0, "{added:?}");
    let added = add_as(&cli, &server, "bad", account.name(), &flags, "wrong\n");
    assert_eq!(added.status, 0, "{added:?}");
    let ran = cli.call(
        "remote_exec",
        &json!({"server": "good", "command": "id -un"}),
        &[],
    );
    ended(&ran, 0, "");
    assert_eq!(
        ran.json()["data"]["stdout"],
        format!("{}\n", account.name()),
        "{ran:?}"
    );
    ended(&uptime(&cli, "bad"), 1, "AUTH_FAILED");
    let empty = add_as(&cli, &server, "none", account.name(), &flags, "");
    assert_eq!(empty.status, 2, "{empty:?}");
    // Without a way to vouch for the host key, stdin cannot be a person's too.
    let both = add_as(
        &cli,
        &server,
        "none",
        account.name(),
        &["--password-stdin"],
        "x\nyes\n",
    );
    assert_eq!(both.status, 3, "{both:?}");
    let two = ["--password-stdin", "--agent", "--host-key", key.as_str()];
    assert_eq!(
        add_as(&cli, &server, "none", account.name(), &two, "x\n").status,
        2
    );
    assert_eq!(ids(&cli), ["bad", "good"]);
    let listed = cli.run(["server", "list", "--json"]);
    assert_eq!(listed.json()[0]["auth"], "password", "{listed:?}");
}

#[test]
fn an_encrypted_identity_needs_its_passphrase() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    let passphrase = unique("phrase-");
    let identity = server.dir().join("sealed");
    ssh_keygen(&identity, "ed25519", &passphrase);
    let public = fs::read_to_string(identity.with_extension("pub")).expect("just made");
    server.authorize(&public);
    let identity = text(&identity);
    let key = server.host_key_line();
    let with = [
        "--identity",
        &identity,
        "--passphrase-stdin",
        "--host-key",
        &key,
    ];
    let without = ["--identity", identity.as_str(), "--host-key", key.as_str()];
    for (id, flags, stdin, works) in [
        ("right", &with[..], format!("{passphrase}\n"), true),
        ("wrong", &with[..], "wrong\n".to_owned(), false),
        ("none", &without[..], String::new(), false),
    ] {
        let added = add(&cli, &server, id, flags, &stdin);
        assert_eq!(added.status, 0, "{id}: {added:?}");
        let ran = uptime(&cli, id);
        let (status, code) = if works { (0, "") } else { (1, "AUTH_FAILED") };
        ended(&ran, status, code);
    }
    let absent = ["--identity", "/absent/key", "--host-key", key.as_str()];
    assert_eq!(add(&cli, &server, "absent", &absent, "").status, 1);
    let none = add(&cli, &server, "none2", &["--host-key", &key], "");
    assert_eq!(none.status, 2, "a way to log in is missing: {none:?}");
}

/// An `ssh-agent` of this test, ended with it.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent is installed (openssh-client)");
        let agent = Self { child, socket };
        eventually("the agent listens", || agent.socket.exists());
        agent
    }

    fn add(&self, key: &Path) {
        let mut child = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ssh-add is installed (openssh-client)");
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        assert!(child.wait().expect("ssh-add ends").success(), "{said}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_is_the_one_that_was_registered() {
    let server = Sshd::start(&SshdOptions::default());
    let mut cli = Cli::new();
    let key = server.host_key_line();
    let agent = Agent::start(cli.dir());
    cli.set_env("SSH_AUTH_SOCK", &text(&agent.socket));
    let flags = ["--agent", "--host-key", key.as_str()];
    let added = add(&cli, &server, "a", &flags, "");
    assert_eq!(added.status, 0, "{added:?}");
    ended(&uptime(&cli, "a"), 1, "AUTH_FAILED");
    agent.add(&server.client_key_path());
    ended(&uptime(&cli, "a"), 0, "");
    // Another agent in the environment later on is not asked.
    cli.set_env("SSH_AUTH_SOCK", &text(&cli.dir().join("elsewhere")));
    ended(&uptime(&cli, "a"), 0, "");
    drop(agent);
    ended(&uptime(&cli, "a"), 1, "AUTH_FAILED");
}

#[test]
fn without_the_right_master_key_nothing_is_unlocked() {
    let rig = Rig::start();
    let key = fs::read(rig.cli.key_file()).expect("just made");
    fs::remove_file(rig.cli.key_file()).expect("own file");
    ended(&uptime(&rig.cli, "a"), 1, "REGISTRY_LOCKED");
    let other = Cli::new();
    fs::copy(other.key_file(), rig.cli.key_file()).expect("own file");
    ended(&uptime(&rig.cli, "a"), 1, "REGISTRY_LOCKED");
    assert_eq!(rig.server.connections_seen(), 0);
    crate::cli_support::put(&rig.cli.key_file(), &key, 0o644);
    let open = uptime(&rig.cli, "a");
    assert_eq!(
        open.status, 1,
        "a key file others can read is none: {open:?}"
    );
    crate::cli_support::put(&rig.cli.key_file(), &key, 0o600);
    ended(&uptime(&rig.cli, "a"), 0, "");
    // A second key in the same place would lose the first.
    let again = rig
        .cli
        .run(["key", "init", "--file", &text(&rig.cli.key_file())]);
    assert_eq!(again.status, 1, "{again:?}");
    assert_eq!(fs::read(rig.cli.key_file()).expect("own file"), key);
}

#[test]
fn a_tampered_registry_reaches_no_server() {
    let rig = Rig::start();
    let trap = Sshd::start(&SshdOptions::default());
    let registry = rig.cli.config_dir().join("registry.json");
    let whole = fs::read_to_string(&registry).expect("just made");
    let (old, new) = (rig.server.port().to_string(), trap.port().to_string());
    let moved = whole.replace(&old, &new);
    assert_ne!(moved, whole);
    fs::write(&registry, moved).expect("own file");
    let hosts = rig.cli.config_dir().join("known_hosts");
    let line = format!("[127.0.0.1]:{} {}\n", trap.port(), trap.host_key_line());
    fs::write(hosts, line).expect("own file");
    ended(&uptime(&rig.cli, "a"), 1, "REGISTRY_RECORD_INVALID");
    assert_eq!(trap.connections_seen(), 0);
    assert_eq!(rig.server.connections_seen(), 0);
}
