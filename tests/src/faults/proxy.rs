//! A TCP proxy on loopback that misbehaves at a chosen byte.
//!
//! Invariant: until that byte every byte is passed on, in order and at once, and
//! only one connection is ever disturbed by one setting, so that what follows
//! works again. It deliberately knows nothing of SSH.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What happens to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// Both sides are closed in good order.
    Drop,
    /// Nothing is passed on any more, in either direction; nothing is closed.
    Stall,
    /// The receiver sees the end of the stream; the other direction goes on.
    Truncate,
    /// Both sides are reset.
    Reset,
}

impl Mischief {
    /// Every kind there is.
    pub const ALL: [Self; 4] = [Self::Drop, Self::Stall, Self::Truncate, Self::Reset];
}

/// Whose bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the helper to the server.
    Up,
    /// From the server to the helper.
    Down,
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    direction: Direction,
    at: u64,
    mischief: Mischief,
}

#[derive(Debug, Default)]
struct State {
    setting: Mutex<Option<Setting>>,
    up: AtomicU64,
    down: AtomicU64,
    done: AtomicBool,
    over: AtomicBool,
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// Starts a proxy for a port on 127.0.0.1.
    ///
    /// # Panics
    /// When no loopback port is free.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                match TcpStream::connect(("127.0.0.1", target)) {
                    Ok(server) => join(client, server, &shared),
                    Err(_) => drop(client),
                }
            }
        });
        Self { port, state }
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has the next connection that gets so far misbehave, and counts anew.
    pub fn set(&self, direction: Direction, at: u64, mischief: Mischief) {
        self.pass();
        *self.state.lock() = Some(Setting {
            direction,
            at,
            mischief,
        });
    }

    /// Passes everything on, and counts anew.
    pub fn pass(&self) {
        *self.state.lock() = None;
        self.state.up.store(0, Ordering::SeqCst);
        self.state.down.store(0, Ordering::SeqCst);
        self.state.done.store(false, Ordering::SeqCst);
    }

    /// Bytes seen since it was set, over all connections: up and down.
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (read(&self.state.up), read(&self.state.down))
    }

    /// Whether it misbehaved since it was set.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.state.done.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Setting>> {
        self.setting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two sides of one connection.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    /// Neither direction passes anything on.
    stalled: AtomicBool,
}

impl Pair {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn reset(&self) {
        for side in [&self.client, &self.server] {
            // The close that follows sends RST and drops what was not sent (tcp(7)).
            let _ = rustix::net::sockopt::set_socket_linger(side, Some(Duration::ZERO));
        }
    }
}

fn join(client: TcpStream, server: TcpStream, state: &Arc<State>) {
    for side in [&client, &server] {
        let _ = side.set_nodelay(true);
        // So that a pump notices that the connection is being reset.
        let _ = side.set_read_timeout(Some(Duration::from_millis(50)));
    }
    let pair = Arc::new(Pair {
        client,
        server,
        stalled: AtomicBool::new(false),
    });
    let gone = Arc::new(AtomicBool::new(false));
    for direction in [Direction::Up, Direction::Down] {
        let (pair, state, gone) = (Arc::clone(&pair), Arc::clone(state), Arc::clone(&gone));
        thread::spawn(move || pump(&pair, direction, &state, &gone));
    }
}

fn pump(pair: &Pair, direction: Direction, state: &State, gone: &AtomicBool) {
    let (mut from, mut to, count) = match direction {
        Direction::Up => (&pair.client, &pair.server, &state.up),
        Direction::Down => (&pair.server, &pair.client, &state.down),
    };
    let mut passed = 0;
    let mut buffer = vec![0; 64 * 1024];
    while !gone.load(Ordering::SeqCst) && !state.over.load(Ordering::SeqCst) {
        if pair.stalled.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
            // A side that gave up is let go, or its port would be held for ever.
            if is_closed(&pair.client) {
                pair.close();
                return;
            }
            continue;
        }
        let read = match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(read) => read,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                continue;
            }
            Err(_) => {
                pair.close();
                return;
            }
        };
        let strike = state
            .lock()
            .filter(|setting| setting.direction == direction && passed + read as u64 > setting.at);
        let strike = strike.filter(|_| !state.done.swap(true, Ordering::SeqCst));
        let part = strike.map_or(read, |setting| {
            usize::try_from(setting.at - passed).unwrap_or(read)
        });
        if to.write_all(&buffer[..part]).is_err() {
            pair.close();
            return;
        }
        passed += part as u64;
        count.fetch_add(part as u64, Ordering::SeqCst);
        match strike.map(|setting| setting.mischief) {
            None => {}
            Some(Mischief::Stall) => pair.stalled.store(true, Ordering::SeqCst),
            Some(Mischief::Truncate) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Some(Mischief::Drop) => {
                pair.close();
                return;
            }
            Some(Mischief::Reset) => {
                pair.reset();
                // Both pumps let go of the sockets, and the last one closes them.
                gone.store(true, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Whether the other end closed, without taking anything out of the stream.
fn is_closed(side: &TcpStream) -> bool {
    let mut byte = [0];
    let _ = side.set_nonblocking(true);
    let peeked = side.peek(&mut byte);
    let _ = side.set_nonblocking(false);
    match peeked {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a hang takes longer.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// How long nothing more may come before that counts as silence.
    const SILENCE: Duration = Duration::from_millis(300);

    /// Sends ten bytes through a proxy to an echo and returns what came back.
    fn echoed(mischief: Option<(Direction, u64, Mischief)>) -> (usize, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            let (mut side, _) = listener.accept().expect("somebody connects");
            let mut buffer = [0; 64];
            while let Ok(read) = side.read(&mut buffer) {
                if read == 0 || side.write_all(&buffer[..read]).is_err() {
                    return;
                }
            }
        });
        let proxy = Proxy::start(port);
        if let Some((direction, at, mischief)) = mischief {
            proxy.set(direction, at, mischief);
        }
        let mut side = TcpStream::connect(("127.0.0.1", proxy.port())).expect("it listens");
        let wait = |side: &TcpStream, limit| {
            side.set_read_timeout(Some(limit))
                .expect("a time-out can be set");
        };
        wait(&side, PATIENCE);
        side.write_all(b"0123456789").expect("it listens");
        let mut got = 0;
        let mut buffer = [0; 64];
        let clean = loop {
            match side.read(&mut buffer) {
                Ok(0) => break true,
                Ok(read) => got += read,
                Err(_) => break false,
            }
            if got == 10 {
                break true;
            }
            if let Some((_, at, Mischief::Stall)) = mischief
                && got as u64 == at
            {
                // All that may come is there, and silence has no sign.
                wait(&side, SILENCE);
            }
        };
        assert_eq!(proxy.has_struck(), mischief.is_some());
        (got, clean)
    }

    #[test]
    fn it_misbehaves_at_the_byte() {
        let table = [
            (None, (10, true)),
            (Some((Direction::Up, 4, Mischief::Truncate)), (4, true)),
            (Some((Direction::Down, 7, Mischief::Stall)), (7, false)),
            (Some((Direction::Down, 7, Mischief::Truncate)), (7, true)),
            (Some((Direction::Down, 3, Mischief::Drop)), (3, true)),
        ];
        for (mischief, expected) in table {
            assert_eq!(echoed(mischief), expected, "{mischief:?}");
        }
        // What a reset lets through first is the system's affair.
        let (got, clean) = echoed(Some((Direction::Down, 3, Mischief::Reset)));
        assert!(got <= 3 && !clean, "{got} {clean}");
    }
}
