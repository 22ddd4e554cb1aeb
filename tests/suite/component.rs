//! The component file itself: what it can reach, read from the bytes that are
//! embedded in the helper.
//!
//! Invariant under test: the component is pure. Its only way out are the interfaces
//! of the contract, at the level of the component and inside it. What the component
//! does with them is not looked at.

use std::collections::BTreeSet;

use openshell_host::engine::Engine;
use wasmparser::{Parser, Payload, TypeRef};
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
        names(&["effects", "outputs", "servers", "types"])
    );
    assert_eq!(
        interfaces(&resolve, world.exports.iter()),
        names(&["policy", "tools"])
    );
}

#[test]
fn the_modules_inside_import_the_contract_and_nothing_else() {
    // One set per core module, in their order. Modules hold no modules, and a
    // component's own imports are another section, so an import section belongs
    // to the module that was opened last.
    let mut modules: Vec<BTreeSet<String>> = Vec::new();
    for payload in Parser::new(0).parse_all(Engine::component_bytes()) {
        match payload.expect("a well-formed component") {
            Payload::ModuleSection { .. } => modules.push(BTreeSet::new()),
            Payload::ImportSection(section) => {
                let module = modules.last_mut().expect("imports of a module");
                for import in section.into_imports() {
                    let import = import.expect("a well-formed import");
                    assert!(
                        matches!(import.ty, TypeRef::Func(_)) || import.module == "shim",
                        "{}.{} is no function",
                        import.module,
                        import.name
                    );
                    module.insert(import.module.to_owned());
                }
            }
            _ => {}
        }
    }
    let (guest, glue) = modules.split_first().expect("there is code in it");
    assert_eq!(*guest, names(&["effects", "outputs", "servers"]));
    // The encoder's own modules break the circle between the guest's memory and
    // the imports that need it; these names are modules of the same component.
    let wired: BTreeSet<String> = ["actual", "shim"].map(str::to_owned).into();
    for module in glue {
        assert!(module.is_subset(&wired), "{module:?}");
    }
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
