//! What is interrupted: one operation of the product, prepared, run and looked at.
//!
//! The server is this machine, so an effect is read from its files directly.

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
    pub(super) const ALL: [Self; 15] = [
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
        Self::FirstUse,
    ];

    /// Those that a lost connection can interrupt.
    pub(super) const REMOTE: [Self; 8] = [
        Self::Exec,
        Self::Read,
        Self::WriteNew,
        Self::WriteOld,
        Self::Patch,
        Self::List,
        Self::UndoOld,
        Self::UndoNew,
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
                | Self::FirstUse
        )
    }

    fn is_undo(self) -> bool {
        matches!(self, Self::UndoOld | Self::UndoNew)
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
            Operation::Read => rig.call("remote_read_file", &json!({"path": path}), None),
            Operation::List | Operation::Recovery => {
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
            Operation::UndoOld | Operation::UndoNew => {
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
        json!({"server": "a", "path": rig.path(&self.name), "content": new()})
    }

    /// Brings about the state the operation starts from.
    pub(super) fn prepare(&self, rig: &Rig) {
        use std::os::unix::fs::PermissionsExt;
        let file = rig.files.join(&self.name);
        let starts_old = !matches!(
            self.operation,
            Operation::Exec
                | Operation::Rotation
                | Operation::WriteNew
                | Operation::UndoNew
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
        if self.operation == Operation::Recovery {
            let words = rig.call("remote_write_file", &self.write(rig), Some(&self.key));
            rig.run(&words, &[("OPENSHELL_FAULT", "sftp.write.data-confirmed")]);
        }
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
            Operation::BridgeWrite => {
                let mut bridge = Bridge::start(&mut rig.command(&["bridge"], armed));
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
            Operation::Exec | Operation::Rotation => {
                return match text {
                    None => Effect::Absent,
                    Some(b"ran\n") => Effect::Present,
                    Some(more) if more.starts_with(b"ran\nran\n") => Effect::Twice,
                    Some(b"") => Effect::Absent,
                    Some(_) => Effect::Torn,
                };
            }
            Operation::WriteNew | Operation::FirstUse => (text.is_none(), is(&new)),
            Operation::WriteOld | Operation::Patch | Operation::BridgeWrite => (is(&old), is(&new)),
            // What was killed before this operation must not have happened.
            Operation::Recovery => (is(&old), false),
            Operation::UndoOld => (is(&new), is(&old)),
            Operation::UndoNew => (is(&new), text.is_none()),
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
            Operation::WriteOld | Operation::Patch | Operation::BridgeWrite | Operation::UndoOld
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
                | Operation::FirstUse
        );
        is_write.then(|| rig.call("remote_write_file", &self.write(rig), Some(&key)))
    }
}
