//! What stands for something else: `~`, `${NAME}` and `%` tokens.
//!
//! Invariant: a token that cannot be filled in is an error and never left in place,
//! where it would name another file or host. It does not look up other accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the account and its machine contribute.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Home directory (`~`, `%d`).
    pub home: PathBuf,
    /// Login name on this machine (`%u`).
    pub user: String,
    /// Numeric user id (`%i`).
    pub uid: u32,
    /// Name of this machine, with its domain where it has one (`%l`); empty where
    /// it is not known.
    pub host: String,
    /// Variables of the environment.
    pub variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// Those of this process; none where the account has no home.
    #[must_use]
    pub fn of_process() -> Option<Self> {
        let home = std::env::home_dir()?;
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        // proc(5), or what a shell says where there is none.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| named("HOSTNAME").cloned());
        Some(Self {
            user: named("USER")
                .or_else(|| named("LOGNAME"))
                .cloned()
                .unwrap_or_default(),
            uid: rustix::process::getuid().as_raw(),
            host: host.unwrap_or_default().trim().to_owned(),
            home,
            variables,
        })
    }

    /// Fills in `${NAME}`.
    pub(super) fn environment(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after
                .split_once('}')
                .ok_or_else(|| format!("{text:?} does not close its ${{"))?;
            let value = self
                .variables
                .get(name)
                .ok_or_else(|| format!("the environment has no {name}"))?;
            filled.push_str(before);
            filled.push_str(value);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// What a connection contributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection<'a> {
    /// Name as it was asked for (`%n`).
    pub(super) alias: &'a str,
    /// Host name after `HostName` (`%h`).
    pub(super) host: &'a str,
    /// `%p`.
    pub(super) port: u16,
    /// Login name on the server (`%r`).
    pub(super) user: &'a str,
    /// `HostKeyAlias`, or the name as it was asked for (`%k`).
    pub(super) key_alias: &'a str,
    /// `ProxyJump` as it stands (`%j`).
    pub(super) jump: &'a str,
}

/// Fills in the tokens in `allowed` (`ssh_config(5)`, TOKENS).
pub(super) fn fill(
    text: &str,
    allowed: &str,
    connection: &Connection<'_>,
    surroundings: &Surroundings,
) -> Result<String, String> {
    let mut filled = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            filled.push(character);
            continue;
        }
        let token = characters
            .next()
            .ok_or_else(|| format!("{text:?} ends in %"))?;
        if token != '%' && !allowed.contains(token) {
            return Err(format!("the token %{token} is not filled in here"));
        }
        if matches!(token, 'l' | 'L') && surroundings.host.is_empty() {
            return Err("the name of this machine is not known".to_owned());
        }
        match token {
            '%' => filled.push('%'),
            'h' => filled.push_str(connection.host),
            'n' => filled.push_str(connection.alias),
            'p' => filled.push_str(&connection.port.to_string()),
            'r' => filled.push_str(connection.user),
            'k' => filled.push_str(connection.key_alias),
            'j' => filled.push_str(connection.jump),
            'u' => filled.push_str(&surroundings.user),
            'i' => filled.push_str(&surroundings.uid.to_string()),
            'd' => filled.push_str(&surroundings.home.to_string_lossy()),
            'l' => filled.push_str(&surroundings.host),
            'L' => {
                let short = surroundings.host.split('.').next();
                filled.push_str(short.unwrap_or_default());
            }
            other => return Err(format!("the token %{other} is not known")),
        }
    }
    Ok(filled)
}

/// Reads `~` and `~/…`; another account's home is not looked up.
pub(super) fn in_home(text: &str, home: &Path) -> Result<PathBuf, String> {
    match text.strip_prefix('~') {
        None => Ok(PathBuf::from(text)),
        Some("") => Ok(home.to_owned()),
        Some(rest) => match rest.strip_prefix('/') {
            Some(rest) => Ok(home.join(rest)),
            None => Err(format!("{text:?} names the home of another account")),
        },
    }
}
