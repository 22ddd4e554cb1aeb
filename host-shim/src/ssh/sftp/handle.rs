//! Open handles of an SFTP session.
//!
//! A server gives out few, for as long as the channel lasts, so one that is forgotten
//! is lost to every call after.
//!
//! Invariant: whatever was opened is closed, also where nobody waits for it any more,
//! be it before or after the server answered. Only a lost channel closes them by
//! itself.

use std::sync::Arc;

use futures::FutureExt;
use russh_sftp::client::error::Error as Raw;
use russh_sftp::client::rawsession::RawSftpSession;
use russh_sftp::protocol;
use tokio::sync::oneshot;

use super::error::SftpError;
use super::session::Sftp;

/// An open handle, closed when it is dropped.
pub(super) struct Handle<'a> {
    sftp: &'a Sftp,
    pub(super) name: String,
    open: Open,
}

/// What has to be closed.
struct Open {
    raw: Arc<RawSftpSession>,
    name: Option<String>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // The request is queued by the first poll; nobody needs the answer.
            let _ = self.raw.close(name).now_or_never();
        }
    }
}

impl<'a> Handle<'a> {
    /// Opens by a request that is made in a task of its own, since its answer has to be
    /// heard whoever has gone meanwhile.
    pub(super) async fn opened<F, R>(sftp: &'a Sftp, request: F) -> Result<Self, Raw>
    where
        F: FnOnce(Arc<RawSftpSession>) -> R + Send + 'static,
        R: Future<Output = Result<protocol::Handle, Raw>> + Send,
    {
        let raw = sftp.shared();
        let opening = sftp.ask(|_| {
            let (sender, opened) = oneshot::channel();
            tokio::spawn(async move {
                let opened = request(Arc::clone(&raw)).await.map(|handle| Open {
                    raw,
                    name: Some(handle.handle),
                });
                // What nobody takes is closed by being dropped.
                let _ = sender.send(opened);
            });
            async {
                let ended = |_| Raw::UnexpectedBehavior("the task that opens it ended".to_owned());
                opened.await.map_err(ended)?
            }
        });
        let open = opening.await?;
        Ok(Self {
            sftp,
            name: open.name.clone().unwrap_or_default(),
            open,
        })
    }

    /// Closes the handle and waits for the answer.
    pub(super) async fn close(mut self, path: &str) -> Result<(), SftpError> {
        let Some(name) = self.open.name.take() else {
            return Ok(());
        };
        let reply = self.sftp.ask(|raw| raw.close(name)).await;
        reply
            .map_err(|error| self.sftp.fail(error, path))
            .map(|_| ())
    }
}
