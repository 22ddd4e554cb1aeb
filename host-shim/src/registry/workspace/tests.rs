//! What a workspace may say, and when it counts.
//!
//! They prove that trust is bound to bytes and folder and that a field too many is
//! a refusal. Connecting to what is listed is left to the suites.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::registry::{AuthMaterial, Paths};

const GOOD: &str = r#"{"format": 1, "servers": [
    {"id": "dev", "host": "dev.example", "user": "me", "identity": "keys/dev"},
    {"id": "ci", "host": "ci.example", "port": 2222, "user": "ci", "agent": true, "jump": "dev"}
]}"#;

struct Scratch {
    dir: TempDir,
    paths: Paths,
}

impl Scratch {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        let scratch = Self { dir, paths };
        fs::create_dir_all(scratch.workspace().join(".openshell")).unwrap();
        scratch.put(text);
        scratch
    }

    fn workspace(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    fn put(&self, text: &str) {
        fs::write(self.workspace().join(".openshell/servers.json"), text).unwrap();
    }

    fn read(&self) -> WorkspaceServers {
        WorkspaceServers::read(&self.workspace()).unwrap().unwrap()
    }
}

#[test]
fn entries_are_read_with_their_defaults() {
    let scratch = Scratch::new(GOOD);
    let servers = scratch.read().servers().unwrap();
    let shown: Vec<_> = servers
        .iter()
        .map(|server| {
            let view = &server.view;
            format!(
                "{} {}@{}:{} {} {} {:?}",
                view.id,
                view.user,
                view.host,
                view.port,
                view.auth,
                view.scope.as_str(),
                view.jump.as_ref().map(|jump| jump.as_str())
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "dev me@dev.example:22 identity-file workspace None",
            "ci ci@ci.example:2222 agent workspace Some(\"dev\")"
        ]
    );
    fs::remove_file(scratch.read().path()).unwrap();
    assert!(
        WorkspaceServers::read(&scratch.workspace())
            .unwrap()
            .is_none()
    );
}

#[test]
fn what_it_may_not_say() {
    let entry = |rest: &str| {
        format!(r#"{{"format": 1, "servers": [{{"id": "a", "host": "h", "user": "u", {rest}}}]}}"#)
    };
    let table = [
        (entry(r#""agent": true, "password": "x""#), "secret"),
        (entry(r#""agent": true, "Passphrase": "x""#), "secret"),
        (entry(r#""agent": true, "api_token": "x""#), "secret"),
        (
            entry(r#""identity": "-----BEGIN OPENSSH PRIVATE KEY-----""#),
            "secret",
        ),
        (
            entry(r#""agent": true, "options": {"secret": 1}"#),
            "secret",
        ),
        (entry(r#""agent": true, "host_key": "x""#), "unknown field"),
        (
            entry(r#""agent": true, "scope": "global""#),
            "unknown field",
        ),
        (entry(r#""agent": true, "user": "root""#), "duplicate field"),
        (entry(r#""agent": "/tmp/socket""#), "invalid type"),
        (entry(r#""agent": false"#), "either"),
        (entry(r#""agent": true, "identity": "k""#), "either"),
        (entry(r#""identity": "../k""#), "out of the workspace"),
        (entry(r#""identity": "a/../../k""#), "out of the workspace"),
        (entry(r#""identity": "~/.ssh/id_rsa""#), "as it stands"),
        (entry(r#""identity": "$HOME/k""#), "as it stands"),
        (entry(r#""identity": "k\n""#), "no path"),
        (entry(r#""agent": true, "shell": "sh""#), "shell"),
        (entry(r#""agent": true, "jump": "a""#), "itself"),
        (entry(r#""agent": true, "port": 0"#), "port"),
        (
            GOOD.replace("\"ci\", \"host\"", "\"dev\", \"host\""),
            "twice",
        ),
        (GOOD.replace("dev.example", "-oProxyCommand=x"), "host"),
        (GOOD.replace("\"format\": 1", "\"format\": 2"), "format 2"),
        (GOOD.replace("\"format\": 1", "\"format\": 0"), "never"),
        (
            GOOD.replace("\"id\": \"dev\"", "\"id\": \"@local\""),
            "reserved",
        ),
        ("[1, []]".to_owned(), "must be an object"),
        (
            r#"{"format": 1, "servers": [["a", "h", 22, "u", [], null, true, null, "/bin/sh"]]}"#
                .to_owned(),
            "must be an object",
        ),
        (String::new(), "EOF"),
    ];
    for (text, said) in table {
        let scratch = Scratch::new(&text);
        let refused = scratch.read().servers().unwrap_err();
        assert!(refused.to_string().contains(said), "{text}: {refused}");
        assert!(!refused.next().is_empty());
    }
}

#[test]
fn trust_is_in_the_bytes_and_the_folder() {
    let scratch = Scratch::new(GOOD);
    let paths = &scratch.paths;
    assert!(!is_trusted(paths, &scratch.read()).unwrap());
    trust(paths, &scratch.read()).unwrap();
    assert!(is_trusted(paths, &scratch.read()).unwrap());
    // Also through another name of the folder.
    let link = scratch.dir.path().join("link");
    std::os::unix::fs::symlink(scratch.workspace(), &link).unwrap();
    let linked = WorkspaceServers::read(&link).unwrap().unwrap();
    assert!(is_trusted(paths, &linked).unwrap());

    scratch.put(&format!("{GOOD}\n"));
    assert!(!is_trusted(paths, &scratch.read()).unwrap());
    scratch.put(GOOD);
    assert!(is_trusted(paths, &scratch.read()).unwrap());
    // The same bytes elsewhere are somebody else's.
    let other = scratch.dir.path().join("other");
    fs::create_dir_all(other.join(".openshell")).unwrap();
    fs::write(other.join(".openshell/servers.json"), GOOD).unwrap();
    let other = WorkspaceServers::read(&other).unwrap().unwrap();
    assert!(!is_trusted(paths, &other).unwrap());

    assert!(revoke_trust(paths, scratch.read().root()).unwrap());
    assert!(!is_trusted(paths, &scratch.read()).unwrap());
    assert!(!revoke_trust(paths, scratch.read().root()).unwrap());
}

#[test]
fn an_unreadable_record_of_trust_is_an_error() {
    let scratch = Scratch::new(GOOD);
    trust(&scratch.paths, &scratch.read()).unwrap();
    for text in ["", "{}", r#"{"format": 2, "workspaces": []}"#] {
        fs::write(scratch.paths.trusted_workspaces(), text).unwrap();
        assert!(
            is_trusted(&scratch.paths, &scratch.read()).is_err(),
            "{text:?}"
        );
    }
}

#[test]
fn keys_come_from_the_workspace_alone() {
    let scratch = Scratch::new(GOOD);
    let keys = scratch.workspace().join("keys");
    let outside = scratch.dir.path().join("outside");
    fs::write(&outside, "a key").unwrap();
    let dev = scratch.read().servers().unwrap().remove(0);
    assert!(dev.login().is_err(), "there is no key");
    fs::create_dir(&keys).unwrap();
    std::os::unix::fs::symlink(&outside, keys.join("dev")).unwrap();
    let refused = dev.login().err().unwrap();
    assert!(refused.to_string().contains("leads out"), "{refused}");
    fs::remove_file(keys.join("dev")).unwrap();
    fs::write(keys.join("dev"), "a key").unwrap();
    let expected = keys.canonicalize().unwrap().join("dev");
    let Ok(AuthMaterial::IdentityFile { path, passphrase }) = dev.login() else {
        unreachable!("an identity was named");
    };
    assert_eq!(path, expected);
    assert!(passphrase.is_none());
}
