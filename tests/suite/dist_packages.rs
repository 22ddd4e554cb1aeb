//! What `cargo xtask dist` makes, as somebody has it who installs it: npm packages
//! into a clean prefix and a fresh home, the real OpenCode, and no trace afterwards.
//!
//! The packages hold the binary under test, without its symbols. A registry of the
//! test's own stands in for npm's: it has the helper's package and nothing else.
//! Platforms other than this one are not built. Invariant: after the last step
//! nothing is left in the home.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use openshell_tests::{ScriptedModel, Step, binary, opencode_program};
use serde_json::{Value, json};

/// What people get.
struct Packages {
    dir: PathBuf,
    adapter: PathBuf,
    helper: PathBuf,
    archive: PathBuf,
}

/// Has the packages made, as the command line does.
fn dist(scratch: &Path) -> Packages {
    let bin = scratch.join("bin");
    fs::create_dir(&bin).expect("the directory is new");
    let slim = bin.join("openshell");
    let stripped = Command::new("strip")
        .arg("-o")
        .args([&slim, &binary().to_owned()])
        .status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(binary(), &slim).expect("the binary can be copied");
    }
    let dir = scratch.join("dist");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--", "dist"])
        .arg("--binary")
        .arg(&slim)
        .arg("--out")
        .arg(&dir)
        .current_dir(root));
    let file = |begin: &str, end: &str| {
        let mut files = fs::read_dir(&dir).expect("it was made").flatten();
        let found = files.find(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with(begin) && name.ends_with(end)
        });
        found
            .unwrap_or_else(|| panic!("no {begin}*{end} in {}", dir.display()))
            .path()
    };
    Packages {
        adapter: file("openshell-opencode-", ".tgz"),
        helper: file("openshell-linux-", ".tgz"),
        archive: file("openshell-0", ".tar.gz"),
        dir,
    }
}

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A registry that has one package. It ends with the process.
fn registry(package: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let archive = fs::read(package).expect("it was made");
    let manifest = run(Command::new("tar")
        .args(["--extract", "--to-stdout", "--gzip", "--file"])
        .arg(package)
        .arg("package/package.json"));
    let mut manifest: Value = serde_json::from_slice(&manifest.stdout).expect("a manifest");
    manifest["dist"] = json!({"tarball": format!("{url}/package.tgz")});
    let version = manifest["version"].as_str().expect("a version").to_owned();
    let name = manifest["name"].as_str().expect("a name").to_owned();
    let document = json!({
        "name": name,
        "dist-tags": {"latest": version},
        "versions": {version: manifest},
    });
    let path = format!("/{}", name.replace('/', "%2f"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let found = |asked: &str| {
                if asked.eq_ignore_ascii_case(&path) {
                    Some(document.to_string().into_bytes())
                } else {
                    (asked == "/package.tgz").then(|| archive.clone())
                }
            };
            // A client that hangs up early concerns only its own connection.
            let _ = answer(&stream, found);
        }
    });
    url
}

fn answer(mut stream: &TcpStream, found: impl Fn(&str) -> Option<Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match found(path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", b"{\"error\": \"not found\"}".to_vec()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// A home with nothing in it but OpenCode's configuration, and the programs.
struct Home {
    dir: PathBuf,
    project: PathBuf,
    path: String,
    registry: String,
}

impl Home {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.project)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.dir)
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
            .env("npm_config_registry", &self.registry)
            .env("npm_config_fetch_retries", "0")
            .env("npm_config_audit", "false")
            .env("npm_config_update_notifier", "false");
        command
    }

    fn openshell(&self, words: &[&str]) -> Value {
        let output = run(self.command("openshell").args(words).arg("--json"));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", text(&output)))
    }

    /// Every check is ok, not just none wrong.
    fn all_green(&self) {
        let report = self.openshell(&["doctor"]);
        let checks = report["checks"].as_array().expect("an array");
        assert!(
            checks.iter().any(|check| check["check"] == "tools"),
            "{report:#}"
        );
        for check in checks {
            assert_eq!(check["state"], "ok", "{check:#}");
        }
    }
}

#[test]
fn the_packages_install_work_and_leave_without_a_trace() {
    let npm = Command::new("npm").arg("--version").output();
    if !npm.is_ok_and(|output| output.status.success()) || !cfg!(target_os = "linux") {
        eprintln!("skipped: packages are made by npm, and tried on Linux");
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let packages = dist(scratch.path());
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&packages.dir));
    archive_is_complete(&packages.archive);

    // The first command.
    let registry = registry(&packages.helper);
    let prefix = scratch.path().join("prefix");
    let opencode = scratch.path().join("opencode");
    let dir = scratch.path().join("home");
    let project = dir.join("project");
    for dir in [&prefix, &opencode, &project] {
        fs::create_dir_all(dir).expect("the directory is new");
    }
    std::os::unix::fs::symlink(opencode_program(), opencode.join("opencode")).expect("new");
    let home = Home {
        path: [&prefix.join("bin"), &opencode]
            .map(|dir| dir.display().to_string())
            .into_iter()
            .chain(std::env::var("PATH"))
            .collect::<Vec<_>>()
            .join(":"),
        dir,
        project,
        registry,
    };
    run(Command::new("git")
        .args(["init", "--quiet"])
        .arg(&home.project)
        .env("GIT_CONFIG_GLOBAL", "/dev/null"));
    run(home
        .command("npm")
        .args(["install", "--global", "--no-fund", "--prefix"])
        .arg(&prefix)
        .arg(&packages.adapter));
    let version = run(home.command("openshell").arg("--version"));
    assert_eq!(text(&version).trim(), "openshell 0.1.0");
    // npm's launcher ends as the program does.
    let misused = home.command("openshell").arg("no-such-verb").output();
    assert_eq!(misused.expect("it runs").status.code(), Some(2));

    let model = ScriptedModel::start(vec![
        Step::tool("list_servers", json!({})),
        Step::text("Seen."),
    ]);
    let config = home.dir.join(".config/opencode/opencode.jsonc");
    let before = format!(
        "{{\n  // Kept by hand.\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \
         \"model\": \"scripted/model\", \"small_model\": \"scripted/model\",\n  \
         \"provider\": {{\"scripted\": {{\n    \"npm\": \"@ai-sdk/openai-compatible\",\n    \
         \"options\": {{\"baseURL\": \"{}\", \"apiKey\": \"none\"}},\n    \
         \"models\": {{\"model\": {{\"tool_call\": true, \"limit\": {{\"context\": 200000, \
         \"output\": 8000}}}}}},\n  }}}}, // the only one\n}}\n",
        model.base_url()
    );
    fs::create_dir_all(config.parent().expect("it has one")).expect("the home is ours");
    fs::write(&config, &before).expect("the home is ours");

    // The second command; there is no keychain here.
    let installed = home.openshell(&["install", "--key-file"]);
    assert_eq!(installed["action"], "added");
    assert_eq!(installed["key"]["state"], "made", "{installed:#}");
    home.all_green();

    // The same by the package's name, which OpenCode installs itself.
    let by_name = format!(
        "--npm=openshell-opencode@file:{}",
        packages.adapter.display()
    );
    assert_eq!(home.openshell(&["install", &by_name])["action"], "added");
    let ran = run(home.command("opencode").args(["run", "Do it."]));
    let told = model.tool_results();
    assert_eq!(told.len(), 1, "{}", text(&ran));
    assert!(told[0].contains("\"status\":\"ok\""), "{told:?}");
    let installed = run(Command::new("find")
        .arg(home.dir.join(".cache/opencode"))
        .args(["-path", "*/@openshell/*/bin/openshell"]));
    assert!(!installed.stdout.is_empty(), "the helper came from npm");

    assert_eq!(home.openshell(&["uninstall"])["action"], "removed");
    assert_eq!(fs::read_to_string(&config).unwrap_or_default(), before);
    let state = home.dir.join(".local/share/openshell/opencode");
    assert!(!state.exists(), "what install made is gone");
}

/// The binary that runs, a page, a script for each shell, the licences; nobody's
/// files, and in order.
fn archive_is_complete(archive: &Path) {
    let listed = run(Command::new("tar")
        .args(["--list", "--verbose", "--numeric-owner", "--gzip", "--file"])
        .arg(archive));
    let listed = text(&listed);
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once("-gnu/"))
        .map(|(_, name)| name)
        .collect();
    assert!(names.is_sorted(), "{listed}");
    for name in [
        "bin/openshell",
        "completions/_openshell",
        "completions/openshell.bash",
        "completions/openshell.fish",
        "man/man1/openshell.1",
        "man/man1/openshell-install.1",
        "README.md",
        "ARCHITECTURE.md",
        "docs/policy.md",
        "plugin/opencode/README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "THIRD-PARTY.txt",
    ] {
        assert!(names.contains(&name), "{name}: {listed}");
    }
    for line in listed.lines() {
        let mode = if line.ends_with("/bin/openshell") {
            "-rwxr-xr-x 0/0 "
        } else {
            "-rw-r--r-- 0/0 "
        };
        assert!(line.starts_with(mode), "{line}");
    }
}
