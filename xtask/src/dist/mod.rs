//! `cargo xtask dist`: everything that is handed to people.
//!
//! Makes, for the platform it runs on, the npm packages, an archive with the
//! binary, completions, manual and licences, and the check sums of all. Invariant:
//! given the same binary and the same commit, it makes the same bytes. It publishes
//! nothing.

mod archive;
mod notices;
mod npm;
mod platforms;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use platforms::{PLATFORMS, Platform, State};

use crate::{cargo, run, setup, workspace};

/// Shells the archive has completions for, and the file of each.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "openshell.bash"),
    ("elvish", "openshell.elv"),
    ("fish", "openshell.fish"),
    ("powershell", "openshell.ps1"),
    ("zsh", "_openshell"),
];
/// Documents that go into the archive: whatever one of them links to is another.
const DOCUMENTS: [&str; 17] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/benchmarks.md",
    "docs/benchmarks.svg",
    "docs/bridge-conformance.jsonl",
    "docs/bridge-protocol.md",
    "docs/fanout.md",
    "docs/mcp.md",
    "docs/opencode-traps.md",
    "docs/packages.md",
    "docs/policy.md",
    "docs/profile.md",
    "docs/session.md",
    "docs/tool-wording.md",
    "plugin/opencode/README.md",
];
/// The licence texts.
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];
/// Where packages are laid out.
const STAGE: &str = "stage";

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    /// A binary to pack instead of building one.
    binary: Option<PathBuf>,
    /// Where everything goes.
    out: Option<PathBuf>,
}

pub(crate) fn dist(rest: &[String]) -> Result<(), String> {
    if rest == ["--list"] {
        list();
        return Ok(());
    }
    let wanted = wanted(rest)?;
    let platform = here()?;
    let version = env!("CARGO_PKG_VERSION");
    let out = wanted
        .out
        .unwrap_or_else(|| workspace().join("target/dist"));
    empty(&out)?;
    let binary = match wanted.binary {
        Some(binary) => binary,
        None => {
            setup::wasm_target()?;
            run(cargo().args(["build", "--release", "--locked", "--package", "openshell"]))?;
            workspace().join("target/release/openshell")
        }
    };
    let said = said(Command::new(&binary).arg("--version"))?;
    if said.trim() != format!("openshell {version}") {
        return Err(format!(
            "{} says it is {:?}, not openshell {version}",
            binary.display(),
            said.trim()
        ));
    }
    let notices = notices::collect(platform.target)?;
    let stage = out.join(STAGE);
    let mut names = Vec::new();

    let name = format!("openshell-{version}-{}", platform.target);
    lay_out(&stage.join(&name), &binary, &notices)?;
    let file = format!("{name}.tar.gz");
    archive::pack(&stage.join(&name), &name, &out.join(&file), time())?;
    names.push(file);

    npm::adapter(&stage.join("adapter"))?;
    names.push(npm::pack(&stage.join("adapter"), &out)?);
    npm::helper(&stage.join("helper"), platform, &binary, &notices)?;
    names.push(npm::pack(&stage.join("helper"), &out)?);

    fs::remove_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    names.sort();
    archive::sums(&out, &names)?;
    for name in names.iter().map(String::as_str).chain(["SHA256SUMS"]) {
        println!("{}", out.join(name).display());
    }
    Ok(())
}

fn wanted(rest: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let mut path = || {
            let value = words.next().ok_or(format!("{word} needs a path"))?;
            std::path::absolute(value).map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--binary" => wanted.binary = Some(path()?),
            "--out" => wanted.out = Some(path()?),
            other => return Err(format!("dist does not know {other:?}; see `cargo xtask`")),
        }
    }
    Ok(wanted)
}

/// Prints the platforms as a table.
fn list() {
    for platform in &PLATFORMS {
        let state = match platform.state {
            State::Tested => "tested",
            State::Untried => "not tried",
            State::NeedsPort => "needs a port of the helper",
        };
        println!("{:<26} {:<26} {state}", platform.package(), platform.target);
    }
}

/// The platform of this machine.
fn here() -> Result<&'static Platform, String> {
    let said = said(Command::new("rustc").arg("-vV"))?;
    let target = said
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let platform = Platform::of(target).ok_or(format!("there is no package for {target}"))?;
    if platform.state == State::NeedsPort {
        return Err(format!("the helper does not run on {target} yet"));
    }
    Ok(platform)
}

/// Makes the directory, and removes what an earlier run made there.
fn empty(out: &Path) -> Result<(), String> {
    let at = |error: std::io::Error| format!("{}: {error}", out.display());
    fs::create_dir_all(out).map_err(at)?;
    for entry in fs::read_dir(out).map_err(at)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if name == STAGE {
            fs::remove_dir_all(&path).map_err(at)?;
        } else if name == "SHA256SUMS" || name.starts_with("openshell-") {
            fs::remove_file(&path).map_err(at)?;
        } else {
            return Err(format!(
                "{} is none of the files this makes; name an empty directory",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Lays out the archive.
fn lay_out(to: &Path, binary: &Path, notices: &str) -> Result<(), String> {
    copy(binary, &to.join("bin/openshell"))?;
    for document in DOCUMENTS {
        copy(&workspace().join(document), &to.join(document))?;
    }
    licences(to)?;
    write(&to.join("THIRD-PARTY.txt"), notices)?;
    for (shell, file) in COMPLETIONS {
        let script = said(Command::new(binary).args(["completions", shell]))?;
        write(&to.join("completions").join(file), &script)?;
    }
    run(Command::new(binary)
        .args(["man", "--dir"])
        .arg(to.join("man/man1")))
}

/// Copies the licence texts into a directory.
fn licences(to: &Path) -> Result<(), String> {
    LICENCES
        .iter()
        .try_for_each(|name| copy(&workspace().join(name), &to.join(name)))
}

/// When the commit was made, in seconds since 1970, or what `SOURCE_DATE_EPOCH`
/// says (reproducible-builds.org); 0 where there is neither.
fn time() -> u64 {
    let named = std::env::var("SOURCE_DATE_EPOCH").ok();
    let commit = || {
        let mut git = Command::new("git");
        git.args(["log", "-1", "--format=%ct"])
            .current_dir(workspace());
        said(&mut git).ok()
    };
    named
        .or_else(commit)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

/// What a program prints.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} could not be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Copies a file with its mode, and makes the directory it goes to.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    parent(to)?;
    fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| format!("{}: {error}", from.display()))
}

fn write(to: &Path, text: &str) -> Result<(), String> {
    parent(to)?;
    fs::write(to, text).map_err(|error| format!("{}: {error}", to.display()))
}

fn parent(path: &Path) -> Result<(), String> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the relative links of a document lead, from the root of the workspace.
    fn links(document: &str) -> Vec<PathBuf> {
        let text = fs::read_to_string(workspace().join(document)).expect("a document");
        let mut links = Vec::new();
        for (link, _) in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let mut leads = Path::new(document).parent().expect("a file").to_path_buf();
            for part in file.split('/') {
                if part == ".." {
                    leads.pop();
                } else {
                    leads.push(part);
                }
            }
            links.push(leads);
        }
        links
    }

    /// Who has only the archive can follow every link.
    #[test]
    fn what_a_document_links_to_is_in_the_archive() {
        let mut followed = 0;
        for document in DOCUMENTS {
            for link in links(document) {
                let shipped = DOCUMENTS.iter().any(|name| Path::new(name) == link);
                assert!(shipped, "{document} links to {}", link.display());
                followed += 1;
            }
        }
        assert!(followed > 15, "only {followed} links were found");
    }

    /// The adapter's page is the page of its npm package, where it stands alone.
    #[test]
    fn the_adapters_page_links_to_nothing_beside_it() {
        assert_eq!(
            links("plugin/opencode/README.md"),
            [""; 0].map(PathBuf::from)
        );
    }
}
