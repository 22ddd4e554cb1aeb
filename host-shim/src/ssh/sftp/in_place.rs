//! Rewriting a file where it is, for files that cannot be replaced.
//!
//! Invariant: it happens only where it was planned, so that the person was told
//! it is not atomic; once the first byte is sent, every failure says that the
//! file may hold a mixture. It deliberately makes no file.

use russh_sftp::protocol::{FileAttributes, OpenFlags};

use super::attrs::Attrs;
use super::error::SftpError;
use super::plan::{Expect, WritePlan};
use super::session::Sftp;
use super::write::{WriteOutcome, mode_only};

impl Sftp {
    /// Rewrites the file where it is.
    pub(super) async fn rewrite(&self, plan: &WritePlan) -> Result<WriteOutcome, SftpError> {
        if plan.expect == Expect::Absent {
            return Err(SftpError::NotAsPlanned {
                path: plan.path.clone(),
                reason: "a new file is never written in place".to_owned(),
            });
        }
        self.compare(plan).await?;
        let handle = self
            .open_raw(&plan.path, OpenFlags::WRITE, FileAttributes::empty())
            .await?;
        let incomplete = |error: SftpError| match error {
            SftpError::Lost { .. } => SftpError::Lost { changed: true },
            error => SftpError::Incomplete {
                path: plan.path.clone(),
                reason: error.to_string(),
            },
        };
        // Content first and the length after it: a reader in between finds a
        // mixture, but never an empty file.
        let sha256 = self
            .push(&handle, &plan.path, &plan.content)
            .await
            .map_err(incomplete)?;
        let length = FileAttributes {
            size: Some(plan.content.len() as u64),
            ..FileAttributes::empty()
        };
        self.set(&handle, &plan.path, length)
            .await
            .map_err(incomplete)?;
        let reply = self.ask(|raw| raw.fstat(handle.name.as_str())).await;
        let now = Attrs::from(
            &reply
                .map_err(|error| incomplete(self.fail(error, &plan.path)))?
                .attrs,
        );
        if now.mode != plan.mode {
            self.set(&handle, &plan.path, mode_only(plan.mode))
                .await
                .map_err(incomplete)?;
        }
        let synced = self.sync(&handle, &plan.path).await.map_err(incomplete)?;
        handle.close(&plan.path).await.map_err(incomplete)?;
        Ok(WriteOutcome {
            atomic: false,
            drift: self.read_back(plan, &sha256).await,
            sha256,
            created: false,
            synced,
        })
    }
}
