//! `openshell audit export`: records in a file that can be checked elsewhere.
//!
//! Invariant: a file that is there already is never written over, and what is said
//! of an export is no more than its extent proves. It signs nothing.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use openshell_host::journal::{Extent, Filter, Journal};

use super::audit_list::FilterArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only from this record on, by its number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// File to write, which must not be there yet; default: standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: ExportArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let dir = context.paths().audit_dir();
    let filter = Filter {
        from_seq: args.from,
        ..args.filter.filter()
    };
    let extent = match &args.output {
        None => Journal::export(&dir, filter, &mut BufWriter::new(std::io::stdout().lock()))?,
        Some(path) => {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(|error| {
                    CliError::failed(format!("{} cannot be made: {error}", path.display()))
                })?;
            let mut out = BufWriter::new(file);
            let extent = Journal::export(&dir, filter, &mut out)?;
            out.flush()?;
            if ui.json {
                ui.value(&extent);
            }
            extent
        }
    };
    ui.note(&format!(
        "{} records, {} to {}. {}",
        extent.records,
        extent.first_seq,
        extent.last_seq,
        proves(&extent)
    ));
    Ok(ExitCode::SUCCESS)
}

/// What an export that checks says about the journal, and what it cannot say.
pub(crate) fn proves(extent: &Extent) -> String {
    if extent.records == 0 {
        return "It holds no record and proves nothing.".to_owned();
    }
    if extent.contiguous {
        format!(
            "It proves that none of them was changed, left out, added or moved, if record {} has \
             the hash {} in the journal or where that was kept.",
            extent.last_seq, extent.last_hash
        )
    } else {
        "Records were left out by the filter, so it proves of each record only that it fits its \
         own hash, and of neighbours that they are; not that nothing else matched. Compare the \
         hashes with the journal, or export the whole range."
            .to_owned()
    }
}
