//! The servers a person sees from where they stand: the operator's own, and those
//! of the workspace, also the ones that count for nothing and why.
//!
//! Invariant: it decides nothing: what counts is decided by the host, from the same
//! files.

use std::path::PathBuf;

use openshell_host::approvals::escape_line;
use openshell_host::registry::{
    Registry, Scope, ServerId, ServerView, WorkspaceServers, is_trusted,
};
use serde_json::{Value, json};

use super::server::{describe, open};
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// A server, and why it counts for nothing, where it does not.
pub(super) struct Listed {
    pub(super) view: ServerView,
    /// The workspace's list, for its servers.
    pub(super) file: Option<PathBuf>,
    pub(super) inert: Option<Inert>,
}

/// Why an entry of a workspace does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inert {
    Untrusted,
    Shadowed,
}

impl Inert {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Untrusted => "not trusted",
            Self::Shadowed => "the operator's own server of this id counts instead",
        }
    }

    fn next(self) -> &'static str {
        match self {
            Self::Untrusted => "`openshell trust` shows what the workspace lists, and asks.",
            Self::Shadowed => "Give the entry another id if both are needed.",
        }
    }
}

impl Listed {
    /// As JSON; never with a credential.
    pub(super) fn json(&self) -> Value {
        let mut value = describe(&self.view);
        if self.view.scope == Scope::Workspace {
            value["file"] = json!(self.file);
            value["inert"] = json!(self.inert.map(Inert::reason));
        }
        value
    }

    /// What is special about it, in a word or two.
    pub(super) fn remark(&self) -> String {
        match self.inert {
            Some(inert) => format!("inert: {}", inert.reason()),
            None if self.view.disabled => "disabled".to_owned(),
            None => String::new(),
        }
    }

    /// Refuses an entry that counts for nothing.
    pub(super) fn require_effect(&self) -> Result<(), CliError> {
        match self.inert {
            None => Ok(()),
            Some(inert) => Err(CliError::failed(format!(
                "server {} of this workspace counts for nothing: {}",
                self.view.id,
                inert.reason()
            ))
            .next(inert.next())
            .code("SERVER_NOT_FOUND")),
        }
    }
}

/// Every server, in order of the ids; an inert entry stands behind what counts.
pub(super) fn all(context: &Context, ui: Ui) -> Result<Vec<Listed>, CliError> {
    let registry = open(context, ui)?;
    let global = registry.list().into_iter().map(|view| Listed {
        view,
        file: None,
        inert: None,
    });
    let mut listed: Vec<Listed> = global.collect();
    listed.extend(of_workspace(context, &registry, ui));
    listed.sort_by(|a, b| (&a.view.id, a.inert.is_some()).cmp(&(&b.view.id, b.inert.is_some())));
    Ok(listed)
}

/// The server an id stands for here.
pub(super) fn named(context: &Context, id: &ServerId, ui: Ui) -> Result<Listed, CliError> {
    let found = all(context, ui)?
        .into_iter()
        .find(|listed| listed.view.id == *id);
    match found {
        Some(listed) => Ok(listed),
        // In the registry's own words.
        None => Err(open(context, Ui::new(false))?
            .get(id)
            .err()
            .map_or_else(|| CliError::internal("a server was not found"), Into::into)),
    }
}

/// A list that cannot be read stops nothing of the operator's; it is said.
fn of_workspace(context: &Context, registry: &Registry, ui: Ui) -> Vec<Listed> {
    let Some(here) = std::env::current_dir().ok() else {
        return Vec::new();
    };
    let read = || {
        let Some(file) = WorkspaceServers::read(&here)? else {
            return Ok(None);
        };
        let trusted = is_trusted(context.paths(), &file)?;
        Ok(Some((trusted, file.servers()?, file.path().to_owned())))
    };
    let result: Result<_, openshell_host::registry::WorkspaceError> = read();
    let (trusted, servers, path) = match result {
        Ok(Some(found)) => found,
        Ok(None) => return Vec::new(),
        Err(error) => {
            ui.warn(&escape_line(&error.to_string()));
            return Vec::new();
        }
    };
    servers
        .into_iter()
        .map(|server| {
            let shadowed = registry.get(&server.view.id).is_ok();
            Listed {
                inert: match (trusted, shadowed) {
                    (false, _) => Some(Inert::Untrusted),
                    (true, true) => Some(Inert::Shadowed),
                    (true, false) => None,
                },
                view: server.view,
                file: Some(path.clone()),
            }
        })
        .collect()
}
