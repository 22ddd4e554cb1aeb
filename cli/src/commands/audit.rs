//! `openshell audit`: what was asked, judged, answered and done.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use openshell_host::approvals::escape_line;
use openshell_host::journal::{Entry, Filter, Journal, Record};
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{GREEN, RED, Ui};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List the latest records
    List(ListArgs),
    /// Show every record of an action, or one record by its number
    Show {
        /// Action id (a ULID) or sequence number
        id: String,
    },
    /// Check that no byte of the journal was changed or is missing
    Verify,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this server
    #[arg(long)]
    server: Option<String>,
    /// Only this tool
    #[arg(long)]
    tool: Option<String>,
    /// Only this client session
    #[arg(long)]
    session: Option<String>,
    /// How many records, the latest ones
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub(crate) fn run(command: AuditCommand, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    match command {
        AuditCommand::List(args) => list(args, context, ui),
        AuditCommand::Show { id } => show(&id, context, ui),
        AuditCommand::Verify => verify(context, ui),
    }
}

fn list(args: ListArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let filter = Filter {
        server: args.server,
        tool: args.tool,
        session: args.session,
        latest: Some(args.limit),
        ..Filter::default()
    };
    let records =
        Journal::read(&context.paths().audit_dir(), filter)?.collect::<Result<Vec<Record>, _>>()?;
    if ui.json {
        let entries: Vec<&Entry> = records.iter().map(|record| &record.entry).collect();
        ui.value(&entries);
    } else if records.is_empty() {
        ui.note("The journal is empty.");
    } else {
        let rows = records
            .iter()
            .map(|record| {
                let entry = &record.entry;
                [
                    entry.seq.to_string(),
                    entry.ts.clone(),
                    entry.event.as_str().to_owned(),
                    entry.server.clone().unwrap_or_default(),
                    entry.tool.clone().unwrap_or_default(),
                    shorten(&escape_line(&summary(entry))),
                ]
            })
            .collect();
        ui.table(["seq", "time", "event", "server", "tool", ""], rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// What a record says, in a few words.
fn summary(entry: &Entry) -> String {
    if let Some(outcome) = &entry.outcome {
        let code = outcome.code.as_deref().unwrap_or_default();
        let exit = outcome
            .exit_code
            .map(|code| format!(" exit {code}"))
            .unwrap_or_default();
        return format!("{} {code}{exit}", outcome.status);
    }
    if let Some(recovered) = &entry.recovered {
        return serde_json::to_value(recovered.result)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default();
    }
    if let Some(approval) = &entry.approval {
        return format!("{} by {}", approval.answer, approval.by);
    }
    if let Some(operation) = &entry.operation {
        let path = operation.path.as_deref().unwrap_or_default();
        return format!("{} {path}", operation.kind);
    }
    if let Some(arguments) = &entry.arguments {
        for name in ["command", "path"] {
            if let Some(text) = arguments[name].as_str() {
                return text.to_owned();
            }
        }
        return arguments.to_string();
    }
    entry.text.clone().unwrap_or_default()
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST - 1).collect();
    short.push('…');
    short
}

fn show(id: &str, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let dir = context.paths().audit_dir();
    let records: Vec<Record> = match id.parse::<u64>() {
        Ok(seq) => {
            let filter = Filter {
                from_seq: seq,
                ..Filter::default()
            };
            // Only one record has the number; reading on would cost for nothing.
            Journal::read(&dir, filter)?
                .next()
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .filter(|record| record.entry.seq == seq)
                .collect()
        }
        Err(_) => Journal::show(&dir, id)?,
    };
    if records.is_empty() {
        return Err(
            CliError::failed(format!("the journal has no action or record {id:?}"))
                .next("`openshell audit list` shows what there is."),
        );
    }
    if ui.json {
        let entries: Vec<&Entry> = records.iter().map(|record| &record.entry).collect();
        ui.value(&entries);
    } else {
        for record in &records {
            let text = serde_json::to_string_pretty(&record.entry).map_err(CliError::internal)?;
            ui.line(&openshell_host::approvals::escape_text(&text));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let verified = Journal::verify(&context.paths().audit_dir())?;
    let broken = verified.broken.as_ref();
    if ui.json {
        ui.value(&json!({
            "status": if broken.is_none() { "ok" } else { "error" },
            "records": verified.records,
            "segments": verified.segments,
            "torn": verified.torn,
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
