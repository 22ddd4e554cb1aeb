//! `openssl`, which does a hundred things, where it shows a certificate or its own
//! version.
//!
//! Invariant: no private key is read, made or printed. Connections (`s_client`) are
//! left to a person.

use super::super::lex::Word;
use super::super::paths::Access;
use super::spec::{Command, Outcome, Refusal, Style, Touch, examples, is_name};

pub(super) const COMMANDS: &[Command] = &[Command {
    names: &["openssl"],
    does: "shows a certificate or its own version",
    style: Style::Custom(openssl),
    allowed: examples![
        "openssl version -a",
        "openssl x509 -in /srv/a.crt -noout -dates -subject",
        "openssl x509 -noout -text -in /srv/a.pem",
        "openssl x509 -in /srv/a.crt -text",
        "openssl verify -CAfile /srv/ca.crt /srv/a.crt",
        "openssl ciphers -v",
        "openssl req -in /srv/a.csr -noout -text",
    ],
    asks: examples![
        "openssl x509 -in a.crt -out b.crt",
        "openssl rsa -in a.key",
        "openssl s_client -connect a:443",
        "openssl x509 -in a.crt -noout -engine x",
        "openssl enc -in /etc/shadow",
        "openssl",
        "openssl req -in a.csr",
        "openssl req -new -key x",
        "openssl verify -engine x a.crt",
        "openssl x509 -req -in a",
        "openssl x509 -signkey k -in a",
    ],
    ..Command::BARE
}];

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
