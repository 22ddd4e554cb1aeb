//! Secrets that are known by their form alone, wherever they stand.
//!
//! The prefixes are those the issuers publish so that scanners can find leaked
//! tokens. A form without a prefix (a bare hash, a UUID, 40 characters of
//! base64) is left alone: most such texts are no secrets.
//!
//! Invariant: a place is reported with the whole token and nothing beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::spans::Span;

/// Characters a token can consist of.
#[derive(Debug, Clone, Copy)]
enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`.
    Word,
    /// Letters, digits, `_`, `-`.
    Url,
    /// Letters, digits, `_`, `-`, `.`.
    Dotted,
    /// Hexadecimal digits.
    Hex,
    /// Capital letters and digits.
    Upper,
    /// What a crypt(5) hash consists of.
    Crypt,
    /// Base64 and its URL form.
    Base64,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        let more: &[u8] = match self {
            Self::Hex => return byte.is_ascii_hexdigit(),
            Self::Upper => return byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Alnum => b"",
            Self::Word => b"_",
            Self::Url => b"_-",
            Self::Dotted => b"_-.",
            Self::Crypt => b"./$=,+",
            Self::Base64 => b"+/=_-",
        };
        byte.is_ascii_alphanumeric() || more.contains(&byte)
    }
}

/// A token form: what it begins with and what follows.
struct Shape {
    kind: &'static str,
    prefixes: &'static [&'static str],
    alphabet: Alphabet,
    /// Fewest characters after the prefix.
    least: usize,
    /// Most characters after the prefix; more is another thing.
    most: usize,
}

const fn shape(
    kind: &'static str,
    prefixes: &'static [&'static str],
    alphabet: Alphabet,
    least: usize,
    most: usize,
) -> Shape {
    Shape {
        kind,
        prefixes,
        alphabet,
        least,
        most,
    }
}

const ANY: usize = 4096;

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    shape("aws", &["AKIA", "ASIA", "ABIA", "ACCA"], Alphabet::Upper, 16, 16),
    shape("github", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], Alphabet::Alnum, 30, 255),
    shape("github", &["github_pat_"], Alphabet::Word, 22, 255),
    shape("gitlab", &[
        "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glsoat-", "glagent-", "glimt-", "glft-",
        "gloas-", "glffct-",
    ], Alphabet::Dotted, 20, 300),
    shape("slack", &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxc-", "xoxd-", "xapp-", "xoxe.xoxp-", "xoxe.xoxb-"], Alphabet::Url, 10, ANY),
    shape("slack", &["hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/"], Alphabet::Base64, 16, 255),
    shape("discord", &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/"], Alphabet::Base64, 30, 255),
    shape("stripe", &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"], Alphabet::Alnum, 10, 255),
    shape("google", &["AIza"], Alphabet::Url, 35, 35),
    shape("google", &["ya29.", "1//0"], Alphabet::Url, 20, ANY),
    shape("google", &["GOCSPX-"], Alphabet::Url, 20, 60),
    shape("openai", &["sk-proj-", "sk-svcacct-", "sk-admin-"], Alphabet::Url, 20, 400),
    shape("openai", &["sk-"], Alphabet::Alnum, 32, 100),
    shape("anthropic", &["sk-ant-"], Alphabet::Url, 20, 400),
    shape("openrouter", &["sk-or-"], Alphabet::Url, 20, 400),
    shape("sendgrid", &["SG."], Alphabet::Dotted, 60, 80),
    shape("npm", &["npm_"], Alphabet::Alnum, 36, 36),
    shape("pypi", &["pypi-AgE"], Alphabet::Url, 50, ANY),
    shape("digitalocean", &["dop_v1_", "doo_v1_", "dor_v1_"], Alphabet::Hex, 60, 70),
    shape("heroku", &["HRKU-"], Alphabet::Url, 30, 100),
    shape("vault", &["hvs.", "hvb.", "hvr."], Alphabet::Url, 20, ANY),
    shape("databricks", &["dapi"], Alphabet::Hex, 32, 34),
    shape("twilio", &["SK"], Alphabet::Hex, 32, 32),
    shape("mailgun", &["key-"], Alphabet::Hex, 32, 32),
    shape("shopify", &["shpat_", "shpss_", "shpca_", "shppa_"], Alphabet::Hex, 32, 32),
    shape("linear", &["lin_api_", "lin_oauth_"], Alphabet::Alnum, 30, 80),
    shape("notion", &["ntn_"], Alphabet::Alnum, 40, 60),
    shape("figma", &["figd_"], Alphabet::Url, 30, 80),
    shape("huggingface", &["hf_"], Alphabet::Alnum, 30, 50),
    shape("grafana", &["glsa_", "glc_"], Alphabet::Base64, 30, 400),
    shape("docker", &["dckr_pat_", "dckr_oat_"], Alphabet::Url, 20, 60),
    shape("age", &["AGE-SECRET-KEY-1"], Alphabet::Upper, 50, 60),
    shape("atlassian", &["ATATT3", "ATCTT3", "ATBB"], Alphabet::Base64, 24, 400),
    shape("square", &["sq0atp-", "sq0csp-"], Alphabet::Url, 20, 60),
    shape("pulumi", &["pul-"], Alphabet::Hex, 40, 40),
    shape("dynatrace", &["dt0c01."], Alphabet::Dotted, 60, 120),
    shape("newrelic", &["NRAK-"], Alphabet::Upper, 20, 40),
    shape("supabase", &["sbp_"], Alphabet::Hex, 40, 40),
    shape("planetscale", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], Alphabet::Dotted, 30, 80),
    shape("doppler", &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa."], Alphabet::Dotted, 30, 80),
    shape("tailscale", &["tskey-"], Alphabet::Url, 16, 100),
    shape("sentry", &["sntrys_", "sntryu_"], Alphabet::Base64, 30, 400),
    shape("private-key", &["b3BlbnNzaC1rZXktdjE"], Alphabet::Base64, 40, ANY),
    shape("password-hash", &["$1$", "$5$", "$6$", "$y$", "$7$", "$2a$", "$2b$", "$2y$", "$apr1$", "$argon2i$", "$argon2d$", "$argon2id$", "$gy$", "$pbkdf2"], Alphabet::Crypt, 20, 255),
];

/// Finds secrets by their form.
pub(super) fn find(text: &str, out: &mut Vec<Span>) {
    tokens(text, out);
    web_tokens(text, out);
    private_keys(text, out);
    encoded_keys(text, out);
    telegram(text, out);
}

/// Bytes that a prefix begins with.
const FIRST: [bool; 256] = {
    let mut first = [false; 256];
    let mut shape = 0;
    while shape < SHAPES.len() {
        let mut prefix = 0;
        while prefix < SHAPES[shape].prefixes.len() {
            first[SHAPES[shape].prefixes[prefix].as_bytes()[0] as usize] = true;
            prefix += 1;
        }
        shape += 1;
    }
    first
};

fn tokens(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut before = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        let inside =
            (before.is_ascii_alphanumeric() || before == b'_') && byte.is_ascii_alphanumeric();
        before = byte;
        if inside || !FIRST[usize::from(byte)] {
            continue;
        }
        for shape in SHAPES {
            for prefix in shape.prefixes {
                if bytes[at..].starts_with(prefix.as_bytes()) {
                    token(text, at, shape, prefix, out);
                }
            }
        }
    }
}

/// The token of a form whose prefix stands at a place.
fn token(text: &str, at: usize, shape: &Shape, prefix: &str, out: &mut Vec<Span>) {
    let from = at + prefix.len();
    let length = run(&text.as_bytes()[from..], shape.alphabet);
    // A full stop ends a sentence, not a token.
    let body = text[from..from + length].trim_end_matches('.');
    let domain = prefix.contains('/');
    let start = if domain { from } else { at };
    if (shape.least..=shape.most).contains(&body.len()) {
        out.push(Span::plain(start, from + body.len(), shape.kind));
    }
}

fn run(bytes: &[u8], alphabet: Alphabet) -> usize {
    bytes.iter().take_while(|byte| alphabet.has(**byte)).count()
}

/// JSON Web Tokens (RFC 7519): three parts in base64url, the first of which is
/// an object and therefore begins with `eyJ`.
fn web_tokens(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices("eyJ") {
        if at > 0 && Alphabet::Url.has(bytes[at - 1]) {
            continue;
        }
        let header = run(&bytes[at..], Alphabet::Url);
        let second = at + header + 1;
        if header < 10 || bytes.get(second - 1) != Some(&b'.') {
            continue;
        }
        let claims = run(&bytes[second..], Alphabet::Url);
        let third = second + claims + 1;
        if claims < 4 || bytes.get(third - 1) != Some(&b'.') {
            continue;
        }
        // The encrypted form (RFC 7516) has two parts more.
        let end = third + run(&bytes[third..], Alphabet::Dotted);
        let whole = text[at..end].trim_end_matches('.').len();
        out.push(Span::plain(at, (at + whole).max(third), "jwt"));
    }
}

/// Private keys in PEM (RFC 7468) and its relatives, with real or escaped line
/// ends. One whose end is missing reaches to the end of the text.
fn private_keys(text: &str, out: &mut Vec<Span>) {
    const BEGIN: &str = "-----BEGIN ";
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN).map(|at| at + from) {
        let label = &text[at + BEGIN.len()..];
        from = at + BEGIN.len();
        let Some(label) = label.find("-----").map(|end| &label[..end]) else {
            continue;
        };
        if label.len() > 64 || !label.contains("PRIVATE KEY") {
            continue;
        }
        let end = text[from..]
            .find("-----END ")
            .and_then(|end| {
                let tail = from + end + "-----END ".len();
                text[tail..].find("-----").map(|dashes| tail + dashes + 5)
            })
            .unwrap_or(text.len());
        out.push(Span::plain(at, end, "private-key"));
        from = end;
    }
}

/// Private keys in PEM that are encoded once more, as Kubernetes keeps them, on one
/// line or on several. Certificates and public keys begin alike and are left.
fn encoded_keys(text: &str, out: &mut Vec<Span>) {
    // `-----BEGIN ` in base64, as far as it does not depend on what follows, and how
    // much of it tells the label: a multiple of four.
    const BEGIN: &str = "LS0tLS1CRUdJTi";
    const LABEL: usize = 64;
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, _) in text.match_indices(BEGIN) {
        if at < done {
            continue;
        }
        let begin = &bytes[at..bytes.len().min(at + LABEL)];
        let head = &text[at..at + run(begin, Alphabet::Base64)];
        let head = STANDARD
            .decode(&head[..head.len() / 4 * 4])
            .unwrap_or_default();
        if !String::from_utf8_lossy(&head).contains("PRIVATE KEY") {
            continue;
        }
        let mut end = at + run(&bytes[at..], Alphabet::Base64);
        end += further_lines(&bytes[end..], end - at);
        out.push(Span::plain(at, end, "private-key"));
        done = end;
    }
}

/// Length of the lines that follow one of a width: all have it but the last, which may
/// be shorter. A whole key on one line is longer than any that is broken.
fn further_lines(bytes: &[u8], width: usize) -> usize {
    const WIDEST: usize = 128;
    let mut end = 0;
    let mut last = width;
    while last == width && width <= WIDEST {
        let blanks = bytes[end..].iter().take_while(|b| b.is_ascii_whitespace());
        let gap = blanks.count();
        last = run(&bytes[end + gap..], Alphabet::Base64);
        let next = end + gap + last;
        let broken = bytes[end..end + gap].contains(&b'\n');
        let whole = !matches!(bytes.get(next), Some(b':' | b'.' | b',' | b' '));
        if !broken || !whole || last == 0 || last > width {
            break;
        }
        end = next;
    }
    end
}

/// Bot tokens of Telegram: an account number, a colon and 35 characters.
fn telegram(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for (colon, _) in text.match_indices(':') {
        let digits = bytes[..colon]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let start = colon - digits;
        let inside = start > 0
            && bytes[start - 1].is_ascii_alphanumeric()
            && !text[..start].ends_with("/bot");
        let after = run(&bytes[colon + 1..], Alphabet::Url);
        if (8..=10).contains(&digits) && after == 35 && !inside {
            out.push(Span::plain(start, colon + 1 + after, "telegram"));
        }
    }
}
