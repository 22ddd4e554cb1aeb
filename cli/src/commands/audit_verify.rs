//! `openshell audit verify`: the journal, or what was exported from it.
//!
//! Invariant: exit code 0 means that every byte was as it was written; the first
//! fault is named by file and line. It repairs nothing.

use std::path::Path;
use std::process::ExitCode;

use openshell_host::approvals::escape_line;
use openshell_host::journal::Journal;
use serde_json::json;

use super::audit_export::proves;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{GREEN, RED, Ui};

/// Checks a file made by `audit export`.
pub(crate) fn export(file: &Path, ui: Ui) -> Result<ExitCode, CliError> {
    let checked = Journal::check_export(file)?;
    if ui.json {
        ui.value(&json!({
            "status": if checked.broken.is_none() { "ok" } else { "error" },
            "extent": checked.extent,
            "proves": checked.extent.as_ref().map(proves),
            "broken": checked.broken.as_ref().map(|(line, what)| json!({
                "file": file,
                "line": line,
                "what": what,
            })),
        }));
    } else if let Some((line, what)) = &checked.broken {
        let file = file.display();
        let what = escape_line(what);
        ui.line(&format!("{RED}broken{RED:#}: {file} line {line}: {what}"));
    }
    let Some(extent) = checked.extent.filter(|_| checked.broken.is_none()) else {
        return Ok(ExitCode::FAILURE);
    };
    if !ui.json {
        ui.line(&format!(
            "{GREEN}ok{GREEN:#}: {} records, {} to {}. {}",
            extent.records,
            extent.first_seq,
            extent.last_seq,
            proves(&extent)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks the journal.
pub(crate) fn journal(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let verified = Journal::verify(&context.paths().audit_dir())?;
    let broken = verified.broken.as_ref();
    if ui.json {
        ui.value(&json!({
            "status": if broken.is_none() { "ok" } else { "error" },
            "records": verified.records,
            "segments": verified.segments,
            "torn": verified.torn,
            "tornEnd": verified.torn_end,
            "lastSeq": verified.last_seq,
            "lastHash": verified.last_hash,
            "broken": broken.map(|broken| json!({
                "file": broken.file,
                "line": broken.line,
                "what": broken.what,
            })),
        }));
    } else if let Some(broken) = broken {
        ui.line(&format!(
            "{RED}broken{RED:#}: {} line {}: {}",
            broken.file.display(),
            broken.line,
            escape_line(&broken.what)
        ));
        ui.note(&format!(
            "{} records before it are as they were written.",
            verified.records
        ));
    } else {
        ui.line(&format!(
            "{GREEN}ok{GREEN:#}: {} records in {} files, every byte as it was written.",
            verified.records, verified.segments
        ));
        if verified.torn > 0 {
            ui.note(&format!(
                "{} torn lines are accounted for: a process died while it wrote them.",
                verified.torn
            ));
        }
        if verified.torn_end {
            ui.note(
                "The end is torn: a process died while it wrote there. Nothing that was \
                 acknowledged is missing, and the next call accounts for it.",
            );
        }
        ui.note(&format!(
            "The last record is {} {}.",
            verified.last_seq, verified.last_hash
        ));
    }
    Ok(if broken.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
