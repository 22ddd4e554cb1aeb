//! Connections made before a call needs them.
//!
//! They prove that a login made ahead is all a server sees, and that none is made where
//! somebody would have to help. What it saves is for the benchmarks.

use openshell_tests::{Bridge, Cli, Sshd, SshdOptions};
use serde_json::json;

use crate::ssh_support::eventually;

#[tokio::test]
async fn a_server_used_lately_is_dialled_when_servers_are_listed() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    cli.enrol(&server, "never-used");
    let mut bridge = Bridge::start(&mut cli.command(["bridge"]));
    let path = json!({"server": "a", "path": "/"});
    let mut ok = |tool: &str, arguments: &serde_json::Value| {
        let envelope = bridge.call(tool, arguments, None).expect("the helper runs");
        assert_eq!(envelope["status"], "ok", "{envelope}");
    };
    ok("list_servers", &json!({}));
    ok("remote_stat", &path);
    assert_eq!(server.connections_seen(), 1, "nothing was used before");
    let records = cli.records().len();

    server.drop_connections();
    // The loss is noticed in its own time; a look before that finds nothing to do.
    eventually("it is dialled", || {
        ok("list_servers", &json!({}));
        server.connections_seen() > 1
    })
    .await;
    assert_eq!(cli.records().len(), records, "a login alone is no action");
    ok("remote_stat", &path);
    ok("list_servers", &json!({}));
    assert_eq!(server.connections_seen(), 2, "the call used what was there");
}
