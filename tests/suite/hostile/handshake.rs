//! Lies before and in the key exchange, over plain TCP (RFC 4253 sections 4 to 7).
//!
//! They prove that a connection ends with a code within its time, whatever is sent.
//! Nothing here ever gets as far as a login.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;

use super::{EVIL, Victim, says};

/// What a server sends; it ends when nobody listens any more.
type Lie = fn(&mut TcpStream) -> std::io::Result<()>;

/// Bytes after which an endless lie ends.
const ENDLESS: usize = 512 << 20;

fn serve(lie: Lie) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                // The other side hangs up on a liar, which is the point.
                if lie(&mut stream).is_ok() {
                    let mut rest = [0; 4096];
                    while let Ok(1..) = stream.read(&mut rest) {}
                }
            });
        }
    });
    port
}

fn endless(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let block: Vec<u8> = piece.iter().copied().cycle().take(64 << 10).collect();
    for _ in 0..ENDLESS / block.len() {
        stream.write_all(&block)?;
    }
    Ok(())
}

/// A binary packet without encryption (RFC 4253 section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).unwrap_or(u32::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.push(u8::try_from(padding).unwrap_or(8));
    bytes.extend_from_slice(payload);
    bytes.extend(vec![0; padding]);
    bytes
}

const VERSION: &[u8] = b"SSH-2.0-liar\r\n";

#[test]
fn lies_before_there_is_a_key() {
    let table: [(&str, Lie); 15] = [
        ("hangs up", |s| s.shutdown(std::net::Shutdown::Both)),
        ("another protocol", |s| {
            s.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
            s.shutdown(std::net::Shutdown::Both)
        }),
        ("zeros", |s| endless(s, &[0])),
        ("noise", |s| endless(s, &[0xff, 0x1b, 0x00, 0x9b])),
        ("endless banner", |s| {
            endless(s, b"welcome to the machine\r\n")
        }),
        ("banner of escapes", |s| {
            endless(s, format!("{EVIL}\r\n").as_bytes())
        }),
        ("a line without end", |s| endless(s, b"welcome ")),
        ("a version without end", |s| {
            s.write_all(b"SSH-2.0-")?;
            endless(s, b"liar")
        }),
        ("an old version", |s| {
            s.write_all(b"SSH-1.5-liar\r\n")?;
            s.shutdown(std::net::Shutdown::Both)
        }),
        ("a version of escapes", |s| {
            s.write_all(format!("SSH-2.0-{EVIL}\r\n").as_bytes())?;
            s.shutdown(std::net::Shutdown::Both)
        }),
        ("a packet of 4 GiB", |s| {
            s.write_all(VERSION)?;
            s.write_all(&[0xff; 4])?;
            endless(s, &[20])
        }),
        ("a packet of nothing", |s| {
            s.write_all(VERSION)?;
            endless(s, &[0])
        }),
        ("lists of 4 GiB", |s| {
            s.write_all(VERSION)?;
            let mut init = vec![20];
            init.extend([7; 16]);
            init.extend([0xff; 4]);
            s.write_all(&packet(&init))?;
            s.shutdown(std::net::Shutdown::Write)
        }),
        ("no algorithm in common", |s| {
            s.write_all(VERSION)?;
            let mut init = vec![20];
            init.extend([7; 16]);
            for _ in 0..10 {
                let name = EVIL.as_bytes();
                init.extend(u32::try_from(name.len()).unwrap_or(0).to_be_bytes());
                init.extend(name);
            }
            init.extend([0; 5]);
            s.write_all(&packet(&init))?;
            s.shutdown(std::net::Shutdown::Write)
        }),
        ("a goodbye of escapes", |s| {
            s.write_all(VERSION)?;
            let mut goodbye = vec![1, 0, 0, 0, 2];
            goodbye.extend(u32::try_from(EVIL.len()).unwrap_or(0).to_be_bytes());
            goodbye.extend(EVIL.as_bytes());
            goodbye.extend([0; 4]);
            s.write_all(&packet(&goodbye))?;
            s.shutdown(std::net::Shutdown::Write)
        }),
    ];
    for (name, lie) in table {
        let victim = Victim::of(serve(lie), None);
        let output = victim.call("remote_stat", json!({"path": "/"}));
        says(
            name,
            &output,
            "CONNECT_FAILED",
            "annot connect to 127.0.0.1",
        );
        assert_eq!(output.json()["execution"]["attempted"], false, "{name}");
    }
}

/// Messages that are allowed at any time, and never the one that is needed.
#[test]
fn chatter_without_end_runs_into_the_limit() {
    let port = serve(|stream| {
        stream.write_all(VERSION)?;
        // SSH_MSG_IGNORE with 32 KiB (RFC 4253 section 11.2).
        let mut ignore = vec![2, 0, 0, 0x80, 0];
        ignore.extend(vec![0; 0x8000]);
        let ignore = packet(&ignore);
        for _ in 0..ENDLESS / ignore.len() {
            stream.write_all(&ignore)?;
        }
        Ok(())
    });
    let victim = Victim::of(port, None);
    let output = victim.call("remote_stat", json!({"path": "/"}));
    let envelope = output.json();
    let code = envelope["code"].as_str().unwrap_or_default();
    assert!(
        ["CONNECT_FAILED", "CONNECT_TIMEOUT"].contains(&code),
        "{output:?}"
    );
}
