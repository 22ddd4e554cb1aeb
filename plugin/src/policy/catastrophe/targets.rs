//! What must not be destroyed: the system's own directories and the disks.
//!
//! Invariant: only literal names count: what an expansion would name is left to a
//! person. What else a command does is not asked.

use super::super::lex::Word;
use super::super::types::{Finding, shown};

/// Directories whose loss ends the machine.
const SYSTEM: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run",
    "sbin", "sys", "usr", "var",
];

pub(super) fn disk(what: &str, path: &str) -> Finding {
    Finding::reject(
        "catastrophe.disk",
        format!("{what} {} destroys what is on the disk", shown(path)),
    )
}

/// Whether a program for partitions or bad blocks is asked to show and nothing else.
pub(super) fn only_shows(words: &[&Word]) -> bool {
    const SHOWS: &[&str] = &[
        "-l", "--list", "-d", "--dump", "-J", "--json", "-p", "--print", "-v", "-s", "-sv", "-V",
    ];
    let mut options = words
        .iter()
        .map(|word| word.text.as_str())
        .filter(|text| text.starts_with('-'))
        .peekable();
    options.peek().is_some() && options.all(|option| SHOWS.contains(&option))
}

pub(super) fn device_operand(name: &str, words: &[&Word]) -> Option<Finding> {
    let target = words
        .iter()
        .find(|word| !word.opaque && is_block_device(&word.text))?;
    Some(disk(&format!("`{name}` on"), &target.text))
}

pub(super) fn remove(words: &[&Word]) -> Option<Finding> {
    let mut recursive = false;
    let mut ended = false;
    let mut targets = Vec::new();
    for word in words {
        let text = word.text.as_str();
        if !ended && text == "--" {
            ended = true;
        } else if !ended && text.starts_with("--") {
            // GNU takes any abbreviation.
            recursive |= text.len() > 3 && "--recursive".starts_with(text);
        } else if !ended && text.starts_with('-') && text.len() > 1 {
            recursive |= text.contains(['r', 'R']);
        } else {
            targets.push(word);
        }
    }
    if !recursive {
        return None;
    }
    let target = targets.into_iter().find(|word| is_system(word))?;
    Some(Finding::reject(
        "catastrophe.rm-root",
        format!("`rm -r` of {} destroys the system", shown(&target.text)),
    ))
}

/// `find / -delete` without a test in between.
pub(super) fn find_delete(words: &[&Word]) -> Option<Finding> {
    let starts = words
        .iter()
        .take_while(|word| !word.text.starts_with('-'))
        .count();
    let (starts, rest) = words.split_at(starts);
    let plain = [
        "-delete", "-depth", "-xdev", "-mount", "-exec", "-execdir", "rm", "-rf", "-r", "-f",
        "-fr", "{}", "+", ";", "-print",
    ];
    let deletes =
        rest.iter().any(|word| word.text == "-delete") || rest.iter().any(|word| word.text == "rm");
    let target = starts.iter().find(|word| is_system(word))?;
    (deletes && rest.iter().all(|word| plain.contains(&word.text.as_str()))).then(|| {
        Finding::reject(
            "catastrophe.rm-root",
            format!(
                "deleting everything below {} destroys the system",
                shown(&target.text)
            ),
        )
    })
}

/// Whether a word names `/`, a system directory, a login directory, or all that is
/// in one of them.
fn is_system(word: &Word) -> bool {
    if word.opaque {
        return false;
    }
    let mut text = word.text.as_str();
    if word.home {
        return matches!(text.trim_end_matches('/'), "~" | "~/*" | "~/.*");
    }
    if !text.starts_with('/') {
        return false;
    }
    if word.glob {
        text = text
            .strip_suffix("/*")
            .or_else(|| text.strip_suffix("/.*"))
            .unwrap_or(text);
        if text.contains(['*', '?', '[']) {
            return false;
        }
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    match parts.as_slice() {
        [] => true,
        [top] => SYSTEM.contains(top),
        _ => false,
    }
}

pub(super) fn is_block_device(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else {
        return false;
    };
    let name = name.trim_start_matches('/');
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let lettered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    ["sd", "hd", "vd", "xvd"].into_iter().any(lettered)
        || ["nvme", "mmcblk", "md", "dm-", "loop", "nbd", "zd", "bcache"]
            .into_iter()
            .any(numbered)
        || name.starts_with("mapper/") && name != "mapper/control"
        || name.starts_with("disk/")
}
