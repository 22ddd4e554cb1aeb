//! Whether OpenCode is there, and whether its configuration names the plugin.
//!
//! Reads OpenCode's configuration files in the order in which it reads them, and looks
//! at the plugin each entry names; the helper is the business of `doctor_helper`, what
//! OpenCode loads that of `doctor_load`. It deliberately does not decide what OpenCode
//! would make of permissions there.
//! Invariant: each check ends within its limit, no configuration file is written, and
//! of what a project's own files name nothing is run.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::doctor::{Finding, on_path};
use super::{doctor_helper, doctor_load, doctor_program};
use crate::context::Context;
use crate::error::CliError;
use crate::install::{
    Adapter, Added, FileError, Project, Receipt, Section, documents, global_documents, manifest,
    names_adapter, personal_documents, plugins, read, value,
};

/// Releases whose plugin interface the adapter is made for: from, and below.
const SUPPORTED: ((u64, u64), u64) = ((1, 18), 2);
/// How long OpenCode may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(30);
/// Ends of fixes.
pub(super) const INSTALL: &str = "`openshell install` puts it right.";
/// The variable whose value is one more configuration of the person's.
const CONTENT_VARIABLE: &str = "OPENCODE_CONFIG_CONTENT";

/// One plugin entry that names the adapter.
pub(super) struct Loaded {
    /// The file it stands in, or the variable.
    pub(super) file: PathBuf,
    pub(super) spec: String,
    pub(super) options: Value,
    /// Whether OpenCode reads that file wherever it is started.
    pub(super) everywhere: bool,
    /// Whether the plugin believes that the person wrote it.
    pub(super) own: bool,
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
        findings.extend(doctor_helper::check(entry, &entries));
    }
    findings.extend(shadowed(&added, &entries));
    if let Some(program) = program
        && !entries.is_empty()
    {
        findings.push(doctor_load::check(&program, &entries));
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
    let personal = personal_documents();
    let project = Project::here();
    let mut entries: Vec<Loaded> = Vec::new();
    let mut mcp = Vec::new();
    for (file, config) in configs(findings) {
        if global.contains(&file) && config["plugin"].is_array() {
            // A later file of that folder replaces the list of an earlier one.
            entries.retain(|entry| !global.contains(&entry.file));
        }
        let variable = file == Path::new(CONTENT_VARIABLE);
        let everywhere = variable || personal.contains(&file);
        let inside = !variable && project.as_ref().is_none_or(|project| project.holds(&file));
        for (spec, options) in plugins(&config) {
            if names_adapter(&spec, &file) {
                entries.push(Loaded {
                    file: file.clone(),
                    spec,
                    options,
                    everywhere,
                    own: everywhere && !inside,
                });
            }
        }
        if config["mcp"]["openshell"].is_object() {
            mcp.push(file.display().to_string());
        }
    }
    (entries, mcp)
}

/// Every configuration that OpenCode would read here, and where it stands.
fn configs(findings: &mut Vec<Finding>) -> Vec<(PathBuf, Value)> {
    let mut texts = Vec::new();
    for file in documents() {
        match read(&file) {
            Ok(text) => texts.extend(text.map(|text| (file, text))),
            // A link to nothing is nothing to OpenCode.
            Err(FileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => findings.push(Finding::failed("opencode", CliError::from(error))),
        }
    }
    let content = std::env::var(CONTENT_VARIABLE).ok();
    texts.extend(content.map(|text| (PathBuf::from(CONTENT_VARIABLE), text)));
    let mut configs = Vec::new();
    for (file, text) in texts {
        match value(&text) {
            Ok(config) => configs.push((file, config)),
            Err(error) => findings.push(Finding::wrong(
                "opencode",
                format!("{}: {error}", file.display()),
                "Correct the file.",
            )),
        }
    }
    configs
}

/// Whether what an entry names is there, and is of this version.
fn plugin(entry: &Loaded, context: &Context) -> Finding {
    let place = entry.file.display();
    if !names_adapter_by_path(&entry.spec) {
        return Finding::good("plugin", format!("{} in {place}", entry.spec));
    }
    let path = entry.spec.strip_prefix("file://").unwrap_or(&entry.spec);
    let dir = entry.file.parent().unwrap_or(Path::new("/")).join(path);
    let version =
        manifest(&dir).and_then(|manifest| manifest["version"].as_str().map(str::to_owned));
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

/// Whether a specifier is a path, and not the name of a package.
pub(super) fn names_adapter_by_path(spec: &str) -> bool {
    spec.starts_with(['/', '.']) || spec.starts_with("file://")
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
