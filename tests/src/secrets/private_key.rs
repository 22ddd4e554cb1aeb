//! What is secret in a private key file of OpenSSH.
//!
//! The file is base64 over a header, the public key and a private part (OpenSSH
//! `PROTOCOL.key`). Invariant: only numbers that nobody else knows count: the
//! header is the same everywhere, and the public half is no secret. It does not
//! decrypt.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Shortest piece looked for: 16 characters are 96 bits.
const MIN_PIECE: usize = 16;

/// The private numbers of a key, and the pieces of them that stand in one line
/// of the file. None for a key that is encrypted, of another form, or not there.
pub(super) fn secrets(path: &Path) -> Vec<Vec<u8>> {
    let Ok(text) = fs::read_to_string(path) else {
        return Vec::new();
    };
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let Ok(bytes) = STANDARD.decode(lines.concat()) else {
        return Vec::new();
    };
    let numbers = numbers(&bytes).unwrap_or_default();
    let mut secrets = Vec::new();
    for (start, end) in numbers {
        secrets.push(bytes[start..end].to_vec());
        // Three bytes are four characters; those that a neighbour has a part in
        // are left out.
        let (first, last) = ((start * 8).div_ceil(6), end * 8 / 6);
        let mut at = 0;
        for line in &lines {
            let from = first.max(at) - at;
            let to = last.min(at + line.len()).saturating_sub(at);
            if from < to {
                secrets.push(line.as_bytes()[from..to].to_vec());
            }
            at += line.len();
        }
    }
    // A short piece is found together with the long one beside it.
    secrets.retain(|secret| secret.len() >= MIN_PIECE);
    secrets
}

/// Where the private numbers are in the decoded file.
fn numbers(bytes: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut at = b"openssh-key-v1\0".len();
    if !bytes.starts_with(b"openssh-key-v1\0") || string(bytes, &mut at)? != (19, 23) {
        return None;
    }
    // Cipher "none" was four bytes long; the key derivation and its options, the
    // number of keys, the public key.
    string(bytes, &mut at)?;
    string(bytes, &mut at)?;
    at += 4;
    string(bytes, &mut at)?;
    let (start, _) = string(bytes, &mut at)?;
    // Two equal numbers that prove a passphrase, and the type.
    let mut at = start + 8;
    let (first, last) = string(bytes, &mut at)?;
    let kind = bytes.get(first..last)?;
    // Public numbers first, then private ones.
    let (public, private) = match kind {
        b"ssh-ed25519" => (1, 1),
        b"ssh-rsa" => (2, 4),
        kind if kind.starts_with(b"ecdsa-") => (2, 1),
        _ => return None,
    };
    for _ in 0..public {
        string(bytes, &mut at)?;
    }
    let mut found = Vec::new();
    for _ in 0..private {
        let (start, end) = string(bytes, &mut at)?;
        // The public key follows the seed (RFC 8032 section 5.1.5).
        let end = if kind == b"ssh-ed25519" {
            start + 32
        } else {
            end
        };
        found.push((start, end));
    }
    Some(found)
}

/// Where a string is, without its length; `at` moves behind it.
fn string(bytes: &[u8], at: &mut usize) -> Option<(usize, usize)> {
    let length = bytes.get(*at..*at + 4)?.try_into().ok()?;
    let start = *at + 4;
    let end = start.checked_add(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
    *at = end;
    (end <= bytes.len()).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sshd::ssh_keygen;

    #[test]
    fn the_private_half_and_nothing_of_the_public_one() {
        let dir = tempfile::tempdir().expect("a directory");
        for (kind, least) in [("ed25519", 1), ("ecdsa", 1), ("rsa", 5)] {
            let path = dir.path().join(kind);
            ssh_keygen(&path, kind, "");
            let secrets = secrets(&path);
            assert!(secrets.len() >= least, "{kind}: {}", secrets.len());
            let public = fs::read_to_string(path.with_extension("pub")).expect("just made");
            let public = public.split(' ').nth(1).expect("the key");
            let public = STANDARD.decode(public).expect("base64");
            let text = fs::read_to_string(&path).expect("just made");
            for secret in &secrets {
                let shown = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
                assert!(!shown(&public), "{kind}: a public number");
                let whole = STANDARD.decode(
                    text.lines()
                        .filter(|line| !line.starts_with('-'))
                        .collect::<String>(),
                );
                assert!(
                    shown(text.as_bytes()) || shown(&whole.expect("base64")),
                    "{kind}: not in the file"
                );
            }
            let encrypted = dir.path().join(format!("{kind}-encrypted"));
            ssh_keygen(&encrypted, kind, "a passphrase of some length");
            assert!(super::secrets(&encrypted).is_empty());
        }
        assert!(super::secrets(&dir.path().join("absent")).is_empty());
    }
}
