//! The differential fuzzer of the command policy.
//!
//! It generates command lines, runs the ones the policy allows in a throw-away root
//! exactly as the product would, and looks for anything an inspection does not do:
//! a changed file, a process left behind, a started program, a call that sets
//! something, a secret shown, a command that does not end. The seed and a number
//! decide each command, so a finding can be had again. Invariant: a finding makes
//! it fail, and where it cannot run at all it says what is missing. It deliberately
//! knows no command by name, but for the harmless habits listed in `quirks`.

mod attempt;
mod deeds;
mod findings;
mod inside;
mod names;
mod options;
mod quirks;
mod report;
mod sandbox;
mod tree;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use openshell_tests::Generator;

use crate::attempt::Attempts;
use crate::options::{Options, Task};
use crate::report::Report;
use crate::sandbox::{SYSTEM_PATH, Sandbox};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let task = match options::read(&words) {
        Ok(task) => task,
        Err(message) => {
            eprintln!("error: {message}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Run(options) => fuzz(&options),
        Task::Generate { seed, count } => {
            let generator = Generator::new(seed);
            for n in 0..count {
                println!("{}", serde_json::Value::from(generator.command(n)));
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Inside => inside::serve()
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| format!("inside the sandbox: {error}")),
    };
    done.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        ExitCode::FAILURE
    })
}

/// What is missing for a sandbox.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root, to make namespaces and mounts".to_owned());
    }
    for tool in ["unshare", "strace", "busybox", "setpriv", "chroot", "mount"] {
        let found = SYSTEM_PATH
            .split(':')
            .any(|directory| Path::new(directory).join(tool).exists());
        if !found {
            return Some(format!("{tool} is not installed"));
        }
    }
    let namespaces = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--fork"])
        .arg("true")
        .status();
    match namespaces {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("unshare ended with {status}")),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

fn fuzz(options: &Options) -> Result<ExitCode, String> {
    if let Some(why) = missing() {
        println!("skipped: no sandbox: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    let start = || {
        Sandbox::start(options.programs.as_deref()).map_err(|error| format!("the sandbox: {error}"))
    };
    deeds::are_seen(&mut start()?).map_err(|why| format!("the sandbox is blind: {why}"))?;
    println!("seed {}", options.seed);
    if !options.planted.is_empty() {
        println!("planted: anything by {}", options.planted.join(", "));
    }
    let mut report = Report::new(options);
    for planted in parts(options) {
        let mut attempts = Attempts::new(start()?, planted, options.patience);
        for (n, text) in commands(options, planted) {
            let outcome = attempts
                .attempt(n.unwrap_or_default(), &text)
                .map_err(|error| format!("{}: {error}", serde_json::Value::from(text.as_str())))?;
            let found = report.note(n, &text, planted, outcome);
            if found && options.until_found {
                break;
            }
            if found {
                // What it did may hide what others do.
                attempts.renew(start()?);
            }
        }
    }
    Ok(if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The planted programs, together or, where the first finding of each is wanted, one
/// after the other.
fn parts(options: &Options) -> Vec<&[String]> {
    if options.until_found && !options.planted.is_empty() {
        options.planted.chunks(1).collect()
    } else {
        vec![&options.planted]
    }
}

/// The commands to try, with their numbers where a seed made them.
fn commands<'a>(
    options: &'a Options,
    planted: &'a [String],
) -> Box<dyn Iterator<Item = (Option<u64>, String)> + 'a> {
    if let Some(text) = &options.command {
        return Box::new(std::iter::once((None, text.clone())));
    }
    let planted: Vec<&str> = planted.iter().map(String::as_str).collect();
    let generator = if planted.is_empty() {
        Generator::new(options.seed)
    } else {
        Generator::only(options.seed, &planted)
    };
    if let Some(n) = options.only {
        return Box::new(std::iter::once((Some(n), generator.command(n))));
    }
    // A long run starts with what people type; a short one has no time for it.
    let known = if options.starts_with_known() {
        generator.everyday()
    } else {
        Vec::new()
    };
    let started = Instant::now();
    let (time, most) = (options.time, options.commands);
    let goes_on = move |n: &u64| match most {
        Some(most) => *n < most,
        None => started.elapsed() < time,
    };
    let made = (0..)
        .take_while(goes_on)
        .map(move |n| (Some(n), generator.command(n)));
    Box::new(known.into_iter().map(|text| (None, text)).chain(made))
}
