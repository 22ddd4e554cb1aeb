//! A connection by the library alone: no policy, no record, no shell of ours.
//!
//! Invariant: cipher and server are those of the other side of the comparison, so
//! the difference is ours. It does not look at host keys and is good for measuring
//! alone.

use std::path::Path;
use std::sync::Arc;

use openshell_host::ssh::Target;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, Preferred, cipher};

use crate::Fallible;

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

pub(crate) struct Bare {
    session: Handle<Trusting>,
}

impl Bare {
    pub(crate) async fn connect(target: &Target, key: &Path) -> Fallible<Self> {
        let mut preferred = Preferred::DEFAULT;
        // The same cipher as on the other side of the comparison.
        preferred.cipher = vec![cipher::AES_256_GCM].into();
        let config = client::Config {
            nodelay: true,
            preferred,
            ..client::Config::default()
        };
        let address = (target.host.as_str(), target.port);
        let mut session = client::connect(Arc::new(config), address, Trusting).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(key, None)?), None);
        let login = session
            .authenticate_publickey(target.user.as_str(), key)
            .await?;
        if !login.success() {
            return Err("the server refuses the key".into());
        }
        Ok(Self { session })
    }

    /// Runs a command line to its end.
    pub(crate) async fn run(&self, command: &str) -> Fallible<()> {
        let mut channel = self.session.channel_open_session().await?;
        channel.exec(true, command).await?;
        let mut status = None;
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        match status {
            Some(0) => Ok(()),
            other => Err(format!("{command} ended with {other:?}").into()),
        }
    }

    pub(crate) async fn ping(&self) -> Fallible<()> {
        Ok(self.session.send_ping().await?)
    }
}
