//! `remote_list_dir`: names and metadata of a directory, or of a tree.
//!
//! Invariant: what was left out, by a limit or for want of a right, is said in the
//! result. Content is not read.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::report::Report;
use super::{Definition, path_property, schema, servers_property, text};
use crate::bindings::openshell::host::effects::{
    self, Action, FileInfo, FileKind, Operation, WalkSpec,
};

/// Entries returned by default and at most.
const LIMIT_DEFAULT: u64 = 500;
const LIMIT_MAX: u64 = 10_000;

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_list_dir",
        description: "List a directory: name, type, size, mode, mtime, owner; recursive: the \
                      whole tree, never through symlinks.",
        parameters: schema(
            json!({
                "server": servers_property(),
                "path": path_property(),
                "recursive": {"type": "boolean"},
                "limit": {
                    "type": "integer", "maximum": LIMIT_MAX,
                    "description": "Entries, default 500",
                },
            }),
            &["server", "path"],
        ),
        read_only: true,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    let path = arguments.path("path")?;
    let recursive = arguments.flag("recursive")?;
    let limit = arguments.number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)?;

    let action = Action::open(&server)?;
    let permit = action.permit(&Operation::Walk(WalkSpec {
        path: path.clone(),
        recursive,
        limit: limit as u32,
    }))?;
    let listing = effects::walk(permit)?;

    let entries: Vec<Value> = listing
        .entries
        .iter()
        .map(|info| Value::Object(describe(info, "name")))
        .collect();
    let mut data = json!({
        "path": path,
        "count": entries.len(),
        "truncated": listing.cut,
        "entries": entries,
    });
    if !listing.unreadable.is_empty() {
        data["unreadable"] = unreadable(&listing.unreadable);
    }
    let message = listing.cut.then(|| {
        format!("The listing was cut at {limit} entries; raise `limit` or list a subdirectory.")
    });
    Ok(Report::data(data).with_message(message))
}

/// The metadata of one file; `name` is the key its path goes under.
pub(super) fn describe(info: &FileInfo, name: &str) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert(name.to_owned(), json!(info.path));
    entry.insert(
        "type".to_owned(),
        json!(match info.kind {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::Other => "other",
        }),
    );
    entry.insert("size".to_owned(), json!(info.size));
    entry.insert("mode".to_owned(), json!(text::mode(info.mode)));
    entry.insert("mtime".to_owned(), json!(text::time(info.mtime)));
    entry.insert(
        "owner".to_owned(),
        info.owner
            .as_ref()
            .map_or_else(|| json!(info.uid), |name| json!(name)),
    );
    entry.insert(
        "group".to_owned(),
        info.group
            .as_ref()
            .map_or_else(|| json!(info.gid), |name| json!(name)),
    );
    if let Some(target) = &info.target {
        entry.insert("target".to_owned(), json!(target));
    }
    entry
}

/// Directories that could not be read.
pub(super) fn unreadable(list: &[(String, String)]) -> Value {
    list.iter()
        .map(|(path, reason)| json!({"path": path, "reason": reason}))
        .collect()
}
