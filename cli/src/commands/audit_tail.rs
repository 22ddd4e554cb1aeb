//! `openshell audit tail`: the record as it grows, until it is interrupted.
//!
//! Invariant: no record is shown twice or left out between the first ones and those
//! that come later. It waits by looking again, and holds no lock while it does.

use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use openshell_host::journal::{Filter, Journal, Record};

use super::audit_list::{FilterArgs, line};
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Pause between two looks at the journal.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many of the records there are to begin with, the latest ones
    #[arg(short = 'n', long = "lines", default_value_t = 10)]
    lines: usize,
}

pub(crate) fn run(args: TailArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let dir = context.paths().audit_dir();
    let filter = args.filter.filter();
    // Whatever comes between the two is part of the second.
    let last = Journal::read(
        &dir,
        Filter {
            latest: Some(1),
            ..Filter::default()
        },
    )?
    .next()
    .transpose()?
    .map_or(0, |record| record.entry.seq);
    let latest = Filter {
        latest: Some(args.lines),
        ..filter.clone()
    };
    for record in Journal::read(&dir, latest)? {
        let record = record?;
        if record.entry.seq <= last && !show(&record, ui) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    while !dir.exists() {
        thread::sleep(PAUSE);
    }
    let mut tail = Journal::tail(&dir, last, filter)?;
    loop {
        for record in tail.next_records()? {
            if !show(&record, ui) {
                return Ok(ExitCode::SUCCESS);
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Writes one record at once; false when nobody reads any more.
fn show(record: &Record, ui: Ui) -> bool {
    let text = if ui.json {
        serde_json::to_string(&record.entry).unwrap_or_default()
    } else {
        line(&record.entry)
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}
