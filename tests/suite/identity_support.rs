//! What the login and host key matrices share: keys of every kind, certificates,
//! and one short proof that a server is usable.
//!
//! It deliberately asserts nothing about refusals; each matrix says its own.
//!
//! Invariant of the fixture: every key is made by `ssh-keygen` for the test and
//! lies in its own directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openshell_tests::{Cli, Output, Sshd};
use serde_json::json;

use crate::cli_support::{add, ended, text, uptime};

/// Runs `ssh-keygen` quietly.
#[track_caller]
pub(crate) fn keygen(words: &[&str]) {
    let output = Command::new("ssh-keygen")
        .arg("-q")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen is installed (openssh-client)");
    assert!(
        output.status.success(),
        "ssh-keygen {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A key pair without a passphrase, of the kind that further words say.
pub(crate) fn key(dir: &Path, name: &str, kind: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let file = text(&path);
    let mut words = vec!["-N", "", "-C", name, "-f", &file, "-t"];
    words.extend(kind);
    keygen(&words);
    openshell_tests::secrets::note_private_key(&path);
    path
}

/// The public half of a key pair.
pub(crate) fn public(key: &Path) -> String {
    fs::read_to_string(key.with_extension("pub"))
        .expect("ssh-keygen wrote it")
        .trim()
        .to_owned()
}

/// Signs a public key with an authority's key; the certificate lies beside it.
pub(crate) fn certify(authority: &Path, key: &Path, words: &[&str]) {
    let (authority, public) = (text(authority), text(&key.with_extension("pub")));
    let mut all = vec!["-s", &authority, "-I", "certified"];
    all.extend(words);
    all.push(&public);
    keygen(&all);
}

/// Registers a fixture's server with an identity file, by its host key.
#[track_caller]
pub(crate) fn add_identity(cli: &Cli, server: &Sshd, id: &str, identity: &Path, flags: &[&str]) {
    let (identity, key) = (text(identity), server.host_key_line());
    let mut all = vec!["--identity", &identity, "--host-key", &key, "--replace"];
    all.extend(flags);
    let added = add(cli, server, id, &all, "");
    assert_eq!(added.status, 0, "{id}: {added:?}");
}

/// Proves that commands and files of a server can be used.
#[track_caller]
pub(crate) fn works(cli: &Cli, id: &str) {
    ended(&uptime(cli, id), 0, "");
    let stat = cli.call("remote_stat", &json!({"server": id, "path": "/"}), &[]);
    ended(&stat, 0, "");
}

/// Asserts that a call failed with a code and says every one of some texts.
#[track_caller]
pub(crate) fn refused(output: &Output, code: &str, says: &[&str]) {
    ended(output, 1, code);
    let envelope = output.json();
    let said = format!("{} {}", envelope["message"], envelope["next"]);
    for text in says {
        assert!(said.contains(text), "{text:?} is not in {said}");
    }
}
