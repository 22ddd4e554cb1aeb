//! Permits for looking at paths: content, metadata, names.
//!
//! Invariant: a path is judged as it was asked for and as it resolves on the
//! server, and the effect uses the resolved one. No content is handed out here.

use std::sync::Arc;

use super::action::Action;
use super::as_root;
use super::call::Call;
use super::permit::{Permit, Plan, accounts, path_operation};
use crate::approvals::{Matter, escape_line};
use crate::engine::contract::{Failure, ReadSpec, Request, Verdict, WalkSpec};
use crate::journal;
use crate::snapshots::LARGEST;
use crate::ssh::{Connection, SshError};

impl Call {
    pub(super) async fn permit_read(
        &self,
        action: &Action,
        spec: ReadSpec,
    ) -> Result<Permit, Failure> {
        if spec.sudo {
            return self.permit_read_as_root(action, spec).await;
        }
        let (connection, verdict, resolved) = self
            .permit_path(action, &spec.path, Request::ReadPath)
            .await?;
        let mut operation = path_operation("read", &resolved);
        operation.digest = self
            .digester("read", action, &connection)
            .text("path", &resolved)
            .number("offset", spec.offset)
            .number("length", u64::from(spec.length))
            .finish();
        self.consent_path(action, &verdict, &resolved, "content", &operation)
            .await?;
        let plan = Plan::Read(ReadSpec {
            path: resolved,
            ..spec
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    /// As [`Call::permit_read`], of what root reads. Looking where the path leads reads
    /// the file as root before the question, and that is thrown away; what the guest gets
    /// is read once the permit is spent, as everywhere.
    async fn permit_read_as_root(
        &self,
        action: &Action,
        spec: ReadSpec,
    ) -> Result<Permit, Failure> {
        let does = "reads a file";
        let requested = || Request::ReadPath(spec.path.clone());
        let verdict = self.judge(action, requested(), None, None)?;
        let verdict = self.as_root(action, verdict, does)?;
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;
        let (resolved, _) = self.look_as_root(&connection, &spec.path, LARGEST).await?;
        let verdict = self.judge(action, requested(), None, Some(&resolved))?;
        let verdict = self.as_root(action, verdict, does)?;
        let mut operation = path_operation("read", &resolved);
        operation.run_as = accounts(&verdict);
        operation.digest = self
            .digester("read", action, &connection)
            .text("path", &resolved)
            .text("as", as_root::ROOT)
            .number("offset", spec.offset)
            .number("length", u64::from(spec.length))
            .finish();
        self.consent_path(action, &verdict, &resolved, "content", &operation)
            .await?;
        let plan = Plan::Read(ReadSpec {
            path: resolved,
            ..spec
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    pub(super) async fn permit_stat(
        &self,
        action: &Action,
        path: String,
    ) -> Result<Permit, Failure> {
        let (connection, verdict, resolved) =
            self.permit_path(action, &path, Request::StatPath).await?;
        let mut operation = path_operation("stat", &path);
        operation.digest = self
            .digester("stat", action, &connection)
            .text("path", &path)
            .finish();
        self.consent_path(action, &verdict, &resolved, "metadata", &operation)
            .await?;
        Ok(Permit::new(
            action,
            connection,
            Plan::Stat(path),
            &verdict,
            operation,
        ))
    }

    pub(super) async fn permit_walk(
        &self,
        action: &Action,
        spec: WalkSpec,
    ) -> Result<Permit, Failure> {
        let (connection, verdict, resolved) = self
            .permit_path(action, &spec.path, Request::ListPath)
            .await?;
        let mut operation = path_operation("walk", &resolved);
        operation.digest = self
            .digester("walk", action, &connection)
            .text("path", &resolved)
            .number("recursive", u64::from(spec.recursive))
            .number("limit", u64::from(spec.limit))
            .finish();
        self.consent_path(action, &verdict, &resolved, "names", &operation)
            .await?;
        let plan = Plan::Walk(WalkSpec {
            path: resolved,
            ..spec
        });
        Ok(Permit::new(action, connection, plan, &verdict, operation))
    }

    /// Judges a path as it was asked for and as it resolves on the server.
    pub(super) async fn permit_path(
        &self,
        action: &Action,
        path: &str,
        request: fn(String) -> Request,
    ) -> Result<(Arc<Connection>, Verdict, String), Failure> {
        let verdict = self.judge(action, request(path.to_owned()), None, None)?;
        self.require_asker(action, &verdict).await?;
        let connection = self.connection(action).await?;
        let resolving = async {
            let sftp = connection.sftp().await?;
            // A name that does not resolve is judged as it stands; the effect then
            // says that it is not there.
            let resolved = sftp.realpath(path).await;
            Ok::<_, SshError>(resolved.unwrap_or_else(|_| path.to_owned()))
        };
        let resolved = self.while_wanted(resolving).await?;
        if resolved == path {
            return Ok((connection, verdict, resolved));
        }
        let verdict = self.judge(action, request(path.to_owned()), None, Some(&resolved))?;
        self.require_asker(action, &verdict).await?;
        Ok((connection, verdict, resolved))
    }

    async fn consent_path(
        &self,
        action: &Action,
        verdict: &Verdict,
        path: &str,
        what: &'static str,
        operation: &journal::Operation,
    ) -> Result<(), Failure> {
        let matter = Matter::Read {
            path: escape_line(path),
            what,
        };
        self.consent(action, verdict, matter, operation).await
    }
}
