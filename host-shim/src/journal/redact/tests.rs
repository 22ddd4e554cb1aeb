//! A corpus of shapes as they occur, with secrets made up when it runs.
//!
//! In a line of the corpus `{pw}`, `{hex:N}`, `{alnum:N}`, `{upper:N}` and
//! `{b64:N}` stand for made-up text; `«…»` frames what must not be readable
//! afterwards, and everything outside must stay as it is.
//!
//! Invariant of the corpus: no line of it holds a real secret, and each fails when
//! its framed part stays readable. Texts of other languages than command lines and
//! configurations are not tried.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]
#![expect(clippy::panic, reason = "the corpus is reported as a whole")]

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;
use zeroize::Zeroizing;

use super::{RedactError, Redactor};

const SECRET: &str = include_str!("corpus/secret.txt");
const PLAIN: &str = include_str!("corpus/plain.txt");

fn redactor() -> Redactor {
    Redactor::with_key(Zeroizing::new([7; 32]))
}

/// Characters made up in an order that is the same every time.
struct Inventor(u64);

impl Inventor {
    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .map(|_| {
                self.0 = self
                    .0
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (self.0 >> 33) as usize % alphabet.len();
                char::from(alphabet[at])
            })
            .collect()
    }

    fn fill(&mut self, line: &str) -> String {
        const LOWER: &[u8] = b"abcdefghijkmnpqrstuvwxyz";
        const ALNUM: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let filled = from.find('}').and_then(|end| {
                let (kind, length) = from[1..end].split_once(':').unwrap_or((&from[1..end], "0"));
                let length = length.parse().ok()?;
                let text = match kind {
                    "pw" => format!("{}7{}!", self.text(LOWER, 5), self.text(LOWER, 4)),
                    "word" => self.text(LOWER, 8),
                    "hex" => self.text(b"0123456789abcdef", length),
                    "alnum" => self.text(ALNUM, length),
                    "upper" => self.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", length),
                    "b64" => self.text(b"ABCDEFabcdef0123456789+/", length),
                    "auth" => base64::Engine::encode(
                        &super::STANDARD,
                        format!("bob:{}", self.text(ALNUM, 12)),
                    ),
                    "digits" => self.text(b"123456789", length),
                    _ => return None,
                };
                Some((text, end + 1))
            });
            match filled {
                Some((text, skip)) => {
                    out.push_str(&text);
                    rest = &from[skip..];
                }
                None => {
                    out.push('{');
                    rest = &from[1..];
                }
            }
        }
        out.push_str(rest);
        out.replace("⏎", "\n")
    }
}

/// The text without frames, the framed secrets, and the text around them.
fn frames(line: &str) -> (String, Vec<String>, Vec<String>) {
    let mut secrets = Vec::new();
    let mut around = vec![String::new()];
    for (at, part) in line.split(['«', '»']).enumerate() {
        if at % 2 == 0 {
            around.last_mut().unwrap().push_str(part);
        } else {
            secrets.push(part.to_owned());
            around.push(String::new());
        }
    }
    (line.replace(['«', '»'], ""), secrets, around)
}

/// Whether a text is what stood around the secrets, with a marker for each.
fn is_redacted(text: &str, around: &[String]) -> bool {
    let Some(mut rest) = text.strip_prefix(around[0].as_str()) else {
        return false;
    };
    for part in &around[1..] {
        let Some(end) = rest.find(']').filter(|_| rest.starts_with("[redacted:")) else {
            return false;
        };
        let Some(after) = rest[end + 1..].strip_prefix(part.as_str()) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

#[test]
fn secrets_of_the_corpus_are_found() {
    let redactor = redactor();
    let mut inventor = Inventor(1);
    let mut faults = Vec::new();
    let mut count = 0;
    for line in SECRET
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        let filled = inventor.fill(line);
        let (text, secrets, around) = frames(&filled);
        assert!(!secrets.is_empty(), "no secret is framed in {line}");
        count += 1;
        let redacted = redactor.text(&text);
        let leaked = secrets
            .iter()
            .any(|secret| redacted.contains(secret.as_str()));
        if leaked {
            faults.push(format!("MISSED  {text}\n     as {redacted}"));
        } else if !is_redacted(&redacted, &around) {
            faults.push(format!("TOO MUCH {text}\n      as {redacted}"));
        }
        if redactor.text(&redacted) != redacted {
            faults.push(format!(
                "AGAIN   {redacted}\n     as {}",
                redactor.text(&redacted)
            ));
        }
    }
    println!(
        "{count} lines with secrets: {} not as they should be",
        faults.len()
    );
    assert!(count >= 150, "only {count} lines");
    if !faults.is_empty() {
        panic!("{} of {count} lines:\n{}", faults.len(), faults.join("\n"));
    }
}

/// Most harmless lines of a hundred that may lose something.
const FALSE_REDACTIONS: usize = 0;

#[test]
fn harmless_lines_stay_as_they_are() {
    let redactor = redactor();
    let mut inventor = Inventor(2);
    let mut faults = Vec::new();
    let mut count = 0;
    for line in PLAIN
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        let text = inventor.fill(line);
        let redacted = redactor.text(&text);
        count += 1;
        if redacted != text {
            faults.push(format!("CHANGED {text}\n     to {redacted}"));
        }
    }
    println!("{count} harmless lines: {} redacted", faults.len());
    assert!(count >= 150, "only {count} lines");
    if faults.len() * 100 > FALSE_REDACTIONS * count {
        panic!("{} of {count} lines:\n{}", faults.len(), faults.join("\n"));
    }
}

#[test]
fn equal_secrets_have_equal_markers_under_one_key_only() {
    let one = redactor();
    let other = Redactor::with_key(Zeroizing::new([8; 32]));
    let mark = |redactor: &Redactor, text: &str| {
        let text = redactor.text(text);
        text[text.find("[redacted:").unwrap()..]
            .rsplit(':')
            .next()
            .unwrap()[..8]
            .to_owned()
    };
    let pw = Inventor(3).fill("{pw}");
    let plain = mark(&one, &format!("mysql -p{pw}"));
    for text in [
        format!("PGPASSWORD={pw} psql"),
        format!("PGPASSWORD='{pw}' psql"),
        format!("x --password \"{pw}\""),
        format!("https://u:{pw}@h/"),
    ] {
        assert_eq!(mark(&one, &text), plain, "{text}");
    }
    assert_ne!(mark(&one, "mysql -pother"), plain);
    assert_ne!(mark(&other, &format!("mysql -p{pw}")), plain);
}

#[test]
fn arguments_are_redacted_by_structure() {
    let pw = Inventor(4).fill("{pw}");
    let arguments = json!({
        "server": "prod-a",
        "command": format!("mysql -uroot -p{pw} -e 'select 1'"),
        "content": pw,
        "patch": "--- a\n+++ b\n",
        "timeout": 30,
        "auth_token": pw,
        "nested": {"password": pw, "list": [{"apiKey": pw}], "passwords": 3, "token": null},
        "secret": [pw, 12_345_678],
        "path": "/etc/app/token",
    });
    let redacted = redactor().arguments(&arguments);
    let text = redacted.to_string();
    assert!(!text.contains(&pw), "{text}");
    assert!(!text.contains("12345678"), "{text}");
    assert_eq!(redacted["server"], "prod-a");
    assert_eq!(redacted["timeout"], 30);
    assert_eq!(redacted["path"], "/etc/app/token");
    assert_eq!(redacted["nested"]["passwords"], 3);
    assert_eq!(redacted["nested"]["token"], json!(null));
    assert_eq!(redacted["content"]["bytes"], pw.len());
    assert_eq!(redacted["patch"]["sha256"].as_str().map(str::len), Some(64));
    let command = redacted["command"].as_str().unwrap();
    assert!(
        command.starts_with("mysql -uroot -p[redacted:password:"),
        "{command}"
    );
    assert!(command.ends_with("] -e 'select 1'"), "{command}");
}

#[test]
fn registered_secrets_are_replaced_in_every_spelling() {
    let redactor = redactor();
    let secret = "it's a \"pass\" word/7%";
    redactor.register(&SecretString::from(secret));
    let base64 = base64::Engine::encode(&super::STANDARD, secret);
    for text in [
        secret.to_owned(),
        format!("pre{secret}post"),
        json!({"k": secret}).to_string(),
        base64,
        "it%27s%20a%20%22pass%22%20word%2F7%25".to_owned(),
        "'it'\\''s a \"pass\" word/7%'".to_owned(),
    ] {
        let scrubbed = redactor.scrub(&text);
        assert!(scrubbed.contains("[redacted:registered:"), "{text}");
        assert!(!scrubbed.contains("pass"), "{scrubbed}");
        assert_eq!(redactor.scrub_bytes(text.as_bytes()), scrubbed.as_bytes());
    }
    redactor.register(&SecretString::from("abc"));
    assert_eq!(redactor.scrub("abc"), "abc");
    assert_eq!(redactor.scrub_bytes(b"\xff\x00"), &b"\xff\x00"[..]);
    let debug = format!("{redactor:?}");
    assert!(!debug.contains("pass"), "{debug}");
}

#[test]
fn what_looks_like_a_marker_hides_nothing() {
    let redactor = redactor();
    let (token, pw) = (Inventor(7).fill("ghp_{alnum:36}"), Inventor(8).fill("{pw}"));
    for text in [
        format!("grep '[redacted:' /var/log/app; export TOKEN={token}; echo ${{a[0]}}"),
        format!("password=[redacted:{pw}"),
        format!("password=[redacted:password:{pw}]"),
        format!("mysql -p[redacted:x]{pw}"),
        format!("mysql -p[redacted:password:01234567]{pw}"),
    ] {
        let redacted = redactor.text(&text);
        assert!(
            !redacted.contains(&token) && !redacted.contains(&pw),
            "{redacted}"
        );
        assert_eq!(redactor.text(&redacted), redacted);
    }
    // A secret that is registered is a part of a longer one.
    let part = Inventor(9).fill("{alnum:16}");
    redactor.register(&SecretString::from(part.clone()));
    for text in [
        format!("curl -H 'Cookie: a={token}; sid={part}; b={pw}' h"),
        format!("curl -H 'Authorization: Bearer {pw}{part}{pw}' h"),
        format!("password={part}{pw}"),
    ] {
        let redacted = redactor.text(&text);
        for secret in [&token, &pw, &part] {
            assert!(!redacted.contains(secret.as_str()), "{redacted}");
        }
        assert_eq!(redactor.text(&redacted), redacted);
    }
}

#[test]
fn characters_of_several_bytes_end_no_call() {
    let name = Inventor(10).fill("{alnum:24}");
    for text in [
        format!("https://{name}é@h/"),
        format!("password: {name}→ more"),
    ] {
        let redacted = redactor().text(&text);
        assert!(!redacted.contains(&name), "{redacted}");
    }
}

#[test]
fn the_lines_of_a_registered_key_are_replaced_one_by_one() {
    let redactor = redactor();
    let line = Inventor(5).fill("{b64:64}");
    let frame = ["-----BEGIN", "OPENSSH", "PRIVATE", "KEY-----"].join(" ");
    redactor.register(&SecretString::from(format!(
        "{frame}\n{line}\n-----END-----\n"
    )));
    assert!(!redactor.scrub(&format!("x {line} y")).contains(&line));
    assert_eq!(redactor.scrub("-----END-----"), "-----END-----");
}

#[test]
fn a_text_that_is_too_long_is_cut_without_half_a_secret() {
    let redactor = redactor();
    let token = Inventor(6).fill("ghp_{alnum:36}");
    for padding in [65_480, 65_500, 65_520, 65_536, 70_000] {
        let text = format!("{} {token} end", "é ".repeat(padding / 3));
        let text = format!("{}{text}", "x".repeat(padding - padding / 3 * 3));
        let cut = redactor.text(&text);
        assert!(!cut.contains(&token[..8]), "{padding}");
        assert_eq!(cut.contains("[cut: "), text.len() > 65_536, "{padding}");
    }
}

#[test]
fn hostile_texts_take_no_longer_than_others() {
    // Quadratic work on any of these would take minutes.
    for part in [
        "pw=",
        "pw:",
        "x/pw:",
        "cookie:",
        "://",
        "://a:",
        "password=$(",
        "-----BEGIN ",
        "eyJ",
        "identified with as ",
        "set password for ",
        "'",
        "\"",
        "\\",
        "$(",
        "<<",
        "-p ",
        "mysql ",
        "sudo ",
        "echo | ",
        "ghp_",
        "1:",
        "machine ",
        "default login a ",
        " s/pw/",
        "a:5432:b:c:",
        "auth('",
        "requirepass ",
        "\"auth\":\"",
        "(echo a) | passwd ",
        ") | passwd ",
        "pw=a(",
        "pw=a('b",
        "pw=crypt('b')",
        "'\\''",
        "pw='\\''",
        "insert into t(pw) values(",
        "insert (pw)values",
        "values",
        "a:b@c:80/",
        "a:b@tcp(",
        "LS0tLS1CRUdJTi",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS",
        ": psk ",
        ": rsa a \"",
        "user a on >b ",
        "crypt.hash(",
        "acl setuser >a ",
        "[redacted:",
        "pw=[redacted:a:00000000]",
        "[redacted:a:00000000]",
    ] {
        let text = part.repeat(60_000 / part.len());
        let _ = redactor().text(&text);
    }
}

#[test]
fn the_key_is_made_once_and_guarded() {
    let dir = tempfile::tempdir().unwrap();
    let first = Redactor::open(dir.path()).unwrap().text("mysql -pabcdefg");
    let again = Redactor::open(dir.path()).unwrap().text("mysql -pabcdefg");
    assert_eq!(first, again);
    let path = dir.path().join("redaction.key");
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    mode(0o640).unwrap();
    assert!(matches!(
        Redactor::open(dir.path()),
        Err(RedactError::Invalid { .. })
    ));
    mode(0o600).unwrap();
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(
        Redactor::open(dir.path()),
        Err(RedactError::Invalid { .. })
    ));
}

/// What the forms are told by, and characters of several bytes.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "é", "→", "\u{1f600}", " ", "\n", "\\n", "'", "\"", "\\'", "\\\"", r"'\''", "'\"'\"'", "(", ")",
    ",", "=", ":", "@", "/", ">", "<", "|", "password", "pw=", "psk ", ": psk ", ": rsa k ",
    "crypt(", "md5(b", "insert into t(a,password) ", "values", "('a',", "user a on >", "@tcp(",
    "a:b@c:80/", "://", "[::1]:", "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t", "b3BlbnNzaC1rZXktdjE",
    "ghp_", "set password ", "mysql -p", "-salt ", "openssl passwd ", "echo ", "s/pw=", "x",
];

proptest! {
    #[test]
    fn any_text_can_be_redacted_and_stays_so(text in "\\PC{0,80}") {
        let redactor = redactor();
        let once = redactor.text(&text);
        let twice = redactor.text(&once);
        prop_assert_eq!(&twice, &once);
    }

    #[test]
    fn pieces_of_every_form_break_nothing(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24),
    ) {
        let _ = redactor().text(&pieces.concat());
    }

    #[test]
    fn shell_punctuation_breaks_nothing(text in "[-a-z=:'\"\\\\$({})<>|&;`@/ \n]{0,60}") {
        let _ = redactor().text(&text);
    }
}
