//! Whether the promises held: after the fault, after the next use, at the end.
//!
//! Invariant: a promise is held against the journal, the server and a next use,
//! whatever the broken process said. Faults are not chosen here.

use serde_json::Value;

use super::ledger::{Ledger, Recorded};
use super::operation::{Case, Effect, Operation};
use super::report::Report;
use super::rig::Rig;
use crate::cli::Output;

/// A fault in words, and the row it is counted in.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: String,
    pub(super) what: String,
}

/// Exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// Judges one case: what the fault left, what the next use makes of it.
pub(super) struct Judge<'a> {
    pub(super) rig: &'a Rig,
    pub(super) case: &'a Case,
    pub(super) fault: &'a Fault,
    pub(super) report: &'a mut Report,
}

/// How a promise was broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Torn,
    Lost,
    Twice,
    Other,
}

impl Judge<'_> {
    /// Looks at everything. `before` is the journal before the case began, `ended`
    /// how the faulted run ended. Says whether every promise held.
    pub(super) fn judge(&mut self, before: &Ledger, ended: &Output) -> bool {
        self.report.tally(&self.fault.kind).runs += 1;
        let findings = self.report.findings().len();
        let (rig, case) = (self.rig, self.case);

        let left = rig.ledger();
        if ended.status == PANICKED {
            self.broken(Broken::Other, &format!("it panicked: {}", ended.stderr));
        }
        self.expect(left.bytes.starts_with(&before.bytes), Broken::Lost, || {
            "the fault took records from the journal".to_owned()
        });
        let effect = self.effect();
        let first = self.main(&left, before);
        let attempted = first.as_ref().is_some_and(|action| action.attempted);
        self.expect(effect != Effect::Present || attempted, Broken::Lost, || {
            "it happened and no attempt is on record".to_owned()
        });

        self.next_use(first.as_ref());
        self.use_of_the_server();

        let after = rig.ledger();
        self.expect(after.bytes.starts_with(&left.bytes), Broken::Lost, || {
            "the next use took records from the journal".to_owned()
        });
        let verified = rig.run(&["audit", "verify"], &[]);
        self.expect(verified.status == 0, Broken::Lost, || {
            format!("the chain does not verify: {verified:?}")
        });
        self.settled(&after, before, first.as_ref(), effect);
        if case.operation.keeps() {
            // A use of the snapshot store.
            rig.run(&["history", "a", "/"], &[]);
        }
        self.strays(case.operation.keeps());
        self.report.findings().len() == findings
    }

    /// Looks at the effect, and counts what it must never be.
    fn effect(&mut self) -> Effect {
        let effect = self.case.effect(self.rig);
        match effect {
            Effect::Torn => self.broken(Broken::Torn, "the remote file is torn"),
            Effect::Twice => self.broken(Broken::Twice, "it happened twice"),
            Effect::None | Effect::Absent | Effect::Present => {}
        }
        let mode = self.case.kept_its_mode(self.rig);
        self.expect(mode, Broken::Other, || "the mode was lost".to_owned());
        effect
    }

    /// What is on record of the operation itself, the first time it was tried.
    fn main(&self, ledger: &Ledger, before: &Ledger) -> Option<Recorded> {
        let case = self.case;
        let keyed = case.operation.is_keyed() || case.operation.is_recovery();
        ledger
            .actions_since(before.bytes.len())
            .into_values()
            .find(|action| {
                if keyed {
                    action.key.as_deref() == Some(&case.key)
                } else {
                    case.operation.is_undo() && action.tool == "undo"
                }
            })
    }

    /// Does the same again, as a client that saw no answer would.
    fn next_use(&mut self, first: Option<&Recorded>) {
        let (rig, case) = (self.rig, self.case);
        match case.operation {
            Operation::ServerAdd | Operation::ServerRemove | Operation::KeyRotate => {
                let again = rig.run(&case.words(rig), &[]);
                let right = case.register_is_right(rig);
                self.expect(right, Broken::Other, || {
                    format!("the register is not right after {again:?}")
                });
                if case.operation == Operation::KeyRotate {
                    self.expect(again.status == 0, Broken::Other, || {
                        format!("the key cannot be rotated: {again:?}")
                    });
                }
            }
            Operation::UndoOld | Operation::UndoNew | Operation::SudoUndo => {
                // Undoing what is undone would do it again.
                if case.effect(rig) == Effect::Absent {
                    let again = rig.run(&case.words(rig), &[]);
                    self.expect(again.status == 0, Broken::Other, || {
                        format!("it cannot be undone: {again:?}")
                    });
                }
                let effect = self.effect();
                self.expect(effect == Effect::Present, Broken::Lost, || {
                    format!("the undo had no effect: {effect:?}")
                });
            }
            Operation::Pack => {
                let again = rig.run(&case.words(rig), &[]);
                // What other cases kept the journal knows of and the store does not is theirs.
                let sound = rig.run(&["snapshots", "verify", "--no-journal"], &[]);
                self.expect(again.status == 0, Broken::Other, || {
                    format!("it cannot be packed any more: {again:?}")
                });
                self.expect(sound.status == 0, Broken::Lost, || {
                    format!("the snapshots do not verify: {sound:?}")
                });
            }
            Operation::Ask | Operation::Answer => self.agree(),
            Operation::Read
            | Operation::List
            | Operation::Recovery
            | Operation::SudoRecovery
            | Operation::Made => {
                let again = rig.run(&case.words(rig), &[]);
                self.expect(again.status == 0, Broken::Other, || {
                    format!("it does not work again: {again:?}")
                });
                if case.operation == Operation::Made {
                    self.taken_back();
                }
            }
            Operation::WriteNew
            | Operation::WriteOld
            | Operation::Patch
            | Operation::BridgeWrite
            | Operation::AfterDeath
            | Operation::SudoWrite => {
                self.repeat(first);
                self.taken_back();
            }
            _ => self.repeat(first),
        }
    }

    /// Undoes a change that was made, whichever of the calls made it, without
    /// insisting on anything.
    fn taken_back(&mut self) {
        let (rig, case) = (self.rig, self.case);
        if case.effect(rig) != Effect::Present {
            return;
        }
        let undone = rig.run(&["undo", "a", &case.path(rig), "--yes", "--json"], &[]);
        let effect = self.effect();
        let done = undone.status == 0 && effect == Effect::Absent;
        self.expect(done, Broken::Other, || {
            format!("what was made cannot be undone: {effect:?} {undone:?}")
        });
    }

    /// Has the command kept, where it is not, agrees to it, and makes the call: it
    /// runs once, and once more only when it is asked for again.
    fn agree(&mut self) {
        let (rig, case) = (self.rig, self.case);
        let kept = rig.run(&case.deferred(rig, None), &[]);
        if case.effect(rig) == Effect::Absent {
            let id = case.question(rig);
            self.expect(id.is_some(), Broken::Lost, || {
                format!("the question is not kept: {kept:?}")
            });
            let id = id.unwrap_or_default();
            let allowed = rig.run(&["approvals", "allow", &id, "--yes"], &[]);
            let done = rig.run(&case.deferred(rig, None), &[]);
            let effect = self.effect();
            self.expect(effect == Effect::Present, Broken::Other, || {
                format!("what was agreed to does not run: {allowed:?} {done:?}")
            });
        }
        let again = rig.run(&case.deferred(rig, None), &[]);
        self.expect(again.status == Operation::Ask.ends(), Broken::Twice, || {
            format!("the grant was used twice: {again:?}")
        });
        self.effect();
    }

    /// Makes the same call with the same key.
    fn repeat(&mut self, first: Option<&Recorded>) {
        let (rig, case) = (self.rig, self.case);
        if case.operation == Operation::FirstUse {
            rig.set_up(&[]);
        }
        let again = rig.run(&case.words(rig), &[]);
        let envelope = serde_json::from_str::<Value>(&again.stdout).unwrap_or_default();
        let ended = envelope["execution"]["exitCode"].as_i64().unwrap_or(0);
        let done = (envelope["status"] == "ok" || envelope["status"] == "partial_failure")
            // A command that failed by itself was run and did not do it.
            && ended == 0;
        let unknown = envelope["code"] == "OUTCOME_UNKNOWN";
        // A failure that is on record is answered with that failure.
        let replayed = envelope["replayed"] == true;
        // The grant was used up by the call that died; nothing came of it.
        let asks = case.operation == Operation::Granted && again.status == Operation::Ask.ends();
        self.expect(
            done || unknown || replayed || asks || ended != 0,
            Broken::Other,
            || format!("the same call again: {again:?}"),
        );
        if first.is_some_and(|action| action.outcome.as_deref() == Some("ok")) {
            self.expect(replayed, Broken::Twice, || {
                format!("an outcome on record was not answered from it: {again:?}")
            });
        }
        let effect = self.effect();
        if done {
            self.expect(effect == Effect::Present, Broken::Lost, || {
                format!("it is reported as done and is {effect:?}: {again:?}")
            });
        } else if effect == Effect::Absent
            && let Some(words) = case.again(rig)
        {
            let anew = rig.run(&words, &[]);
            let effect = self.effect();
            let done = anew.status == 0 && effect == Effect::Present;
            self.expect(done, Broken::Other, || {
                format!("the change cannot be made any more: {effect:?} {anew:?}")
            });
        }
    }

    fn use_of_the_server(&mut self) {
        let folder = self.rig.files.display().to_string();
        let arguments = serde_json::json!({"path": folder, "limit": 1});
        let words = self.rig.call("remote_list_dir", &arguments, None);
        let used = self.rig.run(&words, &[]);
        self.expect(used.status == 0, Broken::Other, || {
            format!("the server cannot be used any more: {used:?}")
        });
    }

    /// Every action that was begun has an end on record, and a true one.
    fn settled(
        &mut self,
        after: &Ledger,
        before: &Ledger,
        first: Option<&Recorded>,
        effect: Effect,
    ) {
        let main = first.and_then(|first| {
            let mut actions = after.actions_since(before.bytes.len());
            actions.remove(&first.id)
        });
        for (id, action) in after.actions_since(before.bytes.len()) {
            let settled = action.outcome.is_some() || action.recovered.is_some();
            self.expect(settled, Broken::Lost, || {
                format!("action {id} of {} never ends on record", action.tool)
            });
            let tally = self.report.tally(&self.fault.kind);
            let ends = [&action.outcome, &action.recovered];
            tally.unknown += u64::from(ends.iter().any(|end| end.as_deref() == Some("unknown")));
            tally.recovered += u64::from(action.recovered.is_some());
        }
        let Some(main) = main else { return };
        let said = main.outcome.as_deref().or(main.recovered.as_deref());
        let truly = match said {
            Some("not-attempted" | "error") => effect != Effect::Present,
            // A command may fail half-way: a file is made, and the disk is full.
            Some("ok") => effect != Effect::Absent || main.failed,
            _ => true,
        };
        self.expect(truly, Broken::Lost, || {
            format!("recorded as {said:?}, and it was {effect:?}")
        });
    }

    /// No temporary file is left.
    pub(super) fn strays(&mut self, kept: bool) {
        let mut strays = self.rig.remote_strays();
        strays.extend(self.rig.local_strays(kept));
        self.expect(strays.is_empty(), Broken::Other, || {
            format!("left behind: {strays:?}")
        });
    }

    fn expect(&mut self, holds: bool, how: Broken, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(how, &what());
        }
    }

    fn broken(&mut self, how: Broken, what: &str) {
        let tally = self.report.tally(&self.fault.kind);
        match how {
            Broken::Torn => tally.torn += 1,
            Broken::Lost => tally.lost += 1,
            Broken::Twice => tally.duplicated += 1,
            Broken::Other => tally.broken += 1,
        }
        let case = self.case;
        self.report.find(format!(
            "{:?}, {}, {}: {what}",
            case.operation, self.fault.what, case.key
        ));
    }
}
