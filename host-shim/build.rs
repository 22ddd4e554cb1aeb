//! Builds the component and embeds it, so that `cargo build` is all it takes.
//!
//! Invariant: what is embedded was compiled from the source beside it, with the
//! settings the engine loads it under. How a guest is built is `build/guest.rs`'s
//! part.

#[path = "build/guest.rs"]
mod guest;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    let workspace = manifest.parent().expect("the crate lies in the workspace");
    for path in [
        "plugin/src",
        "plugin/Cargo.toml",
        "wit",
        "Cargo.lock",
        "host-shim/build",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    println!("cargo::rerun-if-changed=src/engine/settings.rs");

    let guest = guest::build(workspace, "openshell-plugin", &out);
    std::fs::write(out.join("plugin.wasm"), &guest.component).expect("OUT_DIR is writable");
    std::fs::write(out.join("plugin.cwasm"), &guest.precompiled).expect("OUT_DIR is writable");
    let digest: String = Sha256::digest(&guest.component)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("cargo::rustc-env=OPENSHELL_COMPONENT_SHA256={digest}");
    println!(
        "cargo::rustc-env=OPENSHELL_TARGET={}",
        std::env::var("TARGET").expect("set by cargo")
    );
}
