//! The servers of one call: the operator's, and the workspace's beneath them.
//!
//! Invariant: an id the operator registered always stands for the operator's
//! server, and everything on the way to one is the operator's, too; a workspace's
//! entry counts only while the file is the one a person trusted. Both are read
//! once, so that what is judged is what is connected to. It unlocks no record.

use std::path::Path;

use super::failure::failure;
use crate::engine::contract::{Failure, FailureCode};
use crate::registry::{
    Paths, Registry, RegistryError, Scope, ServerId, ServerView, WorkspaceError, WorkspaceServer,
    WorkspaceServers, is_trusted,
};

/// Most servers a connection goes through on its way, as in the registry.
const MAX_JUMPS: usize = 8;

/// What a call can name.
pub(super) struct Layers {
    global: Registry,
    workspace: Vec<WorkspaceServer>,
    /// Whether the workspace has a list that counts for nothing.
    untrusted: bool,
}

impl Layers {
    pub(super) fn read(paths: &Paths, workspace: Option<&Path>) -> Result<Self, Failure> {
        let mut layers = Self {
            global: Registry::open(paths)?,
            workspace: Vec::new(),
            untrusted: false,
        };
        // A file that cannot even be read is as good as none: a repository must
        // not be able to stop work on the operator's own servers.
        let found = workspace.and_then(|workspace| WorkspaceServers::read(workspace).ok()?);
        let Some(found) = found else {
            return Ok(layers);
        };
        if is_trusted(paths, &found)? {
            let entries = found.servers()?;
            layers.workspace = entries
                .into_iter()
                .filter(|entry| layers.global.get(&entry.view.id).is_err())
                .collect();
        } else {
            layers.untrusted = true;
        }
        Ok(layers)
    }

    /// The operator's own.
    pub(super) fn global(&self) -> &Registry {
        &self.global
    }

    /// Every server, in order of the ids.
    pub(super) fn list(&self) -> Vec<ServerView> {
        let mut views = self.global.list();
        views.extend(self.workspace.iter().map(|entry| entry.view.clone()));
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// Finds a server.
    pub(super) fn get(&self, id: &ServerId) -> Result<ServerView, Failure> {
        let absent = match self.global.get(id) {
            Ok(record) => return Ok(record.view(Scope::Global)),
            Err(absent) => absent,
        };
        if let Some(entry) = self.in_workspace(id) {
            return Ok(entry.view.clone());
        }
        let mut failure = Failure::from(absent);
        if self.untrusted {
            failure.next = format!(
                "{} This workspace lists servers of its own, which count for nothing until a \
                 person has looked at them and trusted them.",
                failure.next
            );
        }
        Err(failure)
    }

    /// The workspace's entry of an id, if it is what the id stands for.
    pub(super) fn in_workspace(&self, id: &ServerId) -> Option<&WorkspaceServer> {
        self.workspace.iter().find(|entry| entry.view.id == *id)
    }

    /// The servers on the way and the server itself, the first hop first.
    pub(super) fn route(&self, server: &ServerView) -> Result<Vec<ServerView>, Failure> {
        let mut route = vec![server.clone()];
        let mut here = server.clone();
        while let Some(jump) = here.jump.clone() {
            if route.len() > MAX_JUMPS {
                return Err(RegistryError::JumpTooLong {
                    id: server.id.clone(),
                    limit: MAX_JUMPS,
                }
                .into());
            }
            let missing = RegistryError::JumpMissing {
                id: here.id.clone(),
                jump: jump.clone(),
            };
            let next = self.get(&jump).map_err(|_| Failure::from(missing))?;
            if here.scope == Scope::Global && next.scope == Scope::Workspace {
                return Err(RegistryError::JumpMissing { id: here.id, jump }.into());
            }
            here = next;
            route.push(here.clone());
        }
        route.reverse();
        Ok(route)
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        failure(
            FailureCode::RegistryRecordInvalid,
            format!("The workspace's servers cannot be used: {error}."),
            error.next(),
        )
    }
}
