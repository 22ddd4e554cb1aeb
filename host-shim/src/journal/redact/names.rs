//! Names that announce a secret, and values that are none all the same.
//!
//! A name is cut into words at punctuation and changes of case, so that
//! `PGPASSWORD`, `dbPassword` and `--db-password` are all understood and
//! `PasswordAuthentication`, `max_tokens` and `--password-file` are left alone.
//!
//! Invariant: the answer depends on the name and the value alone, never on what
//! stands around them. Texts are not searched here.

use super::spans::markers_length;

/// Words that make a name secret wherever they stand in it.
#[rustfmt::skip]
const ANYWHERE: [(&str, &str); 10] = [
    ("password", "password"), ("passwd", "password"), ("passphrase", "password"),
    ("passcode", "password"), ("pass", "password"), ("pw", "password"), ("secret", "secret"),
    ("token", "token"), ("credential", "secret"), ("credentials", "secret"),
];

/// Words that make a name secret where they end it.
#[rustfmt::skip]
const AT_END: [(&str, &str); 7] = [
    ("pwd", "password"), ("cookie", "cookie"), ("otp", "password"), ("totp", "password"),
    ("apikey", "key"), ("jwt", "token"), ("authtok", "password"),
];

/// Endings of words that are written together.
#[rustfmt::skip]
const COMPOUND: [(&str, &str); 18] = [
    ("password", "password"), ("passwd", "password"), ("passphrase", "password"),
    ("requirepass", "password"), ("sshpass", "password"), ("storepass", "password"),
    ("keypass", "password"), ("masterauth", "password"), ("authtoken", "token"),
    ("dbpass", "password"), ("rootpass", "password"), ("adminpass", "password"),
    ("userpass", "password"), ("accesstoken", "token"), ("secretkey", "key"), ("privatekey", "key"), ("apikey", "key"),
    ("psk", "password"),
];

/// What a `key` must be called to be a secret one.
#[rustfmt::skip]
const KEY_OF: [&str; 31] = [
    "api", "access", "secret", "private", "encryption", "encrypt", "master", "signing", "account",
    "shared", "session", "auth", "license", "app", "application", "service", "psk", "preshared",
    "storage", "accesskey", "fernet", "cipher", "crypto", "hmac", "jwt", "wep", "unseal",
    "recovery", "aes", "cookie", "webhook",
];

/// What an `auth` must be called to be a credential.
const AUTH_OF: [&str; 6] = ["rediscli", "basic", "http", "npm", "registry", "proxy"];

/// Last words of names that speak about a secret and hold none.
#[rustfmt::skip]
const ABOUT: [&str; 75] = [
    "file", "path", "dir", "directory", "name", "names", "id", "ids", "type", "ttl", "length",
    "len", "policy", "url", "uri", "host", "expiry", "expires", "exp", "expiration", "count",
    "limit", "min", "max", "age", "enabled", "disabled", "required", "authentication", "field",
    "prompt", "version", "size", "ref", "refs", "rotation", "bits", "algorithm", "algo", "timeout",
    "lifetime", "manager", "store", "mount", "source", "env", "arn", "endpoint", "issuer",
    "audience", "scope", "scopes", "command", "cmd", "helper", "format", "stdin", "fd", "auth",
    "days", "lock", "warn", "quality", "through", "change", "complexity", "flags", "add", "rm",
    "cert", "certificate", "ca", "crt", "class", "request",
];

/// First words of options that say what is done about a secret and take none.
#[rustfmt::skip]
const SWITCHES: [&str; 24] = [
    "no", "without", "disable", "disabled", "random", "ask", "prompt", "show", "hide", "generate",
    "gen", "empty", "allow", "require", "required", "skip", "ignore", "verify", "check", "expire",
    "delete", "clear", "unlock", "must",
];

/// Last words before `key` in names of a place where a secret is looked up.
const NAMED_BY_KEY: [&str; 4] = ["password", "passwd", "token", "existing"];

/// What a personal access token, a `PAT`, is called after.
const PAT_OF: [&str; 6] = ["github", "gitlab", "azure", "ext", "devops", "ado"];

/// Values that stand where a secret would and are none.
#[rustfmt::skip]
const NONE: [&str; 32] = [
    "", "-", "yes", "no", "true", "false", "on", "off", "none", "null", "nil", "undefined", "ask",
    "prompt", "required", "optional", "sufficient", "disabled", "enabled", "default",
    "without-password", "prohibit-password", "files", "compat", "systemd", "sss", "db", "nis",
    "ldap", "redacted", "stdin", "latest",
];

/// Where files that hold secrets live; a path to one is not the secret.
#[rustfmt::skip]
const ROOTS: [&str; 15] = [
    "/etc/", "/run/", "/var/", "/home/", "/root/", "/tmp/", "/opt/", "/usr/", "/srv/", "/proc/",
    "/mnt/", "/dev/", "~/", "./", "../",
];

/// How much of the end of a name is looked at, in bytes.
const LONGEST: usize = 128;

/// The kind of secret a name announces.
pub(super) fn kind(name: &str) -> Option<&'static str> {
    // The shell's working directories are no passwords.
    if matches!(name, "PWD" | "OLDPWD") {
        return None;
    }
    let name = &name[name.floor_char_boundary(name.len().saturating_sub(LONGEST))..];
    let words = words(name);
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let (&last, before) = words.split_last()?;
    let bare = last.trim_end_matches(|c: char| c.is_ascii_digit());
    if bare == "auth" {
        let of = before.last().copied().unwrap_or_default();
        let leading = before.is_empty() && name.starts_with('_');
        return (leading || AUTH_OF.contains(&of)).then_some("secret");
    }
    let of = before.last().copied().unwrap_or_default();
    // What exists already is named, and so is what an image is pulled with.
    let elsewhere = words.contains(&"existing")
        || words.ends_with(&["image", "pull", "secret"])
        || (last == "hash" && of == "cert");
    if ABOUT.contains(&last) || elsewhere {
        return None;
    }
    if bare == "key" && NAMED_BY_KEY.contains(&of) {
        return None;
    }
    if words.ends_with(&["authentication", "string"]) {
        return Some("password");
    }
    if bare == "pat" && (PAT_OF.contains(&of) || name.ends_with("_PAT")) {
        return Some("token");
    }
    if bare == "key" && KEY_OF.contains(&of) {
        return Some("key");
    }
    if (of == "amz" && bare == "signature") || (before.is_empty() && bare == "sig") {
        return Some("token");
    }
    let look = |table: &[(&str, &'static str)], word: &str| {
        table
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, kind)| *kind)
    };
    look(&AT_END, bare)
        .or_else(|| {
            COMPOUND
                .iter()
                .find(|(end, _)| bare.ends_with(end))
                .map(|(_, kind)| *kind)
        })
        .or_else(|| {
            words
                .iter()
                .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
                .find_map(|word| look(&ANYWHERE, word))
        })
}

/// Whether an option only says what is done about a secret (`--no-password`,
/// `--disabled-password`), so that the next word is something else.
pub(super) fn is_switch(name: &str) -> bool {
    let first = name.split(['-', '_']).next().unwrap_or_default();
    first.len() < name.len()
        && SWITCHES
            .iter()
            .any(|known| first.eq_ignore_ascii_case(known))
}

/// Whether a name announces a command that prints a secret (`--password-command`,
/// `BORG_PASSCOMMAND`, `passwordeval`).
pub(super) fn asks(name: &str) -> bool {
    const ENDS: [&str; 3] = ["command", "cmd", "eval"];
    let name = &name[name.floor_char_boundary(name.len().saturating_sub(LONGEST))..];
    let lower = name.to_ascii_lowercase();
    ENDS.iter().any(|end| {
        lower.strip_suffix(end).is_some_and(|rest| {
            let of = rest.trim_end_matches(['-', '_', '.']);
            kind(of).is_some() || of.ends_with("pass")
        })
    })
}

/// Whether a value in the place of a secret is none: empty, a switch, a
/// reference to where the secret is, or nothing but markers.
pub(super) fn harmless(kind: &str, value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    if NONE.contains(&lower.as_str()) || markers_length(value) == value.len() {
        return true;
    }
    // One character hides nothing; it is rather a number or a switch.
    if value.len() == 1 || lower.ends_with(":latest") {
        return true;
    }
    let masked = ['*', 'x', 'X', '.', '?', '#', '_']
        .iter()
        .any(|mask| value.chars().all(|c| c == *mask));
    if masked || reference(value) {
        return true;
    }
    let points = ["id=", "file:", "env:", "fd:", "arn:", "op://", "@", "type="];
    if points.iter().any(|prefix| lower.starts_with(prefix)) {
        return true;
    }
    let path = ROOTS.iter().any(|root| value.starts_with(root))
        && !value.contains(|c: char| c.is_whitespace() || c == '=' || c == '+');
    let amount = value.trim_end_matches(['s', 'm', 'h', 'd', 'k', 'K', 'M', '%']);
    let number =
        !amount.is_empty() && amount.len() <= 6 && amount.bytes().all(|b| b.is_ascii_digit());
    kind != "password" && (path || number)
}

/// Whether a value only says where a secret is to be taken from.
fn reference(value: &str) -> bool {
    // A variable is written in one case; `$eCret` is rather a password.
    let name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !(text.bytes().any(|b| b.is_ascii_lowercase())
                && text.bytes().any(|b| b.is_ascii_uppercase()))
    };
    if let Some(rest) = value.strip_prefix('$') {
        let inner = rest
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        return name(inner.unwrap_or(rest)) || (rest.starts_with('(') && rest.ends_with(')'));
    }
    let framed = |open: &str, close: &str| {
        value.len() > open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
    };
    framed("`", "`")
        || framed("{{", "}}")
        || framed("<", ">")
        || (framed("%", "%") && name(&value[1..value.len() - 1]))
}

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            words.push(std::mem::take(&mut word));
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let rises = c.is_ascii_uppercase()
            && (before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                || (before.is_some_and(char::is_ascii_uppercase)
                    && after.is_some_and(char::is_ascii_lowercase)));
        if rises {
            words.push(std::mem::take(&mut word));
        }
        word.push(c.to_ascii_lowercase());
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{harmless, is_switch, kind};

    #[test]
    fn names_that_announce_a_secret() {
        for name in [
            "password",
            "PGPASSWORD",
            "MYSQL_PWD",
            "pwd",
            "DB_PASS",
            "dbPassword",
            "--db-password",
            "spring.datasource.password",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "apiKey",
            "api-key",
            "APIKey",
            "client_secret",
            "SECRET_KEY_BASE",
            "_authToken",
            "_auth",
            "REDISCLI_AUTH",
            "SSHPASS",
            "private_key",
            "PrivateKey",
            "token",
            "access_token",
            "BORG_PASSPHRASE",
            "password2",
            "DB_PASSWORD_1",
            "SecretString",
            "TOKEN_STAGING",
            "X-Amz-Signature",
            "AccountKey",
            "sig",
            "requirepass",
            "otp",
            "psk",
            "wifi-sec.psk",
            "WPA_PSK",
            "TLSPSK",
            "wifi-sec.wep-key0",
            "AIRFLOW__CORE__FERNET_KEY",
            "AZURE_DEVOPS_EXT_PAT",
            "GITHUB_PAT",
            "MY_PAT",
            "authentication_string",
            "secretKey",
        ] {
            assert!(kind(name).is_some(), "{name} should announce a secret");
        }
    }

    #[test]
    fn names_that_do_not() {
        for name in [
            "PasswordAuthentication",
            "PermitEmptyPasswords",
            "max_tokens",
            "password-file",
            "password_stdin",
            "PWD",
            "OLDPWD",
            "author",
            "key",
            "public_key",
            "sort-key",
            "AWS_ACCESS_KEY_ID",
            "secretName",
            "secret-id",
            "token-ttl",
            "tokenizer",
            "compass",
            "bypass",
            "passthrough",
            "credential.helper",
            "auth",
            "authentication",
            "keyring",
            "monkey",
            "PASSWORD_MAX_DAYS",
            "secretary",
            "auth.existingSecret",
            "existingSecretPasswordKey",
            "secretKeys.adminPasswordKey",
            "imagePullSecret",
            "discovery-token-ca-cert-hash",
            "psk-flags",
            "secret-add",
            "file_pat",
            "compat",
            "user",
            "",
            "123",
        ] {
            assert_eq!(kind(name), None, "{name} should not announce a secret");
        }
    }

    #[test]
    fn options_that_take_no_secret() {
        for name in [
            "no-password",
            "disabled-password",
            "ask-pass",
            "random_password",
        ] {
            assert!(is_switch(name), "{name}");
        }
        for name in [
            "password",
            "new-password",
            "nopassword",
            "no",
            "db-password",
        ] {
            assert!(!is_switch(name), "{name}");
        }
    }

    #[test]
    fn values_that_are_no_secret() {
        for value in [
            "",
            "no",
            "$TOKEN",
            "${TOKEN}",
            "$(cat f)",
            "`cat f`",
            "***",
            "xxxx",
            "<password>",
            "{{ vault_password }}",
            "[redacted:token:01234567]",
            "file:/x",
            "%PASS%",
            "1",
            "db-password:latest",
        ] {
            assert!(harmless("password", value), "{value}");
        }
        assert!(harmless("token", "/run/secrets/token"));
        assert!(harmless("token", "3600"));
        for value in [
            "hunter2",
            "$ecret!",
            "12345678",
            "${X:-hunter2}",
            "/abc",
            "x1",
            "[redacted:token:01234567]x",
            "[redacted:x]",
        ] {
            assert!(!harmless("password", value), "{value}");
        }
    }
}
