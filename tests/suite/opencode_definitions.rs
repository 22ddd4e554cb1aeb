//! What OpenCode offers the model is what the helper offers.
//!
//! It proves that the adapter's embedded list is the component's own. What a tool
//! does is not tried.

use openshell_tests::{Cli, adapter_dir};
use serde_json::Value;

#[test]
fn the_embedded_definitions_are_current() {
    let text = std::fs::read_to_string(adapter_dir().join("tools.json")).expect("a file of ours");
    let embedded: Value = serde_json::from_str(&text).expect("tools.json is JSON");
    let told = Cli::without_key().run(["tools", "--json"]);
    assert_eq!(told.status, 0, "{told:?}");
    assert_eq!(
        embedded,
        told.json(),
        "regenerate it: openshell tools --json | jq . > plugin/opencode/tools.json"
    );
}
