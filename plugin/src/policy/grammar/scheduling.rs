//! Programs that set the priority or the limits of another one, where they only
//! show those of a process.
//!
//! Each runs its words as a program, or sets something, in every other form.
//! Invariant: what passes is one option and one process number, or no word at all.
//! Whether that process is there is not asked.

use super::super::lex::Word;
use super::spec::{Command, Outcome, Refusal, Style, examples};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["ionice", "chrt"],
        does: "shows the priority of a process",
        style: Style::Custom(|words| shows(words, &["-p"])),
        allowed: examples!["ionice -p 1", "chrt -p 1"],
        asks: examples![
            "ionice -c 3 -p 1",
            "chrt -p 10 1",
            "ionice ls",
            "chrt -p ls"
        ],
        ..Command::BARE
    },
    Command {
        names: &["taskset"],
        does: "shows on which processors a process runs",
        style: Style::Custom(|words| shows(words, &["-p", "-cp", "-pc"])),
        allowed: examples!["taskset -p 1", "taskset -cp 1"],
        asks: examples!["taskset 1 ls", "taskset -p 3 1", "taskset -cp 0 1"],
        ..Command::BARE
    },
    Command {
        names: &["prlimit"],
        does: "shows the limits of a process",
        style: Style::Custom(|words| shows(words, &["-p", "--pid"])),
        allowed: examples!["prlimit -p 1", "prlimit --pid 1", "prlimit --pid=1"],
        asks: examples![
            "prlimit --nofile=1 ls",
            "prlimit -p 1 --nofile=10",
            "prlimit ls"
        ],
        ..Command::BARE
    },
    Command {
        names: &["nice"],
        does: "shows its own priority",
        allowed: examples!["nice"],
        asks: examples!["nice ls", "nice -n 5 ls"],
        ..Command::BARE
    },
];

/// One of the options and one process number, and nothing more.
fn shows(words: &[Word], options: &[&str]) -> Outcome {
    let is_process =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let known = match texts.as_slice() {
        [option, process] => options.contains(option) && is_process(process),
        [word] => word.split_once('=').is_some_and(|(option, process)| {
            option.starts_with("--") && options.contains(&option) && is_process(process)
        }),
        _ => false,
    };
    if known {
        return Ok(Vec::new());
    }
    Err(Refusal::new(
        "exec",
        "only the question about one process is known to only look",
    ))
}
