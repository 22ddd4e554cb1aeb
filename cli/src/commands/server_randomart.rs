//! A host key's fingerprint as a picture, the one `ssh-keygen -lv` draws.
//!
//! Invariant: equal to the drawing of OpenSSH (`sshkey.c`,
//! `fingerprint_randomart`, hash SHA-256), so that a person can hold the two
//! against each other. It says nothing about trust.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use openshell_host::ssh::HostKey;

/// Size of the field, without its frame.
const WIDTH: usize = 17;
const HEIGHT: usize = 9;
/// What a place shows by how often it was visited; the last two mark start and
/// end.
const VALUES: &[u8] = b" .o+=*BOX@%&#/^SE";

/// Draws the picture; empty for a key whose fingerprint is no SHA-256.
pub(super) fn randomart(key: &HostKey) -> String {
    let fingerprint = key.fingerprint();
    let Some(digest) = fingerprint
        .strip_prefix("SHA256:")
        .and_then(|text| STANDARD_NO_PAD.decode(text).ok())
    else {
        return String::new();
    };
    let last = VALUES.len() - 1;
    let mut field = [[0usize; WIDTH]; HEIGHT];
    let (mut x, mut y) = (WIDTH / 2, HEIGHT / 2);
    for byte in digest {
        for step in 0..4 {
            let bits = byte >> (2 * step);
            x = moved(x, bits & 1 != 0, WIDTH);
            y = moved(y, bits & 2 != 0, HEIGHT);
            // The two highest values are kept for start and end.
            field[y][x] = (field[y][x] + 1).min(last - 2);
        }
    }
    field[HEIGHT / 2][WIDTH / 2] = last - 1;
    field[y][x] = last;

    let mut picture = frame(&title(key));
    for row in field {
        let row: String = row.iter().map(|count| char::from(VALUES[*count])).collect();
        picture.push_str(&format!("\n|{row}|"));
    }
    picture.push('\n');
    picture.push_str(&frame("[SHA256]"));
    picture
}

/// One step of the walk, kept inside the field.
fn moved(at: usize, forward: bool, size: usize) -> usize {
    if forward {
        (at + 1).min(size - 1)
    } else {
        at.saturating_sub(1)
    }
}

fn frame(title: &str) -> String {
    let before = (WIDTH - title.len().min(WIDTH)) / 2;
    let after = WIDTH - title.len().min(WIDTH) - before;
    format!("+{}{title}{}+", "-".repeat(before), "-".repeat(after))
}

/// Kind and size, or the kind alone where both do not fit.
fn title(key: &HostKey) -> String {
    let kind = kind(key.key_type());
    match bits(key) {
        Some(bits) if kind.len() + 8 <= WIDTH => format!("[{kind} {bits}]"),
        _ => format!("[{}]", kind.chars().take(WIDTH - 2).collect::<String>()),
    }
}

/// The short name OpenSSH gives a type of key.
fn kind(key_type: &str) -> &str {
    match key_type {
        "ssh-ed25519" => "ED25519",
        "ssh-rsa" => "RSA",
        "ssh-dss" => "DSA",
        "sk-ssh-ed25519@openssh.com" => "ED25519-SK",
        "sk-ecdsa-sha2-nistp256@openssh.com" => "ECDSA-SK",
        other if other.starts_with("ecdsa-sha2-") => "ECDSA",
        other => other,
    }
}

/// Size in bits: of the curve, or of the modulus (RFC 4253, section 6.6).
fn bits(key: &HostKey) -> Option<usize> {
    match key.key_type() {
        "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => Some(256),
        "ssh-rsa" => {
            let blob = STANDARD.decode(key.base64()).ok()?;
            let (_, rest) = string(&blob)?;
            let (_, rest) = string(rest)?;
            let (modulus, _) = string(rest)?;
            let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
            let first = modulus.get(zeros)?;
            Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
        }
        other => other.split_once("nistp")?.1.get(..3)?.parse().ok(),
    }
}

/// Splits off a string of the wire format (RFC 4251, section 5).
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Public halves of keys that were thrown away, and what `ssh-keygen -lv` of
    /// OpenSSH 9.2 drew for them.
    const DRAWN: [(&str, &str); 3] = [
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
            "+--[ED25519 256]--+\n\
             |....o.o . .o..   |\n\
             |.. . + . .E.o    |\n\
             | .  o     .=.    |\n\
             |  .      ..o+    |\n\
             | .      S =+.    |\n\
             |  .      oo+o.   |\n\
             | .        o+o+.  |\n\
             |  . .o   . =Oo+  |\n\
             |   . o*oo+*=.=.  |\n\
             +----[SHA256]-----+",
        ),
        (
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCfTk9a1+cAfQePHnwdv6jZBurlqmUYkw5yPNSOewJZqWX\
             XjCt17TYdX4ih+N5fzvH6ZwXkX3oKV0Nf02GCwW3rRtl5ULEEkd3fDadA2qgEvBQ6KozxKMwOpK89uisBYg\
             38PiFIGBhz/5meIeUJey27vZioqkUEw9jCsHDMel6fX+XsTPtYLB5xdldb5CPORv0Goxfsb2oFLqoNjtMtN\
             TfvaueE73xbjdilFz28+EP7j7Lk6ppJlLwV13wl4JO2sPyOgRobwQFzCsRyEh/ArICHkCNiUuUZAM34TjIp\
             mzUc4ZW7Q5NpLh4oYuYCEj8xO3Nt48SUZT120bO59ovyTtkX",
            "+---[RSA 2048]----+\n\
             |                 |\n\
             |     + . o       |\n\
             |    . = o .      |\n\
             |       o . o   ..|\n\
             |        S +  o .o|\n\
             |         . .=oB.o|\n\
             |           ..O*B=|\n\
             |          . o+B@=|\n\
             |        .E. =X*oX|\n\
             +----[SHA256]-----+",
        ),
        (
            "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBMXXmILll5F\
             VAxIlkFUtCrso52BMji6kVixByQXlClTWKb7eWtxHo95BI3rybY4mhk4o0V9XygCSUbJiPSBVwzYme/Bek\
             BBUCLZHl99lZc6XbGAWK28ALJ127a56UBdl0g==",
            "+---[ECDSA 384]---+\n\
             | .o  +.   .      |\n\
             |...o. +o . .     |\n\
             |.oo..o. .   .    |\n\
             |oo oo ...  o     |\n\
             |o.o  . .S.+ .    |\n\
             |oE. o o.oo.*     |\n\
             |+oo .B.. oo .    |\n\
             |=+ ...+          |\n\
             |*.+. ...         |\n\
             +----[SHA256]-----+",
        ),
    ];

    #[test]
    fn the_picture_is_that_of_openssh() {
        for (key, drawn) in DRAWN {
            let key = HostKey::parse(key).expect("a host key");
            assert_eq!(randomart(&key), drawn, "{}", key.key_type());
        }
    }
}
