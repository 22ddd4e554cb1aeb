//! Set-up that tasks need: the wasm target, OpenSSH's server, OpenCode.
//!
//! Invariant: each step looks first and acts only where something is missing.
//! Nothing is installed outside the workspace but by package managers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{run, workspace};

const TARGET: &str = "wasm32-unknown-unknown";
/// The OpenCode the adapter is tested with.
const OPENCODE: &str = "opencode-ai@1.18.33";

/// The official MCP client SDKs for TypeScript: up to revision 2025-11-25 of the
/// protocol, and from 2026-07-28 on.
const MCP_SDKS: [&str; 2] = [
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/client@2.4.0",
];

/// Debian packages the suites use, and a file that shows each is there. All but
/// the first are optional: their tests say aloud that they were skipped.
const PACKAGES: &[(&str, &str)] = &[
    ("openssh-server", "/usr/sbin/sshd"),
    ("openssh-client", "/usr/bin/ssh"),
    ("fish", "/usr/bin/fish"),
    ("tcsh", "/usr/bin/tcsh"),
    ("zsh", "/usr/bin/zsh"),
    ("ksh", "/usr/bin/ksh"),
    ("mksh", "/usr/bin/mksh"),
    ("yash", "/usr/bin/yash"),
    ("busybox", "/usr/bin/busybox"),
    ("strace", "/usr/bin/strace"),
    ("gnome-keyring", "/usr/bin/gnome-keyring-daemon"),
    ("dbus", "/usr/bin/dbus-run-session"),
    ("sudo", "/usr/bin/sudo"),
    ("dropbear-bin", "/usr/sbin/dropbear"),
    ("tinysshd", "/usr/sbin/tinysshd"),
    ("proftpd-core", "/usr/sbin/proftpd"),
    ("proftpd-mod-crypto", "/usr/lib/proftpd/mod_sftp.so"),
];

/// Makes sure the compiler can produce WebAssembly.
pub(crate) fn wasm_target() -> Result<(), String> {
    let there = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(workspace())
        .output()
        .is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    if there {
        return Ok(());
    }
    println!("setting up: the Rust target {TARGET}");
    run(Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(workspace()))
    .map_err(|error| {
        format!(
            "{error}. Use a Rust from rustup (https://rustup.rs), which brings the target {TARGET}"
        )
    })
}

/// Installs what the suites need where that is possible, and says what is missing
/// where it is not.
pub(crate) fn debian_packages() {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(package, file)| !present(package, file))
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    let can_install = Path::new("/usr/bin/apt-get").exists() && is_root();
    if !can_install {
        println!(
            "not installed: {}. Tests that need them say so; with root, install them by: \
             apt-get install {}",
            missing.join(", "),
            missing.join(" ")
        );
        return;
    }
    println!("setting up: {}", missing.join(", "));
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get")
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()))
    };
    let installed = apt(&["update"]).and_then(|()| {
        let mut arguments = vec!["install", "-y", "--no-install-recommends"];
        arguments.extend(&missing);
        apt(&arguments)
    });
    if let Err(error) = installed {
        println!("not everything could be installed: {error}");
    }
}

fn present(package: &str, file: &str) -> bool {
    // Where a package puts its program differs between releases.
    let name = Path::new(file).file_name().unwrap_or_default();
    Path::new(file).exists()
        || ["/bin", "/usr/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(name).exists())
        || Path::new("/var/lib/dpkg/info")
            .join(format!("{package}.list"))
            .exists()
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs the pinned OpenCode into the workspace's cache folder and returns its
/// program.
pub(crate) fn opencode() -> Result<Option<PathBuf>, String> {
    let cache = workspace().join(".cache/opencode");
    let program = cache.join("node_modules/.bin/opencode");
    let (_, version) = OPENCODE.split_once('@').unwrap_or_default();
    let installed = std::fs::read_to_string(cache.join("node_modules/opencode-ai/package.json"))
        .is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")));
    if installed {
        return Ok(Some(program));
    }
    println!("setting up: {OPENCODE} in .cache/opencode");
    std::fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    run(Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--prefix",
        ])
        .arg(&cache)
        .arg(OPENCODE))
    .map_err(|error| format!("{error}. The end-to-end tests need npm and {OPENCODE}"))?;
    Ok(Some(program))
}

/// Installs the pinned MCP SDKs into the workspace's cache folder. The tests that
/// need them say aloud that they were skipped, so this may fail.
pub(crate) fn mcp_sdks() {
    let cache = workspace().join(".cache/mcp");
    let installed = MCP_SDKS.iter().all(|spec| {
        let (name, version) = spec.rsplit_once('@').unwrap_or_default();
        let package = cache.join("node_modules").join(name).join("package.json");
        std::fs::read_to_string(package)
            .is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
    });
    if installed {
        return;
    }
    println!("setting up: {} in .cache/mcp", MCP_SDKS.join(", "));
    let made = std::fs::create_dir_all(&cache).map_err(|error| error.to_string());
    let result = made.and_then(|()| {
        run(Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
                "--prefix",
            ])
            .arg(&cache)
            .args(MCP_SDKS))
    });
    if let Err(error) = result {
        println!("not installed: {error}. Tests with official MCP SDKs say so");
    }
}

/// Names the real parts the tests run against.
pub(crate) fn report(opencode: Option<&Path>) {
    let sshd = Command::new("/usr/sbin/sshd").arg("-V").output();
    let sshd = sshd.map_or_else(
        |_| "none: install openssh-server".to_owned(),
        |output| {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            // Versions before 9.3 do not know -V, but name themselves all the same.
            text.lines()
                .find(|line| line.contains("OpenSSH"))
                .unwrap_or("/usr/sbin/sshd of an unknown version")
                .to_owned()
        },
    );
    println!("sshd: {sshd}");
    let opencode = opencode.and_then(|program| {
        let output = Command::new(program).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    println!(
        "OpenCode: {}",
        opencode.unwrap_or_else(|| "none".to_owned())
    );
}
