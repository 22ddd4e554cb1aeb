//! Whether OpenCode is there, and whether it really loads the plugin.
//!
//! Reads OpenCode's configuration files in the order in which it reads them, looks
//! at the plugin each entry names, and has OpenCode itself say which tools it has.
//! It deliberately does not decide what OpenCode would make of permissions there.
//! Invariant: each check ends within its limit, and no configuration file is
//! written.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::doctor::{Finding, on_path};
use super::doctor_program::{self, Kind};
use crate::context::Context;
use crate::install::{
    Adapter, Added, Receipt, Section, documents, global_documents, names_adapter, plugins, value,
};

/// Releases whose plugin interface the adapter is made for: from, and below.
const SUPPORTED: ((u64, u64), u64) = ((1, 18), 2);
/// How long OpenCode may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(30);
/// How long OpenCode may take to load everything and list its tools; the first
/// time, it fetches packages.
const LOAD_LIMIT: Duration = Duration::from_secs(90);
/// Ends of the fixes below.
const INSTALL: &str = "`openshell install` puts it right.";

/// One plugin entry that names the adapter.
struct Loaded {
    file: PathBuf,
    spec: String,
    options: Value,
}

/// Looks for the program and for the plugin.
pub(super) fn check(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let program = on_path("opencode");
    match &program {
        None => findings.push(Finding::note(
            "opencode",
            "there is no opencode on PATH",
            "The command line and `openshell mcp` work without it.",
        )),
        Some(program) => findings.push(version(program)),
    }
    let added = match Receipt::peek(context.paths()) {
        Ok(added) => added,
        Err(error) => {
            findings.push(Finding::failed("plugin", error.into()));
            Vec::new()
        }
    };
    let (entries, mcp) = entries(&mut findings);
    if program.is_none() && entries.is_empty() {
        return findings;
    }
    if entries.is_empty() {
        findings.push(if mcp.is_empty() {
            Finding::wrong(
                "plugin",
                "no configuration of OpenCode names the openshell plugin",
                "`openshell install` registers it for every project.",
            )
        } else {
            Finding::good(
                "plugin",
                format!("none; an MCP server in {}", mcp.join(", ")),
            )
        });
    }
    if entries.len() > 1 {
        let places: Vec<String> = entries
            .iter()
            .map(|entry| entry.file.display().to_string())
            .collect();
        findings.push(Finding::wrong(
            "plugin",
            format!("it is named more than once: {}", places.join(", ")),
            "Keep one of the entries.",
        ));
    }
    for entry in &entries {
        findings.push(plugin(entry, context));
        findings.push(helper(entry));
        findings.extend(in_project(entry));
    }
    findings.extend(shadowed(&added, &entries));
    if let Some(program) = program
        && !entries.is_empty()
    {
        findings.push(loaded(&program));
    }
    findings
}

fn version(program: &Path) -> Finding {
    let mut command = Command::new(program);
    command.arg("--version");
    let said = doctor_program::output(command, VERSION_LIMIT);
    let Some(said) = said.filter(|said| said.success) else {
        return Finding::wrong(
            "opencode",
            format!("{} does not say its version", program.display()),
            "Install OpenCode again.",
        );
    };
    let version = said.stdout.trim();
    let detail = format!("{} {version}", program.display());
    let mut numbers = version.split(['.', '-']).map(|part| part.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next().flatten(), numbers.next().flatten()) else {
        return Finding::note(
            "opencode",
            format!("{detail}, which is no release"),
            "The plugin is made for releases from 1.18 on, below 2.",
        );
    };
    let (from, below) = SUPPORTED;
    if (major, minor) < from {
        Finding::wrong(
            "opencode",
            format!("{detail} is older than the plugin works with"),
            "`opencode upgrade` brings a newer one; the plugin needs 1.18 or later.",
        )
    } else if major >= below {
        Finding::wrong(
            "opencode",
            format!("{detail} has another plugin interface"),
            "Use a release below 2, or `openshell install --mcp`.",
        )
    } else {
        Finding::good("opencode", detail)
    }
}

/// The plugin entries that count here, and the files that name the MCP server.
fn entries(findings: &mut Vec<Finding>) -> (Vec<Loaded>, Vec<String>) {
    let global = global_documents();
    let mut entries: Vec<Loaded> = Vec::new();
    let mut mcp = Vec::new();
    for file in documents() {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let config = match value(&text) {
            Ok(config) => config,
            Err(error) => {
                findings.push(Finding::wrong(
                    "opencode",
                    format!("{}: {error}", file.display()),
                    "Correct the file.",
                ));
                continue;
            }
        };
        if global.contains(&file) && config["plugin"].is_array() {
            // A later file of that folder replaces the list of an earlier one.
            entries.retain(|entry| !global.contains(&entry.file));
        }
        for (spec, options) in plugins(&config) {
            if names_adapter(&spec, &file) {
                entries.push(Loaded {
                    file: file.clone(),
                    spec,
                    options,
                });
            }
        }
        if config["mcp"]["openshell"].is_object() {
            mcp.push(file.display().to_string());
        }
    }
    (entries, mcp)
}

/// Whether what an entry names is there, and is of this version.
fn plugin(entry: &Loaded, context: &Context) -> Finding {
    let place = entry.file.display();
    if !names_adapter_by_path(&entry.spec) {
        return Finding::good("plugin", format!("{} in {place}", entry.spec));
    }
    let path = entry.spec.strip_prefix("file://").unwrap_or(&entry.spec);
    let dir = entry.file.parent().unwrap_or(Path::new("/")).join(path);
    let manifest = std::fs::read_to_string(dir.join("package.json")).ok();
    let manifest = manifest.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let version = manifest.and_then(|manifest| manifest["version"].as_str().map(str::to_owned));
    let adapter = Adapter::new(context.paths());
    match version {
        None => Finding::wrong(
            "plugin",
            format!("{place} names {path}, where there is no plugin"),
            INSTALL,
        ),
        Some(version) if version != env!("CARGO_PKG_VERSION") => Finding::wrong(
            "plugin",
            format!(
                "{path} is of version {version}, and this program of {}",
                env!("CARGO_PKG_VERSION")
            ),
            INSTALL,
        ),
        Some(_) if dir == adapter.dir() && !adapter.is_written() => Finding::wrong(
            "plugin",
            format!("files in {path} are not those of this version"),
            INSTALL,
        ),
        Some(version) => Finding::good("plugin", format!("{path} {version} in {place}")),
    }
}

fn names_adapter_by_path(spec: &str) -> bool {
    spec.starts_with(['/', '.']) || spec.starts_with("file://")
}

/// Whether the program that an entry leads to is this helper, in the order in which
/// the plugin looks: its option, `OPENSHELL_BIN`, the package of the platform, PATH.
fn helper(entry: &Loaded) -> Finding {
    let command = &entry.options["command"];
    let place = entry.file.display().to_string();
    if let Some(program) = command.as_str().or_else(|| command[0].as_str()) {
        return judged(&place, Path::new(program));
    }
    if let Some(program) = std::env::var_os("OPENSHELL_BIN").filter(|value| !value.is_empty()) {
        return judged("OPENSHELL_BIN", Path::new(&program));
    }
    if let Some(program) = packaged(&entry.spec) {
        return judged("npm", &program);
    }
    match on_path("openshell") {
        Some(program) => judged("PATH", &program),
        None => Finding::wrong(
            "helper",
            "the plugin finds no helper: no option, no OPENSHELL_BIN, no package, none on PATH",
            INSTALL,
        ),
    }
}

/// The helper that OpenCode installed beside the plugin, which it names by its
/// package.
fn packaged(spec: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let (os, arch) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", arch) => ("darwin", arch),
        other => other,
    };
    let cpu = match arch {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let program = format!("node_modules/@openshell/{os}-{cpu}/bin/openshell");
    let packages = cache.join("opencode/packages");
    [spec.to_owned(), format!("{spec}@latest")]
        .into_iter()
        .map(|dir| packages.join(dir).join(&program))
        .find(|path| path.is_file())
}

/// What a program is that `who` names.
fn judged(who: &str, path: &Path) -> Finding {
    let program = path.display();
    let fix = "`openshell install` registers this program; unset OPENSHELL_BIN where it is set.";
    match doctor_program::kind(path) {
        Kind::This => Finding::good("helper", program.to_string()),
        Kind::Missing => Finding::wrong(
            "helper",
            format!("{who} names {program}, which cannot be run"),
            fix,
        ),
        Kind::Ours(version) if version == env!("CARGO_PKG_VERSION") => {
            Finding::good("helper", format!("{program}, of the same version as this"))
        }
        Kind::Ours(version) => Finding::wrong(
            "helper",
            format!("{who} names {program}, which is version {version}"),
            fix,
        ),
        Kind::Other => Finding::wrong(
            "helper",
            format!("{who} names {program}, which is another program of the name"),
            fix,
        ),
    }
}

/// Whether the agent could write the very configuration that holds the entry: the
/// plugin takes no program from a file in the project.
fn in_project(entry: &Loaded) -> Option<Finding> {
    let here = std::env::current_dir().ok()?;
    let root = here
        .ancestors()
        .find(|dir| dir.join(".git").exists())
        .unwrap_or(&here);
    let file = entry.file.canonicalize().ok()?;
    let inside = file.starts_with(root.canonicalize().ok()?);
    (inside && !entry.options["command"].is_null()).then(|| {
        Finding::note(
            "project",
            format!(
                "{} lies in the project {}, so its choice of a helper does not count here",
                entry.file.display(),
                root.display()
            ),
            "Start OpenCode in a directory of the work itself, or set OPENSHELL_BIN.",
        )
    })
}

/// What `install` added and OpenCode does not see.
fn shadowed(added: &[Added], entries: &[Loaded]) -> Option<Finding> {
    let added = added
        .iter()
        .find(|added| added.section == Section::Plugin)?;
    let seen = entries
        .iter()
        .any(|entry| entry.file == added.config && entry.spec == added.name);
    (!seen).then(|| {
        Finding::wrong(
            "plugin",
            format!(
                "what was added to {} is gone from there, or another file's list replaces it",
                added.config.display()
            ),
            INSTALL,
        )
    })
}

/// Has OpenCode load everything, in this directory, and say which tools it has.
fn loaded(program: &Path) -> Finding {
    let mut command = Command::new(program);
    command
        .args(["debug", "agent", "build"])
        .env("OPENCODE_DISABLE_AUTOUPDATE", "1");
    let Some(said) = doctor_program::output(command, LOAD_LIMIT) else {
        return Finding::wrong(
            "tools",
            format!("OpenCode lists no tools within {} s", LOAD_LIMIT.as_secs()),
            "`opencode debug agent build --print-logs` shows what keeps it.",
        );
    };
    let listed = serde_json::from_str::<Value>(&said.stdout).ok();
    let Some(tools) = listed.as_ref().and_then(|agent| agent["tools"].as_object()) else {
        return Finding::note(
            "tools",
            "OpenCode does not say which tools it loads",
            "Ask the agent to list the servers.",
        );
    };
    let missing: Vec<&str> = doctor_program::TOOLS
        .into_iter()
        .filter(|tool| !tools.contains_key(*tool))
        .collect();
    if missing.is_empty() {
        Finding::good("tools", "OpenCode loads all eight")
    } else {
        Finding::wrong(
            "tools",
            format!("OpenCode did not load {}", missing.join(", ")),
            "`opencode debug agent build --print-logs` shows why.",
        )
    }
}
