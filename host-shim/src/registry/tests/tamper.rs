//! Whatever was tampered with comes out as a refusal.
//!
//! Invariant under test: a register gives the data that was sealed, or none.
//! Putting an old file back whole cannot be noticed and is not tried.

use std::fs;

use secrecy::SecretString;

use super::{Edit, Scratch, agent, everything, id, server};
use crate::registry::document::Document;
use crate::registry::{AuthMaterial, Registry, RegistryError, Sudo};

#[test]
fn disabling_seals_anew() {
    let scratch = Scratch::filled();
    let mut registry = scratch.registry();
    registry
        .set_disabled(&id("web"), true, &scratch.key)
        .unwrap();
    assert!(scratch.registry().get(&id("web")).unwrap().disabled);
    assert!(scratch.registry().verify(&scratch.key).unwrap().is_empty());
    scratch.edit(|value| value["servers"][2]["disabled"] = false.into());
    assert!(matches!(
        scratch.registry().unlock(&id("web"), &scratch.key),
        Err(RegistryError::RecordInvalid { id: named, .. }) if named == id("web")
    ));
}

/// Edits by somebody without the key, each valid as a file.
#[test]
fn every_plain_field_is_authenticated() {
    let edits: [(&str, Edit); 13] = [
        ("id", |s| s["id"] = "wed".into()),
        ("host", |s| s["host"] = "evil.example".into()),
        ("port", |s| s["port"] = 2022.into()),
        ("user", |s| s["user"] = "root".into()),
        ("labels", |s| {
            s["labels"] = serde_json::json!(["tier:web", "prod"])
        }),
        ("no labels", |s| s["labels"] = serde_json::json!([])),
        ("auth", |s| s["auth"] = "agent".into()),
        ("jump", |s| s["jump"] = "db".into()),
        ("shell", |s| s["shell"] = "/bin/bash".into()),
        ("disabled", |s| s["disabled"] = true.into()),
        ("created", |s| s["created"] = "2001-01-01T00:00:00Z".into()),
        ("nonce", |s| {
            s["sealed"]["nonce"] = "AAAAAAAAAAAAAAAA".into()
        }),
        ("body", |s| {
            s["sealed"]["body"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into()
        }),
    ];
    for (what, edit) in edits {
        let scratch = Scratch::filled();
        scratch.edit(|value| {
            let web = &mut value["servers"][2];
            assert_eq!(web["id"], "web");
            edit(web);
        });
        let registry = scratch.registry();
        let faults = registry.verify(&scratch.key).unwrap();
        let named = if what == "id" { id("wed") } else { id("web") };
        assert!(
            matches!(faults.as_slice(), [RegistryError::RecordInvalid { id, .. }] if *id == named),
            "{what}: {faults:?}"
        );
    }
}

/// Whether sudo may be used is authenticated like every other field, records of
/// the first formats say nothing and stay authentic, and an older version is told
/// by the format that there is something it does not know.
#[test]
fn sudo_is_not_a_matter_of_editing() {
    let scratch = Scratch::filled();
    let format = |scratch: &Scratch| -> u64 {
        let bytes = fs::read(scratch.paths.registry_file()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            value["servers"][2].get("sudo").is_some(),
            value["format"] == 3
        );
        value["format"].as_u64().unwrap()
    };
    assert_eq!(format(&scratch), 1);
    scratch.edit(|value| value["servers"][2]["sudo"] = "ask".into());
    let refused = Registry::open(&scratch.paths).unwrap_err();
    assert!(refused.to_string().contains("sudo"), "{refused}");
    scratch.edit(|value| value["format"] = 3.into());
    assert!(matches!(
        scratch.registry().unlock(&id("web"), &scratch.key),
        Err(RegistryError::RecordInvalid { .. })
    ));

    let scratch = Scratch::filled();
    let mut web = server("web", AuthMaterial::Password(SecretString::from("hunter2")));
    web.sudo = Sudo::Ask;
    scratch.registry().add(web, &scratch.key, true).unwrap();
    assert_eq!(format(&scratch), 3);
    assert!(scratch.registry().verify(&scratch.key).unwrap().is_empty());
    // Disabling keeps the choice.
    scratch
        .registry()
        .set_disabled(&id("web"), true, &scratch.key)
        .unwrap();
    assert_eq!(scratch.registry().get(&id("web")).unwrap().sudo, Sudo::Ask);
    scratch.edit(|value| value["servers"][2]["sudo"] = "never".into());
    assert!(scratch.registry().unlock(&id("web"), &scratch.key).is_err());
    scratch.edit(|value| drop(value["servers"][2].as_object_mut().unwrap().remove("sudo")));
    assert!(scratch.registry().unlock(&id("web"), &scratch.key).is_err());
}

#[test]
fn a_sealed_body_belongs_to_its_record() {
    let scratch = Scratch::filled();
    scratch.edit(|value| {
        let foreign = value["servers"][1]["sealed"].clone();
        value["servers"][2]["sealed"] = foreign;
    });
    let faults = scratch.registry().verify(&scratch.key).unwrap();
    assert!(
        matches!(faults.as_slice(), [RegistryError::RecordInvalid { id: named, .. }] if *named == id("web"))
    );
}

/// Whatever single bit is changed: the same data or a clear refusal.
#[test]
fn no_flipped_bit_gives_other_data() {
    let scratch = Scratch::new();
    let mut web = server("web", AuthMaterial::Password(SecretString::from("hunter2")));
    web.labels = vec!["prod".into()];
    scratch.add(web).unwrap();
    let good = fs::read(scratch.paths.registry_file()).unwrap();
    let expected = everything(&scratch.registry(), &scratch.key).unwrap();
    let mut refused = 0;
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[index] ^= 1 << bit;
            let outcome = Document::parse(&scratch.paths, &bytes).and_then(|document| {
                everything(&Registry::of(&scratch.paths, document), &scratch.key)
            });
            match outcome {
                Ok(data) => assert_eq!(data, expected, "bit {bit} of byte {index}"),
                Err(_) => refused += 1,
            }
        }
    }
    // Only white space can change without effect.
    let space = good
        .iter()
        .filter(|byte| byte.is_ascii_whitespace())
        .count();
    assert!(
        refused >= (good.len() - space) * 8,
        "{refused} refusals of {} flips",
        good.len() * 8
    );
    for cut in 0..good.len() - 1 {
        assert!(
            Document::parse(&scratch.paths, &good[..cut]).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn files_that_are_not_ours_to_read_are_refused() {
    let edits: [(&str, Edit); 9] = [
        ("format 4", |v| v["format"] = 4.into()),
        ("never existed", |v| v["format"] = 0.into()),
        ("expected u64", |v| v["format"] = "1".into()),
        ("unknown field `surdo`", |v| {
            v["servers"][0]["surdo"] = true.into()
        }),
        ("unknown field `extra`", |v| v["extra"] = 1.into()),
        ("unknown variant `vault`", |v| {
            v["key"]["source"] = "vault".into()
        }),
        ("kdf", |v| v["key"]["source"] = "passphrase".into()),
        ("twice", |v| {
            let first = v["servers"][0].clone();
            v["servers"][1] = first;
        }),
        ("host", |v| v["servers"][0]["host"] = "a b".into()),
    ];
    for (sentence, edit) in edits {
        let scratch = Scratch::filled();
        scratch.edit(edit);
        let error = Registry::open(&scratch.paths).unwrap_err();
        assert!(
            error.to_string().contains(sentence),
            "{sentence:?} in {error}"
        );
        assert!(!error.next().is_empty(), "{error}");
        // Nor is it overwritten by a change.
        assert!(scratch.add(agent("new")).is_err());
    }
}

#[test]
fn another_key_is_called_another_key() {
    let scratch = Scratch::filled();
    let other = scratch.another_key();
    let mut registry = scratch.registry();
    let before = fs::read(scratch.paths.registry_file()).unwrap();
    let wrong = |error: RegistryError| matches!(error, RegistryError::WrongKey { .. });
    assert!(registry.unlock(&id("web"), &other).is_err_and(wrong));
    assert!(registry.verify(&other).is_err_and(wrong));
    assert!(registry.add(agent("new"), &other, false).is_err_and(wrong));
    assert!(
        registry
            .set_disabled(&id("web"), true, &other)
            .is_err_and(wrong)
    );
    assert!(Registry::init(&scratch.paths, &other).is_err_and(wrong));
    assert_eq!(fs::read(scratch.paths.registry_file()).unwrap(), before);
}
