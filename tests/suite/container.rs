//! The login matrix and the tools against an SSH server in a container, where an
//! engine is there.
//!
//! A container is a second, differently built server: another distribution,
//! another libc and mostly busybox. Without an engine the test says that it was
//! skipped; everything it checks runs against a local sshd in the other suites.
//!
//! Invariant of the fixture: keys and password are made for the run, and the
//! container goes with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use openshell_host::ssh::fetch_host_key;
use openshell_tests::secrets::{self, Kind};
use openshell_tests::{Cli, SshAgent, ssh_keygen};
use serde_json::json;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};

use crate::cli_support::{ended, text, unique, uptime};
use crate::identity_support::{certify, key, public, refused, works};

/// An image whose server takes its user, keys and password from `USER_NAME`,
/// `PUBLIC_KEY`, `USER_PASSWORD` and `PASSWORD_ACCESS`, and listens on port 2222.
const DEFAULT_IMAGE: &str = "lscr.io/linuxserver/openssh-server:latest";
const USER: &str = "operator";

/// The server of a container, as it is registered.
struct Place {
    cli: Cli,
    port: u16,
    host_key: String,
}

impl Place {
    #[track_caller]
    fn add(&self, id: &str, flags: &[&str], stdin: &str) {
        let port = self.port.to_string();
        let fixed = [
            "server",
            "add",
            id,
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--user",
            USER,
            "--host-key",
            &self.host_key,
        ];
        let added = self.cli.run_stdin(fixed.iter().chain(flags), stdin);
        assert_eq!(added.status, 0, "{id}: {added:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_a_container() {
    if !engine_answers() {
        eprintln!("skipped: no container engine answers (DOCKER_HOST, /var/run/docker.sock)");
        return;
    }
    let image =
        std::env::var("OPENSHELL_TEST_SSHD_IMAGE").unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
    let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    let cli = Cli::new();
    let keys = Keys::make(cli.dir());
    let password = unique("pw-");
    secrets::note(Kind::Password, password.as_bytes());

    let container = GenericImage::new(name, tag)
        .with_exposed_port(2222.tcp())
        .with_wait_for(WaitFor::seconds(3))
        .with_env_var("USER_NAME", USER)
        .with_env_var("PUBLIC_KEY", keys.authorized())
        .with_env_var("USER_PASSWORD", &password)
        .with_env_var("PASSWORD_ACCESS", "true")
        .with_startup_timeout(Duration::from_secs(180))
        .start()
        .await
        .expect("the engine starts the image");
    let port = container
        .get_host_port_ipv4(2222)
        .await
        .expect("the port is mapped");
    let host_key = fetch_host_key("127.0.0.1", port, None, Duration::from_secs(30))
        .await
        .expect("the server offers a host key")
        .remove(0)
        .to_string();
    let mut place = Place {
        cli,
        port,
        host_key,
    };
    tokio::task::spawn_blocking(move || {
        log_in_by_each_way(&mut place, &keys, &password);
        use_every_tool(&place.cli);
        refuse_what_changed(&place);
    })
    .await
    .expect("the checks pass");
}

/// The keys that the container is to know.
struct Keys {
    plain: Vec<(&'static str, PathBuf)>,
    encrypted: PathBuf,
    phrase: String,
    authority: PathBuf,
    certified: PathBuf,
    expired: PathBuf,
}

impl Keys {
    fn make(dir: &Path) -> Self {
        let phrase = unique("phrase-");
        let encrypted = dir.join("encrypted");
        ssh_keygen(&encrypted, "ed25519", &phrase);
        let authority = key(dir, "authority", &["ed25519"]);
        let signed = |name: &str, validity: &str| {
            let path = key(dir, name, &["ed25519"]);
            certify(&authority, &path, &["-n", USER, "-V", validity]);
            path
        };
        Self {
            plain: vec![
                ("ed25519", key(dir, "ed25519", &["ed25519"])),
                ("ecdsa", key(dir, "ecdsa", &["ecdsa", "-b", "384"])),
                ("rsa", key(dir, "rsa", &["rsa", "-b", "2048"])),
            ],
            certified: signed("certified", "-1h:+1h"),
            expired: signed("expired", "20200101:20200102"),
            encrypted,
            phrase,
            authority,
        }
    }

    /// Lines of an `authorized_keys` file.
    fn authorized(&self) -> String {
        let plain = self.plain.iter().map(|(_, path)| public(path));
        plain
            .chain([
                public(&self.encrypted),
                format!("cert-authority {}", public(&self.authority)),
            ])
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn log_in_by_each_way(place: &mut Place, keys: &Keys, password: &str) {
    for (id, path) in &keys.plain {
        place.add(id, &["--identity", &text(path)], "");
        works(&place.cli, id);
    }
    let flags = ["--identity", &text(&keys.encrypted), "--passphrase-stdin"];
    place.add("encrypted", &flags, &format!("{}\n", keys.phrase));
    works(&place.cli, "encrypted");
    place.add("certified", &["--identity", &text(&keys.certified)], "");
    works(&place.cli, "certified");
    place.add("expired", &["--identity", &text(&keys.expired)], "");
    let expired = uptime(&place.cli, "expired");
    refused(&expired, "AUTH_FAILED", &["has expired at 2020"]);
    place.add("password", &["--password-stdin"], &format!("{password}\n"));
    works(&place.cli, "password");
    place.add("wrong", &["--password-stdin"], "not the password\n");
    ended(&uptime(&place.cli, "wrong"), 1, "AUTH_FAILED");
    let agent = SshAgent::start(place.cli.dir());
    agent.add(&keys.plain[0].1);
    place.cli.set_env("SSH_AUTH_SOCK", &text(agent.socket()));
    place.add("agent", &["--agent"], "");
    works(&place.cli, "agent");
}

fn use_every_tool(cli: &Cli) {
    let uname = cli.must(
        "remote_exec",
        &json!({"server": "ed25519", "command": "uname -s"}),
        &[],
    );
    assert_eq!(uname["data"]["stdout"], "Linux\n");
    let file = "/tmp/openshell-check";
    cli.must(
        "remote_write_file",
        &json!({"server": "ed25519", "path": file, "content": "one\n", "mode": "0640"}),
        &["--yes"],
    );
    let patched = json!({
        "server": "ed25519", "path": file, "patch": "@@ -1 +1 @@\n-one\n+two\n",
    });
    cli.must("remote_patch_file", &patched, &["--yes"]);
    let read = cli.must(
        "remote_read_file",
        &json!({"server": "ed25519", "path": file}),
        &[],
    );
    assert_eq!(read["data"]["content"], "two\n");
    assert_eq!(read["data"]["mode"], "0640");
    let undone = cli.run(["undo", "ed25519", file, "--yes"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    let read = cli.must(
        "remote_read_file",
        &json!({"server": "ed25519", "path": file}),
        &[],
    );
    assert_eq!(read["data"]["content"], "one\n");
}

fn refuse_what_changed(place: &Place) {
    let known_hosts = place.cli.config_dir().join("known_hosts");
    let good = std::fs::read_to_string(&known_hosts).expect("it is there");
    let other = public(&key(place.cli.dir(), "other", &["ed25519"]));
    let other: Vec<&str> = other.split(' ').take(2).collect();
    let forged = good.replace(&place.host_key, &other.join(" "));
    std::fs::write(&known_hosts, forged).expect("own file");
    ended(&uptime(&place.cli, "ed25519"), 1, "HOST_KEY_CHANGED");
    let revoked = format!("{good}@revoked * {}\n", place.host_key);
    std::fs::write(&known_hosts, revoked).expect("own file");
    refused(
        &uptime(&place.cli, "ed25519"),
        "HOST_KEY_CHANGED",
        &["is revoked"],
    );
    std::fs::write(&known_hosts, "").expect("own file");
    ended(&uptime(&place.cli, "ed25519"), 1, "HOST_KEY_UNKNOWN");
}

/// Whether there is anything an engine could answer on.
fn engine_answers() -> bool {
    if std::env::var_os("DOCKER_HOST").is_some() {
        return true;
    }
    std::os::unix::net::UnixStream::connect("/var/run/docker.sock").is_ok()
}
