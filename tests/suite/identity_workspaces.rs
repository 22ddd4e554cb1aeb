//! Servers of workspaces, side by side: what a person sees of them, and that what
//! is kept of one is never taken for another's.
//!
//! Whether a list may count at all is the subject of `identity_workspace`, not of
//! this one.

use std::fs;
use std::path::{Path, PathBuf};

use openshell_tests::{Cli, Output, Sshd, SshdOptions, Terminal};
use serde_json::{Value, json};

use crate::cli_support::ended;

/// An installation and workspaces that each call another server `dev`.
struct Workspaces {
    cli: Cli,
    servers: Vec<Sshd>,
    dirs: Vec<PathBuf>,
}

impl Workspaces {
    fn new(count: usize) -> Self {
        let cli = Cli::new();
        let ssh = cli.home().join(".ssh");
        fs::create_dir_all(&ssh).expect("the home is ours");
        let mut known = String::new();
        let (mut servers, mut dirs) = (Vec::new(), Vec::new());
        for number in 0..count {
            let server = Sshd::start(&SshdOptions::default());
            known.push_str(&fs::read_to_string(server.known_hosts_path()).expect("just written"));
            let dir = cli.files().join(format!("project-{number}"));
            fs::create_dir_all(dir.join(".openshell")).expect("the directory is ours");
            list(&dir, &json!([entry(&server, "dev")]));
            servers.push(server);
            dirs.push(dir);
        }
        fs::write(ssh.join("known_hosts"), known).expect("the home is ours");
        let workspaces = Self { cli, servers, dirs };
        for dir in &workspaces.dirs {
            workspaces.trust(dir);
        }
        workspaces
    }

    fn trust(&self, dir: &Path) {
        let shown = self.cli.run_in(dir, ["trust", "--show", "--json"]);
        let hash = shown.json()["sha256"].as_str().expect("text").to_owned();
        let trusted = self.cli.run_in(dir, ["trust", "--sha256", &hash, "--json"]);
        assert_eq!(trusted.status, 0, "{trusted:?}");
    }

    fn write(&self, dir: &Path, path: &str, content: &str) -> Output {
        let arguments = json!({"server": "dev", "path": path, "content": content}).to_string();
        self.cli
            .run_in(dir, ["call", "remote_write_file", &arguments, "--yes"])
    }

    fn history(&self, dir: &Path, words: &[&str]) -> Vec<Value> {
        let words = ["history", "--json"].iter().chain(words);
        let output = self.cli.run_in(dir, words);
        assert_eq!(output.status, 0, "{output:?}");
        output.json().as_array().expect("an array").clone()
    }
}

fn entry(server: &Sshd, id: &str) -> Value {
    json!({
        "id": id,
        "host": "127.0.0.1",
        "port": server.port(),
        "user": server.user(),
        "identity": server.client_key_path(),
    })
}

fn list(dir: &Path, servers: &Value) {
    let text = json!({"format": 1, "servers": servers}).to_string();
    fs::write(dir.join(".openshell/servers.json"), text).expect("the directory is ours");
}

/// Two machines of one name: neither the history nor an undo of one workspace ever
/// shows or writes what belongs to the other's, though the paths are the same.
#[test]
fn histories_of_two_workspaces_never_mix() {
    let both = Workspaces::new(2);
    let (one, two) = (&both.dirs[0], &both.dirs[1]);
    // The servers are one machine here, so what tells them apart is the record.
    let file = both.cli.files().join("conf");
    let path = file.display().to_string();
    fs::write(&file, "original\n").expect("ours");
    ended(&both.write(one, &path, "by one\n"), 0, "");
    ended(&both.write(two, &path, "by two\n"), 0, "");

    let of = |dir: &Path| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        both.history(dir, &["dev", &path])
            .iter()
            .map(|it| (text(&it["server"]), text(&it["kind"])))
            .collect()
    };
    let (first, second) = (of(one), of(two));
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(second.len(), 2, "{second:?}");
    let names = [&first[0].0, &second[0].0];
    assert_ne!(names[0], names[1]);
    for name in names {
        assert!(name.starts_with("dev+"), "{name}");
        // The full name works from anywhere.
        assert_eq!(
            both.history(&both.cli.home(), &[name.as_str(), &path])
                .len(),
            2
        );
    }
    assert!(both.history(&both.cli.home(), &["dev", &path]).is_empty());
    assert_eq!(both.history(&both.cli.home(), &[]).len(), 4);

    let diff = both
        .cli
        .run_in(one, ["diff", "dev", &path, "--json"])
        .json();
    let diff = diff["diff"].as_str().expect("text").to_owned();
    assert!(diff.contains("+by one") && !diff.contains("two"), "{diff}");

    // For the first workspace the file is not as it left it.
    let drifted = both
        .cli
        .run_in(one, ["undo", "dev", &path, "--yes", "--json"]);
    ended(&drifted, 1, "CONFLICT");
    let undone = both
        .cli
        .run_in(two, ["undo", "dev", &path, "--yes", "--json"]);
    ended(&undone, 0, "");
    assert_eq!(fs::read_to_string(&file).expect("ours"), "by one\n");
    let undone = both
        .cli
        .run_in(one, ["undo", "dev", &path, "--yes", "--json"]);
    ended(&undone, 0, "");
    assert_eq!(fs::read_to_string(&file).expect("ours"), "original\n");
    // A place that knows no such server takes nothing back.
    let nowhere = both.cli.run(["undo", "dev", &path, "--yes", "--json"]);
    ended(&nowhere, 1, "SERVER_NOT_FOUND");

    // The journal tells them apart in the same words.
    let scopes: std::collections::BTreeSet<String> = both
        .cli
        .records()
        .iter()
        .filter(|record| record["server"] == "dev")
        .map(|record| record["scope"].as_str().unwrap_or("none").to_owned())
        .collect();
    let expected: std::collections::BTreeSet<String> = names
        .iter()
        .map(|name| name.replace("dev+", "workspace:"))
        .collect();
    assert_eq!(scopes, expected);
}

/// The operator's own servers are kept under their ids, as ever.
#[test]
fn what_is_the_operators_keeps_its_name() {
    let both = Workspaces::new(1);
    both.cli.enrol(&both.servers[0], "mine");
    let path = both.cli.files().join("conf").display().to_string();
    let arguments = json!({"server": "mine", "path": path, "content": "x\n"}).to_string();
    let written = both.cli.run_in(
        &both.dirs[0],
        ["call", "remote_write_file", &arguments, "--yes"],
    );
    ended(&written, 0, "");
    assert_eq!(
        both.history(&both.cli.home(), &["mine", &path])[0]["server"],
        "mine"
    );
    let records = both.cli.records();
    let mut mine = records.iter().filter(|record| record["server"] == "mine");
    assert!(mine.all(|record| record["scope"].is_null()));
}

#[test]
fn a_person_sees_which_servers_count_and_why_others_do_not() {
    let both = Workspaces::new(1);
    let dir = &both.dirs[0];
    both.cli.enrol(&both.servers[0], "prod");
    let listed = |dir: &Path| -> Vec<(String, String, String)> {
        let output = both.cli.run_in(dir, ["server", "list", "--json"]);
        assert_eq!(output.status, 0, "{output:?}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let listed = output.json();
        let servers = listed.as_array().expect("an array").iter();
        servers
            .map(|it| (text(&it["id"]), text(&it["scope"]), text(&it["inert"])))
            .collect()
    };
    let row =
        |id: &str, scope: &str, inert: &str| (id.to_owned(), scope.to_owned(), inert.to_owned());
    assert_eq!(
        listed(dir),
        [row("dev", "workspace", ""), row("prod", "global", "")]
    );
    assert_eq!(listed(&both.cli.home()), [row("prod", "global", "")]);
    for (verb, status) in [("show", 0), ("test", 0)] {
        let output = both.cli.run_in(dir, ["server", verb, "dev", "--json"]);
        assert_eq!(output.status, status, "{output:?}");
        assert_eq!(output.json()["scope"], "workspace", "{output:?}");
    }
    let explained = both.cli.run_in(
        dir,
        ["policy", "explain", "--server", "dev", "uptime", "--json"],
    );
    assert_eq!(explained.status, 0, "{explained:?}");

    // An entry with the operator's id stands behind the operator's.
    let server = &both.servers[0];
    list(dir, &json!([entry(server, "dev"), entry(server, "prod")]));
    let untrusted = "not trusted";
    assert_eq!(
        listed(dir),
        [
            row("dev", "workspace", untrusted),
            row("prod", "global", ""),
            row("prod", "workspace", untrusted),
        ]
    );
    let refused = both.cli.run_in(dir, ["server", "test", "dev", "--json"]);
    ended(&refused, 1, "SERVER_NOT_FOUND");
    assert!(refused.stdout.contains(untrusted), "{refused:?}");
    both.trust(dir);
    let shadowed = listed(dir);
    assert_eq!(shadowed[1], row("prod", "global", ""));
    assert!(shadowed[2].2.contains("operator's own"), "{shadowed:?}");
    assert_eq!(shadowed[0], row("dev", "workspace", ""));
    // In the table as well.
    let table = both.cli.run_in(dir, ["server", "list"]);
    assert!(table.stdout.contains("inert: "), "{table:?}");
    // A list that makes no sense hides nothing of the operator's.
    fs::write(dir.join(".openshell/servers.json"), "{").expect("ours");
    let broken = both.cli.run_in(dir, ["server", "list", "--json"]);
    assert_eq!(broken.status, 0, "{broken:?}");
    assert_eq!(broken.json()[0]["id"], "prod");
    assert!(broken.stderr.contains("servers.json"), "{broken:?}");
}

/// A repository cannot open the way to root.
#[test]
fn a_workspace_cannot_ask_for_sudo() {
    let both = Workspaces::new(1);
    let dir = &both.dirs[0];
    let mut asking = entry(&both.servers[0], "dev");
    asking["sudo"] = json!("ask");
    list(dir, &json!([asking]));
    let refused = both.cli.run_in(dir, ["trust", "--show"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("sudo"), "{refused:?}");
    list(dir, &json!([entry(&both.servers[0], "dev")]));
    both.trust(dir);
    let arguments = json!({"server": "dev", "command": "sudo -n id"}).to_string();
    let refused = both
        .cli
        .run_in(dir, ["call", "remote_exec", &arguments, "--yes"]);
    ended(&refused, 3, "POLICY_REJECTED");
}

#[test]
fn a_question_says_that_the_server_is_the_workspaces() {
    let mut both = Workspaces::new(1);
    // The terminal starts in the home directory, which is a workspace here.
    let home = both.cli.home();
    fs::create_dir_all(home.join(".openshell")).expect("ours");
    list(&home, &json!([entry(&both.servers[0], "dev")]));
    both.trust(&home);
    both.cli.set_env("TERM", "dumb");
    let arguments = json!({"server": "dev", "command": "touch /nowhere/x"}).to_string();
    let Some(mut terminal) = Terminal::start(&both.cli, &["call", "remote_exec", &arguments])
    else {
        return;
    };
    terminal.wait_for("Type yes or no:");
    let shown = terminal.shown();
    assert!(shown.contains("from the workspace"), "{shown}");
    terminal.type_line("no");
    ended(&terminal.finish(), 3, "APPROVAL_REJECTED");
}

/// What the policy calls secret is kept sealed, and on a server of a workspace nothing
/// else needs the master key.
#[test]
fn a_secret_file_is_written_and_brought_back() {
    let one = Workspaces::new(1);
    let dir = &one.dirs[0];
    let file = one.cli.files().join(".env");
    let path = file.display().to_string();
    fs::write(&file, "original\n").expect("ours");
    ended(&one.write(dir, &path, "changed\n"), 0, "");
    assert_eq!(fs::read_to_string(&file).expect("ours"), "changed\n");
    let history = one.history(dir, &["dev", &path]);
    assert!(
        history.iter().all(|state| state["sealed"] == true),
        "{history:?}"
    );
    let undone = one
        .cli
        .run_in(dir, ["undo", "dev", &path, "--yes", "--json"]);
    ended(&undone, 0, "");
    assert_eq!(fs::read_to_string(&file).expect("ours"), "original\n");
}
