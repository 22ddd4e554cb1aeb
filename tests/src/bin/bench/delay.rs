//! A proxy on loopback that delays every byte, so that one machine can show what
//! a round trip costs.
//!
//! Invariant: bytes keep their order and both directions wait half the round trip
//! each; nothing is throttled. It deliberately ends with the process.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Starts a proxy at an address (port 0 for any) to a port on 127.0.0.1. Returns
/// its port.
pub(crate) fn start(at: &str, to: u16, round_trip: Duration) -> u16 {
    let listener = TcpListener::bind(at).expect("loopback has a free port");
    let port = listener.local_addr().map(|address| address.port());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let address = SocketAddr::from(([127, 0, 0, 1], to));
            let Ok(server) = TcpStream::connect(address) else {
                continue;
            };
            // Without this the kernel would add delays of its own.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
                continue;
            };
            pump(client, server, round_trip / 2);
            pump(server_too, client_too, round_trip / 2);
        }
    });
    port.expect("it is bound")
}

/// Carries bytes from one side to the other, each after the delay.
fn pump(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    if delay.is_zero() {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        return;
    }
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + delay;
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((due, bytes)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
