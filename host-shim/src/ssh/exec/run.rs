//! One command from its start to its end.
//!
//! Invariant: the program is sent exactly once, and from that moment every way
//! out is an [`ExecOutcome`] or says that it may have run; output is always
//! read, so no command can block the connection. It deliberately waits for no
//! process that was left in the background.

use std::time::Duration;

use russh::{ChannelMsg, Sig};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fault::{self, Point};
use crate::ssh::connection::Connection;
use crate::ssh::error::SshError;
use crate::ssh::pace;

use super::bounded::{Collector, Watch};
use super::ending::{self, Cause};
use super::shell::{Shell, marked_line};
use super::{End, ExecOutcome, ExecRequest, script};

/// How long the output may stay silent after the command ended before whoever
/// still holds it is left behind.
const GRACE: Duration = Duration::from_millis(200);

/// How long a command runs before the next spare shell is opened beside it: a
/// server with few processors would otherwise start that instead of the command.
const SPARE_AFTER: Duration = Duration::from_millis(25);

/// Bytes of output accepted after the command ended, and for how long. Pipes and
/// windows hold less; more can only come from something that still runs, or from a
/// server that makes it up.
const AFTERMATH_LIMIT: u64 = 32 << 20;
const AFTERMATH_TIME: Duration = Duration::from_secs(10);

/// How much may come before our own first line on a stream.
const PREAMBLE_LIMIT: usize = 256 << 10;

/// Longest name of a signal taken over, in bytes; those of RFC 4254 section 6.10
/// have four letters at most, and local ones add an `@` and a domain.
const MAX_SIGNAL: usize = 64;

/// Runs a command over a connection.
pub(in crate::ssh) async fn run(
    connection: &Connection,
    request: ExecRequest,
    watch: Watch,
    cancel: CancellationToken,
) -> Result<ExecOutcome, SshError> {
    // Refused before anything is opened.
    script::command(
        "",
        &request.program,
        request.cwd.as_deref(),
        &connection.target().shell,
        request.mark.as_deref(),
    )?;
    // The command's own time starts with the command; waiting for a turn behind
    // others may take as long as the command may, and a round trip in any case.
    let patience = request.timeout.max(connection.target().connect_timeout);
    let shell = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(SshError::Cancelled),
        shell = Shell::obtain(connection) => shell?,
        () = pace::pass(patience) => return Err(SshError::TimedOut),
    };
    let text = script::command(
        &shell.nonce,
        &request.program,
        request.cwd.as_deref(),
        &connection.target().shell,
        request.mark.as_deref(),
    )?;
    let mut running = Running::new(shell, &request, &watch);
    fault::reach(Point::CommandBefore);
    let deadline = running.started_at + request.timeout;
    let sent = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Cause::Cancelled),
        // A server that opens no window would keep us sending for ever.
        () = sleep_until(deadline) => Err(Cause::TimedOut),
        sent = running.shell.channel.send(text.into_bytes()) => Ok(sent),
    };
    match sent {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(SshError::ConnectionLost { started: true }),
        Err(cause) => {
            let mark = request.mark.as_deref();
            return Ok(ending::end_early(running, connection, cause, mark).await);
        }
    }
    fault::reach(Point::CommandSent);
    let outcome = running.follow(connection, &request, &cancel).await;
    connection.spare().prepare(connection);
    outcome
}

/// A stream whose first marked line is ours, and whose rest is the command's.
#[derive(Debug)]
enum Output {
    Before(Vec<u8>, Collector),
    Since(Collector),
}

impl Output {
    /// Takes bytes; returns our line when it has just come.
    fn push(&mut self, bytes: &[u8], nonce: &str) -> Option<String> {
        match self {
            Self::Since(collector) => {
                collector.push(bytes);
                None
            }
            Self::Before(pending, collector) => {
                pending.extend_from_slice(bytes);
                let Some((line, rest)) = marked_line(pending, nonce) else {
                    let excess = pending.len().saturating_sub(PREAMBLE_LIMIT);
                    pending.drain(..excess);
                    return None;
                };
                let line = line.to_owned();
                collector.push(rest);
                let taken = std::mem::replace(collector, Collector::new(0, 0));
                *self = Self::Since(taken);
                Some(line)
            }
        }
    }

    fn total(&self) -> u64 {
        match self {
            Self::Before(..) => 0,
            Self::Since(collector) => collector.total(),
        }
    }

    fn finish(self) -> super::Printed {
        match self {
            // What came before our line is not the command's.
            Self::Before(_, collector) | Self::Since(collector) => collector.finish(),
        }
    }
}

/// A command that may have started.
pub(super) struct Running {
    pub(super) shell: Shell,
    stdout: Output,
    stderr: Output,
    started_at: Instant,
    /// Our line on standard output.
    line: Option<String>,
    status: Option<End>,
}

/// What a message from the channel means for the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Output,
    Status,
    Closed,
    Other,
}

impl Running {
    fn new(shell: Shell, request: &ExecRequest, watch: &Watch) -> Self {
        // Both streams share a result, and standard error is the shorter one mostly.
        let shares = if watch.spool.is_some() { 2 } else { 1 };
        let output = |share: usize| {
            let (head, tail) = (request.head_limit / share, request.tail_limit / share);
            Output::Before(Vec::new(), Collector::watched(head, tail, watch.clone()))
        };
        Self {
            shell,
            stdout: output(1),
            stderr: output(shares),
            started_at: Instant::now(),
            line: None,
            status: None,
        }
    }

    /// Takes in the next message.
    pub(super) async fn advance(&mut self) -> Event {
        match self.shell.channel.wait().await {
            None | Some(ChannelMsg::Close) => Event::Closed,
            Some(ChannelMsg::Data { data }) => {
                if let Some(line) = self.stdout.push(&data, &self.shell.nonce) {
                    self.line = Some(line);
                }
                Event::Output
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                self.stderr.push(&data, &self.shell.nonce);
                Event::Output
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                self.status = Some(End::Exit(exit_status));
                Event::Status
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.status = Some(End::Signal(signal_text(&signal_name)));
                Event::Status
            }
            Some(_) => Event::Other,
        }
    }

    async fn follow(
        mut self,
        connection: &Connection,
        request: &ExecRequest,
        cancel: &CancellationToken,
    ) -> Result<ExecOutcome, SshError> {
        let deadline = self.started_at + request.timeout;
        let beside = sleep_until(self.started_at + SPARE_AFTER);
        tokio::pin!(beside);
        let mut prepared = false;
        let cause = loop {
            // Limits come first: a command that prints without pause must not
            // keep them from being looked at.
            tokio::select! {
                biased;
                () = cancel.cancelled() => break Some(Cause::Cancelled),
                () = sleep_until(deadline) => break Some(Cause::TimedOut),
                () = &mut beside, if !prepared => {
                    prepared = true;
                    connection.spare().prepare(connection);
                }
                event = self.advance() => match event {
                    Event::Status | Event::Closed => break None,
                    Event::Output | Event::Other => {}
                },
            }
        };
        match cause {
            Some(cause) => {
                let mark = request.mark.as_deref();
                Ok(ending::end_early(self, connection, cause, mark).await)
            }
            None => self.wind_up(connection, request).await,
        }
    }

    /// The command ended, or its channel did: collects the last of its output.
    async fn wind_up(
        mut self,
        connection: &Connection,
        request: &ExecRequest,
    ) -> Result<ExecOutcome, SshError> {
        fault::reach(Point::CommandEnded);
        let ended_at = Instant::now();
        let mut note = None;
        let mut left = Vec::new();
        let most = self.printed() + AFTERMATH_LIMIT;
        while !self.shell.channel.is_closed() {
            let silence = Instant::now() + GRACE;
            let enough = ended_at + AFTERMATH_TIME;
            tokio::select! {
                biased;
                () = sleep_until(enough) => {}
                event = self.advance() => {
                    if event == Event::Closed || self.printed() <= most {
                        continue;
                    }
                }
                () = sleep_until(silence) => {}
            }
            self.shell.channel.abandon();
            note = Some(
                "the command ended but left a process in the background that holds its output; \
                 it was not waited for"
                    .to_owned(),
            );
            let group = self.shell.group;
            left = ending::left_of(connection, request.mark.as_deref(), group).await;
            break;
        }
        match self.line.as_deref() {
            Some("run") => {}
            Some("cwd") => {
                return Err(SshError::NoSuchDirectory {
                    cwd: request.cwd.clone().unwrap_or_default(),
                });
            }
            _ if self.status.is_some() => {
                // The shell says it is done, yet never came to the command.
                return Err(SshError::NoPosixShell {
                    detail: "it ended before the command".to_owned(),
                });
            }
            _ => return Err(SshError::ConnectionLost { started: true }),
        }
        let end = self.status.take().unwrap_or(End::Lost);
        let mut outcome = self.outcome(end, ended_at, note);
        outcome.left = left;
        Ok(outcome)
    }

    pub(super) fn outcome(self, end: End, ended_at: Instant, note: Option<String>) -> ExecOutcome {
        ExecOutcome {
            left: Vec::new(),
            group: self.shell.group,
            duration: ended_at.duration_since(self.started_at),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            end,
            note,
        }
    }

    fn printed(&self) -> u64 {
        self.stdout.total() + self.stderr.total()
    }
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) if name.len() <= MAX_SIGNAL => name.clone(),
        Sig::Custom(_) => "of no known name".to_owned(),
        // Derived Debug of the unit variants is their RFC 4254 name.
        known => format!("{known:?}"),
    }
}
