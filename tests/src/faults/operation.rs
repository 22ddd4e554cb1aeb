//! What is interrupted: one operation of the product, prepared, run and looked at.
//!
//! The server is this machine, so an effect is read from its files directly.
//!
//! Invariant: whether an effect happened, and how often, can be read from the
//! server alone. It arms no fault.

use serde_json::{Value, json};

use super::rig::{Armed, Rig};
use crate::bridge::Bridge;
use crate::cli::Output;

/// The operations that are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Exec,
    Read,
    WriteNew,
    WriteOld,
    Patch,
    List,
    UndoOld,
    UndoNew,
    BridgeWrite,
    ServerAdd,
    ServerRemove,
    KeyRotate,
    /// A command during which the journal begins a new segment.
    Rotation,
    /// A use of the server after a write was killed half-way.
    Recovery,
    /// A write by a helper during whose life another one of the same file was killed
    /// half-way.
    AfterDeath,
    /// A write as root, by way of a staging directory.
    SudoWrite,
    /// The removal, as root, of a file that such a write made.
    SudoUndo,
    /// A use of the server after a write as root was killed half-way.
    SudoRecovery,
    /// A read of a file whose write was killed once it was made.
    Made,
    /// Packing the snapshots, loose ones and packs.
    Pack,
    /// A command that is kept for a person.
    Ask,
    /// The person's answer to that.
    Answer,
    /// The command, once they have agreed.
    Granted,
    /// Key, server and first write on a machine that had none.
    FirstUse,
}

/// What of an operation is to be seen on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It has none there.
    None,
    Absent,
    Present,
    Torn,
    Twice,
}

impl Operation {
    pub(super) const ALL: [Self; 24] = [
        Self::Exec,
        Self::Read,
        Self::WriteNew,
        Self::WriteOld,
        Self::Patch,
        Self::List,
        Self::UndoOld,
        Self::UndoNew,
        Self::BridgeWrite,
        Self::ServerAdd,
        Self::ServerRemove,
        Self::KeyRotate,
        Self::Rotation,
        Self::Recovery,
        Self::AfterDeath,
        Self::SudoWrite,
        Self::SudoUndo,
        Self::SudoRecovery,
        Self::Made,
        Self::Pack,
        Self::Ask,
        Self::Answer,
        Self::Granted,
        Self::FirstUse,
    ];

    /// Those that a lost connection can interrupt.
    pub(super) const REMOTE: [Self; 9] = [
        Self::Exec,
        Self::Read,
        Self::WriteNew,
        Self::WriteOld,
        Self::Patch,
        Self::List,
        Self::UndoOld,
        Self::UndoNew,
        Self::SudoWrite,
    ];

    /// Whether it needs an installation of its own.
    pub(super) fn is_fresh(self) -> bool {
        self == Self::FirstUse
    }

    /// Whether it keeps snapshots, and so cleans up after those that died over it.
    pub(super) fn keeps(self) -> bool {
        !matches!(
            self,
            Self::Exec
                | Self::Read
                | Self::List
                | Self::Rotation
                | Self::Recovery
                | Self::SudoRecovery
                | Self::Ask
                | Self::Answer
                | Self::Granted
                | Self::ServerAdd
                | Self::ServerRemove
                | Self::KeyRotate
        )
    }

    pub(super) fn is_keyed(self) -> bool {
        matches!(
            self,
            Self::Exec
                | Self::Rotation
                | Self::WriteNew
                | Self::WriteOld
                | Self::Patch
                | Self::BridgeWrite
                | Self::AfterDeath
                | Self::SudoWrite
                | Self::Granted
                | Self::FirstUse
        )
    }

    /// Whether it looks at a server on which a write was killed.
    pub(super) fn is_recovery(self) -> bool {
        matches!(self, Self::Recovery | Self::SudoRecovery | Self::Made)
    }

    pub(super) fn is_undo(self) -> bool {
        matches!(self, Self::UndoOld | Self::UndoNew | Self::SudoUndo)
    }

    /// Whether its effect is a command's.
    fn is_command(self) -> bool {
        matches!(
            self,
            Self::Exec | Self::Rotation | Self::Ask | Self::Answer | Self::Granted
        )
    }

    fn is_as_root(self) -> bool {
        matches!(self, Self::SudoWrite | Self::SudoUndo | Self::SudoRecovery)
    }

    /// Exit status of an undisturbed run.
    pub(super) fn ends(self) -> i32 {
        // Denied, until somebody has agreed.
        if self == Self::Ask { 3 } else { 0 }
    }
}

/// One operation on one name that nothing else uses.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) operation: Operation,
    name: String,
    pub(super) key: String,
}

/// Size of a segment that is to be finished, at least, in bytes.
const SEGMENT_LEAST: u64 = 16 * 1024;

/// Content of several write requests, so that a write has a middle.
fn content(word: &str) -> String {
    format!("{}\n", word.repeat(200)).repeat(100)
}

fn old() -> String {
    content("old ")
}

fn new() -> String {
    // One line differs near the end, so that a patch can say it.
    old() + "new\n"
}

impl Case {
    pub(super) fn new(operation: Operation, number: u64) -> Self {
        Self {
            operation,
            name: format!("f{number}"),
            key: format!("key-{number}"),
        }
    }

    /// The words of the operation; for the bridge, of the same call by hand.
    pub(super) fn words(&self, rig: &Rig) -> Vec<String> {
        let path = rig.path(&self.name);
        let key = Some(self.key.as_str());
        let word = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.operation {
            Operation::Exec | Operation::Rotation => rig.call("remote_exec", &self.exec(rig), key),
            Operation::Ask | Operation::Granted => self.deferred(rig, key),
            Operation::Answer => {
                let id = self.question(rig).unwrap_or_else(|| "none".to_owned());
                word(&["approvals", "allow", &id, "--yes"])
            }
            Operation::Pack => word(&["snapshots", "gc"]),
            Operation::Read | Operation::Made => {
                rig.call("remote_read_file", &json!({"path": path}), None)
            }
            Operation::List | Operation::Recovery | Operation::SudoRecovery => {
                let folder = rig.files.display().to_string();
                rig.call(
                    "remote_list_dir",
                    &json!({"path": folder, "limit": 10}),
                    None,
                )
            }
            Operation::WriteNew
            | Operation::WriteOld
            | Operation::BridgeWrite
            | Operation::AfterDeath
            | Operation::SudoWrite
            | Operation::FirstUse => rig.call("remote_write_file", &self.write(rig), key),
            Operation::Patch => {
                let line = old().lines().last().unwrap_or_default().to_owned();
                let patch = format!("--- a\n+++ b\n@@ -100,1 +100,2 @@\n {line}\n+new\n");
                rig.call(
                    "remote_patch_file",
                    &json!({"path": path, "patch": patch}),
                    key,
                )
            }
            Operation::UndoOld | Operation::UndoNew | Operation::SudoUndo => {
                word(&["undo", "a", &path, "--yes", "--json"])
            }
            Operation::ServerAdd => rig.add(&self.name, 9),
            Operation::ServerRemove => word(&["server", "remove", &self.name]),
            Operation::KeyRotate => word(&["key", "rotate"]),
        }
    }

    fn exec(&self, rig: &Rig) -> Value {
        json!({"command": format!("echo ran >> {}", rig.path(&self.name))})
    }

    fn write(&self, rig: &Rig) -> Value {
        let mut arguments = json!({"server": "a", "path": rig.path(&self.name), "content": new()});
        if self.operation.is_as_root() {
            arguments["sudo"] = json!(true);
        }
        arguments
    }

    /// Where its file is, or is to be, on the server.
    pub(super) fn path(&self, rig: &Rig) -> String {
        rig.path(&self.name)
    }

    /// The words of a command that waits for a person instead of being agreed to.
    pub(super) fn deferred(&self, rig: &Rig, key: Option<&str>) -> Vec<String> {
        let words = rig.call("remote_exec", &self.exec(rig), key).into_iter();
        words
            .map(|word| match word.as_str() {
                "--yes" => "--defer".to_owned(),
                _ => word,
            })
            .collect()
    }

    /// The id of the question that is kept about its command, if one is.
    pub(super) fn question(&self, rig: &Rig) -> Option<String> {
        let listed = rig.run(&["approvals", "list", "--json"], &[]);
        let asks = serde_json::from_str::<Value>(&listed.stdout).unwrap_or_default();
        let path = format!("{}\n", rig.path(&self.name));
        let asked = asks.as_array()?.iter().find(|ask| {
            let text = ask["question"].as_str().unwrap_or_default();
            format!("{text}\n").contains(&path)
        });
        Some(asked?["id"].as_str()?.to_owned())
    }

    /// Brings about the state the operation starts from.
    pub(super) fn prepare(&self, rig: &Rig) {
        use std::os::unix::fs::PermissionsExt;
        let file = rig.files.join(&self.name);
        let starts_old = !self.operation.is_command()
            && !matches!(
                self.operation,
                Operation::WriteNew
                    | Operation::UndoNew
                    | Operation::SudoUndo
                    | Operation::FirstUse
            );
        if starts_old {
            std::fs::write(&file, old()).expect("the rig's own directory");
            let mode = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(&file, mode).expect("the rig's own file");
        }
        if self.operation.is_undo() {
            let words = rig.call("remote_write_file", &self.write(rig), None);
            rig.run(&words, &[]);
        }
        if self.operation == Operation::ServerRemove {
            rig.run(&rig.add(&self.name, 9), &[]);
        }
        if self.operation == Operation::Rotation {
            // A segment is never so small that the last two of them hold less than
            // one call.
            while super::ledger::current_size(&rig.cli.audit_dir()) < SEGMENT_LEAST {
                let padding = "x".repeat(4096);
                let arguments = json!({"command": format!(": {padding}")});
                rig.run(&rig.call("remote_exec", &arguments, None), &[]);
            }
        }
        let half_way = match self.operation {
            Operation::Recovery => Some((self.key.clone(), "sftp.write.data-confirmed")),
            Operation::SudoRecovery => Some((self.key.clone(), "sudo.stage.filled")),
            Operation::Made => Some((self.key.clone(), "supervisor.effect.done")),
            _ => None,
        };
        if let Some((key, point)) = half_way {
            self.die(rig, &key, point);
        }
        if self.operation == Operation::Pack {
            // A pack, and loose objects beside it.
            rig.run(&rig.call("remote_write_file", &self.write(rig), None), &[]);
            rig.run(&["snapshots", "gc"], &[]);
            rig.run(&["undo", "a", &rig.path(&self.name), "--yes"], &[]);
        }
        if matches!(self.operation, Operation::Answer | Operation::Granted) {
            rig.run(&self.deferred(rig, None), &[]);
        }
        if self.operation == Operation::Granted {
            let id = self.question(rig).unwrap_or_else(|| "none".to_owned());
            rig.run(&["approvals", "allow", &id, "--yes"], &[]);
        }
    }

    /// Has a write be killed at a point.
    fn die(&self, rig: &Rig, key: &str, point: &str) {
        let words = rig.call("remote_write_file", &self.write(rig), Some(key));
        rig.run(&words, &[("OPENSHELL_FAULT", point)]);
    }

    /// Runs the operation to whatever end the fault gives it.
    pub(super) fn run(&self, rig: &Rig, armed: Armed<'_>) -> Output {
        match self.operation {
            Operation::FirstUse => {
                let mut steps = rig.set_up(armed);
                steps.push(rig.run(&self.words(rig), armed));
                // Whichever step was hit; an ordinary end otherwise.
                let hit = steps.iter().position(|step| step.status < 0);
                steps.swap_remove(hit.unwrap_or(steps.len() - 1))
            }
            Operation::BridgeWrite | Operation::AfterDeath => {
                let mut bridge = Bridge::start(&mut rig.command(&["bridge"], armed));
                if self.operation == Operation::AfterDeath {
                    // It has opened everything before the other one dies.
                    let stat = json!({"server": "a", "path": "/"});
                    bridge.call("remote_stat", &stat, None);
                    let key = format!("{}-dead", self.key);
                    self.die(rig, &key, "sftp.write.data-confirmed");
                }
                let envelope = bridge.call("remote_write_file", &self.write(rig), Some(&self.key));
                let status = if envelope.is_some() { 0 } else { -9 };
                bridge.finish();
                Output {
                    status,
                    stdout: envelope.unwrap_or_default().to_string(),
                    stderr: String::new(),
                }
            }
            Operation::Rotation => {
                let full = super::ledger::current_size(&rig.cli.audit_dir()) + 300;
                let full = full.to_string();
                let mut armed = armed.to_vec();
                armed.push(("OPENSHELL_FAULT_SEGMENT_BYTES", &full));
                rig.run(&self.words(rig), &armed)
            }
            _ => rig.run(&self.words(rig), armed),
        }
    }

    /// What of it is to be seen on the server now.
    pub(super) fn effect(&self, rig: &Rig) -> Effect {
        let content = rig.content(&self.name);
        let text = content.as_deref();
        let (old, new) = (old(), new());
        let is = |wanted: &str| text == Some(wanted.as_bytes());
        let (absent, present) = match self.operation {
            operation if operation.is_command() => {
                return match text {
                    None => Effect::Absent,
                    Some(b"ran\n") => Effect::Present,
                    Some(more) if more.starts_with(b"ran\nran\n") => Effect::Twice,
                    Some(b"") => Effect::Absent,
                    Some(_) => Effect::Torn,
                };
            }
            Operation::WriteNew | Operation::FirstUse => (text.is_none(), is(&new)),
            Operation::WriteOld
            | Operation::Patch
            | Operation::BridgeWrite
            | Operation::AfterDeath
            | Operation::Made
            | Operation::SudoWrite => (is(&old), is(&new)),
            // What was killed before this operation must not have happened.
            Operation::Recovery | Operation::SudoRecovery => (is(&old), false),
            // It was changed and changed back before.
            Operation::Pack => (is(&old), is(&old)),
            Operation::UndoOld => (is(&new), is(&old)),
            Operation::UndoNew | Operation::SudoUndo => (is(&new), text.is_none()),
            _ => return Effect::None,
        };
        match (absent, present) {
            (true, _) => Effect::Absent,
            (_, true) => Effect::Present,
            _ => Effect::Torn,
        }
    }

    /// Whether the file has the mode it had, where it had one.
    pub(super) fn kept_its_mode(&self, rig: &Rig) -> bool {
        use std::os::unix::fs::PermissionsExt;
        if !matches!(
            self.operation,
            Operation::WriteOld
                | Operation::Patch
                | Operation::BridgeWrite
                | Operation::UndoOld
                | Operation::AfterDeath
                | Operation::Made
                | Operation::SudoWrite
        ) {
            return true;
        }
        std::fs::metadata(rig.files.join(&self.name))
            .is_ok_and(|meta| meta.permissions().mode() & 0o7777 == 0o640)
    }

    /// What must be so of the register once the operation was done after all.
    pub(super) fn register_is_right(&self, rig: &Rig) -> bool {
        let listed = rig.run(&["server", "list", "--json"], &[]);
        let servers = serde_json::from_str::<Value>(&listed.stdout).unwrap_or_default();
        let has = |id: &str| {
            servers
                .as_array()
                .is_some_and(|servers| servers.iter().any(|server| server["id"] == id))
        };
        has("a")
            && match self.operation {
                Operation::ServerAdd => has(&self.name),
                Operation::ServerRemove => !has(&self.name),
                _ => true,
            }
    }

    /// The same change under a key of its own, as somebody asks for it who was told
    /// that the outcome is unknown.
    pub(super) fn again(&self, rig: &Rig) -> Option<Vec<String>> {
        let key = format!("{}-again", self.key);
        let is_write = matches!(
            self.operation,
            Operation::WriteNew
                | Operation::WriteOld
                | Operation::BridgeWrite
                | Operation::AfterDeath
                | Operation::SudoWrite
                | Operation::FirstUse
        );
        is_write.then(|| rig.call("remote_write_file", &self.write(rig), Some(&key)))
    }
}
