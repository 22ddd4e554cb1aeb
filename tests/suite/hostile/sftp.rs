//! SFTP version 3 answered byte by byte (draft-ietf-secsh-filexfer-02), so that
//! every field can hold what it should not.
//!
//! The honest part is a tree in which `/`, and every name without a `file` in
//! it, is an empty directory, and every other name a file of eight bytes.
//!
//! Invariant: what no lie answers, the honest part does. It checks nothing of what
//! a client asks.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Answers one request with raw bytes; none leaves it to the honest part.
pub(super) type SftpLie = fn(&Request) -> Option<Vec<u8>>;

/// What the honest files hold.
const CONTENT: &[u8] = b"content\n";

pub(super) const OPEN: u8 = 3;
pub(super) const READ: u8 = 5;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const READLINK: u8 = 19;
pub(super) const INIT: u8 = 1;

/// A request as it came.
pub(super) struct Request {
    pub(super) kind: u8,
    pub(super) id: u32,
    /// The first string, where there is one: a path or a handle.
    pub(super) name: String,
    /// How many requests of this kind came before.
    pub(super) before: usize,
}

/// A packet with its length in front.
pub(super) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = number(payload.len()).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    framed(bytes)
}

/// A reply: its kind, the request's id, and the rest.
pub(super) fn reply(kind: u8, id: u32, rest: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![kind];
    payload.extend(id.to_be_bytes());
    for part in rest {
        payload.extend_from_slice(part);
    }
    framed(&payload)
}

pub(super) fn status(id: u32, code: u32, words: &[u8]) -> Vec<u8> {
    reply(
        101,
        id,
        &[&code.to_be_bytes(), &string(words), &string(b"")],
    )
}

/// Attributes with size, owner, mode and times (flags 1, 2, 4 and 8).
pub(super) fn attributes(mode: u32, size: u64) -> Vec<u8> {
    let mut bytes = 0x0f_u32.to_be_bytes().to_vec();
    bytes.extend(size.to_be_bytes());
    for value in [0, 0, mode, 1, 1] {
        bytes.extend(u32::to_be_bytes(value));
    }
    bytes
}

/// One name of a listing, with an `ls -l` line.
pub(super) fn entry(name: &[u8], line: &[u8], attributes: &[u8]) -> Vec<u8> {
    [string(name), string(line), attributes.to_vec()].concat()
}

pub(super) fn names(id: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    reply(104, id, &[&number(entries.len()), &entries.concat()])
}

/// Serves one session.
pub(super) async fn serve<S>(mut stream: S, lie: SftpLie)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut counts = [0_usize; 256];
    loop {
        let Ok(length) = stream.read_u32().await else {
            return;
        };
        let mut payload = vec![0; usize::try_from(length).unwrap_or(0).min(1 << 20)];
        if stream.read_exact(&mut payload).await.is_err() || payload.is_empty() {
            return;
        }
        let request = parse(&payload, &counts);
        counts[usize::from(request.kind)] += 1;
        let answer = lie(&request).unwrap_or_else(|| honest(&request));
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn parse(payload: &[u8], counts: &[usize; 256]) -> Request {
    let kind = payload[0];
    let word = |at: usize| {
        let bytes = payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let name = word(5)
        .and_then(|length| payload.get(9..9 + usize::try_from(length).ok()?))
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Request {
        kind,
        id: word(1).unwrap_or_default(),
        name: name.unwrap_or_default(),
        before: counts[usize::from(kind)],
    }
}

fn honest(request: &Request) -> Vec<u8> {
    let id = request.id;
    let attributes = if request.name.contains("file") {
        attributes(0o100_644, CONTENT.len() as u64)
    } else {
        attributes(0o040_755, 0)
    };
    match request.kind {
        INIT => framed(&[2, 0, 0, 0, 3]),
        LSTAT | STAT | FSTAT => reply(105, id, &[&attributes]),
        // The handle is the name, so that what follows knows what it is about.
        OPEN | OPENDIR => reply(102, id, &[&string(request.name.as_bytes())]),
        READ if request.before == 0 => reply(103, id, &[&string(CONTENT)]),
        READ | READDIR => status(id, 1, b"end"),
        REALPATH => {
            let absolute = match request.name.as_str() {
                "." => "/",
                name => name,
            };
            names(id, &[entry(absolute.as_bytes(), b"", &attributes)])
        }
        _ => status(id, 0, b""),
    }
}
