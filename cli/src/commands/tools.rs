//! `openshell tools`: what an agent gets to see.
//!
//! Invariant: what is printed is what the component says of itself, so the
//! adapter's copy can be held against it. Nothing is added for people.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{BOLD, Ui};

pub(crate) fn run(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let supervisor = context.supervisor()?;
    let definitions = context
        .runtime()
        .block_on(supervisor.engine().definitions())?;
    if ui.json {
        let tools: Result<Vec<Value>, serde_json::Error> = definitions
            .iter()
            .map(|tool| {
                Ok(json!({
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": serde_json::from_str::<Value>(&tool.parameters)?,
                    "readOnly": tool.read_only,
                }))
            })
            .collect();
        ui.value(&tools.map_err(CliError::internal)?);
    } else {
        for tool in definitions {
            ui.line(&format!(
                "{BOLD}{}{BOLD:#}\n  {}",
                tool.name, tool.description
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
