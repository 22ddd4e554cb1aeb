//! A register that was rotated, every byte of it changed one at a time on disk:
//! the same content or a clear refusal, never a panic and never a part.
//!
//! It does not try to put back a whole older file, which no seal can notice.

use std::fs;

use openshell_host::registry::{AuthMaterial, KeyEnv, MasterKey, Paths, Registry, RegistryError};
use openshell_tests::Cli;
use secrecy::ExposeSecret;

use crate::cli_support::unique;

/// Everything that can be got out of the register, or the first refusal.
fn everything(paths: &Paths, key: &MasterKey) -> Result<Vec<String>, RegistryError> {
    let registry = Registry::open(paths)?;
    if let Some(fault) = registry.verify(key)?.into_iter().next() {
        return Err(fault);
    }
    let mut content: Vec<String> = registry
        .retired_keys(key)?
        .iter()
        .map(|key| format!("retired {}", key.id()))
        .collect();
    for view in registry.list() {
        let secret = match registry.unlock(&view.id, key)? {
            AuthMaterial::Password(password) => password.expose_secret().to_owned(),
            other => format!("{:?}", other.kind()),
        };
        content.push(format!("{view:?} {secret}"));
    }
    Ok(content)
}

#[test]
fn every_byte_changed_one_at_a_time() {
    let cli = Cli::new();
    for id in ["web", "db", "cache"] {
        let words = [
            "server",
            "add",
            id,
            "--host",
            "192.0.2.1",
            "--user",
            "me",
            "--password-stdin",
            "--label",
            "prod",
            "--host-key",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
        ];
        let added = cli.run_stdin(words, &format!("{}\n", unique("pw-")));
        assert_eq!(added.status, 0, "{added:?}");
    }
    for _ in 0..2 {
        assert_eq!(cli.run(["key", "rotate"]).status, 0);
    }
    let paths = Paths::new(cli.config_dir(), cli.data_dir());
    let env = KeyEnv {
        key_file: Some(cli.key_file()),
        ..KeyEnv::default()
    };
    let key = MasterKey::resolve(&paths, &env).expect("the key is there");
    let file = paths.registry_file();
    let good = fs::read(&file).expect("the register is there");
    let expected = everything(&paths, &key).expect("it is whole");
    assert_eq!(expected.len(), 5, "two retired keys and three servers");
    let mut refused = 0;
    for index in 0..good.len() {
        // One bit, the case of a letter, every bit, and the end of a C string.
        for changed in [good[index] ^ 1, good[index] ^ 0x20, !good[index], 0] {
            let mut bytes = good.clone();
            bytes[index] = changed;
            if bytes == good {
                continue;
            }
            fs::write(&file, &bytes).expect("own file");
            match everything(&paths, &key) {
                Ok(content) => assert_eq!(content, expected, "byte {index} as {changed:#x}"),
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty() && !error.next().is_empty());
                }
            }
        }
    }
    let space = good
        .iter()
        .filter(|byte| byte.is_ascii_whitespace())
        .count();
    assert!(
        refused >= (good.len() - space) * 3,
        "{refused} refusals for {} bytes",
        good.len()
    );
    fs::write(&file, &good).expect("own file");
    assert_eq!(everything(&paths, &key).ok(), Some(expected));

    // What a person sees of some of them.
    for index in (0..good.len()).step_by(good.len() / 12) {
        let mut bytes = good.clone();
        bytes[index] = !bytes[index];
        fs::write(&file, &bytes).expect("own file");
        let listed = cli.run(["key", "status"]);
        assert_eq!(listed.status, 1, "byte {index}: {listed:?}");
        assert!(listed.stderr.contains("next:"), "byte {index}: {listed:?}");
    }
}
