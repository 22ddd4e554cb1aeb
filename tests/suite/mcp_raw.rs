//! MCP as it goes over the wire: revisions, sizes, mistakes, the end.
//!
//! The client here writes lines, so it can send what no SDK would.
//!
//! They prove that a mistake is answered and that what comes after it is served.
//! Consent is not their subject.

use std::fs;

use openshell_tests::{Cli, RawMcp};
use serde_json::{Value, json};

use crate::cli_support::{Rig, eventually, unique};
use crate::mcp_pending::allow_all;

/// Everything a client gets for `tools/list`, in bytes.
const LISTING_MAX: usize = 4_096;

fn request(id: impl Into<Value>, method: &str, params: &Value) -> Value {
    let id: Value = id.into();
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn code(frame: &Value) -> i64 {
    frame["error"]["code"].as_i64().unwrap_or_default()
}

#[test]
fn every_revision_is_spoken_and_the_listing_is_small() {
    let cli = Cli::new();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let (mut mcp, hello) = RawMcp::session(&cli, version, &json!({}));
        assert_eq!(hello["protocolVersion"], version);
        assert_eq!(hello["serverInfo"]["name"], "openshell");
        assert!(hello["capabilities"]["tools"].is_object(), "{hello}");
        let told = hello["instructions"].as_str().expect("there are some");
        assert!(!told.contains("openshell "), "no command in {told}");

        mcp.send(&request(1, "tools/list", &json!({})));
        let listed = mcp.response(&json!(1))["result"].clone();
        assert!(listed.to_string().len() <= LISTING_MAX, "{listed}");
        assert_eq!(listed["tools"].as_array().map(Vec::len), Some(8));
    }
    let (_mcp, hello) = RawMcp::session(&cli, "1999-12-31", &json!({}));
    assert_eq!(hello["protocolVersion"], "2025-11-25");

    // From 2026-07-28 on there is no handshake: every request brings its own.
    let meta = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    }});
    let mut mcp = RawMcp::start(&cli);
    mcp.send(&request(1, "server/discover", &meta));
    let discovered = mcp.response(&json!(1));
    let versions = discovered["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28"), "{discovered}");
    mcp.send(&request(2, "tools/list", &meta));
    let listed = mcp.response(&json!(2))["result"].clone();
    assert!(listed.to_string().len() <= LISTING_MAX, "{listed}");
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(8));
}

#[test]
fn mistakes_are_answered_and_never_fatal() {
    let rig = Rig::start();
    let mut mcp = RawMcp::start(&rig.cli);
    // Before a session: none of this opens one, and none of it ends the server.
    for line in [
        "\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n",
    ] {
        mcp.send_bytes(line.as_bytes());
    }
    mcp.send_bytes(b"{\n");
    assert_eq!(code(&mcp.next_frame()), -32700);
    mcp.send(&request("early", "tools/list", &json!({})));
    assert_eq!(code(&mcp.response(&json!("early"))), -32602);
    mcp.send(&request("p", "ping", &json!({})));
    assert_eq!(mcp.response(&json!("p"))["result"], json!({}));

    mcp.send(&request(
        "hello",
        "initialize",
        &json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        }),
    ));
    assert!(mcp.response(&json!("hello"))["result"].is_object());

    let deep = format!("{}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let lines: [(&[u8], i64); 8] = [
        (b"nonsense\n", -32700),
        (b"\xff\xfe\n", -32700),
        (deep.as_bytes(), -32700),
        (b"[]\n", -32600),
        (b"7\n", -32600),
        (b"{}\n", -32600),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}\n",
            -32600,
        ),
        (b"{\"id\":1,\"method\":7}\n", -32600),
    ];
    for (line, expected) in lines {
        mcp.send_bytes(line);
        let frame = mcp.next_frame();
        assert_eq!(
            code(&frame),
            expected,
            "{}: {frame}",
            String::from_utf8_lossy(&line[..line.len().min(60)])
        );
    }
    let long_key = json!({"openshell/idempotencyKey": "k".repeat(513)});
    let calls = [
        ("tools/call", json!({}), -32602),
        ("tools/call", json!({"name": "remote_reboot"}), -32602),
        (
            "tools/call",
            json!({"name": "remote_stat", "arguments": []}),
            -32602,
        ),
        ("no/such", json!({}), -32601),
        (
            "tools/call",
            json!({"name": "list_servers", "_meta": {"openshell/idempotencyKey": 7}}),
            -32602,
        ),
        (
            "tools/call",
            json!({"name": "list_servers", "_meta": long_key}),
            -32602,
        ),
    ];
    for (index, (method, params, expected)) in calls.into_iter().enumerate() {
        mcp.send(&request(index, method, &params));
        let frame = mcp.response(&json!(index));
        assert_eq!(code(&frame), expected, "{method} {params}: {frame}");
    }
    // Arguments are the component's business, which says what is wrong.
    mcp.begin(&json!("bad"), "remote_stat", &json!({"server": "a"}));
    let result = mcp.response(&json!("bad"))["result"].clone();
    assert_eq!(result["isError"], true);
    assert_eq!(result["structuredContent"]["code"], "INVALID_ARGUMENT");

    mcp.begin(
        &json!("good"),
        "remote_exec",
        &json!({"server": "a", "command": "uptime"}),
    );
    let result = mcp.response(&json!("good"))["result"].clone();
    assert_eq!(result["structuredContent"]["status"], "ok", "{result}");
}

#[test]
fn a_frame_that_is_too_long_is_refused_and_the_next_one_read() {
    let cli = Cli::new();
    let (mut mcp, _) = RawMcp::session(&cli, "2025-06-18", &json!({}));
    let megabyte = vec![b'x'; 1024 * 1024];
    for _ in 0..49 {
        mcp.send_bytes(&megabyte);
    }
    mcp.send_bytes(b"\n");
    let refused = mcp.next_frame();
    assert_eq!(code(&refused), -32600, "{refused}");
    mcp.send(&request(1, "ping", &json!({})));
    assert_eq!(mcp.response(&json!(1))["result"], json!({}));
}

#[test]
fn the_end_of_the_input_ends_what_runs_and_is_recorded() {
    let mut rig = Rig::start();
    // What this proves is the order of things, also where they take their time.
    rig.cli.set_env("OPENSHELL_FAREWELL_MS", "60000");
    let pid_file = rig.path("pid");
    let command = format!("echo $$ > {pid_file}; sleep 600");
    let arguments = json!({"server": "a", "command": command});
    let (mut mcp, _) = RawMcp::session(&rig.cli, "2025-06-18", &json!({}));
    mcp.begin(&json!(1), "remote_exec", &arguments);
    mcp.response(&json!(1));
    allow_all(&rig.cli);
    mcp.begin(&json!(2), "remote_exec", &arguments);
    // A second piece of work: a question without an answer is work, too.
    eventually("the command runs", || {
        fs::read_to_string(&pid_file).is_ok_and(|text| text.ends_with('\n'))
    });
    let pid = fs::read_to_string(&pid_file).expect("just looked at");
    let process = format!("/proc/{}", pid.trim());
    assert!(fs::metadata(&process).is_ok(), "{process}");

    let (status, took) = mcp.hang_up();
    assert!(status.success(), "{status}");
    eprintln!("ended {took:?} after its input");
    eventually("the command is gone", || fs::metadata(&process).is_err());
    let records = rig.cli.records();
    let outcome = records
        .iter()
        .rfind(|record| record["event"] == "outcome")
        .expect("there is one");
    assert_eq!(outcome["outcome"]["code"], "CANCELLED", "{outcome:#}");
    assert_eq!(outcome["outcome"]["ended"], "group-gone", "{outcome:#}");
    assert_eq!(outcome["door"], "mcp");
    assert!(!records.iter().any(|record| record["event"] == "recovered"));
    assert_eq!(rig.cli.run(["audit", "verify"]).status, 0);
}

#[test]
fn under_one_key_nothing_runs_twice() {
    let rig = Rig::start();
    let file = rig.put("lines", "", 0o644);
    let (mut mcp, _) = RawMcp::session(&rig.cli, "2025-11-25", &json!({}));
    let key = unique("key-");
    let mut call = |id: u32, command: String, key: &str| {
        mcp.send(&request(
            id,
            "tools/call",
            &json!({
                "name": "remote_exec",
                "arguments": {"server": "a", "command": command},
                "_meta": {"openshell/idempotencyKey": key},
            }),
        ));
        mcp.response(&json!(id))["result"]["structuredContent"].clone()
    };
    let append = format!("echo x >> {file}");
    // A call that waits for a person has claimed nothing.
    assert_eq!(call(1, append.clone(), &key)["code"], "APPROVAL_REQUIRED");
    allow_all(&rig.cli);
    assert_eq!(call(2, append.clone(), &key)["status"], "ok");
    let again = call(3, append.clone(), &key);
    assert_eq!(
        (&again["status"], &again["replayed"]),
        (&json!("ok"), &json!(true))
    );
    assert_eq!(
        call(4, format!("echo y >> {file}"), &key)["code"],
        "CONFLICT"
    );
    assert_eq!(
        call(5, append, &unique("key-"))["code"],
        "APPROVAL_REQUIRED"
    );
    assert_eq!(rig.content("lines"), b"x\n");
}

#[test]
fn an_id_in_use_is_refused() {
    let rig = Rig::start();
    let file = rig.path("go");
    let command = format!("while ! test -e {file}; do sleep 0.05; done");
    let arguments = json!({"server": "a", "command": command});
    let (mut mcp, _) = RawMcp::session(&rig.cli, "2025-06-18", &json!({}));
    mcp.begin(&json!(1), "remote_exec", &arguments);
    mcp.response(&json!(1));
    allow_all(&rig.cli);
    mcp.begin(&json!(2), "remote_exec", &arguments);
    mcp.send(&request(2, "tools/list", &json!({})));
    assert_eq!(code(&mcp.response(&json!(2))), -32600);
    fs::write(&file, "").expect("the directory is the test's own");
    let result = mcp.response(&json!(2))["result"].clone();
    assert_eq!(result["structuredContent"]["status"], "ok", "{result}");
}
