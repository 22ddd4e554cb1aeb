//! The few scripts of `sed` that are plainly read-only, and the few verbs of `openssl`.
//!
//! `sed` can write files and run programs from within its scripts, so a script is
//! held to a form in which no such command fits; everything else is asked about.
//! The same goes for `openssl`, which does a hundred things.

use super::super::lex::Word;
use super::super::paths::Access;
use super::spec::{Outcome, Refusal, Touch, is_name};

/// Operands after a script, all of which are files.
pub(super) fn files(words: &[Word]) -> Outcome {
    for word in words {
        if word.text.starts_with('-') && word.text != "-" {
            return Err(Refusal::new(
                "option",
                "options after the script are not known to only look",
            ));
        }
    }
    let read = words.iter().filter(|word| word.text != "-");
    Ok(read.map(|word| Touch::new(word, Access::Content)).collect())
}

/// The script itself.
pub(super) fn text_of(word: &Word) -> Option<&str> {
    word.is_literal().then_some(word.text.as_str())
}

/// `sed [-n] [-E] SCRIPT FILE…`, where the script only chooses, deletes and replaces
/// what is printed.
pub(super) fn sed(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "script",
            "only a script that just chooses, deletes or replaces what is printed is known to \
             only look",
        )
    };
    let mut rest = words;
    let mut scripts = 0;
    loop {
        rest = match rest {
            [option, tail @ ..]
                if matches!(
                    option.text.as_str(),
                    "-n" | "-E" | "-r" | "-nE" | "-nr" | "-En" | "-rn"
                ) =>
            {
                tail
            }
            [option, script, tail @ ..] if matches!(option.text.as_str(), "-e" | "-ne") => {
                if !is_script(text_of(script).ok_or_else(form)?) {
                    return Err(form());
                }
                scripts += 1;
                tail
            }
            [option, ..] if option.text.starts_with('-') => return Err(form()),
            _ => break,
        };
    }
    if scripts == 0 {
        let (script, tail) = rest.split_first().ok_or_else(form)?;
        if !is_script(text_of(script).ok_or_else(form)?) {
            return Err(form());
        }
        rest = tail;
    }
    files(rest)
}

fn is_script(script: &str) -> bool {
    script.split(';').all(|command| is_harmless(command.trim()))
}

/// `[address[,address]][!]` and `p`, `d`, `=`, `l` or `q`, or `s/old/new/flags`.
fn is_harmless(command: &str) -> bool {
    let Some(rest) = after_address(command) else {
        return false;
    };
    let rest = match rest.strip_prefix(',') {
        Some(second) if rest.len() < command.len() => match after_address(second) {
            Some(after) if after.len() < second.len() => after,
            _ => return false,
        },
        _ => rest,
    };
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('!') {
        Some(after) if rest.len() < command.len() => after.trim_start(),
        _ => rest,
    };
    if let Some(replacement) = rest.strip_prefix("s/") {
        return is_replacement(replacement);
    }
    matches!(rest.trim(), "p" | "=" | "q" | "d" | "l")
}

/// `old/new/flags`, without the flags that write a file or run the result.
fn is_replacement(text: &str) -> bool {
    let mut parts = text.split('/');
    let (Some(old), Some(new), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let plain = |part: &str| !part.contains(['[', '\\', '\n']);
    plain(old)
        && plain(new)
        && flags.len() <= 3
        && flags
            .trim()
            .chars()
            .all(|c| matches!(c, 'g' | 'p' | 'I' | '1'..='9'))
}

/// What follows an address: a line number, `$`, or a pattern between slashes that
/// holds nothing about whose end two versions could disagree.
fn after_address(text: &str) -> Option<&str> {
    if let Some(pattern) = text.strip_prefix('/') {
        let (pattern, rest) = pattern.split_once('/')?;
        return (!pattern.contains(['[', '\\'])).then_some(rest);
    }
    if let Some(rest) = text.strip_prefix('$') {
        return Some(rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() < text.len() {
        return Some(rest);
    }
    // GNU: `,+N`.
    Some(text.strip_prefix('+').map_or(text, |rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
    }))
}

/// `openssl version`, `openssl x509 …` and the like.
pub(super) fn openssl(words: &[Word]) -> Outcome {
    const SHOWS: &[&str] = &[
        "-text",
        "-dates",
        "-startdate",
        "-enddate",
        "-subject",
        "-issuer",
        "-serial",
        "-fingerprint",
        "-hash",
        "-modulus",
        "-pubkey",
        "-purpose",
        "-email",
        "-ocsp_uri",
        "-sha1",
        "-sha256",
        "-subject_hash",
        "-issuer_hash",
        "-alias",
    ];
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    match texts.as_slice() {
        ["version"] => return Ok(Vec::new()),
        ["version", options @ ..]
            if options
                .iter()
                .all(|option| ["-a", "-v", "-d", "-b", "-p", "-f"].contains(option)) =>
        {
            return Ok(Vec::new());
        }
        ["x509" | "crl" | "req", ..] => {}
        ["ciphers", options @ ..]
            if options
                .iter()
                .all(|option| ["-v", "-V", "-s"].contains(option) || is_name(option)) =>
        {
            return Ok(Vec::new());
        }
        ["verify", files @ ..] => return verify(files, &words[1..]),
        _ => {
            return Err(Refusal::new(
                "verb",
                "only `version`, `verify`, and showing certificates are known to only look",
            ));
        }
    }
    let mut touched = Vec::new();
    let mut quiet = false;
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        match word.text.as_str() {
            "-noout" => quiet = true,
            // Nothing of the file is shown but the certificate in it.
            "-in" => match rest.next() {
                // A colon would make it a location, on the network even.
                Some(file)
                    if file.is_literal() && is_name(&file.text) && !file.text.contains(':') =>
                {
                    touched.push(Touch::new(file, Access::Names))
                }
                _ => return Err(Refusal::new("value", "`-in` has no plain file name")),
            },
            "-inform" => match rest.next() {
                Some(form) if matches!(form.text.as_str(), "PEM" | "DER" | "pem" | "der") => {}
                _ => return Err(Refusal::new("value", "`-inform` has no known form")),
            },
            "-ext" | "-checkend" | "-nameopt" | "-dateopt" => match rest.next() {
                Some(value) if value.is_literal() && is_name(&value.text) => {}
                _ => return Err(Refusal::new("value", "the option has no plain value")),
            },
            option if SHOWS.contains(&option) => {}
            option => {
                return Err(Refusal::new(
                    "option",
                    format!("`{option}` is not known to only look"),
                ));
            }
        }
    }
    // Without it the certificate is printed again; of a request, so is what was in it.
    if !quiet && texts[0] != "x509" {
        return Err(Refusal::new(
            "output",
            "without `-noout` it prints the file again",
        ));
    }
    Ok(touched)
}

/// `openssl verify [-CAfile FILE] FILE…`
fn verify(texts: &[&str], words: &[Word]) -> Outcome {
    let mut touched = Vec::new();
    for (text, word) in texts.iter().zip(words) {
        if matches!(*text, "-CAfile" | "-untrusted" | "-verbose" | "-show_chain") {
            continue;
        }
        if !word.is_literal() || !is_name(text) || text.contains(':') {
            return Err(Refusal::new(
                "option",
                format!("`{text}` is not known to only look"),
            ));
        }
        touched.push(Touch::new(word, Access::Names));
    }
    Ok(touched)
}
