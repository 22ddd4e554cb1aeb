//! Output longer than a result: cut in the middle, kept, paged, and gone after a
//! while; the same at every door.
//!
//! They prove that no byte is lost between the pieces and that an id is the only
//! right to them. Limits of the spool are tested beside its code.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use openshell_tests::{Bridge, RawMcp};
use serde_json::{Value, json};

use crate::cli_support::{Rig, mode};

/// Numbers one a line, far more than a result holds.
fn numbers() -> String {
    (1..=100_000).map(|number| format!("{number}\n")).collect()
}

fn exec(command: &str) -> Value {
    json!({"server": "a", "command": command})
}

/// Reads from where a result says until there is no more.
fn page(rest: &Value, mut call: impl FnMut(&str, &Value) -> Value) -> String {
    let mut arguments = rest["arguments"].clone();
    arguments["length"] = json!(200_000);
    let tool = rest["tool"].as_str().expect("a tool is named");
    let mut text = String::new();
    loop {
        let envelope = call(tool, &arguments);
        let data = &envelope["data"];
        text += data["content"].as_str().unwrap_or_default();
        assert_eq!(envelope["status"], "ok", "{envelope}");
        assert_eq!(data.get("mode"), None, "{envelope}");
        if data["more"] != true {
            return text;
        }
        arguments["offset"] = data["nextOffset"].clone();
    }
}

fn spooled(rig: &Rig) -> Vec<PathBuf> {
    let entries = fs::read_dir(rig.cli.data_dir().join("spool"));
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[test]
fn long_output_is_cut_in_the_middle_and_paged_at_every_door() {
    let rig = Rig::start();
    let all = numbers();
    let cat = exec(&format!("cat {}", rig.put("numbers", &all, 0o644)));

    let mut by_cli = |tool: &str, arguments: &Value| rig.cli.call(tool, arguments, &[]).json();
    let told = by_cli("remote_exec", &cat);
    let (stdout, rest) = (&told["data"]["stdout"], &told["data"]["stdoutRest"]);
    let stdout = stdout.as_str().expect("a text");
    assert!(stdout.starts_with("1\n2\n3\n") && stdout.ends_with("\n99999\n100000\n"));
    let marked = format!("of {} bytes left out; stdoutRest says how", all.len());
    assert!(stdout.contains(&marked), "{}", &stdout[20_000..21_000]);
    assert_eq!(rest["arguments"]["server"], "@local", "{rest}");
    assert_eq!(rest["keptBytes"], all.len(), "{rest}");
    assert_eq!(told["execution"]["stdoutBytes"], all.len());
    assert_eq!(told["execution"]["stdoutTruncated"], true);
    let offset = rest["arguments"]["offset"].as_u64().expect("a number") as usize;
    assert_eq!(page(rest, &mut by_cli), all[offset..]);
    // What was kept by one process is read by another one.
    let mut bridge = Bridge::start(&mut rig.cli.command(["bridge"]));
    let mut by_bridge = |tool: &str, arguments: &Value| {
        bridge
            .call(tool, arguments, None)
            .expect("the helper answers")
    };
    assert_eq!(page(rest, &mut by_bridge), all[offset..]);
    let told = by_bridge("remote_exec", &cat);
    assert_eq!(
        page(&told["data"]["stdoutRest"], &mut by_bridge),
        all[offset..]
    );
    bridge.finish();

    let (mut mcp, _) = RawMcp::session(&rig.cli, "2025-06-18", &json!({}));
    let mut id = 100;
    let mut by_mcp = |tool: &str, arguments: &Value| {
        id += 1;
        mcp.begin(&json!(id), tool, arguments);
        mcp.response(&json!(id))["result"]["structuredContent"].clone()
    };
    let told = by_mcp("remote_exec", &cat);
    assert_eq!(
        page(&told["data"]["stdoutRest"], &mut by_mcp),
        all[offset..]
    );

    for file in spooled(&rig) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(spooled(&rig).len(), 3);
    assert_eq!(mode(&rig.cli.data_dir().join("spool")), 0o700);
}

#[test]
fn what_is_not_kept_is_an_error_that_says_so() {
    let rig = Rig::start();
    let call = |tool: &str, arguments: Value| rig.cli.call(tool, &arguments, &["--yes"]).json();
    // Both streams, and a command that fails.
    let told = call("remote_exec", exec("seq 20000; seq 30000 >&2; exit 3"));
    let path = told["data"]["stderrRest"]["arguments"]["path"].clone();
    assert_ne!(path, told["data"]["stdoutRest"]["arguments"]["path"]);
    let read = |path: &Value| {
        call(
            "remote_read_file",
            json!({"server": "@local", "path": path}),
        )
    };
    assert_eq!(read(&path)["status"], "ok");
    for file in spooled(&rig) {
        let file = fs::File::options()
            .write(true)
            .open(file)
            .expect("it is ours");
        let yesterday = SystemTime::now() - Duration::from_secs(25 * 3600);
        file.set_modified(yesterday).expect("it is ours");
    }
    let gone = read(&path);
    assert_eq!(gone["code"], "FILE_NOT_FOUND", "{gone}");
    let message = gone["message"].as_str().unwrap_or_default();
    assert!(message.contains("kept for 24 hours"), "{gone}");
    assert!(gone["next"].is_string(), "{gone}");
    for path in ["/etc/passwd", "../audit/redaction.key", "out-00"] {
        let refused = read(&json!(path));
        assert_eq!(refused["code"], "INVALID_ARGUMENT", "{refused}");
        assert!(refused["next"].is_string(), "{refused}");
    }
    // Nothing else is to be had there, and short output is kept nowhere.
    let listed = call("remote_list_dir", json!({"server": "@local", "path": "/"}));
    assert_eq!(listed["code"], "SERVER_NOT_FOUND", "{listed}");
    let short = call("remote_exec", exec("seq 10"));
    assert_eq!(short["data"].get("stdoutRest"), None, "{short}");
    assert_eq!(spooled(&rig).len(), 1, "the one that was read is removed");
}

#[test]
fn a_repeated_call_says_how_its_output_is_read_while_that_is_kept() {
    let rig = Rig::start();
    let all = numbers();
    let cat = exec(&format!("cat {}", rig.put("numbers", &all, 0o644)));
    let flags = ["--key", "k1"];
    let first = rig.cli.must("remote_exec", &cat, &flags);
    let again = rig.cli.must("remote_exec", &cat, &flags);
    assert_eq!(again["replayed"], true, "{again}");
    let rest = &again["data"]["stdoutRest"];
    assert_eq!(
        rest["arguments"]["path"], first["data"]["stdoutRest"]["arguments"]["path"],
        "{again}"
    );
    assert_eq!(rest["arguments"]["offset"], 0, "{again}");
    assert_eq!(again["data"].get("stderrRest"), None, "{again}");
    let told = again["message"].as_str().unwrap_or_default();
    assert!(told.contains("how to read its output"), "{again}");
    let mut by_cli = |tool: &str, arguments: &Value| rig.cli.must(tool, arguments, &[]);
    assert_eq!(page(rest, &mut by_cli), all);

    // Nothing is promised of what is gone.
    for file in spooled(&rig) {
        fs::remove_file(file).expect("it is ours");
    }
    let again = rig.cli.must("remote_exec", &cat, &flags);
    assert_eq!(again["replayed"], true, "{again}");
    assert!(again["data"].is_null(), "{again}");
    let told = again["message"].as_str().unwrap_or_default();
    assert!(told.contains("without its output"), "{again}");
}
