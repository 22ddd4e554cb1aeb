//! Listing archives.
//!
//! Archivers extract, run programs and reach other hosts by option, so only the
//! plainest form of a listing is known here.

use super::super::lex::Word;
use super::super::paths::Access;
use super::super::types::shown;
use super::spec::{Outcome, Refusal, Touch};

/// `tar tf FILE MEMBER…`, with the letters in one word or two, or as long options.
pub(super) fn tar(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "form",
            "only `tar -tf FILE` is known to do nothing but list",
        )
    };
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let (file, members) = match texts.as_slice() {
        ["--list", "-f" | "--file", _, ..] => (words[2].clone(), &words[3..]),
        ["--list", file, ..] if file.starts_with("--file=") => {
            (Word::literal(&file[7..]), &words[2..])
        }
        [first, second, _, ..]
            if first.starts_with('-')
                && second.starts_with('-')
                && lists(&format!("{}{}", &first[1..], &second[1..])) =>
        {
            (words[2].clone(), &words[3..])
        }
        [letters, _, ..] if lists(letters.strip_prefix('-').unwrap_or(letters)) => {
            (words[1].clone(), &words[2..])
        }
        _ => return Err(form()),
    };
    if members
        .iter()
        .any(|word| word.text.starts_with('-') || !word.is_literal())
    {
        return Err(form());
    }
    // `host:file` is fetched by running a remote shell.
    if file.text.contains(':') || file.text.starts_with('-') || !file.is_literal() {
        return Err(Refusal::new(
            "remote",
            format!("{} could be a file on another host", shown(&file.text)),
        ));
    }
    Ok(vec![Touch::new(&file, Access::Names)])
}

/// Whether letters of `tar` list the archive whose name follows.
fn lists(letters: &str) -> bool {
    letters.contains('t')
        && letters.ends_with('f')
        && letters.matches('f').count() == 1
        && letters.chars().all(|c| "tvzjJaf".contains(c))
}

/// `unzip -l FILE` and its like.
pub(super) fn unzip(words: &[Word]) -> Outcome {
    members(
        words,
        &["-l", "-v", "-Z", "-Z1", "-lq", "-ql", "-lv", "-vl"],
        false,
    )
}

/// `zipinfo FILE` with one option or none.
pub(super) fn zipinfo(words: &[Word]) -> Outcome {
    members(
        words,
        &["-1", "-2", "-s", "-m", "-l", "-v", "-h", "-t"],
        true,
    )
}

fn members(words: &[Word], options: &[&str], bare: bool) -> Outcome {
    let file = match words {
        [option, file] if options.contains(&option.text.as_str()) => file,
        [file] if bare => file,
        _ => {
            return Err(Refusal::new(
                "form",
                "only one option that lists, and one file, are known to do nothing but list",
            ));
        }
    };
    if file.text.starts_with('-') || !file.is_literal() {
        return Err(Refusal::new("form", "the archive has no plain name"));
    }
    Ok(vec![Touch::new(file, Access::Names)])
}
