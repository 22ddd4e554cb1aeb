//! Reading regular files.
//!
//! Invariant: what is returned is contiguous from the offset asked for, whatever
//! short reads the server gives; a limit is kept even if the file grows. It
//! deliberately trusts no size: files under `/proc` say 0 and have content.

use futures::stream::{FuturesOrdered, StreamExt};
use russh_sftp::client::error::Error as Raw;
use russh_sftp::protocol::StatusCode;

use super::attrs::Attrs;
use super::error::SftpError;
use super::session::{Handle, Sftp};
use crate::ssh::error::SshError;

/// Bytes per request: what every server is known to answer in one packet.
const CHUNK: u32 = 32 << 10;

/// Requests under way at once: 2 MiB, enough for 20 ms at 100 MB/s.
const DEPTH: usize = 64;

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
        let (handle, attrs) = self.open_file(path).await?;
        let bytes = self.pull(&handle, path, offset, length).await?;
        handle.close(path).await?;
        Ok((bytes, attrs))
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
        let (handle, attrs) = self.open_file(path).await?;
        let too_large = |size| SftpError::TooLarge {
            path: path.to_owned(),
            size,
            limit,
        };
        if attrs.size > limit {
            return Err(too_large(attrs.size));
        }
        let bytes = self.pull(&handle, path, 0, limit.saturating_add(1)).await?;
        handle.close(path).await?;
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
        Ok((bytes, attrs))
    }

    /// Reads from an open file until `length` bytes or its end.
    pub(super) async fn pull(
        &self,
        handle: &Handle<'_>,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, SftpError> {
        let end = offset.saturating_add(length);
        let mut bytes = Vec::new();
        let mut next = offset;
        let mut pending = FuturesOrdered::new();
        // A small file should not cost the round trips of a deep pipeline, so
        // it deepens as the file proves to be long.
        let mut depth = 2;
        let mut at_end = false;
        loop {
            while !at_end && pending.len() < depth && next < end {
                let want = u64::from(CHUNK).min(end - next);
                pending.push_back(self.pull_chunk(handle, path, next, want));
                next += want;
            }
            let Some(piece) = pending.next().await else {
                return Ok(bytes);
            };
            let (piece, ended) = piece?;
            if at_end {
                // Requests beyond the end: a file that grew meanwhile would
                // leave a gap.
                continue;
            }
            bytes.extend_from_slice(&piece);
            at_end = ended;
            depth = (depth * 2).min(DEPTH);
        }
    }

    /// One chunk, asked for again until it is whole or the file ends.
    async fn pull_chunk(
        &self,
        handle: &Handle<'_>,
        path: &str,
        offset: u64,
        want: u64,
    ) -> Result<(Vec<u8>, bool), SftpError> {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let got = bytes.len() as u64;
            if got >= want {
                bytes.truncate(usize::try_from(want).unwrap_or(usize::MAX));
                return Ok((bytes, false));
            }
            let ask = u32::try_from(want - got).unwrap_or(CHUNK);
            match self
                .raw()
                .read(handle.name.as_str(), offset + got, ask)
                .await
            {
                Ok(data) if data.data.is_empty() => return Ok((bytes, true)),
                Ok(mut data) => bytes.append(&mut data.data),
                Err(Raw::Status(status)) if status.status_code == StatusCode::Eof => {
                    return Ok((bytes, true));
                }
                Err(error) => return Err(self.fail(error, path)),
            }
        }
    }
}
