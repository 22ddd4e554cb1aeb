//! The few programs in small languages that are plainly read-only.
//!
//! `sed` and `awk` can write files and run programs from within their scripts,
//! so a script is held to a form in which no such command fits; everything else
//! is asked about. The same goes for `openssl`, which does a hundred things.

use super::super::lex::Word;
use super::super::paths::Access;
use super::spec::{Outcome, Refusal, Touch, is_name};

fn files(words: &[Word]) -> Outcome {
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

fn text_of(word: &Word) -> Option<&str> {
    word.is_literal().then_some(word.text.as_str())
}

/// `sed -n SCRIPT FILE…`, where the script only prints lines.
pub(super) fn sed(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "script",
            "only `sed -n` with a script that just prints lines is known to only look",
        )
    };
    let options = words
        .iter()
        .take_while(|word| word.text.starts_with('-'))
        .count();
    let (options, rest) = words.split_at(options);
    let known = |word: &Word| {
        matches!(
            word.text.as_str(),
            "-n" | "-E" | "-r" | "-nE" | "-nr" | "-En" | "-rn"
        )
    };
    if !options.iter().all(known) || !options.iter().any(|word| word.text.contains('n')) {
        return Err(form());
    }
    let (script, rest) = rest.split_first().ok_or_else(form)?;
    let script = text_of(script).ok_or_else(form)?;
    if !script.split(';').all(|command| is_print(command.trim())) {
        return Err(form());
    }
    files(rest)
}

/// `[address[,address]]p` or `=`, or `[address]q`.
fn is_print(command: &str) -> bool {
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
    matches!(rest.trim(), "p" | "=" | "q")
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

/// `awk [-F SEPARATOR] PROGRAM FILE…`, where the program only prints fields.
pub(super) fn awk(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "script",
            "only a program that just prints fields is known to only look",
        )
    };
    let (program, rest) = match words {
        [option, separator, program, rest @ ..]
            if option.text == "-F" && separator.is_literal() =>
        {
            (program, rest)
        }
        [option, program, rest @ ..] if option.text.starts_with("-F") && option.is_literal() => {
            (program, rest)
        }
        [program, rest @ ..] if !program.text.starts_with('-') => (program, rest),
        _ => return Err(form()),
    };
    if !is_field_program(text_of(program).ok_or_else(form)?) {
        return Err(form());
    }
    for word in rest {
        // `a=b` assigns, and gawk opens a connection for `/inet/…`.
        if word.text.contains('=') || word.text.starts_with("/inet") {
            return Err(form());
        }
    }
    files(rest)
}

/// `[END | /pattern/ | NR==number] [{print field, …}]`
fn is_field_program(program: &str) -> bool {
    let program = program.trim();
    let (condition, action) = match program.split_once('{') {
        Some((condition, action)) => (condition.trim(), Some(action)),
        None => (program, None),
    };
    if condition.is_empty() && action.is_none() {
        return false;
    }
    let plain_pattern = |pattern: &str| !pattern.contains(['/', '\\', '[', '{', '"']);
    let known = match condition {
        "" | "END" | "NF" | "NR>1" | "NR > 1" => true,
        _ => match condition
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
        {
            Some(pattern) => plain_pattern(pattern),
            None => condition
                .strip_prefix("NR")
                .and_then(|rest| rest.trim_start().strip_prefix("=="))
                .is_some_and(|number| {
                    !number.trim().is_empty()
                        && number.trim().bytes().all(|byte| byte.is_ascii_digit())
                }),
        },
    };
    known
        && action.is_none_or(|action| {
            action
                .trim_end()
                .strip_suffix('}')
                .is_some_and(is_field_list)
        })
}

/// `print` and fields, separated by commas or blanks.
fn is_field_list(action: &str) -> bool {
    let Some(list) = action
        .trim()
        .trim_end_matches(';')
        .trim_end()
        .strip_prefix("print")
    else {
        return false;
    };
    let separated = list.is_empty() || list.starts_with([' ', '$', '\t']);
    let is_field = |field: &str| {
        let field = field.trim();
        let name = field.strip_prefix('$').unwrap_or(field);
        matches!(field, "NF" | "NR" | "FILENAME" | "FNR")
            || name == "NF" && field.len() == 3
            || field.starts_with('$')
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_digit())
            || is_plain_string(field)
    };
    separated
        && (list.trim().is_empty()
            || list
                .split([',', ' '])
                .filter(|field| !field.is_empty())
                .all(is_field))
}

fn is_plain_string(field: &str) -> bool {
    let inner = field
        .strip_prefix('"')
        .and_then(|field| field.strip_suffix('"'));
    inner.is_some_and(|inner| {
        inner
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '=' | '-' | '_' | '/' | '.'))
    })
}

/// `openssl version` and `openssl x509 -noout …`.
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
        ["x509", ..] => {}
        _ => {
            return Err(Refusal::new(
                "verb",
                "only `version` and `x509 -noout` are known to only look",
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
    if !quiet {
        return Err(Refusal::new(
            "output",
            "without `-noout` it prints the file again",
        ));
    }
    Ok(touched)
}
