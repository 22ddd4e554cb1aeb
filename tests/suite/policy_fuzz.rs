//! The policy's fuzzer in short, and the proof that it finds what is there.
//!
//! `cargo xtask fuzz policy --minutes N` is the same for longer. Without root, or
//! without the tools for a sandbox, it says so and skips.
//!
//! Invariant: a run without a finding counts only beside one with a planted mistake
//! that was found. It does not look at what single commands print.

use std::process::{Command, Output};

/// Runs the fuzzer; none where it has to skip.
fn fuzz(words: &[&str]) -> Option<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz_policy"))
        .arg("run")
        .args(words)
        .output()
        .expect("the fuzzer was built with the suite");
    let said = text(&output);
    if let Some(why) = said.lines().find(|line| line.starts_with("skipped")) {
        eprintln!("{why}");
        return None;
    }
    Some(output)
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The number before a word of the last line.
fn count(said: &str, what: &str) -> u64 {
    let last = said.lines().last().unwrap_or_default();
    let part = last.split(", ").find(|part| part.contains(what));
    part.and_then(|part| part.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no count of {what} in {last:?}"))
}

#[test]
fn what_is_allowed_has_no_effect() {
    let Some(output) = fuzz(&["--commands", "400", "--seed", "1"]) else {
        return;
    };
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(count(&said, "findings"), 0, "{said}");
    // It did run something.
    assert_eq!(count(&said, "generated"), 400, "{said}");
    assert!(count(&said, "executed") > 20, "{said}");
}

/// A policy that allows too much is found out, for each way of doing harm: writing
/// what was sorted, deleting or running what was found, writing bytes, setting the
/// clock, running anything, all that a language can do, not ending.
#[test]
fn a_wrong_allowance_is_found() {
    let planted = [
        ("sort", "openat("),
        ("find", "changed: "),
        ("xxd", "openat("),
        ("date", "clock_settime("),
        ("env", "execve("),
        ("awk", "FINDING"),
        ("tail", "does not end"),
    ];
    let programs = planted.map(|(program, _)| program).join(",");
    let words = ["--commands", "20000", "--seed", "7", "--patience", "30"];
    let words = [&words[..], &["--until-found", "--plant", &programs]].concat();
    let Some(output) = fuzz(&words) else {
        return;
    };
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(count(&said, "findings"), 7, "{said}");
    let mut findings = said.split("FINDING ").skip(1);
    for (program, deed) in planted {
        let finding = format!("FINDING {}", findings.next().expect("seven of them"));
        assert!(finding.contains(deed), "{program}: {finding}");
        let again = format!("--plant {program} --seed 7 --only ");
        assert!(finding.contains(&again), "{program}: {finding}");
    }
}

/// What is found can be had again from the words that the finding prints.
#[test]
fn a_finding_can_be_had_again() {
    let words = ["--commands", "20000", "--seed", "3", "--plant", "sort"];
    let Some(output) = fuzz(&[&words[..], &["--until-found"]].concat()) else {
        return;
    };
    let said = text(&output);
    let finding = said.lines().find(|line| line.starts_with("FINDING "));
    let again = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("again: "));
    let again = again.unwrap_or_else(|| panic!("{said}"));
    let words: Vec<&str> = again
        .split(' ')
        .skip_while(|word| !word.starts_with("--"))
        .collect();
    let output = fuzz(&words).expect("it did run before");
    let said = text(&output);
    assert_eq!(
        said.lines().find(|line| line.starts_with("FINDING ")),
        finding
    );
    assert_eq!(count(&said, "generated"), 1, "{said}");
}

#[test]
fn an_unknown_word_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz_policy"))
        .args(["run", "--minute", "5"])
        .output()
        .expect("the fuzzer was built with the suite");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("\"--minute\""), "{}", text(&output));
}
