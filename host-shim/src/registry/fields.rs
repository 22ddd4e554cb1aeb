//! What the plain fields of a record may hold.
//!
//! Invariant: a value accepted here is printable ASCII and cannot be taken for
//! an option, a pattern or a second field by whatever it is handed to. Nothing
//! here asks whether a host or a user exists.

use std::net::Ipv6Addr;

/// Longest host name: RFC 1035, section 2.3.4.
const MAX_HOST: usize = 255;
/// Longest user name; OpenSSH itself sets no lower bound that matters here.
const MAX_USER: usize = 128;
/// Longest label, in characters.
const MAX_LABEL: usize = 64;
/// Most labels on one server.
const MAX_LABELS: usize = 64;
/// Longest path of a login shell on the server, in bytes.
const MAX_SHELL: usize = 256;

/// Why a field is refused: its name and one clause saying what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    /// Name of the field, as it stands in the file.
    pub(super) field: &'static str,
    /// A clause that follows the name of the field.
    pub(super) reason: String,
}

fn refuse<T>(field: &'static str, reason: impl Into<String>) -> Result<T, FieldError> {
    Err(FieldError {
        field,
        reason: reason.into(),
    })
}

/// Accepts a DNS name, an IPv4 address or an IPv6 address without brackets.
pub(super) fn host(text: &str) -> Result<(), FieldError> {
    const FIELD: &str = "host";
    if text.is_empty() || text.len() > MAX_HOST {
        return refuse(FIELD, format!("must have 1 to {MAX_HOST} characters"));
    }
    if text.contains(':') {
        return match text.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => refuse(
                FIELD,
                format!("{text:?} is no IPv6 address; give a port in its own field"),
            ),
        };
    }
    if text.starts_with(['-', '.']) {
        return refuse(
            FIELD,
            format!("{text:?} must begin with a letter or a digit"),
        );
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match text.chars().find(|c| !allowed(*c)) {
        Some(found) => refuse(
            FIELD,
            format!("{text:?} holds {found:?}; write an international name in its ASCII form"),
        ),
        None => Ok(()),
    }
}

/// Accepts any TCP port but 0, which no server listens on.
pub(super) fn port(number: u16) -> Result<(), FieldError> {
    if number == 0 {
        refuse("port", "must be 1 to 65535")
    } else {
        Ok(())
    }
}

/// Accepts a login name of visible ASCII that does not begin with `-`.
pub(super) fn user(text: &str) -> Result<(), FieldError> {
    const FIELD: &str = "user";
    if text.is_empty() || text.len() > MAX_USER {
        return refuse(FIELD, format!("must have 1 to {MAX_USER} characters"));
    }
    if text.starts_with('-') {
        return refuse(FIELD, format!("{text:?} must not begin with '-'"));
    }
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        Some(found) => refuse(FIELD, format!("{text:?} holds {found:?}")),
        None => Ok(()),
    }
}

/// Accepts labels that a policy rule can name without quoting, none twice.
pub(super) fn labels(labels: &[String]) -> Result<(), FieldError> {
    const FIELD: &str = "labels";
    if labels.len() > MAX_LABELS {
        return refuse(FIELD, format!("are more than {MAX_LABELS}"));
    }
    for (index, label) in labels.iter().enumerate() {
        if label.is_empty() || label.len() > MAX_LABEL {
            return refuse(FIELD, format!("must have 1 to {MAX_LABEL} characters each"));
        }
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '=');
        if label.starts_with('-') || !label.chars().all(allowed) {
            return refuse(
                FIELD,
                format!("{label:?} holds more than A-Z a-z 0-9 . _ : = -"),
            );
        }
        if labels[..index].contains(label) {
            return refuse(FIELD, format!("name {label:?} twice"));
        }
    }
    Ok(())
}

/// Accepts the absolute path of a shell on the server.
pub(super) fn shell(text: &str) -> Result<(), FieldError> {
    const FIELD: &str = "shell";
    if !text.starts_with('/') || text.len() > MAX_SHELL {
        return refuse(FIELD, format!("{text:?} must be an absolute path"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+');
    if text.ends_with('/') || !text.chars().all(allowed) {
        return refuse(
            FIELD,
            format!("{text:?} is not the plain path of a program"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{host, labels, port, shell, user};

    #[test]
    fn hosts() {
        for good in [
            "a",
            "db-1.internal",
            "10.0.0.1",
            "::1",
            "fe80::1",
            "my_host",
        ] {
            assert_eq!(host(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "-oProxyCommand=x",
            "a b",
            "a:22",
            "[::1]",
            "a/b",
            "u@h",
            "h\u{00f6}st",
            "a\0",
        ] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
        assert!(host(&"a".repeat(256)).is_err());
    }

    #[test]
    fn ports_and_users() {
        assert!(port(0).is_err());
        assert_eq!(port(22), Ok(()));
        for good in ["root", "dom\\anna", "a@b.example", "deploy-1"] {
            assert_eq!(user(good), Ok(()), "{good:?}");
        }
        for bad in ["", "-l", "a b", "a\n", "a\u{202e}"] {
            assert!(user(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn label_sets() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(labels(&set(&["prod", "tier:web", "env=live"])), Ok(()));
        assert_eq!(labels(&[]), Ok(()));
        for bad in [&["prod", "prod"][..], &[""], &["a b"], &["*"], &["-x"]] {
            assert!(labels(&set(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shells() {
        for good in ["/bin/sh", "/usr/bin/bash", "/run/current-system/sw/bin/zsh"] {
            assert_eq!(shell(good), Ok(()), "{good:?}");
        }
        for bad in ["", "sh", "/bin/sh -c", "/bin/", "/bin/s'h"] {
            assert!(shell(bad).is_err(), "{bad:?}");
        }
    }
}
