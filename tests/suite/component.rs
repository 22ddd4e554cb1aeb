//! The component file itself: what it can reach, read from the bytes that are
//! embedded in the helper.
//!
//! Invariant under test: the component is pure. Its only way out are the
//! interfaces of the contract, at the level of the component and inside it.

use std::collections::BTreeSet;

use openshell_host::engine::Engine;
use wasmparser::{Parser, Payload};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, World, WorldItem, WorldKey};

/// Names of the interfaces in one direction of a world; anything else is a failure.
fn interfaces<'a>(
    resolve: &Resolve,
    items: impl Iterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> BTreeSet<String> {
    items
        .map(|(key, item)| match (key, item) {
            (WorldKey::Interface(id), WorldItem::Interface { .. }) => resolve
                .id_of(*id)
                .expect("an interface in a world has a name"),
            (key, item) => panic!(
                "{} is not an interface: {item:?}",
                resolve.name_world_key(key)
            ),
        })
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names
        .iter()
        .map(|name| format!("openshell:host/{name}@0.1.0"))
        .collect()
}

#[test]
fn the_component_imports_the_contract_and_nothing_else() {
    let decoded = wit_component::decode(Engine::component_bytes()).expect("a component");
    let DecodedWasm::Component(resolve, world) = decoded else {
        panic!("the embedded file is a WIT package and no component");
    };
    let world: &World = &resolve.worlds[world];
    assert_eq!(
        interfaces(&resolve, world.imports.iter()),
        names(&["effects", "servers", "types"])
    );
    assert_eq!(
        interfaces(&resolve, world.exports.iter()),
        names(&["policy", "tools"])
    );
}

#[test]
fn the_modules_inside_import_the_contract_and_nothing_else() {
    let mut modules = 0;
    let mut imports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(Engine::component_bytes()) {
        match payload.expect("a well-formed component") {
            Payload::ModuleSection { .. } => modules += 1,
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.expect("a well-formed import");
                    imports.insert(import.module.to_owned());
                }
            }
            _ => {}
        }
    }
    assert!(modules > 0, "there is code in the component");
    // The empty name is how the parts of one component are wired to each other.
    imports.remove("");
    assert_eq!(imports, names(&["effects", "servers"]));
}

#[test]
fn wasi_is_not_mentioned_anywhere() {
    let bytes = Engine::component_bytes();
    for word in ["wasi:", "wasi_"] {
        let found = bytes
            .windows(word.len())
            .any(|window| window == word.as_bytes());
        assert!(!found, "the component mentions {word}");
    }
}
