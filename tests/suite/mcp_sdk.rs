//! The official TypeScript SDKs as clients, at every stage of the protocol.
//!
//! Where they are not installed the tests say that they were skipped. What a server
//! says to malformed input cannot be tried with them.

use openshell_tests::sdk_session;
use serde_json::{Value, json};

use crate::cli_support::Rig;
use crate::mcp_pending::{allow_all, kept};

const SDKS: [&str; 3] = ["v1", "v2", "v2-auto"];

fn call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments})
}

fn exec(command: &str) -> Value {
    call("remote_exec", &json!({"server": "a", "command": command}))
}

#[test]
fn the_official_sdks_list_call_and_ask() {
    for sdk in SDKS {
        let rig = Rig::start();
        let plain = rig.put("plain", "first\n", 0o644);
        let touched = rig.path("touched");
        let plan = json!({
            "elicit": {"action": "accept", "content": {"decision": "allow once"}},
            "calls": [
                call("list_servers", &json!({})),
                exec(&format!("cat {plain}")),
                exec(&format!("touch {touched}")),
                call("remote_stat", &json!({"server": "a", "path": "/no/such"})),
            ],
        });
        let Some(seen) = sdk_session(&rig.cli, sdk, &plan) else {
            return;
        };
        assert_eq!(seen["server"]["name"], "openshell", "{seen:#}");
        assert_eq!(seen["tools"].as_array().map(Vec::len), Some(8));
        for tool in seen["tools"].as_array().expect("a list") {
            assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{tool}");
        }
        let results = seen["results"].as_array().expect("a list");
        let status = |index: usize| &results[index]["structuredContent"]["status"];
        for index in 0..3 {
            assert_eq!(status(index), "ok", "{sdk}: {seen:#}");
        }
        assert_eq!(results[1]["structuredContent"]["data"]["stdout"], "first\n");
        assert_eq!(results[3]["isError"], true);
        assert!(rig.exists("touched"));
        assert_eq!(seen["asked"].as_array().map(Vec::len), Some(1), "{sdk}");
        if sdk == "v2-auto" {
            assert_eq!(seen["protocol"], "2026-07-28");
        }
    }
}

#[test]
fn an_sdk_without_dialogs_is_answered_out_of_band() {
    for sdk in SDKS {
        let rig = Rig::start();
        let touch = exec(&format!("touch {}", rig.path("touched")));
        let plan = json!({"elicit": null, "calls": [touch]});
        let Some(seen) = sdk_session(&rig.cli, sdk, &plan) else {
            return;
        };
        let refused = &seen["results"][0];
        assert_eq!(refused["isError"], true, "{sdk}: {seen:#}");
        assert_eq!(refused["structuredContent"]["code"], "APPROVAL_REQUIRED");
        let asks = kept(&rig.cli);
        assert!(
            asks[0]["client"]
                .as_str()
                .is_some_and(|name| name.starts_with("sdk-")),
            "{asks:#?}"
        );
        allow_all(&rig.cli);
        let seen = sdk_session(&rig.cli, sdk, &plan).expect("it was there");
        assert_eq!(
            seen["results"][0]["structuredContent"]["status"], "ok",
            "{seen:#}"
        );
        assert!(rig.exists("touched"));
    }
}

#[test]
fn an_sdk_makes_hundreds_of_calls() {
    let rig = Rig::start();
    let plain = rig.put("plain", "content\n", 0o644);
    let one = exec(&format!("cat {plain}"));
    let mut calls = vec![one.clone(); 200];
    calls.push(json!({"parallel": vec![one; 64]}));
    let plan = json!({"elicit": null, "calls": calls});
    let Some(seen) = sdk_session(&rig.cli, "v1", &plan) else {
        return;
    };
    let results = seen["results"].as_array().expect("a list");
    assert_eq!(results.len(), 264);
    for result in results {
        assert_eq!(
            result["structuredContent"]["data"]["stdout"], "content\n",
            "{result}"
        );
    }
}
