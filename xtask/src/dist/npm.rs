//! The npm packages: the adapter, and the helper of one platform.
//!
//! Invariant: neither runs a script when it is installed: OpenCode installs plugins
//! without running any, so the right helper is found by `os`, `cpu` and `libc`
//! alone. Nothing is sent to npm.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::platforms::Platform;
use super::{LICENCES, copy, licences, write};
use crate::{run, workspace};

/// Lays out the adapter: the files its manifest names.
pub(super) fn adapter(to: &Path) -> Result<(), String> {
    let from = workspace().join("plugin/opencode");
    let manifest = manifest(&from)?;
    let version = env!("CARGO_PKG_VERSION");
    if manifest["version"] != version {
        return Err(format!(
            "plugin/opencode/package.json has version {}, the workspace {version}",
            manifest["version"]
        ));
    }
    copy(&from.join("package.json"), &to.join("package.json"))?;
    for name in manifest["files"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        // Those stand at the root.
        if LICENCES.contains(&name) {
            continue;
        }
        if from.join(name).is_dir() {
            let entries = fs::read_dir(from.join(name)).map_err(|error| error.to_string())?;
            for entry in entries.flatten() {
                copy(&entry.path(), &to.join(name).join(entry.file_name()))?;
            }
        } else {
            copy(&from.join(name), &to.join(name))?;
        }
    }
    licences(to)
}

/// Lays out the package of a platform.
pub(super) fn helper(
    to: &Path,
    platform: &Platform,
    binary: &Path,
    notices: &str,
) -> Result<(), String> {
    let adapter = manifest(&workspace().join("plugin/opencode"))?;
    let program = if platform.os == "win32" {
        "bin/openshell.exe"
    } else {
        "bin/openshell"
    };
    let mut manifest = json!({
        "name": platform.package(),
        "version": env!("CARGO_PKG_VERSION"),
        "description": format!("The helper program of openshell for {}", platform.target),
        "license": adapter["license"],
        "os": [platform.os],
        "cpu": [platform.cpu],
        "bin": {"openshell": program},
        "files": ["bin", "THIRD-PARTY.txt", LICENCES[0], LICENCES[1]],
        "preferUnplugged": true,
    });
    if let Some(libc) = platform.libc {
        manifest["libc"] = json!([libc]);
    }
    write(&to.join("package.json"), &format!("{manifest:#}\n"))?;
    write(
        &to.join("README.md"),
        &format!(
            "# {}\n\nThe program `openshell` for {}.\n\
             The package `openshell-opencode` brings it where it fits.\n",
            platform.package(),
            platform.target
        ),
    )?;
    write(&to.join("THIRD-PARTY.txt"), notices)?;
    copy(binary, &to.join(program))?;
    licences(to)
}

fn manifest(dir: &Path) -> Result<Value, String> {
    let path = dir.join("package.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Packs a laid-out package and gives the archive's name.
pub(super) fn pack(dir: &Path, to: &Path) -> Result<String, String> {
    let manifest = manifest(dir)?;
    // npm itself sorts the entries and gives them one time.
    run(Command::new("npm")
        .args(["pack", "--ignore-scripts", "--loglevel=error", "--silent"])
        .arg("--pack-destination")
        .arg(to)
        .arg(dir)
        .stdout(std::process::Stdio::null()))?;
    let word = |key: &str| manifest[key].as_str().unwrap_or_default().to_owned();
    let name = word("name").trim_start_matches('@').replace('/', "-");
    Ok(format!("{name}-{}.tgz", word("version")))
}
