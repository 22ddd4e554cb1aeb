//! Calls of a client that only plans: they look and change nothing.
//!
//! Invariant: in such a call nothing runs that is not proven to change nothing,
//! whoever would allow it: neither a rule of the operator's nor a person's yes makes
//! a change a look. Reading what may be secret is a look, and is asked about as
//! always. Whether a client plans is its own word.

use super::call::Call;
use super::failure::failure;
use crate::engine::contract::{Failure, FailureCode, Operation, Verdict};

/// Tools that do nothing but change a file, whatever they look at on the way.
const WRITING: [&str; 2] = ["remote_write_file", "remote_patch_file"];

impl Call {
    /// Refuses, in a call that only plans, what would change something by its kind.
    pub(super) fn within_plan(&self, operation: &Operation) -> Result<(), Failure> {
        let request = self.request();
        let changes = WRITING.contains(&request.tool.as_str())
            || match operation {
                Operation::Write(_) => true,
                Operation::Read(spec) => spec.sudo,
                Operation::Exec(_)
                | Operation::Argv(_)
                | Operation::Stat(_)
                | Operation::Walk(_) => false,
            };
        if request.planning && changes {
            return Err(only_looks("it would change a file"));
        }
        Ok(())
    }

    /// Refuses, in a call that only plans, a command that may change something.
    pub(super) fn looks_only(&self, verdict: &Verdict) -> Result<(), Failure> {
        if self.request().planning && !self.changes_nothing(verdict)? {
            return Err(only_looks(&verdict.reason));
        }
        Ok(())
    }
}

fn only_looks(reason: &str) -> Failure {
    failure(
        FailureCode::PolicyRejected,
        format!("Planning only looks, and this is not proven to change nothing: {reason}."),
        "Make it a step of the plan; it can be done once the plan is carried out.",
    )
}
