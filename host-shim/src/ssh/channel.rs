//! Session channels, none of which is ever left open.
//!
//! Invariant: a channel that goes out of scope is closed and drained, and its
//! seat is free again only once the server has closed it too. The end of its
//! input is sent once: TinySSH ends the connection over a second one. It
//! deliberately knows nothing of what runs in a channel.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelStream, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::SshError;
use super::lane::Seat;
use super::queue::Turn;

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

/// What a session takes up until the server has closed it: a seat, and the turn
/// that led to it.
#[derive(Debug)]
struct Place {
    seat: Seat,
    _turn: Option<Arc<Turn>>,
}

/// An open session channel.
#[derive(Debug)]
pub(super) struct SessionChannel {
    // Both are present until the channel is taken apart on drop.
    halves: Option<(ChannelReadHalf, ChannelWriteHalf<Msg>)>,
    place: Option<Place>,
    closed: bool,
    /// Whether the end of the input was sent, be it by the stream.
    ended: Arc<AtomicBool>,
    /// Whether it is closed without another chance for what is in it, as long as
    /// nothing was asked to run in it included.
    abandoned: bool,
}

impl SessionChannel {
    pub(super) fn new(channel: Channel<Msg>, seat: Seat, turn: Option<Arc<Turn>>) -> Self {
        Self {
            halves: Some(channel.split()),
            place: Some(Place { seat, _turn: turn }),
            closed: false,
            ended: Arc::default(),
            abandoned: true,
        }
    }

    /// Closes the channel without another chance for what is left in it. From now on
    /// its messages are read and dropped: unread, they would hold up every other
    /// channel of the connection.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.let_go();
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
        if message.is_none()
            && !self.closed
            && let Some(place) = &self.place
        {
            place.seat.cut_off();
        }
        if matches!(message, None | Some(ChannelMsg::Close)) {
            self.closed = true;
        }
        message
    }

    /// Asks the server to run a command line by the login shell.
    pub(super) async fn exec(&mut self, command: &str) -> Result<(), SshError> {
        self.abandoned = false;
        Ok(self.halves()?.1.exec(true, command).await?)
    }

    /// Sends bytes to the command's standard input.
    pub(super) async fn send(&mut self, bytes: Vec<u8>) -> Result<(), SshError> {
        Ok(self.halves()?.1.data_bytes(bytes).await?)
    }

    /// Ends the command's standard input.
    pub(super) async fn eof(&mut self) -> Result<(), SshError> {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.halves()?.1.eof().await?;
        }
        Ok(())
    }

    /// Asks the server to start a subsystem.
    pub(super) async fn request_subsystem(&mut self, name: &str) -> Result<(), SshError> {
        self.abandoned = false;
        Ok(self.halves()?.1.request_subsystem(true, name).await?)
    }

    /// Whether the other side has closed, as far as messages were read.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Reads until the channel is closed; without a close, it was cut off.
async fn drain(read: &mut ChannelReadHalf, place: Option<&Place>) {
    loop {
        match read.wait().await {
            Some(ChannelMsg::Close) => return,
            Some(_) => {}
            None => {
                if let Some(place) = place {
                    place.seat.cut_off();
                }
                return;
            }
        }
    }
}

impl Drop for SessionChannel {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl SessionChannel {
    /// Closes the channel beside everything else, and gives its seat back after that.
    fn let_go(&mut self) {
        let place = self.place.take();
        let Some((mut read, write)) = self.halves.take() else {
            return;
        };
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        // Without a runtime the connection's own task is gone as well.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (ended, abandoned) = (Arc::clone(&self.ended), self.abandoned);
        runtime.spawn(async move {
            if !abandoned {
                // A process that ends by itself frees its session for sure;
                // sshd answers a close before the process is gone.
                if !ended.swap(true, Ordering::Relaxed) {
                    let _ = write.eof().await;
                }
                let closing = drain(&mut read, place.as_ref());
                if tokio::time::timeout(EOF_LIMIT, closing).await.is_ok() {
                    return;
                }
            }
            let _ = write.close().await;
            // Whether it was confirmed or not: there is nothing more to do.
            let closing = drain(&mut read, place.as_ref());
            let _ = tokio::time::timeout(CLOSE_LIMIT, closing).await;
            drop(place);
        });
    }
}

impl SessionChannel {
    /// The channel as a byte stream, for a subsystem. Dropping the stream closes
    /// the channel, and only the server's confirmation frees its seat.
    pub(super) fn into_stream(mut self) -> Result<SubsystemStream, SshError> {
        let writer = self.halves()?.1.make_writer();
        let ended = Arc::clone(&self.ended);
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
            ended,
            ending: false,
            _guard: guard.drop_guard(),
        })
    }
}

/// A byte stream over a session channel.
pub(super) struct SubsystemStream {
    reader: DuplexStream,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    ended: Arc<AtomicBool>,
    /// Whether it is this stream that sends the end.
    ending: bool,
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
        if !self.ending && self.ended.swap(true, Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        self.ending = true;
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
