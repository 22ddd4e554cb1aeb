//! File names that a shell would trip over, behind login shells that lie.
//!
//! `ssh_shells` proves that no login shell reads a word of a command; this suite
//! proves that the policy, the guest and the host keep it so on the whole way
//! from the command line to the file.
//!
//! Which commands are harmless is not its subject.

use std::fs;
use std::path::Path;

use openshell_tests::{Account, Cli, Sshd, SshdOptions};
use serde_json::json;

use crate::cli_support::{is_root, put, text};

/// A shell, its start-up file, and how that replaces `cat` and more.
const SHELLS: [(&str, &[&str], &str); 9] = [
    (
        "/bin/bash",
        &[".bashrc", ".bash_profile"],
        "cat() { echo HIJACKED; }\nexport -f cat\nenv() { echo HIJACKED; }\nexport -f env\n\
         alias cat='echo HIJACKED'\n",
    ),
    (
        "/bin/dash",
        &[".profile"],
        "cat() { echo HIJACKED; }\nalias cat='echo HIJACKED'\n",
    ),
    (
        "/usr/bin/zsh",
        &[".zshenv", ".zshrc"],
        "cat() { echo HIJACKED; }\nalias cat='echo HIJACKED'\nalias -g hosts=HIJACKED\n",
    ),
    (
        "/bin/ksh93",
        &[".profile", ".kshrc"],
        "function cat { echo HIJACKED; }\nenv() { echo HIJACKED; }\nalias cat='echo HIJACKED'\n",
    ),
    (
        "/usr/bin/mksh",
        &[".profile", ".mkshrc"],
        "cat() { echo HIJACKED; }\nenv() { echo HIJACKED; }\nalias cat='echo HIJACKED'\n",
    ),
    (
        "/usr/bin/yash",
        &[".yash_profile", ".yashrc", ".profile"],
        "cat() { echo HIJACKED; }\nenv() { echo HIJACKED; }\nalias -g hosts=HIJACKED\n",
    ),
    (
        "/bin/busybox",
        &[".profile", ".ashrc"],
        "cat() { echo HIJACKED; }\nenv() { echo HIJACKED; }\nalias cat='echo HIJACKED'\n",
    ),
    (
        "/usr/bin/fish",
        &[".config/fish/config.fish"],
        "function cat; echo HIJACKED; end\nfunction env; echo HIJACKED; end\n",
    ),
    (
        "/usr/bin/tcsh",
        &[".tcshrc", ".login"],
        "alias cat 'echo HIJACKED'\nalias env 'echo HIJACKED'\n",
    ),
];

/// Names that mean something to one shell or another.
const NAMES: [&str; 18] = [
    "plain",
    "two words",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "back\\nslash",
    "new\nline",
    "$HOME",
    "$(touch owned)",
    "`touch owned`",
    "a;touch owned",
    "a&touch owned",
    "a|touch owned",
    "a>owned",
    "*",
    "!!",
    "{x,y}",
    "~root #%^=é",
];

/// A word that every POSIX shell reads as exactly this text.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Reads every file by a command, and some by one that a person agreed to.
fn read_everything(cli: &Cli, id: &str, dir: &Path) {
    for (number, name) in NAMES.iter().enumerate() {
        let expected = json!(format!("content {number}\n"));
        let run = |command: String, flags: &[&str]| {
            cli.call(
                "remote_exec",
                &json!({"server": id, "command": command}),
                flags,
            )
        };
        let cat = format!("cat -- {}", quoted(&text(&dir.join(name))));
        let mut ran = run(cat.clone(), &[]);
        if ran.status == 3 {
            // The policy may ask about an odd name; nothing has run then.
            assert_eq!(
                ran.json()["execution"]["attempted"],
                false,
                "{id} {name:?}: {ran:?}"
            );
            ran = run(cat.clone(), &["--yes"]);
        }
        let mut runs = vec![ran];
        // What is more than words goes to `/bin/sh` as it stands.
        if number % 4 == 2 {
            runs.push(run(format!("{cat}; :"), &["--yes"]));
        }
        for ran in runs {
            assert_eq!(ran.status, 0, "{id} {name:?}: {ran:?}");
            let data = &ran.json()["data"];
            assert_eq!(data["stdout"], expected, "{id} {name:?}: {ran:?}");
            assert_eq!(data["stderr"], "", "{id} {name:?}: {ran:?}");
        }
    }
}

#[test]
fn any_name_is_read_as_a_file() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    let dir = cli.files();
    for (number, name) in NAMES.iter().enumerate() {
        let content = format!("content {number}\n");
        put(&dir.join(name), content.as_bytes(), 0o644);
        let arguments = json!({"server": "a", "path": text(&dir.join(name))});
        let read = cli.must("remote_read_file", &arguments, &["--yes"]);
        assert_eq!(read["data"]["content"], json!(content), "{name:?}: {read}");
    }
    assert!(!dir.join("owned").exists());
}

#[test]
fn any_name_is_read_behind_any_login_shell() {
    if !is_root("accounts with other login shells") {
        return;
    }
    let server = Sshd::start(&SshdOptions {
        empty_home: false,
        // Start-up files that a shell reads only where the environment names them.
        extra_config: vec!["SetEnv ENV=$HOME/.profile BASH_ENV=$HOME/.bashrc".to_owned()],
        ..SshdOptions::default()
    });
    let cli = Cli::new();
    let dir = server.dir().join("names");
    fs::create_dir(&dir).expect("the fixture's directory");
    for (number, name) in NAMES.iter().enumerate() {
        put(
            &dir.join(name),
            format!("content {number}\n").as_bytes(),
            0o644,
        );
    }
    for (shell, files, lies) in SHELLS {
        let label = shell.rsplit('/').next().unwrap_or(shell);
        let home = server.dir().join(format!("home-{label}"));
        for file in files {
            let path = home.join(file);
            fs::create_dir_all(path.parent().expect("below home")).expect("own directory");
            fs::write(&path, lies).expect("own directory");
        }
        let login_shell = login_shell(shell, server.dir());
        let Some(account) = Account::create(&login_shell, &home) else {
            continue;
        };
        cli.enrol_as(&server, label, account.name(), &[]);
        read_everything(&cli, label, &dir);
        // Something that is run rather than read would leave its mark here.
        for place in [&home, &dir] {
            assert!(
                !place.join("owned").exists(),
                "{shell}: something ran in {}",
                place.display()
            );
        }
        prepend_lies(&home, files, label);
        // A command that runs unasked runs the system's program, whatever the
        // account's own path says.
        let unasked = |command: &str| {
            let arguments = json!({"server": label, "command": command});
            let envelope = cli.must("remote_exec", &arguments, &[]);
            envelope["data"]["stdout"].to_string()
        };
        let plain = format!("cat {}", text(&dir.join("plain")));
        assert!(unasked(&plain).contains("content 0"), "{shell}");
        assert!(unasked("uptime").contains("load average"), "{shell}");
    }
}

/// The shell as an account names it: busybox is one by the name it is called by.
fn login_shell(path: &str, folder: &Path) -> String {
    if !path.ends_with("busybox") || !Path::new(path).exists() {
        return path.to_owned();
    }
    let link = folder.join("ash");
    std::os::unix::fs::symlink(path, &link).expect("the fixture's own directory");
    text(&link)
}

/// Puts a directory of other programs in front of the account's path.
fn prepend_lies(home: &Path, files: &[&str], label: &str) {
    let lies = home.join("lies");
    fs::create_dir(&lies).expect("own directory");
    for name in ["cat", "env", "uptime"] {
        put(&lies.join(name), b"#!/bin/sh\necho HIJACKED\n", 0o755);
    }
    let lies = text(&lies);
    let line = match label {
        "fish" => format!("set -x PATH {lies} $PATH\n"),
        "tcsh" => format!("setenv PATH {lies}:$PATH\n"),
        _ => format!("export PATH={lies}:$PATH\n"),
    };
    for file in files {
        let path = home.join(file);
        let mut text = fs::read_to_string(&path).expect("own file");
        text.push_str(&line);
        fs::write(&path, text).expect("own file");
    }
}

#[test]
fn quoting_decides_what_is_one_word() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    cli.enrol(&server, "a");
    let dir = cli.files();
    put(&dir.join("a b"), b"one\n", 0o644);
    put(&dir.join("a"), b"two\n", 0o644);
    put(&dir.join("$x"), b"three\n", 0o644);
    put(&dir.join("q\"q"), b"four\n", 0o644);
    let dir = text(&dir);
    for (command, stdout) in [
        (format!("cat '{dir}/a b'"), "one\n"),
        (format!("cat \"{dir}/a b\""), "one\n"),
        (format!("cat {dir}/a\\ b"), "one\n"),
        (format!("cat {dir}/a' 'b"), "one\n"),
        (format!("cat {dir}/''a\"\""), "two\n"),
        (format!("cat {dir}/\\a"), "two\n"),
        (format!("cat '{dir}/$x'"), "three\n"),
        (format!("cat {dir}/\\$x"), "three\n"),
        (format!("cat \"{dir}/q\\\"q\""), "four\n"),
        (format!("cat {dir}/a {dir}/'a b'"), "two\none\n"),
    ] {
        // What a shell prints is what a call prints, asked or not.
        let shell = std::process::Command::new("/bin/sh")
            .args(["-c", &command])
            .output()
            .expect("/bin/sh is there");
        assert_eq!(String::from_utf8_lossy(&shell.stdout), stdout, "{command}");
        let arguments = json!({"server": "a", "command": command});
        let unasked = cli.call("remote_exec", &arguments, &[]);
        assert_eq!(unasked.status, 0, "{command}: {unasked:?}");
        assert_eq!(
            unasked.json()["data"]["stdout"],
            stdout,
            "{command}: {unasked:?}"
        );
    }
    // Anything that a shell would have to work out asks first.
    for command in [
        format!("cat {dir}/$x"),
        format!("cat {dir}/a; touch {dir}/owned"),
        format!("cat {dir}/a > {dir}/owned"),
        format!("cat $(touch {dir}/owned)"),
        format!("cat {dir}/a\ntouch {dir}/owned"),
        format!("cat {dir}/a & touch {dir}/owned"),
        format!("cat \"`touch {dir}/owned`\""),
        format!("X=1 cat {dir}/a"),
        // Nobody quotes the name of a program but to hide it.
        format!("c''a\"\"t {dir}/a"),
    ] {
        let asked = cli.call(
            "remote_exec",
            &json!({"server": "a", "command": command}),
            &[],
        );
        assert_eq!(asked.status, 3, "{command}: {asked:?}");
        assert_eq!(
            asked.json()["execution"]["attempted"],
            false,
            "{command}: {asked:?}"
        );
    }
    assert!(!Path::new(&dir).join("owned").exists());
}
