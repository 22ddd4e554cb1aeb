//! The tools as MCP lists them: the component's definitions with annotations.
//!
//! A listing is part of every prompt, so it is kept small: what says nothing to
//! a model is left out. That the arguments may have no other properties is one
//! such thing: the component checks them by the whole schema and says so.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};

use crate::engine::contract::Definition;

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
    Tool::new(
        definition.name.clone(),
        definition.description.clone(),
        Arc::new(schema),
    )
    .with_annotations(annotations(definition))
}

/// Hints for a client's own rules. Whether a change destroys or can be repeated
/// has a meaning only for what changes something, so it is said only there.
fn annotations(definition: &Definition) -> ToolAnnotations {
    if definition.read_only {
        // What a server holds is the open world; the list of servers is ours.
        return ToolAnnotations::new()
            .read_only(true)
            .open_world(definition.name != "list_servers");
    }
    ToolAnnotations::new()
        .read_only(false)
        .destructive(true)
        // Writing what is there already changes nothing.
        .idempotent(definition.name == "remote_write_file")
        .open_world(true)
}
