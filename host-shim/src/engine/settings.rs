//! The engine settings that compiled code depends on.
//!
//! Used both where the component is compiled (the build script) and where it is
//! loaded: wasmtime refuses code that was compiled under other settings. Invariant:
//! both sides use this one function. Limits of a guest are no part of it.

/// Settings common to both sides; the build side also names the target.
pub(crate) fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model(true);
    // Lets the host stop a guest that does not come back.
    config.epoch_interruption(true);
    config
}
