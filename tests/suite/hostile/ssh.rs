//! An SSH server that lets everybody in and then lies, on a runtime of its own.
//!
//! It speaks like a `/bin/sh` that proves itself, so that a call gets as far as
//! the lie; what comes after that is the test's.
//!
//! Invariant: the host key it names is the one it proves, so that a refusal is
//! about the lie. It judges no answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use openshell_tests::ssh_keygen;
use russh::server::{self, ChannelOpenHandle, Msg, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::sftp::{self, SftpLie};

/// What becomes of a command whose start was announced.
pub(super) type Command =
    fn(server::Handle, Channel<Msg>) -> futures::future::BoxFuture<'static, ()>;

/// How a server behaves; the default is honest and empty.
#[derive(Clone, Default)]
pub(super) struct Behaviour {
    /// Said before the login (RFC 4252 section 5.4).
    pub(super) banner: String,
    /// Prompts asked instead of taking a password.
    pub(super) prompts: Option<&'static [(&'static str, bool)]>,
    /// Bytes the client may send in a channel, where that is not plenty.
    pub(super) window: Option<u32>,
    /// What a shell says instead of proving itself.
    pub(super) noise: Option<Command>,
    /// What a command does; by default it answers `id` and ends.
    pub(super) command: Option<Command>,
    /// Counts the sessions that are asked for, and leaves every wish unanswered.
    pub(super) mute: Option<&'static AtomicUsize>,
    /// Hears what is typed into a shell.
    pub(super) heard: Option<fn(&str)>,
    /// How SFTP answers.
    pub(super) files: Option<SftpLie>,
}

/// A running server.
pub(super) struct Liar {
    port: u16,
    host_key: String,
    _runtime: Runtime,
    _dir: TempDir,
}

impl Liar {
    pub(super) fn start(behaviour: Behaviour) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("host_key");
        ssh_keygen(&key, "ed25519", "");
        let host_key = std::fs::read_to_string(key.with_extension("pub")).expect("just made");
        let methods = match behaviour.prompts {
            Some(_) => MethodKind::KeyboardInteractive,
            None => MethodKind::Password,
        };
        let config = Arc::new(server::Config {
            keys: vec![russh::keys::load_secret_key(&key, None).expect("just made")],
            methods: MethodSet::from([methods].as_slice()),
            window_size: behaviour.window.unwrap_or(1 << 20),
            ..server::Config::default()
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer {
                    behaviour: behaviour.clone(),
                    rounds: 0,
                    unanswered: Vec::new(),
                    channels: HashMap::new(),
                    shells: HashMap::new(),
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, peer).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self {
            port,
            host_key,
            _runtime: runtime,
            _dir: dir,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn host_key(&self) -> &str {
        &self.host_key
    }
}

/// One connection.
struct Peer {
    behaviour: Behaviour,
    rounds: usize,
    /// Kept, since the library refuses what is dropped.
    unanswered: Vec<ChannelOpenHandle>,
    channels: HashMap<ChannelId, Channel<Msg>>,
    /// What was typed into each shell so far.
    shells: HashMap<ChannelId, String>,
}

impl server::Handler for Peer {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok((!self.behaviour.banner.is_empty()).then(|| self.behaviour.banner.clone()))
    }

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<server::Auth, russh::Error> {
        Ok(if self.behaviour.prompts.is_some() {
            server::Auth::reject()
        } else {
            server::Auth::Accept
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        _: Option<Response<'a>>,
    ) -> Result<server::Auth, russh::Error> {
        self.rounds += 1;
        let prompts = self.behaviour.prompts.unwrap_or_default();
        Ok(server::Auth::Partial {
            name: super::EVIL.into(),
            instructions: super::EVIL.into(),
            prompts: prompts
                .iter()
                .map(|(text, echo)| ((*text).into(), *echo))
                .collect::<Vec<_>>()
                .into(),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        if let Some(asked) = self.behaviour.mute {
            asked.fetch_add(1, Ordering::SeqCst);
            self.unanswered.push(reply);
            return Ok(());
        }
        reply.accept().await;
        Ok(())
    }

    fn adjust_window(&mut self, _: ChannelId, current: u32) -> u32 {
        match self.behaviour.window {
            Some(_) => 0,
            None => current,
        }
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        let lie = self.behaviour.files.unwrap_or(|_| None);
        if let Some(channel) = self.channels.remove(&id) {
            tokio::spawn(sftp::serve(channel.into_stream(), lie));
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        match self.behaviour.noise {
            Some(noise) => {
                if let Some(channel) = self.channels.remove(&id) {
                    tokio::spawn(noise(session.handle(), channel));
                }
            }
            None => {
                self.shells.insert(id, String::new());
            }
        }
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(typed) = self.shells.get_mut(&id) else {
            return Ok(());
        };
        if let Some(heard) = self.behaviour.heard {
            heard(&String::from_utf8_lossy(data));
        }
        typed.push_str(&String::from_utf8_lossy(data));
        let Some(nonce) = nonce(typed) else {
            return Ok(());
        };
        if typed.contains(&format!("echo {nonce} run")) {
            self.shells.remove(&id);
            let line = format!("{nonce} run\n");
            session.data(id, line.clone().into_bytes())?;
            session.extended_data(id, 1, line.into_bytes())?;
            let command = self.behaviour.command.unwrap_or(|_, channel| {
                async move {
                    let _ = channel.data(&b"uid=0(root) gid=0(root)\n"[..]).await;
                    let _ = channel.exit_status(0).await;
                    let _ = channel.close().await;
                }
                .boxed()
            });
            if let Some(channel) = self.channels.remove(&id) {
                tokio::spawn(command(session.handle(), channel));
            }
        } else if !typed.contains("was ready") {
            session.data(id, format!("{nonce} ready 4242\n").into_bytes())?;
            typed.push_str("was ready");
        }
        Ok(())
    }
}

/// The word before `ready $$` in what a shell is sent to prove itself.
fn nonce(typed: &str) -> Option<String> {
    let (before, _) = typed.split_once(" ready $$")?;
    before.rsplit(' ').next().map(str::to_owned)
}
