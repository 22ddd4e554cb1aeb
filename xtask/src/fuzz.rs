//! `cargo xtask fuzz`: builds a fuzzer and runs it.
//!
//! What is fuzzed, and how, is the fuzzers' own business. Invariant: a name that is
//! no fuzzer is an error that lists those there are.

use crate::{cargo, run, setup};

/// Runs the fuzzer that is named first, with the rest of the words.
pub(crate) fn fuzz(rest: &[String]) -> Result<(), String> {
    let Some((target, rest)) = rest.split_first() else {
        return Err("name what to fuzz: policy".to_owned());
    };
    if target != "policy" {
        return Err(format!(
            "there is no fuzzer for {target:?}, only for policy"
        ));
    }
    setup::wasm_target()?;
    setup::debian_packages();
    run(cargo()
        .args(["run", "--quiet", "--package", "openshell-tests"])
        .args(["--bin", "fuzz_policy", "--", "run"])
        .args(rest))
}
