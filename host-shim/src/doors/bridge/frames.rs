//! Frames: one JSON value a line, bounded in length.
//!
//! Invariant: a line that is too long is skipped to its end and reported, so that
//! the next one is read as what it is. What a line says is not looked at here.

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Longest frame accepted, in bytes: the largest write in base64, with room.
pub(in crate::doors) const FRAME_MAX: usize = 48 * 1024 * 1024;

/// One line of input.
pub(in crate::doors) enum Frame {
    Line(Vec<u8>),
    TooLong,
}

/// Reads the next line; none at the end of the input.
pub(in crate::doors) async fn read_frame(
    input: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<Frame>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            // A last line without an end is not a frame: it may be half of one.
            return Ok(None);
        }
        let (part, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&available[..end], true),
            None => (available, false),
        };
        if line.len() + part.len() > FRAME_MAX {
            too_long = true;
            line = Vec::new();
        } else if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(ended);
        input.consume(used);
        if ended {
            return Ok(Some(if too_long {
                Frame::TooLong
            } else {
                Frame::Line(line)
            }));
        }
    }
}

/// Writes frames until nobody can send one any more.
pub(super) async fn write_frames(
    mut output: impl AsyncWrite + Unpin,
    mut frames: mpsc::UnboundedReceiver<Value>,
) -> std::io::Result<()> {
    while let Some(frame) = frames.recv().await {
        let mut line = frame.to_string().into_bytes();
        line.push(b'\n');
        output.write_all(&line).await?;
        output.flush().await?;
    }
    Ok(())
}
