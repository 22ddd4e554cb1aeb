//! The eight tools: one file each for its schema, its arguments and its steps.
//!
//! Every tool that works on a server follows the same pipeline: check the arguments,
//! open an action, ask for a permit, spend it on the effect, report. `list_servers` and
//! what is read from `@local` open none. Invariant: the host judges every request and
//! states what was executed and recorded; a tool does neither. Where `find` asks the
//! policy, it leaves files out of its own search and lets nothing in.

mod arguments;
mod exec;
mod find;
mod list_dir;
mod list_servers;
mod patch;
mod patch_file;
mod read_file;
mod report;
mod stat;
mod text;
mod write_file;

use serde_json::{Value, json};

use arguments::Arguments;
use report::Report;

/// A tool as it is offered to a model.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Name the model calls it by.
    pub name: &'static str,
    /// What it does, in the model's terms.
    pub description: &'static str,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// Whether no call of it can change a server.
    pub read_only: bool,
}

/// One tool: its definition and what a call does.
struct Tool {
    definition: fn() -> Definition,
    call: fn(Arguments) -> Result<Report, Report>,
}

const TOOLS: [Tool; 8] = [
    Tool {
        definition: list_servers::definition,
        call: list_servers::call,
    },
    Tool {
        definition: exec::definition,
        call: exec::call,
    },
    Tool {
        definition: read_file::definition,
        call: read_file::call,
    },
    Tool {
        definition: write_file::definition,
        call: write_file::call,
    },
    Tool {
        definition: patch_file::definition,
        call: patch_file::call,
    },
    Tool {
        definition: list_dir::definition,
        call: list_dir::call,
    },
    Tool {
        definition: stat::definition,
        call: stat::call,
    },
    Tool {
        definition: find::definition,
        call: find::call,
    },
];

/// Lists the tools in the order they are offered.
pub fn definitions() -> Vec<Definition> {
    TOOLS.iter().map(|tool| (tool.definition)()).collect()
}

/// Runs one tool; `arguments` is the text of a JSON object.
pub(crate) fn call(name: &str, arguments: &str) -> Report {
    let Some(tool) = TOOLS.iter().find(|tool| (tool.definition)().name == name) else {
        let names: Vec<_> = definitions().iter().map(|tool| tool.name).collect();
        return Report::error(
            "INVALID_ARGUMENT",
            format!("There is no tool {}.", text::quoted(name)),
            format!("The tools are {}.", names.join(", ")),
        );
    };
    let schema = (tool.definition)().parameters;
    Arguments::parse(arguments, &schema)
        .and_then(tool.call)
        .unwrap_or_else(|report| report)
}

/// The schema of a tool's arguments from its properties and required names.
fn schema(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The `server` property of a tool that works on exactly one.
fn server_property() -> Value {
    json!({"type": "string"})
}

/// The `server` property of a tool that can work on several: an id, a list of ids,
/// or `label:NAME`. The host takes a call on several apart into one call for each
/// server, so a tool sees a single id whatever the caller wrote.
fn servers_property() -> Value {
    json!({"type": ["string", "array"], "items": {"type": "string"}})
}

/// The `path` property.
fn path_property() -> Value {
    json!({"type": "string", "description": "Absolute path"})
}

/// The `sudo` property of the tools that write; the name says what it does.
fn sudo_property() -> Value {
    json!({"type": "boolean"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_name_every_required_property() {
        for tool in definitions() {
            let properties = tool.parameters["properties"].as_object().expect("object");
            let required = tool.parameters["required"].as_array().expect("array");
            for name in required {
                let name = name.as_str().expect("string");
                assert!(properties.contains_key(name), "{}: {name}", tool.name);
            }
        }
    }

    #[test]
    fn the_offer_is_small_enough_for_a_prompt() {
        let bytes: usize = definitions()
            .iter()
            .map(|tool| {
                json!({
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": tool.parameters,
                })
                .to_string()
                .len()
            })
            .sum();
        assert!(bytes <= 4096, "{bytes} bytes");
    }

    #[test]
    fn an_unknown_tool_is_named() {
        let report = call("remote_reboot", "{}");
        assert_eq!(report.code.as_deref(), Some("INVALID_ARGUMENT"));
        assert!(report.message.expect("message").contains("remote_reboot"));
        let report = call(&"x".repeat(100_000), "{}");
        assert!(report.message.expect("message").len() < 300);
    }
}
