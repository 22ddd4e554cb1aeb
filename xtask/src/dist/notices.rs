//! The licences of everything that is part of the binary, as those ask for.
//!
//! Invariant: a crate that is linked in is listed, and one that only builds or
//! tests is not. Whether a licence suits anybody is for `cargo deny`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cargo;

/// The crates the binary is made of: itself, and the component in it.
const ROOTS: [&str; 2] = ["openshell", "openshell-plugin"];
/// What files with licences and notices are called.
const NAMES: [&str; 6] = [
    "license",
    "licence",
    "copying",
    "notice",
    "copyright",
    "unlicense",
];

/// The text: every crate with its licence, then every text of a licence once.
pub(super) fn collect(target: &str) -> Result<String, String> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", target])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let mut list = String::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in linked(&metadata) {
        // A path is a member of this workspace, whose licence stands beside this.
        if package["source"].is_null() {
            continue;
        }
        let word = |key: &str| package[key].as_str().unwrap_or("?").to_owned();
        let name = format!("{} {}", word("name"), word("version"));
        list.push_str(&format!("{name}: {}\n", word("license")));
        let manifest = word("manifest_path");
        let dir = Path::new(&manifest).parent().unwrap_or(Path::new("."));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let file = entry.file_name().to_string_lossy().to_lowercase();
            if NAMES.iter().any(|begin| file.starts_with(begin))
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                texts.entry(text).or_default().insert(name.clone());
            }
        }
    }
    let mut out = format!("openshell contains the following software.\n\n{list}");
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1));
    for (text, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        out.push_str(&format!(
            "\n{}\n{}\n\n{}\n",
            "=".repeat(80),
            names.join(", "),
            text.trim_end()
        ));
    }
    Ok(out)
}

/// Every package that a normal dependency leads to.
fn linked(metadata: &Value) -> Vec<&Value> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let packages: BTreeMap<&str, &Value> = packages
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten();
    let nodes: BTreeMap<&str, &Value> = nodes
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let mut todo: Vec<&str> = packages
        .iter()
        .filter(|(_, package)| {
            package["source"].is_null() && ROOTS.iter().any(|root| package["name"] == **root)
        })
        .map(|(id, _)| *id)
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        let deps = nodes.get(id).and_then(|node| node["deps"].as_array());
        for dep in deps.into_iter().flatten() {
            let kinds = dep["dep_kinds"].as_array();
            // The kind of a normal dependency is null.
            if kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
                && let Some(id) = dep["pkg"].as_str()
            {
                todo.push(id);
            }
        }
    }
    let mut found: Vec<&Value> = seen
        .into_iter()
        .filter_map(|id| packages.get(id).copied())
        .collect();
    found.sort_by_key(|package| {
        (
            package["name"].as_str().unwrap_or_default().to_owned(),
            package["version"].as_str().unwrap_or_default().to_owned(),
        )
    });
    found
}
