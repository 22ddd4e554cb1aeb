//! `openshell audit`: what was asked, judged, answered and done.
//!
//! Invariant: `show` prints every record of an action and writes none. What a
//! record means is not judged here; each sub-verb with more than a few lines has a
//! file of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use openshell_host::approvals::escape_text;
use openshell_host::journal::{Entry, Filter, Journal, Record};

use super::audit_export::{self, ExportArgs};
use super::audit_list::{self, ListArgs};
use super::audit_tail::{self, TailArgs};
use super::audit_unknown::{self, SettleArgs};
use super::audit_verify;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List the latest records
    List(ListArgs),
    /// Show every record of an action, or one record by its number
    Show {
        /// Action id (a ULID) or sequence number
        id: String,
    },
    /// Show the latest records, and new ones as they are written
    Tail(TailArgs),
    /// Check that no byte of the journal was changed or is missing
    Verify {
        /// Check a file made by `audit export` instead
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
    },
    /// Write records to a file that can be checked elsewhere
    Export(ExportArgs),
    /// List changes of which nobody knows whether they happened
    Unknown,
    /// Say what became of a change whose outcome is unknown
    Settle(SettleArgs),
}

pub(crate) fn run(command: AuditCommand, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    match command {
        AuditCommand::List(args) => audit_list::run(args, context, ui),
        AuditCommand::Show { id } => show(&id, context, ui),
        AuditCommand::Tail(args) => audit_tail::run(args, context, ui),
        AuditCommand::Verify { export: None } => audit_verify::journal(context, ui),
        AuditCommand::Verify { export: Some(file) } => audit_verify::export(&file, ui),
        AuditCommand::Export(args) => audit_export::run(args, context, ui),
        AuditCommand::Unknown => audit_unknown::list(context, ui),
        AuditCommand::Settle(args) => audit_unknown::settle(args, context, ui),
    }
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
            ui.line(&escape_text(&text));
        }
    }
    Ok(ExitCode::SUCCESS)
}
