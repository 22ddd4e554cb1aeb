//! What a file is right now, for comparing it with what is kept.
//!
//! Invariant: it is a read like any other: judged, asked about where the policy
//! asks, and on record. It compares nothing.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::call::Call;
use super::keep::file_state;
use super::permit::{Permit, Plan};
use super::place::present;
use super::{Supervisor, ToolCall};
use crate::approvals::Asker;
use crate::engine::contract::{Failure, ReadSpec, Report};
use crate::snapshots::{FileState, LARGEST};

impl Supervisor {
    /// Reads a file of a server whole; its name with every symbolic link followed,
    /// and its state.
    ///
    /// # Errors
    /// The [`Failure`] a tool call would have: rejected, not agreed to, not there,
    /// or no connection.
    pub async fn live(
        &self,
        server: &str,
        path: &str,
        workspace: Option<PathBuf>,
        door: &'static str,
        asker: Arc<dyn Asker>,
    ) -> Result<(String, FileState<'static>), Failure> {
        let call = ToolCall {
            tool: "diff".to_owned(),
            arguments: json!({"server": server, "path": path}).to_string(),
            door,
            workspace,
            ..ToolCall::default()
        };
        let call = Arc::new(Call::new(self.clone(), call, asker));
        match call.live(server, path).await {
            Ok(found) => {
                let report = Report {
                    code: None,
                    message: None,
                    next: None,
                    data: None,
                };
                call.finish(report).await;
                Ok(found)
            }
            Err(failure) => {
                call.finish_failed(&failure).await;
                Err(failure)
            }
        }
    }
}

impl Call {
    async fn live(
        &self,
        server: &str,
        path: &str,
    ) -> Result<(String, FileState<'static>), Failure> {
        let action = self.open(server).await?;
        let history = action.record().history_name();
        let whole = ReadSpec {
            path: path.to_owned(),
            offset: 0,
            length: u32::MAX,
            sudo: self.was_as_root(&history, path).await?,
        };
        let Permit {
            plan,
            verdict,
            operation,
            connection,
            ..
        } = self.permit_read(&action, whole).await?;
        let Plan::Read(spec) = plan else {
            return Err(self.misused("The permit is not for reading."));
        };
        action.attempt(&verdict, &operation, false).await?;
        let found = if spec.sudo {
            self.look_as_root(&connection, &spec.path, LARGEST).await?.1
        } else {
            let sftp = self.sftp(&connection).await?;
            self.while_wanted(present(&sftp, &spec.path, LARGEST))
                .await?
        };
        action.note_facts(|facts| facts.execution.completed = true);
        Ok((spec.path, file_state(found.as_ref())))
    }
}
