//! Which program the plugin would start as its helper.
//!
//! Looks in the order in which the plugin looks: its option, `OPENSHELL_BIN`, the
//! package of the platform, PATH. Invariant: a program is run only where the person
//! chose it; what a project's configuration chooses counts for nothing with the plugin
//! (`trusted.js`) and is not run here either. Whether OpenCode loads the plugin is left
//! to `doctor_load`.

use std::path::{Path, PathBuf};

use super::doctor::{Finding, on_path};
use super::doctor_opencode::{INSTALL, Loaded, names_adapter_by_path};
use super::doctor_program::{self, Kind};

/// What becomes of the helper that an entry leads to; `entries` are all of them.
pub(super) fn check(entry: &Loaded, entries: &[Loaded]) -> Vec<Finding> {
    let command = &entry.options["command"];
    if command.is_null() {
        return vec![unnamed(entry)];
    }
    let place = entry.file.display().to_string();
    let Some(program) = command.as_str().or_else(|| command[0].as_str()) else {
        return vec![Finding::wrong(
            "helper",
            format!("{place} has a command that is neither a program nor a list of words"),
            INSTALL,
        )];
    };
    let own = entry.own || {
        let same = |other: &Loaded| other.own && other.options["command"] == *command;
        entries.iter().any(same)
    };
    if own {
        return vec![judged(&place, program)];
    }
    // Nothing has to be run to know this program.
    let this = doctor_program::is_this(Path::new(program));
    let known = this.then(|| Finding::good("helper", program.to_owned()));
    known
        .into_iter()
        .chain([Finding::note(
            "project",
            format!(
                "{place} is a file of this project, so its choice of a helper, {program}, does \
                 not count here"
            ),
            if entry.everywhere {
                "Start OpenCode in a directory of the work itself, or set OPENSHELL_BIN."
            } else {
                "`openshell install` chooses one in your own configuration; OPENSHELL_BIN counts, \
                 too."
            },
        )])
        .collect()
}

/// The helper of an entry that chooses none.
fn unnamed(entry: &Loaded) -> Finding {
    if let Some(program) = std::env::var_os("OPENSHELL_BIN").filter(|value| !value.is_empty()) {
        return judged("OPENSHELL_BIN", &program.to_string_lossy());
    }
    if !names_adapter_by_path(&entry.spec) {
        if !entry.own {
            return Finding::note(
                "helper",
                format!(
                    "it comes with the package {}, which this project chose, so it was not run",
                    entry.spec
                ),
                "`openshell install` registers this program in your own configuration.",
            );
        }
        if let Some(program) = packaged(&entry.spec) {
            return judged("npm", &program.to_string_lossy());
        }
    }
    match on_path("openshell") {
        Some(program) => judged("PATH", &program.to_string_lossy()),
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
fn judged(who: &str, program: &str) -> Finding {
    let fix = "`openshell install` registers this program; unset OPENSHELL_BIN where it is set.";
    let path = if program.contains('/') {
        Some(PathBuf::from(program))
    } else {
        on_path(program)
    };
    if path.as_ref().is_some_and(|path| !path.is_absolute()) {
        return Finding::wrong(
            "helper",
            format!("{who} names {program}, which is another program in every directory"),
            fix,
        );
    }
    match path.map_or(Kind::Missing, |path| doctor_program::kind(&path)) {
        Kind::This => Finding::good("helper", program),
        Kind::Missing => Finding::wrong(
            "helper",
            format!("{who} names {program}, which cannot be run"),
            fix,
        ),
        Kind::Brought => Finding::note(
            "helper",
            format!("{who} names {program}, which lies in this project and was not run"),
            "Run `openshell doctor` in another directory.",
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
