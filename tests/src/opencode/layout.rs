//! What stands before OpenCode starts: the program, its environment, the
//! configuration and the project.
//!
//! Invariant: everything but the program lies in the test's own scratch folder. It
//! starts nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::model::ScriptedModel;

/// The release the adapter is made for and tested with.
pub const OPENCODE_VERSION: &str = "1.18.33";

/// What a test lays out before OpenCode starts.
#[derive(Debug, Clone)]
pub struct OpenCodeOptions {
    /// `opencode.json` of the project; null for none.
    pub project_config: Value,
    /// Merged over the fixture's own global `opencode.json`.
    pub global_config: Value,
    /// The `plugin` entry; by default the adapter of this checkout, by path; null
    /// for none.
    pub plugin: Value,
    /// Whether the entry stands in the project's configuration instead.
    pub plugin_in_project: bool,
    /// Directories of this checkout, relative to its root, that the project's
    /// repository gets a copy of under the same name; what git ignores is left out.
    pub copies: Vec<String>,
    /// Where in the project's repository OpenCode is started; empty for its root.
    pub directory: String,
    /// Further environment.
    pub env: Vec<(String, String)>,
}

impl Default for OpenCodeOptions {
    fn default() -> Self {
        Self {
            project_config: Value::Null,
            global_config: json!({}),
            plugin: json!(adapter_dir()),
            plugin_in_project: false,
            copies: Vec::new(),
            directory: String::new(),
            env: Vec::new(),
        }
    }
}

/// The adapter of this checkout.
#[must_use]
pub fn adapter_dir() -> PathBuf {
    repository().join("plugin/opencode")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .to_owned()
}

/// Where `npm install opencode-ai` in `.cache/opencode` puts the program;
/// `OPENSHELL_TEST_OPENCODE` names another one.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("OPENSHELL_TEST_OPENCODE") {
        return path.into();
    }
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    };
    let program = repository().join(format!(
        ".cache/opencode/node_modules/opencode-{os}-{arch}/bin/opencode"
    ));
    assert!(
        program.exists(),
        "{} is missing: run `npm install --prefix .cache/opencode opencode-ai@{OPENCODE_VERSION}`",
        program.display()
    );
    program
}

pub(super) fn lay_out(scratch: &Path, options: &OpenCodeOptions, model: &ScriptedModel) -> PathBuf {
    let repository = scratch.join("project");
    let workspace = repository.join(&options.directory);
    let global = scratch.join("home/.config/opencode");
    fs::create_dir_all(&workspace).expect("a new directory");
    fs::create_dir_all(&global).expect("a new directory");
    // Without a repository OpenCode takes the whole disk for the worktree.
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(&repository)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status()
        .expect("git can be run");
    assert!(made.success(), "git init: {made}");
    for directory in &options.copies {
        copy_tracked(directory, &repository);
    }
    let mut config = json!({
        "$schema": "https://opencode.ai/config.json",
        "model": "scripted/model",
        "small_model": "scripted/model",
        "provider": {"scripted": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "options": {"baseURL": model.base_url(), "apiKey": "none"},
            "models": {"model": {"name": "Scripted", "tool_call": true, "limit": {"context": 200_000, "output": 8000}}},
        }},
    });
    let mut project = options.project_config.clone();
    if options.plugin_in_project {
        if project.is_null() {
            project = json!({});
        }
        project["plugin"] = json!([options.plugin]);
    } else if !options.plugin.is_null() {
        config["plugin"] = json!([options.plugin]);
    }
    for (key, value) in options.global_config.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    write_json(&global.join("opencode.json"), &config);
    if !project.is_null() {
        write_json(&workspace.join("opencode.json"), &project);
    }
    workspace
}

/// OpenCode in a scratch home, without a verb.
pub(super) fn prepared(scratch: &Path, workspace: &Path, options: &OpenCodeOptions) -> Command {
    let home = scratch.join("home");
    let mut command = Command::new(program());
    command
        .current_dir(workspace)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_DATA_HOME", home.join(".local/share"))
        .env("XDG_STATE_HOME", home.join(".local/state"))
        .env("XDG_CACHE_HOME", home.join(".cache"))
        .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
        .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
        .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
        // OpenCode installs its plugin API beside every external plugin;
        // where no registry answers, that must fail at once.
        .env("npm_config_fetch_retries", "0")
        .env("npm_config_registry", "http://127.0.0.1:9")
        .envs(options.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

/// Copies what a clone of this checkout would hold below a directory.
fn copy_tracked(directory: &str, to: &Path) {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .arg(directory)
        .current_dir(repository())
        .output()
        .expect("git can be run");
    let names = String::from_utf8(output.stdout).expect("names in this checkout are UTF-8");
    assert!(
        !names.is_empty(),
        "{directory} is no directory of this checkout"
    );
    for name in names.split_terminator('\0') {
        let target = to.join(name);
        let parent = target.parent().expect("the name is not empty");
        fs::create_dir_all(parent).expect("a new directory");
        // Keeps the mode, which makes a script one.
        fs::copy(repository().join(name), target)
            .unwrap_or_else(|error| panic!("{name} cannot be copied: {error}"));
    }
}

fn write_json(path: &Path, value: &Value) {
    fs::write(path, format!("{value:#}\n")).expect("a scratch file can be written");
}
