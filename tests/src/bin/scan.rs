//! Looks through what a run of the suites left for the secrets it made.
//!
//! `scan DIR [--whole]`: with `--whole` the run must have made every kind of
//! secret and left every kind of file, because a scan of nothing proves nothing.
//!
//! Invariant: a secret is named by its kind and place, never printed. The search
//! itself is `secrets`'s.

use std::path::PathBuf;
use std::process::ExitCode;

use openshell_tests::secrets::{Run, scan};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(dir) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: scan DIR [--whole]");
        return ExitCode::from(2);
    };
    let whole = arguments.next().is_some_and(|word| word == "--whole");
    match scan(&Run::at(&dir)) {
        Ok(report) => {
            println!("{report}");
            let missing = if whole { report.missing() } else { Vec::new() };
            for what in &missing {
                println!("  the run left too little to prove anything: {what}");
            }
            if report.hits.is_empty() && missing.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("error: the run cannot be looked through: {error}");
            ExitCode::FAILURE
        }
    }
}
