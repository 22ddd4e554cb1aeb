//! The scratch tree that commands in the sandbox see.
//!
//! Invariant: it holds a bait for every kind of mistake: fake secrets, links that
//! lead to them, a pipe that blocks, devices that never end, names that look like
//! options or response files, and settings that would start a program if a command
//! read them. It is built from outside, before anything runs in it.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// What every fake secret is made of. Long enough to show in any column width.
pub(crate) const CANARY: &str = "CANARYCANARYCANARYCANARYCANARY";

/// Fake secrets, all of them on the policy's list.
pub(crate) const SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssl/private/site.key",
    "/root/.ssh/id_rsa",
    "/root/.bash_history",
    "/root/.aws/credentials",
    "/root/.kube/config",
    "/root/.netrc",
    "/home/deploy/.ssh/id_ed25519",
    "/work/app/.env",
    "/work/app/secrets.yml",
    "/work/app/id_rsa",
    "/work/app/credentials.json",
    "/var/spool/cron/crontabs/root",
];

/// Where busybox's programs are, as links.
const BUSYBOX: &str = "busybox";

/// Directories that are there, and may be empty.
const DIRECTORIES: &[&str] = &[
    "usr",
    "proc",
    "sys",
    "dev",
    "etc",
    "work",
    "root",
    "home/deploy",
    "var/log",
    "tmp",
    "run",
    "srv",
    "opt",
    BUSYBOX,
    "var/lib/dpkg/info",
    "var/cache",
    "work/empty",
];

/// Parts of this machine's `/etc` that programs need and that are no one's secret.
const SETTINGS: &[&str] = &[
    "alternatives",
    "ld.so.cache",
    "nsswitch.conf",
    "os-release",
    "magic",
    "ssl/certs",
];

/// Settings of the login and the working directory by which some program can be made
/// to run another one, which then leaves a file.
const HOOKS: &[(&str, &str)] = &[
    (
        "work/.git/config",
        "[core]\n\tfsmonitor = /work/script.sh\n\tpager = /work/script.sh\n[alias]\n\tx = !/work/script.sh\n",
    ),
    ("work/.git/HEAD", "ref: refs/heads/main\n"),
    (
        "root/.gitconfig",
        "[core]\n\tpager = /work/script.sh\n\tfsmonitor = /work/script.sh\n",
    ),
    ("root/.vimrc", "!/work/script.sh\n"),
    ("root/.lessfilter", "#!/bin/sh\ntouch /work/ran\n"),
    ("root/.sqliterc", ".shell /work/script.sh\n"),
    ("root/.psqlrc", "\\! /work/script.sh\n"),
    ("root/.gdbinit", "shell /work/script.sh\n"),
    ("work/.gdbinit", "shell /work/script.sh\n"),
    ("root/.bashrc", "touch /work/ran\n"),
    ("root/.profile", "touch /work/ran\n"),
    (
        "root/.npmrc",
        "script-shell=/work/script.sh\nnode-options=--require /work/hook.js\n",
    ),
    ("work/.npmrc", "script-shell=/work/script.sh\n"),
    (
        "work/hook.js",
        "require('fs').writeFileSync('/work/ran', '')\n",
    ),
    ("work/sitecustomize.py", "open('/work/ran', 'w')\n"),
    ("work/json.py", "open('/work/ran', 'w')\n"),
    ("root/.rpmmacros", "%_dbpath %(touch /work/ran)\n"),
    ("root/.jq", "def x: 1;\n"),
];

/// Builds the tree.
pub(crate) fn build(root: &Path) -> io::Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    for name in ["bin", "sbin", "lib", "lib64", "lib32"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    for name in SETTINGS {
        let from = Path::new("/etc").join(name);
        if from.exists() {
            let to = root.join("etc").join(name);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            // Links in there lead to `/usr`, which is there too.
            tool("cp", &["-a".as_ref(), from.as_os_str(), to.as_os_str()])?;
        }
    }
    texts(root)?;
    baits(root)?;
    packed(&root.join("work"))?;
    for secret in SECRETS {
        write(root, secret, &secret_text(), 0o600)?;
    }
    // `visudo -c` shows a line it cannot read, which a real one has none of.
    let sudoers = format!("# {CANARY}\nroot ALL=(ALL:ALL) ALL\n");
    write(root, "/etc/sudoers", &sudoers, 0o440)?;
    devices(&root.join("dev"))?;
    let applets = Command::new("busybox").arg("--list").output();
    let applets = applets.map(|output| output.stdout).unwrap_or_default();
    for applet in String::from_utf8_lossy(&applets).lines() {
        symlink("/usr/bin/busybox", root.join(BUSYBOX).join(applet))?;
    }
    Ok(())
}

/// Lines as secrets have them, the canary where the secret would be.
fn secret_text() -> String {
    format!(
        "{CANARY}\nx={CANARY}\nroot:$6${CANARY}:19000:0:99999:7:::\n\
         export DB_PASSWORD={CANARY}\npassword: {CANARY}\n\"token\": \"{CANARY}\",\n\
         -----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"
    )
}

fn write(root: &Path, path: &str, content: &str, mode: u32) -> io::Result<()> {
    let path = root.join(path.trim_start_matches('/'));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, content)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
}

/// Files that may be read.
fn texts(root: &Path) -> io::Result<()> {
    let lines: String = (0..50)
        .map(|n| format!("{n} line error TODO {}\n", n * 7))
        .collect();
    for name in [
        "a.txt",
        "b.txt",
        "words.log",
        "dir/deep/c.txt",
        ".hidden",
        "with space.txt",
        "-x",
        "@file",
        "app/src/main.py",
        "$(touch ran)",
        "a;touch ran",
        "--output=x",
    ] {
        write(root, &format!("work/{name}"), &lines, 0o644)?;
    }
    write(root, "var/log/syslog", &lines, 0o640)?;
    write(root, "var/log/app/x.log", &lines, 0o640)?;
    for (path, text) in [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\ndeploy:x:1000:1000::/home/deploy:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\ndeploy:x:1000:\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/hostname", "sandbox\n"),
        ("etc/fstab", ""),
        // Whoever has added an account has left it.
        ("etc/.pwd.lock", ""),
        ("etc/nginx/nginx.conf", "user www-data;\nlisten 80;\n"),
        ("etc/nginx/conf.d/a.conf", "server { listen 443; }\n"),
        ("root/notes.md", "notes\n"),
        (
            "work/data.json",
            "{\"a\": [1, 2, {\"b\": \"c\"}], \"d\": null}",
        ),
        ("work/data.csv", "a,b,c\n1,2,3\n4,5,6\n"),
        ("work/names0", "/etc/shadow\0/work/a.txt\0"),
        (
            "var/lib/dpkg/status",
            "Package: bash\nStatus: install ok installed\nVersion: 5\nArchitecture: amd64\n\
             Maintainer: x\nDescription: shell\n",
        ),
    ] {
        write(root, path, text, 0o644)?;
    }
    write(
        root,
        "work/script.sh",
        "#!/bin/sh\ntouch /work/ran\n",
        0o755,
    )
}

/// Links, a pipe, a socket and settings.
fn baits(root: &Path) -> io::Result<()> {
    let work = root.join("work");
    for (target, name) in [
        ("../a.txt", "dir/link"),
        ("..", "dir/up"),
        ("/etc/shadow", "to-shadow"),
        ("/root/.ssh", "to-ssh"),
        ("app", "to-app"),
        ("/dev/zero", "to-zero"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
    ] {
        symlink(target, work.join(name))?;
    }
    tool("mkfifo", &[work.join("fifo").as_os_str()])?;
    // The name stays when the listener is gone.
    drop(UnixListener::bind(work.join("socket"))?);
    for (path, text) in HOOKS {
        write(root, path, text, 0o755)?;
    }
    Ok(())
}

/// Archives; where a packer is missing, so is the reader.
fn packed(work: &Path) -> io::Result<()> {
    for (program, words) in [
        ("tar", &["cf", "a.tar", "a.txt", "data.csv"][..]),
        ("sh", &["-c", "gzip -c a.txt > a.gz"]),
        ("zip", &["-q", "a.zip", "a.txt"]),
    ] {
        let mut command = Command::new(program);
        command.args(words).current_dir(work).stderr(Stdio::null());
        if let Err(error) = command.status()
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

fn devices(dev: &Path) -> io::Result<()> {
    for (name, minor) in [
        ("null", "3"),
        ("zero", "5"),
        ("full", "7"),
        ("random", "8"),
        ("urandom", "9"),
    ] {
        let device = dev.join(name);
        let words = ["-m", "666"].map(AsRef::as_ref);
        let kind = ["c", "1", minor].map(AsRef::as_ref);
        tool(
            "mknod",
            &[&words[..], &[device.as_os_str()], &kind].concat(),
        )?;
    }
    // udev makes it before anyone asks; without it the device mapper's tools would.
    fs::create_dir(dev.join("mapper"))?;
    let control = dev.join("mapper/control");
    let kind = ["c", "10", "236"].map(AsRef::as_ref);
    tool("mknod", &[&[control.as_os_str()][..], &kind].concat())?;
    symlink("/proc/self/fd", dev.join("fd"))?;
    symlink("/proc/self/fd/0", dev.join("stdin"))
}

fn tool(name: &str, words: &[&std::ffi::OsStr]) -> io::Result<()> {
    let status = Command::new(name).args(words).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{name} ended with {status}")))
    }
}
