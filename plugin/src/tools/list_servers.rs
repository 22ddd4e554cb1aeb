//! `list_servers`: which servers there are. No connection, no credential.
//!
//! Invariant: it opens no action, so nothing is asked of anybody. What a model may
//! see of a server is chosen by the host.

use serde_json::json;

use super::arguments::Arguments;
use super::report::Report;
use super::{Definition, schema};
use crate::bindings::openshell::host::servers::{self, AuthKind, Scope};
use crate::bindings::openshell::host::types::Sudo;

pub(super) fn definition() -> Definition {
    Definition {
        name: "list_servers",
        description: "List the servers you may work on, with labels. `server` of the remote_* \
                      tools is an id or, unless they write, a list of ids or label:NAME.",
        parameters: schema(json!({}), &[]),
        read_only: true,
    }
}

pub(super) fn call(_arguments: Arguments) -> Result<Report, Report> {
    let servers: Vec<_> = servers::list_servers()?
        .into_iter()
        .map(|server| {
            let mut shown = json!({
                "id": server.id,
                "host": server.host,
                "port": server.port,
                "user": server.user,
                "labels": server.labels,
                "scope": match server.scope {
                    Scope::Global => "global",
                    Scope::Workspace => "workspace",
                },
                "auth": match server.auth {
                    AuthKind::Password => "password",
                    AuthKind::IdentityFile => "identity-file",
                    AuthKind::Agent => "agent",
                },
            });
            if server.sudo == Sudo::Ask {
                shown["sudo"] = json!("ask");
            }
            shown
        })
        .collect();
    let message = servers.is_empty().then(|| {
        "No server is registered. A person adds one with `openshell server add`.".to_owned()
    });
    Ok(Report::data(json!({ "servers": servers })).with_message(message))
}
