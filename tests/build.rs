//! Builds the hostile guest that the suites run in the real host, and the component
//! with its steps counted.
//!
//! Invariant: both are built with the engine's own settings, so the host under test
//! loads them like the real one. The ordinary component is not built here.

#[path = "../host-shim/build/guest.rs"]
mod guest;

use std::path::PathBuf;

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    let workspace = manifest.parent().expect("the crate lies in the workspace");
    for path in [
        "tests/guests",
        "plugin/src",
        "plugin/Cargo.toml",
        "wit",
        "Cargo.lock",
        "host-shim/build",
        "host-shim/src/engine/settings.rs",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    let rogue = guest::build(workspace, "openshell-rogue-guest", &out);
    // The component is there for whoever wants to inspect the attacks.
    std::fs::write(out.join("rogue.wasm"), rogue.component).expect("OUT_DIR is writable");
    std::fs::write(out.join("rogue.cwasm"), rogue.precompiled).expect("OUT_DIR is writable");
    let counted = guest::build_counted(workspace, "openshell-plugin", &out);
    std::fs::write(out.join("counted.cwasm"), counted).expect("OUT_DIR is writable");
}
