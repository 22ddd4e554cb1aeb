//! `remote_stat`: metadata of one file, with where its links lead.
//!
//! Invariant: one request gives the facts of the name itself and of what it leads
//! to. No content is read, not even for a hash.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::report::Report;
use super::{Definition, list_dir, path_property, schema, servers_property};
use crate::bindings::openshell::host::effects::{self, Action, Operation};

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_stat",
        description: "Metadata of one file: type, size, mode, mtime, owner, symlink target, \
                      resolvedPath.",
        parameters: schema(
            json!({
                "server": servers_property(),
                "path": path_property(),
            }),
            &["server", "path"],
        ),
        read_only: true,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    let path = arguments.path("path")?;

    let action = Action::open(&server)?;
    let permit = action.permit(&Operation::Stat(path))?;
    let result = effects::stat(permit)?;

    let mut data = list_dir::describe(&result.info, "path");
    data.insert("uid".to_owned(), json!(result.info.uid));
    data.insert("gid".to_owned(), json!(result.info.gid));
    data.insert("resolvedPath".to_owned(), json!(result.resolved));
    let message = result
        .resolved
        .is_none()
        .then(|| "The symbolic link leads nowhere.".to_owned());
    Ok(Report::data(Value::Object(data)).with_message(message))
}
