//! The shells' own word on what is literal.
//!
//! They prove the scanner against whichever shells are installed; one that is
//! missing is named and left out. What the words would do is never run.

use std::path::Path;
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy as _, ValueTree as _};

use super::super::lex::Word;
use super::super::scan::{Shape, scan};
use super::properties::hostile_text;

/// How many texts each shell is asked about.
const TEXTS: usize = 6000;

/// Shells with the arguments that make them read a script and nothing else.
const SHELLS: &[&[&str]] = &[
    &["sh"],
    &["dash"],
    &["bash", "--norc", "--noprofile"],
    &["busybox", "sh"],
    &["zsh", "-f"],
    &["ksh"],
    &["mksh"],
    &["yash"],
];

fn installed(shell: &[&str]) -> bool {
    let found = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-c")
        .arg(":")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// What a shell sees of each line: the words after the first, every one ended by a
/// character that occurs in none.
fn words_seen(shell: &[&str], directory: &Path, lines: &[String]) -> Vec<String> {
    // mksh has no `printf` of its own, and a program a word takes its time.
    let mut script = "e=$(printf '\\001') f=$(printf '\\002')\n\
        case ${KSH_VERSION-} in\n\
        *MIRBSD*) show() { for word do print -nr -- \"$word$e\"; done; print -n \"$f\"; } ;;\n\
        *) show() { for word do printf '%s%s' \"$word\" \"$e\"; done; printf '%s' \"$f\"; } ;;\n\
        esac\n"
        .to_owned();
    for line in lines {
        script.push_str("show ");
        script.push_str(line);
        script.push('\n');
    }
    let path = directory.join("script");
    std::fs::write(&path, script).unwrap();
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg(&path)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    output.split('\u{2}').map(str::to_owned).collect()
}

/// Every shell at hand sees exactly the words that the scanner calls literal.
#[test]
fn shells_agree_with_the_scanner() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    let texts = hostile_text();
    while lines.len() < TEXTS {
        let text = texts.new_tree(&mut runner).unwrap().current();
        // A word in front, so that none of the generated ones is the program.
        let Shape::Simple(words) = scan(&format!("show {text}")).shape else {
            continue;
        };
        if !words.iter().all(Word::is_literal) || text.contains('\n') {
            continue;
        }
        expected.push(
            words[1..]
                .iter()
                .map(|word| format!("{}\u{1}", word.text))
                .collect::<String>(),
        );
        lines.push(text);
    }
    // Names that an unnoticed pattern would become, and a home that a `~` would.
    let directory = std::env::temp_dir().join(format!("openshell-oracle-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for name in ('a'..='z')
        .map(String::from)
        .chain(["ab", "-a", "a b"].map(str::to_owned))
    {
        std::fs::write(directory.join(name), "").unwrap();
    }
    let mut tried = Vec::new();
    for shell in SHELLS {
        if !installed(shell) {
            eprintln!("skipped: {} is not installed", shell[0]);
            continue;
        }
        tried.push(shell[0]);
        let seen = words_seen(shell, &directory, &lines);
        for ((line, expected), seen) in lines.iter().zip(&expected).zip(&seen) {
            assert_eq!(seen, expected, "{shell:?} reads {line:?} differently");
        }
        assert_eq!(seen.len(), lines.len() + 1, "{shell:?} stopped early");
    }
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(!tried.is_empty(), "there is always a POSIX shell");
}

/// The comparison can fail: what the scanner does not call literal, shells do read
/// differently from the text as it stands.
#[test]
fn a_text_that_is_not_literal_is_told_apart() {
    let directory = std::env::temp_dir().join(format!("openshell-other-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("ab"), "").unwrap();
    for (text, seen) in [
        ("a*", "ab\u{1}"),
        ("$HOME", "/nonexistent\u{1}"),
        ("~", "/nonexistent\u{1}"),
        ("$(echo c)", "c\u{1}"),
    ] {
        let scanned = scan(&format!("show {text}"));
        let literal =
            matches!(&scanned.shape, Shape::Simple(words) if words.iter().all(Word::is_literal));
        assert!(!literal, "{text}");
        assert_eq!(words_seen(&["sh"], &directory, &[text.to_owned()])[0], seen);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
