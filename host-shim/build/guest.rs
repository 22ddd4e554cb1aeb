//! Builds a guest crate into a precompiled component, for build scripts.
//!
//! Invariant: the result depends on the guest's sources, the lock file and this
//! file alone; the user's compiler flags for the host do not reach the guest.
//! Shared by the helper's build script and by the one of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../src/engine/settings.rs"]
mod settings;

const TARGET: &str = "wasm32-unknown-unknown";

/// What a build yields.
pub(crate) struct Guest {
    /// The component, as any component tool reads it.
    #[allow(dead_code, reason = "the tests need only the compiled form")]
    pub(crate) component: Vec<u8>,
    /// The same, compiled for the target of this build.
    pub(crate) precompiled: Vec<u8>,
}

/// Builds the crate `package` of the workspace at `workspace`, below `out`.
pub(crate) fn build(workspace: &Path, package: &str, out: &Path) -> Guest {
    let component = component(workspace, package, out);
    let precompiled = precompile(&component, settings::config());
    Guest {
        component,
        precompiled,
    }
}

/// Builds a crate into a component in which every step is counted as fuel, and
/// compiles it.
#[allow(dead_code, reason = "only the tests count steps")]
pub(crate) fn build_counted(workspace: &Path, package: &str, out: &Path) -> Vec<u8> {
    let mut config = settings::config();
    config.consume_fuel(true);
    precompile(&component(workspace, package, out), config)
}

fn component(workspace: &Path, package: &str, out: &Path) -> Vec<u8> {
    require_target();
    let module = compile(workspace, package, out);
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .unwrap_or_else(|error| fail(&format!("{package} is not a valid component: {error:#}")))
}

fn precompile(component: &[u8], mut config: wasmtime::Config) -> Vec<u8> {
    let target = std::env::var("TARGET").unwrap_or_else(|_| fail("cargo did not set TARGET"));
    // Naming the target fixes the instruction set to its baseline, so that the
    // code runs on any machine of that kind and not only on the one building it.
    config
        .target(&target)
        .and_then(|config| wasmtime::Engine::new(config))
        .and_then(|engine| engine.precompile_component(component))
        .unwrap_or_else(|error| fail(&format!("the component cannot be compiled: {error:#}")))
}

fn compile(workspace: &Path, package: &str, out: &Path) -> Vec<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target_dir = out.join("guest");
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args([
            "build",
            "--release",
            "--package",
            package,
            "--target",
            TARGET,
        ])
        .arg("--lib")
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    // Flags and wrappers meant for the host's code would break or change the guest.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        command.env_remove(name);
    }
    let output = command
        .output()
        .unwrap_or_else(|error| fail(&format!("cargo could not be run for {package}: {error}")));
    if !output.status.success() {
        fail(&format!(
            "{package} does not build for {TARGET}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let file: PathBuf = target_dir
        .join(TARGET)
        .join("release")
        .join(format!("{}.wasm", package.replace('-', "_")));
    std::fs::read(&file)
        .unwrap_or_else(|error| fail(&format!("{} cannot be read: {error}", file.display())))
}

/// Makes sure the compiler can produce WebAssembly: looks, asks rustup once, and
/// otherwise says what a person has to run.
fn require_target() {
    if has_target() {
        return;
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status()
        .is_ok_and(|status| status.success());
    if !(added && has_target()) {
        fail(&format!(
            "the Rust target {TARGET} is missing and `rustup target add {TARGET}` did not \
             bring it. Use a Rust from rustup (https://rustup.rs) and run that command."
        ));
    }
}

fn has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .is_ok_and(|output| {
            let folder = String::from_utf8_lossy(&output.stdout);
            output.status.success() && Path::new(folder.trim()).is_dir()
        })
}

fn fail(message: &str) -> ! {
    eprintln!("error: {message}");
    std::process::exit(1)
}
