//! Reading back what commands printed beyond their results.
//!
//! It is no effect: nothing is connected to, and what is read was the caller's
//! already. Whether somebody may read it is decided by the id alone.

use super::call::Call;
use super::failure::{failure, sentence};
use super::keep::blocking;
use crate::engine::contract::{Failure, FailureCode, Piece};
use crate::spool::SpoolError;

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
