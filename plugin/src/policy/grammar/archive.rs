//! Listing archives.
//!
//! Archivers extract, run programs and reach other hosts by option, so only the
//! plainest form of a listing is known here.

use super::super::lex::Word;
use super::super::paths::Access;
use super::super::types::shown;
use super::spec::{Outcome, Refusal, Touch};

/// `tar tf FILE`, with the letters in one word or two.
pub(super) fn tar(words: &[Word]) -> Outcome {
    let (letters, file) = match words {
        [letters, file] => (letters.text.trim_start_matches('-').to_owned(), file),
        [first, second, file] => (
            format!(
                "{}{}",
                first.text.trim_start_matches('-'),
                second.text.trim_start_matches('-')
            ),
            file,
        ),
        _ => {
            return Err(Refusal::new(
                "form",
                "only `tar -tf FILE` is known to do nothing but list",
            ));
        }
    };
    let known = letters.contains('t')
        && letters.ends_with('f')
        && letters.chars().all(|c| "tvzjJaf".contains(c));
    if !known
        || letters.matches('f').count() != 1
        || words.iter().any(|word| word.text.starts_with("--"))
    {
        return Err(Refusal::new(
            "form",
            "only `tar -tf FILE` is known to do nothing but list",
        ));
    }
    if words.len() == 3 && !words[..2].iter().all(|word| word.text.starts_with('-')) {
        return Err(Refusal::new(
            "form",
            "only `tar -tf FILE` is known to do nothing but list",
        ));
    }
    // `host:file` is fetched by running a remote shell.
    if file.text.contains(':') || file.text.starts_with('-') || !file.is_literal() {
        return Err(Refusal::new(
            "remote",
            format!("{} could be a file on another host", shown(&file.text)),
        ));
    }
    Ok(vec![Touch::new(file, Access::Names)])
}

/// `unzip -l FILE` and its like.
pub(super) fn unzip(words: &[Word]) -> Outcome {
    let file = match words {
        [option, file] if matches!(option.text.as_str(), "-l" | "-v" | "-Z" | "-Z1" | "-lq") => {
            file
        }
        [file] if !file.text.starts_with('-') => {
            return Err(Refusal::new("extract", "without `-l` it extracts"));
        }
        _ => {
            return Err(Refusal::new(
                "form",
                "only `unzip -l FILE` is known to do nothing but list",
            ));
        }
    };
    if file.text.starts_with('-') || !file.is_literal() {
        return Err(Refusal::new(
            "form",
            "only `unzip -l FILE` is known to do nothing but list",
        ));
    }
    Ok(vec![Touch::new(file, Access::Names)])
}
