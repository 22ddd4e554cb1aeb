//! The tools as MCP lists them: the component's definitions with annotations.
//!
//! A listing is part of every prompt, and annotations make it longer, so whatever
//! says nothing to a model is left out. Nothing gets lost by it: the component
//! checks the arguments by its whole schema and says what is wrong with them.
//! Invariant: names and types are the component's own; an annotation never makes a
//! tool look safer than its definition. Rules are not enforced by annotations.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;

use crate::engine::contract::Definition;

/// Descriptions of properties, and what is left of them here: `encoding` speaks
/// for itself beside the tool's own description.
const SHORTER: [(&str, Option<&str>); 4] = [
    ("Of content", None),
    ("Absolute path", Some("Absolute")),
    (
        "Absolute; default: login directory",
        Some("Absolute; default: home"),
    ),
    ("First byte, default 0", Some("Default 0")),
];

/// A tool as it is listed.
pub(super) fn tool(definition: &Definition) -> Tool {
    let mut schema: JsonObject = serde_json::from_str(&definition.parameters).unwrap_or_default();
    schema.remove("additionalProperties");
    if schema
        .get("required")
        .and_then(|names| names.as_array())
        .is_some_and(Vec::is_empty)
    {
        schema.remove("required");
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(JsonObject::values_mut) {
        if let Some(property) = property.as_object_mut() {
            shorten(property);
        }
    }
    Tool::new(
        definition.name.clone(),
        definition.description.clone(),
        Arc::new(schema),
    )
    .with_annotations(annotations(definition))
}

fn shorten(property: &mut JsonObject) {
    // A number that is too large is refused, and told the largest.
    property.remove("maximum");
    let described = property.get("description").and_then(Value::as_str);
    let Some((_, shorter)) = SHORTER.iter().find(|(whole, _)| described == Some(*whole)) else {
        return;
    };
    match shorter {
        Some(text) => property.insert("description".to_owned(), Value::from(*text)),
        None => property.remove("description"),
    };
}

/// Hints for a client's own rules. Whether a tool changes something and destroys
/// by it is said of each that it concerns; the other two only where they are not
/// what clients assume (a repetition does more, a server is the open world).
fn annotations(definition: &Definition) -> ToolAnnotations {
    let hints = ToolAnnotations::new().read_only(definition.read_only);
    match definition.name.as_str() {
        // What a server holds is the open world; the list of servers is ours.
        "list_servers" => hints.open_world(false),
        // Writing what is there already changes nothing.
        "remote_write_file" => hints.destructive(true).idempotent(true),
        _ if definition.read_only => hints,
        _ => hints.destructive(true),
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::ListToolsResult;

    use super::*;
    use crate::engine::Engine;

    /// Everything a client gets for `tools/list`, in bytes.
    const BUDGET: usize = 4_096;

    fn offered() -> Vec<Tool> {
        let engine = Engine::embedded().expect("the component is embedded");
        let definitions = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(engine.definitions())
            .expect("the component lists its tools");
        definitions.iter().map(tool).collect()
    }

    #[test]
    fn the_listing_is_small_enough_for_a_prompt() {
        let result = ListToolsResult::with_all_items(offered())
            .with_ttl_ms(0)
            .with_cache_scope(rmcp::model::CacheScope::Private);
        let bytes = serde_json::to_string(&result).expect("it is JSON").len();
        assert!(bytes <= BUDGET, "{bytes} bytes");
    }

    #[test]
    fn hints_say_what_a_tool_can_do() {
        let tools = offered();
        assert_eq!(tools.len(), 8);
        for tool in tools {
            let hints = tool.annotations.expect("every tool has them");
            let changes = ["remote_exec", "remote_write_file", "remote_patch_file"];
            let changes = changes.contains(&&*tool.name);
            assert_eq!(hints.read_only_hint, Some(!changes), "{}", tool.name);
            assert_eq!(hints.destructive_hint, changes.then_some(true));
            assert_eq!(hints.is_idempotent(), tool.name == "remote_write_file");
            assert_eq!(
                hints.open_world_hint.unwrap_or(true),
                tool.name != "list_servers"
            );
            assert_eq!(tool.input_schema["type"], "object");
        }
    }
}
