//! Everything a contributor runs: `cargo xtask demo|test|bench|faults|fuzz|docs|dist|lint`.
//!
//! Invariant: each task does the set-up it needs, says what it does, and says
//! exactly what to run where it may not do it itself. Nothing outside the
//! workspace is changed but by package managers, and by those only where they
//! are named here. `test` and the suites work in temporary folders of their own, which
//! are kept where something failed.

mod dist;
mod faults;
mod fuzz;
mod setup;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask demo            set up what the demo needs and run it
cargo xtask test [FILTER…]  set up what the tests need and run every test
cargo xtask bench           measure everything beside what people use instead, and write
                            docs/benchmarks.md and its chart
cargo xtask bench calls|files|crowd|stores|verdicts
                            measure one part, and write nothing
cargo xtask bench journal   measure what a journal of a million events costs
cargo xtask faults [--long] kill, cut, fill and crowd it, and print what broke
cargo xtask bench snapshots measure what keeping a state costs, beside git
cargo xtask fuzz policy [--minutes N] [--seed S]
                            run what the policy allows in a sandbox and look for effects
cargo xtask docs            write the pages that come from tables
cargo xtask dist [--out DIR] [--binary FILE] | --list
                            make the npm packages and the archive of this platform
cargo xtask lint            formatting and clippy, as CI runs them";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match task.as_str() {
        "demo" => demo(&rest),
        "test" => test(&rest),
        "bench" => bench(&rest),
        "faults" => faults::faults(&rest),
        "fuzz" => fuzz::fuzz(&rest),
        "docs" => docs(),
        "dist" => dist::dist(&rest),
        "lint" => lint(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Root of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo builds: this program lies in a folder of it.
fn target() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|xtask| xtask.parent()?.parent().map(Path::to_path_buf))
        .unwrap_or_else(|| workspace().join("target"))
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // What the outer cargo says about xtask itself: some build scripts watch it,
    // and would run anew at each change between this and a plain `cargo build`.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if ours {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command and fails when it does.
fn run(command: &mut Command) -> Result<(), String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(std::ffi::OsStr::to_string_lossy).collect();
    let shown = words.join(" ");
    let status = command
        .status()
        .map_err(|error| format!("{shown} could not be run: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown} ended with {status}"))
    }
}

fn demo(rest: &[String]) -> Result<(), String> {
    setup::wasm_target()?;
    run(cargo()
        .args(["run", "--quiet", "--package", "openshell", "--", "demo"])
        .args(rest))
}

fn test(filters: &[String]) -> Result<(), String> {
    setup::wasm_target()?;
    setup::debian_packages();
    let opencode = setup::opencode()?;
    setup::mcp_sdks();
    setup::report(opencode.as_deref());
    run(cargo().args(["build", "--package", "openshell"]))?;
    faults::build()?;
    let nextest = cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let mut command = cargo();
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        command.args(["test", "--workspace", "--no-fail-fast", "--"]);
    }
    let left = Left::new()?;
    let tested = run(command.args(filters).env("OPENSHELL_TEST_RUN", &left.0));
    // Also after a failure: a secret that leaked is the worse news.
    let scanned = left.scan(filters.is_empty());
    tested.and(scanned)
}

/// The program that looks for secrets. The suites were built with it; asking cargo for
/// it alone would compile its dependencies anew, with the features that it alone needs.
fn scanner() -> Command {
    let built = std::env::current_exe()
        .ok()
        .map(|xtask| xtask.with_file_name(format!("scan{}", std::env::consts::EXE_SUFFIX)))
        .filter(|scanner| scanner.exists());
    if let Some(built) = built {
        let mut command = Command::new(built);
        command.current_dir(workspace());
        return command;
    }
    let mut command = cargo();
    command
        .args(["run", "--quiet", "--package", "openshell-tests"])
        .args(["--bin", "scan", "--"]);
    command
}

/// What a run of the suites leaves, to be looked through for its secrets.
struct Left(PathBuf);

impl Left {
    /// A new directory. Accounts that tests make must be able to reach below it,
    /// and paths of sockets in it must be short.
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("openshell-run-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Looks for every secret in every file, and removes the files if there is
    /// none. After a whole run, too few of either is a failure as well.
    fn scan(self, whole: bool) -> Result<(), String> {
        let mut command = scanner();
        command.arg(&self.0);
        if whole {
            command.arg("--whole");
        }
        run(&mut command).map_err(|error| {
            format!(
                "{error}. A secret of the tests is where it must not be, or too little was looked \
                 through; everything is kept in {}",
                self.0.display()
            )
        })?;
        std::fs::remove_dir_all(&self.0).map_err(|error| format!("{}: {error}", self.0.display()))
    }
}

fn bench(rest: &[String]) -> Result<(), String> {
    setup::wasm_target()?;
    let built = target().join("release");
    let examples = built.join("examples");
    run(cargo()
        .args(["build", "--release", "--package", "openshell-host"])
        .args(["--example", "probe", "--example", "snapshots"])
        .args(["--example", "journal"]))?;
    if let Some((what @ ("journal" | "snapshots"), rest)) =
        rest.split_first().map(|(what, rest)| (what.as_str(), rest))
    {
        let program = examples.join(format!("{what}{}", std::env::consts::EXE_SUFFIX));
        return run(Command::new(program).current_dir(workspace()).args(rest));
    }
    setup::debian_packages();
    // By itself, as it is shipped.
    run(cargo().args(["build", "--release", "--package", "openshell"]))?;
    // What is measured has to be built for speed, not the program that times it.
    run(cargo()
        .args(["run", "--quiet", "--package", "openshell-tests"])
        .args(["--bin", "bench", "--", "--builds"])
        .arg(&built)
        .arg("--write")
        .arg(workspace().join("docs"))
        .args(rest))
}

fn docs() -> Result<(), String> {
    run(cargo().env("UPDATE", "1").args([
        "test",
        "--quiet",
        "--package",
        "openshell-plugin",
        "--lib",
        "the_page_is_current",
    ]))
}

fn lint() -> Result<(), String> {
    setup::wasm_target()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // What only the harness builds.
    run(cargo().args([
        "clippy",
        "--package",
        "openshell",
        "--features",
        "fault-points",
        "--",
        "-D",
        "warnings",
    ]))
}
