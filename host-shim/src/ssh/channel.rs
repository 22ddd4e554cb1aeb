//! Session channels: how many may be open, and that none is ever left open.
//!
//! Invariant: a channel that goes out of scope is closed and drained, and its
//! slot is free again only once the server has closed it too. It deliberately
//! knows nothing of what runs in a channel.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelStream, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::SshError;

/// Sessions used of the ten that OpenSSH allows a connection by default
/// (`MaxSessions`), which leaves two to a person looking in by the same master.
const FIRST_LIMIT: usize = 8;

/// How long a process may take to end once its standard input has.
const EOF_LIMIT: Duration = Duration::from_secs(2);

/// How long a server may take to confirm that a channel is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a subsystem's answers that may wait to be taken apart.
const READ_AHEAD: usize = 1 << 20;

/// When a connection was last used, shared with what outlives a borrow of it.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<Instant>>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn idle(&self) -> Duration {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}

/// How many sessions one connection may have open. First come, first served.
#[derive(Debug)]
pub(super) struct Slots {
    permits: Arc<Semaphore>,
    limit: AtomicUsize,
}

/// The right to have one session open.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(FIRST_LIMIT)),
            limit: AtomicUsize::new(FIRST_LIMIT),
        }
    }

    /// Waits for a free slot, in order of arrival.
    pub(super) async fn acquire(&self) -> Result<Slot, SshError> {
        let permits = Arc::clone(&self.permits);
        match permits.acquire_owned().await {
            Ok(permit) => Ok(Slot { _permit: permit }),
            // Only close() closes the semaphore.
            Err(_) => Err(SshError::ConnectionLost { started: false }),
        }
    }

    /// Takes a slot away for good, because the server refused to fill it.
    /// Returns how many are left. The last one is kept, for a server that
    /// refuses now and not later; then none is left for this call.
    pub(super) fn retire(&self, slot: Slot) -> usize {
        let before = self
            .limit
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |limit| {
                (limit > 1).then(|| limit - 1)
            });
        match before {
            Ok(limit) => {
                slot._permit.forget();
                limit - 1
            }
            Err(_) => 0,
        }
    }

    /// How many sessions could be opened right now.
    pub(super) fn free(&self) -> usize {
        self.permits.available_permits()
    }

    /// How many sessions the server is believed to allow.
    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Wakes everyone who waits, with an error.
    pub(super) fn close(&self) {
        self.permits.close();
    }
}

/// An open session channel.
#[derive(Debug)]
pub(super) struct SessionChannel {
    // Both are present until the channel is taken apart on drop.
    halves: Option<(ChannelReadHalf, ChannelWriteHalf<Msg>)>,
    slot: Option<Slot>,
    closed: bool,
    abandoned: bool,
}

impl SessionChannel {
    pub(super) fn new(channel: Channel<Msg>, slot: Slot) -> Self {
        Self {
            halves: Some(channel.split()),
            slot: Some(slot),
            closed: false,
            abandoned: false,
        }
    }

    /// Closes the channel without another chance for what is left in it.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    fn halves(&mut self) -> Result<&mut (ChannelReadHalf, ChannelWriteHalf<Msg>), SshError> {
        self.halves
            .as_mut()
            .ok_or(SshError::ConnectionLost { started: false })
    }

    /// Next message; none when the channel or the connection is gone.
    pub(super) async fn wait(&mut self) -> Option<ChannelMsg> {
        let message = match &mut self.halves {
            Some((read, _)) if !self.closed => read.wait().await,
            _ => None,
        };
        if matches!(message, None | Some(ChannelMsg::Close)) {
            self.closed = true;
        }
        message
    }

    /// Asks the server to run a command line by the login shell.
    pub(super) async fn exec(&mut self, command: &str) -> Result<(), SshError> {
        Ok(self.halves()?.1.exec(true, command).await?)
    }

    /// Sends bytes to the command's standard input.
    pub(super) async fn send(&mut self, bytes: Vec<u8>) -> Result<(), SshError> {
        Ok(self.halves()?.1.data_bytes(bytes).await?)
    }

    /// Ends the command's standard input.
    pub(super) async fn eof(&mut self) -> Result<(), SshError> {
        Ok(self.halves()?.1.eof().await?)
    }

    /// Asks the server to start a subsystem.
    pub(super) async fn request_subsystem(&mut self, name: &str) -> Result<(), SshError> {
        Ok(self.halves()?.1.request_subsystem(true, name).await?)
    }

    /// Whether the other side has closed, as far as messages were read.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Reads until the channel is closed.
async fn drain(read: &mut ChannelReadHalf) {
    while !matches!(read.wait().await, None | Some(ChannelMsg::Close)) {}
}

impl Drop for SessionChannel {
    fn drop(&mut self) {
        let slot = self.slot.take();
        let Some((mut read, write)) = self.halves.take() else {
            return;
        };
        if self.closed {
            return;
        }
        // Without a runtime the connection's own task is gone as well.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let abandoned = self.abandoned;
        runtime.spawn(async move {
            if !abandoned {
                // A process that ends by itself frees its session for sure;
                // sshd answers a close before the process is gone.
                let _ = write.eof().await;
                let ended = drain(&mut read);
                if tokio::time::timeout(EOF_LIMIT, ended).await.is_ok() {
                    return;
                }
            }
            let _ = write.close().await;
            // Whether it was confirmed or not: there is nothing more to do.
            let _ = tokio::time::timeout(CLOSE_LIMIT, drain(&mut read)).await;
            drop(slot);
        });
    }
}

impl SessionChannel {
    /// The channel as a byte stream, for a subsystem. Dropping the stream closes
    /// the channel, and only the server's confirmation frees its slot.
    pub(super) fn into_stream(mut self) -> Result<SubsystemStream, SshError> {
        let writer = self.halves()?.1.make_writer();
        let (reader, mut pump) = tokio::io::duplex(READ_AHEAD);
        let guard = CancellationToken::new();
        let dropped = guard.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = dropped.cancelled() => return,
                    message = self.wait() => match message {
                        Some(ChannelMsg::Data { data }) => {
                            if pump.write_all(&data).await.is_err() {
                                return;
                            }
                        }
                        None | Some(ChannelMsg::Eof | ChannelMsg::Close) => return,
                        Some(_) => {}
                    },
                }
            }
        });
        Ok(SubsystemStream {
            reader,
            writer: Box::new(writer),
            _guard: guard.drop_guard(),
        })
    }
}

/// A byte stream over a session channel.
pub(super) struct SubsystemStream {
    reader: DuplexStream,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    _guard: DropGuard,
}

impl AsyncRead for SubsystemStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for SubsystemStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

/// A TCP connection made by a server, which keeps the connection to that server.
pub(super) struct Tunnel<K> {
    inner: ChannelStream<Msg>,
    _kept: K,
}

impl<K> Tunnel<K> {
    pub(super) fn new(channel: Channel<Msg>, kept: K) -> Self {
        Self {
            inner: channel.into_stream(),
            _kept: kept,
        }
    }
}

impl<K: Unpin> AsyncRead for Tunnel<K> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<K: Unpin> AsyncWrite for Tunnel<K> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
