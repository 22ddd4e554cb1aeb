//! Login shells whose start-up files redefine everything in sight.
//!
//! They prove that the right program runs, or none. A shell that is not installed
//! is not proven.

use openshell_host::ssh::End;
use openshell_tests::{Sshd, SshdOptions};

use crate::ssh_support::{Account, argv, connect, run, script, target, text};

/// Names that scripts and people use, each redefined to something visible.
const NAMES: [&str; 16] = [
    "cat", "env", "printf", "kill", "cd", "echo", "read", "sleep", "unset", "trap", "wait", "set",
    "test", "command", "sh", "true",
];

/// Start-up files of a shell: name, and text for one redefined name.
struct Shell {
    path: &'static str,
    files: &'static [&'static str],
    define: fn(&str) -> String,
}

fn posix(name: &str) -> String {
    format!(
        "{name}() {{ builtin echo HIJACKED {name}; builtin echo HIJACKED >&2; }}\nalias {name}='echo HIJACKED'\n"
    )
}

/// Functions and aliases where there is no `builtin`; special builtins cannot be
/// redefined there.
fn posix_echo(name: &str) -> String {
    let function = match name {
        "unset" | "trap" | "set" => String::new(),
        _ => format!("{name}() {{ /bin/echo HIJACKED {name}; }}\n"),
    };
    format!("{function}{}", plain(name))
}

fn exported(name: &str) -> String {
    format!("{}export -f {name}\n", posix(name))
}

fn plain(name: &str) -> String {
    format!("alias {name}='/bin/echo HIJACKED'\n")
}

fn fish(name: &str) -> String {
    // Fish refuses to redefine its reserved words, which is fine.
    format!("function {name}; /bin/echo HIJACKED; end 2>/dev/null\n")
}

fn tcsh(name: &str) -> String {
    format!("alias {name} '/bin/echo HIJACKED'\n")
}

const SHELLS: [Shell; 9] = [
    Shell {
        path: "/bin/bash",
        files: &[".bashrc", ".bash_profile", ".profile"],
        define: exported,
    },
    Shell {
        path: "/bin/dash",
        files: &[".profile"],
        define: plain,
    },
    Shell {
        path: "/usr/bin/zsh",
        files: &[".zshenv", ".zshrc"],
        define: posix,
    },
    Shell {
        path: "/usr/bin/fish",
        files: &[".config/fish/config.fish"],
        define: fish,
    },
    Shell {
        path: "/usr/bin/tcsh",
        files: &[".tcshrc", ".cshrc", ".login"],
        define: tcsh,
    },
    Shell {
        path: "/usr/bin/mksh",
        files: &[".mkshrc", ".profile"],
        define: plain,
    },
    Shell {
        path: "/bin/ksh93",
        files: &[".kshrc", ".profile"],
        define: posix_echo,
    },
    Shell {
        path: "/bin/busybox",
        files: &[".ashrc", ".profile"],
        define: posix_echo,
    },
    Shell {
        path: "/usr/bin/yash",
        files: &[".yashrc", ".yash_profile"],
        define: plain,
    },
];

#[tokio::test]
async fn no_login_shell_reads_a_word_of_a_command() {
    let server = Sshd::start(&SshdOptions {
        empty_home: false,
        // Start-up files that a shell reads only where the environment names them.
        extra_config: vec!["SetEnv ENV=$HOME/.profile BASH_ENV=$HOME/.bashrc".to_owned()],
        ..SshdOptions::default()
    });
    let words = [
        "a b", "$HOME", "'", "\"", "\\", "*", "~", "!", "!!", ";id", "%", "^x", "=ls", "(a)",
        "{a,b}", "a\nb", "é",
    ];
    for shell in &SHELLS {
        let label = shell
            .path
            .rsplit('/')
            .next()
            .expect("a path has a last part");
        let home = server.dir().join(format!("home-{label}"));
        for file in shell.files {
            let path = home.join(file);
            std::fs::create_dir_all(path.parent().expect("below home")).expect("own directory");
            let mut rc = String::from("/bin/echo noise on stdout\n");
            if label != "tcsh" {
                rc.push_str("/bin/echo noise on stderr >&2\n");
            }
            rc.extend(NAMES.map(shell.define));
            std::fs::write(&path, rc).expect("own directory");
        }
        let login_shell = login_shell(shell.path, server.dir());
        let Some(account) = Account::create(label, &login_shell, &home) else {
            continue;
        };
        let mut target = target(&server);
        target.user.clone_from(&account.name);
        let connection = connect(&target).await;
        let mut command = vec!["printf", "%s\\0"];
        command.extend(words);
        let outcome = run(&connection, argv(&command)).await;
        assert_eq!(outcome.end, End::Exit(0), "{label}: {outcome:?}");
        let printed = text(&outcome);
        let arrived: Vec<&str> = printed.split_terminator('\0').collect();
        assert_eq!(arrived, words, "{label}");
        assert_eq!(outcome.stderr.total, 0, "{label}: {outcome:?}");
        // An approved text runs in /bin/sh, and no function of the login shell
        // stands between.
        let outcome = run(
            &connection,
            script("cd / && printf %s\\\\n \"$PWD\"; test a = a; echo $?"),
        )
        .await;
        assert_eq!(text(&outcome), "/\n0\n", "{label}: {outcome:?}");
        connection.close().await;
    }
}

/// The shell as an account names it: busybox is one by the name it is called by.
fn login_shell(path: &str, folder: &std::path::Path) -> String {
    if !path.ends_with("busybox") || !std::path::Path::new(path).exists() {
        return path.to_owned();
    }
    let link = folder.join("ash");
    std::os::unix::fs::symlink(path, &link).expect("the fixture's own directory");
    link.to_str().expect("temporary paths are ASCII").to_owned()
}

/// What a start-up file may do to `exec` itself ends in a refusal or in the
/// right program, never in another one.
#[tokio::test]
async fn a_hijacked_exec_is_refused() {
    let server = Sshd::start(&SshdOptions {
        empty_home: false,
        ..SshdOptions::default()
    });
    let home = server.dir().join("home-exec");
    std::fs::create_dir_all(&home).expect("own directory");
    std::fs::write(
        home.join(".bashrc"),
        "exec() { builtin echo HIJACKED \"$@\"; }\n",
    )
    .expect("own directory");
    let Some(account) = Account::create("exec", "/bin/bash", &home) else {
        return;
    };
    let mut target = target(&server);
    target.user.clone_from(&account.name);
    let connection = connect(&target).await;
    let outcome = connection
        .exec(
            crate::ssh_support::request(argv(&["echo", "mine"])),
            tokio_util::sync::CancellationToken::new(),
        )
        .await;
    match outcome {
        Ok(outcome) => assert_eq!(text(&outcome), "mine\n"),
        Err(error) => assert!(
            matches!(error, openshell_host::ssh::SshError::NoPosixShell { .. }),
            "{error:?}"
        ),
    }
}
