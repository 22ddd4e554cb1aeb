//! What the messages of the bridge look like: methods, parameters, error codes.
//!
//! `docs/bridge-protocol.md` is the page about it. Members a reader does not know
//! are ignored, so that either side may say more than the other understands.
//! Invariant: a message that cannot be read is answered with the code JSON-RPC has
//! for it, under its own id where that can be made out. It deliberately holds no
//! state.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::engine::contract::Definition;

/// Version of the protocol this helper speaks.
pub(super) const PROTOCOL: u32 = 1;

/// JSON-RPC 2.0, section 5.1.
pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
/// No call before `initialize`.
pub(super) const NOT_INITIALIZED: i32 = -32002;
/// The client is to start anew with `initialize`: what it knows of this helper
/// is no longer so.
pub(super) const STALE_CLIENT: i32 = -32010;

/// A message of the client: a request, a notification or an answer.
#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default, deserialize_with = "present")]
    pub(super) id: Option<Value>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Option<Value>,
    #[serde(default)]
    pub(super) result: Option<Value>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

// A null id is an id: it makes a request of what would be a notification.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    /// The id to answer under, the code and what is wrong.
    pub(super) fn read(line: &[u8]) -> Result<Self, (Value, i32, String)> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| (Value::Null, PARSE_ERROR, error.to_string()))?;
        let id = value.get("id").filter(|id| is_id(id)).cloned();
        let id = id.unwrap_or_default();
        let refused = |what: &str| (id.clone(), INVALID_REQUEST, what.to_owned());
        if value.is_array() {
            return Err(refused("a frame holds one message; batches are not read"));
        }
        if !value.is_object() {
            return Err(refused("a message is a JSON object"));
        }
        if value["jsonrpc"] != "2.0" {
            return Err(refused("`jsonrpc` must be \"2.0\""));
        }
        if value.get("id").is_some_and(|id| !is_id(id)) {
            return Err(refused("`id` must be a text, a whole number or null"));
        }
        serde_json::from_value(value).map_err(|error| refused(&error.to_string()))
    }
}

/// JSON-RPC 2.0, section 4: fractions are not to be used.
fn is_id(id: &Value) -> bool {
    id.is_null() || id.is_string() || id.is_i64() || id.is_u64()
}

/// Parameters of `initialize`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct HelloParams {
    pub(super) protocol: ProtocolRange,
    /// `name` and `version`, which nothing rests on.
    pub(super) client: Value,
    /// Absolute path of the folder the client works in.
    pub(super) workspace: Option<String>,
}

/// The versions a client speaks, both ends included.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct ProtocolRange {
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Default for ProtocolRange {
    fn default() -> Self {
        Self { min: 1, max: 1 }
    }
}

/// Parameters of `tools/call`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallParams {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Value,
    #[serde(default)]
    pub(super) session: Option<String>,
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) capability_snapshot_id: Option<String>,
    #[serde(default)]
    pub(super) behavior_fingerprint: Option<String>,
    #[serde(default)]
    pub(super) journal_mark: Option<u64>,
    /// Whether the client only plans.
    #[serde(default, deserialize_with = "planning")]
    pub(super) planning: bool,
    /// Time for the whole call, in ms.
    #[serde(default)]
    pub(super) timeout_ms: Option<u64>,
    /// Time until the call is given up unless it is renewed, in ms.
    #[serde(default)]
    pub(super) lease_ms: Option<u64>,
}

// Null counts as absent, as with the other parameters.
fn planning<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(false),
        Value::Bool(planning) => Ok(planning),
        _ => Err(serde::de::Error::custom("`planning` must be true or false")),
    }
}

/// A tool as clients see it.
pub(super) fn definition(tool: &Definition) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": serde_json::from_str::<Value>(&tool.parameters).unwrap_or_default(),
        "readOnly": tool.read_only,
    })
}

/// Changes when what a client was told of the tools is no longer so.
pub(super) fn capability_snapshot(definitions: &[Definition]) -> String {
    let mut digest = Sha256::new();
    digest.update(PROTOCOL.to_be_bytes());
    for tool in definitions {
        for part in [&tool.name, &tool.description, &tool.parameters] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    hex(&digest.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_refused_under_its_id() {
        let table = [
            ("{", Value::Null, PARSE_ERROR),
            ("\u{feff}{}", Value::Null, PARSE_ERROR),
            ("[]", Value::Null, INVALID_REQUEST),
            ("7", Value::Null, INVALID_REQUEST),
            ("{}", Value::Null, INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":7}"#, json!(7), INVALID_REQUEST),
            (
                r#"{"jsonrpc":"2.0","id":"a","method":5}"#,
                json!("a"),
                INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                Value::Null,
                INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
                Value::Null,
                INVALID_REQUEST,
            ),
        ];
        for (line, id, code) in table {
            let refused = Message::read(line.as_bytes()).err();
            let refused = refused.map(|(id, code, _)| (id, code));
            assert_eq!(refused, Some((id, code)), "{line}");
        }
        let deep = "[".repeat(100_000);
        assert!(Message::read(deep.as_bytes()).is_err());
    }

    #[test]
    fn an_id_of_null_makes_a_request() {
        let read = |line: &str| Message::read(line.as_bytes()).ok().map(|read| read.id);
        let request = r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#;
        assert_eq!(read(request), Some(Some(Value::Null)));
        let notification = r#"{"jsonrpc":"2.0","method":"ping"}"#;
        assert_eq!(read(notification), Some(None));
    }
}
