//! Reading regular files.
//!
//! Invariant: what is returned is contiguous from the offset asked for, whatever
//! short reads the server gives; a limit is kept even if the file grows. It
//! deliberately trusts no size: files under `/proc` say 0 and have content.

use std::time::Instant;

use futures::stream::{FuturesOrdered, StreamExt};
use russh_sftp::client::error::Error as Raw;
use russh_sftp::protocol::StatusCode;

use super::attrs::Attrs;
use super::error::SftpError;
use super::flow::{Direction, Flow};
use super::handle::Handle;
use super::session::Sftp;
use crate::ssh::error::SshError;

/// Requests to begin with. A short file should not cost the round trips of a deep
/// pipeline, and a long one proves itself soon.
const FIRST_DEPTH: usize = 4;

/// A part of a file as it came.
struct Piece {
    bytes: Vec<u8>,
    /// Whether the file ends here.
    ended: bool,
    /// Length of the first answer, if that was not all that was asked for.
    short: Option<u64>,
    asked_at: Instant,
}

impl Sftp {
    /// Reads up to `length` bytes from `offset`; fewer at the end of the file.
    ///
    /// # Errors
    /// [`SftpError::NotAFile`] for anything but a regular file, or as the server answers.
    pub async fn read_range(
        &self,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<(Vec<u8>, Attrs), SshError> {
        let mut bytes = Vec::new();
        let attrs = self
            .read_pieces(path, offset, length, |piece| bytes.extend_from_slice(piece))
            .await?;
        Ok((bytes, attrs))
    }

    /// Reads as [`Sftp::read_range`] does and hands every piece over as it comes,
    /// in order, so that the whole is never held here.
    ///
    /// # Errors
    /// As [`Sftp::read_range`]; what was handed over before stands.
    pub async fn read_pieces(
        &self,
        path: &str,
        offset: u64,
        length: u64,
        take: impl FnMut(&[u8]) + Send,
    ) -> Result<Attrs, SshError> {
        let (handle, before) = self.open_file(path).await?;
        // Asked for together: requests about one file are worked off in their order
        // (draft-ietf-secsh-filexfer-02, on the reordering of requests). Nobody waits
        // for the closing of a file that was only read.
        let facts = self.facts(&handle, path);
        let content = self.pull(&handle, path, offset, length, before.size, take);
        let (attrs, read) = futures::future::join(facts, content).await;
        let attrs = attrs?;
        read?;
        Ok(attrs)
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`SftpError::TooLarge`] without reading it, where its size says so.
    pub async fn read_whole(&self, path: &str, limit: u64) -> Result<(Vec<u8>, Attrs), SshError> {
        Ok(self.read_whole_plain(path, limit).await?)
    }

    pub(super) async fn read_whole_plain(
        &self,
        path: &str,
        limit: u64,
    ) -> Result<(Vec<u8>, Attrs), SftpError> {
        let (handle, before) = self.open_file(path).await?;
        let too_large = |size| SftpError::TooLarge {
            path: path.to_owned(),
            size,
            limit,
        };
        if before.size > limit {
            return Err(too_large(before.size));
        }
        let mut bytes = Vec::new();
        let length = limit.saturating_add(1);
        let take = |piece: &[u8]| bytes.extend_from_slice(piece);
        let facts = self.facts(&handle, path);
        let content = self.pull(&handle, path, 0, length, before.size, take);
        let (attrs, read) = futures::future::join(facts, content).await;
        let attrs = attrs?;
        read?;
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
        Ok((bytes, attrs))
    }

    /// Reads from an open file until `length` bytes or its end. Requests are cut
    /// at the `size` the file is said to have, so that the one that finds its end
    /// is under way with those that find its content.
    pub(super) async fn pull(
        &self,
        handle: &Handle<'_>,
        path: &str,
        offset: u64,
        length: u64,
        size: u64,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), SftpError> {
        let end = offset.saturating_add(length);
        let mut next = offset;
        let mut pending = FuturesOrdered::new();
        let mut flow = Flow::new(self.limits(), Direction::Read, FIRST_DEPTH);
        let mut at_end = false;
        loop {
            // One request beyond the size finds the end; more are for files that
            // prove longer than they are said to be.
            while !at_end && pending.len() < flow.depth() && next < end {
                let beyond = next >= size;
                if beyond && pending.len() > 1 {
                    break;
                }
                let stop = if beyond { end } else { end.min(size) };
                let want = flow.chunk().min(stop - next);
                pending.push_back(self.pull_piece(handle, path, next, want));
                next += want;
            }
            let full = pending.len() >= flow.depth();
            let Some(piece) = pending.next().await else {
                return Ok(());
            };
            let piece = piece?;
            if at_end {
                // Requests beyond the end: a file that grew meanwhile would
                // leave a gap.
                continue;
            }
            match piece.short {
                // A server that cuts every answer costs a round trip each time.
                Some(short) if !piece.ended => flow.answers_at_most(short),
                _ => flow.answered(piece.asked_at.elapsed(), full),
            }
            take(&piece.bytes);
            at_end = piece.ended;
        }
    }

    /// One piece, asked for again until it is whole or the file ends.
    async fn pull_piece(
        &self,
        handle: &Handle<'_>,
        path: &str,
        offset: u64,
        want: u64,
    ) -> Result<Piece, SftpError> {
        let mut piece = Piece {
            bytes: Vec::new(),
            ended: false,
            short: None,
            asked_at: Instant::now(),
        };
        loop {
            let got = piece.bytes.len() as u64;
            if got >= want {
                piece
                    .bytes
                    .truncate(usize::try_from(want).unwrap_or(usize::MAX));
                return Ok(piece);
            }
            let ask = u32::try_from(want - got).unwrap_or(u32::MAX);
            match self
                .ask(|raw| raw.read(handle.name.as_str(), offset + got, ask))
                .await
            {
                Ok(data) if data.data.is_empty() => piece.ended = true,
                Ok(mut data) => {
                    if got == 0 && (data.data.len() as u64) < want {
                        piece.short = Some(data.data.len() as u64);
                    }
                    piece.bytes.append(&mut data.data);
                }
                Err(Raw::Status(status)) if status.status_code == StatusCode::Eof => {
                    piece.ended = true;
                }
                Err(error) => return Err(self.fail(error, path)),
            }
            if piece.ended {
                return Ok(piece);
            }
        }
    }
}
