//! Host keys as a person meets them: fetched, shown, compared, agreed to.
//!
//! Invariant: a key counts as vouched for only after a person at a terminal said
//! so, or named it themselves. Where keys are stored is decided elsewhere.

use std::time::Duration;

use openshell_host::ssh::known_hosts::{KnownHosts, Verdict};
use openshell_host::ssh::{HostKey, Target, fetch_host_key};
use serde_json::{Value, json};

use super::server_randomart::randomart;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{BOLD, Ui};

/// Time to fetch a host key.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads a key as `--host-key` gives it.
pub(super) fn parse(text: &str) -> Result<HostKey, CliError> {
    HostKey::parse(text).map_err(|error| {
        CliError::usage(format!("--host-key: {error}"))
            .next("It looks like \"ssh-ed25519 AAAA…\": the first two words of a .pub file.")
    })
}

/// Asks a server for its keys, through the servers on the way to it.
pub(super) fn fetch(
    context: &Context,
    host: &str,
    port: u16,
    jump: Option<&Target>,
) -> Result<Vec<HostKey>, CliError> {
    let keys = context
        .runtime()
        .block_on(fetch_host_key(host, port, jump, FETCH_TIMEOUT))?;
    Ok(keys)
}

/// Refuses keys that a file says must not be accepted.
pub(super) fn refuse_revoked(
    known: &KnownHosts,
    host: &str,
    port: u16,
    keys: &[HostKey],
) -> Result<(), CliError> {
    for key in keys {
        if let Verdict::Revoked { file, line } = known.check(host, port, key) {
            return Err(CliError::failed(format!(
                "the key {} {} is revoked in line {line} of {}",
                key.key_type(),
                key.fingerprint(),
                file.display()
            ))
            .next("A revoked key is never accepted; the server needs a new one."));
        }
    }
    Ok(())
}

/// Shows keys with their fingerprints and pictures.
pub(super) fn show(ui: Ui, keys: &[HostKey]) {
    for key in keys {
        ui.note(&format!(
            "  {BOLD}{} {}{BOLD:#}",
            key.key_type(),
            key.fingerprint()
        ));
        for line in randomart(key).lines() {
            ui.note(&format!("    {line}"));
        }
    }
}

/// Says how to compare.
pub(super) fn say_how_to_compare(ui: Ui) {
    ui.note(
        "Compare with `ssh-keygen -lvf /etc/ssh/ssh_host_ed25519_key.pub` on the server itself.",
    );
}

/// A key as JSON.
pub(super) fn describe(key: &HostKey) -> Value {
    json!({"type": key.key_type(), "fingerprint": key.fingerprint()})
}
