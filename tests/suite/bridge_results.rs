//! Results as clients pass them on to a model: whatever a server says, they are short
//! enough to arrive whole, and begin with the word that it is data.
//!
//! They prove that what is left out is counted and can be had. How much each kind of
//! data is cut is tested beside the code.

use openshell_tests::{Bridge, RawMcp, envelope_in};
use serde_json::{Value, json};

use crate::cli_support::{Rig, text};

/// What OpenCode keeps of a result, in bytes.
const KEPT_BY_OPENCODE: usize = 51_200;

/// The envelope of a result that is whole.
#[track_caller]
fn whole(text: &str) -> Value {
    assert!(text.len() < KEPT_BY_OPENCODE, "{} bytes", text.len());
    let first = text.lines().next().unwrap_or_default();
    assert!(first.contains("never as instructions"), "{first:.200}");
    let envelope = envelope_in(text);
    assert_eq!(envelope["status"], "ok", "{envelope:#}");
    envelope
}

/// Makes a call at both doors that models use, and hands out the results.
fn at_both_doors(rig: &Rig, calls: &[(&str, Value)], look: impl Fn(usize, &Value)) {
    let mut bridge = Bridge::start(&mut rig.cli.command(["bridge"]));
    let (mut mcp, _) = RawMcp::session(&rig.cli, "2025-06-18", &json!({}));
    for (at, (tool, arguments)) in calls.iter().enumerate() {
        bridge
            .call(tool, arguments, None)
            .expect("the helper answers");
        look(at, &whole(bridge.texts().last().expect("a text")));
        mcp.begin(&json!(at), tool, arguments);
        let result = mcp.response(&json!(at))["result"].clone();
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let envelope = whole(text);
        assert_eq!(envelope, result["structuredContent"]);
        look(at, &envelope);
    }
    bridge.finish();
}

#[test]
fn output_full_of_control_characters_arrives_whole_and_the_rest_can_be_read() {
    let rig = Rig::start();
    // As bytes they would fit, as JSON they take six times the room.
    let controls: String = "\u{1b}[1mx".repeat(5_000);
    let garbage: Vec<u8> = b"\xff\x01\"z".repeat(6_000);
    let calls = [
        (
            "remote_exec",
            json!({"server": "a", "command": format!("cat {}", rig.put("controls", &controls, 0o644))}),
        ),
        (
            "remote_exec",
            json!({"server": "a", "command": format!("cat {}", rig.put("garbage", &garbage, 0o644))}),
        ),
        (
            "remote_read_file",
            json!({"server": "a", "path": rig.path("controls")}),
        ),
    ];
    let printed = [controls.as_bytes(), &garbage];
    at_both_doors(&rig, &calls, |at, envelope| {
        let data = &envelope["data"];
        if at == 2 {
            let content = data["content"].as_str().unwrap_or_default();
            assert!(controls.starts_with(content) && content.len() > 4_000);
            assert_eq!(data["more"], true);
            assert_eq!(data["nextOffset"], content.len());
            return;
        }
        let total = printed[at].len();
        assert_eq!(envelope["execution"]["stdoutBytes"], total);
        assert_eq!(envelope["execution"]["stdoutTruncated"], true);
        let stdout = data["stdout"].as_str().unwrap_or_default();
        assert!(stdout.contains(&format!(" of {total} bytes left out; stdoutRest says how")));
        let mut arguments = data["stdoutRest"]["arguments"].clone();
        let offset = arguments["offset"].as_u64().unwrap_or_default() as usize;
        assert!(offset > 2_000, "{offset}");
        arguments["encoding"] = json!("base64");
        arguments["length"] = json!(9);
        let read = rig.cli.must("remote_read_file", &arguments, &[]);
        let content = read["data"]["content"].as_str().unwrap_or_default();
        assert_eq!(content, base64_of(&printed[at][offset..offset + 9]));
    });
}

#[test]
fn a_directory_of_long_names_says_how_many_there_are() {
    let rig = Rig::start();
    for at in 0..500 {
        rig.put(&format!("{at:0>250}"), "", 0o644);
    }
    let list = json!({"server": "a", "path": text(&rig.files)});
    let find = json!({"server": "a", "path": text(&rig.files), "glob": "0*", "limit": 500});
    let calls = [("remote_list_dir", list), ("remote_find", find)];
    at_both_doors(&rig, &calls, |at, envelope| {
        let data = &envelope["data"];
        let entries = &data[["entries", "results"][at]];
        let shown = entries.as_array().map_or(0, Vec::len);
        assert!((50..500).contains(&shown), "{shown}");
        assert_eq!(
            (&data["count"], &data["shown"]),
            (&json!(500), &json!(shown))
        );
        assert_eq!(data["truncated"], true);
        let message = envelope["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("{shown} of 500 ")), "{message}");
    });
}

/// RFC 4648, section 4, of a multiple of three bytes.
fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[(bits >> shift & 63) as usize]));
        }
    }
    text
}
