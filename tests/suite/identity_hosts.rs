//! Every kind of line of a `known_hosts` file, against a real sshd, through the
//! whole product and from the user's own file.
//!
//! They prove each line by a connection that it allows or refuses. Enrolling a key
//! is not their subject.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use openshell_tests::{Cli, Sshd, SshdOptions};

use crate::cli_support::{ended, text, uptime};
use crate::identity_support::{add_identity, certify, key, public, refused, works};

/// An installation that knows server `a` by the user's file alone, and how to
/// write that file.
struct Known {
    cli: Cli,
}

impl Known {
    fn new(server: &Sshd) -> Self {
        let cli = Cli::new();
        let identity = server.client_key_path();
        // Registered with some key; what is on file is the test's own.
        add_identity(&cli, server, "a", &identity, &[]);
        fs::remove_file(cli.config_dir().join("known_hosts")).expect("just made");
        fs::create_dir(cli.home().join(".ssh")).expect("the home is ours");
        Self { cli }
    }

    fn write(&self, lines: &str) {
        let path = self.cli.home().join(".ssh/known_hosts");
        fs::write(path, lines).expect("the home is ours");
    }
}

fn words(key: &str) -> String {
    key.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// The file with its names hashed, by ssh-keygen.
fn hashed(dir: &Path, lines: &str) -> String {
    let path = dir.join("to-hash");
    fs::write(&path, lines).expect("own directory");
    let done = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f", &text(&path)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(done.is_ok_and(|status| status.success()), "ssh-keygen -H");
    let hashed = fs::read_to_string(&path).expect("own file");
    assert!(hashed.starts_with("|1|"), "{hashed}");
    hashed
}

#[test]
fn lines_of_every_kind() {
    let server = Sshd::start(&SshdOptions::default());
    let known = Known::new(&server);
    let dir = known.cli.dir();
    let right = server.host_key_line();
    let wrong = words(&public(&key(dir, "wrong", &["ed25519"])));
    let rsa = words(&public(&key(dir, "other-type", &["rsa", "-b", "2048"])));
    let port = server.port();
    let place = format!("[127.0.0.1]:{port}");
    let (fine, unknown, changed) = ("", "HOST_KEY_UNKNOWN", "HOST_KEY_CHANGED");
    let table = [
        ("exact", format!("{place} {right}"), fine),
        (
            "comment and blanks",
            format!("# c\n\n{place}\t{right} me@here"),
            fine,
        ),
        ("among others", format!("a,b,{place},c {right}"), fine),
        (
            "second of two keys",
            format!("{place} {wrong}\n{place} {right}"),
            fine,
        ),
        ("without the port", format!("127.0.0.1 {right}"), fine),
        ("hashed", hashed(dir, &format!("{place} {right}\n")), fine),
        (
            "hashed, another key",
            hashed(dir, &format!("{place} {wrong}\n")),
            changed,
        ),
        (
            "hashed, another host",
            hashed(dir, &format!("127.0.0.9 {right}\n")),
            unknown,
        ),
        ("wildcard", format!("[127.0.0.*]:{port} {right}"), fine),
        ("question mark", format!("[127.0.0.?]:{port} {right}"), fine),
        ("wildcard port", format!("[127.0.0.1]:* {right}"), fine),
        (
            "wildcard elsewhere",
            format!("[10.*]:{port} {right}"),
            unknown,
        ),
        ("negated", format!("[127.*]:*,!{place} {right}"), unknown),
        (
            "negated first",
            format!("!{place},[127.*]:* {right}"),
            unknown,
        ),
        (
            "another negated",
            format!("[127.*]:*,![127.0.0.2]:* {right}"),
            fine,
        ),
        ("another port", format!("[127.0.0.1]:1 {right}"), unknown),
        ("nothing", String::new(), unknown),
        ("changed", format!("{place} {wrong}"), changed),
        ("changed type", format!("{place} {rsa}"), changed),
        (
            "changed behind a wildcard",
            format!("[127.*]:* {wrong}"),
            changed,
        ),
        ("revoked", format!("@revoked {place} {right}"), changed),
        (
            "revoked for all",
            format!("{place} {right}\n@revoked * {right}"),
            changed,
        ),
        (
            "another revoked",
            format!("{place} {right}\n@revoked * {wrong}"),
            fine,
        ),
        (
            "an authority is no key",
            format!("@cert-authority {place} {right}"),
            unknown,
        ),
        (
            "broken line passed over",
            format!("{place} nonsense\n{place} {right}"),
            fine,
        ),
        (
            "broken revocation",
            format!("{place} {right}\n@revoked * nonsense"),
            unknown,
        ),
        (
            "unknown marker",
            format!("{place} {right}\n@trusted * {right}"),
            unknown,
        ),
        (
            "one blob, another type",
            format!("{place} ssh-rsa {}", &right[12..]),
            unknown,
        ),
    ];
    let mut logins = 0;
    for (name, lines, code) in table {
        known.write(&format!("{lines}\n"));
        let output = uptime(&known.cli, "a");
        if code == fine {
            logins += 1;
            assert_eq!(output.status, 0, "{name}: {output:?}");
        } else {
            assert_eq!(
                (output.status, output.code().as_str()),
                (1, code),
                "{name}: {output:?}"
            );
            assert_eq!(output.json()["execution"]["attempted"], false, "{name}");
        }
        assert_eq!(
            server.log().matches("Accepted publickey for").count(),
            logins,
            "{name}: nobody logs in by a key that is not known"
        );
    }
    known.write(&format!("{place} {right}\n@revoked * {right}\n"));
    refused(
        &uptime(&known.cli, "a"),
        changed,
        &["is revoked", "known_hosts line 2"],
    );
    known.write(&format!("{place} {wrong}\n"));
    refused(
        &uptime(&known.cli, "a"),
        changed,
        &[
            "has changed",
            "known_hosts line 1",
            "Somebody may be in between",
        ],
    );
}

#[test]
fn certificates_of_hosts() {
    let keys = tempfile::tempdir().expect("a directory");
    let dir = keys.path();
    let authority = key(dir, "authority", &["ecdsa", "-b", "256"]);
    let other = key(dir, "other", &["ed25519"]);
    let table: [(&str, &[&str], &str); 6] = [
        ("valid", &["-h", "-n", "127.0.0.1", "-V", "-1h:+1h"], ""),
        ("wildcard", &["-h", "-n", "127.0.0.*"], ""),
        (
            "expired",
            &["-h", "-n", "127.0.0.1", "-V", "20200101:20200102"],
            "it has expired",
        ),
        (
            "early",
            &["-h", "-n", "127.0.0.1", "-V", "+52w:+53w"],
            "it is not valid yet",
        ),
        (
            "named",
            &["-h", "-n", "db.example"],
            "it does not name 127.0.0.1",
        ),
        ("unnamed", &["-h"], "it does not name 127.0.0.1"),
    ];
    for (name, words_of_it, says) in table {
        let host = key(dir, name, &["ed25519"]);
        certify(&authority, &host, words_of_it);
        let server = Sshd::start(&SshdOptions {
            // Of another type, so that the certified key is the one of its own.
            host_key_types: vec!["ecdsa".to_owned()],
            extra_config: vec![
                format!("HostKey {}", host.display()),
                format!(
                    "HostCertificate {}",
                    dir.join(format!("{name}-cert.pub")).display()
                ),
            ],
            ..SshdOptions::default()
        });
        let known = Known::new(&server);
        let port = server.port();
        let line = |ca: &Path| format!("@cert-authority [127.0.0.*]:{port} {}\n", public(ca));
        known.write(&line(&authority));
        let output = uptime(&known.cli, "a");
        if says.is_empty() {
            works(&known.cli, "a");
        } else {
            refused(&output, "HOST_KEY_CHANGED", &["host certificate", says]);
        }
        // Another authority, and a revoked one.
        known.write(&line(&other));
        ended(&uptime(&known.cli, "a"), 1, "HOST_KEY_UNKNOWN");
        known.write(&format!(
            "{}@revoked * {}\n",
            line(&authority),
            public(&authority)
        ));
        refused(
            &uptime(&known.cli, "a"),
            "HOST_KEY_CHANGED",
            &["is revoked"],
        );
        // The key inside counts by itself where it is known as a key.
        known.write(&format!("[127.0.0.1]:{port} {}\n", public(&host)));
        works(&known.cli, "a");
    }
}
