//! `remote_patch_file`: applies a unified diff to a file.
//!
//! Invariant: the patch is applied here, to the content the server returned, and
//! the write is bound to that content's hash: if the file changes in between,
//! nothing is written. How a hunk is placed is not decided here.

use serde_json::json;

use super::arguments::Arguments;
use super::patch::{self, Patched};
use super::report::Report;
use super::write_file::{CONTENT_MAX, describe};
use super::{Definition, path_property, schema, server_property, sudo_property};
use crate::bindings::openshell::host::effects::{
    self, Action, Base, Operation, ReadSpec, WriteSpec,
};
use crate::bindings::openshell::host::types::FailureCode;

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_patch_file",
        description: "Change one file by a unified diff; the person decides. If a hunk does not \
                      fit, nothing is written and the hunk is named.",
        parameters: schema(
            json!({
                "server": server_property(),
                "path": path_property(),
                "patch": {"type": "string", "description": "@@ -line,count +line,count @@ hunks with context lines"},
                "sudo": sudo_property(),
            }),
            &["server", "path", "patch"],
        ),
        read_only: false,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    let path = arguments.path("path")?;
    let text = arguments.string("patch")?;
    let sudo = arguments.flag("sudo")?;
    let parsed = patch::parse(&text)?;

    let action = Action::open(&server)?;
    let permit = action.permit(&Operation::Read(ReadSpec {
        path: path.clone(),
        offset: 0,
        length: CONTENT_MAX as u32,
        sudo,
    }))?;
    let (base, original) = match effects::read(permit) {
        Ok(content) => match content.sha256 {
            Some(sha256) => (Base::Sha256(sha256), content.bytes),
            None => {
                return Err(Report::error(
                    "TOO_LARGE",
                    format!(
                        "{path} has {} bytes; files up to {CONTENT_MAX} bytes can be patched.",
                        content.total_size
                    ),
                    "Change it with a command through remote_exec.",
                ));
            }
        },
        Err(failure) if failure.code == FailureCode::FileNotFound && parsed.creates() => {
            (Base::Absent, Vec::new())
        }
        Err(failure) => return Err(failure.into()),
    };
    let Patched { content, remark } = parsed.apply(&path, &original)?;
    let permit = action.permit(&Operation::Write(WriteSpec {
        path: path.clone(),
        content,
        mode: None,
        base,
        sudo,
    }))?;
    let mut report = describe(&path, effects::write(permit)?);
    report.message = report.message.or(remark);
    Ok(report)
}
