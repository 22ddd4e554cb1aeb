//! Whether OpenCode is there, and whether it loads the plugin.
//!
//! Reads OpenCode's configuration files in the order in which it reads them; it
//! deliberately does not decide what it would make of permissions there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::doctor::{Finding, on_path};

/// Part of every way to name the plugin: package, path or archive.
const PLUGIN: &str = "openshell";

/// Looks for the program and for the plugin.
pub(super) fn check() -> Vec<Finding> {
    let Some(program) = on_path("opencode") else {
        return vec![Finding::note(
            "opencode",
            "there is no opencode on PATH",
            "The bridge and the command line work without it.",
        )];
    };
    let version = Command::new(&program).arg("--version").output();
    let version = version
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let mut findings = vec![match version {
        Some(version) => Finding::good("opencode", format!("{} {version}", program.display())),
        None => Finding::wrong(
            "opencode",
            format!("{} does not say its version", program.display()),
            "Install OpenCode again.",
        ),
    }];
    let mut loads = Vec::new();
    for file in files() {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        match serde_json::from_str::<Value>(&plain(&text)) {
            Ok(config) if names_plugin(&config) => loads.push(file.display().to_string()),
            Ok(_) => {}
            Err(error) => findings.push(Finding::wrong(
                "opencode",
                format!("{} cannot be read: {error}", file.display()),
                "Correct the file.",
            )),
        }
    }
    findings.push(if loads.is_empty() {
        Finding::wrong(
            "plugin",
            "no configuration of OpenCode names the openshell plugin",
            "`opencode plugin -g openshell-opencode` adds it for every project.",
        )
    } else {
        Finding::good("plugin", format!("named in {}", loads.join(", ")))
    });
    findings
}

/// OpenCode's configuration files, the weakest first.
fn files() -> Vec<PathBuf> {
    let home = std::env::home_dir();
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.as_ref().map(|home| home.join(".config")));
    let mut files = Vec::new();
    let mut dir = |dir: &Path, names: &[&str]| {
        files.extend(names.iter().map(|name| dir.join(name)));
    };
    let names = ["opencode.json", "opencode.jsonc"];
    if let Some(base) = base {
        dir(&base.join("opencode"), &["config.json"]);
        dir(&base.join("opencode"), &names);
    }
    if let Ok(here) = std::env::current_dir() {
        dir(&here, &names);
        dir(&here.join(".opencode"), &names);
    }
    if let Some(named) = std::env::var_os("OPENCODE_CONFIG_DIR") {
        dir(Path::new(&named), &names);
    }
    files.extend(std::env::var_os("OPENCODE_CONFIG").map(PathBuf::from));
    files
}

fn names_plugin(config: &Value) -> bool {
    let entries = config["plugin"].as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry.as_str().or_else(|| entry[0].as_str()))
        .any(|name| name.contains(PLUGIN))
}

/// JSON with comments and commas before a closing bracket, without them.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut in_string = false;
    while let Some(character) = rest.next() {
        match character {
            '\\' if in_string => {
                out.push(character);
                out.extend(rest.next());
            }
            '"' => {
                in_string = !in_string;
                out.push(character);
            }
            '/' if !in_string && rest.peek() == Some(&'/') => {
                while rest.peek().is_some_and(|next| *next != '\n') {
                    rest.next();
                }
            }
            '/' if !in_string && rest.peek() == Some(&'*') => {
                rest.next();
                let mut last = ' ';
                for next in rest.by_ref() {
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            ']' | '}' if !in_string => {
                let kept = out.trim_end();
                if kept.ends_with(',') {
                    out.truncate(kept.len() - 1);
                }
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_texts_stay() {
        let table = [
            (
                "{\"a\": \"// no /* comment */\", // one\n \"b\": [1, 2,], /* two */ }",
                "{\"a\":\"// no /* comment */\",\"b\":[1,2]}",
            ),
            ("{\"a\": \"x\\\"// y\"}", "{\"a\":\"x\\\"// y\"}"),
        ];
        for (text, expected) in table {
            let value: Value = serde_json::from_str(&plain(text)).expect("JSON");
            assert_eq!(value.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn the_plugin_is_found_in_every_form() {
        let table = [
            ("{\"plugin\": [\"openshell-opencode\"]}", true),
            ("{\"plugin\": [[\"/x/openshell/plugin\", {}]]}", true),
            ("{\"plugin\": [\"other\"]}", false),
            ("{\"openshell\": []}", false),
        ];
        for (text, expected) in table {
            let value: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(names_plugin(&value), expected, "{text}");
        }
    }
}
