//! `remote_write_file`: creates or replaces a file.
//!
//! Invariant: content is given as text or as base64, and never both ways in one
//! write. Comparing, asking and keeping the state before are not done by the guest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::arguments::{Arguments, invalid};
use super::report::Report;
use super::{Definition, path_property, schema, server_property, sudo_property, text};
use crate::bindings::openshell::host::effects::{
    self, Action, Base, Operation, WriteSpec, Written,
};

/// Largest content, in bytes; the snapshot store keeps what is replaced.
pub(super) const CONTENT_MAX: usize = 32 * 1024 * 1024;

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_write_file",
        description: "Create or replace a file; the person sees a diff and decides. For \
                      small changes prefer remote_patch_file.",
        parameters: schema(
            json!({
                "server": server_property(),
                "path": path_property(),
                "content": {"type": "string"},
                "mode": {"type": "string", "description": "Octal like \"0640\"; default: kept, 0644 if new"},
                "encoding": {"enum": ["utf-8", "base64"], "description": "Of content"},
                "sudo": sudo_property(),
            }),
            &["server", "path", "content"],
        ),
        read_only: false,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    let path = arguments.path("path")?;
    let content = arguments.string("content")?;
    let mode = arguments.mode("mode")?;
    let sudo = arguments.flag("sudo")?;
    let content = match arguments.choice("encoding", &["utf-8", "base64"])? {
        "base64" => STANDARD
            .decode(content.trim_ascii())
            .map_err(|error| invalid("content", &format!("base64 (RFC 4648; {error})"), None))?,
        _ => content.into_bytes(),
    };
    if content.len() > CONTENT_MAX {
        return Err(Report::error(
            "INVALID_ARGUMENT",
            format!(
                "Argument `content` must be at most {CONTENT_MAX} bytes; got {}.",
                content.len()
            ),
            "Split the file, or have it fetched on the server with remote_exec.",
        ));
    }

    let action = Action::open(&server)?;
    let permit = action.permit(&Operation::Write(WriteSpec {
        path: path.clone(),
        content,
        mode,
        base: Base::Current,
        sudo,
    }))?;
    Ok(describe(&path, effects::write(permit)?))
}

/// What a write did, for both tools that write.
pub(super) fn describe(path: &str, written: Written) -> Report {
    let mut data = Map::new();
    data.insert("path".to_owned(), json!(path));
    if written.resolved != path {
        data.insert("resolvedPath".to_owned(), json!(written.resolved));
    }
    data.insert("created".to_owned(), json!(written.created));
    if written.unchanged {
        data.insert("unchanged".to_owned(), json!(true));
    }
    data.insert("bytes".to_owned(), json!(written.bytes));
    data.insert("mode".to_owned(), json!(text::mode(written.mode)));
    data.insert("sha256".to_owned(), json!(written.sha256));
    if let Some(previous) = written.previous_sha256 {
        data.insert("previousSha256".to_owned(), json!(previous));
    }
    data.insert("atomic".to_owned(), json!(written.atomic));
    if let Some(diff) = written.diff {
        data.insert("diff".to_owned(), json!(diff));
    }
    Report::data(Value::Object(data)).with_message(written.note)
}
