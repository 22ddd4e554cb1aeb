//! Measures the helper beside what people use instead, in one run, and prints
//! ratios: absolute numbers differ between machines.
//!
//! Without a part named it measures the whole table and, with `--write`, writes
//! the page and the chart from it.
//!
//! Invariant: no goal that is missed makes it fail: it measures and does not judge.

mod calls;
mod chart;
mod crowd;
mod delay;
mod files;
mod helper;
mod measure;
mod peers;
mod stores;
mod table;
mod verdicts;

use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

use openshell_tests::Sshd;

use crate::table::Table;

const USAGE: &str = "bench [calls|files|crowd|stores|verdicts] [--small] [--builds FOLDER] \
                     [--write FOLDER]";

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// What the lines say.
    Full,
    /// A part of it, to see that every line comes out; its numbers say nothing.
    Small,
}

impl Size {
    /// One of two numbers.
    pub(crate) fn of(self, full: usize, small: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Small => small,
        }
    }
}

fn main() -> ExitCode {
    let mut builds = workspace().join("target/release");
    let mut write = None;
    let mut part = None;
    let mut size = Size::Full;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "calls" | "files" | "crowd" | "stores" | "verdicts" => part = Some(word),
            "--small" => size = Size::Small,
            "--builds" => {
                builds = path::absolute(words.next().unwrap_or_default()).unwrap_or_default()
            }
            "--write" => write = words.next().map(PathBuf::from),
            _ => {
                eprintln!("error: {word:?} is not known here\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let helper = builds.join("openshell");
    let probe = builds.join("examples/probe");
    let snapshots = builds.join("examples/snapshots");
    for program in [&helper, &probe, &snapshots] {
        if !program.exists() {
            eprintln!("{} is missing: run `cargo xtask bench`", program.display());
            return ExitCode::FAILURE;
        }
    }
    let machine = machine();
    println!("{machine}");
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let mut table = Table::default();
    if wanted("calls") {
        table.lines(calls::LINES, |table| {
            calls::measure(table, &helper, &probe, size);
        });
    }
    if wanted("verdicts") {
        table.lines(verdicts::LINES, |table| verdicts::measure(table, &helper));
    }
    if part.as_deref() == Some("verdicts") {
        verdicts::print(&helper);
    }
    if wanted("files") {
        table.lines(files::LINES, |table| {
            files::measure(table, &helper, &probe, size);
        });
    }
    if wanted("stores") {
        table.lines(stores::LINES, |table| {
            stores::measure(table, &probe, &snapshots, size);
        });
    }
    if wanted("crowd") {
        table.lines(crowd::LINES, |table| crowd::measure(table, &helper, size));
    }
    // A part of the table, or of its sizes, is no table.
    let (Some(folder), None, Size::Full) = (write, part, size) else {
        return ExitCode::SUCCESS;
    };
    let written = std::fs::write(folder.join("benchmarks.md"), table.markdown(&machine))
        .and_then(|()| std::fs::write(folder.join("benchmarks.svg"), chart::svg(&table)));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// What it was measured on, in a line.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processor unknown", |(_, model)| model);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    format!(
        "{}, {cores} processors ({model}), shared by both sides; load {load} when it began.",
        Sshd::version()
    )
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
