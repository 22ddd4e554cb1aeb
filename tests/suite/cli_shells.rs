//! File names that a shell would trip over, behind login shells that lie.
//!
//! `ssh_shells` proves that no login shell reads a word of a command; this suite
//! proves that the policy, the guest and the host keep it so on the whole way
//! from the command line to the file.

use std::fs;

use openshell_tests::{Account, Cli, Sshd, SshdOptions};
use serde_json::json;

use crate::cli_support::{is_root, put, text};

/// A shell, its start-up file, and how that replaces `cat` and more.
const SHELLS: [(&str, &[&str], &str); 5] = [
    (
        "/bin/bash",
        &[".bashrc", ".bash_profile"],
        "cat() { echo HIJACKED; }\nexport -f cat\nenv() { echo HIJACKED; }\nexport -f env\n\
         alias cat='echo HIJACKED'\nexport PATH=/nowhere\n",
    ),
    (
        "/bin/dash",
        &[".profile"],
        "cat() { echo HIJACKED; }\nalias cat='echo HIJACKED'\n",
    ),
    (
        "/usr/bin/zsh",
        &[".zshenv", ".zshrc"],
        "cat() { echo HIJACKED; }\nalias cat='echo HIJACKED'\nalias -g hosts=HIJACKED\n\
         export PATH=/nowhere\n",
    ),
    (
        "/usr/bin/fish",
        &[".config/fish/config.fish"],
        "function cat; echo HIJACKED; end\nfunction env; echo HIJACKED; end\nset -x PATH /nowhere\n",
    ),
    (
        "/usr/bin/tcsh",
        &[".tcshrc", ".login"],
        "alias cat 'echo HIJACKED'\nalias env 'echo HIJACKED'\nsetenv PATH /nowhere\n",
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

fn read_everything(cli: &Cli, id: &str, dir: &std::path::Path) {
    for (number, name) in NAMES.iter().enumerate() {
        let path = text(&dir.join(name));
        let expected = format!("content {number}\n");
        // Where the policy lets the command through unasked it runs as words, and
        // where a person agrees it is a text for `/bin/sh`: the result is the same.
        let arguments = json!({"server": id, "command": format!("cat -- {}", quoted(&path))});
        for flags in [&[][..], &["--yes"][..]] {
            let ran = cli.call("remote_exec", &arguments, flags);
            if flags.is_empty() && ran.status == 3 {
                // The policy may ask about an odd name; it must not run then.
                assert_eq!(
                    ran.json()["execution"]["attempted"],
                    false,
                    "{id} {name:?}: {ran:?}"
                );
                continue;
            }
            assert_eq!(ran.status, 0, "{id} {name:?}: {ran:?}");
            assert_eq!(
                ran.json()["data"]["stdout"],
                json!(expected),
                "{id} {name:?}: {ran:?}"
            );
            assert_eq!(ran.json()["data"]["stderr"], "", "{id} {name:?}: {ran:?}");
        }
        let read = cli.must(
            "remote_read_file",
            &json!({"server": id, "path": path}),
            &[],
        );
        assert_eq!(
            read["data"]["content"],
            json!(expected),
            "{id} {name:?}: {read}"
        );
    }
}

#[test]
fn any_name_is_read_behind_any_login_shell() {
    if !is_root("accounts with other login shells") {
        return;
    }
    let server = Sshd::start(&SshdOptions {
        empty_home: false,
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
        let Some(account) = Account::create(shell, &home) else {
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
        // A command that runs unasked runs the program and not the name.
        let ran = cli.must(
            "remote_exec",
            &json!({"server": label, "command": "uptime"}),
            &[],
        );
        assert!(
            ran["data"]["stdout"].to_string().contains("load average"),
            "{shell}: {ran}"
        );
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
        (format!("c''a\"\"t {dir}/a"), "two\n"),
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
    assert!(!std::path::Path::new(&dir).join("owned").exists());
}
