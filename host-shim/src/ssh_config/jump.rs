//! One hop of `ProxyJump`.
//!
//! Invariant: a text that is no hop is an error, never a host of that name. The
//! chain and its order are not its business.

/// One host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Name to look up in the configuration.
    pub alias: String,
    /// Login name, where the chain gives one.
    pub user: Option<String>,
    /// Port, where the chain gives one.
    pub port: Option<u16>,
}

impl Jump {
    /// A host that is asked for by its name alone.
    #[must_use]
    pub fn to(alias: impl Into<String>) -> Self {
        Self {
            alias: alias.into(),
            user: None,
            port: None,
        }
    }
}

/// One hop: `[user@]host[:port]` or `ssh://[user@]host[:port]`.
pub(super) fn parse_jump(text: &str) -> Result<Jump, String> {
    let refused = || format!("ProxyJump {text:?} is no [user@]host[:port]");
    let plain = text.strip_prefix("ssh://").unwrap_or(text);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let (user, place) = match plain.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, plain),
    };
    let (alias, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(refused)?;
            (address, after.strip_prefix(':'))
        }
        None => match place.rsplit_once(':') {
            // More than one colon is an address of IPv6 without a port.
            Some((address, _)) if address.contains(':') => (place, None),
            Some((address, port)) => (address, Some(port)),
            None => (place, None),
        },
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port @ 1..)) => Some(port),
        Some(_) => return Err(refused()),
    };
    if alias.is_empty() || user.as_deref() == Some("") {
        return Err(refused());
    }
    Ok(Jump {
        alias: alias.to_owned(),
        user,
        port,
    })
}
