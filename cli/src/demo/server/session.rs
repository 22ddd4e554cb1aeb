//! One connection: who is let in, and what a channel may ask for.
//!
//! Invariant: only session channels are opened, each asks for one command or
//! for SFTP, once; everything else is refused with an answer, so that no client
//! waits for one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Server, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::confine::Root;
use super::exec;
use super::sftp::Sftp;

/// Makes the handler of each connection.
pub(super) struct Door {
    root: Arc<Root>,
    client: Arc<PublicKey>,
    tasks: TaskTracker,
}

impl Door {
    /// Lets in the holder of `client`; work is counted in `tasks`.
    pub(super) fn new(root: Root, client: PublicKey, tasks: TaskTracker) -> Self {
        Self {
            root: Arc::new(root),
            client: Arc::new(client),
            tasks,
        }
    }
}

impl Server for Door {
    type Handler = Connection;

    fn new_client(&mut self, _: Option<SocketAddr>) -> Connection {
        Connection {
            root: self.root.clone(),
            client: self.client.clone(),
            tasks: self.tasks.clone(),
            idle: HashMap::new(),
        }
    }
}

/// One connection.
pub(super) struct Connection {
    root: Arc<Root>,
    client: Arc<PublicKey>,
    tasks: TaskTracker,
    /// Channels that have not asked for anything yet.
    idle: HashMap<ChannelId, Channel<Msg>>,
}

impl Connection {
    fn judge(&self, key: &PublicKey) -> Auth {
        // Comments are not part of a key.
        if key.key_data() == self.client.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.idle.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.idle.remove(&id);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.idle.remove(&id) else {
            return session.channel_failure(id);
        };
        match exec::start(command, self.root.path()) {
            Ok(running) => {
                session.channel_success(id)?;
                self.tasks.spawn(running.serve(channel, session.handle()));
                Ok(())
            }
            Err(_) => session.channel_failure(id),
        }
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name != "sftp" {
            return session.channel_failure(id);
        }
        let Some(channel) = self.idle.remove(&id) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        // The library does not say when it is done, but it drops the handler
        // then, and with it the sender.
        let (ended, over) = oneshot::channel();
        let sftp = Sftp::new(self.root.clone(), ended);
        russh_sftp::server::run(channel.into_stream(), sftp).await;
        let handle = session.handle();
        self.tasks.spawn(async move {
            let _ = over.await;
            // A client that is gone needs no farewell.
            let _ = handle.exit_status_request(id, 0).await;
            let _ = handle.eof(id).await;
            let _ = handle.close(id).await;
        });
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}
