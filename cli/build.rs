//! Lists the files of the OpenCode adapter, which become part of the program.
//!
//! Invariant: every module of the adapter is in the list, so that one that is added
//! there cannot be forgotten here. `src/install/adapter.rs` holds the other end. It
//! does not look into them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The adapter in the workspace, seen from this package.
const ADAPTER: &str = "../plugin/opencode";
/// Its files beside the modules in `lib`.
const FILES: [&str; 4] = ["README.md", "index.js", "package.json", "tools.json"];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let adapter = here.join(ADAPTER).canonicalize()?;
    let mut names: Vec<String> = FILES.map(str::to_owned).to_vec();
    for entry in fs::read_dir(adapter.join("lib"))? {
        names.push(format!("lib/{}", entry?.file_name().to_string_lossy()));
    }
    names.sort();
    let list: String = names.iter().map(|name| line(&adapter, name)).collect();
    fs::write(out.join("adapter.rs"), format!("&[\n{list}]\n"))?;
    println!("cargo::rerun-if-changed={}", adapter.join("lib").display());
    for name in FILES {
        println!("cargo::rerun-if-changed={}", adapter.join(name).display());
    }
    Ok(())
}

/// One file, by its name in the package.
fn line(adapter: &Path, name: &str) -> String {
    let path = adapter.join(name).display().to_string();
    format!("    ({name:?}, include_str!({path:?})),\n")
}
