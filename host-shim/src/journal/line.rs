//! The form of one line: a JSON object whose last member is its own hash.
//!
//! `{"v":1,"seq":7,…,"hash":"<64 hex digits>"}` and a newline. The hash is the
//! SHA-256 of every byte before `,"hash":"`, and the bytes from there on are
//! compared literally, so there is no byte of a line that can change unnoticed
//! and no canonical form to agree on.
//!
//! Invariant: a line that checks is the very line that was sealed. What its members
//! say, and which line it follows, is not looked at.

use super::digest::{HEX_LEN, sha256_hex};

/// Longest line, in bytes with its newline. A command that must be shown to a
/// person whole is far shorter.
pub(super) const MAX_LINE: usize = 4 * 1024 * 1024;

const MARK: &str = ",\"hash\":\"";
const END: &str = "\"}";

/// Adds the hash to a serialized JSON object and ends the line. Returns the
/// line with its newline, and the hash.
pub(super) fn seal(object: &str) -> (String, String) {
    let body = object.strip_suffix('}').unwrap_or(object);
    let hash = sha256_hex(body.as_bytes());
    (format!("{body}{MARK}{hash}{END}\n"), hash)
}

/// Checks a line without its newline against its own hash. Returns the hash.
pub(super) fn check(line: &[u8]) -> Result<String, &'static str> {
    let tail = MARK.len() + HEX_LEN + END.len();
    let Some(cut) = line.len().checked_sub(tail).filter(|cut| *cut > 0) else {
        return Err("it is too short to be a record");
    };
    let (body, rest) = line.split_at(cut);
    let (mark, rest) = rest.split_at(MARK.len());
    let (written, end) = rest.split_at(HEX_LEN);
    if mark != MARK.as_bytes() || end != END.as_bytes() {
        return Err("it does not end with its hash");
    }
    let computed = sha256_hex(body);
    if written != computed.as_bytes() {
        return Err("its hash does not match its text");
    }
    Ok(computed)
}

#[cfg(test)]
mod tests {
    use super::{check, seal};

    #[test]
    fn a_sealed_line_is_json_and_checks() {
        let (line, hash) = seal(r#"{"seq":1,"text":"é"}"#);
        let text = line.strip_suffix('\n').expect("a line ends with a newline");
        assert_eq!(check(text.as_bytes()), Ok(hash.clone()));
        let value: serde_json::Value = serde_json::from_str(text).expect("a line is JSON");
        assert_eq!(value["hash"], hash);
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let (line, _) = seal(r#"{"seq":1,"text":"abc"}"#);
        let bytes = line.trim_end().as_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1 << bit;
                assert!(check(&changed).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn short_lines_are_refused() {
        for line in [&b""[..], b"{}", b"{\"hash\":\"\"}"] {
            assert!(check(line).is_err());
        }
    }
}
