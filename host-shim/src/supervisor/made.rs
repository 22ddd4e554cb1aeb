//! States that changes made and did not get to keep: a change that was cut off
//! before its snapshot, or whose snapshot could not be written.
//!
//! Invariant: a state is kept as a change's own only if the record says that the
//! change was to make just that, and nothing was kept of the file since the state it
//! began with. It changes nothing on a server.

use super::action::Action;
use super::as_root;
use super::call::Call;
use super::change::Present;
use super::digest::sha256;
use super::keep::{Keeper, blocking, file_state};
use super::restore::kept_of;
use crate::engine::contract::{Decision, Failure, Request};
use crate::fault::{self, Point};
use crate::journal::{Context, EventKind, Filter, Journal, JournalError, Operation};
use crate::snapshots::{FileState, LARGEST, Revision};
use crate::ssh::{FileKind, Sftp, SftpError, SshError};

/// What is found at a path.
pub(super) enum Look {
    File(Present),
    /// Something no write of ours can have made, with its permission bits.
    Other(u32),
    Nothing,
}

/// What a write is compared with.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Empty for what is no file.
    pub(super) sha256: String,
    pub(super) mode: u32,
    /// As `UID:GID`, where it is a file.
    pub(super) owner: Option<String>,
}

impl Look {
    /// Hash and permission bits; none where there is nothing.
    pub(super) fn found(&self) -> Option<(String, u32)> {
        match self {
            Self::File(file) => Some((sha256(&file.content), file.attrs.mode)),
            Self::Other(mode) => Some((String::new(), *mode)),
            Self::Nothing => None,
        }
    }

    /// Everything a write is compared with.
    pub(super) fn facts(&self) -> Option<Found> {
        let (sha256, mode) = self.found()?;
        let owner = match self {
            Self::File(file) => Some((file.attrs.uid, file.attrs.gid)),
            Self::Other(_) | Self::Nothing => None,
        };
        Some(Found {
            sha256,
            mode,
            owner: owner.map(|(uid, gid)| format!("{uid}:{gid}")),
        })
    }

    fn state(&self) -> Option<FileState<'static>> {
        match self {
            Self::File(file) => Some(file_state(Some(file))),
            Self::Other(_) => None,
            Self::Nothing => Some(FileState::Absent),
        }
    }
}

impl Call {
    /// Keeps the state a change left as the change's own.
    ///
    /// # Errors
    /// Where the snapshot store cannot be used, or the policy not be read.
    pub(super) async fn keep_made(
        &self,
        action: &Action,
        context: &Context,
        operation: &Operation,
        path: &str,
        look: &Look,
    ) -> Result<(), Failure> {
        let record = action.record();
        let here = context.server.as_deref() == Some(record.id.as_str())
            && context.scope == record.scope_name();
        let (Some(state), Some(before)) = (look.state(), &operation.snapshot) else {
            return Ok(());
        };
        if !here {
            // Known by another name then, under which its history is.
            return Ok(());
        }
        let read = Request::ReadPath(path.to_owned());
        let mut secret = self.judge(action, read, None, None)?.decision != Decision::AutoAllow;
        if operation.run_as.is_some()
            && let Look::File(file) = look
        {
            secret |= as_root::is_hidden(Some(file));
        }
        if secret {
            // What is kept of it is sealed.
            self.resources().master_key().await?;
        }
        let keeper = Keeper {
            snapshots: self.resources().snapshots()?,
            server: record.history_name(),
            path: path.to_owned(),
            tool: context.tool.clone(),
            action: context.action.clone(),
            session: context.session.clone(),
            door: context.door.clone(),
            approved: None,
            secret,
            run_as: operation.run_as.as_ref().map(|_| as_root::ROOT),
            restores: None,
        };
        let before = before.clone();
        fault::reach(Point::SettleKeeping);
        Ok(blocking(move || keeper.found_made(state, &before)).await??)
    }

    /// As [`Call::catch_up`], for a file whose history was not looked at.
    ///
    /// # Errors
    /// As [`Call::catch_up`], or where the snapshot store cannot be read.
    pub(super) async fn catch_up_with(
        &self,
        action: &Action,
        history: &str,
        path: &str,
        now: Option<&Present>,
    ) -> Result<bool, Failure> {
        let snapshots = self.resources().snapshots()?;
        let kept = kept_of(&snapshots, history, path).await?;
        let Some(newest) = kept.first() else {
            return Ok(false);
        };
        if newest.sealed {
            // Only its content tells. Where that cannot be read there is nothing to go by.
            if self.resources().master_key().await.is_err() {
                return Ok(false);
            }
            let (server, path, id) = (history.to_owned(), path.to_owned(), newest.id.clone());
            let load = move || snapshots.load(&server, &path, &id);
            match blocking(load).await? {
                Ok(state) if !state.same_as(&file_state(now)) => {}
                Ok(_) | Err(_) => return Ok(false),
            }
        }
        self.catch_up(action, newest, now).await
    }

    /// Where a file is not what was last kept of it, looks in the journal for a
    /// change that made it what it is and could not keep it. Says whether there was
    /// one.
    ///
    /// # Errors
    /// As [`Call::keep_made`], or where the journal cannot be read.
    pub(super) async fn catch_up(
        &self,
        action: &Action,
        newest: &Revision,
        now: Option<&Present>,
    ) -> Result<bool, Failure> {
        let look = now.map_or(Look::Nothing, |now| Look::File(now.clone()));
        let found = look.found();
        let kept = newest.metadata.as_ref().map(|metadata| metadata.mode);
        let same = kept == found.as_ref().map(|(_, mode)| *mode)
            && newest.sha256.as_ref() == found.as_ref().map(|(sha256, _)| sha256);
        if same {
            return Ok(false);
        }
        let dir = action.journal().dir().to_owned();
        let filter = Filter {
            server: Some(action.server().to_owned()),
            since: Some(newest.time),
            ..Filter::default()
        };
        let before = newest.id.clone();
        let search = move || made_since(&dir, filter, &before, found.as_ref());
        let Some((context, operation)) = blocking(search).await?? else {
            return Ok(false);
        };
        self.keep_made(action, &context, &operation, &newest.path, &look)
            .await?;
        Ok(true)
    }
}

/// The change on record that began with a kept state and made what was found.
fn made_since(
    dir: &std::path::Path,
    filter: Filter,
    before: &str,
    found: Option<&(String, u32)>,
) -> Result<Option<(Context, Operation)>, JournalError> {
    let mut made: Option<(Context, Operation)> = None;
    let mut done = false;
    for record in Journal::read(dir, filter)? {
        let entry = record?.entry;
        match entry.event {
            EventKind::Attempt => {
                let (Some(context), Some(operation)) = (entry.context(), entry.operation) else {
                    continue;
                };
                let snapshot = operation.snapshot.as_deref().unwrap_or_default();
                let sha256 = found.map(|(sha256, _)| sha256);
                let mode = found.map(|(_, mode)| *mode);
                let fits = operation.kind == "write"
                    && snapshot.starts_with(before)
                    && operation.new_sha256.as_ref() == sha256
                    && operation.mode == mode;
                if fits {
                    made = Some((context, operation));
                    done = false;
                }
            }
            EventKind::Outcome => {
                let about = made.as_ref().map(|(context, _)| &context.action);
                if about.is_some() && about == entry.action.as_ref() {
                    done = entry.outcome.is_some_and(|outcome| outcome.happened());
                }
            }
            _ => {}
        }
    }
    Ok(made.filter(|_| done))
}

/// What a path holds now; none where that cannot be found out.
pub(super) async fn look_at(sftp: &Sftp, path: &str) -> Option<Look> {
    match sftp.stat(path).await {
        Ok(attrs) if attrs.kind == FileKind::File && attrs.size <= LARGEST => {
            let (content, attrs) = sftp.read_whole(path, LARGEST).await.ok()?;
            Some(Look::File(Present { content, attrs }))
        }
        // Too large for any write of ours, or no file any more.
        Ok(attrs) => Some(Look::Other(attrs.mode)),
        Err(SshError::Sftp(SftpError::NoSuchFile { .. })) => Some(Look::Nothing),
        Err(_) => None,
    }
}
