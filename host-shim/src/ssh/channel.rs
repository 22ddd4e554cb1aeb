//! Session channels: how many may be open, and that none is ever left open.
//!
//! Invariant: a channel that goes out of scope is closed and drained, and its
//! slot is free again only once the server has closed it too. It deliberately
//! knows nothing of what runs in a channel.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::SshError;

/// Sessions used of the ten that OpenSSH allows a connection by default
/// (`MaxSessions`), which leaves two to a person looking in by the same master.
const FIRST_LIMIT: usize = 8;

/// How long a server may take to confirm that a channel is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

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
    /// Returns how many are left.
    pub(super) fn retire(&self, slot: Slot) -> usize {
        slot._permit.forget();
        self.limit.fetch_sub(1, Ordering::Relaxed) - 1
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
}

impl SessionChannel {
    pub(super) fn new(channel: Channel<Msg>, slot: Slot) -> Self {
        Self {
            halves: Some(channel.split()),
            slot: Some(slot),
            closed: false,
        }
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

    /// Whether the other side has closed, as far as messages were read.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
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
        runtime.spawn(async move {
            let drain = async {
                write.close().await?;
                while !matches!(read.wait().await, None | Some(ChannelMsg::Close)) {}
                Ok::<(), russh::Error>(())
            };
            // Whether it was confirmed or not: there is nothing more to do.
            let _ = tokio::time::timeout(CLOSE_LIMIT, drain).await;
            drop(slot);
        });
    }
}

/// A byte stream over a channel that holds something until it is dropped: the
/// slot of a subsystem, or the connection a tunnel goes through.
pub(super) struct Stream<K> {
    inner: russh::ChannelStream<Msg>,
    _kept: K,
}

impl<K> Stream<K> {
    pub(super) fn new(channel: Channel<Msg>, kept: K) -> Self {
        Self {
            inner: channel.into_stream(),
            _kept: kept,
        }
    }
}

impl<K: Unpin> tokio::io::AsyncRead for Stream<K> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<K: Unpin> tokio::io::AsyncWrite for Stream<K> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
