//! `server import` from an `ssh_config(5)` file, with real servers behind it.
//!
//! They prove that what is registered is what ssh(1) would use, or is left out with
//! a reason. Parsing has its tables beside the code.

use std::fs;
use std::path::PathBuf;

use openshell_tests::{Cli, Sshd, SshdOptions, Terminal};
use serde_json::{Value, json};

use crate::cli_support::ended;

/// Puts files into the home that the binary sees.
fn ssh_dir(cli: &Cli, files: &[(&str, &str)]) -> PathBuf {
    let dir = cli.home().join(".ssh");
    fs::create_dir_all(&dir).expect("the home is ours");
    for (name, text) in files {
        fs::write(dir.join(name), text).expect("the home is ours");
    }
    dir
}

fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list.as_array().expect("an array").iter();
    items
        .map(|item| item[field].as_str().expect("text"))
        .collect()
}

#[test]
fn servers_come_over_with_their_way_and_their_host_keys() {
    let cli = Cli::new();
    let (inner, outer) = (
        Sshd::start(&SshdOptions::default()),
        Sshd::start(&SshdOptions::default()),
    );
    let config = format!(
        "Host inner\n  HostName 127.0.0.1\n  Port {inner_port}\n  ProxyJump outer\n  \
         IdentityFile {inner_key}\n  Compression yes\n\
         Host outer\n  HostName 127.0.0.1\n  Port {outer_port}\n  IdentityFile {outer_key}\n\
         Host proxied\n  ProxyCommand nc %h %p\n\
         Host *\n  User {user}\n",
        inner_port = inner.port(),
        outer_port = outer.port(),
        inner_key = inner.client_key_path().display(),
        outer_key = outer.client_key_path().display(),
        user = inner.user(),
    );
    let known = format!(
        "[127.0.0.1]:{} {}\n[127.0.0.1]:{} {}\n",
        inner.port(),
        inner.host_key_line(),
        outer.port(),
        outer.host_key_line()
    );
    let dir = ssh_dir(&cli, &[("config", &config), ("known_hosts", &known)]);

    let planned = cli.run(["server", "import", "--dry-run", "--json"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    let planned = planned.json();
    // The one on the way comes first.
    assert_eq!(texts(&planned["planned"], "id"), ["outer", "inner"]);
    assert_eq!(texts(&planned["skipped"], "host"), ["proxied"]);
    assert_eq!(
        texts(&planned["notHonoured"], "directive"),
        ["compression", "proxycommand"]
    );
    assert!(!cli.config_dir().join("registry.json").exists());

    let refused = cli.run(["server", "import"]);
    assert_eq!(refused.status, 3, "nobody can agree: {refused:?}");
    let imported = cli.run(["server", "import", "inner", "--yes", "--json"]);
    assert_eq!(imported.status, 0, "{imported:?}");
    assert_eq!(imported.json()["added"], json!(["outer", "inner"]));
    let inner_record = cli.run(["server", "show", "inner", "--json"]).json();
    assert_eq!(inner_record["jump"], "outer");
    // The keys were copied: what the user's file says later does not matter.
    fs::remove_file(dir.join("known_hosts")).expect("just written");
    for id in ["outer", "inner"] {
        let stat = json!({"server": id, "path": "/"});
        ended(&cli.call("remote_stat", &stat, &[]), 0, "");
    }
    let again = cli.run(["server", "import", "inner", "--yes", "--json"]);
    assert_eq!(texts(&again.json()["skipped"], "host"), ["inner"]);
}

#[test]
fn an_unknown_host_key_needs_a_person() {
    let cli = Cli::new();
    let server = Sshd::start(&SshdOptions::default());
    let config = format!(
        "Host web\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n",
        server.port(),
        server.user(),
        server.client_key_path().display()
    );
    ssh_dir(&cli, &[("config", &config)]);
    let left_out = cli.run(["server", "import", "--yes", "--json"]);
    assert_eq!(left_out.status, 1, "{left_out:?}");
    assert_eq!(texts(&left_out.json()["skipped"], "host"), ["web"]);
    assert_eq!(cli.run(["server", "list", "--json"]).json(), json!([]));

    let Some(mut terminal) = Terminal::start(&cli, &["server", "import"]) else {
        return;
    };
    terminal.wait_for("Register these 1 servers? Type yes or no:");
    terminal.type_line("yes");
    terminal.wait_for("the server's own? Type yes or no:");
    terminal.type_line("yes");
    let output = terminal.finish();
    assert_eq!(output.status, 0, "{output:?}");
    let stat = json!({"server": "web", "path": "/"});
    ended(&cli.call("remote_stat", &stat, &[]), 0, "");
}

#[test]
fn an_agent_imports_nothing_and_a_broken_file_is_named() {
    let mut cli = Cli::new();
    ssh_dir(&cli, &[("config", "Host a\nUser \"open\nHost b\n")]);
    let broken = cli.run(["server", "import", "--dry-run"]);
    assert_eq!(broken.status, 1, "{broken:?}");
    ssh_dir(&cli, &[("config", "Host a\nUser \"open\n")]);
    let broken = cli.run(["server", "import", "--dry-run"]);
    assert_eq!(broken.status, 1, "{broken:?}");
    assert!(broken.stderr.contains("line 2"), "{broken:?}");
    cli.set_env("OPENCODE", "1");
    let refused = cli.run(["server", "import", "--yes", "--json"]);
    assert_eq!(refused.status, 3, "{refused:?}");
    assert_eq!(refused.code(), "PERSON_REQUIRED");
}
