//! Digests that bind a permit to its operation, and a key to its payload.
//!
//! Invariant: every part is length-prefixed, so that no two lists of parts hash
//! alike. They keep no secret: whoever knows the parts can compute them.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Builds a SHA-256 over named parts.
pub(super) struct Digester(Sha256);

impl Digester {
    pub(super) fn new(domain: &str) -> Self {
        Self(Sha256::new()).part("domain", domain.as_bytes())
    }

    pub(super) fn part(mut self, name: &str, bytes: &[u8]) -> Self {
        for piece in [name.as_bytes(), bytes] {
            self.0.update((piece.len() as u64).to_be_bytes());
            self.0.update(piece);
        }
        self
    }

    pub(super) fn text(self, name: &str, text: &str) -> Self {
        self.part(name, text.as_bytes())
    }

    pub(super) fn optional(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.part(name, text.as_bytes()),
            None => self.part(&format!("no {name}"), b""),
        }
    }

    pub(super) fn number(self, name: &str, number: u64) -> Self {
        self.part(name, &number.to_be_bytes())
    }

    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 of content, in hex.
pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digest of a tool call's name and arguments; the order of keys does not matter.
pub(super) fn payload(tool: &str, arguments: &Value) -> String {
    let digest = Digester::new("openshell payload 1").text("tool", tool);
    value(digest, arguments).finish()
}

fn value(digest: Digester, value: &Value) -> Digester {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.into_iter()
                .fold(digest.number("object", map.len() as u64), |digest, key| {
                    self::value(digest.text("key", key), &map[key])
                })
        }
        Value::Array(items) => items
            .iter()
            .fold(digest.number("array", items.len() as u64), self::value),
        other => digest.text("scalar", &other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn payloads_differ_exactly_when_the_calls_do() {
        let a = payload("t", &json!({"a": 1, "b": [1, "2"]}));
        assert_eq!(a, payload("t", &json!({"b": [1, "2"], "a": 1})));
        for other in [
            payload("u", &json!({"a": 1, "b": [1, "2"]})),
            payload("t", &json!({"a": 1, "b": [1, 2]})),
            payload("t", &json!({"a": 1, "b": [[1], "2"]})),
            payload("t", &json!({"a": 1, "b": [1], "c": "2"})),
        ] {
            assert_ne!(a, other);
        }
    }
}
