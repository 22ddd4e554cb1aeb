//! Reading back what commands printed beyond their results.
//!
//! Invariant: it is no effect: nothing is connected to, and what is read was the
//! caller's already. Whether somebody may read it is decided by the id alone.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::failure::{failure, sentence};
use super::keep::blocking;
use crate::engine::contract::{Failure, FailureCode, Piece};
use crate::spool::{Kept, SpoolError};

/// Server name under which kept output is read.
const LOCAL: &str = "@local";

impl Call {
    /// Reads a piece of kept output.
    pub(crate) async fn read_kept(
        &self,
        id: String,
        offset: u64,
        length: u32,
    ) -> Result<Piece, Failure> {
        let spool = self.resources().spool()?;
        let read = blocking(move || spool.read(&id, offset, u64::from(length))).await?;
        let piece = read?;
        Ok(Piece {
            bytes: piece.bytes,
            offset,
            total_size: piece.total,
        })
    }

    /// How what an earlier action printed is read, as the fields of a result; empty
    /// where nothing of it is kept.
    pub(super) async fn kept_of(&self, action: &str) -> Map<String, Value> {
        let Ok(spool) = self.resources().spool() else {
            return Map::new();
        };
        let action = action.to_owned();
        let rest = blocking(move || spool.noted(&action)).await;
        let rest = rest.unwrap_or_default();
        [("stdoutRest", rest.stdout), ("stderrRest", rest.stderr)]
            .into_iter()
            .filter_map(|(name, kept)| Some((name.to_owned(), how_to_read(&kept?))))
            .collect()
    }
}

/// The call that reads kept output from its start.
fn how_to_read(kept: &Kept) -> Value {
    json!({
        "tool": "remote_read_file",
        "arguments": {"server": LOCAL, "path": kept.id, "offset": 0},
        "keptBytes": kept.bytes,
    })
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        let (code, next) = match &error {
            SpoolError::NoId => (
                FailureCode::InvalidArgument,
                "Take the path from `stdoutRest` or `stderrRest` of a result, as it stands there.",
            ),
            SpoolError::Gone { .. } => (
                FailureCode::FileNotFound,
                "Run the command again if it only looks, with less output or into a file on the \
                 server.",
            ),
            SpoolError::Private(_) | SpoolError::Unusable { .. } => (
                FailureCode::Internal,
                "A person must look at the `spool` directory of openshell's data directory.",
            ),
        };
        failure(code, sentence(&error), next)
    }
}
