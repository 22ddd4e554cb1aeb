//! `initialize`: who is who, which version is spoken, and what a client needs to
//! know to notice later that something is no longer so.
//!
//! Invariant: what the parameters say counts from the moment the frame is read, so
//! a call sent right behind it is one of the introduced client. It does not say
//! which client may be served: whoever holds the streams is the client.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::frames::FRAME_MAX;
use super::protocol::{HelloParams, INVALID_PARAMS, PROTOCOL, definition, hex};
use super::{Bridge, Client};
use crate::approvals::escape_line;
use crate::doors::CALLS_MAX;
use crate::engine::Engine;
use crate::rules::in_workspace;

/// Longest rule file that is told from another one, in bytes.
const RULES_MAX: u64 = 4 * 1024 * 1024;

impl Bridge {
    /// Takes note of the client. False when it was refused, and told so.
    pub(super) fn meet(&self, id: &Value, params: Option<Value>) -> bool {
        let params = params.filter(|params| !params.is_null());
        let hello: HelloParams = match params.map(serde_json::from_value).transpose() {
            Ok(hello) => hello.unwrap_or_default(),
            Err(error) => {
                self.refuse(id, INVALID_PARAMS, &format!("`initialize`: {error}"));
                return false;
            }
        };
        let (least, most) = (hello.protocol.min, hello.protocol.max);
        if !(least..=most).contains(&PROTOCOL) {
            let message = format!(
                "this helper speaks protocol {PROTOCOL}, the client {least} to {most}; install \
                 matching versions"
            );
            self.refuse(id, INVALID_PARAMS, &message);
            return false;
        }
        let workspace = hello.workspace.map(PathBuf::from);
        if workspace.as_ref().is_some_and(|path| !path.is_absolute()) {
            self.refuse(id, INVALID_PARAMS, "`workspace` must be an absolute path");
            return false;
        }
        let words = ["name", "version"].map(|word| hello.client[word].as_str());
        let words: Vec<&str> = words.into_iter().flatten().collect();
        let name = (!words.is_empty()).then(|| escape_line(&words.join(" ")));
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Client { name, workspace });
        true
    }

    /// Introduces the helper.
    pub(super) async fn introduce(&self, id: &Value) {
        let tools: Vec<Value> = self.definitions.iter().map(definition).collect();
        let mark = self.mark().await;
        let workspace = self.client().and_then(|client| client.workspace);
        self.respond(
            id,
            json!({
                "server": {
                    "name": "openshell",
                    "kind": "openshell-helper",
                    "version": env!("CARGO_PKG_VERSION"),
                    "instance": self.instance,
                    "component": Engine::component_digest(),
                },
                "protocol": PROTOCOL,
                "workspace": workspace,
                "limits": {"frameBytes": FRAME_MAX, "callsAtOnce": CALLS_MAX},
                "tools": tools,
                "capabilitySnapshotId": self.capabilities,
                "behaviorFingerprint": self.fingerprint(),
                "journalMark": mark,
            }),
        );
    }

    /// The journal's high-water mark; 0 where there is no journal, which the
    /// calls themselves then say.
    pub(super) async fn mark(&self) -> u64 {
        let supervisor = self.supervisor.clone();
        tokio::task::spawn_blocking(move || {
            supervisor
                .resources()
                .journal()
                .map_or(0, |journal| journal.mark())
        })
        .await
        .unwrap_or(0)
    }

    /// Which policy gives the verdicts: the component and the rules of the operator
    /// and of the workspace.
    pub(super) fn fingerprint(&self) -> String {
        let operator = self.supervisor.resources().paths().policy_file();
        let workspace = self.client().and_then(|client| client.workspace);
        let files = [Some(operator), workspace.as_deref().map(in_workspace)];
        let digest = Sha256::new().chain_update(Engine::component_digest());
        let digest = files.iter().fold(digest, |digest, file| {
            let rules = file.as_deref().map(rules_of).unwrap_or_default();
            digest
                .chain_update((rules.len() as u64).to_be_bytes())
                .chain_update(rules)
        });
        hex(&digest.finalize())
    }
}

/// The bytes of a rule file; nothing where there is none. What is no file, such as
/// a pipe put there to keep a reader waiting, is refused where rules are read.
fn rules_of(file: &Path) -> Vec<u8> {
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= RULES_MAX => {
            std::fs::read(file).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
