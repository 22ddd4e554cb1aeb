//! What the suites of calls on several servers share: one sshd that listens on
//! several loopback addresses, each of them registered as a server of its own.
//!
//! The servers are one machine, so what a command did on each is told by the
//! address the session came in on. It asserts nothing about openshell itself.
//!
//! Invariant of the fixture: each address is a server of its own to whoever
//! connects.

use std::net::TcpListener;
use std::path::PathBuf;

use openshell_tests::{Cli, Output, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::cli_support::text;

/// Where the servers `web-1`, `web-2` and `db` listen.
pub(crate) const ADDRESSES: [(&str, &str); 3] = [
    ("web-1", "127.0.0.1"),
    ("web-2", "127.0.0.2"),
    ("db", "127.0.0.3"),
];
/// An address nothing of ours listens on.
const DEAD: &str = "127.0.0.4";
/// An address that takes connections and says nothing.
const MUTE: &str = "127.0.0.5";

pub(crate) struct Fleet {
    pub(crate) cli: Cli,
    pub(crate) server: Sshd,
    pub(crate) files: PathBuf,
    mute: Option<TcpListener>,
}

impl Fleet {
    /// Starts the servers; none where this system has one loopback address only.
    pub(crate) fn start() -> Option<Self> {
        if TcpListener::bind((MUTE, 0)).is_err() {
            eprintln!("skipped: this system has no loopback address besides 127.0.0.1");
            return None;
        }
        let more = ADDRESSES.iter().skip(1);
        let server = Sshd::start(&SshdOptions {
            extra_config: more
                .map(|(_, address)| format!("ListenAddress {address}"))
                .collect(),
            ..SshdOptions::default()
        });
        let mut cli = Cli::new();
        // On a busy machine a server may be slow; it is still to be asked about with
        // the others.
        cli.set_env("OPENSHELL_FANOUT_READY_MS", "60000");
        let files = cli.files();
        let fleet = Self {
            cli,
            server,
            files,
            mute: None,
        };
        for (id, address) in ADDRESSES {
            let label = if id == "db" { "prod" } else { "web" };
            fleet.add(id, address, fleet.server.port(), label);
        }
        Some(fleet)
    }

    fn add(&self, id: &str, address: &str, port: u16, label: &str) {
        let port = port.to_string();
        let identity = text(&self.server.client_key_path());
        let key = self.server.host_key_line();
        let added = self.cli.run([
            "server",
            "add",
            id,
            "--host",
            address,
            "--port",
            &port,
            "--user",
            self.server.user(),
            "--identity",
            &identity,
            "--host-key",
            &key,
            "--label",
            label,
        ]);
        assert_eq!(added.status, 0, "server add: {added:?}");
    }

    /// Registers `dead`, which refuses connections.
    pub(crate) fn add_dead(&self) {
        self.add("dead", DEAD, self.server.port(), "gone");
    }

    /// Registers `mute`, which never answers a connection.
    pub(crate) fn add_mute(&mut self) {
        let listener = TcpListener::bind((MUTE, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        self.mute = Some(listener);
        self.add("mute", MUTE, port, "gone");
    }

    /// Puts the operator's rules.
    pub(crate) fn rules(&self, rules: &str) {
        let path = self.cli.config_dir().join("policy.toml");
        std::fs::write(path, format!("format = 1\n{rules}")).expect("the directory is ours");
    }

    /// A command that asks, and leaves a file named after the server's address.
    pub(crate) fn mark(&self) -> String {
        format!(
            "echo x >> {}/$(echo $SSH_CONNECTION | cut -d' ' -f3)",
            text(&self.files)
        )
    }

    /// The addresses at which [`Fleet::mark`] ran, with how often.
    pub(crate) fn marks(&self) -> Vec<(String, usize)> {
        let mut marks: Vec<(String, usize)> = std::fs::read_dir(&self.files)
            .expect("the directory is ours")
            .map(|entry| {
                let entry = entry.expect("the directory is readable");
                let name = entry.file_name().into_string().expect("an address");
                let lines = std::fs::read_to_string(entry.path()).expect("a text");
                (name, lines.lines().count())
            })
            .collect();
        marks.sort();
        marks
    }

    pub(crate) fn exec(&self, servers: Value, command: &str, flags: &[&str]) -> Output {
        let arguments = json!({"server": servers, "command": command});
        self.cli.call("remote_exec", &arguments, flags)
    }

    /// Records of one kind, as pairs of server and what the look finds.
    pub(crate) fn recorded(&self, kind: &str, look: fn(&Value) -> Value) -> Vec<(String, Value)> {
        let mut found: Vec<(String, Value)> = self
            .cli
            .records()
            .iter()
            .filter(|record| record["event"] == kind)
            .map(|record| {
                let server = record["server"].as_str().unwrap_or_default();
                (server.to_owned(), look(record))
            })
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found
    }
}

/// The groups of a result: their servers, and one look at each.
pub(crate) fn groups(envelope: &Value, look: fn(&Value) -> Value) -> Vec<(Value, Value)> {
    envelope["data"]["groups"]
        .as_array()
        .unwrap_or_else(|| panic!("no groups: {envelope:#}"))
        .iter()
        .map(|group| (group["servers"].clone(), look(group)))
        .collect()
}
