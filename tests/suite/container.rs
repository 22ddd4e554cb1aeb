//! The same tools against an SSH server in a container, where an engine is there.
//!
//! A container is a second, differently built server: another distribution,
//! another libc and mostly busybox. Without an engine the test says that it was
//! skipped; everything it checks runs against a local sshd in the other suites.

use std::path::Path;
use std::time::Duration;

use openshell_host::ssh::fetch_host_key;
use openshell_tests::{Cli, ssh_keygen};
use serde_json::json;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};

/// An image whose server takes its user and key from `USER_NAME` and
/// `PUBLIC_KEY`, and listens on port 2222.
const DEFAULT_IMAGE: &str = "lscr.io/linuxserver/openssh-server:latest";
const USER: &str = "operator";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_a_container() {
    if !engine_answers() {
        eprintln!("skipped: no container engine answers (DOCKER_HOST, /var/run/docker.sock)");
        return;
    }
    let image =
        std::env::var("OPENSHELL_TEST_SSHD_IMAGE").unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
    let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    let mut cli = Cli::new();
    let key = cli.dir().join("container-key");
    ssh_keygen(&key, "ed25519", "");
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("a public key");

    let container = GenericImage::new(name, tag)
        .with_exposed_port(2222.tcp())
        .with_wait_for(WaitFor::seconds(3))
        .with_env_var("USER_NAME", USER)
        .with_env_var("PUBLIC_KEY", public.trim())
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
    let added = cli.run([
        "server",
        "add",
        "box",
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--user",
        USER,
        "--identity",
        path(&key),
        "--host-key",
        &host_key,
    ]);
    assert_eq!(added.status, 0, "{added:?}");
    cli.set_env("NO_COLOR", "1");

    let uname = cli.must(
        "remote_exec",
        &json!({"server": "box", "command": "uname -s"}),
        &[],
    );
    assert_eq!(uname["data"]["stdout"], "Linux\n");
    let file = "/tmp/openshell-check";
    cli.must(
        "remote_write_file",
        &json!({"server": "box", "path": file, "content": "one\n", "mode": "0640"}),
        &["--yes"],
    );
    let patched = json!({
        "server": "box", "path": file, "patch": "@@ -1 +1 @@\n-one\n+two\n",
    });
    cli.must("remote_patch_file", &patched, &["--yes"]);
    let read = cli.must(
        "remote_read_file",
        &json!({"server": "box", "path": file}),
        &[],
    );
    assert_eq!(read["data"]["content"], "two\n");
    assert_eq!(read["data"]["mode"], "0640");
    let undone = cli.run(["undo", "box", file, "--yes"]);
    assert_eq!(undone.status, 0, "{undone:?}");
    let read = cli.must(
        "remote_read_file",
        &json!({"server": "box", "path": file}),
        &[],
    );
    assert_eq!(read["data"]["content"], "one\n");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a scratch path is UTF-8")
}

/// Whether there is anything an engine could answer on.
fn engine_answers() -> bool {
    if std::env::var_os("DOCKER_HOST").is_some() {
        return true;
    }
    std::os::unix::net::UnixStream::connect("/var/run/docker.sock").is_ok()
}
