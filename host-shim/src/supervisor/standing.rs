//! Whether a call stopped at a question before it could change anything.
//!
//! Invariant: one that may have changed something is never said to have stopped
//! before. The parts of a call on several servers have one standing in common. What
//! follows from it is not decided here.

use std::sync::atomic::{AtomicBool, Ordering};

use super::permit::Plan;

/// What a call has come to so far.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// A question of it was kept for later.
    waits: AtomicBool,
    /// An effect was begun that may change something.
    begun: AtomicBool,
}

impl Standing {
    /// Notes that a question was kept for later.
    pub(super) fn wait(&self) {
        self.waits.store(true, Ordering::Release);
    }

    /// Notes that a permit is spent.
    pub(super) fn begin(&self, plan: &Plan) {
        let looks = match plan {
            Plan::Exec(plan) => plan.unasked,
            Plan::Read(_) | Plan::Stat(_) | Plan::Walk(_) => true,
            Plan::Write(_) => false,
        };
        if !looks {
            self.begun.store(true, Ordering::Release);
        }
    }

    /// Whether the call waits for a person and has changed nothing.
    pub(super) fn stopped_at_a_question(&self) -> bool {
        self.waits.load(Ordering::Acquire) && !self.begun.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_changed_something_did_not_stop_before() {
        let look = Plan::Stat("/x".to_owned());
        let standing = Standing::default();
        standing.begin(&look);
        assert!(!standing.stopped_at_a_question(), "it waits for nobody");
        standing.wait();
        assert!(standing.stopped_at_a_question());
        let change = Plan::Exec(crate::supervisor::permit::ExecPlan {
            program: crate::ssh::Program::Script("touch /x".to_owned()),
            cwd: None,
            timeout: std::time::Duration::from_secs(1),
            unasked: false,
            as_others: false,
            keep: (0, 0),
            keep_rest: false,
        });
        standing.begin(&change);
        assert!(!standing.stopped_at_a_question());
    }
}
