//! Breaking openshell on purpose: builds a helper with fault points and runs the
//! harness against it.
//!
//! Invariant: the ordinary helper stays as it was; the other one has a name of its
//! own. What is broken is not known here.

use super::{cargo, run, setup};

/// What tells cargo to build the helper with fault points, beside the ordinary one.
const BUILD: [&str; 7] = [
    "build",
    "--package",
    "openshell",
    "--features",
    "fault-points",
    "--bin",
    "openshell-faults",
];

/// Builds the helper with fault points.
pub(crate) fn build() -> Result<(), String> {
    run(cargo().args(BUILD))
}

/// Runs the harness; the arguments are its own.
pub(crate) fn faults(rest: &[String]) -> Result<(), String> {
    setup::wasm_target()?;
    setup::debian_packages();
    build()?;
    run(cargo()
        .args(["run", "--quiet", "--package", "openshell-tests"])
        .args(["--bin", "faults", "--"])
        .args(rest))
}
