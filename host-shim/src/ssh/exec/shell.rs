//! A `/bin/sh` on the server that has proved itself and waits for one command.
//!
//! Invariant: until the second part is sent nothing of the caller's runs, so
//! every failure here is known to have started nothing. It deliberately serves
//! once: a shell is never used for two commands.

use std::time::Duration;

use russh::ChannelMsg;

use crate::fault::{self, Point};
use crate::ssh::channel::SessionChannel;
use crate::ssh::connection::Connection;
use crate::ssh::error::SshError;
use crate::ssh::pace::OwnTime;

use super::script;

/// What rc files may print before the shell is ready.
const NOISE_LIMIT: usize = 256 << 10;

/// Most lines a script of ours prints.
const LINES_LIMIT: usize = 4096;

/// Bytes of that noise shown when the shell never comes.
const DETAIL_LIMIT: usize = 300;

/// A shell that is ready.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) channel: SessionChannel,
    /// Random word that marks our lines in the output.
    pub(super) nonce: String,
    /// Process group of everything the shell will run.
    pub(super) group: u32,
}

impl Shell {
    /// A shell for one command: the spare one, or a new one.
    pub(super) async fn obtain(connection: &Connection) -> Result<Self, SshError> {
        match connection.spare().take() {
            Some(shell) => Ok(shell),
            None => Self::open(connection).await,
        }
    }

    /// A shell for ending a command or for finding out what became of it, which
    /// does not wait behind other commands.
    pub(super) async fn obtain_now(connection: &Connection) -> Result<Self, SshError> {
        match connection.spare().take() {
            Some(shell) => Ok(shell),
            None => {
                let channel = connection.sessions().for_ending(connection).await?;
                Self::start(channel, connection).await
            }
        }
    }

    /// Opens a channel and waits until the shell in it is ready.
    pub(super) async fn open(connection: &Connection) -> Result<Self, SshError> {
        let channel = connection.sessions().for_command(connection).await?;
        Self::start(channel, connection).await
    }

    async fn start(channel: SessionChannel, connection: &Connection) -> Result<Self, SshError> {
        let limit = connection.target().connect_timeout;
        let proven = OwnTime::new(limit)
            .within(Self::prove(channel, connection))
            .await;
        proven.unwrap_or_else(|| {
            Err(SshError::NoPosixShell {
                detail: format!("nothing within {} ms", limit.as_millis()),
            })
        })
    }

    async fn prove(mut channel: SessionChannel, connection: &Connection) -> Result<Self, SshError> {
        let nonce = nonce()?;
        channel.exec(script::EXEC).await?;
        // Sent ahead of the answer where that does no harm: it saves a round trip.
        let mut sent = connection.ignores_early_data();
        if sent {
            channel.send(script::opening(&nonce).into_bytes()).await?;
        }
        let mut noise = Noise::default();
        let mut again = false;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) => {
                    noise.out.extend_from_slice(&data);
                    match proof(&noise.out, &nonce) {
                        None => {}
                        Some(Proof::Ready(group)) => {
                            fault::reach(Point::ShellReady);
                            return Ok(Self {
                                channel,
                                nonce,
                                group,
                            });
                        }
                        Some(Proof::Again) if !again => {
                            again = true;
                            noise.out.clear();
                            channel.send(script::opening(&nonce).into_bytes()).await?;
                        }
                        // Such as behind a ForceCommand that wraps the shell.
                        Some(Proof::Again | Proof::NoGroup) => {
                            return Err(noise.refusal(
                                "its commands have no process group of their own, and there is \
                                 no setsid(1) to give them one",
                            ));
                        }
                    }
                    if noise.out.len() > NOISE_LIMIT {
                        return Err(noise.refusal("endless output"));
                    }
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    if noise.err.len() < NOISE_LIMIT {
                        noise.err.extend_from_slice(&data);
                    }
                }
                Some(ChannelMsg::Success) if !sent => {
                    sent = true;
                    channel.send(script::opening(&nonce).into_bytes()).await?;
                }
                Some(ChannelMsg::Failure) => {
                    return Err(noise.refusal("it runs no commands"));
                }
                None | Some(ChannelMsg::Close) if connection.is_closed() => {
                    return Err(SshError::ConnectionLost { started: false });
                }
                None | Some(ChannelMsg::Close) => {
                    return Err(noise.refusal("it ended at once"));
                }
                Some(_) => {}
            }
        }
    }

    /// Runs a short script of ours and returns the word it prints after the nonce.
    pub(super) async fn ask(mut self, script: String, limit: Duration) -> Result<String, SshError> {
        let conversation = async {
            self.channel.send(script.into_bytes()).await?;
            let mut out = Vec::new();
            while let Some(message) = self.channel.wait().await {
                if let ChannelMsg::Data { data } = message {
                    out.extend_from_slice(&data);
                    if let Some((word, _)) = marked_line(&out, &self.nonce) {
                        return Ok(word.to_owned());
                    }
                    // Ours is one short line; whoever prints more is not our script.
                    if out.len() > NOISE_LIMIT {
                        break;
                    }
                }
            }
            Err(SshError::ConnectionLost { started: true })
        };
        OwnTime::new(limit)
            .within(conversation)
            .await
            .unwrap_or(Err(SshError::ConnectionLost { started: true }))
    }

    /// Runs a script of ours that ends with `NONCE end`, and returns what it
    /// printed after the nonce, line by line, without that end.
    pub(super) async fn collect(
        mut self,
        script: String,
        limit: Duration,
    ) -> Result<Vec<String>, SshError> {
        let conversation = async {
            self.channel.send(script.into_bytes()).await?;
            let mut out = Vec::new();
            let mut lines = Vec::new();
            while let Some(message) = self.channel.wait().await {
                let ChannelMsg::Data { data } = message else {
                    continue;
                };
                out.extend_from_slice(&data);
                while let Some((line, rest)) = marked_line(&out, &self.nonce) {
                    if line == "end" {
                        return Ok(lines);
                    }
                    lines.push(line.to_owned());
                    out = rest.to_vec();
                }
                if out.len() > NOISE_LIMIT || lines.len() > LINES_LIMIT {
                    break;
                }
            }
            Err(SshError::ConnectionLost { started: true })
        };
        OwnTime::new(limit)
            .within(conversation)
            .await
            .unwrap_or(Err(SshError::ConnectionLost { started: true }))
    }
}

/// Output before the shell was ready.
#[derive(Default)]
struct Noise {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Noise {
    fn refusal(&self, what: &str) -> SshError {
        let printed = [&self.out[..], &self.err[..]].concat();
        let text = String::from_utf8_lossy(&printed);
        let text: String = text.trim().chars().take(DETAIL_LIMIT).collect();
        SshError::NoPosixShell {
            detail: if text.is_empty() {
                what.to_owned()
            } else {
                format!("{what}, after {text:?}")
            },
        }
    }
}

/// The line that begins with the nonce, without it, and what follows the line.
pub(super) fn marked_line<'a>(bytes: &'a [u8], nonce: &str) -> Option<(&'a str, &'a [u8])> {
    let mark = nonce.as_bytes();
    let start = bytes
        .windows(mark.len())
        .position(|window| window == mark)?
        + mark.len();
    let rest = &bytes[start..];
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(&rest[..end]).unwrap_or_default();
    Some((line.trim(), &rest[end + 1..]))
}

/// What a shell said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// It leads this process group.
    Ready(u32),
    /// It made way for one that will.
    Again,
    /// It leads none.
    NoGroup,
}

/// The proof in the marked line, once the line is complete.
fn proof(bytes: &[u8], nonce: &str) -> Option<Proof> {
    let (line, _) = marked_line(bytes, nonce)?;
    if line == "again" {
        return Some(Proof::Again);
    }
    let group = line
        .strip_prefix("ready ")
        .and_then(|number| number.parse().ok())
        // Groups 0 and 1 would be ours and the whole system's.
        .filter(|&group| group > 1);
    Some(group.map_or(Proof::NoGroup, Proof::Ready))
}

/// 128 random bits in hexadecimal.
fn nonce() -> Result<String, SshError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| SshError::Local(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_line_is_found_in_noise() {
        let table = [
            ("", None),
            ("motd\n", None),
            ("N ready 12", None),
            ("N ready 12\n", Some(Proof::Ready(12))),
            ("motd without end N ready 12\n", Some(Proof::Ready(12))),
            ("N again\n", Some(Proof::Again)),
            ("N ready x\n", Some(Proof::NoGroup)),
            ("N ready 1\n", Some(Proof::NoGroup)),
            ("N other\n", Some(Proof::NoGroup)),
        ];
        for (text, expected) in table {
            assert_eq!(proof(text.as_bytes(), "N"), expected, "{text:?}");
        }
        assert_eq!(
            marked_line(b"x\nN run\nrest", "N"),
            Some(("run", &b"rest"[..]))
        );
    }
}
